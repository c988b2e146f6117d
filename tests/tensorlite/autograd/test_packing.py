"""Hooks on what is saved for the backward, and batches of cotangents, against torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import tensorlite as tl

LIBRARIES = (tl, torch)


def leaf(m: Any) -> Any:
    return m.arange(6.0).reshape(2, 3).requires_grad_()


def through_numpy(m: Any, log: list[str]) -> Any:
    """Hooks that keep a copy as a NumPy array."""

    def pack(t: Any) -> Any:
        log.append(f"pack {tuple(t.shape)}")
        return t.numpy(force=True).copy()

    def unpack(array: Any) -> Any:
        log.append(f"unpack {array.shape}")
        return m.from_numpy(array)

    return m.autograd.graph.saved_tensors_hooks(pack, unpack)


PROGRAMS: dict[str, Callable[[Any, Any], Any]] = {
    "elementwise": lambda m, x: x.exp() * x + 1,
    "matmul": lambda m, x: x @ x.t(),
    "several outputs": lambda m, x: x.sort()[0] * x.max(1)[0][:, None],
    "in place": lambda m, x: (x * 1).mul_(x).exp_() ** 2,
    "through a view": lambda m, x: in_a_view(x),
    "joined": lambda m, x: m.cat([x, x * x]).prod(0),
    "fused": lambda m, x: m.nn.functional.layer_norm(x, (3,)).softmax(-1),
}


def in_a_view(x: Any) -> Any:
    z = x * 1
    z[0].mul_(3).exp_()
    return z * z


@pytest.mark.parametrize("name", PROGRAMS)
def test_what_is_packed_comes_back(name: str) -> None:
    x = leaf(tl)
    weights = tl.randn(PROGRAMS[name](tl, x).shape, generator=tl.Generator().manual_seed(0))
    expected = tl.autograd.grad((PROGRAMS[name](tl, x) * weights).sum(), x)[0]
    log: list[str] = []
    with through_numpy(tl, log):
        y = (PROGRAMS[name](tl, x) * weights).sum()
    assert log
    assert all(line.startswith("pack") for line in log)
    packed = len(log)
    y.backward()
    np.testing.assert_allclose(x.grad.numpy(), expected.numpy(), rtol=1e-6)
    assert len(log) == 2 * packed


def test_hooks_are_called_as_in_torch() -> None:
    logs: list[list[str]] = []
    for m in LIBRARIES:
        logs.append([])
        x = leaf(m)
        with through_numpy(m, logs[-1]):
            y = (x.exp() * x + 1).sum()
        y.backward()
    assert logs[0] == logs[1]


def test_second_derivative_of_packed_values() -> None:
    results = []
    for m in LIBRARIES:
        x = leaf(m)
        with through_numpy(m, []):
            y = (x.exp() * x * x).sum()
        (g,) = m.autograd.grad(y, x, create_graph=True)
        results.append(m.autograd.grad(g.sum(), x)[0].numpy())
    np.testing.assert_allclose(*results, rtol=1e-5)


def test_the_innermost_hooks_count() -> None:
    for m in LIBRARIES:
        log: list[str] = []

        def keep(name: str, log: list[str] = log) -> Callable[[Any], Any]:
            return lambda t: (log.append(name), t)[1]

        x = leaf(m)
        hooks = m.autograd.graph.saved_tensors_hooks
        with hooks(keep("outer"), lambda t: t):
            with hooks(keep("inner"), lambda t: t):
                y = x * x
            y = y.exp()
        y.sum().backward()
        assert log == ["inner", "inner", "outer"]


def test_values_that_the_hooks_change_are_used() -> None:
    for m in LIBRARIES:
        x = leaf(m)
        with m.autograd.graph.saved_tensors_hooks(lambda t: t * 2, lambda t: t):
            y = (x * x).sum()
        y.backward()
        assert x.grad.tolist() == (4 * x).tolist()


def test_function_saves_through_the_hooks() -> None:
    for m in LIBRARIES:

        class Square(m.autograd.Function):  # type: ignore[misc, name-defined]
            @staticmethod
            def forward(ctx: Any, x: Any) -> Any:
                ctx.save_for_backward(x)
                return x * x

            @staticmethod
            def backward(ctx: Any, g: Any) -> Any:
                return 2 * g * ctx.saved_tensors[0]

        x, log = leaf(m), []
        with through_numpy(m, log):
            y = Square.apply(x * 1)
        assert "pack (2, 3)" in log
        (g,) = m.autograd.grad(y.sum(), x, create_graph=True)
        assert g.tolist() == (2 * x).tolist()
        assert m.autograd.grad(g.sum(), x)[0].tolist() == [[2.0] * 3] * 2


def test_packed_values_take_the_memory_of_what_they_were_packed_into() -> None:
    x = tl.ones(1000, requires_grad=True)
    with tl.autograd.graph.saved_tensors_hooks(lambda t: t.to(tl.float16), lambda t: t.to(tl.float32)):
        y = (x.exp() * 2).exp()
    assert y.grad_fn is not None
    assert tl.autograd.memory_report(y).total == 2 * 1000 * 2  # two results of exp in float16
    loss = y.sum()
    loss.backward(retain_graph=True)
    assert y.grad_fn.saved is None
    loss.backward()
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        loss.backward()


def test_a_checkpoint_under_hooks() -> None:
    x = leaf(tl)
    log: list[str] = []
    with through_numpy(tl, log):
        y = tl.utils.checkpoint.checkpoint(lambda v: v.exp() * v, x, use_reentrant=False).sum()
    y.backward()
    np.testing.assert_allclose(x.grad.numpy(), (x.exp() * (1 + x)).detach().numpy(), rtol=1e-6)


@pytest.mark.parametrize(
    ("pack", "unpack", "message"),
    [
        (lambda t: t, lambda t: 5, "Output of saved tensor unpack_hook expected to be a Tensor but got result of type int"),
        (lambda t: t.add_(1), lambda t: t, "A saved tensor pack hook is modifying its input in place"),
    ],
)  # fmt: skip
def test_bad_hooks(pack: Any, unpack: Any, message: str) -> None:
    for m in LIBRARIES:
        x = leaf(m)
        with pytest.raises((TypeError, RuntimeError), match=message):
            square_and_back(m, x, pack, unpack)
        with m.autograd.graph.disable_saved_tensors_hooks("not here"), pytest.raises(RuntimeError, match="not here"):
            m.autograd.graph.saved_tensors_hooks(pack, unpack).__enter__()


def square_and_back(m: Any, x: Any, pack: Any, unpack: Any) -> None:
    with m.autograd.graph.saved_tensors_hooks(pack, unpack):
        y = (x * x).sum()
    y.backward()


def test_save_on_cpu() -> None:
    for m in LIBRARIES:
        x = leaf(m)
        with m.autograd.graph.save_on_cpu(pin_memory=False):
            y = (x * 1).exp_().pow(2).sum()
        y.backward()
        np.testing.assert_allclose(x.grad.numpy(), 2 * np.exp(2 * np.arange(6.0).reshape(2, 3)), rtol=1e-6)


# -- batches of cotangents ------------------------------------------------------------------------------------------------


def test_batched_gradients() -> None:
    results = []
    for m in LIBRARIES:
        x, w, unused = leaf(m), m.ones(3, requires_grad=True), m.ones(2, requires_grad=True)
        y, z = x * x * w, x.sum(0)
        batch = m.arange(24.0).reshape(4, 2, 3), m.arange(12.0).reshape(4, 3)
        grads = m.autograd.grad(
            (y, z), (x, w, unused), batch, is_grads_batched=True, allow_unused=True, create_graph=True
        )
        assert grads[2] is None
        second = m.autograd.grad(grads[0].sum(), x)[0]
        results.append([grads[0], grads[1], second])
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=1e-6)


def test_batched_gradients_need_the_batch_dim() -> None:
    for m in LIBRARIES:
        x = leaf(m)
        with pytest.raises(RuntimeError, match=r"If `is_grads_batched=True`, we interpret the first dimension"):
            m.autograd.grad(x * x, x, m.ones(2, 3), is_grads_batched=True)
