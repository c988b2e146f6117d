"""Functions composed of ops, second names, operators, in-place forms and `out=`."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import tensorlite as tl
from tensorlite.tensor.functions_math import ALIASES


@pytest.mark.parametrize("name", sorted(ALIASES))
def test_second_names_compute_the_same(name: str) -> None:
    x = tl.tensor([0.3, 0.7], dtype=tl.float64)
    old = getattr(tl, ALIASES[name])
    arguments = [(x,), (x, x)]
    for a in arguments:
        try:
            expected = old(*a)
        except (TypeError, RuntimeError):
            continue
        np.testing.assert_array_equal(getattr(tl, name)(*a).numpy(), expected.numpy())
        np.testing.assert_array_equal(getattr(x, name)(*a[1:]).numpy(), expected.numpy())


@pytest.mark.parametrize("y", [2.0, -3.0])
def test_remainder_and_floor_division_are_pythons(y: float) -> None:
    values = [7.5, -7.5, 0.0]
    x = tl.tensor(values, dtype=tl.float64)
    assert (x % y).tolist() == [v % y for v in values]
    assert (x // y).tolist() == [v // y for v in values]
    assert (y % x[:2]).tolist() == [y % v for v in values[:2]]
    assert tl.fmod(x, y).tolist() == [np.fmod(v, y) for v in values]


def test_integer_division_by_zero_is_an_error() -> None:
    for call in (tl.remainder, tl.fmod, tl.floor_divide):
        with pytest.raises(RuntimeError, match="ZeroDivisionError"):
            call(tl.tensor([1]), tl.tensor([0]))


def test_in_place_forms_change_the_tensor_itself() -> None:
    x = tl.tensor([-1.0, 0.5, 9.0])
    assert x.clamp_(0, 1) is x
    assert x.clip_(max=0.75).tolist() == [0, 0.5, 0.75]
    assert x.addcmul_(tl.ones(3), tl.ones(3), value=2).tolist() == [2, 2.5, 2.75]
    assert x.lerp_(tl.zeros(3), 1.0).tolist() == [0, 0, 0]
    x %= 1.0
    assert x.tolist() == [0, 0, 0]


def test_out_receives_the_result() -> None:
    out = tl.empty(2)
    assert tl.true_divide(tl.tensor([1.0, 2.0]), 2, out=out) is out
    assert out.tolist() == [0.5, 1.0]


def test_numpy_keywords_work() -> None:
    x = tl.arange(6.0).reshape(2, 3)
    assert tl.nansum(x, axis=1, keepdims=True).tolist() == [[3], [12]]
    assert x.amax(axis=0).tolist() == [3, 4, 5]


def test_mvlgamma_and_polar_as_torch() -> None:
    x = np.array([2.5, 4.0])
    np.testing.assert_allclose(
        tl.mvlgamma(tl.tensor(x), 3).numpy(), torch.mvlgamma(torch.tensor(x), 3).numpy(), rtol=1e-13
    )
    np.testing.assert_allclose(tl.polar(tl.tensor(x), tl.tensor(x)).numpy(), x * np.exp(1j * x), rtol=1e-14)


@pytest.mark.parametrize(
    "name", ["abs", "sgn", "angle", "exp", "log", "sqrt", "tanh", "sigmoid", "reciprocal", "square", "acosh"]
)
def test_complex_gradients_follow_torchs_convention(name: str) -> None:
    rng = np.random.default_rng(2)
    z = rng.standard_normal(5) + 1j * rng.standard_normal(5)
    x, t = tl.tensor(z, requires_grad=True), torch.tensor(z, requires_grad=True)
    y, u = getattr(tl, name)(x), getattr(torch, name)(t)
    np.testing.assert_allclose(y.detach().numpy(), u.detach().numpy(), rtol=1e-12)
    c = rng.standard_normal(5) + (1j * rng.standard_normal(5) if u.is_complex() else 0)
    (a,) = tl.autograd.grad([y], [x], [tl.tensor(c)], create_graph=True)
    (b,) = torch.autograd.grad(u, t, torch.tensor(c), create_graph=True)
    np.testing.assert_allclose(a.detach().numpy(), b.detach().resolve_conj().numpy(), rtol=1e-12)
    w = rng.standard_normal(5) + 1j * rng.standard_normal(5)
    (a,) = tl.autograd.grad([a], [x], [tl.tensor(w)])
    (b,) = torch.autograd.grad(b, t, torch.tensor(w))
    np.testing.assert_allclose(a.numpy(), b.resolve_conj().numpy(), rtol=1e-10, atol=1e-12)
