import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorlite.kernels import gelu as kernels

from .arrays import assert_close, assert_vjp, dtypes, layouts, normal, row_counts, seeds, wide

forms = st.sampled_from(["none", "tanh"])


@pytest.mark.parametrize(("dtype", "error"), [(np.float32, 1e-6), (np.float64, 4e-16)])
def test_erf_error(dtype, error):
    x = np.linspace(-7, 7, 20_001).astype(dtype)
    exact = np.array([math.erf(v) for v in x.astype(np.float64)])
    assert np.abs(kernels.erf(x) - exact).max() <= error
    assert np.abs(kernels.erf(x)).max() <= 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_erf_at_special_points(dtype):
    x = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e30, -1e30, 1e-30], dtype)
    y = kernels.erf(x)
    assert y.dtype == dtype
    np.testing.assert_allclose(y, [0, 0, 1, -1, np.nan, 1, -1, 2e-30 / math.sqrt(math.pi)], rtol=1e-6)
    np.testing.assert_array_equal(np.signbit(y[:4]), [False, True, False, True])


@settings(max_examples=40, deadline=None)
@given(
    rows=row_counts,
    dtype=dtypes,
    layout=layouts,
    form=forms,
    scale=st.sampled_from([0.01, 1.0, 8.0]),
    seed=seeds,
)
def test_gelu_equals_its_definition_and_torch(rows, dtype, layout, form, scale, seed):
    x = normal(seed, (rows, 300), dtype, layout) * dtype(scale)
    g = normal(seed + 1, x.shape, dtype, layout)
    y, derivative = kernels.gelu_with_derivative(x, form)
    d = kernels.gelu_backward(g, x, form, derivative)
    assert y.dtype == d.dtype == derivative.dtype == dtype
    np.testing.assert_array_equal(y, kernels.gelu(x, form))
    assert_close(y, kernels.gelu_definition(*wide(x), form))
    t = torch.tensor(wide(x)[0], requires_grad=True)
    torch.nn.functional.gelu(t, approximate=form).backward(torch.tensor(wide(g)[0]))
    assert_close(d, t.grad.numpy(), 2)
    assert_close(kernels.gelu_backward(g, x, form), t.grad.numpy(), 2)


@pytest.mark.parametrize("form", ["none", "tanh"])
def test_float32_error_over_the_whole_line(form):
    x = np.r_[np.linspace(-12, 12, 100_001), 1e4, -1e4, 1e18, -1e18, 0.0].astype(np.float32)
    y, derivative = kernels.gelu_with_derivative(x, form)
    t = torch.tensor(x.astype(np.float64), requires_grad=True)
    expected = torch.nn.functional.gelu(t, approximate=form)
    expected.sum().backward()
    scale = np.maximum(1, np.abs(x.astype(np.float64)))
    assert (np.abs(y - expected.detach().numpy()) <= 5e-7 * scale).all()
    assert (np.abs(derivative - t.grad.numpy()) <= 3e-6).all()


@settings(max_examples=10, deadline=None)
@given(form=forms, seed=seeds)
def test_gradient(form, seed):
    x, g = normal(seed, (5, 7)) * 2, normal(seed + 1, (5, 7))
    assert_vjp(lambda a: kernels.gelu_definition(a, form), [x], g, [kernels.gelu_backward(g, x, form)])


def test_an_unknown_form_is_refused():
    with pytest.raises(ValueError, match="'none' or 'tanh', got 'sigmoid'"):
        kernels.gelu(np.ones(3), "sigmoid")
