"""The base of all optimizers: parameter groups, state, state_dicts that PyTorch can read, and the loop over parameters."""

from __future__ import annotations

import copy
import functools
import warnings
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import numpy as np

from ..autograd.graph import RemovableHandle, _hook_ids, wrap
from ..autograd.inplace import bump
from ..autograd.mode import enable_grad
from ..dtypes import Array, get_default_dtype
from ..kernels.pool import keep_freed_memory_for_training
from ..tensor import Tensor

Group = dict[str, Any]
State = dict[str, Array]


class _Required:
    def __repr__(self) -> str:
        return "<required parameter>"


required: Any = _Required()


def _with_hooks(step: Callable[..., Any]) -> Callable[..., Any]:
    """`step` between the step hooks; a step that calls its parent's `step` runs them once."""

    @functools.wraps(step)
    def hooked(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        if self._in_step:
            return step(self, *args, **kwargs)
        for hook in list(self._step_pre_hooks.values()):
            changed = hook(self, args, kwargs)
            if changed is not None:
                if not (isinstance(changed, tuple) and len(changed) == 2):
                    raise RuntimeError(
                        f"a step pre-hook must return None or a tuple of (new_args, new_kwargs), but got {changed}."
                    )
                args, kwargs = changed
        self._in_step = True
        try:
            result = step(self, *args, **kwargs)
        finally:
            self._in_step = False
        for hook in list(self._step_post_hooks.values()):
            hook(self, args, kwargs)
        self._opt_called = True
        return result

    return hooked


class Optimizer:
    """Changes parameters by their gradients. A subclass says in `update` what happens to one parameter.

    `state[p]` holds the tensors kept for parameter `p`, `param_groups` the options. Subclasses may also override `step` as a whole.
    """

    #: Options that hold a number and must not be negative, and how torch calls them when they are.
    _names: ClassVar[dict[str, str]] = {
        "lr": "learning rate", "eps": "epsilon value", "rho": "rho value", "alpha": "alpha value", "momentum": "momentum value",
        "weight_decay": "weight_decay value", "lr_decay": "lr_decay value", "momentum_decay": "momentum_decay value",
        "initial_accumulator_value": "initial_accumulator_value value",
    }  # fmt: skip
    _in_step = False
    _opt_called = False

    def __init__(self, params: Iterable[Any], defaults: Group) -> None:
        if isinstance(params, Tensor):
            raise TypeError(
                f"params argument given to the optimizer should be an iterable of Tensors or dicts, but got {type(params).__name__}"
            )
        keep_freed_memory_for_training()
        self.defaults = defaults
        self.state: defaultdict[Any, Any] = defaultdict(dict)
        self.param_groups: list[Group] = []
        self._step_pre_hooks: OrderedDict[int, Any] = OrderedDict()
        self._step_post_hooks: OrderedDict[int, Any] = OrderedDict()
        self._state_dict_pre_hooks: OrderedDict[int, Any] = OrderedDict()
        self._state_dict_post_hooks: OrderedDict[int, Any] = OrderedDict()
        self._load_pre_hooks: OrderedDict[int, Any] = OrderedDict()
        self._load_post_hooks: OrderedDict[int, Any] = OrderedDict()
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(dict(group) if isinstance(group, dict) else group)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "step" in cls.__dict__:
            cls.step = _with_hooks(cls.__dict__["step"])  # type: ignore[method-assign]

    @classmethod
    def _check(cls, **options: Any) -> None:
        """Raise torch's ValueError for a negative option, or for betas outside [0, 1)."""
        for name, value in options.items():
            if name == "betas":
                for i, beta in enumerate(value):
                    if not 0.0 <= float(beta) < 1.0:
                        raise ValueError(f"Invalid beta parameter at index {i}: {beta}")
            else:
                if isinstance(value, Tensor) and value.numel() != 1:
                    raise ValueError(f"Tensor {name} must be 1-element")
                if not float(value) >= 0.0:
                    raise ValueError(f"Invalid {cls._names[name]}: {value}")

    # -- one step -----------------------------------------------------------------------------------------------------

    def init_state(self, param: Array, group: Group) -> State:
        """The arrays to keep for a parameter, before its first update."""
        return {}

    def update(self, param: Array, grad: Array, state: State, group: Group) -> None:
        """Change `param` and the arrays in `state` in place; never `grad`."""
        raise NotImplementedError(f"{type(self).__name__} defines neither update() nor step()")

    @_with_hooks
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient. Returns what `closure`, which computes loss and gradients anew, returned."""
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        for group in self.param_groups:
            if group.get("differentiable"):
                raise RuntimeError(
                    f"{type(self).__name__}(differentiable=True) is not supported: updates are not recorded; write the update with tensor ops instead"
                )
            with np.errstate(all="ignore"):  # gradients may be huge or infinite; a scaler or the loss shows it
                self._update_group([p for p in group["params"] if p._grad is not None], group)
        return loss

    def _update_group(self, params: list[Tensor], group: Group) -> None:
        """Update the parameters of a group that have a gradient; a subclass may take several at once."""
        for p in params:
            self._update_one(p, group)

    def _update_one(self, p: Tensor, group: Group) -> None:
        param, grad = p._data, p._grad._data
        if not param.flags.writeable:
            raise RuntimeError("the memory of a parameter is read-only; clone() it before it is optimized")
        is_complex = param.dtype.kind == "c"
        kind = param.dtype
        if is_complex:
            param, grad = _as_real(param), _as_real(grad)
        kept = self.state.get(p)
        if not kept:
            kept = self.make_state(p, group)
        state = {
            k: _as_real(t._data) if t._data.dtype.kind == "c" else t._data
            for k, t in kept.items()
            if isinstance(t, Tensor)
        }
        known = len(state)
        if "step" in state:
            state["step"] += 1
        self.update(param, -grad if group.get("maximize") else grad, state, group)
        if len(state) != known:
            new = {
                k: wrap(_as_complex(v, kind) if is_complex and v.ndim else v) for k, v in state.items() if k not in kept
            }
            self.state[p].update(new)
        bump(p)

    def make_state(self, p: Tensor, group: Group) -> dict[str, Tensor]:
        """Enter what `init_state` gives for a parameter into `state`."""
        is_complex = p._data.dtype.kind == "c"
        arrays = self.init_state(_as_real(p._data) if is_complex else p._data, group)
        kept = {k: wrap(_as_complex(v, p._data.dtype) if is_complex and v.ndim else v) for k, v in arrays.items()}
        if kept:
            self.state[p] = kept
        return kept

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradients of all parameters, or fill them with zeros where they are, for the next to be added in."""
        for group in self.param_groups:
            for p in group["params"]:
                if p._grad is not None and set_to_none:
                    p._grad = None
                elif p._grad is not None:
                    p._grad = p._grad.detach() if p._grad._rg else p._grad
                    p._grad.zero_()

    # -- groups -------------------------------------------------------------------------------------------------------

    def add_param_group(self, param_group: Group) -> None:
        """Optimize further parameters: a dict with "params" and options that differ from the defaults."""
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        self._collect_params(param_group)
        for p in param_group["params"]:
            if not isinstance(p, Tensor):
                raise TypeError(f"optimizer can only optimize Tensors, but one of the params is {type(p).__name__}")
            if not (p.is_leaf or p.retains_grad):
                raise ValueError("can't optimize a non-leaf Tensor")
        for name, default in self.defaults.items():
            if default is required and name not in param_group:
                raise ValueError(f"parameter group didn't specify a value of required optimization parameter {name}")
            param_group.setdefault(name, default)
        params = param_group["params"]
        if len(params) != len(set(params)):
            warnings.warn(
                "optimizer contains a parameter group with duplicate parameters; each is updated as often as it appears",
                stacklevel=3,
            )
        taken = {p for group in self.param_groups for p in group["params"]}
        if self.param_groups and ("param_names" in param_group) != ("param_names" in self.param_groups[0]):
            raise ValueError("all optimizer param groups should be with/without names")
        if not taken.isdisjoint(params):
            raise ValueError("some parameters appear in more than one parameter group")
        self.param_groups.append(param_group)

    @staticmethod
    def _collect_params(group: Group) -> None:
        params = group["params"]
        if isinstance(params, set):
            raise TypeError(
                "optimizer parameters need to be organized in ordered collections, but the ordering of tensors in sets will change between runs. "
                "Please use a list instead."
            )
        items = [params] if isinstance(params, Tensor) else list(params)
        names = [p[0] for p in items if isinstance(p, tuple)]
        if names and len(names) != len(items):
            raise ValueError("all optimizer params should be with/without names. Some param names are missing")
        group["params"] = [p[1] if isinstance(p, tuple) else p for p in items]
        if names:
            group["param_names"] = names

    # -- saving and loading -------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """State and options in torch's layout; parameters are numbered in order of appearance."""
        for hook in self._state_dict_pre_hooks.values():
            hook(self)
        numbers: dict[Any, int] = {}
        for group in self.param_groups:
            for p in group["params"]:
                numbers.setdefault(p, len(numbers))
        groups = [
            {**{k: v for k, v in group.items() if k != "params"}, "params": [numbers[p] for p in group["params"]]}
            for group in self.param_groups
        ]
        saved: dict[str, Any] = {"state": {numbers.get(p, p): s for p, s in self.state.items()}, "param_groups": groups}
        for hook in self._state_dict_post_hooks.values():
            replaced = hook(self, saved)
            saved = saved if replaced is None else replaced
        return saved

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict()` gave, here or in torch. Raises ValueError if the groups do not match."""
        state_dict = dict(state_dict)
        for hook in self._load_pre_hooks.values():
            replaced = hook(self, state_dict)
            state_dict = state_dict if replaced is None else replaced
        saved = [{k: _own(v) for k, v in g.items()} for g in state_dict["param_groups"]]
        if len(saved) != len(self.param_groups):
            raise ValueError(
                "loaded state dict has a different number of parameter groups: "
                f"got {len(saved)}, expected {len(self.param_groups)}"
            )
        numbered: dict[Any, Tensor] = {}
        for group, new in zip(self.param_groups, saved, strict=True):
            if len(group["params"]) != len(new["params"]):
                raise ValueError(
                    "loaded state dict contains a parameter group that doesn't match the size of optimizer's group: "
                    f"got {len(new['params'])} parameters, expected {len(group['params'])}"
                )
            numbered.update(zip(new["params"], group["params"], strict=True))
            new["params"] = group["params"]
            if "param_names" in group:
                new.setdefault("param_names", group["param_names"])
            for name, default in self.defaults.items():  # options that an older version did not have
                new.setdefault(name, default)
        state: defaultdict[Any, Any] = defaultdict(dict)
        for key, value in state_dict["state"].items():
            if key in numbered:
                p = numbered[key]
                state[p] = {k: _as_state(v, p, k) for k, v in value.items()}
            else:
                state[key] = value
        self.state, self.param_groups = state, saved
        for hook in self._load_post_hooks.values():
            hook(self)

    # -- hooks --------------------------------------------------------------------------------------------------------

    def register_step_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(optimizer, args, kwargs)` before every step."""
        return _add(self._step_pre_hooks, hook)

    def register_step_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(optimizer, args, kwargs)` after every step."""
        return _add(self._step_post_hooks, hook)

    def register_state_dict_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call `hook(optimizer)` before `state_dict`."""
        return _add(self._state_dict_pre_hooks, hook, prepend)

    def register_state_dict_post_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call `hook(optimizer, state_dict)` after `state_dict`; a result replaces it."""
        return _add(self._state_dict_post_hooks, hook, prepend)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call `hook(optimizer, state_dict)` before loading; a result replaces it."""
        return _add(self._load_pre_hooks, hook, prepend)

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call `hook(optimizer)` after loading."""
        return _add(self._load_post_hooks, hook, prepend)

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            lines += [*([""] if i else []), f"Parameter Group {i}"]
            lines.extend(f"    {key}: {group[key]}" for key in sorted(group) if key != "params")
        return "\n".join([*lines, ")"])


def new_step() -> Array:
    """The counter of updates, as torch stores it: a 0-d float."""
    return np.zeros((), np.float64 if get_default_dtype().itemsize == 8 else np.float32)


def scalar(value: float) -> Array:
    """A 0-d array of the default float type."""
    return np.asarray(value, new_step().dtype)


def number(value: Any) -> float:
    """An option that may be a Python number or a one-element tensor, as a number."""
    return value if type(value) is float else float(value)


def _add(hooks: Any, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
    key = _hook_ids()
    hooks[key] = hook
    if prepend:
        hooks.move_to_end(key, last=False)
    return RemovableHandle(hooks, key)


def _as_real(a: Array) -> Array:
    """A complex array as pairs of reals in the last dimension, sharing its memory."""
    pairs: Array = a.reshape((*a.shape, 1)).view(a.real.dtype)
    return pairs


def _as_complex(a: Array, kind: Any) -> Array:
    joined: Array = a.view(kind).reshape(a.shape[:-1])
    return joined


def _own(value: Any) -> Any:
    return value.detach().clone() if isinstance(value, Tensor) else copy.deepcopy(value)


def _as_state(value: Any, p: Tensor, key: str) -> Any:
    """A copy of a state value with the parameter's dtype; counters keep theirs. Arrays of other libraries become tensors."""
    if isinstance(value, dict):
        return {k: _as_state(v, p, k) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_as_state(v, p, key) for v in value)
    if key == "step" and isinstance(value, int | float):
        value = np.asarray(value, new_step().dtype)
    if not isinstance(value, Tensor):
        if not hasattr(value, "__array__") or isinstance(value, np.generic):
            return value
        value = wrap(np.asarray(value))
    data = value._data
    number_alone = data.ndim == 0 and (p._data.ndim > 0 or data.dtype.kind != p._data.dtype.kind)
    keep = key == "step" or p._data.dtype.kind not in "fc" or number_alone
    return wrap(data.copy() if keep else data.astype(p._data.dtype))


__all__ = ["Optimizer", "required"]
