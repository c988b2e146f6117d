"""Elementwise functions of one real or complex variable: the derivative table as a textbook prints it."""

from __future__ import annotations

from typing import Any

import numpy as np

from .analytic import conj, state
from .table import elementwise, op

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
square  = elementwise("square", np.square, "`x * x`.", promote="arith", over=("x",), inplace=True, x=lambda g, x: g * conj(2 * x))
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
acosh   = elementwise("acosh", np.arccosh, "Inverse hyperbolic cosine.", quiet=True, inplace=True, x=lambda g, x: g * conj(1 / (np.sqrt(x - 1) * np.sqrt(x + 1))))
atanh   = elementwise("atanh", np.arctanh, "Inverse hyperbolic tangent.", quiet=True, inplace=True, x=lambda g, x: g / conj(1 - x * x))
# fmt: on


def _abs(x: Any) -> Any:
    if x.dtype.kind == "c" and state.on:
        return np.where(x.real < 0, -x, x)
    return np.abs(x)


@op(inplace=True, numpy=(np.abs, np.absolute, np.fabs))
def abs(x: Any) -> Any:
    """Absolute value (modulus of a complex number). Its gradient at 0 is 0."""
    return _abs(x)


abs.grad(x=lambda g, x: g * np.sign(x))


@op(inplace=True, numpy=np.sign)
def sign(x: Any) -> Any:
    """-1, 0 or 1; NaN gives 0, as in torch."""
    if x.dtype.kind == "c":
        raise RuntimeError("Unlike NumPy, torch.sign doesn't return complex numbers; use sgn() instead")
    return np.nan_to_num(np.sign(x), nan=0.0) if x.dtype.kind == "f" else np.sign(x)


sign.grad(x=lambda g: g * 0)
