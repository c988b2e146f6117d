"""Elementwise functions of two and three variables: the larger and the smaller, clamping, angles, sums of logarithms, blends."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ..dtypes import check_fits
from .analytic import branch, conj, ordered, state
from .analytic import real as decisive
from .elementwise import isfinite, kept, no_slope
from .table import op

# -- the larger and the smaller ----------------------------------------------------------------------------------------
# At a tie maximum and minimum give half the gradient to each side, fmax and fmin all of it to the first (torch).


def _halved_at_ties(g: Any, x: Any, y: Any, lost: Any) -> Any:
    return np.where(lost, 0, np.where(x == y, g / 2, g))


@op(promote="arith", broadcasts=True, inplace=True, numpy=np.maximum)
def maximum(x: Any, y: Any) -> Any:
    """The larger of two values; NaN if either is."""
    return _chosen(x, y, np.maximum, np.greater_equal, "maximum")


def _chosen(x: Any, y: Any, function: Any, compare: Any, name: str) -> Any:
    if np.result_type(x, y).kind != "c":
        if state.branches is not None:
            branch(compare(x, y)), branch(compare(y, x))
        return function(x, y)
    x, y = np.asarray(x), np.asarray(y)
    return np.where(branch(compare(ordered(x, name), decisive(y))), x, y)


@op(promote="arith", broadcasts=True, inplace=True, numpy=np.minimum)
def minimum(x: Any, y: Any) -> Any:
    """The smaller of two values; NaN if either is."""
    return _chosen(x, y, np.minimum, np.less_equal, "minimum")


@op(promote="arith", broadcasts=True, numpy=np.fmax)
def fmax(x: Any, y: Any) -> Any:
    """The larger of two values, ignoring a NaN."""
    return _chosen(x, y, np.fmax, np.greater_equal, "fmax")


@op(promote="arith", broadcasts=True, numpy=np.fmin)
def fmin(x: Any, y: Any) -> Any:
    """The smaller of two values, ignoring a NaN."""
    return _chosen(x, y, np.fmin, np.less_equal, "fmin")


maximum.grad(x=lambda g, x, y: _halved_at_ties(g, x, y, x < y), y=lambda g, x, y: _halved_at_ties(g, x, y, x > y))
minimum.grad(x=lambda g, x, y: _halved_at_ties(g, x, y, x > y), y=lambda g, x, y: _halved_at_ties(g, x, y, x < y))
fmax.grad(x=lambda g, x, y: kept(g, (x >= y) | (y != y)), y=lambda g, x, y: np.where((x >= y) | (y != y), 0, g))
fmin.grad(x=lambda g, x, y: kept(g, (x <= y) | (y != y)), y=lambda g, x, y: np.where((x <= y) | (y != y), 0, g))


@op(promote="arith", over=("x", "min", "max"), broadcasts=True, inplace=True, numpy=np.clip)
def clamp(x: Any, min: Any = None, max: Any = None) -> Any:
    """`x` held between `min` and `max`, numbers or tensors; the gradient is 1 inside and exactly at a bound."""
    if min is None and max is None:
        raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
    if min is not None:
        x = _chosen(x, min, np.maximum, np.greater_equal, "clamp")
    return x if max is None else _chosen(x, max, np.minimum, np.less_equal, "clamp")


def _clamp_grad_x(g: Any, x: Any, min: Any, max: Any) -> Any:
    if min is None:
        return kept(g, x <= max)
    return kept(g, x >= min) if max is None else kept(g, (x >= min) & (x <= max))


clamp.grad(
    x=_clamp_grad_x,
    min=lambda g, x, min, max: kept(g, (x < min) if max is None else (x < min) & (min < max)),
    max=lambda g, x, min, max: kept(g, (x > max) if min is None else (x > max) | (max < min)),
)


@op(inplace=True, numpy=np.nan_to_num)
def nan_to_num(x: Any, nan: Any = None, posinf: Any = None, neginf: Any = None) -> Any:
    """`x` with NaN replaced by `nan` (0), and the infinities by `posinf` and `neginf` (the largest finite values)."""
    return (
        x.copy()
        if x.dtype.kind in "biu"
        else np.nan_to_num(x, nan=0.0 if nan is None else nan, posinf=posinf, neginf=neginf)
    )


nan_to_num.grad(x=lambda g, x: kept(g, isfinite(x)))


def _fits(position: int, value: Any, dtype: Any) -> None:
    check_fits(value, dtype)


for _bounded in (maximum, minimum, fmax, fmin, clamp):
    _bounded.check_number = _fits


# -- two variables -----------------------------------------------------------------------------------------------------


@op(promote="float", over=("x", "y"), broadcasts=True, inplace=True, quiet=True, numpy=np.arctan2)
def atan2(x: Any, y: Any) -> Any:
    """The angle of the point `(y, x)`, in (-π, π]. Its gradient at the origin is 0."""
    if np.result_type(x, y).kind == "c":
        theta = np.arctan2(ordered(np.asarray(x), "atan2"), decisive(np.asarray(y)))
        return theta + 1j * np.where(
            (x == 0) & (y == 0), 0, (x.imag * y.real - y.imag * x.real) / (x.real**2 + y.real**2)
        )
    return np.arctan2(x, y)


def _over_square(g: Any, v: Any, x: Any, y: Any) -> Any:
    square = x * x + y * y
    return np.where(square == 0, 0, g * v / np.where(square == 0, 1, square))


atan2.grad(x=lambda g, x, y: _over_square(g, y, x, y), y=lambda g, x, y: _over_square(g, -x, x, y))


@op(promote="float", broadcasts=True, inplace=True, quiet=True, numpy=np.hypot)
def hypot(x: Any, y: Any) -> Any:
    """`sqrt(x² + y²)` without overflow on the way."""
    return np.sqrt(x * x + y * y) if np.result_type(x, y).kind == "c" else np.hypot(x, y)


hypot.grad(x=lambda g, x, out: g * (x / out), y=lambda g, y, out: g * (y / out))


def _log_sum(x: Any, y: Any, base: Any) -> Any:
    """log(eˣ + eʸ) for complex numbers, taken out of the larger real part."""
    first = x.real >= y.real
    big, small = np.where(first, x, y), np.where(first, y, x)
    scale = math.log(base)
    return np.where(
        np.isinf(big.real) & (big.real == small.real), big, big + np.log1p(np.exp((small - big) * scale)) / scale
    )


@op(promote="float", over=("x", "y"), broadcasts=True, quiet=True, numpy=np.logaddexp)
def logaddexp(x: Any, y: Any) -> Any:
    """`log(eˣ + eʸ)`."""
    return _log_sum(np.asarray(x), np.asarray(y), math.e) if np.result_type(x, y).kind == "c" else np.logaddexp(x, y)


@op(promote="float", over=("x", "y"), broadcasts=True, quiet=True, numpy=np.logaddexp2)
def logaddexp2(x: Any, y: Any) -> Any:
    """`log2(2ˣ + 2ʸ)`."""
    return _log_sum(np.asarray(x), np.asarray(y), 2.0) if np.result_type(x, y).kind == "c" else np.logaddexp2(x, y)


logaddexp.grad(x=lambda g, x, y: g / conj(1 + np.exp(y - x)), y=lambda g, x, y: g / conj(1 + np.exp(x - y)))
logaddexp2.grad(x=lambda g, x, y: g / conj(1 + np.exp2(y - x)), y=lambda g, x, y: g / conj(1 + np.exp2(x - y)))


@op(promote="float", over=("x", "y"), broadcasts=True, inplace=True, quiet=True)
def xlogy(x: Any, y: Any) -> Any:
    """`x log(y)`, and 0 where `x` is 0, unless `y` is NaN."""
    y = y if isinstance(y, np.ndarray) else np.asarray(y, x.dtype)  # the logarithm of a Python number would be float64
    return np.where((x == 0) & (y == y), 0, x * np.log(y))


xlogy.grad(x=lambda g, x, y: np.where((x == 0) & (y <= 0), 0, xlogy(g, y)), y=lambda g, x, y: g * x / y)


@op(promote="arith", over=("x", "end", "weight"), broadcasts=True, inplace=True)
def lerp(x: Any, end: Any, weight: Any) -> Any:
    """`x + weight * (end - x)`, written so that weight 1 gives `end` exactly."""
    w = (
        np.abs(weight)
        if isinstance(weight, complex) or (getattr(weight, "dtype", np.dtype(float)).kind == "c" and not state.on)
        else weight
    )
    w = w.real if getattr(w, "dtype", np.dtype(float)).kind == "c" else w
    return np.where(w < 0.5, x + weight * (end - x), end - (end - x) * (1 - weight))


lerp.grad(
    x=lambda g, weight: g * conj(1 - weight),
    end=lambda g, weight: g * conj(weight),
    weight=lambda g, x, end: g * conj(end - x),
)


@op(promote="arith", over=("x", "tensor1", "tensor2"), broadcasts=True, inplace=True)
def addcmul(x: Any, tensor1: Any, tensor2: Any, value: Any = 1) -> Any:
    """`x + value * tensor1 * tensor2`."""
    return x + tensor1 * tensor2 * (int(value) if x.dtype.kind in "iu" else value)


addcmul.grad(
    x=lambda g: g,
    tensor1=lambda g, tensor2, value: g * conj(tensor2 * value),
    tensor2=lambda g, tensor1, value: g * conj(tensor1 * value),
)


@op(promote="arith", over=("x", "tensor1", "tensor2"), broadcasts=True, inplace=True, quiet=True)
def addcdiv(x: Any, tensor1: Any, tensor2: Any, value: Any = 1) -> Any:
    """`x + value * tensor1 / tensor2`."""
    if x.dtype.kind in "biu":
        raise RuntimeError(
            "Integer division with addcdiv is no longer supported, and in a future release addcdiv will perform a true division of tensor1 and tensor2."
        )
    return x + value * tensor1 / tensor2


addcdiv.grad(
    x=lambda g: g,
    tensor1=lambda g, tensor2, value: g * conj(value / tensor2),
    tensor2=lambda g, tensor1, tensor2, value: -g * conj(value * tensor1 / tensor2 / tensor2),
)


class Frexp(NamedTuple):
    mantissa: Any
    exponent: Any


@op(promote="float", n_outputs=2, nondiff_outputs=(1,), outputs=Frexp, numpy=np.frexp, aux=True)
def frexp(x: Any) -> Any:
    """(mantissa, exponent) with `x = mantissa * 2 ** exponent` and 0.5 <= |mantissa| < 1."""
    mantissa, exponent = np.frexp(x)
    branch(exponent)
    return (mantissa, exponent), np.ldexp(np.ones_like(x), -exponent)


frexp.grad(x=lambda g, aux: g[0] * aux)


@op(promote="float", broadcasts=True, numpy=np.nextafter)
def nextafter(x: Any, y: Any) -> Any:
    """The next floating-point number after `x` towards `y`."""
    return np.nextafter(x, y)


nextafter.grad(x=lambda g, x, y: np.where(x == y, 0, g), y=lambda g: no_slope(g))
