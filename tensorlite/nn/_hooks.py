"""The hooks of a Module: called before or after `forward`, or when gradients pass through the module."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from ..autograd.graph import RemovableHandle, Variable, _hook_ids

if TYPE_CHECKING:
    from .module import Module


class Hook(NamedTuple):
    """A user's function and how it wants to be called."""

    call: Callable[..., Any]
    with_kwargs: bool = False
    always: bool = False


class Hooks:
    """The hooks of one module, in calling order; made when the first is registered."""

    __slots__ = ("backward", "backward_pre", "forward", "forward_pre")

    def __init__(self) -> None:
        self.forward_pre: OrderedDict[int, Hook] = OrderedDict()
        self.forward: OrderedDict[int, Hook] = OrderedDict()
        self.backward_pre: OrderedDict[int, Hook] = OrderedDict()
        self.backward: OrderedDict[int, Hook] = OrderedDict()


#: Hooks called for every module; `GLOBAL[0]` exists while there is one.
GLOBAL: list[Hooks] = []


def add_hook(hooks: OrderedDict[int, Hook], hook: Hook, prepend: bool = False) -> RemovableHandle:
    """Enter a hook; the handle takes it out again."""
    key = _hook_ids()
    hooks[key] = hook
    if prepend:
        hooks.move_to_end(key, last=False)
    return RemovableHandle(hooks, key)


def _global_hooks() -> Hooks:
    if not GLOBAL:
        GLOBAL.append(Hooks())
    return GLOBAL[0]


class _GlobalHandle(RemovableHandle):
    def remove(self) -> None:
        super().remove()
        if GLOBAL and not any(getattr(GLOBAL[0], name) for name in Hooks.__slots__):
            GLOBAL.clear()


def register_module_forward_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call `hook(module, args)` before the forward pass of every module."""
    hooks = _global_hooks().forward_pre
    return _GlobalHandle(hooks, add_hook(hooks, Hook(hook)).id)


def register_module_forward_hook(
    hook: Callable[..., Any], *, with_kwargs: bool = False, always_call: bool = False
) -> RemovableHandle:
    """Call `hook(module, args, output)` after the forward pass of every module."""
    hooks = _global_hooks().forward
    return _GlobalHandle(hooks, add_hook(hooks, Hook(hook, with_kwargs, always_call)).id)


def register_module_full_backward_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call `hook(module, grad_input, grad_output)` when the gradients of any module's inputs have been computed."""
    hooks = _global_hooks().backward
    return _GlobalHandle(hooks, add_hook(hooks, Hook(hook)).id)


def call_with_hooks(module: Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """`module.forward(*args, **kwargs)` with every hook around it."""
    levels = [*GLOBAL, *([module._hooks] if module._hooks is not None else [])]
    args, kwargs = _run_pre_hooks(module, levels, args, kwargs)
    backward = [h.call for hooks in levels for h in hooks.backward.values()]
    backward_pre = [h.call for hooks in levels for h in hooks.backward_pre.values()]
    watch = _BackwardWatch(module, backward, backward_pre) if backward or backward_pre else None
    if watch is not None:
        args = watch.enter(args)
    after = [h for hooks in levels for h in hooks.forward.values()]
    called: list[Hook] = []
    try:
        result = module.forward(*args, **kwargs)
        for hook in after:
            called.append(hook)
            new = hook.call(module, args, kwargs, result) if hook.with_kwargs else hook.call(module, args, result)
            if new is not None:
                result = new
    except Exception:
        for hook in after:
            if hook.always and hook not in called:
                hook.call(module, args, kwargs, None) if hook.with_kwargs else hook.call(module, args, None)
        raise
    return result if watch is None else watch.leave(result)


def _run_pre_hooks(
    module: Module, levels: list[Hooks], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    for hook in [h for hooks in levels for h in hooks.forward_pre.values()]:
        if hook.with_kwargs:
            new = hook.call(module, args, kwargs)
            if new is not None:
                if not (isinstance(new, tuple) and len(new) == 2):
                    raise RuntimeError(
                        f"forward pre-hook must return None or a tuple of (new_args, new_kwargs), but got {new}."
                    )
                args, kwargs = new
        else:
            new = hook.call(module, args)
            if new is not None:
                args = new if isinstance(new, tuple) else (new,)
    return args, kwargs


class _BackwardWatch:
    """Puts an identity node in front of a module and another behind it, and calls the hooks when gradients pass both."""

    def __init__(self, module: Module, hooks: list[Callable[..., Any]], pre_hooks: list[Callable[..., Any]]) -> None:
        self.module, self.hooks, self.pre_hooks = module, hooks, pre_hooks
        self.grad_output: tuple[Any, ...] | None = None
        self.n_inputs = 0
        self.input_positions: list[int] | None = None

    def enter(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        tensors = [i for i, a in enumerate(args) if isinstance(a, Variable) and a._rg]
        self.n_inputs = len(args)
        passed, node = _pass_through([args[i] for i in tensors])
        if node is None:
            return args
        self.input_positions = tensors
        node.register_hook(self._at_inputs)
        result = list(args)
        for i, t in zip(tensors, passed, strict=True):
            result[i] = t
        return tuple(result)

    def leave(self, result: Any) -> Any:
        items = [result] if isinstance(result, Variable) else list(result) if isinstance(result, tuple | list) else []
        tensors = [i for i, a in enumerate(items) if isinstance(a, Variable) and a._rg]
        passed, node = _pass_through([items[i] for i in tensors])
        if node is None:
            return result
        self.n_outputs, self.output_positions = len(items), tensors
        node.register_prehook(self._at_outputs)
        for i, t in zip(tensors, passed, strict=True):
            items[i] = t
        if isinstance(result, Variable):
            return items[0]
        return type(result)(*items) if hasattr(result, "_fields") else type(result)(items)

    def _at_outputs(self, grads: tuple[Any, ...]) -> Any:
        full = _spread(grads, self.output_positions, self.n_outputs)
        for hook in self.pre_hooks:
            new = hook(self.module, full)
            if new is not None:
                full = new if isinstance(new, tuple) else (new,)
        self.grad_output = full
        if self.input_positions is None:  # no input requires grad: this is the last the module sees of the gradient
            for hook in self.hooks:
                if hook(self.module, (None,) * self.n_inputs, full) is not None:
                    raise RuntimeError(
                        "backward hook for Modules where no input requires gradient should always return None or None for all gradients."
                    )
            self.grad_output = None
        return tuple(full[i] for i in self.output_positions)

    def _at_inputs(self, grad_inputs: tuple[Any, ...], _: Any) -> Any:
        if self.grad_output is None:
            return None
        assert self.input_positions is not None
        full = _spread(grad_inputs, self.input_positions, self.n_inputs)
        for hook in self.hooks:
            new = hook(self.module, full, self.grad_output)
            if new is not None:
                new = new if isinstance(new, tuple) else (new,)
                if len(new) != len(full):
                    raise RuntimeError(
                        f"Backward hook returned an invalid number of grad_input, got {len(new)}, but expected {len(full)}"
                    )
                full = new
        self.grad_output = None
        return tuple(full[i] for i in self.input_positions)


def _spread(values: Any, positions: list[int], n: int) -> tuple[Any, ...]:
    full: list[Any] = [None] * n
    for i, v in zip(positions, values, strict=True):
        full[i] = v
    return tuple(full)


def _pass_through(tensors: list[Any]) -> tuple[list[Any], Any]:
    """The tensors behind one identity node, and that node; the node is None where nothing requires grad."""
    from ..autograd import is_grad_enabled
    from ..autograd.function import Function

    if not (is_grad_enabled() and any(t.requires_grad for t in tensors)):
        return tensors, None

    class BackwardHook(Function):
        @staticmethod
        def forward(ctx: Any, *xs: Any) -> Any:
            return tuple(x.view_as(x) for x in xs)

        @staticmethod
        def backward(ctx: Any, *grads: Any) -> Any:
            return grads

    passed = BackwardHook.apply(*tensors)
    passed = [passed] if isinstance(passed, Variable) else list(passed)
    node = next((t.grad_fn for t in passed if t.requires_grad), None)
    return passed, node


class WithHooks:
    """The part of Module at which hooks on its forward and backward are registered."""

    _hooks: Hooks | None = None

    def _own_hooks(self) -> Hooks:
        if self._hooks is None:
            object.__setattr__(self, "_hooks", Hooks())
        assert self._hooks is not None
        return self._hooks

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, args)` before `forward`; what it returns, unless None, replaces the arguments."""
        return add_hook(self._own_hooks().forward_pre, Hook(hook, with_kwargs), prepend)

    def register_forward_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False, always_call: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, args, output)` after `forward`; what it returns, unless None, replaces the output."""
        return add_hook(self._own_hooks().forward, Hook(hook, with_kwargs, always_call), prepend)

    def register_full_backward_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call `hook(module, grad_input, grad_output)` when the gradients of the inputs are known; a result replaces grad_input."""
        return add_hook(self._own_hooks().backward, Hook(hook), prepend)

    register_backward_hook = register_full_backward_hook

    def register_full_backward_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call `hook(module, grad_output)` before the gradient enters the module; a result replaces grad_output."""
        return add_hook(self._own_hooks().backward_pre, Hook(hook), prepend)
