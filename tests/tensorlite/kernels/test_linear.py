import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorlite.kernels import linear as kernels

from .arrays import assert_close, assert_vjp, dtypes, layouts, normal, row_counts, seeds, wide

ACTIVATIONS = {
    None: lambda z: z,
    "relu": torch.relu,
    "gelu": torch.nn.functional.gelu,
    "gelu_tanh": lambda z: torch.nn.functional.gelu(z, approximate="tanh"),
}
activations = st.sampled_from(list(ACTIVATIONS))


@settings(max_examples=50, deadline=None)
@given(
    rows=row_counts,
    sizes=st.sampled_from([(1, 1), (3, 17), (17, 3), (64, 65), (0, 4), (4, 0)]),
    dtype=dtypes,
    layout=layouts,
    biased=st.booleans(),
    activation=activations,
    seed=seeds,
)
def test_equals_its_definition_and_torch(rows, sizes, dtype, layout, biased, activation, seed):
    n_in, n_out = sizes
    x, g = normal(seed, (rows, 2, n_in), dtype, layout), normal(seed + 1, (rows, 2, n_out), dtype, layout)
    weight = normal(seed + 2, (n_out, n_in), dtype, layout)
    bias = normal(seed + 3, (n_out,), dtype) if biased else None
    held = np.empty((rows, 2, n_out), dtype)
    y = kernels.linear(x, weight, bias, activation, preactivation=held)
    saved = y if activation == "relu" else held
    got = kernels.linear_backward(g, x, weight, activation, saved)
    assert {a.dtype for a in (y, *got)} == {np.dtype(dtype)}
    wide_bias = wide(bias)[0] if biased else np.zeros(n_out)
    factor = 1 if dtype != np.float16 else 4  # the preactivation itself is rounded to float16
    assert_close(y, kernels.linear_definition(*wide(x, weight), wide_bias, activation), 4 * factor)

    operands = [torch.tensor(a, requires_grad=True) for a in (*wide(x, weight), wide_bias)]
    ACTIVATIONS[activation](torch.nn.functional.linear(*operands)).backward(torch.tensor(wide(g)[0]))
    for array, operand in zip(got, operands, strict=True):
        assert_close(array, operand.grad.numpy(), 8 * factor)


@settings(max_examples=10, deadline=None)
@given(activation=activations, seed=seeds)
def test_gradient(activation, seed):
    x, weight, bias, g = (normal(seed + i, s) for i, s in enumerate([(4, 5), (3, 5), (3,), (4, 3)]))
    held = np.empty((4, 3))
    y = kernels.linear(x, weight, bias, activation, preactivation=held)
    got = kernels.linear_backward(g, x, weight, activation, y if activation == "relu" else held)
    assert_vjp(lambda *a: kernels.linear_definition(*a, activation), [x, weight, bias], g, got)


def test_gradients_that_nobody_needs_are_not_computed():
    x, weight, g = normal(0, (4, 5)), normal(1, (3, 5)), normal(2, (4, 3))
    dx, dweight, dbias = kernels.linear_backward(g, x, weight, needs=(False, True, False))
    assert dx is None
    assert dbias is None
    assert_close(dweight, g.T @ x)


def test_a_bias_gradient_over_many_rows_keeps_float64_quality():
    g = np.full((2**20, 3), 0.1, np.float32)
    np.testing.assert_allclose(kernels.sum_rows(g), np.float64(np.float32(0.1)) * 2**20, rtol=2e-6)


def test_errors_name_the_shapes():
    with pytest.raises(ValueError, match=r"got \(2, 3\) and \(4, 5\)"):
        kernels.linear(np.ones((2, 3)), np.ones((4, 5)))
    with pytest.raises(ValueError, match="needs the array saved"):
        kernels.activation_backward(np.ones(3), "relu", None)
