"""Rounding, remainders and what goes with whole numbers."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from .analytic import branch, ordered, state
from .analytic import real as decisive
from .basic import div
from .elementwise import no_slope
from .table import op


def _rounding(name: str, function: Any, doc: str) -> Any:
    def forward(x: Any) -> Any:
        if x.dtype.kind in "iu":
            return x.copy()
        if x.dtype.kind == "c":
            return branch(function(ordered(x, name))) + 0j
        return branch(function(x))

    forward.__name__, forward.__doc__ = name, doc
    return op(inplace=True, numpy=function)(forward).grad(x=no_slope)


floor = _rounding("floor", np.floor, "The largest whole number not above `x`.")
ceil = _rounding("ceil", np.ceil, "The smallest whole number not below `x`.")
trunc = _rounding("trunc", np.trunc, "`x` without its fraction.")


@op(inplace=True, numpy=np.round)
def round(x: Any, decimals: Any = 0) -> Any:
    """`x` rounded to `decimals` places, halves to the even neighbour."""
    if x.dtype.kind in "iu":
        if decimals < 0:
            return np.round(x, decimals)
        return x.copy()
    if decimals == 0:
        return branch(np.rint(ordered(x, "round"))).astype(x.dtype, copy=False)
    scale = 10.0 ** builtins.abs(decimals)
    r = ordered(x, "round")
    scaled = branch(np.rint(r * scale) / scale if decimals > 0 else np.rint(r / scale) * scale)
    return scaled.astype(x.dtype, copy=False)


round.grad(x=no_slope)


@op(inplace=True, quiet=True)
def frac(x: Any) -> Any:
    """`x - trunc(x)`."""
    return x - branch(np.trunc(decisive(x)))


frac.grad(x=lambda g: g)


def _whole_division_by_zero(x: Any, y: Any) -> None:
    if np.result_type(x, y).kind in "iu" and np.any(np.equal(y, 0)):
        raise RuntimeError("ZeroDivisionError")


@op(promote="arith", broadcasts=True, inplace=True, quiet=True, numpy=np.fmod)
def fmod(x: Any, y: Any) -> Any:
    """The remainder of `x / y` with the sign of `x` (C's fmod)."""
    _whole_division_by_zero(x, y)
    if state.branches is not None:
        branch(np.trunc(decisive(np.divide(x, y))))
    return np.fmod(x, y)


fmod.grad(x=lambda g: g, y=lambda g, x, y: -g * div(x, y, "trunc"))


@op(promote="arith", broadcasts=True, inplace=True, quiet=True, numpy=(np.remainder, np.mod))
def remainder(x: Any, y: Any) -> Any:
    """The remainder of `x / y` with the sign of `y` (Python's `%`)."""
    _whole_division_by_zero(x, y)
    if state.branches is not None:
        branch(np.floor(decisive(np.divide(x, y))))
    return np.remainder(x, y)


remainder.grad(x=lambda g: g, y=lambda g, x, y: -g * div(x, y, "floor"))


@op(promote="arith", numpy=np.gcd)
def gcd(x: Any, y: Any) -> Any:
    """Greatest common divisor of integers."""
    return np.gcd(x, y)


@op(promote="arith", numpy=np.lcm)
def lcm(x: Any, y: Any) -> Any:
    """Least common multiple of integers."""
    return np.lcm(x, y)
