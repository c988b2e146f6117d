import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import tensorlite as tl
import tensorlite.nn.functional as F
from tensorlite.kernels import attention as kernels

from .arrays import assert_close, assert_vjp, dtypes, layouts, normal, seeds, wide

lengths = st.sampled_from([(1, 1), (1, 9), (5, 3), (17, 17), (130, 140), (64, 700)])
heads = st.sampled_from([(1, 1), (4, 4), (4, 2), (6, 1)])
masks = st.sampled_from([None, "boolean", "keys", "additive", "very negative", "row"])


def make_mask(kind, seed, batch, n_heads, tq, tk, dtype):
    rng = np.random.default_rng(seed)
    if kind == "boolean":
        return rng.random((batch, n_heads, tq, tk)) < 0.7
    if kind == "keys":  # padding: the same keys for every head and query
        return rng.random((batch, 1, 1, tk)) < 0.7
    if kind == "additive":
        return rng.standard_normal((n_heads, tq, tk)).astype(dtype)
    if kind == "very negative":
        return np.where(rng.random((tq, tk)) < 0.5, 0, -np.inf).astype(dtype)
    if kind == "row":
        return np.arange(tq)[:, None] % 2 == np.zeros(tk)
    return None


@settings(max_examples=80, deadline=None)
@given(
    length=lengths,
    head=heads,
    kind=masks,
    causal=st.booleans(),
    offset=st.sampled_from([-2, 0, 3]),
    scale=st.sampled_from([None, 0.3, 40.0]),
    dtype=dtypes,
    layout=layouts,
    seed=seeds,
)
def test_equals_its_definition_and_torch(length, head, kind, causal, offset, scale, dtype, layout, seed):
    (tq, tk), (n_heads, n_key_heads), batch, d = length, head, 2, 8
    q, g = (normal(seed + i, (batch, n_heads, tq, d), dtype, layout) for i in (0, 1))
    k, v = (normal(seed + i, (batch, n_key_heads, tk, d), dtype, layout) for i in (2, 3))
    mask = make_mask(kind, seed, batch, n_heads, tq, tk, dtype)
    out, logsumexp = kernels.attention(q, k, v, mask, causal, scale, causal_offset=offset)
    got = kernels.attention_backward(g, q, k, v, out, logsumexp, mask, causal, scale, causal_offset=offset)
    assert {a.dtype for a in (out, *got)} == {np.dtype(dtype)}
    assert logsumexp.dtype == (np.float32 if dtype == np.float16 else dtype)
    assert logsumexp.shape == q.shape[:-1]

    expected = kernels.attention_definition(*wide(q, k, v), mask, causal, scale, causal_offset=offset)
    factor = 10 if scale == 40 else 1  # sharp rows magnify the rounding of the scores
    assert_close(out, expected, 4 * factor)

    part = np.ones((tq, tk), bool) if not causal else np.tri(tq, tk, offset, bool)
    added = np.where(part, 0.0, -np.inf)
    if mask is not None:
        added = added + (np.where(mask, 0.0, -np.inf) if mask.dtype == bool else mask.astype(np.float64))
    empty = np.broadcast_to((added == -np.inf).all(-1), q.shape[:-1])
    assert not out[empty].any()
    assert np.isposinf(logsumexp[empty]).all()
    assert not got[0][empty].any()

    operands = [torch.tensor(a, requires_grad=True) for a in wide(q, k, v)]
    tq_, tk_, tv_ = operands
    groups = n_heads // n_key_heads
    scores = tq_ @ tk_.repeat_interleave(groups, 1).transpose(-1, -2)
    scores = scores * (scale or 1 / math.sqrt(d)) + torch.tensor(np.maximum(added, -1e30))
    p = torch.softmax(scores, -1) * torch.tensor(~empty)[..., None]
    (p @ tv_.repeat_interleave(groups, 1)).backward(torch.tensor(wide(g)[0]))
    if dtype == np.float16:
        factor *= 4
    for array, operand in zip(got, operands, strict=True):
        assert_close(array, operand.grad.numpy(), 40 * factor)


@settings(max_examples=40, deadline=None)
@given(
    length=st.sampled_from([(1, 1), (1, 9), (5, 3), (17, 17), (64, 64), (100, 120), (130, 140)]),
    head=heads,
    d=st.sampled_from([8, 32, 40]),
    kind=masks,
    causal=st.booleans(),
    scale=st.sampled_from([None, 0.3, 40.0]),
    dtype=dtypes,
    layout=layouts,
    seed=seeds,
)
def test_kept_exponentials_give_what_computing_them_again_gives(
    length, head, d, kind, causal, scale, dtype, layout, seed
):
    (tq, tk), (n_heads, n_key_heads), batch = length, head, 2
    q, g = (normal(seed + i, (batch, n_heads, tq, d), dtype, layout) for i in (0, 1))
    k, v = (normal(seed + i, (batch, n_key_heads, tk, d), dtype, layout) for i in (2, 3))
    mask = make_mask(kind, seed, batch, n_heads, tq, tk, dtype)
    out, logsumexp = kernels.attention(q, k, v, mask, causal, scale)
    same, same_logsumexp, kept = kernels.attention_with_exponentials(q, k, v, mask, causal, scale)
    assert_close(same, out)
    assert_close(same_logsumexp, logsumexp)
    again = kernels.attention_backward(g, q, k, v, out, logsumexp, mask, causal, scale)
    found = kernels.attention_backward(g, q, k, v, out, logsumexp, mask, causal, scale, kept=kept)
    for ours, theirs in zip(found, again, strict=True):
        assert_close(ours, theirs, 20)


def test_exponentials_are_kept_of_short_sequences_with_ordinary_scores_alone():
    def kept(length, d, size=1.0, **options):
        q = normal(0, (2, 4, length, d), np.float32) * size
        return kernels.attention_with_exponentials(q, q, q, **options)[2]

    short = kept(16, 8)
    assert short.shape == (2, 4, 1, 16, 16)
    assert short.size <= 4 * 2 * 4 * 16 * 8
    assert kept(64, 16, causal=True) is not None
    assert kept(65, 16) is None  # more numbers than q, k, v and the output have
    assert kept(16, 8, size=10) is None  # logarithms of sums near 300
    assert kept(16, 8, dropout=0.1) is None


def test_what_is_kept_is_reported_and_freed():
    q = tl.randn(2, 4, 16, 8).requires_grad_()
    out = F.scaled_dot_product_attention(q, q, q)
    (row,) = (r for r in tl.autograd.memory_report(out).rows if "attention" in r.op)
    sizes = {"logsumexp": 2 * 4 * 16, "exponentials": 2 * 4 * 16 * 16, "out": 2 * 4 * 16 * 8}
    assert row.bytes == 4 * sum(sizes.values())
    out.backward(tl.ones_like(out))
    with pytest.raises(RuntimeError, match="second time"):
        out.backward(tl.ones_like(out))


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("shape", [(7, 4), (3, 7, 4), (2, 3, 7, 4), (2, 2, 3, 7, 4)])
def test_any_number_of_leading_axes_matches_torch(shape, causal):
    q, k, v, g = (normal(i, shape, np.float32) for i in range(4))
    operands = [torch.tensor(a, requires_grad=True) for a in (q, k, v)]
    expected = torch.nn.functional.scaled_dot_product_attention(*operands, is_causal=causal)
    expected.backward(torch.tensor(g))
    out, logsumexp = kernels.attention(q, k, v, causal=causal)
    assert_close(out, expected.detach().numpy())
    for array, operand in zip(
        kernels.attention_backward(g, q, k, v, out, logsumexp, causal=causal), operands, strict=True
    ):
        assert_close(array, operand.grad.numpy(), 4)


@settings(max_examples=10, deadline=None)
@given(causal=st.booleans(), kind=st.sampled_from([None, "keys", "additive"]), seed=seeds)
def test_gradient(causal, kind, seed):
    q, g = normal(seed, (1, 4, 6, 3)), normal(seed + 1, (1, 4, 6, 3))
    k, v = normal(seed + 2, (1, 2, 5, 3)), normal(seed + 3, (1, 2, 5, 3))
    mask = make_mask(kind, seed, 1, 4, 6, 5, np.float64)
    out, logsumexp = kernels.attention(q, k, v, mask, causal)
    got = kernels.attention_backward(g, q, k, v, out, logsumexp, mask, causal)
    assert_vjp(lambda *a: kernels.attention_definition(*a, mask, causal), [q, k, v], g, got)


@pytest.mark.parametrize(("tq", "tk"), [(5, 6), (200, 1100)])
def test_dropout_drops_the_same_probabilities_in_both_passes(tq, tk):
    d, p, seed = 4, 0.3, 11
    q, k, g = normal(0, (1, 2, tq, d)), normal(1, (1, 2, tk, d)), normal(2, (1, 2, tq, d))
    v = normal(3, (1, 2, tk, d))
    # With equal scores and values of the identity, the output is the mask itself.
    revealed, _ = kernels.attention(
        np.zeros_like(q), np.zeros_like(k), np.broadcast_to(np.eye(tk), (1, 2, tk, tk)), dropout=p, seed=seed
    )
    keep = revealed > 0
    np.testing.assert_allclose(revealed[keep], 1 / tk / (1 - p))
    if tq * tk > 1000:
        assert abs(keep.mean() - (1 - p)) < 4 * math.sqrt(p * (1 - p) / keep.size)
    out, logsumexp = kernels.attention(q, k, v, dropout=p, seed=seed)
    assert_close(out, kernels.attention_definition(q, k, v, keep=keep, dropout=p), 10)
    got = kernels.attention_backward(g, q, k, v, out, logsumexp, dropout=p, seed=seed)
    assert_vjp(lambda *a: kernels.attention_definition(*a, keep=keep, dropout=p), [q, k, v], g, got)
    assert (kernels.attention(q, k, v, dropout=p, seed=seed + 1)[0] != out).any()


def test_masked_keys_may_hold_anything_finite():
    q, k, v = (normal(i, (1, 1, 6, 4), np.float32) for i in range(3))
    mask = np.array([True, True, True, True, False, False])
    spoiled_k, spoiled_v = k.copy(), v.copy()
    spoiled_k[..., 4:, :], spoiled_v[..., 4:, :] = 1e18, 7
    assert_close(kernels.attention(q, spoiled_k, spoiled_v, mask)[0], kernels.attention(q, k, v, mask)[0])


def test_no_keys_give_zero():
    q, g = normal(0, (1, 2, 3, 4)), normal(1, (1, 2, 3, 4))
    k = v = np.zeros((1, 2, 0, 4))
    out, logsumexp = kernels.attention(q, k, v)
    dq, dk, dv = kernels.attention_backward(g, q, k, v, out, logsumexp)
    assert not out.any()
    assert not dq.any()
    assert dk.shape == dv.shape == k.shape


def test_the_output_keeps_the_layout_of_its_queries():
    """Heads split off a (B, T, H d) array merge again as a view."""
    x = normal(0, (2, 5, 3, 4)).transpose(0, 2, 1, 3)
    out, _ = kernels.attention(x, x, x)
    assert out.transpose(0, 2, 1, 3).flags.c_contiguous


def test_errors_name_the_shapes():
    q = np.ones((1, 4, 3, 2))
    with pytest.raises(ValueError, match="multiple"):
        kernels.attention(q, np.ones((1, 3, 3, 2)), np.ones((1, 3, 3, 2)))
    with pytest.raises(ValueError, match=r"k \(1, 4, 3, 5\)"):
        kernels.attention(q, np.ones((1, 4, 3, 5)), q)
    with pytest.raises(ValueError, match="dropout"):
        kernels.attention(q, q, q, dropout=1.0)
    with pytest.raises(ValueError, match=r"broadcastable to \(1, 4, 3, 3\), got \(2, 3\)"):
        kernels.attention(q, q, q, np.ones((2, 3), np.bool_))


@pytest.mark.parametrize("shape", [(3, 4, 1, 8), (2, 1, 5), (1, 8, 1, 64)])
@pytest.mark.parametrize("keys", [1, 7, 200])
def test_one_query_sees_all_keys(shape, keys):
    if len(shape) == 3:
        shape = (shape[0], 1, shape[2])
    rng = np.random.default_rng(keys)
    q = rng.standard_normal(shape) * 30  # scores that overflow without their maximum
    k, v = (rng.standard_normal((*shape[:-2], keys, shape[-1])) for _ in range(2))
    g = rng.standard_normal(shape)
    tensors = [torch.tensor(a, requires_grad=True) for a in (q, k, v)]
    expected = torch.nn.functional.scaled_dot_product_attention(*tensors)
    expected.backward(torch.tensor(g))
    out, logsumexp = kernels.attention(q, k, v)
    np.testing.assert_allclose(out, expected.detach().numpy(), rtol=1e-9, atol=1e-12)
    for ours, theirs in zip(kernels.attention_backward(g, q, k, v, out, logsumexp), tensors, strict=True):
        np.testing.assert_allclose(ours, theirs.grad.numpy(), rtol=1e-7, atol=1e-9)
    causal, _ = kernels.attention(q, k, v, causal=True)  # the first query sees the first key alone
    np.testing.assert_allclose(causal, v[..., :1, :], rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_causality_excludes_may_overflow(dtype):
    rng = np.random.default_rng(0)
    q, k, v, g = (rng.standard_normal((2, 8, 4)).astype(dtype) for _ in range(4))
    q[:, :-1], q[:, -1] = abs(q[:, :-1]) + 1, 0
    k[:, -1] = 1e4  # seen by the last query alone, for which its score is 0
    out, logsumexp = kernels.attention(q, k, v, causal=True)
    visible = np.tri(8, dtype=bool)
    expected, same = kernels.attention(q, k, v, visible)
    np.testing.assert_allclose(out, kernels.attention_definition(q, k, v, causal=True), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(logsumexp, same, rtol=1e-5, atol=1e-6)
    found = kernels.attention_backward(g, q, k, v, out, logsumexp, causal=True)
    wanted = kernels.attention_backward(g, q, k, v, expected, same, visible)
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5 * np.abs(b).max())


def _gradients_by_torch(
    q: np.ndarray, k: np.ndarray, v: np.ndarray, g: np.ndarray, mask: np.ndarray | None
) -> list[np.ndarray]:
    """In float64, from the whole matrix of probabilities."""
    wide = [torch.tensor(a.astype(np.float64), requires_grad=True) for a in (q, k, v)]
    scores = wide[0] @ wide[1].transpose(-1, -2) / q.shape[-1] ** 0.5
    if mask is not None:
        scores = scores + torch.tensor(mask.astype(np.float64))
    (scores.softmax(-1) @ wide[2]).backward(torch.tensor(g.astype(np.float64)))
    return [a.grad.numpy() for a in wide]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_equal_scores_next_to_which_the_logarithm_of_their_number_vanishes(dtype: type) -> None:
    rng = np.random.default_rng(0)
    size = 100 if dtype == np.float16 else 1e3
    q, k = np.full((1, 2, 5, 4), size, dtype), np.full((1, 2, 6, 4), size, dtype)
    v, g = rng.standard_normal((1, 2, 6, 4)).astype(dtype), rng.standard_normal((1, 2, 5, 4)).astype(dtype)
    out, logsumexp = kernels.attention(q, k, v)
    found = kernels.attention_backward(g, q, k, v, out, logsumexp)[2]
    np.testing.assert_allclose(found, _gradients_by_torch(q, k, v, g, None)[2], rtol=5e-3 if dtype == np.float16 else 1e-4, atol=1e-3 if dtype == np.float16 else 1e-6)  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_wholly_masked_by_the_lowest_finite_number_share_their_gradient_equally(dtype: type) -> None:
    rng = np.random.default_rng(1)
    q, g, k, v = (rng.standard_normal((2, 3, t, 4)).astype(dtype) for t in (5, 5, 6, 6))
    mask = np.zeros((5, 6), dtype)
    mask[2], mask[0, 3:] = np.finfo(dtype).min, np.finfo(dtype).min
    out, logsumexp = kernels.attention(q, k, v, mask)
    found = kernels.attention_backward(g, q, k, v, out, logsumexp, mask)
    # Beside that number scores vanish: the masked row gives uniform weights, and v its share of the cotangent.
    expected = _gradients_by_torch(q, k, v, g, np.where(mask < 0, -1e300, 0))
    np.testing.assert_allclose(found[2], expected[2], rtol=1e-4, atol=1e-5)


def test_gradients_of_float16_are_as_exact_as_its_rounding_where_scores_are_large() -> None:
    rng = np.random.default_rng(2)
    q, g, k, v = ((rng.standard_normal((1, 2, t, 4)) * c).astype(np.float16) for t, c in ((9, 4), (9, 1), (7, 4), (7, 1)))  # fmt: skip
    out, logsumexp = kernels.attention(q, k, v)
    assert logsumexp.dtype == np.float32
    for found, expected in zip(
        kernels.attention_backward(g, q, k, v, out, logsumexp), _gradients_by_torch(q, k, v, g, None), strict=True
    ):
        np.testing.assert_allclose(found, expected, atol=4e-3 * np.abs(expected).max())


def test_large_scores_and_large_values_do_not_overflow_before_they_are_averaged() -> None:
    q, k = np.full((1, 1, 5, 4), 5, np.float32), np.full((1, 1, 6, 4), 5, np.float32)
    v = np.arange(1, 25, dtype=np.float32).reshape(1, 1, 6, 4) * np.float32(1e20)
    np.testing.assert_allclose(kernels.attention(q, k, v)[0][0, 0, 0], v[0, 0].mean(0), rtol=1e-5)


@pytest.mark.parametrize("causal", [False, True])
def test_heads_without_features_average_their_values(causal: bool) -> None:
    v = np.random.default_rng(3).standard_normal((1, 2, 4, 3)).astype(np.float32)
    out = F.scaled_dot_product_attention(tl.zeros(1, 2, 4, 0), tl.zeros(1, 2, 4, 0), tl.tensor(v), is_causal=causal)
    expected = (
        np.cumsum(v, 2) / np.arange(1, 5)[:, None] if causal else np.broadcast_to(v.mean(2, keepdims=True), v.shape)
    )
    np.testing.assert_allclose(out.numpy(), expected, rtol=1e-5, atol=1e-6)
