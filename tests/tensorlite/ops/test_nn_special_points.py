"""Activations, losses and norms at kinks, zeros and infinities: torch's choices, and where tensorlite differs on purpose."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tensorlite as tl
import tensorlite.nn.functional as F

INF = math.inf


def grad_at(function, value):
    x = tl.tensor(value, dtype=tl.float64, requires_grad=True)
    function(x).sum().backward()
    return x.grad.tolist()


@pytest.mark.parametrize(
    ("function", "at", "expected"),
    [
        (F.relu, [0.0, -1.0, 2.0], [0.0, 0.0, 1.0]),
        (F.relu6, [0.0, 6.0, 3.0], [0.0, 0.0, 1.0]),
        (F.hardtanh, [-1.0, 1.0, 0.5], [0.0, 0.0, 1.0]),
        (F.leaky_relu, [0.0], [0.01]),
        (F.elu, [0.0], [1.0]),
        (F.softplus, [1000.0, -1000.0], [1.0, 0.0]),
        (F.logsigmoid, [1000.0, -1000.0], [0.0, 1.0]),
        (lambda x: F.l1_loss(x, tl.zeros(1, dtype=tl.float64)), [0.0], [0.0]),
        (lambda x: F.smooth_l1_loss(x, tl.zeros(1, dtype=tl.float64)), [0.0], [0.0]),
        (F.hardshrink, [0.5, -0.5, 0.6], [0.0, 0.0, 1.0]),
        (lambda x: F.threshold(x, 1.0, 7.0), [1.0, 2.0], [0.0, 1.0]),
    ],
)
def test_gradient_at_a_kink(function, at, expected):
    assert grad_at(function, at) == expected


@pytest.mark.parametrize(
    "function", [F.relu, F.relu6, F.hardtanh, F.leaky_relu, F.gelu, F.silu, F.softplus, F.elu, F.softshrink]
)
def test_nan_passes_through(function):
    assert math.isnan(function(tl.tensor([math.nan])).item())


def test_softmax_of_infinities():
    assert tl.softmax(tl.tensor([-INF, -INF]), 0).isnan().all()
    assert tl.softmax(tl.tensor([0.0, -INF]), 0).tolist() == [1.0, 0.0]
    assert tl.log_softmax(tl.tensor([0.0, -INF]), 0).tolist() == [0.0, -INF]
    assert tl.softmax(tl.tensor(3.0), 0).item() == 1.0
    assert tl.softmax(tl.zeros(0, 3), 1).shape == (0, 3)


def test_where_and_masked_fill_of_a_logarithm_at_zero_give_nan_as_in_torch():
    assert math.isnan(grad_at(lambda x: tl.where(x > 0, x.log(), 0.0), [0.0])[0])
    assert math.isnan(grad_at(lambda x: x.log().masked_fill(x <= 0, 0.0), [0.0])[0])


def test_binary_cross_entropy_bounds_its_logarithm():
    x = tl.tensor([0.0], dtype=tl.float64, requires_grad=True)
    loss = F.binary_cross_entropy(x, tl.ones(1, dtype=tl.float64))
    loss.backward()
    assert loss.item() == 100.0
    assert x.grad.item() == pytest.approx(-1e12)


def test_binary_cross_entropy_of_large_logits():
    x = tl.tensor([1000.0, -1000.0], requires_grad=True)
    F.binary_cross_entropy_with_logits(x, tl.tensor([0.0, 1.0])).backward()
    assert x.grad.tolist() == [0.5, -0.5]


def test_cross_entropy_without_rows_that_count():
    logits = tl.zeros(2, 3)
    assert math.isnan(F.cross_entropy(logits, tl.tensor([-100, -100])).item())
    assert math.isnan(F.cross_entropy(tl.zeros(0, 3), tl.zeros(0, dtype=tl.int64)).item())


@pytest.mark.parametrize("loss", [F.cross_entropy, F.nll_loss])
def test_a_class_that_does_not_exist(loss):
    with pytest.raises(IndexError, match=r"Target 3 is out of bounds\."):
        loss(tl.zeros(2, 3), tl.tensor([0, 3]))


@pytest.mark.parametrize("loss", [F.cross_entropy, F.nll_loss])
def test_class_weights_that_expect_a_gradient_are_refused(loss):
    weight = tl.ones(3, requires_grad=True)
    with pytest.raises(RuntimeError, match="requires_grad"):
        loss(tl.zeros(2, 3), tl.tensor([0, 1]), weight)
    with tl.no_grad():
        loss(tl.zeros(2, 3), tl.tensor([0, 1]), weight)


@pytest.mark.parametrize("loss", [F.cross_entropy, F.nll_loss])
def test_the_loss_of_one_sample_is_a_number(loss):
    assert loss(tl.zeros(3), tl.tensor([1]), reduction="none").shape == ()
    with pytest.raises(ValueError, match=r"batch_size \(2\)"):
        loss(tl.zeros(2, 3), tl.tensor(1))


def test_cross_entropy_of_probabilities_over_no_classes():
    x = tl.zeros(4, 0)
    assert F.cross_entropy(x, x, label_smoothing=0.1, reduction="sum").item() == 0


def test_only_an_ignored_row_hides_an_infinite_loss():
    x, target = tl.tensor([[-INF, 0.0]]), tl.tensor([0])
    assert F.nll_loss(x, target, ignore_index=0, reduction="sum").item() == 0
    assert math.isnan(F.nll_loss(x, target, tl.tensor([0.0, 1.0]), reduction="sum").item())


def test_cross_entropy_weighted_by_zero_gives_ignored_rows_no_gradient_when_recorded():
    x = tl.zeros(2, 2, requires_grad=True)
    loss = F.cross_entropy(x, tl.tensor([-100, 1]), tl.zeros(2))
    (grad,) = tl.autograd.grad(loss, x, create_graph=True)
    assert math.isnan(loss.item())
    assert grad[0].tolist() == [0, 0]


def test_embedding_by_frequency_gives_the_rows_exactly_and_means_of_gradients():
    weight = tl.tensor([[INF, 0.1], [0.3, 1e-30]], requires_grad=True)
    rows = F.embedding(tl.tensor([0, 1, 1]), weight, scale_grad_by_freq=True)
    assert rows.tolist() == weight[[0, 1, 1]].tolist()
    rows.backward(tl.tensor([[1.0, 1], [1, 2], [3, 4]]))
    assert weight.grad.tolist() == [[1, 1], [2, 3]]


@pytest.mark.parametrize("index", [-1, 3])
def test_an_index_out_of_range_shortens_no_row(index):
    weight = tl.full((3, 2), 5.0)
    with pytest.raises(IndexError, match="index out of range in self"):
        F.embedding(tl.tensor([0, index]), weight, max_norm=1.0)
    assert (weight == 5).all()


@pytest.mark.parametrize("dtype", [tl.int64, tl.bool])
def test_dropout_of_integers_is_refused(dtype):
    with pytest.raises(RuntimeError, match="can't be cast"):
        F.dropout(tl.ones(3, dtype=dtype), 0.3)


def test_kl_div_of_a_zero_target_is_finite():
    assert F.kl_div(tl.tensor([-1.0, -2.0]), tl.tensor([0.0, 1.0]), reduction="sum").item() == 2.0


@pytest.mark.parametrize("loss", [F.mse_loss, F.l1_loss, F.smooth_l1_loss, F.huber_loss])
def test_a_loss_refuses_to_broadcast(loss):
    """torch warns and broadcasts (N, 1) against (N,) to (N, N); here that is an error."""
    with pytest.raises(RuntimeError, match="wrong loss without notice"):
        loss(tl.zeros(3, 1), tl.zeros(3))


def test_attention_of_rows_that_see_nothing():
    q, k, v = (tl.randn(2, 3, 4, dtype=tl.float64, requires_grad=True) for _ in range(3))
    mask = tl.tensor([[True, False, True], [False, False, False], [True, True, True]])
    out = F.scaled_dot_product_attention(q, k, v, mask)
    assert (out[:, 1] == 0).all()
    out.sum().backward()
    assert (q.grad[:, 1] == 0).all()
    assert all(bool(t.grad.isfinite().all()) for t in (q, k, v))


def test_normalize_at_zero_and_layer_norm_of_constants_are_finite():
    assert all(math.isfinite(g) for g in grad_at(lambda x: F.normalize(x, dim=0), [0.0, 0.0]))
    assert grad_at(lambda x: F.layer_norm(x, (3,)), [2.0, 2.0, 2.0]) == pytest.approx([0.0, 0.0, 0.0])


def test_batch_norm_running_statistics_follow_the_unbiased_variance():
    x = np.random.default_rng(0).normal(5, 2, (64, 3))
    mean, var = tl.zeros(3, dtype=tl.float64), tl.ones(3, dtype=tl.float64)
    F.batch_norm(tl.tensor(x), mean, var, training=True, momentum=1.0)
    np.testing.assert_allclose(mean.numpy(), x.mean(0))
    np.testing.assert_allclose(var.numpy(), x.var(0, ddof=1))


def test_variance_far_from_zero_is_computed_in_two_passes():
    x = (1e4 + np.random.default_rng(0).standard_normal((4096, 2))).astype(np.float32)
    y = F.batch_norm(tl.tensor(x), None, None, training=True)
    np.testing.assert_allclose(y.numpy().std(0), 1, atol=1e-3)


def test_empty_batches():
    assert F.linear(tl.zeros(0, 3), tl.zeros(2, 3), tl.zeros(2)).shape == (0, 2)
    assert F.layer_norm(tl.zeros(0, 3), (3,)).shape == (0, 3)
    assert F.conv1d(tl.zeros(0, 2, 5), tl.zeros(3, 2, 2)).shape == (0, 3, 4)
    weight = tl.ones(2, 3, requires_grad=True)
    F.linear(tl.zeros(0, 3), weight).sum().backward()
    assert weight.grad.tolist() == [[0.0] * 3] * 2
