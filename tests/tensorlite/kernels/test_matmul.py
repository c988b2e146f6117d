import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
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
        ((1, 300), (300, 500)),
        ((3, 300), (300, 700)),
        ((300, 3), (3, 1)),
        ((5, 1), (1, 7)),
        ((4,), (4, 3)),
        ((2, 4), (4,)),
    ]
)


@pytest.fixture(params=["as measured", "every product is shared, every weight large"], autouse=True)
def thresholds(request, monkeypatch):
    if request.param != "as measured":
        for name in ("SMALLEST_SHARED", "LARGE_WEIGHT"):
            monkeypatch.setattr(kernels, name, 1)
        for name in ("ALONE", "ALONE_WITH_VECTOR"):
            monkeypatch.setattr(kernels, name, 0)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(shape=shapes, n=st.sampled_from([1, 2, 3]), dtype=dtypes, layout=layouts, swapped=st.booleans(), seed=seeds)
def test_equals_its_definition(shape, n, dtype, layout, swapped, seed):
    a, b = normal(seed, shape[0], dtype, layout), normal(seed + 1, shape[1], dtype, layout)
    if swapped and a.ndim == b.ndim == 2:
        a, b = b.T, a.T
    before = threads.get_num_threads()
    try:
        threads.set_num_threads(n)
        y = kernels.matmul(a, b)
        expected = kernels.matmul_definition(*wide(a, b))
        assert y.dtype == dtype
        assert_close(y, expected, 2)
        out = np.empty((2, *expected.shape), dtype)[1]
        assert kernels.matmul(a, b, out=out) is out
        np.testing.assert_array_equal(out, y)
    finally:
        threads.set_num_threads(before)


@pytest.mark.parametrize("rows", [1, 2, 7, 16, 32, 33])
@pytest.mark.parametrize("padded", [False, True])
def test_a_few_rows_and_a_large_weight_on_any_number_of_threads(rows, padded):
    weight = normal(1, (900, 384 + 8 * padded), np.float32)[:, :384]
    x = normal(2, (rows, 384), np.float32)
    before = threads.get_num_threads()
    try:
        for n in (1, 2, 5):
            threads.set_num_threads(n)
            y = kernels.matmul(x, weight.T)
            scale = np.abs(x.astype(float)) @ np.abs(weight.T.astype(float))
            assert (np.abs(y - x.astype(float) @ weight.T.astype(float)) <= 1e-6 * scale).all()
    finally:
        threads.set_num_threads(before)


def test_nan_and_infinity_pass_through_products_of_one_row_or_one_column():
    weight = np.ones((700, 128), np.float32)
    weight[3, 5], weight[4, 6] = np.nan, np.inf
    y = kernels.matmul(np.ones((1, 128), np.float32), weight.T)[0]
    assert np.isnan(y[3])
    assert y[4] == np.inf
    assert (np.delete(y, [3, 4]) == 128).all()
    with np.errstate(invalid="ignore"):
        outer = kernels.matmul(np.array([[np.inf], [0]]), np.array([[0.0, 2.0]]))
    np.testing.assert_array_equal(outer, [[np.nan, np.inf], [0, 0]])


def test_shapes_that_do_not_fit_raise():
    for a, b in (((3, 4), (5, 3)), ((1, 512), (500, 512)), ((3, 1), (2, 4)), ((2, 512), (400, 512))):
        for n in (1, 2):
            threads_before = threads.get_num_threads()
            try:
                threads.set_num_threads(n)
                with pytest.raises(ValueError, match="mismatch"):
                    kernels.matmul(np.ones(a), np.ones(b[::-1]).T)
            finally:
                threads.set_num_threads(threads_before)
