"""state_dicts: the names, shapes and messages of PyTorch, so that a checkpoint moves between the two libraries."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..autograd.graph import RemovableHandle, _hook_ids, wrap
from ..autograd.inplace import bump
from ..tensor import Size, Tensor
from .parameter import Parameter, is_lazy

if TYPE_CHECKING:
    from .module import Module

EXTRA = "_extra_state"


class IncompatibleKeys(NamedTuple):
    """What `load_state_dict` did not find, and what it found but did not need."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return f"IncompatibleKeys(missing_keys={self.missing_keys}, unexpected_keys={self.unexpected_keys})"

    def __str__(self) -> str:
        return repr(self)


class StateHooks:
    """The hooks around saving and loading of one module; made when the first is registered."""

    __slots__ = ("load_post", "load_pre", "save_post", "save_pre")

    def __init__(self) -> None:
        self.save_pre: OrderedDict[int, Callable[..., Any]] = OrderedDict()
        self.save_post: OrderedDict[int, Callable[..., Any]] = OrderedDict()
        self.load_pre: OrderedDict[int, Callable[..., Any]] = OrderedDict()
        self.load_post: OrderedDict[int, Callable[..., Any]] = OrderedDict()


def persistent(module: Module) -> Iterable[tuple[str, Any]]:
    """The module's own parameters and buffers that a state_dict holds."""
    yield from ((name, p) for name, p in module._parameters.items() if p is not None)
    hidden = module._non_persistent_buffers_set
    yield from ((name, b) for name, b in module._buffers.items() if b is not None and name not in hidden)


def save(module: Module, destination: Any, prefix: str, keep_vars: bool) -> Any:
    """`module.state_dict()` into `destination`."""
    if destination is None:
        destination = OrderedDict()
        destination._metadata = OrderedDict()
    if hasattr(destination, "_metadata"):
        destination._metadata[prefix[:-1]] = {"version": module._version}
    hooks = module._state_hooks
    for hook in hooks.save_pre.values() if hooks else ():
        hook(module, prefix, keep_vars)
    module._save_to_state_dict(destination, prefix, keep_vars)
    for name, child in module._modules.items():
        if child is not None:
            child.state_dict(destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
    for hook in hooks.save_post.values() if hooks else ():
        replaced = hook(module, destination, prefix, destination._metadata.get(prefix[:-1], {}))
        destination = destination if replaced is None else replaced
    return destination


def load(module: Module, state_dict: Mapping[str, Any], strict: bool, assign: bool) -> IncompatibleKeys:
    """`module.load_state_dict(state_dict)`."""
    if not isinstance(state_dict, Mapping):
        raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
    metadata = getattr(state_dict, "_metadata", None)
    state = OrderedDict(state_dict)
    missing: list[str] = []
    unexpected: list[str] = []
    errors: list[str] = []
    _load_tree(module, state, "", metadata, strict, assign, missing, unexpected, errors)
    incompatible = IncompatibleKeys(missing, unexpected)
    _run_post_hooks(module, incompatible)
    if strict:
        if unexpected:
            errors.insert(0, "Unexpected key(s) in state_dict: {}. ".format(", ".join(f'"{k}"' for k in unexpected)))
        if missing:
            errors.insert(0, "Missing key(s) in state_dict: {}. ".format(", ".join(f'"{k}"' for k in missing)))
    elif state and len(unexpected) == len(state):
        warnings.warn(
            f"load_state_dict(strict=False) loaded nothing: none of the {len(state)} keys given (first: '{next(iter(state))}') is in "
            f"{type(module).__name__}'s state_dict (first: '{next(iter(module.state_dict()), None)}'); a prefix may differ",
            UserWarning,
            stacklevel=3,
        )
    if errors:
        raise RuntimeError(
            "Error(s) in loading state_dict for {}:\n\t{}".format(type(module).__name__, "\n\t".join(errors))
        )
    return incompatible


def _load_tree(
    module: Module, state: Any, prefix: str, metadata: Any, strict: bool, assign: bool,
    missing: list[str], unexpected: list[str], errors: list[str],
) -> None:  # fmt: skip
    local: dict[str, Any] = {} if metadata is None else dict(metadata.get(prefix[:-1], {}))
    local["assign_to_params_buffers"] = assign
    module._load_from_state_dict(state, prefix, local, strict, missing, unexpected, errors)
    for name, child in module._modules.items():
        if child is not None:
            _load_tree(child, state, f"{prefix}{name}.", metadata, strict, assign, missing, unexpected, errors)


def _run_post_hooks(module: Module, incompatible: IncompatibleKeys) -> None:
    for child in module._modules.values():
        if child is not None:
            _run_post_hooks(child, incompatible)
    for hook in module._state_hooks.load_post.values() if module._state_hooks else ():
        if hook(module, incompatible) is not None:
            raise RuntimeError(
                "Hooks registered with ``register_load_state_dict_post_hook`` are not expected to return new values; change the keys in place"
            )


def load_own(
    module: Module, state: Any, prefix: str, local: dict[str, Any], strict: bool,
    missing: list[str], unexpected: list[str], errors: list[str],
) -> None:  # fmt: skip
    """Load the parameters and buffers of this module alone, and note what does not fit."""
    for hook in module._state_hooks.load_pre.values() if module._state_hooks else ():
        hook(module, state, prefix, local, strict, missing, unexpected, errors)
    assign = local.get("assign_to_params_buffers", False)
    for name, target in persistent(module):
        key = prefix + name
        if key in state:
            _load_one(module, name, target, key, state[key], assign, errors)
        else:
            missing.append(key)
    _load_extra(module, state, prefix + EXTRA, strict, missing, unexpected)
    own = {*module._modules, *(name for name, _ in persistent(module)), EXTRA}
    for key in state:
        if key.startswith(prefix):
            rest = key[len(prefix) :].split(".")
            if rest[0] not in own or (len(rest) > 1 and rest[0] not in module._modules):
                unexpected.append(key)


def _load_one(module: Module, name: str, target: Any, key: str, value: Any, assign: bool, errors: list[str]) -> None:
    if not isinstance(value, Tensor):
        if not hasattr(value, "__array__"):
            errors.append(
                f'While copying the parameter named "{key}", expected tensorlite.Tensor or array-like object from checkpoint but received {type(value)}'
            )
            return
        value = wrap(np.asarray(value))
    if is_lazy(value):
        errors.append(
            f'While copying the parameter named "{key}", the checkpoint holds a parameter that was never given a shape'
        )
        return
    if is_lazy(target):
        target.materialize(value.shape)
    shape = target._data.shape
    data = value._data
    if shape == () and data.shape == (1,):
        data = data[0]
    if data.shape != shape:
        errors.append(
            f"size mismatch for {key}: copying a param with shape {Size(data.shape)} from checkpoint, the shape in current model is {Size(shape)}."
        )
        return
    if assign:
        if isinstance(target, Parameter):
            value = value if isinstance(value, Parameter) else Parameter(value, requires_grad=target.requires_grad)
        setattr(module, name, value)
        return
    if not target._data.flags.writeable:
        target._data = np.empty_like(target._data)
    np.copyto(target._data, data, casting="unsafe")
    bump(target)


def _load_extra(module: Module, state: Any, key: str, strict: bool, missing: list[str], unexpected: list[str]) -> None:
    wants = type(module).set_extra_state is not _base().set_extra_state
    if wants:
        if key in state:
            module.set_extra_state(state[key])
        elif strict:
            missing.append(key)
    elif strict and key in state:
        unexpected.append(key)


def _base() -> type[Module]:
    from .module import Module

    return Module


def _add(hooks: Any, hook: Callable[..., Any]) -> RemovableHandle:
    key = _hook_ids()
    hooks[key] = hook
    return RemovableHandle(hooks, key)


class WithState:
    """The part of Module that saves and loads, and registers hooks around that."""

    _state_hooks: StateHooks | None = None

    def get_extra_state(self) -> Any:
        """What else belongs in the state_dict; a subclass that overrides it also overrides `set_extra_state`."""
        raise RuntimeError("Reached a code path in Module.get_extra_state() that should never be called.")

    def set_extra_state(self, state: Any) -> None:
        """Take back what `get_extra_state` gave."""
        raise RuntimeError("Reached a code path in Module.set_extra_state() that should never be called.")

    def state_dict(self: Any, *args: Any, destination: Any = None, prefix: str = "", keep_vars: bool = False) -> Any:
        """All parameters and persistent buffers by dotted name, sharing memory with the module; detached unless `keep_vars`."""
        if args:  # torch's old positional form
            given = dict(zip(("destination", "prefix", "keep_vars"), args, strict=False))
            return self.state_dict(**{"destination": destination, "prefix": prefix, "keep_vars": keep_vars, **given})
        return save(self, destination, prefix, keep_vars)

    def _save_to_state_dict(self: Any, destination: Any, prefix: str, keep_vars: bool) -> None:
        for name, t in persistent(self):
            destination[prefix + name] = t if keep_vars or is_lazy(t) else t.detach()
        if type(self).get_extra_state is not WithState.get_extra_state:
            destination[prefix + EXTRA] = self.get_extra_state()

    def load_state_dict(
        self: Any, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> IncompatibleKeys:
        """Copy the values of a state_dict into the module. Values may be tensors or anything that NumPy can read as an array.

        Raises RuntimeError with all missing and unexpected keys and all size mismatches; `strict=False` allows the first two and returns them.
        """
        return load(self, state_dict, strict, assign)

    def _load_from_state_dict(
        self: Any, state_dict: Any, prefix: str, local_metadata: dict[str, Any], strict: bool,
        missing_keys: list[str], unexpected_keys: list[str], error_msgs: list[str],
    ) -> None:  # fmt: skip
        load_own(self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)

    def _own_state_hooks(self) -> StateHooks:
        if self._state_hooks is None:
            object.__setattr__(self, "_state_hooks", StateHooks())
        assert self._state_hooks is not None
        return self._state_hooks

    def register_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(module, prefix, keep_vars)` before the module is saved."""
        return _add(self._own_state_hooks().save_pre, hook)

    def register_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(module, state_dict, prefix, local_metadata)` after the module is saved."""
        return _add(self._own_state_hooks().save_post, hook)

    _register_state_dict_hook = register_state_dict_post_hook

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(module, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)` before loading."""
        return _add(self._own_state_hooks().load_pre, hook)

    def _register_load_state_dict_pre_hook(
        self, hook: Callable[..., Any], with_module: bool = False
    ) -> RemovableHandle:
        return self.register_load_state_dict_pre_hook(hook if with_module else lambda module, *rest: hook(*rest))

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(module, incompatible_keys)` after loading; it may change the two lists."""
        return _add(self._own_state_hooks().load_post, hook)
