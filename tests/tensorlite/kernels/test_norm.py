import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorlite.kernels import norm

from .arrays import assert_close, assert_vjp, dtypes, layouts, normal, row_counts, seeds, wide

widths = st.sampled_from([2, 15, 16, 64, 65, 300])
offsets = st.sampled_from([0.0, 0.5, 3.0, 30.0])


@settings(max_examples=50, deadline=None)
@given(rows=row_counts, columns=widths, dtype=dtypes, layout=layouts, affine=st.booleans(), offset=offsets, seed=seeds)
def test_layer_norm_equals_its_definition_and_torch(rows, columns, dtype, layout, affine, offset, seed):
    x = normal(seed, (rows, 2, columns), dtype, layout) + dtype(offset)
    g = normal(seed + 1, x.shape, dtype, layout)
    weight, bias = (normal(seed + i, (columns,), dtype) if affine else None for i in (2, 3))
    out, mean, rstd = norm.layer_norm(x, weight, bias, 1e-3)
    dx, dweight, dbias = norm.layer_norm_backward(g, x, mean, rstd, weight)
    assert {a.dtype for a in (out, dx, dweight, dbias)} == {np.dtype(dtype)}
    assert mean.dtype == rstd.dtype == np.result_type(dtype, np.float32)
    assert mean.shape == rstd.shape == (rows, 2)
    factor = 1 + offset  # the rounding of x itself grows with the offset
    wide_affine = wide(weight, bias) if affine else [None, None]
    assert_close(out, norm.layer_norm_definition(*wide(x), *wide_affine, 1e-3), factor)

    tx = torch.tensor(wide(x)[0], requires_grad=True)
    tw = torch.tensor(wide_affine[0] if affine else np.ones(columns), requires_grad=True)
    tb = torch.tensor(wide_affine[1] if affine else np.zeros(columns), requires_grad=True)
    torch.nn.functional.layer_norm(tx, (columns,), tw, tb, 1e-3).backward(torch.tensor(wide(g)[0]))
    steep = 8 if columns > 2 else 40  # two columns: dx is a small difference of large terms
    assert_close(dx, tx.grad.numpy(), factor * steep)
    assert_close(dweight, tw.grad.numpy(), factor * 8)
    assert_close(dbias, tb.grad.numpy(), factor * 8)


@settings(max_examples=30, deadline=None)
@given(rows=row_counts, columns=widths, dtype=dtypes, layout=layouts, affine=st.booleans(), seed=seeds)
def test_rms_norm_equals_its_definition_and_torch(rows, columns, dtype, layout, affine, seed):
    x, g = normal(seed, (rows, columns), dtype, layout), normal(seed + 1, (rows, columns), dtype, layout)
    weight = normal(seed + 2, (columns,), dtype) if affine else None
    out, rstd = norm.rms_norm(x, weight, 1e-3)
    dx, dweight = norm.rms_norm_backward(g, x, rstd, weight)
    assert {a.dtype for a in (out, dx, dweight)} == {np.dtype(dtype)}
    assert rstd.dtype == np.result_type(dtype, np.float32)
    wide_weight = wide(weight)[0] if affine else np.ones(columns)
    assert_close(out, norm.rms_norm_definition(*wide(x), wide_weight, 1e-3))
    tx, tw = torch.tensor(wide(x)[0], requires_grad=True), torch.tensor(wide_weight, requires_grad=True)
    torch.nn.functional.rms_norm(tx, (columns,), tw, 1e-3).backward(torch.tensor(wide(g)[0]))
    assert_close(dx, tx.grad.numpy(), 8 if columns > 2 else 40)
    assert_close(dweight, tw.grad.numpy(), 8)


@settings(max_examples=10, deadline=None)
@given(columns=st.sampled_from([3, 17]), seed=seeds)
def test_gradients(columns, seed):
    x, weight, bias, g = (
        normal(seed + i, s) for i, s in enumerate([(4, columns), (columns,), (columns,), (4, columns)])
    )
    _, mean, rstd = norm.layer_norm(x, weight, bias)
    assert_vjp(
        norm.layer_norm_definition, [x, weight, bias], g, norm.layer_norm_backward(g, x, mean, rstd, weight), 1e-5
    )
    _, rstd = norm.rms_norm(x, weight)
    assert_vjp(norm.rms_norm_definition, [x, weight], g, norm.rms_norm_backward(g, x, rstd, weight), 1e-5)


@pytest.mark.parametrize("offset", [1e2, 1e4])
def test_a_large_mean_does_not_cancel(offset):
    x = (np.random.default_rng(0).standard_normal((64, 256)) + offset).astype(np.float32)
    out, _, rstd = norm.layer_norm(x)
    exact = x.astype(np.float64)
    np.testing.assert_allclose(rstd, 1 / np.sqrt(exact.var(-1) + 1e-5), rtol=1e-5)
    assert np.abs(out - norm.layer_norm_definition(exact)).max() < offset * 1e-6


def test_constant_rows_give_zero_and_finite_gradients():
    x, g = np.full((3, 64), 7.3, np.float32), normal(0, (3, 64), np.float32)
    out, mean, rstd = norm.layer_norm(x)
    np.testing.assert_allclose(out, 0, atol=1e-3)
    assert all(np.isfinite(a).all() for a in norm.layer_norm_backward(g, x, mean, rstd))


@pytest.mark.parametrize("rows", [2, 40])
@pytest.mark.parametrize("eps", [1e-5, 1e-12])
@pytest.mark.parametrize("value", [0.1, 1e4 / 3, 1.7e9])
def test_a_constant_row_has_no_deviation_from_its_mean(rows, eps, value):
    out, mean, _ = norm.layer_norm(np.full((rows, 768), value, np.float32), eps=eps)
    np.testing.assert_allclose(out, 0, atol=1e-4)
    np.testing.assert_allclose(mean, np.float32(value), rtol=1e-7)
