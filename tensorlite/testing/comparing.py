"""Differential testing: the same function in another library, in another precision, or by another method."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .backends import TENSORLITE, Torch, tensors_in
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
    """Compare values and gradients of `f` with those of another backend, including whether an error is raised.

    Args:
        f: a function of tensors. With backend "torch" it is called as `f(library, *tensors)` once with tensorlite and once with torch,
            unless `reference` is the torch function, when both are called as `f(*tensors)`.
        inputs: arrays; float ones become leaves.
        backend: "torch"; "numpy64": float32 against float64 of the same function; "complex": gradients against the complex step.

    Raises AssertionError that says what differs; returns a Comparison that is "skipped" with a reason where torch is not installed.
    """
    if backend == "complex":
        gradcheck(f, inputs, method="complex", seed=seed)
        return Comparison("equal")
    if backend == "numpy64":
        narrow = [np.asarray(x, np.float32) if _floating(x) else x for x in inputs]
        wide = [np.asarray(x, np.float64) if _floating(x) else x for x in narrow]
        _compare(
            _outcome(f, narrow, TENSORLITE, seed), _outcome(f, wide, TENSORLITE, seed), max(rtol, 1e-4), max(atol, 1e-5)
        )
        return Comparison("equal")
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
    _compare(_outcome(mine, inputs, TENSORLITE, seed), _outcome(theirs, inputs, other, seed), rtol, atol)
    return Comparison("equal")


def _floating(x: Any) -> bool:
    return isinstance(x, np.ndarray) and x.dtype.kind == "f"


def _outcome(f: Callable[..., Any], inputs: Sequence[Any], backend: Any, seed: int) -> tuple[str, list[Any]]:
    """("", values and gradients), or the name of the error with nothing."""
    leaves = [backend.leaf(x.copy(), _floating(x)) if isinstance(x, np.ndarray) else x for x in inputs]
    try:
        outputs = tensors_in(f(*leaves), backend)
        arrays = [np.array(backend.array(o)) for o in outputs]
        recorded = [o for o in outputs if backend.needs_grad(o)]
        wanted = [x for x in leaves if backend.needs_grad(x)]
        rng = np.random.default_rng(seed)
        v = [np.asarray(rng.standard_normal(tuple(o.shape))).astype(backend.array(o).dtype) for o in recorded]
        grads = backend.gradients(recorded, wanted, [backend.leaf(c, False) for c in v]) if recorded and wanted else []
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        return type(error).__name__, [str(error)]
    return "", arrays + [None if g is None else np.array(backend.array(g)) for g in grads]


def _compare(mine: tuple[str, list[Any]], theirs: tuple[str, list[Any]], rtol: float, atol: float) -> None:
    if bool(mine[0]) != bool(theirs[0]):
        who = "tensorlite raises, the reference does not" if mine[0] else "the reference raises, tensorlite does not"
        raise AssertionError(f"{who}: {(mine if mine[0] else theirs)[1][0]}")
    if mine[0]:
        return
    if len(mine[1]) != len(theirs[1]):
        raise AssertionError(f"{len(mine[1])} outputs and gradients, the reference has {len(theirs[1])}")
    for k, (a, b) in enumerate(zip(mine[1], theirs[1], strict=True)):
        if a is None or b is None:
            if (a is None) != (b is None) and np.any(a if b is None else b):
                raise AssertionError(f"result {k}: one gradient is None, the other is not zero")
            continue
        if a.shape != b.shape:
            raise AssertionError(f"result {k} has shape {a.shape}, the reference {b.shape}")
        if a.dtype.kind not in "fc":
            if not np.array_equal(a, b):
                raise AssertionError(f"result {k} differs: {a} and {b}")
            continue
        scale = np.abs(b[np.isfinite(b)]).max(initial=0.0)
        same = (np.abs(a - b) <= atol + rtol * scale) | (a == b) | (np.isnan(a) & np.isnan(b))
        if not np.all(same):
            at = tuple(int(i) for i in np.argwhere(~same)[0])
            raise AssertionError(f"result {k} differs at {list(at)}: {a[at]!r}, the reference {b[at]!r}")
