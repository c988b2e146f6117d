"""Function: an op written by the user, with its own forward and backward on tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..ops.table import Op
from .conform import restored
from .graph import Node, Variable, edge, forward_trace, make_node, wrap
from .mode import enable_grad, mode, no_grad
from .record import observers, refresh


class FunctionCtx:
    """What `forward` leaves for `backward`; any attribute may be set on it."""

    needs_input_grad: tuple[bool, ...] = ()
    materialize_grads: bool = True
    _to_save: tuple[Any, ...] = ()
    _dirty: tuple[Any, ...] = ()
    _nondiff: tuple[Any, ...] = ()
    _node: Any = None

    def save_for_backward(self, *tensors: Any) -> None:
        """Keep tensors (inputs or outputs) for `backward`, where `saved_tensors` gives them back."""
        for t in tensors:
            if t is not None and not isinstance(t, Variable):
                raise TypeError(
                    f"save_for_backward can only save variables, but got {type(t).__name__}; keep other values as attributes of ctx"
                )
        self._to_save = tensors

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """The tensors given to `save_for_backward`."""
        if self._to_save is None:
            raise RuntimeError(
                "Trying to backward through the graph a second time (or directly access saved tensors after they have already been freed)."
            )
        return tuple(t.restore() if isinstance(t, _Saved) else t for t in self._to_save)

    def mark_dirty(self, *tensors: Any) -> None:
        """Say which inputs `forward` changed in place."""
        self._dirty = tensors

    def mark_non_differentiable(self, *tensors: Any) -> None:
        """Say which outputs have no gradient."""
        self._nondiff = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """Whether `backward` gets zeros (default) or None for outputs that nothing flowed into."""
        self.materialize_grads = value


class _Saved:
    """A saved tensor without a reference from the node to its own output."""

    def __init__(self, t: Variable, node: Any, slot: int | None) -> None:
        counter = t.counter()
        self.counter, self.version = counter, counter[0]
        self.data: Any = t._data
        self.node, self.slot = node, slot
        self.variable = None if slot is not None else t
        self.packed: Any = None if mode.pack is None else mode.pack.pack(t._data)
        self.origin: Any = None
        if self.packed is not None:  # what the hooks keep is kept instead of the memory of `t`
            if slot is None and t._node is not None:
                self.variable, self.origin = None, (t._node, t._out)
            self.data = None

    def restore(self) -> Any:
        if self.packed is not None:
            return self._unpacked()
        if self.counter[0] != self.version:
            from .graph import type_name

            raise RuntimeError(
                "one of the variables needed for gradient computation has been modified by an inplace operation: "
                f"[{type_name(self.data)} {list(self.data.shape)}] is at version {self.counter[0]}; expected version {self.version} instead."
            )
        if self.slot is None:
            return self.variable
        t = wrap(self.data)
        node = self.node()
        if node is not None:
            t._node, t._out, t._rg = node, self.slot, True
        return t

    def _unpacked(self) -> Any:
        """The tensor that the hooks give back, with the history of the one that was saved."""
        t = self.packed.restore()
        if self.variable is not None:
            return restored(t._data, self.variable, 0) if self.variable._rg else t
        node, slot = self.origin or (self.node(), self.slot)
        return t if node is None else restored(t._data, node, slot or 0)


class _FunctionOp(Op):
    """The op entry of one Function class, so that the engine and the pictures treat it like any other."""

    def __init__(self, cls: type[Function], n_outputs: int) -> None:
        def forward(*args: Any) -> Any:
            raise RuntimeError(f"{cls.__name__} is not an op that can be called on ndarrays; use {cls.__name__}.apply")

        super().__init__(forward, name=cls.__name__, namespaces=())
        self.params = ("inputs", "ctx")
        self.n_outputs = n_outputs
        self.cls = cls
        self.joint_rule = _run_backward
        self.differentiable = frozenset({0})
        self.variadic = True

    def node_name(self) -> str:
        return f"{self.cls.__name__}Backward"


def _op_of(cls: type[Function], single: bool) -> _FunctionOp:
    """The op entry of a Function class, for one result or for a tuple of results."""
    n = 1 if single else 0
    by_count: dict[int, _FunctionOp] | None = cls.__dict__.get("_op_entries")
    if by_count is None:
        by_count = {}
        cls._op_entries = by_count  # type: ignore[attr-defined]
    if n not in by_count:
        by_count[n] = _FunctionOp(cls, n)
    return by_count[n]


def _run_backward(g: Any, needs: Sequence[bool], ctx: FunctionCtx) -> list[Any]:
    """The gradient rule of every Function: call the user's `backward` and check what it returns."""
    op = ctx._op  # type: ignore[attr-defined]
    given = g if op.n_outputs != 1 else (g,)
    recording = any(isinstance(x, Variable) for x in given)
    cotangents = [x if x is None or isinstance(x, Variable) else wrap(x) for x in given]
    with enable_grad() if recording else no_grad():
        results = op.cls.backward(ctx, *cotangents)
    results = results if isinstance(results, tuple) else (results,)
    inputs = ctx._inputs  # type: ignore[attr-defined]
    name = f"{op.cls.__name__}Backward"
    if len(results) > len(inputs) and all(r is None for r in results[len(inputs) :]):
        results = results[: len(inputs)]
    if len(results) != len(inputs):
        raise RuntimeError(
            f"function {name} returned an incorrect number of gradients (expected {len(inputs)}, got {len(results)})"
        )
    grads: list[Any] = []
    for i, (is_tensor, r, shape) in enumerate(zip(ctx._is_tensor, results, ctx._shapes, strict=True)):  # type: ignore[attr-defined]
        if r is None:
            grads.append(None)
            continue
        if not is_tensor:
            raise RuntimeError(
                f"function {name} returned a gradient different than None at position {i + 1}, but the corresponding forward input was not a Variable"
            )
        if not isinstance(r, Variable):
            raise TypeError(f"function {name}: expected a tensor or None as gradient {i}, got {type(r).__name__}")
        if r._data.shape != shape:
            raise RuntimeError(
                f"Function {name} returned an invalid gradient at index {i} - got {list(r._data.shape)} but expected shape compatible with {list(shape)}"
            )
        grads.append(r if recording else r._data)
    return grads


class Function:
    """Base class of ops written by the user: define static `forward(ctx, *args)` and `backward(ctx, *grad_outputs)`, and call `apply`.

    `forward` may also be written without `ctx`, next to a `setup_context(ctx, inputs, output)`.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Function:
        raise RuntimeError(
            "Legacy autograd function with non-static forward method is deprecated. "
            f"Please use new-style autograd function with static forward method: {cls.__name__}.apply(...), without an instance."
        )

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """The computation, on tensors; nothing in it is recorded."""
        raise NotImplementedError("You must implement the forward function for custom autograd.Function.")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """For each input of `forward` its gradient, or None."""
        raise NotImplementedError(
            "You must implement either the backward or vjp method for your custom autograd.Function to use it with backward mode AD."
        )

    setup_context: Callable[..., None] | None = None

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Run `forward` and record it."""
        import weakref

        ctx = FunctionCtx()
        for a in args:
            if isinstance(a, Variable) and a._base is not None:
                refresh(a)
        ctx.needs_input_grad = tuple(isinstance(a, Variable) and a._rg for a in args)
        recording = mode.grad and any(ctx.needs_input_grad)
        with no_grad():
            if cls.setup_context is not None:
                outputs = cls.forward(*args)
                cls.setup_context(ctx, args, outputs)
            else:
                outputs = cls.forward(ctx, *args)
        if recording and any(d._rg and d._node is None for d in ctx._dirty):
            raise RuntimeError("a leaf Variable that requires grad has been used in an in-place operation.")
        single = not isinstance(outputs, tuple)
        results = (outputs,) if single else outputs
        if not recording:
            for d in ctx._dirty:
                d.counter()[0] += 1
            return outputs
        op = _op_of(cls, single)
        tensors = [i for i, a in enumerate(args) if isinstance(a, Variable)]
        ctx._op, ctx._inputs, ctx._is_tensor = op, args, tuple(isinstance(a, Variable) for a in args)  # type: ignore[attr-defined]
        ctx._shapes = tuple(a._data.shape if isinstance(a, Variable) else None for a in args)  # type: ignore[attr-defined]
        plan = op.plan(1)
        parents = tuple([edge(a) if n else None for a, n in zip(args, ctx.needs_input_grad, strict=True)])
        slots = tuple([a._out if n else 0 for a, n in zip(args, ctx.needs_input_grad, strict=True)])
        fresh = [_own_result(r, args, ctx) for r in results]
        shapes: Any = tuple(r._data.shape if isinstance(r, Variable) else () for r in fresh)
        dtypes: Any = tuple(r._data.dtype if isinstance(r, Variable) else None for r in fresh)
        node = make_node(
            plan,
            parents,
            slots if any(slots) else None,
            (ctx,),
            None,
            shapes[0] if single else shapes,
            dtypes[0] if single else dtypes,
        )
        if mode.anomaly:
            node.extras = {"trace": forward_trace()}
        ctx._inputs = tuple(None if isinstance(a, Variable) else a for a in args)  # type: ignore[attr-defined]
        reference = weakref.ref(node)
        ctx._to_save = tuple(_keep(t, results, reference) for t in ctx._to_save)
        for k, (r, original) in enumerate(zip(fresh, results, strict=True)):
            if (
                not isinstance(r, Variable)
                or any(original is n for n in ctx._nondiff)
                or r._data.dtype.kind not in "fc"
            ):
                continue
            if any(original is d for d in ctx._dirty):
                r.counter()[0] += 1
            r._node, r._out, r._rg = node, k, True
        for observer in observers:
            observer(op, tuple(args[i] for i in tensors), fresh[0] if single else tuple(fresh))
        return fresh[0] if single else tuple(fresh)


def _own_result(r: Any, args: Sequence[Any], ctx: FunctionCtx) -> Any:
    """An input that `forward` returned as it was must not have its own history replaced."""
    if not isinstance(r, Variable):
        return r
    if any(r is a for a in args) and not any(r is d for d in ctx._dirty):
        return wrap(r._data)
    return r


def _keep(t: Any, results: Sequence[Any], node: Any) -> Any:
    if t is None:
        return None
    slot = next((k for k, r in enumerate(results) if r is t), None)
    return _Saved(t, node, slot)


def once_differentiable(backward: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a `backward` that cannot itself be differentiated: double backward then raises RuntimeError."""

    def wrapped(ctx: Any, *grads: Any) -> Any:
        with no_grad():
            results = backward(ctx, *grads)
        if mode.grad and any(isinstance(g, Variable) and g._rg for g in grads):
            raise RuntimeError("trying to differentiate twice a function that was marked with @once_differentiable")
        return results

    return wrapped


__all__ = ["Function", "FunctionCtx", "Node", "once_differentiable"]
