import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorlite.kernels import dropout as dropping
from tensorlite.kernels import embedding as kernels

from .arrays import assert_close, dtypes, layouts, normal, seeds


@settings(max_examples=40, deadline=None)
@given(
    table=st.sampled_from([1, 2, 65, 300]),
    shape=st.sampled_from([(), (0,), (7,), (3, 50)]),
    width=st.sampled_from([1, 5, 32]),
    dtype=dtypes,
    layout=layouts,
    padded=st.booleans(),
    seed=seeds,
)
def test_embedding_equals_its_definition(table, shape, width, dtype, layout, padded, seed):
    rng = np.random.default_rng(seed)
    index = rng.integers(0, table, shape)
    weight, g = normal(seed, (table, width), dtype, layout), normal(seed + 1, (*shape, width), dtype, layout)
    np.testing.assert_array_equal(kernels.embedding(weight, index), kernels.embedding_definition(weight, index))
    padding = 0 if padded else None
    got = kernels.embedding_backward(g, index, table, padding)
    assert got.dtype == dtype
    exact = kernels.embedding_backward_definition(g.astype(np.float64), index, table)
    if padded:
        exact[0] = 0
    assert_close(got, exact, 4)
    start = normal(seed + 2, (table, width), dtype).copy()
    total = start.copy()
    assert kernels.embedding_backward(g, index, table, padding, out=total) is total
    assert_close(total, start.astype(np.float64) + exact, 4)


@pytest.mark.parametrize("table", [5, 300])
def test_an_infinite_cotangent_stays_in_its_row(table):
    g = np.array([[np.inf, 1.0], [np.nan, 2.0], [1.0, 1.0]])
    got = kernels.embedding_backward(g, np.array([0, 1, 1]), table)
    np.testing.assert_array_equal(got[:2], [[np.inf, 1], [np.nan, 3]])
    assert not got[2:].any()


def test_embedding_refuses_an_index_out_of_range():
    with pytest.raises(IndexError, match="out of range"):
        kernels.embedding(np.ones((3, 2)), np.array([0, 3]))
    with pytest.raises(IndexError, match="out of range"):
        kernels.embedding(np.ones((3, 2)), np.array([-1]))


@settings(max_examples=25, deadline=None)
@given(
    shape=st.sampled_from([(), (0, 3), (5,), (7, 300), (3, 50_000)]),
    p=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    dtype=dtypes,
    layout=layouts,
    seed=seeds,
)
def test_dropout_equals_its_definition(shape, p, dtype, layout, seed):
    x = normal(seed, shape, dtype, layout)
    mask = dropping.dropout_mask(shape, p, seed)
    y = dropping.dropout(x, p, seed)
    assert y.dtype == dtype
    assert_close(y, dropping.dropout_definition(x.astype(np.float64), mask, p))
    np.testing.assert_array_equal(y, dropping.dropout(x, p, seed))
    if mask.size > 1000:
        assert abs(mask.mean() - (1 - p)) <= 5 * np.sqrt(p * (1 - p) / mask.size)


def test_streams_and_seeds_are_independent():
    def correlation(a, b):
        return abs(np.corrcoef(a, b)[0, 1])

    a = dropping.keep_mask(50_000, 0.5, seed=1)
    assert correlation(a, dropping.keep_mask(50_000, 0.5, seed=1, stream=1)) < 0.03
    assert correlation(a, dropping.keep_mask(50_000, 0.5, seed=2)) < 0.03


def test_dropout_refuses_what_is_no_probability():
    with pytest.raises(ValueError, match=r"between 0 and 1, but got 1\.5"):
        dropping.dropout(np.ones(3), 1.5, 0)
