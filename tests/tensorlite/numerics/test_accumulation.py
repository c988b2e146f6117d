"""Sums in float32 and float16 keep their digits, and the fast ways of adding up agree with the plain one."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import tensorlite as tl
import tensorlite.nn.functional as F

TENTH = float(np.float32(0.1))
N = 1 << 17

SUMS: dict[str, tuple[Any, float]] = {
    "sum over rows": (lambda x: x.sum(0)[0], N * TENTH),
    "sum over columns": (lambda x: x.t().contiguous().sum(1)[0], N * TENTH),
    "sum of a transpose": (lambda x: x.t().sum(1)[0], N * TENTH),
    "sum of all": (lambda x: x.sum(), 4 * N * TENTH),
    "mean": (lambda x: x.mean(0)[0], TENTH),
    "einsum": (lambda x: tl.einsum("ij->j", x)[0], N * TENTH),
    "cumsum": (lambda x: x.cumsum(0)[-1, 0], N * TENTH),
    "norm": (lambda x: x.norm(2, 0)[0], N**0.5 * TENTH),
    "a mean squared error": (lambda x: F.mse_loss(x, tl.zeros_like(x)), TENTH**2),
    "the gradient of a bias": (
        lambda x: tl.autograd.grad(
            [F.linear(x, tl.ones(1, 4), b := tl.zeros(1, requires_grad=True))], [b], [x[:, :1].contiguous()]
        )[0][0],
        N * TENTH,
    ),
    "the gradient of what was broadcast": (
        lambda x: (
            tl.autograd.grad([b + x], [b], [x])[0][0] if (b := tl.zeros(4, requires_grad=True)) is not None else 0
        ),
        N * TENTH,
    ),
}


@pytest.mark.parametrize(("total", "exact"), SUMS.values(), ids=SUMS)
def test_many_tenths_in_float32(total: Any, exact: float) -> None:
    x = tl.full((N, 4), 0.1)
    result = total(x)
    assert result.dtype == tl.float32
    assert abs(result.item() / exact - 1) < 2e-6


SCATTERED: dict[str, Any] = {
    "embedding": lambda x: tl.autograd.grad(
        [F.embedding(tl.zeros(N, dtype=tl.int64), w := tl.zeros(1, 4, requires_grad=True))], [w], [x]
    )[0],
    "index_add": lambda x: tl.zeros(1, 4).index_add(0, tl.zeros(N, dtype=tl.int64), x),
    "scatter_add": lambda x: tl.zeros(1, 4).scatter_add(0, tl.zeros(N, 4, dtype=tl.int64), x),
}


@pytest.mark.parametrize("add", SCATTERED.values(), ids=SCATTERED)
def test_what_is_added_up_by_index_goes_one_by_one_and_is_no_worse_than_in_torch(add: Any) -> None:
    """131,072 tenths one after the other are 1.04e-3 off, in torch 2.13 too."""
    assert abs(add(tl.full((N, 4), 0.1))[0, 0].item() / (N * TENTH) - 1) < 1.1e-3


def test_a_sum_of_halves_overflows_and_their_mean_does_not() -> None:
    x = tl.ones(70_000, dtype=tl.float16)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # NumPy reports the overflow, torch does not
        assert x.sum().item() == float("inf")
    assert x.mean().item() == 1.0


@pytest.mark.parametrize("normalise", [lambda x: F.layer_norm(x, (x.shape[1],)), lambda x: F.group_norm(x, 1)])
def test_normalisation_far_from_zero_is_done_in_two_passes(normalise: Any) -> None:
    """E[x²] - E[x]² at mean 1e4 is 8.0 where the variance is 1."""
    x = (np.random.default_rng(0).standard_normal((2, 4096)) + 1e4).astype(np.float32)
    exact = (x - x.mean(1, keepdims=True, dtype=np.float64)) / x.std(1, keepdims=True, dtype=np.float64)
    np.testing.assert_allclose(normalise(tl.tensor(x)).numpy(), exact, atol=2e-3)


@pytest.mark.parametrize(("rows", "width", "count"), [(5, 3, 400), (4000, 3, 50), (300, 1, 300), (7, 40, 2000)])
def test_every_way_of_adding_rows_by_index_gives_the_same(rows: int, width: int, count: int) -> None:
    """Few rows, many rows, one column, long rows: the kernel chooses; the sum is that of `np.add.at`."""
    rng = np.random.default_rng(rows)
    index, values = rng.integers(0, rows, count), rng.standard_normal((count, width))
    expected = np.zeros((rows, width))
    np.add.at(expected, index, values)
    i, v = tl.tensor(index), tl.tensor(values)
    base = tl.zeros(rows, width, dtype=tl.float64)
    weight = tl.zeros(rows, width, dtype=tl.float64, requires_grad=True)
    F.embedding(i, weight).backward(v)
    assert weight.grad is not None
    for found in (
        weight.grad,
        base.index_add(0, i, v),
        base.scatter_add(0, i[:, None].expand(-1, width), v),
        base.index_put((i,), v, accumulate=True),
    ):
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)


@pytest.mark.parametrize("lead", [(6,), (2, 3), (2, 1, 3)])
def test_the_gradient_of_a_linear_weight_is_one_product_over_all_rows(lead: tuple[int, ...]) -> None:
    rng = np.random.default_rng(1)
    x, w, g = rng.standard_normal((*lead, 4)), rng.standard_normal((5, 4)), rng.standard_normal((*lead, 5))
    weight = tl.tensor(w, requires_grad=True)
    F.linear(tl.tensor(x), weight).backward(tl.tensor(g))
    assert weight.grad is not None
    np.testing.assert_allclose(weight.grad.numpy(), g.reshape(-1, 5).T @ x.reshape(-1, 4), rtol=1e-12)


@pytest.mark.parametrize("exponent", [2, 3, 3.0, 0.5, -1, 4.0])
def test_powers_by_number_are_powers(exponent: float) -> None:
    x = np.linspace(0.5, 2.0, 7)
    t = tl.tensor(x, requires_grad=True)
    (t**exponent).sum().backward()
    assert t.grad is not None
    np.testing.assert_allclose((t**exponent).detach().numpy(), x**exponent, rtol=1e-14)
    np.testing.assert_allclose(t.grad.numpy(), exponent * x ** (exponent - 1), rtol=1e-14)
