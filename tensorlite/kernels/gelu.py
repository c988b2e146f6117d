"""The error function and GELU (Hendrycks and Gimpel 2016), exact and tanh form, on blocks small enough for the L1 and
L2 caches.

float64 follows Cody, "Rational Chebyshev approximation for the error function", Math. Comp. 23 (1969). In float32 one
smooth function serves the whole line: erf(z) = tanh(z R(z²)), where R is a polynomial of degree six fitted to
artanh(erf(z))/z by Lawson's weighted least squares so that the error of erf stays below 1.4e-7 in exact arithmetic.
Real input only.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from tensorlite.kernels.blocks import (
    LOG_BASE,
    POWER,
    Array,
    constants,
    delivered,
    destination,
    float16_by_float32,
    row_blocks,
    scratch,
)
from tensorlite.kernels.elementwise import binary
from tensorlite.kernels.threads import parallel_for

Approximation = Literal["none", "tanh"]

SQRT_HALF = math.sqrt(0.5)
SQRT_2_OVER_PI = math.sqrt(2 / math.pi)
INV_SQRT_2PI = 1 / math.sqrt(2 * math.pi)
TANH_CUBIC = 0.044715

# erf(x/√2) = tanh(x R(x²)), lowest power first.
_TANH_FIT = (
    0.797884492673187,
    0.03633391131876412,
    -3.2954747131474774e-05,
    -5.527794479704316e-05,
    3.973113571683351e-06,
    -1.3364688843873358e-07,
    1.8093637046205955e-09,
)

# Cody's coefficients, highest power first: erf on [0, 0.5], erfc·exp(x²) on [0.46875, 4], and on [4, ∞) in 1/x².
_A = (1.85777706184603153e-1, 3.16112374387056560, 1.13864154151050156e2, 3.77485237685302021e2, 3.20937758913846947e3)
_B = (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3)
_C = (
    2.15311535474403846e-8,
    5.64188496988670089e-1,
    8.88314979438837594,
    6.61191906371416295e1,
    2.98635138197400131e2,
    8.81952221241769090e2,
    1.71204761263407058e3,
    2.05107837782607147e3,
    1.23033935479799725e3,
)
_D = (
    1.0,
    1.57449261107098347e1,
    1.17693950891312499e2,
    5.37181101862009858e2,
    1.62138957456669019e3,
    3.29079923573345963e3,
    4.36261909014324716e3,
    3.43936767414372164e3,
    1.23033935480374942e3,
)
_P = (
    1.63153871373020978e-2,
    3.05326634961232344e-1,
    3.60344899949804439e-1,
    1.25781726111229246e-1,
    1.60837851487422766e-2,
    6.58749161529837803e-4,
)
_Q = (
    1.0,
    2.56852019228982242,
    1.87295284992346725,
    5.27905102951428412e-1,
    6.05183413124413191e-2,
    2.33520497626869185e-3,
)


def erf_definition(x: Array) -> Array:
    """2/√π ∫₀ˣ exp(−t²) dt, from the standard library, one element at a time."""
    return np.array([math.erf(v) for v in x.ravel().tolist()], x.dtype).reshape(x.shape)


def gelu_definition(x: Array, approximate: Approximation = "none") -> Array:
    """x Φ(x), or x/2 (1 + tanh(√(2/π)(x + 0.044715 x³)))."""
    if approximate == "tanh":
        return np.asarray(0.5 * x * (1 + np.tanh(SQRT_2_OVER_PI * (x + TANH_CUBIC * x * x * x))))
    return np.asarray(0.5 * x * (1 + erf_definition(x * SQRT_HALF)))


@float16_by_float32
def erf(x: Array, *, out: Array | None = None) -> Array:
    """Error function: absolute error below 1e-6 in float32, about one unit in the last place in float64."""
    if x.dtype == np.float64:
        result = destination(out, x.shape, x.dtype)
        result.reshape(-1)[...] = _erf_cody(x.reshape(-1))
        return delivered(result, out)

    def block(xb: Array, yb: Array) -> None:
        scaled = np.multiply(xb, math.sqrt(2), out=scratch("gelu.x", xb.shape, xb.dtype))
        square = np.multiply(scaled, scaled, out=scratch("gelu.square", xb.shape, xb.dtype))
        _odd_polynomial(scaled, square, _coefficients(xb.dtype, _TANH_FIT), yb)
        np.tanh(yb, out=yb)

    return _elementwise(block, x, out)


@float16_by_float32
def gelu(x: Array, approximate: Approximation = "none", *, out: Array | None = None) -> Array:
    """GELU of `x`."""
    gate = _gate(approximate)

    def block(xb: Array, yb: Array) -> None:
        gate(xb, yb, scratch("gelu.square", xb.shape, xb.dtype))
        np.multiply(yb, xb, out=yb)

    return _elementwise(block, x, out)


@float16_by_float32
def gelu_with_derivative(x: Array, approximate: Approximation = "none") -> tuple[Array, Array]:
    """GELU of `x` and its derivative, which shares the square and the gate: with it saved, the backward is one product."""
    gate = _gate(approximate)
    result, derivative = np.empty(x.shape, x.dtype), np.empty(x.shape, x.dtype)
    flat_x, flat_y, flat_d = x.reshape(-1), result.reshape(-1), derivative.reshape(-1)

    def block(start: int, stop: int) -> None:
        xb, yb, db = flat_x[start:stop], flat_y[start:stop], flat_d[start:stop]
        gate(xb, yb, db)
        _derivative(xb, yb, db, approximate)
        np.multiply(yb, xb, out=yb)

    _run(block, x.size)
    return result, derivative


@float16_by_float32
def gelu_backward(
    g: Array,
    x: Array,
    approximate: Approximation = "none",
    derivative: Array | None = None,
    *,
    out: Array | None = None,
) -> Array:
    """Cotangent of GELU's input `x`; `derivative` is what `gelu_with_derivative` returned, computed where it is not given."""
    if derivative is not None:
        return binary(np.multiply, g, derivative, out)
    gate = _gate(approximate)
    result = destination(out, x.shape, x.dtype)
    flat_g, flat_x, flat_d = g.reshape(-1), x.reshape(-1), result.reshape(-1)

    def block(start: int, stop: int) -> None:
        xb, db = flat_x[start:stop], flat_d[start:stop]
        sb = scratch("gelu.gate", xb.shape, xb.dtype)
        gate(xb, sb, db)
        _derivative(xb, sb, db, approximate)
        np.multiply(db, flat_g[start:stop], out=db)

    _run(block, x.size)
    return delivered(result, out)


def _gate(approximate: Approximation) -> Callable[[Array, Array, Array], None]:
    """The function that writes Φ(x), or its tanh form, into its second argument and x² into its third."""
    if approximate not in ("none", "tanh"):
        raise ValueError(f"approximate must be 'none' or 'tanh', got {approximate!r}")
    return _tanh_gate if approximate == "tanh" else _erf_gate


def _erf_gate(x: Array, out: Array, square: Array) -> None:
    np.multiply(x, x, out=square)
    if x.dtype == np.float64:
        out[...] = _erf_cody(x * SQRT_HALF)
        np.multiply(out, 0.5, out=out)
        np.add(out, 0.5, out=out)
    else:
        _odd_polynomial(x, square, _coefficients(x.dtype, _TANH_FIT, -2 * LOG_BASE), out)
        _logistic(out)


def _tanh_gate(x: Array, out: Array, square: Array) -> None:
    np.multiply(x, x, out=square)
    cubic = (SQRT_2_OVER_PI, SQRT_2_OVER_PI * TANH_CUBIC)
    _odd_polynomial(x, square, _coefficients(x.dtype, cubic, -2 * LOG_BASE), out)
    _logistic(out)


def _odd_polynomial(x: Array, square: Array, coefficients: list[Array], out: Array) -> None:
    """x · (c₀ + c₁ x² + …), highest coefficient first."""
    highest, *others, lowest = coefficients
    np.multiply(square, highest, out=out)
    for coefficient in others:
        np.add(out, coefficient, out=out)
        np.multiply(out, square, out=out)
    np.add(out, lowest, out=out)
    np.multiply(out, x, out=out)


def _logistic(x: Array) -> None:
    """½ (1 + tanh z) in place of x = −2 z · LOG_BASE: two passes less than by way of tanh."""
    POWER(x, out=x)
    np.add(x, 1, out=x)
    np.divide(1, x, out=x)


@functools.cache
def _coefficients(dtype: np.dtype[Any], lowest_first: tuple[float, ...], factor: float = 1.0) -> list[Array]:
    return constants(dtype, *(c * factor for c in reversed(lowest_first)))


def _derivative(x: Array, gate: Array, out: Array, approximate: Approximation) -> None:
    """Write s(x) + x s'(x), where s(x) is the gate, into `out`, which holds x²."""
    if approximate == "tanh":
        # s' = 2 s (1 − s) u', u' = √(2/π)(1 + 3·0.044715 x²)
        np.multiply(out, 6 * SQRT_2_OVER_PI * TANH_CUBIC, out=out)
        np.add(out, 2 * SQRT_2_OVER_PI, out=out)
        np.multiply(out, gate, out=out)
        complement = np.subtract(1, gate, out=scratch("gelu.square", x.shape, x.dtype))
        np.multiply(out, complement, out=out)
    else:
        np.multiply(out, -0.5 * LOG_BASE, out=out)
        POWER(out, out=out)
        np.multiply(out, INV_SQRT_2PI, out=out)
    np.multiply(out, x, out=out)
    np.add(out, gate, out=out)


def _erf_cody(x: Array) -> Array:
    magnitude = np.abs(x)
    result = np.empty_like(magnitude)
    small = magnitude <= 0.46875
    large = magnitude > 4.0
    middle = ~(small | large)  # NaN goes here and stays NaN
    if small.any():
        z = x[small]
        square = z * z
        result[small] = z * _horner(_A, square) / _horner(_B, square)
    if middle.any():
        z = magnitude[middle]
        result[middle] = 1 - np.exp(-z * z) * _horner(_C, z) / _horner(_D, z)
    if large.any():
        z = np.minimum(magnitude[large], 6.0)  # erf is 1 in float64 from 5.93 on
        inverse = 1 / (z * z)
        tail = inverse * _horner(_P, inverse) / _horner(_Q, inverse)
        result[large] = 1 - np.exp(-z * z) * (1 / math.sqrt(math.pi) - tail) / z
    return np.where(small, result, np.copysign(result, x))


def _horner(coefficients: Sequence[float], x: Array) -> Array:
    value = np.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        value *= x
        value += coefficient
    return value


def _elementwise(block: Callable[[Array, Array], None], x: Array, out: Array | None) -> Array:
    result = destination(out, x.shape, x.dtype)
    flat_x, flat_y = x.reshape(-1), result.reshape(-1)
    _run(lambda start, stop: block(flat_x[start:stop], flat_y[start:stop]), x.size)
    return delivered(result, out)


def _run(block: Callable[[int, int], None], size: int) -> None:
    """Run `block` over pieces of a flat array."""
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        parallel_for(block, row_blocks(size, 1))
