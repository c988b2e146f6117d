"""Special functions on real float64 arrays, vectorised: what `special` declares as ops is computed here.

Everything is worked out in float64, whatever the input, and rounded once at the end. Sources: Abramowitz and Stegun (1964), by formula
number; Cody, Math. Comp. 23 (1969) for the error function; the NIST Handbook (dlmf.nist.gov).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache, wraps
from typing import Any

import numpy as np

from ..kernels.gelu import _C, _D, _P, _Q, _erf_cody, _horner

_SQRT_PI = math.sqrt(math.pi)
_EULER = 0.5772156649015329


def in_float64(f: Callable[..., Any]) -> Callable[..., Any]:
    """Compute in float64 and return the dtype of the first array."""

    @wraps(f)
    def function(*args: Any) -> Any:
        dtype = next(a.dtype for a in args if isinstance(a, np.ndarray | np.generic))
        if dtype.kind == "c":
            raise RuntimeError(f'"{f.__name__}" not implemented for complex tensors')
        with np.errstate(all="ignore"):
            wide = [np.asarray(a, np.float64) if isinstance(a, np.ndarray | np.generic) else a for a in args]
            return np.asarray(f(*wide)).astype(dtype, copy=False)

    return function


# -- error function -------------------------------------------------------------------------------------------------


@in_float64
def erf(x: Any) -> Any:
    """2/√π ∫₀ˣ exp(-t²) dt."""
    return _erf_cody(np.atleast_1d(x)).reshape(x.shape)


def _scaled_complement(y: Any) -> Any:
    """exp(y²) erfc(y) for y >= 0.46875, by Cody's two rational approximations."""
    middle = np.minimum(y, 4.0)
    far = np.maximum(y, 4.0)
    inverse = 1 / (far * far)
    tail = inverse * _horner(_P, inverse) / _horner(_Q, inverse)
    return np.where(y <= 4.0, _horner(_C, middle) / _horner(_D, middle), (1 / _SQRT_PI - tail) / far)


def _exp_minus_square(y: Any) -> Any:
    """exp(-y²) to full precision: y is split so that the square of the leading part is exact (Cody)."""
    lead = np.trunc(y * 16) / 16
    return np.exp(-lead * lead) * np.exp(-(y - lead) * (y + lead))


def _erfcx(x: Any) -> Any:
    y = np.abs(x)
    small = y <= 0.46875
    near_zero = np.where(small, y, 0.0)
    square = near_zero * near_zero
    series = np.exp(square) * (1 - _erf_cody(np.atleast_1d(near_zero)).reshape(x.shape))
    positive = np.where(small, series, _scaled_complement(np.where(small, 1.0, y)))
    return np.where(x >= 0, positive, np.where(np.isnan(x), x, 2 * np.exp(x * x) - positive))


erfcx = in_float64(_erfcx)


def _erfc(x: Any) -> Any:
    y = np.abs(x)
    central = 1 - _erf_cody(np.atleast_1d(np.clip(x, -0.46875, 0.46875))).reshape(x.shape)
    tail = _exp_minus_square(np.minimum(y, 30.0)) * _scaled_complement(np.clip(y, 0.46875, 30.0))
    return np.where(np.isnan(x), x, np.where(y <= 0.46875, central, np.where(x > 0, tail, 2 - tail)))


erfc = in_float64(_erfc)


def _erfc_inverse_tail(q: Any) -> Any:
    """The x >= 0 with erfc(x) = q, 0 < q <= 1: Newton's method on log erfc, which is concave, so it converges from anywhere."""
    q = np.clip(q, 5e-324, 1.0)
    log_q = np.log(q)
    t = np.sqrt(np.maximum(-log_q, 0))
    x = np.where(
        q > 0.3, (1 - q) * (_SQRT_PI / 2), np.sqrt(np.maximum(t * t - np.log(np.maximum(t, 1) * _SQRT_PI), 0.04))
    )
    for _ in range(7):
        scaled = _erfcx(x)
        x = np.maximum(x + (np.log(scaled) - x * x - log_q) * scaled * (_SQRT_PI / 2), 0)
    return x


def _erfinv(y: Any) -> Any:
    size = np.abs(y)
    far = size > 0.5
    tail = _erfc_inverse_tail(np.where(far & (size < 1), 1 - size, 1.0))
    near = np.where(far | np.isnan(y), 0.0, size)
    x = near * (_SQRT_PI / 2) * (1 + near * near * (math.pi / 12))  # the first terms of the series at 0
    for _ in range(5):
        error = _erf_cody(np.atleast_1d(x)).reshape(x.shape) - near
        step = error * (_SQRT_PI / 2) * np.exp(x * x)
        x = x - step / (1 + x * step)  # Halley
    result = np.copysign(np.where(far, tail, x), y)
    return np.where(size < 1, result, np.where(size == 1, np.copysign(np.inf, y), np.nan))


erfinv = in_float64(_erfinv)


@in_float64
def ndtr(x: Any) -> Any:
    """Φ(x), the standard normal distribution function."""
    return 0.5 * _erfc(-x * math.sqrt(0.5))


@in_float64
def log_ndtr(x: Any) -> Any:
    """log Φ(x), accurate far into the left tail."""
    z = x * math.sqrt(0.5)
    left = np.log(_erfcx(-np.minimum(z, 0)) / 2) - z * z
    return np.where(x < -1, left, np.log1p(-_erfc(np.maximum(z, -1.0)) / 2))


@in_float64
def ndtri(p: Any) -> Any:
    """The inverse of Φ."""
    tail = np.minimum(p, 1 - p)
    legal = (tail > 0) & (tail < 1)
    x = math.sqrt(2) * np.where(
        np.abs(p - 0.5) < 0.25, _erfinv(np.abs(2 * p - 1)), _erfc_inverse_tail(np.where(legal, 2 * tail, 1.0))
    )
    return np.where(legal, np.copysign(x, p - 0.5), np.where(p == 0, -np.inf, np.where(p == 1, np.inf, np.nan)))


# -- gamma function -------------------------------------------------------------------------------------------------

_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156, -3617 / 122400)  # A&S 6.1.40
_DIGAMMA = (1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760, 1 / 12)  # A&S 6.3.18


def _series(coefficients: tuple[float, ...], z: Any) -> Any:
    """Σ cₖ zᵏ, lowest power first."""
    total = np.full_like(z, coefficients[-1])
    for c in coefficients[-2::-1]:
        total = total * z + c
    return total


@cache
def _zeta_less_one() -> tuple[float, ...]:
    """(ζ(k) - 1) (-1)ᵏ / k for k = 2 …, the coefficients of A&S 6.1.33."""
    k = np.arange(2, 41, dtype=np.float64)
    values = _zeta(k, np.full_like(k, 2.0))
    return tuple(((values * (-1) ** k) / k).tolist())


def _lgamma_positive(x: Any) -> Any:
    """log Γ(x) for x > 0: Taylor series around 2 on (0.5, 2.5], where Γ has its two roots, else Stirling's series above 10."""
    near = (x > 0.5) & (x <= 2.5)
    low = near & (x <= 1.5)
    z = np.where(near, np.where(low, x - 1, x - 2), 0.0)
    taylor = z * (1 - _EULER) + z * z * _series(_zeta_less_one(), z)
    taylor = np.where(low, taylor - np.log1p(z), taylor)
    product = np.ones_like(x)
    shifted = np.where(near, 10.0, x)
    while (small := shifted < 10).any():
        product = np.where(small, product * shifted, product)
        shifted = np.where(small, shifted + 1, shifted)
    inverse = 1 / shifted
    stirling = (
        (shifted - 0.5) * np.log(shifted)
        - shifted
        + 0.5 * math.log(2 * math.pi)
        + inverse * _series(_STIRLING, inverse * inverse)
    )
    return np.where(near, taylor, np.where(np.isinf(x), x, stirling - np.log(product)))


def _sin_pi(x: Any) -> Any:
    """sin(πx), exact at whole numbers."""
    return np.sin(math.pi * (x - 2 * np.round(x / 2)))


@in_float64
def lgamma(x: Any) -> Any:
    """log |Γ(x)|; +inf at the poles 0, -1, -2, …"""
    reflect = x < 0.5
    positive = _lgamma_positive(np.where(reflect, 1 - x, x))
    reduced = np.abs(_sin_pi(x - np.round(x)))  # |sin πx| has period 1
    result = np.where(reflect, math.log(math.pi) - np.log(reduced) - positive, positive)
    return np.where(np.isnan(x), x, np.where(np.isinf(x) | ((x <= 0) & (x == np.floor(x))), np.inf, result))


def _digamma(x: Any) -> Any:
    reflect = x < 0
    y = np.where(reflect, 1 - x, x)
    total = np.zeros_like(x)
    while (small := y < 10).any():
        total = np.where(small, total - 1 / y, total)
        y = np.where(small, y + 1, y)
    inverse = 1 / (y * y)
    value = total + np.log(y) - 0.5 / y - inverse * _series(_DIGAMMA, inverse)
    fraction = x - np.round(x)
    value = np.where(reflect, value - math.pi / np.tan(math.pi * fraction), value)
    whole = reflect & (x == np.floor(x))
    return np.where(
        np.isposinf(x), x, np.where(x == 0, np.copysign(np.inf, -x), np.where(whole | np.isneginf(x), np.nan, value))
    )


digamma = in_float64(_digamma)

# B₂ₖ/(2k)!, for the Euler–Maclaurin tail of the Hurwitz zeta function (A&S 23.2.5)
_EULER_MACLAURIN = (
    1 / 12,
    -1 / 720,
    1 / 30240,
    -1 / 1209600,
    1 / 47900160,
    -691 / 1307674368000,
    1 / 74724249600,
    -3617 / 10670622842880000,
)


def _zeta(s: Any, q: Any) -> Any:
    """Σₖ (k + q)⁻ˢ: the terms below 10 one by one, the rest by Euler and Maclaurin."""
    s, q = np.broadcast_arrays(s, q)
    total = np.zeros(q.shape)
    a = np.where(np.isfinite(q), q, 10.0)
    while (small := a < 10).any():
        total = np.where(small, total + a**-s, total)
        a = np.where(small, a + 1, a)
    total = total + a ** (1 - s) / (s - 1) + 0.5 * a**-s
    factor = s * a ** (-s - 1)
    for k, coefficient in enumerate(_EULER_MACLAURIN):
        total = total + coefficient * factor
        factor = factor * (s + 2 * k + 1) * (s + 2 * k + 2) / (a * a)
    pole = (q <= 0) & (q == np.floor(q))
    total = np.where((q <= 0) & ~pole & (s != np.floor(s)), np.nan, np.where(pole, np.inf, total))
    total = np.where(np.isposinf(q), 0.0, total)
    return np.where(s == 1, np.inf, np.where((s < 1) | np.isnan(q) | np.isnan(s), np.nan, total))


zeta = in_float64(_zeta)


def polygamma(n: int, x: Any) -> Any:
    """The n-th derivative of digamma (A&S 6.4.10)."""
    if n == 0:
        return digamma(x)
    return _polygamma(n, x)


@in_float64
def _polygamma(n: int, x: Any) -> Any:
    sign = -1.0 if n % 2 == 0 else 1.0
    return sign * math.gamma(n + 1) * _zeta(np.float64(n + 1), x)


# -- Bessel functions -----------------------------------------------------------------------------------------------


def _bessel_i_scaled(order: int, x: Any) -> Any:
    """exp(-|x|) I_order(x) for order 0 or 1: ascending series (A&S 9.6.10) below 25, asymptotic (9.7.1) above."""
    y = np.abs(x)
    near = np.minimum(y, 25.0)
    quarter = near * near / 4
    total = term = np.ones_like(y) if order == 0 else near / 2
    for k in range(1, 70):
        term = term * (quarter / (k * (k + order)))
        total = total + term
    far = np.maximum(y, 25.0)
    tail = term = np.ones_like(y)
    for k in range(1, 25):
        term = term * (-(4.0 * order * order - (2 * k - 1) ** 2) / (8 * k)) / far
        tail = tail + term
    value = np.where(y <= 25, total * np.exp(-near), tail / np.sqrt(2 * math.pi * far))
    return np.where(np.isnan(x), x, value if order == 0 else np.copysign(value, x))


i0e = in_float64(lambda x: _bessel_i_scaled(0, x))
i1e = in_float64(lambda x: _bessel_i_scaled(1, x))
i0 = in_float64(lambda x: _bessel_i_scaled(0, x) * np.exp(np.abs(x)))
i1 = in_float64(lambda x: _bessel_i_scaled(1, x) * np.exp(np.abs(x)))


def _bessel_j(order: int, x: Any) -> Any:
    """J_order(x): Bessel's integral by the trapezoidal rule, exact for periodic integrands, below 25 (A&S 9.1.21); 9.2.5 above."""
    y = np.abs(x)
    near = np.minimum(y, 25.0)
    n = 96
    total = np.zeros_like(y)
    for k in range(n):
        theta = 2 * math.pi * (k + 0.5) / n
        total = total + np.cos(order * theta - near * math.sin(theta))
    far = np.where(np.isinf(y), 25.0, np.maximum(y, 25.0))
    p, q, term = np.ones_like(y), np.zeros_like(y), np.ones_like(y)
    for k in range(1, 40):
        term = term * (4.0 * order * order - (2 * k - 1) ** 2) / (k * 8 * far)
        term = np.where(np.abs(term) < 1e-30, 0, term)
        signed = term * (-1) ** (k // 2)
        p, q = (p, q + signed) if k % 2 else (p + signed, q)
    chi = far - (0.5 * order + 0.25) * math.pi
    wave = np.sqrt(2 / (math.pi * far)) * (p * np.cos(chi) - q * np.sin(chi))
    value = np.where(np.isinf(y), 0.0, np.where(y <= 25, total / n, wave))
    if order == 1:
        value = np.where(
            y < 1, _bessel_j1_near_0(np.minimum(y, 1.0)), value
        )  # the integral errs by 1e-17 there, which may be all of J
    return np.where(np.isnan(x), x, value if order == 0 else np.where(x < 0, -value, value))


def _bessel_j1_near_0(y: Any) -> Any:
    """J_1 below 1 by its ascending series (A&S 9.1.10), to the last digits however small the argument."""
    total = term = y / 2
    for k in range(1, 10):
        term = term * (-y * y / (4 * k * (k + 1)))
        total = total + term
    return total


bessel_j0 = in_float64(lambda x: _bessel_j(0, x))
bessel_j1 = in_float64(lambda x: _bessel_j(1, x))


@in_float64
def spherical_bessel_j0(x: Any) -> Any:
    """sin(x)/x."""
    return np.where(np.isinf(x), 0.0, np.where(x == 0, 1.0, np.sin(x) / np.where(x == 0, 1, x)))
