"""Special functions: float64 accuracy against the standard library, identities and known values, and derivatives against torch."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import tensorlite as tl


def value(name: str, x: Any) -> Any:
    return getattr(tl.special, name)(tl.tensor(x, dtype=tl.float64)).numpy()


GRID = np.concatenate([np.linspace(-8, 8, 321), np.linspace(-0.5, 0.5, 101), [9.5, 15.0, 25.0]])


@pytest.mark.parametrize("name", ["erf", "erfc"])
def test_error_function_against_the_standard_library(name: str) -> None:
    expected = [getattr(math, name)(v) for v in GRID]
    np.testing.assert_allclose(value(name, GRID), expected, rtol=2e-14, atol=1e-300)


def test_log_gamma_against_the_standard_library() -> None:
    x = np.concatenate(
        [np.linspace(0.01, 12, 400), [30.5, 1e3, 1e10], -np.linspace(0.1, 9.9, 99), [1 + 1e-8, 2 - 1e-8]]
    )
    x = x[(x > 0) | (x != np.floor(x))]
    expected = np.array([math.lgamma(v) for v in x])
    np.testing.assert_allclose(value("gammaln", x), expected, rtol=2e-13, atol=1e-14)
    assert math.isinf(value("gammaln", 0.0))
    assert value("gammaln", [1.0, 2.0]).tolist() == [0, 0]


def test_known_values() -> None:
    euler = 0.57721566490153286061
    np.testing.assert_allclose(value("digamma", [1.0, 0.5]), [-euler, -euler - 2 * math.log(2)], rtol=1e-14)
    np.testing.assert_allclose(
        tl.special.polygamma(1, tl.tensor([1.0, 0.5], dtype=tl.float64)).numpy(),
        [math.pi**2 / 6, math.pi**2 / 2],
        rtol=1e-14,
    )
    ones = tl.ones(3, dtype=tl.float64)
    exponents = tl.tensor([2.0, 4.0, 6.0], dtype=tl.float64)
    np.testing.assert_allclose(
        tl.special.zeta(exponents, ones).numpy(), [math.pi**2 / 6, math.pi**4 / 90, math.pi**6 / 945], rtol=1e-14
    )
    # DLMF tables 10.31 and A&S 9.1, 9.8
    np.testing.assert_allclose(value("i0", [1.0, 5.0]), [1.2660658777520083, 27.239871823604442], rtol=1e-14)
    np.testing.assert_allclose(value("i1", [1.0, -5.0]), [0.5651591039924851, -24.335642142450524], rtol=1e-14)
    np.testing.assert_allclose(value("bessel_j0", [1.0, 6.0]), [0.7651976865579666, 0.1506452572509969], rtol=1e-13)
    np.testing.assert_allclose(value("bessel_j1", [1.0, 5.0]), [0.44005058574493355, -0.3275791375914652], rtol=1e-13)
    np.testing.assert_allclose(value("ndtri", [0.975, 0.5]), [1.959963984540054, 0.0], rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(value("log_ndtr", [-40.0, 0.0]), [-804.6084420137538, math.log(0.5)], rtol=1e-14)
    np.testing.assert_allclose(value("erfcx", [10.0, 0.0]), [0.05614099274382259, 1.0], rtol=1e-14)


@given(st.floats(-0.999999999, 0.999999999))
def test_inverse_error_function(y: float) -> None:
    x = float(value("erfinv", y))
    assert math.isclose(math.erf(x), y, rel_tol=1e-13, abs_tol=1e-300) or math.isclose(
        math.erfc(abs(x)), 1 - abs(y), rel_tol=1e-11
    )


@given(st.floats(1e-300, 0.5))
def test_inverse_normal_distribution_in_the_tail(p: float) -> None:
    x = float(value("ndtri", p))
    assert math.isclose(math.erfc(-x / math.sqrt(2)) / 2, p, rel_tol=1e-11)


@given(st.floats(0.05, 30))
def test_digamma_recurrence(x: float) -> None:
    a, b = value("digamma", [x, x + 1])
    assert math.isclose(b - a, 1 / x, rel_tol=1e-10, abs_tol=2e-14)


@given(st.floats(0.5, 60))
def test_bessel_functions_meet_where_the_formulas_change(x: float) -> None:
    """The Wronskian-like identity J0' = -J1 by a central difference, and I0' = I1."""
    h = 1e-5
    left, right = value("bessel_j0", [x - h, x + h])
    assert math.isclose((right - left) / (2 * h), -float(value("bessel_j1", x)), abs_tol=1e-9)
    low, high = value("i0e", [x - h, x + h])
    i0e, i1e = float(value("i0e", x)), float(value("i1e", x))
    assert math.isclose((high - low) / (2 * h), i1e - i0e, abs_tol=1e-9)


SPECIAL = [
    "digamma",
    "entr",
    "erf",
    "erfc",
    "erfcx",
    "erfinv",
    "expit",
    "gammaln",
    "i0",
    "i0e",
    "i1",
    "i1e",
    "log_ndtr",
    "logit",
    "ndtr",
    "ndtri",
    "psi",
    "sinc",
]


@pytest.mark.parametrize("name", SPECIAL)
def test_values_and_two_derivatives_as_torch(name: str) -> None:
    rng = np.random.default_rng(3)
    data = rng.uniform(0.05, 0.95, 16)
    x, t = tl.tensor(data, requires_grad=True), torch.tensor(data, requires_grad=True)
    y, u = getattr(tl.special, name)(x), getattr(torch.special, name)(t)
    np.testing.assert_allclose(y.detach().numpy(), u.detach().numpy(), rtol=1e-12)
    c, w = rng.standard_normal(16), rng.standard_normal(16)
    (a,) = tl.autograd.grad([y], [x], [tl.tensor(c)], create_graph=True)
    (b,) = torch.autograd.grad(u, t, torch.tensor(c), create_graph=True)
    rtol = 2e-9 if name in ("digamma", "psi", "gammaln") else 1e-11  # torch's trigamma is a short asymptotic series
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=rtol, atol=1e-12)
    (a,) = tl.autograd.grad([a], [x], [tl.tensor(w)])
    (b,) = torch.autograd.grad(b, t, torch.tensor(w))
    np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=10 * rtol, atol=1e-11)


@pytest.mark.parametrize("name", [*SPECIAL, "bessel_j0", "bessel_j1", "spherical_bessel_j0"])
def test_float32_stays_float32(name: str) -> None:
    function = getattr(tl.special, name)
    for shape in ((), (3,), (0, 2)):
        x = tl.full(shape, 0.25, dtype=tl.float32, requires_grad=True)
        y = function(x)
        assert y.dtype == tl.float32
        assert y.shape == shape
        (g,) = tl.autograd.grad([y], [x], [tl.ones(shape)])
        assert g.dtype == tl.float32


def test_complex_step_passes_through_the_special_functions() -> None:
    from tensorlite.ops import OPS
    from tensorlite.ops.analytic import dual

    x = np.array([0.2, 0.6])
    for name in (
        "erf",
        "erfc",
        "erfinv",
        "lgamma",
        "digamma",
        "i0",
        "i1",
        "ndtr",
        "ndtri",
        "log_ndtr",
        "erfcx",
        "sigmoid",
        "logit",
        "entr",
        "sinc",
    ):
        with dual(), np.errstate(all="ignore"):
            step = OPS[name].forward(*([x + 1e-30j] + [None] * (len(OPS[name].params) - 1)))
        t = tl.tensor(x, requires_grad=True)
        (g,) = tl.autograd.grad([OPS[name](t)], [t], [tl.ones(2, dtype=tl.float64)])
        np.testing.assert_allclose(step.imag / 1e-30, g.numpy(), rtol=1e-12, err_msg=name)
