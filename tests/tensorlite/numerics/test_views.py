"""Views and in-place ops: the rows that `autograd/test_inplace.py` does not state."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tensorlite as tl
from tensorlite import nn


def test_a_real_optimizer_step_between_two_backward_passes_is_noticed() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    optimizer = tl.optim.SGD(net.parameters(), lr=0.1)
    loss = net(tl.ones(4, 2)).sum()
    loss.backward(retain_graph=True)
    optimizer.step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_base_and_view_name_their_new_histories() -> None:
    z = tl.tensor([1.0, 2.0], requires_grad=True) * 1
    v = z[0:1]
    v.mul_(3)
    assert "CopySlices" in z.grad_fn.name()
    # torch calls it AsStrided; a view here knows which view it is
    assert v.grad_fn.name() == "GetitemBackward0"


@pytest.mark.parametrize("accumulate", [False, True])
def test_index_put_with_duplicates(accumulate: bool) -> None:
    """Written over, only the last of two values counts (torch gives both gradient 1); added up, both do."""
    source = tl.tensor([1.0, 2.0, 3.0], requires_grad=True)
    z = tl.zeros(2).index_put((tl.tensor([0, 0, 1]),), source, accumulate=accumulate)
    assert z.tolist() == ([3.0, 3.0] if accumulate else [2.0, 3.0])
    z.sum().backward()
    assert source.grad is not None
    assert source.grad.tolist() == ([1.0, 1.0, 1.0] if accumulate else [0.0, 1.0, 1.0])


def test_overlapping_copies_along_any_dim_read_before_they_write() -> None:
    x = tl.arange(6).reshape(2, 3).clone()
    x[:, 1:] = x[:, :-1]
    assert x.tolist() == [[0, 0, 1], [3, 3, 4]]
    y = tl.arange(4)
    y[:-1].copy_(y[1:])
    assert y.tolist() == [1, 2, 3, 3]


def test_slices_may_run_backwards() -> None:
    """torch raises ValueError; the gradient follows."""
    x = tl.arange(4.0).requires_grad_()
    y = x[::-2]
    assert y.tolist() == [3.0, 1.0]
    (y * tl.tensor([10.0, 1.0])).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [0.0, 1.0, 0.0, 10.0]


@pytest.mark.parametrize("change", [lambda t: t.add_(1), lambda t: t.mul_(2), lambda t: t.__setitem__(0, 5.0)])
def test_data_and_detach_bypass_history(change: Any) -> None:
    x = tl.tensor([1.0, 2.0], requires_grad=True)
    y = x * 3
    change(x.data)
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [3.0, 3.0]
    assert x.is_leaf
    assert x._version == 0


def test_view_refuses_what_reshape_copies() -> None:
    x = tl.arange(6).reshape(2, 3).t()
    with pytest.raises(RuntimeError, match="view size is not compatible with input tensor's size and stride"):
        x.view(6)
    copied = x.reshape(6)
    assert copied.tolist() == [0, 3, 1, 4, 2, 5]
    assert not np.shares_memory(copied._data, x._data)
    assert np.shares_memory(x.t().reshape(6)._data, x._data)


def test_transpose_swaps_two_dims_and_permute_takes_all() -> None:
    x = tl.zeros(2, 3, 4)
    assert x.transpose(0, 2).shape == (4, 3, 2)
    assert x.permute(2, 0, 1).shape == (4, 2, 3)
    assert np.transpose(x).shape == (4, 3, 2)
    with pytest.raises(TypeError):
        x.transpose()  # type: ignore[call-arg]


def _pairs(lib: Any, x: Any) -> Any:
    y = x.clone()
    lib.view_as_complex(y).mul_(1j)
    return y * y


def _complex(lib: Any, x: Any) -> Any:
    c = lib.complex(x[:, 0], x[:, 1])
    c.real.mul_(3)
    c.imag[1:] = c.real[1:] * 2
    lib.view_as_real(c)[0, 0].mul_(5)
    return lib.view_as_real(c)


@pytest.mark.parametrize("function", [_pairs, _complex])
def test_in_place_through_views_that_turn_numbers_into_complex_ones_and_back(function: Any) -> None:
    torch = pytest.importorskip("torch")
    start = np.random.default_rng(0).standard_normal((4, 2))
    found = []
    for lib in (torch, tl):
        x = lib.tensor(start.tolist(), dtype=lib.float64, requires_grad=True)
        y = function(lib, x)
        (g,) = lib.autograd.grad((y * lib.tensor(start.tolist(), dtype=lib.float64)).sum(), x, create_graph=True)
        found.append([t.detach().numpy() for t in (y, g)])
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)
