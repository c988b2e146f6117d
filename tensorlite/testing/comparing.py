"""Differential testing: the same function in another library, in another precision, or by another method."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .backends import TENSORLITE, Torch
from .checking import gradcheck

BACKENDS = ("torch", "numpy64", "complex")


@dataclass(frozen=True)
class Comparison:
    """The outcome of `differential`: "equal", "different" or "skipped", and why."""

    verdict: str
    reason: str = ""

    def __bool__(self) -> bool:
        return self.verdict != "different"


def differential(
    f: Callable[..., Any],
    inputs: Sequence[Any],
    backend: str = "torch",
    *,
    reference: Callable[..., Any] | None = None,
    rtol: float = 1e-9,
    atol: float = 1e-12,
    seed: int = 0,
) -> Comparison:
    """Compare values, dtypes, gradients and changes of the inputs with those of another backend, including whether an error is raised.

    Args:
        f: a function of tensors. With backend "torch" it is called as `f(library, *tensors)` once with tensorlite and once with torch,
            unless `reference` is the torch function, when both are called as `f(*tensors)`.
        inputs: arrays or tensors; float ones become leaves.
        backend: "torch"; "numpy64": float32 against float64 of the same function; "complex": gradients against the complex step.

    Returns a Comparison, "equal" (its reason says so if both raised), or "skipped" where torch is not installed.
    Raises AssertionError that says what differs.
    """
    given = [_plain(x) for x in (inputs if isinstance(inputs, tuple | list) else [inputs])]
    if backend == "complex":
        gradcheck(f, given, method="complex", seed=seed)
        return Comparison("equal")
    if backend == "numpy64":
        narrow = [x.astype(np.complex64 if x.dtype.kind == "c" else np.float32) if _floating(x) else x for x in given]
        wide = [x.astype(np.complex128 if x.dtype.kind == "c" else np.float64) if _floating(x) else x for x in narrow]
        first, second = (_outcome(f, x, TENSORLITE, seed) for x in (narrow, wide))
        return _compare(first, second, max(rtol, 1e-4), max(atol, 1e-5), dtypes=False)
    if backend != "torch":
        raise ValueError(f"backend must be one of {BACKENDS}, got {backend!r}")
    if importlib.util.find_spec("torch") is None:
        return Comparison("skipped", "torch is not installed")
    other = Torch()
    if reference is None:
        import tensorlite

        mine: Callable[..., Any] = lambda *t: f(tensorlite, *t)
        theirs: Callable[..., Any] = lambda *t: f(other.torch, *t)
    else:
        mine, theirs = f, reference
    return _compare(_outcome(mine, given, TENSORLITE, seed), _outcome(theirs, given, other, seed), rtol, atol)


def _floating(x: Any) -> bool:
    return isinstance(x, np.ndarray) and x.dtype.kind in "fc"


def _plain(x: Any) -> Any:
    """A tensor of either library as an array of its own."""
    if TENSORLITE.is_tensor(x):
        return x._data.copy()
    torch = sys.modules.get("torch")
    return x.detach().numpy(force=True).copy() if torch is not None and isinstance(x, torch.Tensor) else x


@dataclass
class _Outcome:
    """What a call gave: an error, or everything in its result, and what it did to its inputs."""

    error: Exception | None = None
    values: list[Any] = field(default_factory=list)
    requires_grad: list[bool | None] = field(default_factory=list)
    grads: list[Any] = field(default_factory=list)
    inputs: list[Any] = field(default_factory=list)


def _outcome(f: Callable[..., Any], inputs: Sequence[Any], backend: Any, seed: int) -> _Outcome:
    leaves = [backend.leaf(x.copy(), _floating(x)) if isinstance(x, np.ndarray) else x for x in inputs]
    found = _Outcome()
    try:
        items = _flat(f(*leaves))
        outputs = [x for x in items if backend.is_tensor(x)]
        found.values = [np.array(backend.array(x)) if backend.is_tensor(x) else x for x in items]
        found.requires_grad = [backend.needs_grad(x) if backend.is_tensor(x) else None for x in items]
        recorded = [o for o in outputs if backend.needs_grad(o)]
        wanted = [x for x in leaves if backend.needs_grad(x)]
        rng = np.random.default_rng(seed)
        v = [np.asarray(rng.standard_normal(tuple(o.shape))).astype(backend.array(o).dtype) for o in recorded]
        grads = backend.gradients(recorded, wanted, [backend.leaf(c, False) for c in v]) if recorded and wanted else []
        found.grads = [None if g is None else np.array(backend.array(g)) for g in grads]
    except AttributeError:
        raise  # a function that the library does not have
    except Exception as error:
        if _not_called(error):
            raise
        return _Outcome(error)
    found.inputs = [np.array(backend.array(x)) if backend.is_tensor(x) else x for x in leaves]
    return found


def _flat(result: Any) -> list[Any]:
    if isinstance(result, dict):
        result = list(result.values())
    return [x for item in result for x in _flat(item)] if isinstance(result, tuple | list) else [result]


def _not_called(error: Exception) -> bool:
    """Whether the function could not even be called: the wrong number of arguments is a mistake of the caller, not an outcome."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return isinstance(error, TypeError) and trace is not None and trace.tb_frame.f_code.co_filename == __file__


def _compare(mine: _Outcome, theirs: _Outcome, rtol: float, atol: float, dtypes: bool = True) -> Comparison:
    if mine.error is not None or theirs.error is not None:
        if mine.error is not None and theirs.error is not None:
            return Comparison("equal", f"both raise: {mine.error!r:.200} and {theirs.error!r:.200}")
        who = (
            "tensorlite raises, the reference does not"
            if mine.error is not None
            else "the reference raises, tensorlite does not"
        )
        raise AssertionError(f"{who}: {mine.error or theirs.error!r}")
    if len(mine.values) != len(theirs.values):
        raise AssertionError(f"{len(mine.values)} outputs, the reference has {len(theirs.values)}")
    for k, (p, q) in enumerate(zip(mine.requires_grad, theirs.requires_grad, strict=True)):
        if p != q:
            raise AssertionError(f"output {k}: requires_grad is {p}, in the reference {q} (None: it is not a tensor)")
    for what, ours, others in (
        ("output", mine.values, theirs.values),
        ("the gradient of input", mine.grads, theirs.grads),
        ("after the call, input", mine.inputs, theirs.inputs),
    ):
        for k, (a, b) in enumerate(zip(ours, others, strict=True)):
            _compare_one(f"{what} {k}", a, b, rtol, atol, dtypes)
    return Comparison("equal", "" if mine.requires_grad.count(None) < len(mine.values) else "no output is a tensor")


def _compare_one(what: str, a: Any, b: Any, rtol: float, atol: float, dtypes: bool) -> None:
    if a is None or b is None:
        if (a is None) != (b is None) and np.any(a if b is None else b):
            raise AssertionError(f"{what}: one is None, the other is not zero")
        return
    if not isinstance(a, np.ndarray) or not isinstance(b, np.ndarray):
        if type(a).__module__ == type(b).__module__ == "builtins" and not (a == b or (a != a and b != b)):
            raise AssertionError(f"{what} is {a!r}, in the reference {b!r}")
        return  # dtypes, sizes and the like are objects of each library
    if a.shape != b.shape:
        raise AssertionError(f"{what} has shape {a.shape}, the reference {b.shape}")
    if dtypes and a.dtype != b.dtype:
        raise AssertionError(f"{what} is {a.dtype}, in the reference {b.dtype}")
    if a.dtype.kind not in "fc":
        if not np.array_equal(a, b):
            raise AssertionError(f"{what} differs: {a} and {b}")
        return
    scale = np.abs(b[np.isfinite(b)]).max(initial=0.0)
    with np.errstate(all="ignore"):
        same = (np.abs(a - b) <= atol + rtol * scale) | (a == b) | (np.isnan(a) & np.isnan(b))
    if not np.all(same):
        at = tuple(int(i) for i in np.argwhere(~same)[0])
        raise AssertionError(f"{what} differs at {list(at)}: {a[at]!r}, the reference {b[at]!r}")
