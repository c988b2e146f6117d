"""Reductions, extrema, sorting and running sums: accuracy, and agreement with torch under random cotangents."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import tensorlite as tl


def test_float32_sums_over_any_dim_keep_their_digits() -> None:
    x = np.full((1 << 18, 4), 0.1, np.float32)
    exact = 0.1 * (1 << 18)
    t = tl.tensor(x)
    assert abs(t.sum(0)[0].item() / exact - 1) < 1e-6
    assert abs(t.cumsum(0)[-1, 0].item() / exact - 1) < 1e-6
    assert abs(t.mean(0)[0].item() / 0.1 - 1) < 1e-6
    assert abs(t.norm(2, 0)[0].item() / (0.1 * 512) - 1) < 1e-6


def test_variance_around_a_large_mean() -> None:
    x = (np.random.default_rng(0).standard_normal(100_000) + 1e4).astype(np.float32)
    assert abs(tl.tensor(x).var().item() / x.astype(np.float64).var(ddof=1) - 1) < 1e-5


CALLS: list[tuple[str, Any]] = [
    ("sum", lambda m, x: x.sum((0, 2))),
    ("mean", lambda m, x: x.mean(1, keepdim=True)),
    ("prod", lambda m, x: x.prod(1)),
    ("var", lambda m, x: x.var(1, correction=0)),
    ("std", lambda m, x: x.std((0, 1))),
    ("var_mean", lambda m, x: sum(m.var_mean(x, 1))),
    ("norm3", lambda m, x: x.norm(3, 1)),
    ("norm0.5", lambda m, x: m.linalg.vector_norm(x, 0.5, (0, 1))),
    ("norm1.5", lambda m, x: m.linalg.vector_norm(x, 1.5, 2)),
    ("norm-inf", lambda m, x: m.linalg.vector_norm(x, -float("inf"), 2)),
    ("matrix_norm2", lambda m, x: m.linalg.matrix_norm(x, 2)),
    ("nuc", lambda m, x: m.linalg.norm(x, "nuc", (0, 2))),
    ("amax", lambda m, x: x.amax((0, 1))),
    ("max", lambda m, x: x.max(1).values),
    ("median", lambda m, x: x.median(1).values),
    ("kthvalue", lambda m, x: x.kthvalue(2, 1).values),
    ("quantile", lambda m, x: x.quantile(0.3, 1)),
    ("logsumexp", lambda m, x: x.logsumexp((1, 2))),
    ("cumsum", lambda m, x: x.cumsum(1)),
    ("cumprod", lambda m, x: x.cumprod(1)),
    ("cummax", lambda m, x: x.cummax(1).values),
    ("logcumsumexp", lambda m, x: x.logcumsumexp(1)),
    ("sort", lambda m, x: x.sort(1, descending=True).values),
    ("topk", lambda m, x: x.topk(2, 1, largest=False).values),
    ("diff", lambda m, x: x.diff(2, 1)),
    ("trapezoid", lambda m, x: m.trapezoid(x, dx=0.5, dim=1)),
    ("dist", lambda m, x: m.dist(x, x * x, 3)),
    ("cdist", lambda m, x: m.cdist(x, x + 1)),
    ("cov", lambda m, x: m.cov(x[0])),
    ("corrcoef", lambda m, x: x[0].corrcoef()),
    ("renormalised", lambda m, x: x / x.norm(dim=1, keepdim=True)),
]


@pytest.mark.parametrize("call", [c[1] for c in CALLS], ids=[c[0] for c in CALLS])
def test_values_and_two_derivatives_as_torch(call: Any) -> None:
    rng = np.random.default_rng(7)
    data = rng.standard_normal((3, 4, 2))
    x, t = tl.tensor(data, requires_grad=True), torch.tensor(data, requires_grad=True)
    y, u = call(tl, x), call(torch, t)
    np.testing.assert_allclose(y.detach().numpy(), u.detach().numpy(), rtol=1e-12, atol=1e-13)
    c = rng.standard_normal(tuple(u.shape))
    (a,) = tl.autograd.grad([y], [x], [tl.tensor(c)], create_graph=True)
    (b,) = torch.autograd.grad(u, t, torch.tensor(c), create_graph=True)
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(force=True), rtol=1e-10, atol=1e-12)
    if b.requires_grad and u.grad_fn.name() != "CdistBackward0":  # torch does not differentiate cdist twice
        w = rng.standard_normal(data.shape)
        second = tl.autograd.grad([(a * tl.tensor(w)).sum()], [x], allow_unused=True, materialize_grads=True)[0]
        expected = torch.autograd.grad((b * torch.tensor(w)).sum(), t, allow_unused=True, materialize_grads=True)[0]
        np.testing.assert_allclose(second.numpy(), expected.numpy(force=True), rtol=1e-9, atol=1e-10)


@given(st.lists(st.sampled_from([-1.0, 0.0, 0.5, 2.0]), min_size=1, max_size=6), st.integers(0, 2**32 - 1))
def test_product_gradients_with_any_number_of_zeros(values: list[float], seed: int) -> None:
    x = tl.tensor(values, dtype=tl.float64, requires_grad=True)
    (g,) = tl.autograd.grad([x.prod()], [x])
    np.testing.assert_allclose(g.numpy(), [np.prod(values[:i] + values[i + 1 :]) for i in range(len(values))])
    c = np.random.default_rng(seed).standard_normal(len(values))
    (h,) = tl.autograd.grad([x.cumprod(0)], [x], [tl.tensor(c)])
    expected = [
        sum(c[j] * np.prod([v for i, v in enumerate(values[: j + 1]) if i != k]) for j in range(k, len(values)))
        for k in range(len(values))
    ]
    np.testing.assert_allclose(h.numpy(), expected, atol=1e-12)


@given(st.lists(st.sampled_from([-1.0, 0.0, 1.0, float("nan")]), min_size=1, max_size=7), st.booleans(), st.data())
def test_topk_is_the_head_of_the_stable_sort(values: list[float], largest: bool, data: Any) -> None:
    k = data.draw(st.integers(0, len(values)))
    x = tl.tensor(values)
    assert tl.topk(x, k, largest=largest)[1].tolist() == tl.sort(x, descending=largest)[1].tolist()[:k]


def test_topk_of_long_rows_takes_the_first_of_equals() -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 50, (3, 5000)).astype(np.float32)
    x[0, 7] = np.nan
    for largest in (True, False):
        values, indices = tl.topk(tl.tensor(x), 9, largest=largest)
        all_values, all_indices = tl.sort(tl.tensor(x), descending=largest)
        np.testing.assert_array_equal(indices.numpy(), all_indices.numpy()[:, :9])
        np.testing.assert_array_equal(values.numpy(), all_values.numpy()[:, :9])


def test_max_has_three_meanings() -> None:
    x, y = tl.tensor([[1.0, 5.0], [7.0, 2.0]]), tl.tensor([[3.0, 3.0], [3.0, 3.0]])
    assert tl.max(x).item() == 7
    assert tl.max(x, 1).indices.tolist() == [1, 0]
    assert x.max(dim=0, keepdim=True).values.tolist() == [[7, 5]]
    assert tl.max(x, y).tolist() == [[3, 5], [7, 3]]
    assert tl.min(x, other=y).tolist() == [[1, 3], [3, 2]]


def test_unique_with_everything() -> None:
    values, inverse, counts = tl.unique(tl.tensor([3, 1, 3, 2]), return_inverse=True, return_counts=True)
    assert (values.tolist(), inverse.tolist(), counts.tolist()) == ([1, 2, 3], [2, 0, 2, 1], [1, 1, 2])
    runs, lengths = tl.unique_consecutive(tl.tensor([1, 1, 2, 1]), return_counts=True)
    assert (runs.tolist(), lengths.tolist()) == ([1, 2, 1], [2, 1, 1])


def test_a_large_range_does_not_overflow_the_running_log_sum() -> None:
    x = tl.tensor([-2000.0, 0.0, 2000.0], dtype=tl.float64, requires_grad=True)
    t = torch.tensor([-2000.0, 0.0, 2000.0], dtype=torch.float64, requires_grad=True)
    c = np.array([0.3, -1.2, 0.7])
    (a,) = tl.autograd.grad([x.logcumsumexp(0)], [x], [tl.tensor(c)])
    (b,) = torch.autograd.grad(t.logcumsumexp(0), t, torch.tensor(c))
    np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-15)
