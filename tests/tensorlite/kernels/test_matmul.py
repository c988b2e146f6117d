import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorlite.kernels import matmul as kernels
from tensorlite.kernels import threads

from .arrays import assert_close, dtypes, layouts, normal, seeds, wide

shapes = st.sampled_from(
    [
        ((3, 4), (4, 5)),
        ((0, 4), (4, 5)),
        ((3, 0), (0, 5)),
        ((300, 40), (40, 7)),
        ((7, 40), (40, 300)),
        ((6, 5, 4), (4, 3)),
        ((6, 5, 4), (6, 4, 3)),
        ((1, 5, 4), (6, 4, 3)),
        ((2, 1, 5, 4), (3, 4, 6)),
        ((4,), (4, 3)),
        ((2, 4), (4,)),
    ]
)


@settings(max_examples=60, deadline=None)
@given(shape=shapes, n=st.sampled_from([1, 2, 3]), dtype=dtypes, layout=layouts, swapped=st.booleans(), seed=seeds)
def test_equals_its_definition(shape, n, dtype, layout, swapped, seed):
    a, b = normal(seed, shape[0], dtype, layout), normal(seed + 1, shape[1], dtype, layout)
    if swapped and a.ndim == b.ndim == 2:
        a, b = b.T, a.T
    before, smallest = threads.get_num_threads(), kernels.SMALLEST_SHARED
    try:
        threads.set_num_threads(n)
        kernels.SMALLEST_SHARED = 1  # share even the smallest product
        y = kernels.matmul(a, b)
        expected = kernels.matmul_definition(*wide(a, b))
        assert y.dtype == dtype
        assert_close(y, expected, 2)
        out = np.empty((2, *expected.shape), dtype)[1]
        assert kernels.matmul(a, b, out=out) is out
        np.testing.assert_array_equal(out, y)
    finally:
        threads.set_num_threads(before)
        kernels.SMALLEST_SHARED = smallest


def test_shapes_that_do_not_fit_raise():
    with pytest.raises(ValueError, match="mismatch"):
        kernels.matmul(np.ones((3, 4)), np.ones((5, 3)))
