"""Module: the base class of all layers and models, with PyTorch's names and behaviour."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self

from ..autograd.graph import Variable
from ..dtypes import dtype as dtype_type
from ..dtypes import float16, float32, float64
from ..tensor import Tensor
from ..tensor import device as device_type
from . import _hooks
from ._hooks import (
    GLOBAL,
    WithHooks,
    register_module_forward_hook,
    register_module_forward_pre_hook,
    register_module_full_backward_hook,
)
from ._state import WithState
from .parameter import Buffer, Parameter, is_lazy

__all__ = [
    "Module",
    "register_module_forward_hook",
    "register_module_forward_pre_hook",
    "register_module_full_backward_hook",
]

_NOT_STARTED = "cannot assign {} before Module.__init__() call"
Tensors = Callable[[Any], Any]


class Module(WithHooks, WithState):
    """A part of a model: parameters, buffers and further modules, and a `forward` that says what it computes.

    Parameters and modules assigned to attributes are registered, in order; `register_buffer` adds tensors that are saved but not learned.
    Set hyperparameters in `__init__` after calling `super().__init__()`, and call the module, not its `forward`.
    """

    _version: int = 1
    training: bool
    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, Module | None]
    _non_persistent_buffers_set: set[str]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if args or kwargs:
            given = args[0] if args else next(iter(kwargs))
            raise TypeError(
                f"{type(self).__name__}.__init__() got an unexpected argument: {given!r}; Module takes none"
            )
        put = super().__setattr__
        put("training", True)
        put("_parameters", {})
        put("_buffers", {})
        put("_non_persistent_buffers_set", set())
        put("_modules", {})

    # -- calling ------------------------------------------------------------------------------------------------------

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes; every subclass writes its own."""
        raise NotImplementedError(f'Module [{type(self).__name__}] is missing the required "forward" function')

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._hooks is None and not GLOBAL:
            return self.forward(*args, **kwargs)
        return _hooks.call_with_hooks(self, args, kwargs)

    # -- attributes ---------------------------------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        own = self.__dict__
        if isinstance(value, Parameter):
            if "_parameters" not in own:
                raise AttributeError(_NOT_STARTED.format("parameters"))
            self._forget(name, self._parameters)
            self.register_parameter(name, value)
        elif isinstance(value, Module):
            if "_modules" not in own:
                raise AttributeError(_NOT_STARTED.format("module"))
            self._forget(name, self._modules)
            self._modules[name] = value
        elif "_parameters" in own and name in own["_parameters"]:
            if value is not None:
                raise TypeError(
                    f"cannot assign '{_type_of(value)}' as parameter '{name}' (tensorlite.nn.Parameter or None expected)"
                )
            self._parameters[name] = None
        elif "_modules" in own and name in own["_modules"]:
            if value is not None:
                raise TypeError(
                    f"cannot assign '{_type_of(value)}' as child module '{name}' (tensorlite.nn.Module or None expected)"
                )
            self._modules[name] = None
        elif isinstance(value, Buffer) or ("_buffers" in own and name in own["_buffers"]):
            if "_buffers" not in own:
                raise AttributeError(_NOT_STARTED.format("buffer"))
            if value is not None and not isinstance(value, Tensor):
                raise TypeError(
                    f"cannot assign '{_type_of(value)}' as buffer '{name}' (tensorlite.Tensor, tensorlite.nn.Buffer or None expected)"
                )
            if name not in self._buffers:
                self._forget(name, self._buffers)
                self.register_buffer(name, value, persistent=getattr(value, "persistent", True))
            else:
                self._buffers[name] = value
        else:
            if isinstance(value, list | tuple | dict):
                self._warn_of_plain_container(name, value, self)
            super().__setattr__(name, value)

    def _forget(self, name: str, keep: dict[str, Any]) -> None:
        """Make room for something else under this name; in the registry `keep` it will take the old one's place."""
        self.__dict__.pop(name, None)
        for registry in (self._parameters, self._buffers, self._modules):
            if registry is not keep:
                registry.pop(name, None)
        self._non_persistent_buffers_set.discard(name)

    def __getattr__(self, name: str) -> Any:
        own = self.__dict__
        for registry in ("_parameters", "_buffers", "_modules"):
            if registry in own and name in own[registry]:
                return own[registry][name]
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'{self._suggestion(name)}")

    def _suggestion(self, name: str) -> str:
        if name.startswith("__"):
            return ""
        import difflib

        close = difflib.get_close_matches(name, [n for n in dir(self) if not n.startswith("__")], 1)
        return f"; did you mean '{close[0]}'?" if close else ""

    def __delattr__(self, name: str) -> None:
        for registry in ("_parameters", "_buffers", "_modules"):
            if name in self.__dict__.get(registry, ()):
                del self.__dict__[registry][name]
                self._non_persistent_buffers_set.discard(name)
                return
        super().__delattr__(name)

    def __dir__(self) -> list[str]:
        own = self.__dict__
        registered = (n for r in ("_parameters", "_buffers", "_modules") for n in own.get(r, ()))
        return sorted({*dir(type(self)), *own, *(n for n in registered if not n[:1].isdigit())})

    def _warn_of_plain_container(self, name: str, value: Any, root: Module) -> None:
        items = list(value.values()) if isinstance(value, dict) else value
        modules = [v for v in items if isinstance(v, Module)]
        if not modules or "_modules" not in self.__dict__ or name in self.__dict__.get("_warned_of", ()):
            return
        registered = {id(m) for m in root.modules()}
        if all(id(m) in registered for m in modules):
            return
        self.__dict__.setdefault("_warned_of", set()).add(name)
        kind = "ModuleDict" if isinstance(value, dict) else "ModuleList"
        warnings.warn(
            f"{type(self).__name__}.{name} is a plain {type(value).__name__} that holds modules: their parameters are not registered, so they are "
            f"neither trained nor saved; use nn.{kind}" + (" or nn.ModuleList" if kind == "ModuleDict" else ""),
            UserWarning,
            stacklevel=3,
        )

    # -- registering --------------------------------------------------------------------------------------------------

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter under `name`; None reserves the name. Raises KeyError for a name that is taken or not valid."""
        if "_parameters" not in self.__dict__:
            raise AttributeError(_NOT_STARTED.format("parameter"))
        self._check_name("parameter", name, self._parameters)
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(
                f"cannot assign '{_type_of(param)}' object to parameter '{name}' (tensorlite.nn.Parameter or None required)"
            )
        if param is not None and param._node is not None:
            raise ValueError(
                f"Cannot assign non-leaf Tensor to parameter '{name}'. Model parameters must be created explicitly. To express '{name}' as a "
                "function of another Tensor, compute the value in the forward() method."
            )
        self._parameters[name] = param

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a tensor that is not learned; it is saved in the state_dict if `persistent`."""
        if "_buffers" not in self.__dict__:
            raise AttributeError(_NOT_STARTED.format("buffer"))
        self._check_name("buffer", name, self._buffers)
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(
                f"cannot assign '{_type_of(tensor)}' object to buffer '{name}' (tensorlite Tensor or None required)"
            )
        self._buffers[name] = tensor
        if persistent:
            self._non_persistent_buffers_set.discard(name)
        else:
            self._non_persistent_buffers_set.add(name)

    def add_module(self, name: str, module: Module | None) -> None:
        """Add a child module under `name`; None reserves the name."""
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"{_type_of(module)} is not a Module subclass")
        self._check_name("module", name, self._modules)
        self._modules[name] = module

    def register_module(self, name: str, module: Module | None) -> None:
        """Same as `add_module`."""
        self.add_module(name, module)

    def _check_name(self, what: str, name: Any, registry: Mapping[str, Any]) -> None:
        if not isinstance(name, str):
            raise TypeError(f"{what} name should be a string. Got {_type_of(name)}")
        if "." in name:
            raise KeyError(f'{what} name can\'t contain "."' + (f", got: {name}" if what == "module" else ""))
        if name == "":
            raise KeyError(f'{what} name can\'t be empty string ""')
        if name not in registry and hasattr(self, name):
            raise KeyError(f"attribute '{name}' already exists")

    # -- looking up ---------------------------------------------------------------------------------------------------

    def get_submodule(self, target: str) -> Module:
        """The module at a dotted path such as `encoder.layers.0`. Raises AttributeError where the path breaks."""
        module: Any = self
        for item in target.split(".") if target else ():
            if not hasattr(module, item):
                raise AttributeError(f"{type(module).__name__} has no attribute `{item}`")
            module = getattr(module, item)
            if not isinstance(module, Module):
                raise AttributeError(f"`{item}` is not an nn.Module")
        return module  # type: ignore[no-any-return]

    def set_submodule(self, target: str, module: Module, strict: bool = False) -> None:
        """Replace the module at a dotted path."""
        parent, _, name = target.rpartition(".")
        if not name:
            raise ValueError("Cannot set the submodule without a target name!")
        owner = self.get_submodule(parent)
        if strict and not hasattr(owner, name):
            raise AttributeError(f"{type(owner).__name__} has no attribute `{name}`")
        setattr(owner, name, module)

    def get_parameter(self, target: str) -> Parameter:
        """The parameter at a dotted path. Raises AttributeError if there is none."""
        return self._get_tensor(target, "_parameters", "nn.Parameter")  # type: ignore[no-any-return]

    def get_buffer(self, target: str) -> Tensor:
        """The buffer at a dotted path. Raises AttributeError if there is none."""
        return self._get_tensor(target, "_buffers", "buffer")  # type: ignore[no-any-return]

    def _get_tensor(self, target: str, registry: str, kind: str) -> Any:
        path, _, name = target.rpartition(".")
        owner = self.get_submodule(path)
        if not hasattr(owner, name):
            raise AttributeError(f"{type(owner).__name__} has no attribute `{name}`")
        if name not in owner.__dict__[registry]:
            raise AttributeError(f"`{name}` is not an {kind}" if kind.startswith("nn") else f"`{name}` is not a {kind}")
        return owner.__dict__[registry][name]

    # -- walking ------------------------------------------------------------------------------------------------------

    def named_modules(
        self, memo: set[Module] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """This module and all below it with their dotted names, each module once."""
        seen = set() if memo is None else memo
        stack = [(prefix, self)]
        while stack:
            name, module = stack.pop()
            if module in seen:
                continue
            if remove_duplicate:
                seen.add(module)
            yield name, module
            children = [(f"{name}.{n}" if name else n, m) for n, m in module._modules.items() if m is not None]
            stack.extend(reversed(children))

    def modules(self, remove_duplicate: bool = True) -> Iterator[Module]:
        """This module and all below it, each once."""
        return (m for _, m in self.named_modules(remove_duplicate=remove_duplicate))

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The immediate children with their names, each once."""
        seen: set[int] = set()
        for name, module in self._modules.items():
            if module is not None and id(module) not in seen:
                seen.add(id(module))
                yield name, module

    def children(self) -> Iterator[Module]:
        """The immediate children, each once."""
        return (m for _, m in self.named_children())

    def _named_members(
        self,
        get_members_fn: Callable[[Module], Any],
        prefix: str = "",
        recurse: bool = True,
        remove_duplicate: bool = True,
    ) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        for path, module in (
            self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate) if recurse else ((prefix, self),)
        ):
            for name, value in list(module.__dict__.items()) if recurse else ():
                if type(value) in (list, tuple, dict) and value and name[0] != "_":
                    module._warn_of_plain_container(name, value, self)
            for name, tensor in get_members_fn(module):
                if tensor is None or id(tensor) in seen:
                    continue
                if remove_duplicate:
                    seen.add(id(tensor))
                yield (f"{path}.{name}" if path else name), tensor

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """All parameters with their dotted names, each once, in order of registration."""
        return self._named_members(lambda m: m._parameters.items(), prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """All parameters, each once, in order of registration."""
        return (p for _, p in self.named_parameters(recurse=recurse))

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """All buffers with their dotted names, each once."""
        return self._named_members(lambda m: m._buffers.items(), prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """All buffers, each once."""
        return (b for _, b in self.named_buffers(recurse=recurse))

    def apply(self, fn: Callable[[Module], None]) -> Self:
        """Call `fn` on every module, children first."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    # -- modes, types and gradients -----------------------------------------------------------------------------------

    def train(self, mode: bool = True) -> Self:
        """Put every module into training mode: dropout drops, batch norm uses and updates batch statistics."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.training = mode
        for child in self.children():
            child.train(mode)
        return self

    def eval(self) -> Self:
        """Put every module into evaluation mode."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Freeze all parameters (False), or thaw them."""
        for p in self.parameters():
            p.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradients of all parameters, or fill them with zeros."""
        for p in self.parameters():
            if p._grad is not None:
                if set_to_none:
                    p._grad = None
                else:
                    p._grad = p._grad.detach() if p._grad._rg else p._grad
                    p._grad.zero_()

    def _apply(self, fn: Tensors, recurse: bool = True) -> Self:
        """Replace the memory of every parameter, gradient and buffer by what `fn` makes of it."""
        for child in self.children() if recurse else ():
            child._apply(fn)
        for p in self._parameters.values():
            if p is not None:
                p._data = fn(p.data)._data
                if p._grad is not None:
                    p._grad._data = fn(p._grad.data)._data
        for name, b in self._buffers.items():
            if b is not None:
                self._buffers[name] = fn(b)
        return self

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Convert parameters and buffers of floating type to another floating dtype, in place; the only device is the CPU."""
        target = kwargs.pop("dtype", None)
        place = kwargs.pop("device", None)
        for a in args:
            if isinstance(a, Tensor):
                target = a.dtype
            elif isinstance(a, str | device_type):
                place = a
            elif a is not None and not isinstance(a, bool):
                target = a
        if place is not None:
            device_type(place)
        if target is None:
            return self
        if isinstance(target, dtype_type) and not (target.is_floating_point or target.is_complex):
            raise TypeError(
                f"nn.Module.to only accepts floating point or complex dtypes, but got desired dtype={target}"
            )
        return self._apply(
            lambda t: t.to(target) if is_lazy(t) or t.dtype.is_floating_point or t.dtype.is_complex else t
        )

    def type(self, dst_type: Any) -> Self:
        """Convert all parameters and buffers to `dst_type`, integers too."""
        return self._apply(lambda t: t.to(dst_type))

    def float(self) -> Self:
        """Parameters and buffers of floating type as float32."""
        return self.to(float32)

    def double(self) -> Self:
        """Parameters and buffers of floating type as float64."""
        return self.to(float64)

    def half(self) -> Self:
        """Parameters and buffers of floating type as float16."""
        return self.to(float16)

    def cpu(self) -> Self:
        """The module itself: everything is on the CPU."""
        return self

    def cuda(self, device: Any = None) -> Self:
        """Raises RuntimeError: there is no GPU support."""
        device_type("cuda")
        return self

    def share_memory(self) -> Self:
        """The module itself; processes get copies."""
        return self

    # -- printing -----------------------------------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """What stands between the brackets of the module's line in its repr."""
        return ""

    def _get_name(self) -> str:
        return type(self).__name__

    def __repr__(self) -> str:
        extra = self.extra_repr()
        lines = extra.split("\n") if extra else []
        children = [f"({name}): {indent(repr(child))}" for name, child in self._modules.items()]
        if len(lines) == 1 and not children:
            return f"{self._get_name()}({lines[0]})"
        body = "".join(f"\n  {line}" for line in (*lines, *children))
        return f"{self._get_name()}({body}\n)" if body else f"{self._get_name()}()"

    def __getstate__(self) -> dict[str, Any]:
        return dict(self.__dict__)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)


def indent(text: str) -> str:
    """All lines but the first moved two places to the right."""
    return text.replace("\n", "\n  ")


def _type_of(value: Any) -> str:
    if isinstance(value, Variable):
        from ..autograd.graph import type_name

        return type_name(value._data).replace("torch.", "tensorlite.")
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
