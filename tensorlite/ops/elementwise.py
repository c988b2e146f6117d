"""Elementwise functions of one real or complex variable: the derivative table as a textbook prints it."""

from __future__ import annotations

from typing import Any

import numpy as np

from .analytic import branch, conj, ordered, state
from .table import elementwise, op


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


def no_slope(g: Any) -> Any:
    """The gradient of a function that is constant almost everywhere."""
    return np.zeros_like(g)


def kept(g: Any, mask: Any) -> Any:
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
        return np.where(modulus == 0, 0, (g - along.real * out) / np.where(modulus == 0, 1, modulus))
    return no_slope(g)


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


sign.grad(x=no_slope)


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


copysign.grad(x=lambda g, x, out: g * sign(x) * sign(out), y=lambda g: no_slope(g))


@op(promote="arith", numpy=np.heaviside)
def heaviside(x: Any, values: Any) -> Any:
    """0 for negative `x`, 1 for positive, `values` at 0."""
    return np.where(x == 0, values, (x > 0).astype(x.dtype))


# -- tests -------------------------------------------------------------------------------------------------------------

isnan = elementwise("isnan", np.isnan, "Whether an element is NaN.", promote=None)
isinf = elementwise("isinf", np.isinf, "Whether an element is infinite.", promote=None)
isfinite = elementwise("isfinite", np.isfinite, "Whether an element is neither infinite nor NaN.", promote=None)


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
