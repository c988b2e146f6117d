"""Joining, splitting and reshaping: torch's sizes, views and sentences."""

from __future__ import annotations

import pytest

import tensorlite as tl


def test_chunk_sizes():
    assert [len(p) for p in tl.arange(5).chunk(3)] == [2, 2, 1]
    assert [len(p) for p in tl.arange(4).chunk(3)] == [2, 2]


def test_split_takes_a_size_of_pieces_not_their_number():
    assert [len(p) for p in tl.arange(5).split(2)] == [2, 2, 1]
    assert [len(p) for p in tl.arange(5).split([1, 4])] == [1, 4]
    with pytest.raises(RuntimeError, match="sum exactly to 5"):
        tl.arange(5).split([1, 1])


def test_repeat_tiles_and_repeat_interleave_repeats_in_place():
    assert tl.tensor([1, 2]).repeat(2).tolist() == [1, 2, 1, 2]
    assert tl.tensor([1, 2]).repeat_interleave(2).tolist() == [1, 1, 2, 2]
    assert tl.tensor([1, 2]).repeat_interleave(tl.tensor([2, 1])).tolist() == [1, 1, 2]


def test_cat_accepts_the_legacy_empty_tensor_and_promotes():
    assert tl.cat([tl.zeros(0), tl.ones(2, 2)]).shape == (2, 2)
    assert tl.cat([tl.ones(1), tl.ones(1, dtype=tl.float64)]).dtype == tl.float64
    with pytest.raises(RuntimeError, match=r"Expected size 3 but got size 4 for tensor number 1 in the list\."):
        tl.cat([tl.zeros(1, 3), tl.zeros(1, 4)])


def test_the_same_tensor_twice_in_one_op():
    x = tl.tensor([1.0, 2.0], requires_grad=True)
    (tl.cat([x, x]) * tl.tensor([1.0, 2.0, 3.0, 4.0])).sum().backward()
    assert x.grad.tolist() == [4.0, 6.0]


def test_reshape_and_view_errors():
    with pytest.raises(RuntimeError, match=r"shape '\[4, 2\]' is invalid for input of size 6"):
        tl.zeros(6).reshape(4, 2)
    with pytest.raises(RuntimeError):
        tl.zeros(0).reshape(-1, 0)
    with pytest.raises(RuntimeError, match="view size is not compatible"):
        tl.zeros(2, 3).t().view(6)
    with pytest.raises(IndexError, match=r"expected to be in range of \[-2, 1\], but got 2"):
        tl.zeros(2, 2).transpose(0, 2)


def test_masked_fill_wants_a_boolean_mask():
    with pytest.raises(RuntimeError, match="masked_fill_ only supports boolean masks"):
        tl.zeros(2).masked_fill(tl.tensor([1, 0]), 1.0)


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x.view(6),
        lambda x: x.flatten(),
        lambda x: x.t(),
        lambda x: x.T,
        lambda x: x.unsqueeze(0),
        lambda x: x.unflatten(1, (3, 1)),
        lambda x: x.narrow(1, 1, 2),
        lambda x: x.select(0, 1),
        lambda x: x.movedim(0, 1),
        lambda x: x.unfold(1, 2, 1),
        lambda x: x.diagonal(),
        lambda x: x.as_strided((2, 2), (1, 1)),
        lambda x: x.expand(2, 2, 3),
    ],
)
def test_a_view_shares_memory_and_version(view):
    x = tl.arange(6.0).reshape(2, 3).clone()
    v = view(x)
    before = x._version
    x.add_(1)
    assert v._version == x._version == before + 1
    assert set(v.flatten().tolist()) <= set(x.flatten().tolist())
