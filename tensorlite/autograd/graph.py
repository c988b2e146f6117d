"""The graph: a `Variable` is an array that may have a history, a `Node` is one recorded op.

Arrows point backwards only. A Variable refers to the Node that made it; a Node refers to the Nodes (or leaf Variables) its inputs came
from; nothing refers forward, and no Node refers to its own result. So a graph is freed by reference counting as soon as its last
result is dropped.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from ..dtypes import Array, from_numpy_dtype
from ..ops.table import Op, Plan

Hook = Callable[[Any], Any]
Shape = tuple[int, ...]

next_ticket = itertools.count().__next__
_new = object.__new__


class Node:
    """One recorded op.

    Attributes:
        plan: the op, and the rules to run for the inputs that require grad.
        parents: for each rule of the plan, the Node or the leaf Variable the gradient goes to (None: that input needs none).
        slots: which output of each parent was used; None when all were the first.
        saved: what the rules need, in the plan's order; None once it was freed.
        versions: (counter, version at saving, description) of each saved array, for noticing in-place changes.
        shape, dtype: of the output; tuples of them for an op with several outputs.
        seq: creation number; parents always have smaller ones.
        extras: hooks, retained gradients, the forward traceback; None for almost every node.
    """

    __slots__ = ("__weakref__", "dtype", "extras", "parents", "plan", "saved", "seq", "shape", "slots", "versions")

    plan: Plan
    parents: tuple[Any, ...]
    slots: tuple[int, ...] | None
    saved: tuple[Any, ...] | None
    versions: Any
    shape: Any
    dtype: Any
    seq: int
    extras: dict[str, Any] | None

    @property
    def op(self) -> Op:
        return self.plan.op

    @property
    def multiple(self) -> bool:
        """Whether the op has several outputs, so that its cotangent is a list."""
        return self.plan.op.n_outputs != 1

    def name(self) -> str:
        """torch's name of the node, such as `MulBackward0`."""
        return self.plan.op.node_name()

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        """(node or None, output index) for each input that requires grad, as in torch; leaves appear as `AccumulateGrad`."""
        slots = self.slots or (0,) * len(self.parents)
        edges = (
            (AccumulateGrad(p) if isinstance(p, Variable) else p, s) for p, s in zip(self.parents, slots, strict=True)
        )
        return tuple(edges)

    def register_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(grad_inputs, grad_outputs)` after this node ran backward; a returned tuple replaces the gradients of the inputs."""
        return _register(self.extra("node_hooks", {}), hook)

    def register_prehook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(grad_outputs)` before this node runs backward; a returned tuple replaces them."""
        return _register(self.extra("node_prehooks", {}), hook)

    def extra(self, key: str, default: Any) -> Any:
        if self.extras is None:
            self.extras = {}
        return self.extras.setdefault(key, default)

    def __repr__(self) -> str:
        return f"<{self.name()}>"


class AccumulateGrad:
    """The end of a path: the leaf `variable` whose `.grad` the gradient is added to."""

    def __init__(self, variable: Variable) -> None:
        self.variable = variable

    def name(self) -> str:
        return "AccumulateGrad"

    @property
    def next_functions(self) -> tuple[()]:
        return ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AccumulateGrad) and other.variable is self.variable

    def __hash__(self) -> int:
        return hash(("AccumulateGrad", id(self.variable)))

    def __repr__(self) -> str:
        return "<AccumulateGrad>"


class Variable:
    """An array with a place in the graph: what the engine needs to know of a tensor. `Tensor` adds the methods.

    The attributes below are class-level defaults, so that making a Variable sets one attribute and no more.
    """

    _data: Array
    _rg: bool = False  # requires grad
    _grad: Any = None
    _node: Node | None = None  # what made it; None for a leaf
    _out: int = 0  # which output of the node
    _vc: list[int] | None = None  # version counter, shared with every view; made when first needed
    _hooks: dict[int, Hook] | None = None  # of a leaf; those of other variables live on their node
    _after: dict[int, Hook] | None = None  # of a leaf: what to call when `.grad` has been added to
    _base: Variable | None = None  # for a view: the variable whose memory it shows
    _chain: tuple[tuple[Op, tuple[Any, ...], int], ...] = ()  # for a view: the ops that make it from the base
    _undo: Any = ()  # for a base whose shape was changed in place: a list of the ops that take it back, None where nothing does
    _epoch: int = 0  # for a view: how long `_undo` of its base was when it was made
    _seen: int = 0  # for a view: the version at which its node was made
    _view_kind: str = (
        ""  # for a view: "", "multi" (one of several outputs) or "no_grad" (made while nothing was recorded)
    )
    _inference: bool = False
    _retained: bool = False

    tensor_type: ClassVar[type[Variable]]

    def counter(self) -> list[int]:
        """The version counter, made now if this is the first that anyone asks."""
        vc = self._vc
        if vc is None:
            vc = self._vc = [0]
        return vc


class NoArray(NotImplementedError):
    """Raised by `_data` of a Variable that is not one array (a sparse tensor): its class computes ops by `run(op, args)`."""

    def __init__(self, operand: Any, message: str) -> None:
        super().__init__(message)
        self.operand = operand


def wrap(data: Any) -> Any:
    """A tensor over `data` without history."""
    t = _new(Variable.tensor_type)
    t._data = data if type(data) is np.ndarray else np.asarray(data)
    return t


def edge(v: Variable) -> Any:
    """What a gradient for `v` goes to: its node, or `v` itself when it is a leaf."""
    node = v._node
    return v if node is None else node


def make_node(
    plan: Plan,
    parents: tuple[Any, ...],
    slots: tuple[int, ...] | None,
    saved: tuple[Any, ...],
    versions: Any,
    shape: Any,
    dtype: Any,
) -> Node:
    node = _new(Node)
    node.plan = plan
    node.parents = parents
    node.slots = slots
    node.saved = saved
    node.versions = versions
    node.shape = shape
    node.dtype = dtype
    node.seq = next_ticket()
    node.extras = None
    return node


def holds_arrays(saved: tuple[Any, ...]) -> bool:
    """Whether there is anything to free; numbers and shapes may stay, so that such a node can be walked again, as in torch."""
    return any(
        type(v) is np.ndarray or (type(v) is tuple and v and type(v[0]) is np.ndarray) or hasattr(v, "saved_tensors")
        for v in saved
    )


_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def forward_trace() -> list[str]:
    """The user's stack at this moment, without the library's own frames."""
    import traceback

    return traceback.format_list([f for f in traceback.extract_stack() if not f.filename.startswith(_PACKAGE)])


_changes: dict[int, tuple[list[int], list[str]]] = {}  # in anomaly mode: where each version counter was last raised


def remember_change(counter: list[int]) -> None:
    """Note the line that is changing this memory in place; done in anomaly mode only."""
    _changes[id(counter)] = (counter, forward_trace())


def change_trace(counter: list[int]) -> str:
    """The line that last changed this memory in place, if anomaly mode was on when it ran."""
    found = _changes.get(id(counter))
    return "".join(found[1]) if found is not None and found[0] is counter else ""


def forget_changes() -> None:
    _changes.clear()


class RemovableHandle:
    """Returned by every `register_*hook`; `remove()` takes the hook out again. Also a context manager."""

    def __init__(self, hooks: dict[int, Any], key: int) -> None:
        self._hooks = hooks
        self.id = key

    def remove(self) -> None:
        self._hooks.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()


_hook_ids = itertools.count().__next__


def _register(hooks: dict[int, Any], hook: Any) -> RemovableHandle:
    key = _hook_ids()
    hooks[key] = hook
    return RemovableHandle(hooks, key)


def register_hook(v: Variable, hook: Hook) -> RemovableHandle:
    """Call `hook(grad)` when the gradient of `v` is complete; what it returns, unless None, replaces the gradient."""
    if not v._rg:
        raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
    if v._node is None:
        if v._hooks is None:
            v._hooks = {}
        return _register(v._hooks, hook)
    return _register(v._node.extra("hooks", {}).setdefault(v._out, {}), hook)


def register_after(leaf: Variable, hook: Hook) -> RemovableHandle:
    """Call `hook(leaf)` when a backward pass has added to `leaf.grad`."""
    if not leaf._rg:
        raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
    if leaf._node is not None:
        raise RuntimeError("post accumulate grad hooks cannot be registered on non-leaf tensors")
    if leaf._after is None:
        leaf._after = {}
    return _register(leaf._after, hook)


def type_name(data: Array) -> str:
    """torch's legacy name of an array's type, as its error messages spell it: `torch.FloatTensor`."""
    names = {"float32": "Float", "float64": "Double", "float16": "Half", "int64": "Long", "int32": "Int", "int16": "Short",
             "int8": "Char", "uint8": "Byte", "bool": "Bool", "complex64": "ComplexFloat", "complex128": "ComplexDouble"}  # fmt: skip
    return f"torch.{names[from_numpy_dtype(data.dtype).name]}Tensor"


_LAZY = ("disable_saved_tensors_hooks", "save_on_cpu", "saved_tensors_hooks")


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'tensorlite.autograd.graph' has no attribute '{name}'")
    from . import packing

    return getattr(packing, name)


def memory_report(*tensors: Variable) -> Any:
    """Which ops below `tensors` keep how many bytes for the backward: see `tensorlite.autograd.memory`."""
    from .memory import memory_report as report

    return report(*tensors)
