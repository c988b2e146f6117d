"""Special functions: error function, gamma function, Bessel functions, logistic function, entropy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from . import special_functions as f
from .analytic import branch, conj, lift, state
from .analytic import real as decisive
from .table import Op, elementwise, op

_2_SQRT_PI = 2 / math.sqrt(math.pi)
_INV_SQRT_2PI = 1 / math.sqrt(2 * math.pi)


def _gaussian(x: Any) -> Any:
    return _2_SQRT_PI * np.exp(-x * x)


def _by_sign(function: Any) -> Any:
    """`function`, which is smooth on either side of 0 only, with the side reported as a decision."""

    def decided(x: Any) -> Any:
        if state.branches is not None:
            branch(np.sign(x.real))
        return function(x)

    return decided


def _normal_density(x: Any) -> Any:
    return _INV_SQRT_2PI * np.exp(-0.5 * x * x)


def _trigamma(x: Any) -> Any:
    return polygamma(x, 1)


# fmt: off
# -- error function ----------------------------------------------------------------------------------------------------
erf: Op = elementwise("erf", lift(f.erf, _gaussian), "Error function.", inplace=True, x=lambda g, x: g * _gaussian(x))
erfc: Op = elementwise("erfc", lift(f.erfc, lambda x: -_gaussian(x)), "`1 - erf(x)`, exact for large x.", inplace=True, x=lambda g, x: -g * _gaussian(x))
erfcx: Op = elementwise("erfcx", lift(f.erfcx, lambda x: 2 * x * f.erfcx(x) - _2_SQRT_PI), "`exp(x²) erfc(x)`.", namespaces=(), x=lambda g, x, out: g * (2 * x * out - _2_SQRT_PI))
erfinv: Op = elementwise("erfinv", lift(f.erfinv, lambda x: np.exp(f.erfinv(x) ** 2) / _2_SQRT_PI), "Inverse of the error function.", quiet=True, inplace=True, x=lambda g, out: g * np.exp(out * out) / _2_SQRT_PI)
ndtr: Op = elementwise("ndtr", lift(f.ndtr, _normal_density), "Standard normal distribution function.", namespaces=(), x=lambda g, x: g * _normal_density(x))
ndtri: Op = elementwise("ndtri", lift(f.ndtri, lambda x: 1 / _normal_density(f.ndtri(x))), "Inverse of `ndtr`.", quiet=True, namespaces=(), x=lambda g, out: g / _normal_density(out))
log_ndtr: Op = elementwise("log_ndtr", lift(f.log_ndtr, lambda x: np.exp(-0.5 * x * x - f.log_ndtr(x)) * _INV_SQRT_2PI), "Logarithm of `ndtr`, accurate in the left tail.", namespaces=(), x=lambda g, x: g * (math.sqrt(2 / math.pi) / erfcx(x * -math.sqrt(0.5))))

# -- gamma function ----------------------------------------------------------------------------------------------------
lgamma: Op = elementwise("lgamma", lift(f.lgamma, f.digamma), "Logarithm of |Γ(x)|.", inplace=True, x=lambda g, x: g * digamma(x))
digamma: Op = elementwise("digamma", lift(f.digamma, lambda x: f.polygamma(1, x)), "Derivative of `lgamma`.", inplace=True, x=lambda g, x: g * _trigamma(x))

# -- Bessel functions --------------------------------------------------------------------------------------------------
i0: Op = elementwise("i0", lift(f.i0, f.i1), "Modified Bessel function of order 0.", inplace=True, numpy=np.i0, x=lambda g, x: g * i1(x))
i0e: Op = elementwise("i0e", _by_sign(lift(f.i0e, lambda x: f.i1e(x) - np.sign(x) * f.i0e(x))), "`exp(-|x|) i0(x)`.", namespaces=(), x=lambda g, x, out: g * (i1e(x) - np.sign(x) * out))
i1: Op = elementwise("i1", lift(f.i1, lambda x: f.i0(x) - _over(f.i1(x), x)), "Modified Bessel function of order 1.", namespaces=(), x=lambda g, x, out: g * (i0(x) - _over(out, x)))
i1e: Op = elementwise("i1e", _by_sign(lift(f.i1e, lambda x: f.i0e(x) - np.sign(x) * f.i1e(x) - _over(f.i1e(x), x))), "`exp(-|x|) i1(x)`.", namespaces=(), x=lambda g, x, out: g * (i0e(x) - np.sign(x) * out - _over(out, x)))
bessel_j0: Op = elementwise("bessel_j0", lift(f.bessel_j0, lambda x: -f.bessel_j1(x)), "Bessel function of the first kind of order 0.", namespaces=(), x=lambda g, x: -g * bessel_j1(x))
bessel_j1: Op = elementwise("bessel_j1", lift(f.bessel_j1, lambda x: f.bessel_j0(x) - _over(f.bessel_j1(x), x)), "Bessel function of the first kind of order 1.", namespaces=(), x=lambda g, x, out: g * (bessel_j0(x) - _over(out, x)))
spherical_bessel_j0: Op = elementwise("spherical_bessel_j0", f.spherical_bessel_j0, "`sin(x) / x`.", namespaces=(), x=lambda g, x: g * _slope_of_sin_over(x))
# fmt: on


def _slope_of_sin_over(y: Any) -> Any:
    """The derivative of `sin(y) / y`: near 0 by its series, as the closed form subtracts two nearly equal numbers there."""
    near = abs(y) < 0.3
    far, y2 = np.where(near, 1, y), y * y
    series = y * (-1 / 3 + y2 * (1 / 30 + y2 * (-1 / 840 + y2 * (1 / 45360 - y2 / 3991680))))
    return np.where(near, series, (far * np.cos(far) - np.sin(far)) / (far * far))


def _over(value: Any, x: Any) -> Any:
    """`value / x` for an odd function with slope 1/2 at 0."""
    return np.where(x == 0, 0.5, value / np.where(x == 0, 1, x))


@op(promote="float", inplace=True, namespaces=("Tensor",))
def polygamma(x: Any, n: Any) -> Any:
    """The n-th derivative of `digamma`."""
    if n < 0:
        raise RuntimeError("polygamma(n, x) does not support negative n.")
    return lift(lambda v: f.polygamma(n, v), lambda v: f.polygamma(n + 1, v))(x)


polygamma.grad(x=lambda g, x, n: g * polygamma(x, n + 1))


@op(promote="float", over=("x", "q"), broadcasts=True, namespaces=())
def zeta(x: Any, q: Any) -> Any:
    """Hurwitz zeta function `Σ (k + q)⁻ˣ`; differentiable in `q` only."""
    dtype = (q if isinstance(q, np.ndarray) else np.asarray(x)).dtype  # a plain number takes the type of the tensor
    return f.zeta(np.asarray(x, dtype), np.asarray(q, dtype))


zeta.grad(q=lambda g, x, q: -g * x * zeta(x + 1, q))

# -- logistic function, entropy, sinc ----------------------------------------------------------------------------------


@op(promote="float", inplace=True, quiet=True)
def sigmoid(x: Any) -> Any:
    """`1 / (1 + e⁻ˣ)`; never overflows."""
    if x.dtype.kind == "c" and not state.on:
        return 1 / (1 + np.exp(-x))
    small = np.exp(np.where(decisive(x) < 0, x, -x))
    return np.where(decisive(x) < 0, small, 1) / (1 + small)


sigmoid.grad(x=lambda g, out: g * conj(out * (1 - out)))


@op(promote="float", inplace=True, quiet=True)
def logit(x: Any, eps: Any = None) -> Any:
    """`log(x / (1 - x))`, `x` held in [eps, 1 - eps] first if `eps` is given; no gradient reaches what was held back."""
    if eps is not None:
        x = np.where(decisive(x) < eps, eps, np.where(decisive(x) > 1 - eps, 1 - eps, x)).astype(x.dtype, copy=False)
    return np.log(x / (1 - x))


def _logit_grad(g: Any, x: Any, eps: Any) -> Any:
    if eps is None:
        legal = (x >= 0) & (x <= 1)
        # the factor by itself: of `where(…, g * inf, …)` the branch not taken would give NaN as the derivative with respect to g
        return g * np.where((x == 0) | (x == 1), math.inf, np.where(legal, 1 / (x * (1 - x)), math.nan))
    inside = (x >= eps) & (x <= 1 - eps)
    return np.where(inside, g / (x * (1 - x)), 0)


logit.grad(x=_logit_grad)


@op(promote="float", namespaces=(), quiet=True)
def entr(x: Any) -> Any:
    """`-x log(x)`, 0 at 0, -inf for negative `x`."""
    r = decisive(x)
    return np.where(
        np.isnan(r),
        x,
        np.where(r > 0, -x * np.log(np.where(r > 0, x, 1)), np.where(r == 0, 0.0, -np.inf).astype(x.dtype)),
    )


entr.grad(x=lambda g, x: g * np.where(x >= 0, -np.log(x) - 1, math.nan))


@op(promote="float", over=("x", "y"), broadcasts=True, quiet=True, namespaces=())
def xlog1py(x: Any, y: Any) -> Any:
    """`x log(1 + y)`, and 0 where `x` is 0, unless `y` is NaN."""
    return np.where((x == 0) & (y == y), 0, x * np.log1p(y))


xlog1py.grad(x=lambda g, x, y: np.where((x == 0) & (y <= -1), 0, xlog1py(g, y)), y=lambda g, x, y: g * x / (y + 1))


@op(promote="float", inplace=True, numpy=np.sinc)
def sinc(x: Any) -> Any:
    """`sin(πx) / (πx)`, 1 at 0."""
    y = math.pi * x
    near = abs(y) < 0.3  # by the series, so that a complex step finds the derivative to the last digit
    far, y2 = np.where(near, 1, y), y * y
    series = 1 - y2 * (1 / 6 - y2 * (1 / 120 - y2 * (1 / 5040 - y2 * (1 / 362880 - y2 / 39916800))))
    return np.where(near, series, np.sin(far) / far).astype(x.dtype, copy=False)


sinc.grad(x=lambda g, x: g * conj(math.pi * _slope_of_sin_over(math.pi * x)))
