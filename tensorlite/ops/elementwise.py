"""Elementwise functions of one real or complex variable: the derivative table as a textbook prints it."""

from __future__ import annotations

import builtins
import math
from typing import Any, NamedTuple

import numpy as np

from .analytic import branch, conj, ordered, state
from .analytic import real as decisive
from .basic import div
from .table import Op, elementwise, op


def _acosh_slope(x: Any) -> Any:
    return np.sqrt(x * x - 1) if conj(x) is x else conj(np.sqrt(x - 1) * np.sqrt(x + 1))


# fmt: off
# -- exponentials and roots --------------------------------------------------------------------------------------------
exp     = elementwise("exp", np.exp, "`eˣ`.", quiet=True, inplace=True, x=lambda g, out: g * conj(out))
exp2    = elementwise("exp2", np.exp2, "`2ˣ`.", quiet=True, inplace=True, x=lambda g, out: g * conj(out * 0.6931471805599453))
expm1   = elementwise("expm1", np.expm1, "`eˣ - 1`, exact for small x.", quiet=True, inplace=True, x=lambda g, out: g * conj(out + 1))
log     = elementwise("log", np.log, "Natural logarithm.", quiet=True, inplace=True, x=lambda g, x: g / conj(x))
log2    = elementwise("log2", np.log2, "Logarithm to base 2.", quiet=True, inplace=True, x=lambda g, x: g / conj(x * 0.6931471805599453))
log10   = elementwise("log10", np.log10, "Logarithm to base 10.", quiet=True, inplace=True, x=lambda g, x: g / conj(x * 2.302585092994046))
log1p   = elementwise("log1p", np.log1p, "`log(1 + x)`, exact for small x.", quiet=True, inplace=True, x=lambda g, x: g / conj(x + 1))
sqrt    = elementwise("sqrt", np.sqrt, "Square root.", quiet=True, inplace=True, x=lambda g, out: g / conj(2 * out))
square  = elementwise("square", lambda x: x * x if x.dtype.kind != "b" else x.astype(np.int64), "`x * x`.", promote=None, inplace=True, numpy=np.square, x=lambda g, x: g * conj(2 * x))
reciprocal = elementwise("reciprocal", lambda x: 1 / x, "`1 / x`.", quiet=True, inplace=True, numpy=np.reciprocal, x=lambda g, out: -g * conj(out * out))
rsqrt   = elementwise("rsqrt", lambda x: 1 / np.sqrt(x), "`1 / sqrt(x)`.", quiet=True, inplace=True, x=lambda g, out: g * conj(-0.5 * out * out * out))

# -- trigonometry ------------------------------------------------------------------------------------------------------
sin     = elementwise("sin", np.sin, "Sine.", quiet=True, inplace=True, x=lambda g, x: g * conj(np.cos(x)))
cos     = elementwise("cos", np.cos, "Cosine.", quiet=True, inplace=True, x=lambda g, x: -g * conj(np.sin(x)))
tan     = elementwise("tan", np.tan, "Tangent.", quiet=True, inplace=True, x=lambda g, out: g * conj(1 + out * out))
asin    = elementwise("asin", np.arcsin, "Inverse sine.", quiet=True, inplace=True, x=lambda g, x: g * conj(1 / np.sqrt(1 - x * x)))
acos    = elementwise("acos", np.arccos, "Inverse cosine.", quiet=True, inplace=True, x=lambda g, x: g * conj(-1 / np.sqrt(1 - x * x)))
atan    = elementwise("atan", np.arctan, "Inverse tangent.", quiet=True, inplace=True, x=lambda g, x: g / conj(1 + x * x))
sinh    = elementwise("sinh", np.sinh, "Hyperbolic sine.", quiet=True, inplace=True, x=lambda g, x: g * conj(np.cosh(x)))
cosh    = elementwise("cosh", np.cosh, "Hyperbolic cosine.", quiet=True, inplace=True, x=lambda g, x: g * conj(np.sinh(x)))
tanh    = elementwise("tanh", np.tanh, "Hyperbolic tangent.", inplace=True, x=lambda g, out: g * conj(1 - out * out))
asinh   = elementwise("asinh", np.arcsinh, "Inverse hyperbolic sine.", inplace=True, x=lambda g, x: g * conj(1 / np.sqrt(x * x + 1)))
acosh   = elementwise("acosh", np.arccosh, "Inverse hyperbolic cosine.", quiet=True, inplace=True, x=lambda g, x: g / _acosh_slope(x))
atanh   = elementwise("atanh", np.arctanh, "Inverse hyperbolic tangent.", quiet=True, inplace=True, x=lambda g, x: g / conj(1 - x * x))

# -- others ------------------------------------------------------------------------------------------------------------
deg2rad = elementwise("deg2rad", lambda x: x * 0.017453292519943295, "Degrees as radians.", inplace=True, numpy=(np.deg2rad, np.radians), x=lambda g: g * 0.017453292519943295)
rad2deg = elementwise("rad2deg", lambda x: x * 57.29577951308232, "Radians as degrees.", inplace=True, numpy=(np.rad2deg, np.degrees), x=lambda g: g * 57.29577951308232)
# fmt: on


def _none(g: Any) -> Any:
    """The gradient of a function that is constant almost everywhere."""
    return np.zeros_like(g)


def _kept(g: Any, mask: Any) -> Any:
    return np.where(mask, g, 0)


# -- sign and modulus --------------------------------------------------------------------------------------------------


@op(inplace=True, numpy=(np.abs, np.absolute, np.fabs))
def abs(x: Any) -> Any:
    """Absolute value (modulus of a complex number). Its gradient at 0 is 0."""
    if x.dtype.kind == "c" and state.on:
        return np.where(branch(x.real < 0), -x, x)
    if state.branches is not None:
        branch(x < 0)
    return np.abs(x)


def _abs_grad(g: Any, x: Any) -> Any:
    return g * sgn(x)


abs.grad(x=_abs_grad)


@op(inplace=True)
def sgn(x: Any) -> Any:
    """`x / |x|`, and 0 at 0: the sign of a real number, the direction of a complex one."""
    if x.dtype.kind == "c":
        if state.on:
            return sign.forward(x.real) + 0j
        modulus = np.abs(x)
        return np.divide(x, modulus, out=np.zeros_like(x), where=modulus != 0)
    return sign.forward(x)


def _sgn_grad(g: Any, x: Any, out: Any) -> Any:
    if x.dtype.is_complex if hasattr(x.dtype, "is_complex") else x.dtype.kind == "c":
        modulus = abs(x)
        along = g.conj() * out  # only what turns the direction counts
        return np.where(modulus == 0, 0, (g - real(along) * out) / np.where(modulus == 0, 1, modulus))
    return _none(g)


sgn.grad(x=_sgn_grad)


@op(inplace=True, numpy=np.sign)
def sign(x: Any) -> Any:
    """-1, 0 or 1; NaN gives 0, as in torch."""
    if x.dtype.kind == "c":
        if state.on:
            return branch(np.sign(x.real)) + 0j
        raise RuntimeError("Unlike NumPy, torch.sign doesn't return complex numbers; use sgn() instead")
    if x.dtype.kind == "b":
        return x.copy()
    return branch(np.where(np.isnan(x), x.dtype.type(0), np.sign(x)) if x.dtype.kind == "f" else np.sign(x))


sign.grad(x=_none)


@op(numpy=np.signbit)
def signbit(x: Any) -> Any:
    """Whether the sign bit is set; true for -0.0."""
    return (
        x < 0
        if x.dtype.kind in "iu"
        else np.zeros(x.shape, bool)
        if x.dtype.kind == "b"
        else np.signbit(ordered(x, "signbit"))
    )


@op(promote="float", over=("x", "y"), broadcasts=True, inplace=True, numpy=np.copysign)
def copysign(x: Any, y: Any) -> Any:
    """The magnitude of `x` with the sign of `y`. No gradient reaches `x` where it is 0."""
    return np.copysign(x, y)


copysign.grad(x=lambda g, x, out: g * sign(x) * sign(out), y=lambda g: _none(g))


@op(promote="arith", numpy=np.heaviside)
def heaviside(x: Any, values: Any) -> Any:
    """0 for negative `x`, 1 for positive, `values` at 0."""
    return np.where(x == 0, values, (x > 0).astype(x.dtype))


# -- rounding ----------------------------------------------------------------------------------------------------------


def _rounding(name: str, function: Any, doc: str) -> Any:
    def forward(x: Any) -> Any:
        if x.dtype.kind in "iu":
            return x.copy()
        if x.dtype.kind == "c":
            return branch(function(ordered(x, name))) + 0j
        return branch(function(x))

    forward.__name__, forward.__doc__ = name, doc
    return op(inplace=True, numpy=function)(forward).grad(x=_none)


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


round.grad(x=_none)


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
fmax.grad(x=lambda g, x, y: _kept(g, (x >= y) | (y != y)), y=lambda g, x, y: np.where((x >= y) | (y != y), 0, g))
fmin.grad(x=lambda g, x, y: _kept(g, (x <= y) | (y != y)), y=lambda g, x, y: np.where((x <= y) | (y != y), 0, g))


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
        return _kept(g, x <= max)
    return _kept(g, x >= min) if max is None else _kept(g, (x >= min) & (x <= max))


clamp.grad(
    x=_clamp_grad_x,
    min=lambda g, x, min, max: _kept(g, (x < min) if max is None else (x < min) & (min < max)),
    max=lambda g, x, min, max: _kept(g, (x > max) if min is None else (x > max) | (max < min)),
)


@op(inplace=True, numpy=np.nan_to_num)
def nan_to_num(x: Any, nan: Any = None, posinf: Any = None, neginf: Any = None) -> Any:
    """`x` with NaN replaced by `nan` (0), and the infinities by `posinf` and `neginf` (the largest finite values)."""
    return (
        x.copy()
        if x.dtype.kind in "biu"
        else np.nan_to_num(x, nan=0.0 if nan is None else nan, posinf=posinf, neginf=neginf)
    )


nan_to_num.grad(x=lambda g, x: _kept(g, isfinite(x)))


# -- tests -------------------------------------------------------------------------------------------------------------

isnan = elementwise("isnan", np.isnan, "Whether an element is NaN.", promote=None)
isinf = elementwise("isinf", np.isinf, "Whether an element is infinite.", promote=None)
isfinite: Op = elementwise("isfinite", np.isfinite, "Whether an element is neither infinite nor NaN.", promote=None)


@op(numpy=np.isposinf)
def isposinf(x: Any) -> Any:
    """Whether an element is +inf."""
    return ordered(x, "isposinf") == np.inf


@op(numpy=np.isneginf)
def isneginf(x: Any) -> Any:
    """Whether an element is -inf."""
    return ordered(x, "isneginf") == -np.inf


@op(numpy=np.isreal)
def isreal(x: Any) -> Any:
    """Whether the imaginary part of an element is zero."""
    return np.isreal(x)


@op(numpy=np.isclose)
def isclose(x: Any, y: Any, rtol: Any = 1e-5, atol: Any = 1e-8, equal_nan: Any = False) -> Any:
    """Elementwise `|x - y| <= atol + rtol * |y|`."""
    if x.dtype != y.dtype:
        raise RuntimeError(f"{x.dtype} did not match {y.dtype}")
    if rtol < 0 or atol < 0:
        raise RuntimeError(f"rtol and atol must be greater than or equal to zero, but got rtol={rtol}, atol={atol}")
    return np.isclose(x, y, rtol, atol, equal_nan)


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


@op(promote="arith", broadcasts=True, inplace=True, quiet=True, numpy=np.hypot)
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


@op(promote="arith", broadcasts=True, numpy=np.nextafter)
def nextafter(x: Any, y: Any) -> Any:
    """The next floating-point number after `x` towards `y`."""
    return np.nextafter(x, y)


nextafter.grad(x=lambda g, x, y: np.where(x == y, 0, g), y=lambda g: _none(g))


# -- complex numbers ---------------------------------------------------------------------------------------------------


@op(view=True, namespaces=("torch",), numpy=np.real)
def real(x: Any) -> Any:
    """The real part; a view."""
    return x.real


real.grad(x=lambda g: g)


@op(view=True, namespaces=("torch",), numpy=np.imag)
def imag(x: Any) -> Any:
    """The imaginary part; a view. Raises RuntimeError for real input."""
    if x.dtype.kind != "c":
        raise RuntimeError("imag is not implemented for tensors with non-complex dtypes.")
    return x.imag


imag.grad(x=lambda g: g * 1j)


@op(name="conj", numpy=(np.conj, np.conjugate))
def conjugate(x: Any) -> Any:
    """The complex conjugate."""
    return np.conj(x) if x.dtype.kind == "c" else x.copy()


conjugate.grad(x=lambda g: conj(g))


@op(promote=None, name="complex", namespaces=("torch",), broadcasts=True)
def complex_(real: Any, imag: Any) -> Any:
    """`real + i imag`."""
    if real.dtype != imag.dtype:
        raise RuntimeError(
            f"Expected object of scalar type {real.dtype} but got scalar type {imag.dtype} for second argument"
        )
    if real.dtype.kind != "f":
        raise RuntimeError(
            f"Expected both inputs to be Half, Float or Double tensors but got {real.dtype} and {imag.dtype}"
        )
    out = np.empty(np.broadcast_shapes(real.shape, imag.shape), np.result_type(real.dtype, np.complex64))
    out.real, out.imag = real, imag
    return out


complex_.grad(real=lambda g: real(g), imag=lambda g: imag(g))


@op(view=True)
def view_as_real(x: Any) -> Any:
    """A complex tensor as pairs (real, imaginary) along a new last dim; a view. Raises RuntimeError for real input."""
    if x.dtype.kind != "c":
        raise RuntimeError("view_as_real is only supported for complex tensors")
    return x[..., None].view(x.real.dtype)


view_as_real.grad(x=lambda g: complex_(g[..., 0], g[..., 1]))


@op(view=True, namespaces=("torch",))
def view_as_complex(x: Any) -> Any:
    """Pairs (real, imaginary) along the last dim as a complex tensor; a view. Raises RuntimeError unless the last dim is 2 adjacent floats."""
    if x.dtype.kind != "f" or x.dtype.itemsize < 4:
        raise RuntimeError(
            f"view_as_complex is only supported for float and double tensors, but got a tensor of {x.dtype}"
        )
    if not x.ndim or x.shape[-1] != 2:
        raise RuntimeError(f"Tensor must have a last dimension of size 2, got shape {list(x.shape)}")
    if x.size and x.strides[-1] != x.itemsize:
        raise RuntimeError("Tensor must have a last dimension with stride 1")
    if any(s % (2 * x.itemsize) for s in x.strides[:-1]):
        raise RuntimeError("Tensor must have a stride divisible by 2 for all but last dimension")
    return x.view(np.result_type(x.dtype, np.complex64))[..., 0]


view_as_complex.grad(x=lambda g: view_as_real(g))


@op(promote="float", numpy=np.angle)
def angle(x: Any) -> Any:
    """The angle of a complex number, in radians; 0 or π for a real one."""
    if x.dtype.kind == "c":
        return np.angle(x)
    return np.where(np.isnan(x), x, np.where(x < 0, math.pi, 0)).astype(x.dtype)


def _angle_grad(g: Any, x: Any) -> Any:
    if conj(x) is x:  # real
        return _none(g)
    square = real(x * x.conj())
    return np.where(square == 0, 0, g * x * 1j / np.where(square == 0, 1, square))


angle.grad(x=_angle_grad)
