"""Indexing against torch, in every form; and the gradient of writes that meet."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import tensorlite as tl
import tensorlite.nn.functional as F


@st.composite
def shapes_and_indices(draw):
    """A shape, and an index of ints, slices, None, Ellipsis, index arrays and masks that fits it."""
    shape = tuple(draw(st.lists(st.integers(1, 4), min_size=1, max_size=4)))
    common = tuple(draw(st.sampled_from([(2,), (1,), (3, 1), ()])))
    items, dim, dots = [], 0, False
    while dim < len(shape):
        kind = draw(st.sampled_from(["int", "slice", "none", "dots", "array", "mask", "stop"]))
        if kind == "stop":
            break
        n = shape[dim]
        if kind == "int":
            items.append(draw(st.integers(-n, n - 1)))
        elif kind == "slice":
            items.append(slice(draw(st.integers(-n, n)), draw(st.integers(-n, n)), draw(st.integers(1, 2))))
        elif kind == "none":
            items.append(None)
            continue
        elif kind == "dots":
            if not dots:
                items.append(Ellipsis)
                dots = True
                dim = draw(st.integers(dim, len(shape)))
                remaining = len(shape) - dim
                tail = [draw(st.integers(-m, m - 1)) for m in shape[len(shape) - remaining :]]
                return shape, (*items, *tail)
            continue
        elif kind == "array":
            items.append(
                np.array(draw(st.lists(st.integers(-n, n - 1), min_size=6, max_size=6)))[
                    : int(np.prod(common))
                ].reshape(common)
            )
        elif kind == "mask":
            mask = np.zeros(n, bool)
            mask[draw(st.integers(0, n - 1))] = True
            items.append(mask)
        dim += 1
    return shape, tuple(items)


def as_tensors(index, lib):
    return tuple(lib.tensor(i) if isinstance(i, np.ndarray) else i for i in index)


@given(shapes_and_indices(), st.integers(0, 2**32 - 1))
def test_getitem_and_its_gradient_are_torchs(case, seed):
    shape, index = case
    rng = np.random.default_rng(seed)
    data = rng.standard_normal(shape)
    x, y = tl.tensor(data, requires_grad=True), torch.tensor(data, requires_grad=True)
    theirs = y[as_tensors(index, torch)]
    ours = x[as_tensors(index, tl)]
    assert ours.shape == tuple(theirs.shape)
    np.testing.assert_array_equal(ours.detach().numpy(), theirs.detach().numpy())
    cotangent = rng.standard_normal(ours.shape)
    ours.backward(tl.tensor(cotangent))
    theirs.backward(torch.tensor(cotangent))
    np.testing.assert_allclose(x.grad.numpy(), y.grad.numpy())


@given(shapes_and_indices(), st.integers(0, 2**32 - 1))
def test_setitem_writes_what_torch_writes(case, seed):
    shape, index = case
    rng = np.random.default_rng(seed)
    data = rng.standard_normal(shape)
    x, y = tl.tensor(data), torch.tensor(data)
    x[as_tensors(index, tl)] = 7.0
    y[as_tensors(index, torch)] = 7.0
    np.testing.assert_array_equal(x.numpy(), y.numpy())


def test_integers_select_before_index_arrays():
    """NumPy gives (2, 3) here: it counts the integer among the index arrays."""
    assert tl.zeros(2, 3, 4)[0, :, [1, 2]].shape == (3, 2)


def test_setitem_gradient():
    x, y = (tl.tensor([1.0, 2.0], requires_grad=True) for _ in range(2))
    z = y * 1
    z[0] = x[1]
    z.sum().backward()
    assert x.grad.tolist() == [0.0, 1.0]
    assert y.grad.tolist() == [0.0, 1.0]


def test_of_two_writes_to_one_place_only_the_last_gets_the_gradient():
    """torch gives both of them gradient 1."""
    v = tl.tensor([1.0, 2.0], requires_grad=True)
    x = tl.zeros(3)
    x[tl.tensor([1, 1])] = v
    assert x.tolist() == [0.0, 2.0, 0.0]
    x.sum().backward()
    assert v.grad.tolist() == [0.0, 1.0]
    w = tl.tensor([1.0, 2.0], requires_grad=True)
    tl.zeros(3).scatter(0, tl.tensor([1, 1]), w).sum().backward()
    assert w.grad.tolist() == [0.0, 1.0]


def test_overlapping_copy_reads_before_it_writes():
    x = tl.arange(5)
    x[1:] = x[:-1]
    assert x.tolist() == [0, 0, 1, 2, 3]


def test_embedding_adds_up_the_gradients_of_repeated_tokens_and_leaves_padding_alone():
    weight = tl.randn(4, 3, dtype=tl.float64, requires_grad=True)
    tokens = np.array([[1, 2, 1], [0, 1, 3]])
    cotangent = np.random.default_rng(0).standard_normal((2, 3, 3))
    F.embedding(tl.tensor(tokens), weight, padding_idx=0).backward(tl.tensor(cotangent))
    expected = np.zeros((4, 3))
    for row, g in zip(tokens.ravel(), cotangent.reshape(-1, 3), strict=True):
        expected[row] += g if row else 0
    np.testing.assert_allclose(weight.grad.numpy(), expected)


@pytest.mark.parametrize("size", [3, 5000])
def test_gradient_of_rows_taken_by_index(size):
    """Few and many indices take different ways; both add up."""
    rng = np.random.default_rng(0)
    index = rng.integers(-7, 7, size)
    x = tl.zeros(7, 2, 3, dtype=tl.float64, requires_grad=True)
    cotangent = rng.standard_normal((size, 2, 3))
    x[tl.tensor(index)].backward(tl.tensor(cotangent))
    expected = np.zeros((7, 2, 3))
    np.add.at(expected, index, cotangent)
    np.testing.assert_allclose(x.grad.numpy(), expected)


def test_empty_slice_has_a_gradient_of_zeros():
    x = tl.ones(3, requires_grad=True)
    x[0:0].sum().backward()
    assert x.grad.tolist() == [0.0, 0.0, 0.0]


def test_writing_through_views():
    x = tl.zeros(3, 3)
    x.diagonal().fill_(2.0)
    assert x.tolist() == (2 * np.eye(3)).tolist()
    windows = tl.arange(6).unfold(0, 3, 1)
    windows[0] = 9
    assert windows[1].tolist() == [9, 9, 3]
    pieces = (tl.ones(4, requires_grad=True) * 1).chunk(2)
    with pytest.raises(RuntimeError, match="multiple views"):
        pieces[0].mul_(2)
    with pytest.raises(RuntimeError, match="more than one element of the written-to tensor"):
        tl.zeros(1).expand(3).fill_(1.0)


def test_gradient_through_an_in_place_write_to_a_diagonal():
    x = tl.ones(2, 2, dtype=tl.float64, requires_grad=True)
    y = x * 3
    y.diagonal().mul_(tl.tensor([2.0, 5.0], dtype=tl.float64))
    y.sum().backward()
    assert x.grad.tolist() == [[6.0, 3.0], [3.0, 15.0]]


@pytest.mark.parametrize("reduce", ["sum", "prod", "mean", "amax", "amin"])
def test_scatter_reduce_of_zeros_and_ties(reduce):
    data, index = np.array([1.0, 0.0, 2.0]), np.array([0, 0, 1, 1, 1])
    src = np.array([1.0, 1.0, 0.0, 0.0, 3.0])
    x, s = tl.tensor(data, requires_grad=True), tl.tensor(src, requires_grad=True)
    y, t = torch.tensor(data, requires_grad=True), torch.tensor(src, requires_grad=True)
    cotangent = [1.0, 2.0, 3.0]
    x.scatter_reduce(0, tl.tensor(index), s, reduce).backward(tl.tensor(cotangent, dtype=tl.float64))
    y.scatter_reduce(0, torch.tensor(index), t, reduce).backward(torch.tensor(cotangent, dtype=torch.float64))
    np.testing.assert_allclose(x.grad.numpy(), y.grad.numpy())
    np.testing.assert_allclose(s.grad.numpy(), t.grad.numpy())
