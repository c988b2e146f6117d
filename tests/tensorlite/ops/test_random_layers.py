"""Dropout and its relatives: the right fraction, the right scale, one mask forward and backward, reproducible."""

from __future__ import annotations

import numpy as np
import pytest

import tensorlite as tl
import tensorlite.nn.functional as F


def test_dropout_keeps_the_mean_and_uses_one_mask_both_ways():
    tl.manual_seed(0)
    x = tl.ones(40_000, dtype=tl.float64, requires_grad=True)
    y = F.dropout(x, 0.25)
    kept = y.detach().numpy() != 0
    assert kept.mean() == pytest.approx(0.75, abs=0.01)  # four standard deviations
    np.testing.assert_allclose(y.detach().numpy()[kept], 1 / 0.75)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), y.detach().numpy())


def test_the_same_seed_gives_the_same_mask_and_the_next_call_another():
    x = tl.ones(100)
    tl.manual_seed(3)
    first, second = F.dropout(x), F.dropout(x)
    tl.manual_seed(3)
    assert (F.dropout(x) == first).all()
    assert not (first == second).all()


@pytest.mark.parametrize("function", [F.dropout, F.alpha_dropout, F.dropout2d])
def test_nothing_happens_when_not_training(function):
    x = tl.randn(2, 3, 4, 4)
    assert (function(x, 0.5, training=False) == x).all()
    with pytest.raises(ValueError, match="has to be between 0 and 1, but got"):
        function(x, 1.5)


def test_all_dropped_gives_zeros():
    x = tl.ones(5, requires_grad=True)
    y = F.dropout(x, 1.0)
    y.sum().backward()
    assert y.tolist() == x.grad.tolist() == [0.0] * 5


def test_dropout2d_drops_whole_channels():
    y = F.dropout2d(tl.ones(10, 10, 3, 3), 0.5).numpy().reshape(100, 9)
    assert (y == y[:, :1]).all()
    assert 0 < (y[:, 0] == 0).sum() < 100


def test_alpha_dropout_keeps_mean_and_variance():
    x = tl.tensor(np.random.default_rng(0).standard_normal(100_000))
    y = F.alpha_dropout(x, 0.3, training=True).numpy()
    assert y.mean() == pytest.approx(0, abs=0.02)
    assert y.std() == pytest.approx(1, abs=0.02)


def test_in_place_dropout_changes_its_input():
    x = tl.ones(1000)
    assert F.dropout(x, 0.5, inplace=True) is x
    assert set(np.unique(x.numpy())) == {0.0, 2.0}


def test_attention_dropout_is_unbiased():
    tl.manual_seed(0)
    q, k = tl.randn(1, 1, 4, 8, dtype=tl.float64), tl.randn(1, 1, 6, 8, dtype=tl.float64)
    v = tl.randn(1, 1, 6, 2, dtype=tl.float64)
    mean = sum(F.scaled_dot_product_attention(q, k, v, dropout_p=0.3).numpy() for _ in range(3000)) / 3000
    np.testing.assert_allclose(mean, F.scaled_dot_product_attention(q, k, v).numpy(), atol=0.08)


def test_rrelu_draws_slopes_in_range_and_gumbel_softmax_is_one_hot_when_hard():
    x = tl.full((1000,), -1.0)
    slopes = -F.rrelu(x, 0.1, 0.3, training=True).numpy()
    assert 0.1 <= slopes.min() < 0.12
    assert 0.28 < slopes.max() <= 0.3
    y = F.gumbel_softmax(tl.zeros(50, 4, requires_grad=True), hard=True)
    np.testing.assert_allclose(y.detach().numpy().max(1), 1)
    np.testing.assert_allclose(y.detach().numpy().sum(1), 1)
