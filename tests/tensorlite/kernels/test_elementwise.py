import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorlite.kernels import elementwise, threads

from .arrays import DTYPES, layouts, normal, seeds


@pytest.fixture(autouse=True, params=["as measured", "everything is large"])
def threshold(request, monkeypatch):
    if request.param != "as measured":
        monkeypatch.setattr(elementwise, "LARGE", 1)
        monkeypatch.setattr(elementwise, "row_blocks", lambda rows, columns: [(i, i + 1) for i in range(rows)])
    before = threads.get_num_threads()
    threads.set_num_threads(3)
    yield
    threads.set_num_threads(before)


shapes = st.sampled_from([((), ()), ((0, 3), (0, 3)), ((5,), (5,)), ((4, 3), (4, 3)), ((4, 3), (3,)), ((4, 1), (1, 3))])


@settings(max_examples=60, deadline=None)
@given(
    shape=shapes, ufunc=st.sampled_from([np.add, np.subtract, np.multiply]), dtype=st.sampled_from([*DTYPES, np.int32]),
    layout=layouts, into=st.sampled_from(["new", "given", "first", "strided"]), seed=seeds,
)  # fmt: skip
def test_binary_is_the_ufunc(shape, ufunc, dtype, layout, into, seed):
    x, y = normal(seed, shape[0], dtype, layout), normal(seed + 1, shape[1], dtype, layout)
    expected = ufunc(x, y)
    out = {
        "new": None,
        "given": np.empty_like(expected),
        "first": np.array(x) if x.shape == expected.shape else np.empty_like(expected),
        "strided": np.empty((*expected.shape, 2), dtype)[..., 1],
    }[into]
    result = elementwise.binary(ufunc, out if into == "first" and x.shape == expected.shape else x, y, out)
    assert out is None or result is out
    assert result.dtype == expected.dtype
    np.testing.assert_array_equal(result, expected)


@settings(max_examples=30, deadline=None)
@given(
    axis=st.sampled_from([0, 1, 2]),
    sizes=st.lists(st.integers(0, 3), min_size=1, max_size=3),
    layout=layouts,
    seed=seeds,
)
def test_concatenate_is_numpys(axis, sizes, layout, seed):
    arrays = [
        normal(seed + i, tuple(n if a == axis else 2 for a in range(3)), np.float32, layout)
        for i, n in enumerate(sizes)
    ]
    np.testing.assert_array_equal(elementwise.concatenate(arrays, axis), np.concatenate(arrays, axis))


def test_shapes_that_do_not_fit_raise_as_numpy_does():
    with pytest.raises(ValueError, match="broadcast"):
        elementwise.binary(np.add, np.ones((4, 3)), np.ones((4, 2)))
    with pytest.raises(ValueError, match="dimensions"):
        elementwise.concatenate([np.ones((4, 3)), np.ones((5, 3))], 1)
