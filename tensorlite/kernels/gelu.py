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
        _erf_of_scaled(np.multiply(xb, math.sqrt(2), out=scratch("gelu.x", xb.shape, xb.dtype)), yb)

    return _elementwise(block, x, out)


@float16_by_float32
def gelu(x: Array, approximate: Approximation = "none", *, out: Array | None = None) -> Array:
    """GELU of `x`."""
    gate = _gate(approximate)

    def block(xb: Array, yb: Array) -> None:
        gate(xb, yb)
        np.multiply(yb, xb, out=yb)

    return _elementwise(block, x, out)


@float16_by_float32
def gelu_with_gate(x: Array, approximate: Approximation = "none") -> tuple[Array, Array]:
    """GELU of `x` and the gate Φ(x): with the gate saved, the backward need not evaluate the error function again."""
    gate = _gate(approximate)
    result, gates = np.empty(x.shape, x.dtype), np.empty(x.shape, x.dtype)
    flat_x, flat_y, flat_s = x.reshape(-1), result.reshape(-1), gates.reshape(-1)

    def block(start: int, stop: int) -> None:
        xb, sb = flat_x[start:stop], flat_s[start:stop]
        gate(xb, sb)
        np.multiply(xb, sb, out=flat_y[start:stop])

    _run(block, x.size)
    return result, gates


@float16_by_float32
def gelu_backward(
    g: Array, x: Array, approximate: Approximation = "none", gate: Array | None = None, *, out: Array | None = None
) -> Array:
    """Cotangent of GELU's input `x`; `gate` is what `gelu_with_gate` returned, computed again where it is not given."""
    result = destination(out, x.shape, x.dtype)
    flat_g, flat_x, flat_d = g.reshape(-1), x.reshape(-1), result.reshape(-1)
    flat_s = None if gate is None else gate.reshape(-1)
    compute = _gate(approximate)

    def block(start: int, stop: int) -> None:
        xb, db = flat_x[start:stop], flat_d[start:stop]
        if flat_s is None:
            sb = scratch("gelu.gate", xb.shape, xb.dtype)
            compute(xb, sb)
        else:
            sb = flat_s[start:stop]
        _derivative(xb, sb, db, approximate)
        np.multiply(db, flat_g[start:stop], out=db)

    _run(block, x.size)
    return delivered(result, out)


def _gate(approximate: Approximation) -> Callable[[Array, Array], None]:
    """The function that writes Φ(x), or its tanh form, into its second argument."""
    if approximate not in ("none", "tanh"):
        raise ValueError(f"approximate must be 'none' or 'tanh', got {approximate!r}")
    return _tanh_gate if approximate == "tanh" else _erf_gate


def _erf_gate(x: Array, out: Array) -> None:
    if x.dtype == np.float64:
        out[...] = _erf_cody(x * SQRT_HALF)
    else:
        _erf_of_scaled(x, out)
    np.multiply(out, 0.5, out=out)
    np.add(out, 0.5, out=out)


def _erf_of_scaled(x: Array, out: Array) -> None:
    """erf(x/√2) in float32."""
    square = np.multiply(x, x, out=scratch("gelu.square", x.shape, x.dtype))
    highest, *others, lowest = _tanh_fit(x.dtype)
    np.multiply(square, highest, out=out)
    for coefficient in others:
        np.add(out, coefficient, out=out)
        np.multiply(out, square, out=out)
    np.add(out, lowest, out=out)
    np.multiply(out, x, out=out)
    np.tanh(out, out=out)


@functools.cache
def _tanh_fit(dtype: np.dtype[Any]) -> list[Array]:
    return constants(dtype, *reversed(_TANH_FIT))


def _tanh_gate(x: Array, out: Array) -> None:
    np.multiply(x, x, out=out)
    np.multiply(out, SQRT_2_OVER_PI * TANH_CUBIC, out=out)
    np.add(out, SQRT_2_OVER_PI, out=out)
    np.multiply(out, x, out=out)
    np.tanh(out, out=out)
    np.multiply(out, 0.5, out=out)
    np.add(out, 0.5, out=out)


def _derivative(x: Array, gate: Array, out: Array, approximate: Approximation) -> None:
    """Write s(x) + x s'(x) into `out`, where s(x) is the gate."""
    np.multiply(x, x, out=out)
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
