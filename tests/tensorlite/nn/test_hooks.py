"""Hooks of modules give the same calls, in the same order, as torch's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import tensorlite as tl

LIBS = pytest.mark.parametrize("lib", [tl, torch], ids=["tensorlite", "torch"])


def values(x: Any) -> Any:
    return (
        None
        if x is None
        else x.detach().numpy().round(5).tolist()
        if hasattr(x, "detach")
        else tuple(values(v) for v in x)
    )


@LIBS
def test_forward_hooks(lib: Any) -> None:
    calls: list[str] = []
    m = lib.nn.Identity()
    m.register_forward_pre_hook(lambda mod, args: calls.append("pre") or (args[0] + 1,))
    m.register_forward_pre_hook(
        lambda mod, args, kwargs: calls.append("first") or (args, kwargs), prepend=True, with_kwargs=True
    )
    m.register_forward_hook(lambda mod, args, out: calls.append("post") or out * 10)
    kw = m.register_forward_hook(lambda mod, args, kwargs, out: calls.append("kw"), with_kwargs=True)
    assert m(lib.tensor([1.0])).tolist() == [20.0]
    kw.remove()
    m(lib.tensor([1.0]))
    assert calls == ["first", "pre", "post", "kw", "first", "pre", "post"]


@LIBS
def test_always_called_hook_runs_after_an_error(lib: Any) -> None:
    class Fails(lib.nn.Module):  # type: ignore[misc,name-defined]
        def forward(self, x: Any) -> Any:
            raise KeyError("no")

    calls: list[Any] = []
    m = Fails()
    m.register_forward_hook(lambda mod, args, out: calls.append(out), always_call=True)
    with pytest.raises(KeyError):
        m(1)
    assert calls == [None]


def backward_calls(lib: Any, change: bool, inputs_need_grad: bool) -> tuple[Any, Any]:
    calls: list[Any] = []

    class Two(lib.nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.w = lib.nn.Parameter(lib.tensor([2.0, 3.0]))

        def forward(self, x: Any, y: Any) -> Any:
            return x * self.w, (x * y).sum()

    m = Two()

    def hook(mod: Any, grad_input: Any, grad_output: Any) -> Any:
        calls.append((values(grad_input), values(grad_output)))
        return tuple(g * 2 for g in grad_input) if change else None

    m.register_full_backward_hook(hook)
    if change:
        m.register_full_backward_pre_hook(lambda mod, grad_output: tuple(g * 3 for g in grad_output))
    x, y = (lib.tensor(v, requires_grad=inputs_need_grad) for v in ([1.0, -1.0], [4.0, 5.0]))
    a, b = m(x, y)
    (a.sum() * 2 + b).backward()
    return calls, (values(x.grad), values(y.grad), values(m.w.grad))


@pytest.mark.parametrize("change", [False, True])
@pytest.mark.parametrize("inputs_need_grad", [True, False])
def test_full_backward_hooks(change: bool, inputs_need_grad: bool) -> None:
    if change and not inputs_need_grad:
        pytest.skip("grad_input cannot be changed where there is none")
    assert backward_calls(tl, change, inputs_need_grad) == backward_calls(torch, change, inputs_need_grad)


def test_global_hooks_and_their_removal() -> None:
    from tensorlite.nn import module as module_file

    names: list[str] = []
    handle = module_file.register_module_forward_hook(lambda m, a, o: names.append(type(m).__name__))
    net = tl.nn.Sequential(tl.nn.Linear(2, 2), tl.nn.ReLU())
    net(tl.ones(1, 2))
    handle.remove()
    net(tl.ones(1, 2))
    assert names == ["Linear", "ReLU", "Sequential"]
    assert not module_file.GLOBAL


def test_hooks_do_not_change_gradients() -> None:
    x = np.random.default_rng(0).standard_normal((3, 4))
    grads = []
    for hooked in (False, True):
        tl.manual_seed(0)
        net = tl.nn.Linear(4, 2).double()
        if hooked:
            net.register_full_backward_hook(lambda *a: None)
        t = tl.tensor(x, requires_grad=True)
        (net(t) ** 2).sum().backward()
        grads.append((t.grad.numpy(), net.weight.grad.numpy()))
    for a, b in zip(*grads, strict=True):
        np.testing.assert_array_equal(a, b)
