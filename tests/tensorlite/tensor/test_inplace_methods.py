"""In-place methods that change shape or memory, or are composed of ops, against torch: values, gradients, views, refusals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import tensorlite as tl

LIBRARIES = (tl, torch)


def leaf(m: Any, *shape: int) -> Any:
    shape = shape or (2, 1, 3)
    return (m.arange(float(np.prod(shape))) + 1).reshape(shape).requires_grad_()


RESHAPING: dict[str, Callable[[Any], Any]] = {
    "unsqueeze_": lambda z: z.unsqueeze_(-1),
    "squeeze_": lambda z: z.squeeze_(),
    "squeeze_ one": lambda z: z.squeeze_(1),
    "squeeze_ none": lambda z: z.squeeze_(0),
    "squeeze_ several": lambda z: z.squeeze_((0, 1)),
    "transpose_": lambda z: z.transpose_(0, -1),
    "swapaxes_": lambda z: z.swapaxes_(0, 2),
    "swapdims_": lambda z: z.swapdims_(1, 2),
    "t_": lambda z: z.squeeze_().t_(),
    "twice": lambda z: z.transpose_(0, 2).unsqueeze_(0),
}


@pytest.mark.parametrize("name", RESHAPING)
def test_other_shapes_in_place(name: str) -> None:
    results = []
    for m in LIBRARIES:
        x = leaf(m)
        z = x * 1
        before = z[1:]  # a view made while z had its first shape
        assert RESHAPING[name](z) is z
        after = z[..., :1]
        z.mul_(2)
        after.mul_(5)
        before.mul_(3)
        weights = m.arange(float(z.numel())).reshape(tuple(z.shape))
        ((z * weights).sum() + (before**2).sum() + after.sum()).backward()
        steps = [s for s, n in zip(z.stride(), z.shape, strict=True) if n > 1]
        results.append([tuple(z.shape), steps, z.tolist(), before.tolist(), after.tolist(), x.grad.tolist()])
        assert z._version > 0
    assert results[0] == results[1]


@pytest.mark.parametrize("name", RESHAPING)
def test_a_view_in_another_shape_still_writes_to_its_base(name: str) -> None:
    results = []
    for m in LIBRARIES:
        x = leaf(m, 3, 2, 1, 3)
        z = x * 1
        v = z[1]
        RESHAPING[name](v)
        v.mul_(4)
        (z**2).sum().backward()
        results.append([tuple(v.shape), z.tolist(), x.grad.tolist()])
    assert results[0] == results[1]


def test_without_history() -> None:
    for m in LIBRARIES:
        x = m.arange(6.0).reshape(2, 3)
        v = x[0]
        x.t_()
        v.add_(10)
        assert x.tolist() == [[10, 3], [11, 4], [12, 5]]
        assert m.ones(()).t_().shape == ()


@pytest.mark.parametrize(
    "change", [lambda z: z.t_(), lambda z: z.unsqueeze_(0), lambda z: z.addmm_(z, z), lambda z: z.renorm_(2, 0, 1)]
)
def test_leaves_and_saved_values_are_guarded(change: Callable[[Any], Any]) -> None:
    for m in LIBRARIES:
        with pytest.raises(
            RuntimeError, match="leaf Variable that requires grad is being used in an in-place operation"
        ):
            change(leaf(m, 2, 2))
        x = leaf(m, 2, 2)
        z = x * 1
        y = z * z
        change(z)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            y.sum().backward()


def test_set() -> None:
    for m in LIBRARIES:
        x, y = m.ones(2), m.zeros(3, 4)
        assert x.set_(y) is x
        x.add_(1)
        assert y.sum() == 12
        assert x.set_().shape == (0,)
        with pytest.raises(RuntimeError, match="Could not set tensor of type"):
            x.set_(m.zeros(1, dtype=m.int64))
        with pytest.raises(RuntimeError, match="leaf Variable that requires grad"):
            leaf(m).set_(y)


def test_views_of_memory_that_was_given_up_are_refused() -> None:
    z = tl.zeros(4)
    v = z[:2]
    z.set_(tl.ones(3))
    with pytest.raises(RuntimeError, match="given other memory by set_ or resize_"):
        v.mul_(leaf(tl, 2))


def test_resize() -> None:
    for m in LIBRARIES:
        x = m.arange(6.0)
        assert x.resize_(2, 2).tolist() == [[0, 1], [2, 3]]
        assert x.resize_((6,)).tolist() == [0, 1, 2, 3, 4, 5]
        assert x.resize_(2, 4).tolist()[0] == [0, 1, 2, 3]
        assert m.arange(6.0).reshape(2, 3).t().resize_(6).tolist() == [0, 1, 2, 3, 4, 5]
        assert m.arange(6.0).resize_as_(m.ones(2, 2)).tolist() == [[0, 1], [2, 3]]
        base = m.arange(6.0)
        base[2:].resize_(2).add_(10)
        assert base.tolist() == [0, 1, 12, 13, 4, 5]
        for x in (leaf(m), leaf(m) * 1):
            with pytest.raises(RuntimeError, match="cannot resize variables that require grad"):
                x.resize_(2)
    with pytest.raises(RuntimeError, match="must not be negative"):
        tl.ones(2).resize_(-1)


COMPOSED: dict[str, Callable[[Any, Any, Any], Any]] = {
    "addmm_": lambda m, z, w: z.addmm_(w, w.t(), beta=2, alpha=3),
    "addmv_": lambda m, z, w: z[0].addmv_(w, w[0]),
    "addr_": lambda m, z, w: z.addr_(w[0], w[1]),
    "addbmm_": lambda m, z, w: z.addbmm_(w[None], w[None]),
    "true_divide_": lambda m, z, w: z.true_divide_(w + 1),
    "float_power_": lambda m, z, w: z.float_power_(3),
    "float_power_ of a tensor": lambda m, z, w: z.float_power_(w),
    "renorm_": lambda m, z, w: z.renorm_(2, 0, 1.5),
    "renorm": lambda m, z, w: m.renorm(z, p=3, dim=-1, maxnorm=0.5),
    "renorm inf": lambda m, z, w: z.renorm(float("inf"), 0, 3),
}


@pytest.mark.parametrize("name", COMPOSED)
def test_composed(name: str) -> None:
    results = []
    for m in LIBRARIES:
        x = leaf(m, 2, 2).detach().double().requires_grad_()
        w = m.tensor([[0.5, -1.0], [2.0, 1.5]], dtype=m.float64, requires_grad=True)
        z = x * 1
        out = COMPOSED[name](m, z, w)
        weights = m.arange(float(out.numel()), dtype=m.float64).reshape(tuple(out.shape)) + 1
        grads = m.autograd.grad((out * weights).sum() + z.sum(), (x, w), allow_unused=True, materialize_grads=True)
        results.append([t.detach().numpy() for t in (out, z, *grads)])
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-12)


def test_floor_divide() -> None:
    for m in LIBRARIES:
        assert m.tensor([7.0, -7.0]).floor_divide_(2).tolist() == [3, -4]
        assert m.tensor([7, -7]).floor_divide_(m.tensor([2, 3])).tolist() == [3, -3]


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda m: m.ones(2).addmm_(m.ones(2, 2), m.ones(2, 2)), "Bad in-place call"),
        (lambda m: m.ones(2).float_power_(2), "the base given to float_power_ has dtype"),
        (lambda m: m.tensor([7]).true_divide_(2), "can't be cast to the desired output type"),
        (lambda m: m.tensor([7]).floor_divide_(2.0), "can't be cast to the desired output type"),
        (lambda m: m.ones(2, 1, 3).t_(), r"t_\(\) expects a tensor with <= 2 dimensions, but self is 3D"),
        (lambda m: m.ones(2).renorm(2, 0, 1), "input needs at least 2 dimensions, got 1"),
        (lambda m: m.ones(2, 2).renorm(0, 0, 1), "non-positive-norm not supported"),
        (lambda m: m.ones(2, 2).renorm(2, 0, -1), "expected maxnorm to be >= 0 but got -1"),
    ],
)  # fmt: skip
def test_refused(use: Callable[[Any], Any], message: str) -> None:
    for m in LIBRARIES:
        with pytest.raises(RuntimeError, match=message):
            use(m)
