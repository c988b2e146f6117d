import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorlite.kernels.loss import cross_entropy, cross_entropy_backward, cross_entropy_definition

from .arrays import assert_close, assert_vjp, column_counts, dtypes, layouts, normal, row_counts, seeds, wide

reductions = st.sampled_from(["none", "mean", "sum"])


@settings(max_examples=60, deadline=None)
@given(
    rows=row_counts,
    classes=column_counts,
    dtype=dtypes,
    layout=layouts,
    weighted=st.booleans(),
    ignored=st.booleans(),
    smoothing=st.sampled_from([0.0, 0.1, 1.0]),
    reduction=reductions,
    scale=st.sampled_from([1.0, 40.0]),
    seed=seeds,
)
def test_equals_its_definition_and_torch(
    rows, classes, dtype, layout, weighted, ignored, smoothing, reduction, scale, seed
):
    rng = np.random.default_rng(seed)
    logits = normal(seed, (rows, classes), dtype, layout) * dtype(scale)
    target = rng.integers(0, classes, rows)
    if ignored and rows > 1:
        target[rng.random(rows) < 0.3] = -100
        target[0] = 0
    weight = (rng.random(classes) + 0.1).astype(dtype) if weighted else None
    loss, logsumexp = cross_entropy(logits, target, weight, -100, smoothing, reduction)
    assert loss.dtype == dtype
    g = np.asarray(rng.standard_normal(loss.shape)).astype(dtype)
    got = cross_entropy_backward(g, logits, target, logsumexp, weight, -100, smoothing, reduction)
    assert got.dtype == dtype

    wide_weight = None if weight is None else wide(weight)[0]
    t = torch.tensor(wide(logits)[0], requires_grad=True)
    tw = None if weight is None else torch.tensor(wide_weight)
    options = {"weight": tw, "label_smoothing": smoothing, "reduction": reduction}
    expected = torch.nn.functional.cross_entropy(t, torch.tensor(target), **options)
    assert_close(loss, expected.detach().numpy(), factor=4)
    expected.backward(torch.tensor(wide(g)[0]))
    assert_close(got, t.grad.numpy(), factor=8)
    if rows:
        with np.errstate(all="ignore"):
            defined = cross_entropy_definition(*wide(logits), target, wide_weight, -100, smoothing, reduction)
        assert_close(loss, defined, factor=4)


@settings(max_examples=15, deadline=None)
@given(smoothing=st.sampled_from([0.0, 0.2]), reduction=reductions, seed=seeds)
def test_gradient(smoothing, reduction, seed):
    rng = np.random.default_rng(seed)
    logits, weight = normal(seed, (6, 5)), rng.random(5) + 0.1
    target = np.array([0, 4, -1, 2, 2, 1])
    loss, logsumexp = cross_entropy(logits, target, weight, -1, smoothing, reduction)
    g = np.asarray(rng.standard_normal(loss.shape))
    got = cross_entropy_backward(g, logits, target, logsumexp, weight, -1, smoothing, reduction)
    assert_vjp(lambda x: cross_entropy_definition(x, target, weight, -1, smoothing, reduction), [logits], g, [got])


def test_all_ignored_and_empty_batches_give_nan():
    logits = np.zeros((2, 3), np.float32)
    assert np.isnan(cross_entropy(logits, np.array([-100, -100]))[0])
    assert np.isnan(cross_entropy(logits[:0], np.array([], np.int64))[0])


def test_ignored_rows_get_no_gradient_even_from_infinite_logits():
    logits = np.array([[np.inf, 0.0], [0.0, 1.0]], np.float32)
    target = np.array([-100, 1])
    loss, logsumexp = cross_entropy(logits, target)
    d = cross_entropy_backward(np.float32(1), logits, target, logsumexp)
    assert np.isfinite(loss)
    assert not d[0].any()


@pytest.mark.parametrize("magnitude", [60.0, 80.0, 1e4])
def test_large_logits_lose_nothing(magnitude):
    logits = np.array([[magnitude, 0.0, -magnitude], [-magnitude, -magnitude - 1, -magnitude]], np.float32)
    target = np.array([1, 1])
    expected = torch.nn.functional.cross_entropy(torch.tensor(logits).double(), torch.tensor(target), reduction="none")
    np.testing.assert_allclose(cross_entropy(logits, target, reduction="none")[0], expected.numpy(), rtol=2e-7)


@pytest.mark.parametrize(
    ("dtype", "offset"), [(np.float16, 1e3), (np.float32, 1e4), (np.float32, -1e8), (np.float64, 1e300)]
)
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_probabilities_beside_a_large_offset(dtype, offset, smoothing):
    logits = (np.array([[0.0, 1, 2], [0, 0, 0], [-3, 5, 0]]) + offset).astype(dtype)
    target = np.array([2, 1, 0])
    t = torch.tensor(logits.astype(np.float64), requires_grad=True)
    expected = torch.nn.functional.cross_entropy(t, torch.tensor(target), label_smoothing=smoothing)
    expected.backward()
    loss, logsumexp = cross_entropy(logits, target, label_smoothing=smoothing)
    got = cross_entropy_backward(np.ones((), dtype), logits, target, logsumexp, label_smoothing=smoothing)
    tolerance = 8 * np.finfo(dtype).eps
    np.testing.assert_allclose(loss, expected.detach().numpy(), rtol=tolerance)
    np.testing.assert_allclose(got, t.grad.numpy(), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_a_mean_over_weights_of_zero_is_nan(smoothing):
    logits, target = np.zeros((2, 3)), np.array([1, 1])
    assert np.isnan(cross_entropy(logits, target, np.array([1.0, 0, 1]), label_smoothing=smoothing)[0])


def test_a_target_out_of_range_is_named():
    with pytest.raises(IndexError, match="Target 3 is out of bounds"):
        cross_entropy(np.zeros((2, 3)), np.array([0, 3]))
    with pytest.raises(IndexError, match="Target -1 is out of bounds"):
        cross_entropy(np.zeros((2, 3)), np.array([0, -1]))
    with pytest.raises(ValueError, match="integer targets"):
        cross_entropy(np.zeros((2, 3)), np.zeros(2))
    with pytest.raises(ValueError, match=r"logits \(N, C\)"):
        cross_entropy(np.zeros((2, 3)), np.zeros(3, np.int64))
