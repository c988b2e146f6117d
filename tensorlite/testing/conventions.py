"""The gradient at points where there is no derivative: what tensorlite, like torch, returns there, as formulas written apart from the rules.

| function | convention |
|---|---|
| relu, relu6, hardtanh, threshold, softshrink, hardshrink | 0 at the kink |
| leaky_relu, prelu | the slope of the negative side at 0 |
| abs, sign, floor, ceil, round, trunc | 0 |
| clamp | 1 inside and exactly at a bound |
| maximum, minimum | half to each side at a tie |
| fmax, fmin | all to the first at a tie |
| amax, amin | split evenly among the tied elements |
| max, min, cummax along a dim | all to the element whose index is returned: the first |
| vector_norm | 0 at 0 |
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .backends import TENSORLITE, Backend, Tensorlite
from .blaming import Call, alone, recorded

#: For each op: `(g, *arguments) -> expected gradient of each differentiable argument` (None: not stated).
Formula = Callable[..., tuple[Any, ...]]


def _extremum(g: Any, x: Any, dim: Any, keepdim: Any, pick: Any) -> tuple[Any, ...]:
    dims = tuple(range(x.ndim)) if dim in ((), None) else dim
    best = pick(x, axis=dims, keepdims=True)
    hit = x == best
    return (np.broadcast_to(np.reshape(g, best.shape), x.shape) * hit / hit.sum(axis=dims, keepdims=True),)


def _first(g: Any, x: Any, dim: int, keepdim: Any, where: Any) -> tuple[Any, ...]:
    if not x.ndim:
        return (g,)
    index = np.expand_dims(where(x, axis=dim), dim)
    out = np.zeros_like(x)
    np.put_along_axis(out, index, np.reshape(g, index.shape), dim)
    return (out,)


def _clamp(g: Any, x: Any, low: Any = None, high: Any = None) -> tuple[Any, ...]:
    inside = (x >= (-np.inf if low is None else low)) & (x <= (np.inf if high is None else high))
    return (g * inside,)


def _zero(g: Any, x: Any, *rest: Any) -> tuple[Any, ...]:
    return (np.zeros_like(x),)


CONVENTIONS: dict[str, Formula] = {
    "relu": lambda g, x: (g * (x > 0),),
    "relu6": lambda g, x: (g * ((x > 0) & (x < 6)),),
    "hardtanh": lambda g, x, low=-1.0, high=1.0: (g * ((x > low) & (x < high)),),
    "threshold": lambda g, x, t, value: (g * (x > t),),
    "hardshrink": lambda g, x, lam=0.5: (g * (np.abs(x) > lam),),
    "softshrink": lambda g, x, lam=0.5: (g * (np.abs(x) > lam),),
    "leaky_relu": lambda g, x, slope=0.01: (np.where(x > 0, g, slope * g),),
    "abs": lambda g, x: (g * np.sign(x),),
    **dict.fromkeys(["sign", "floor", "ceil", "round", "trunc"], _zero),
    "clamp": _clamp,
    "maximum": lambda g, x, y: (g * ((x > y) + 0.5 * (x == y)), g * ((y > x) + 0.5 * (x == y))),
    "minimum": lambda g, x, y: (g * ((x < y) + 0.5 * (x == y)), g * ((y < x) + 0.5 * (x == y))),
    "fmax": lambda g, x, y: (g * (x >= y), g * (x < y)),
    "fmin": lambda g, x, y: (g * (x <= y), g * (x > y)),
    "amax": lambda g, x, dim=(), keepdim=False: _extremum(g, x, dim, keepdim, np.max),
    "amin": lambda g, x, dim=(), keepdim=False: _extremum(g, x, dim, keepdim, np.min),
    "max_along": lambda g, x, dim, keepdim=False: _first(g, x, dim, keepdim, np.argmax),
    "min_along": lambda g, x, dim, keepdim=False: _first(g, x, dim, keepdim, np.argmin),
}


def _unbroadcast(g: Any, shape: tuple[int, ...]) -> Any:
    g = g.sum(axis=tuple(range(g.ndim - len(shape)))) if g.ndim > len(shape) else g
    kept = tuple(i for i, n in enumerate(shape) if n == 1 and g.shape[i] != 1)
    return g.sum(axis=kept, keepdims=True) if kept else g


def check_call(call: Call, seed: int = 0) -> str:
    """How the gradient of one recorded op differs from the table; empty if it does not, or if the table does not state it."""
    formula = CONVENTIONS.get(call.op.name)
    if formula is None or not any(call.needs):
        return ""
    function, leaves = alone(call)
    out = TENSORLITE.run(function, leaves)[0]
    g = np.asarray(np.random.default_rng(seed).standard_normal(out._data.shape))
    found = iter(TENSORLITE.gradients([out], leaves, [TENSORLITE.leaf(g, False)]))
    plain = [v._data if hasattr(v, "_data") else v for v in call.args]
    expected = formula(g, *plain)
    differentiable = [i for i in range(len(call.args)) if i in call.op.differentiable]
    for i, want in zip(differentiable, expected, strict=False):
        if call.needs[i] and want is not None:
            got = next(found)
            want = _unbroadcast(np.asarray(want), np.shape(plain[i]))
            got = np.zeros_like(want) if got is None else got._data
            if not np.allclose(got, want, rtol=1e-9, atol=1e-12):
                at = tuple(int(k) for k in np.unravel_index(np.argmax(np.abs(got - want)), np.shape(want)))
                return (
                    f"'{call.op.name}' breaks its convention at {call.op.params[i]}{list(at)} = {plain[i][at]:.6g}: "
                    f"gradient {got[at]:.6g}, documented {np.asarray(want)[at]:.6g}"
                )
    return ""


def check_conventions(f: Callable[..., Any], inputs: Sequence[Any], backend: Backend) -> str:
    """The first op in `f(*inputs)` whose gradient is not what the table states; empty if there is none."""
    if not isinstance(backend, Tensorlite):
        return ""
    with recorded() as calls:
        backend.run(f, inputs)
    return next((problem for call in calls if (problem := check_call(call))), "")
