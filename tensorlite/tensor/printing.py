"""Printing tensors the way torch prints them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..dtypes import default_complex, from_numpy_dtype, get_default_dtype


@dataclass
class _Options:
    precision: int = 4
    threshold: float = 1000
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: bool | None = None


_options = _Options()
_PROFILES: dict[str, tuple[int, float, int, int]] = {
    "default": (4, 1000, 3, 80),
    "short": (2, 1000, 2, 80),
    "full": (4, math.inf, 3, 80),
}


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Set how tensors print: digits after the point, elements before a tensor is summarised, elements shown at each edge, line width."""
    if profile is not None:
        if profile not in _PROFILES:
            raise ValueError(f"unknown print profile {profile!r}; expected one of {', '.join(_PROFILES)}")
        _options.precision, _options.threshold, _options.edgeitems, _options.linewidth = _PROFILES[profile]
    for name, value in (
        ("precision", precision),
        ("threshold", threshold),
        ("edgeitems", edgeitems),
        ("linewidth", linewidth),
    ):
        if value is not None:
            setattr(_options, name, value)
    _options.sci_mode = sci_mode


class _Formatter:
    """Decides on one format for all values of a tensor: whole numbers, fixed point or scientific, and their common width."""

    def __init__(self, values: Any) -> None:
        self.floating = values.dtype.kind == "f"
        self.whole, self.scientific, self.width = True, False, 1
        if not self.floating:
            self.width = max((len(str(v)) for v in values.ravel().tolist()), default=1)
            return
        shown = values[np.isfinite(values) & (values != 0)].astype(np.float64)
        if not shown.size:
            return
        low, high = np.abs(shown).min(), np.abs(shown).max()
        self.whole = bool((shown == np.ceil(shown)).all())
        self.scientific = bool(high > 1000 * low or high > 1e8 or (not self.whole and low < 1e-4))
        if _options.sci_mode is not None:
            self.scientific = _options.sci_mode
        extra = 1 if self.whole and not self.scientific else 0
        self.width = max(len(self._text(v)) for v in shown.tolist()) + extra

    def _text(self, value: float) -> str:
        if self.scientific:
            return f"{value:.{_options.precision}e}"
        return f"{value:.0f}" if self.whole else f"{value:.{_options.precision}f}"

    def format(self, value: Any) -> str:
        if not self.floating:
            return str(value).rjust(self.width)
        text = self._text(value)
        if self.whole and not self.scientific and math.isfinite(value):
            text += "."
        return text.rjust(self.width)


class _ComplexFormatter:
    def __init__(self, values: Any) -> None:
        self.real, self.imag = _Formatter(values.real), _Formatter(values.imag)
        self.width = self.real.width + self.imag.width + 1

    def format(self, value: complex) -> str:
        imag = self.imag.format(value.imag).lstrip()
        return self.real.format(value.real) + ("" if imag.startswith("-") else "+") + imag + "j"


def _summarised(values: Any) -> Any:
    """The corner elements that will be shown, for choosing a format."""
    e = _options.edgeitems
    for axis in range(values.ndim):
        if values.shape[axis] > 2 * e:
            values = np.concatenate([values.take(range(e), axis), values.take(range(-e, 0), axis)], axis)
    return values


def _body(values: Any, indent: int, summarise: bool, formatter: Any) -> str:
    if values.ndim == 0:
        return str(formatter.format(values.item()))
    e = _options.edgeitems
    cut = summarise and values.shape[0] > 2 * e
    if values.ndim == 1:
        per_line = max(1, (_options.linewidth - indent) // (formatter.width + 2))
        items = values.tolist()
        texts = (
            [formatter.format(v) for v in items[:e]] + [" ..."] + [formatter.format(v) for v in items[-e:]]
            if cut
            else [formatter.format(v) for v in items]
        )
        separator = ",\n" + " " * (indent + 1)
        lines: list[str] = [", ".join(texts[i : i + per_line]) for i in range(0, len(texts), per_line)]
        return f"[{separator.join(lines)}]"
    rows = range(values.shape[0])
    slices: list[str] = [_body(values[i], indent + 1, summarise, formatter) for i in (list(rows)[:e] if cut else rows)]
    if cut:
        slices += ["..."] + [_body(values[i], indent + 1, summarise, formatter) for i in list(rows)[-e:]]
    return "[" + ("," + "\n" * int(values.ndim - 1) + " " * (indent + 1)).join(slices) + "]"


def array_body(values: Any, indent: int = 0) -> str:
    """The bracketed numbers."""
    if values.size == 0:
        return "[]"
    summarise = values.size > _options.threshold
    formatter = (_ComplexFormatter if values.dtype.kind == "c" else _Formatter)(
        _summarised(values) if summarise else values
    )
    return _body(values, indent, summarise, formatter)


def tensor_repr(t: Any) -> str:
    """`tensor([...], dtype=..., grad_fn=...)`."""
    prefix = "tensor("
    values = t._data
    suffixes = []
    default = get_default_dtype().dtype
    dtype = f"dtype={from_numpy_dtype(values.dtype)!r}"
    if values.size == 0:
        if values.ndim != 1:
            suffixes.append(f"size={tuple(values.shape)}")
        if values.dtype != default:
            suffixes.append(dtype)
    elif values.dtype not in _unsaid():
        suffixes.append(dtype)
    suffixes += _history(t)
    return _with_suffixes(prefix + array_body(values, len(prefix)), suffixes, len(prefix)) + ")"


def _history(t: Any) -> list[str]:
    if t.grad_fn is not None:
        return [f"grad_fn=<{t.grad_fn.name()}>"]
    return ["requires_grad=True"] if t._rg else []


def _with_suffixes(text: str, suffixes: list[str], indent: int, newline: bool = False) -> str:
    """`text` with its suffixes appended, each on a new line where the old one would get too long."""
    width = len(text) - text.rfind("\n") + 1
    for suffix in suffixes:
        if newline or width + len(suffix) + 2 > _options.linewidth:
            text += ",\n" + " " * indent + suffix
            width = indent + len(suffix)
            newline = False
        else:
            text += ", " + suffix
            width += len(suffix) + 2
    return text


def sparse_repr(t: Any) -> str:
    """`tensor(indices=tensor([...]), values=tensor([...]), size=..., nnz=..., layout=...)`."""
    prefix = "tensor("
    lines = []
    for name, values in (("indices", t._positions), ("values", t._entries._data)):
        start = f"{name}=tensor("
        empty = f", size={values.shape}" if not values.size else ""
        lines.append(start + array_body(values, len(prefix) + len(start)) + empty + ")")
    suffixes = [f"size={tuple(t.shape)}", f"nnz={t._nnz()}"]
    if t._entries._data.dtype not in _unsaid():
        suffixes.append(f"dtype={t.dtype!r}")
    suffixes.append(f"layout={t.layout!r}")
    text = prefix + (",\n" + " " * len(prefix)).join(lines)
    return _with_suffixes(text, suffixes + _history(t), len(prefix), newline=True) + ")"


def _unsaid() -> tuple[Any, ...]:
    """The dtypes that a reader expects, and that are not printed."""
    return get_default_dtype().dtype, default_complex(), np.dtype(np.int64), np.dtype(np.bool_)
