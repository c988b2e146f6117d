import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorlite.kernels import softmax as kernels

from .arrays import assert_close, assert_vjp, column_counts, dtypes, layouts, normal, row_counts, seeds, wide

PAIRS = [
    (kernels.softmax, kernels.softmax_definition, kernels.softmax_backward, kernels.softmax_backward_definition),
    (
        kernels.log_softmax,
        kernels.log_softmax_definition,
        kernels.log_softmax_backward,
        kernels.log_softmax_backward_definition,
    ),
]


@pytest.mark.parametrize(("forward", "definition", "backward", "backward_definition"), PAIRS)
@settings(max_examples=30, deadline=None)
@given(
    rows=row_counts,
    columns=column_counts,
    dtype=dtypes,
    layout=layouts,
    axis=st.sampled_from([-1, 0, 1, 2]),
    scale=st.sampled_from([1.0, 30.0, 200.0]),
    seed=seeds,
)
def test_equals_its_definition(
    forward, definition, backward, backward_definition, rows, columns, dtype, layout, axis, scale, seed
):
    shape = (rows, 2, columns)
    if not shape[axis]:
        return
    x = normal(seed, shape, dtype, layout) * dtype(scale)
    g = normal(seed + 1, shape, dtype, layout)
    y = forward(x, axis)
    assert y.dtype == dtype
    assert_close(y, definition(*wide(x), axis))
    d = backward(g, y, axis)
    assert d.dtype == dtype
    assert_close(d, backward_definition(*wide(g, y), axis))
    out = np.empty((rows, 2, 2 * columns), dtype)[..., ::2]
    assert forward(x, axis, out=out) is out
    np.testing.assert_array_equal(out, y)


@pytest.mark.parametrize(("forward", "definition", "backward", "_"), PAIRS)
@given(columns=column_counts, seed=seeds)
@settings(max_examples=15, deadline=None)
def test_gradient(forward, definition, backward, _, columns, seed):
    x, g = normal(seed, (5, columns)), normal(seed + 1, (5, columns))
    assert_vjp(definition, [x], g, [backward(g, forward(x))])


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize(
    "row",
    [
        [0.0, -np.inf, 1.0],
        [-np.inf] * 3,
        [1000.0, 1000.0, 0.0],
        [-1000.0, -1001.0, -np.inf],
        [np.nan, 0.0, 1.0],
        [np.inf, 0.0, 1.0],
        [80.0, -80.0, 79.0],
    ],
)
def test_special_rows_are_those_of_torch(name, row):
    x = np.array([row, [0.1, 0.2, 0.3]], np.float32)
    expected = getattr(torch, name)(torch.tensor(x), -1).numpy()
    np.testing.assert_allclose(getattr(kernels, name)(x), expected, rtol=2e-6, atol=1e-7)


def test_a_row_far_below_the_others_of_its_block_keeps_its_precision():
    x = np.random.default_rng(0).standard_normal((64, 32)).astype(np.float32)
    x[3] -= 500
    x[5] += 50
    np.testing.assert_allclose(kernels.softmax(x), kernels.softmax_definition(x.astype(np.float64)), rtol=5e-6)


def test_against_torch():
    x, g = normal(0, (9, 130), np.float32), normal(1, (9, 130), np.float32)
    t = torch.tensor(x, requires_grad=True)
    y = torch.softmax(t, -1)
    y.backward(torch.tensor(g))
    assert_close(kernels.softmax(x), y.detach().numpy())
    assert_close(kernels.softmax_backward(g, kernels.softmax(x)), t.grad.numpy())
