import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorlite.kernels import reduce as kernels

from .arrays import assert_close, dtypes, layouts, normal, seeds

shapes = st.sampled_from(
    [(), (1,), (0,), (5,), (3, 0, 2), (4, 1, 7), (3, 5, 2, 6), (2, 40_000), (40_000, 2), (3, 20_000, 2)]
)


@settings(max_examples=80, deadline=None)
@given(
    shape=shapes,
    data=st.data(),
    dtype=dtypes,
    layout=layouts,
    keepdims=st.booleans(),
    offset=st.sampled_from([0, 3]),
    seed=seeds,
)
@pytest.mark.filterwarnings("ignore:Mean of empty slice")
def test_equals_its_definition(shape, data, dtype, layout, keepdims, offset, seed):
    axes = (
        data.draw(st.none() | st.sets(st.integers(0, max(len(shape) - 1, 0)), min_size=1).map(tuple)) if shape else None
    )
    x = normal(seed, shape, dtype, layout) + dtype(offset)
    x = np.asarray(x)
    with np.errstate(all="ignore"):
        for kernel, definition in (
            (kernels.sum, kernels.sum_definition),
            (kernels.mean, kernels.mean_definition),
        ):
            if dtype == np.float16 and kernel is kernels.sum and x.size > 1000:
                continue  # the sum itself leaves float16
            y = kernel(x, axes, keepdims)
            assert y.dtype == dtype
            assert_close(y, definition(x.astype(np.float64), axes, keepdims), 0.2 if dtype == np.float32 else 1)
        y = kernels.var(x, axes, 1, keepdims)
        assert y.dtype == dtype
        assert_close(y, kernels.var_definition(x.astype(np.float64), axes, 1, keepdims), 1)


@pytest.mark.parametrize("axes", [None, 0, 1, (0, 1), (0, 2), (1, 2), -1])
def test_against_torch(axes):
    x = normal(0, (4, 5, 6))
    dims = tuple(range(3)) if axes is None else axes
    t = torch.tensor(x)
    assert_close(kernels.sum(x, axes), t.sum(dims).numpy())
    assert_close(kernels.mean(x, axes), t.mean(dims).numpy())
    assert_close(kernels.var(x, axes), t.var(dims).numpy())


@pytest.mark.parametrize(("shape", "axis"), [((2**20, 8), 0), ((8, 2**20), 1), ((2**20,), None), ((2, 2**18, 8), 1)])
def test_a_million_tenths(shape, axis):
    """NumPy's own sum along the first axis is wrong by one percent here."""
    x = np.full(shape, 0.1, np.float32)
    count = x.size if axis is None else shape[axis]
    np.testing.assert_allclose(kernels.sum(x, axis), np.float64(np.float32(0.1)) * count, rtol=5e-7)
    np.testing.assert_allclose(kernels.mean(x, axis), np.float32(0.1), rtol=5e-7)


@pytest.mark.parametrize("axis", [0, 1])
def test_variance_of_numbers_far_from_zero(axis):
    x = (np.random.default_rng(0).standard_normal((300, 400)) + 1e4).astype(np.float32)
    np.testing.assert_allclose(kernels.var(x, axis), x.astype(np.float64).var(axis, ddof=1), rtol=1e-6)


def test_integers_and_booleans_add_up_to_int64():
    assert kernels.sum(np.ones((3, 4), np.int32), 0).dtype == np.int64
    assert kernels.sum(np.ones(5, np.bool_)) == 5


def test_variance_of_one_or_none_is_nan_or_infinite_as_in_torch():
    assert np.isnan(kernels.var(np.ones(1, np.float32)))
    assert np.isnan(kernels.var(np.ones(0, np.float32)))


def test_errors():
    with pytest.raises(IndexError, match=r"expected to be in range of \[-2, 1\], but got 2"):
        kernels.sum(np.ones((2, 3)), 2)
    with pytest.raises(ValueError, match="more than once"):
        kernels.sum(np.ones((2, 3)), (0, -2))
