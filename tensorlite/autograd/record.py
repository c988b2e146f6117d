"""Running an op on tensors: unwrap, unify the dtypes, compute, and record a Node if somebody may ask for gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..dtypes import default_for, get_default_dtype, result_dtype
from ..errors import explain
from ..ops.basic import cast
from ..ops.table import Op
from .graph import NoArray, Node, Variable, edge, forward_trace, make_node, wrap
from .mode import enable_grad, mode

#: Called as `observer(op, args, outputs)` after every op while a trace or a profile is being taken.
observers: list[Callable[[Op, tuple[Any, ...], Any], None]] = []


def apply(op: Op, args: tuple[Any, ...], kwargs: dict[str, Any] | None = None) -> Any:
    """Run `op` on tensors and plain values. Returns a tensor, or a tuple of them."""
    if kwargs or op.rest is not None or len(args) != len(op.params):
        args = op.bind(args, kwargs or {})
    values = list(args)
    mask = 0
    try:
        if op.variadic:
            return _apply_variadic(op, args)
        for i, a in enumerate(args):
            if isinstance(a, Variable):
                if a._base is not None:
                    refresh(a)
                values[i] = a._data
                if a._rg and i in op.differentiable:
                    mask |= 1 << i
    except NoArray as found:
        return found.operand.run(op, args)
    if op.promote is not None:
        args = _promote(op, args, values)
    out, aux = compute(op, values)
    if mask and mode.grad:
        result = record(op, mask, args, values, out, aux)
    else:
        result = plain(op, out)
    if op.view:
        _mark_view(op, args, result)
    if observers:
        for observer in observers:
            observer(op, args, result)
    return result


def compute(op: Op, values: list[Any]) -> tuple[Any, Any]:
    """The forward on ndarrays: (out, aux). Errors are raised again with the op and what it was given."""
    try:
        if op.quiet:
            with np.errstate(all="ignore"):
                out = op.forward(*values)
        else:
            out = op.forward(*values)
    except (ValueError, IndexError, TypeError, RuntimeError, OverflowError, np.linalg.LinAlgError) as error:
        raise explain(op.name, op.params, values, error) from error
    except AttributeError:
        if values and not op.variadic and not isinstance(values[0], np.ndarray | np.generic):
            raise _no_tensor(op, 0, values[0]) from None
        raise
    return out if op.aux else (out, None)


def _no_tensor(op: Op, position: int, value: Any) -> TypeError:
    """torch's words for an argument that should have been a tensor."""
    name = "input" if op.params[position] == "x" else op.params[position]
    return TypeError(
        f"{op.name}(): argument '{name}' (position {position + 1}) must be Tensor, not {type(value).__name__}"
    )


def plain(op: Op, out: Any) -> Any:
    """Results without history."""
    if op.n_outputs == 1:
        t = wrap(out)
        if mode.inference:
            t._inference = True
        return t
    results = tuple(wrap(o) for o in out)
    if mode.inference:
        for t in results:
            t._inference = True
    return op.outputs(*results) if op.outputs is not None else results


def record(op: Op, mask: int, args: tuple[Any, ...], values: list[Any], out: Any, aux: Any) -> Any:
    """Results with history: the node that remembers what the rules need, and the tensors that refer to it."""
    plan = op.plan(mask)
    parents: list[Any] = []
    slots: list[int] = []
    for i, needed in zip(plan.positions, plan.needs, strict=True):
        v = args[i]
        parents.append(edge(v) if needed else None)
        slots.append(v._out if needed else 0)
    single = op.n_outputs == 1
    if single:
        if type(out) is not np.ndarray:
            out = np.asarray(out)
        result: Any = wrap(out)
    else:
        result = tuple(wrap(o) for o in out)
    n = len(values)
    saved: tuple[Any, ...] = ()
    versions: list[tuple[int, list[int], int]] = []
    if plan.saves:
        pool = (*values, out, aux)
        saved = tuple([pool[s] if isinstance(s, int) else pool[s[0]].shape for s in plan.saves])
        for i in plan.tensor_saves:
            s = plan.saves[i]
            held = result if s == n else args[s]
            if isinstance(held, Variable):
                if held._inference:
                    raise RuntimeError(_INFERENCE)
                counter = held._vc or held.counter()
                versions.append((i, counter, counter[0]))
    shape = out.shape if single else tuple([o._data.shape for o in result])
    dtype = out.dtype if single else tuple([o._data.dtype for o in result])
    node = make_node(plan, tuple(parents), tuple(slots) if any(slots) else None, saved, versions or None, shape, dtype)
    if mode.careful:
        _carefully(node)
    if single:
        result._rg = True
        result._node = node
        return result
    for k, t in enumerate(result):
        if k not in op.nondiff_outputs and t._data.dtype.kind in "fc":
            t._rg = True
            t._node = node
            t._out = k
    return op.outputs(*result) if op.outputs is not None else result


def _carefully(node: Node) -> None:
    """What else is done for a new node in anomaly mode, or under hooks on what is saved."""
    if mode.anomaly:
        node.extras = {"trace": forward_trace()}
    if mode.pack is not None:
        mode.pack.take(node)


def _apply_variadic(op: Op, args: tuple[Any, ...]) -> Any:
    """An op whose first parameter is a sequence of tensors: each of them is a parent."""
    tensors, *rest = args
    if isinstance(tensors, Variable):
        raise TypeError(
            f"{op.name}(): argument '{op.params[0]}' must be a tuple or list of tensors, not a single tensor"
        )
    items = list(tensors)
    for t in items:
        if isinstance(t, Variable):
            if t._base is not None:
                refresh(t)
        elif not isinstance(t, np.ndarray | np.generic | int | float | complex | bool):
            raise TypeError(f"{op.name}(): expected tensors in '{op.params[0]}', got {type(t).__name__}")
    if op.promote is not None and items:
        dtype = result_dtype([_value(t) for t in items])
        items = [_cast(t, dtype) for t in items]
    arrays = tuple(_value(t) for t in items)
    values = [arrays, *(r._data if isinstance(r, Variable) else r for r in rest)]
    out, aux = compute(op, values)
    needs = tuple(isinstance(t, Variable) and t._rg for t in items)
    if not (any(needs) and mode.grad and op.joint_rule is not None):
        result = plain(op, out)
    else:
        result = _record_variadic(op, items, needs, values, out, aux)
    if observers:
        for observer in observers:
            observer(op, (tuple(items), *rest), result)
    return result


def _record_variadic(op: Op, items: list[Any], needs: tuple[bool, ...], values: list[Any], out: Any, aux: Any) -> Any:
    plan = op.plan(1)
    parents = tuple([edge(t) if n else None for t, n in zip(items, needs, strict=True)])
    slots = tuple([t._out if n else 0 for t, n in zip(items, needs, strict=True)])
    out = np.asarray(out)
    result = wrap(out)
    pool = (*values, out, aux)
    saved: list[Any] = []
    versions: list[tuple[int, list[int], int]] = []
    for i, s in enumerate(plan.saves):
        if s == (0,):
            saved.append(tuple([a.shape for a in values[0]]))
        else:
            saved.append(pool[s] if isinstance(s, int) else pool[s[0]].shape)
        if s == 0:
            counters = [t.counter() for t in items if isinstance(t, Variable)]
            versions.extend((i, c, c[0]) for c in counters)
        elif s == len(values):
            versions.append((i, result.counter(), 0))
    node = make_node(plan, parents, slots if any(slots) else None, tuple(saved), versions or None, out.shape, out.dtype)
    if mode.careful:
        _carefully(node)
    result._rg = True
    result._node = node
    return result


# -- dtypes -----------------------------------------------------------------------------------------------------------


def _value(t: Any) -> Any:
    if isinstance(t, Variable):
        return t._data
    return (
        t
        if isinstance(t, np.ndarray)
        else np.asarray(t, default_for(t))
        if not isinstance(t, np.generic)
        else np.asarray(t)
    )


def _cast(t: Any, dtype: np.dtype[Any]) -> Any:
    if isinstance(t, Variable):
        return t if t._data.dtype == dtype else apply(cast, (t, dtype))
    return np.asarray(t, dtype)


def _promote(op: Op, args: tuple[Any, ...], values: list[Any]) -> tuple[Any, ...]:
    """Unify the dtypes of the operands in place of `values`; a tensor that has to change is cast by a recorded op."""
    over = [i for i in op.over if values[i] is not None]
    for i in over:
        v = values[i]
        if type(v) is not np.ndarray:
            if isinstance(v, np.generic):
                values[i] = v.item()
            elif isinstance(v, list | tuple):
                raise TypeError(
                    f"{op.name}(): argument '{op.params[i]}' must be a tensor or a number, not {type(v).__name__}; wrap it in tensor(...)"
                )
            elif not isinstance(v, int | float | complex):
                raise TypeError(
                    f"{op.name}(): argument '{op.params[i]}' must be a tensor or a number, not {type(v).__name__}"
                )
    if not over:
        raise _no_tensor(op, op.over[0], None)
    first = values[over[0]]
    dtype = first.dtype if len(over) == 1 and type(first) is np.ndarray else result_dtype([values[i] for i in over])
    if op.promote == "float" and dtype.kind in "biu":
        dtype = get_default_dtype().dtype
    changed: list[Any] | None = None
    for i in over:
        v = values[i]
        if type(v) is np.ndarray:
            if v.dtype != dtype:
                if isinstance(args[i], Variable):
                    changed = changed or list(args)
                    changed[i] = apply(cast, (args[i], dtype))
                    values[i] = changed[i]._data
                else:
                    values[i] = v.astype(dtype)
        elif len(over) == 1 or dtype.kind in "biu":
            if op.check_number is not None:
                op.check_number(i, v, dtype)
            values[i] = np.asarray(v).astype(dtype)  # integers wrap around, as in torch
    if not any(type(values[i]) is np.ndarray for i in over):
        for i in over:
            values[i] = np.asarray(values[i], dtype)
    return args if changed is None else tuple(changed)


# -- views ------------------------------------------------------------------------------------------------------------


def _mark_view(op: Op, args: tuple[Any, ...], result: Any) -> None:
    """Remember, for results that share memory with the first argument, whose memory it is and how to get there again."""
    source = args[0]
    if not isinstance(source, Variable):
        return
    single = op.n_outputs == 1
    memory = source._data
    owner = memory if memory.base is None else memory.base
    root = source if source._base is None else source._base
    counter = root._vc or root.counter()
    kind = "multi" if op.multiview else "" if mode.grad else "no_grad"
    for k, t in enumerate((result,) if single else result):
        data = t._data
        if data.base is not owner and data.base is not memory and data is not memory:
            continue  # the op had to copy (a reshape of a transposed array, say)
        t._base = root
        if root._undo:
            t._epoch = len(root._undo) if source is root else source._epoch
        t._chain = (*source._chain, (op, args[1:], k))
        t._vc = counter
        t._seen = counter[0]
        if source._inference:
            t._inference = True
        t._view_kind = source._view_kind if source._base is not None and source._view_kind == "multi" else kind


def refresh(view: Variable) -> None:
    """Give a view a node that starts from its base's present history, if the shared memory was changed in place since it was made."""
    counter = view._vc
    if counter is None or counter[0] == view._seen:
        return
    base = view._base
    view._seen = counter[0]
    if base is None or not base._rg or (view._rg and view._node is None):
        return
    with enable_grad():
        t: Any = base
        for op, rest, k in chain_of(view):
            t = apply(op, (t, *rest))
            if op.n_outputs != 1:
                t = t[k]
    before = view._node, view._out
    view._node, view._out, view._rg = t._node, t._out, t._rg
    if view._retained:
        keep_retaining(view, *before)


def chain_of(view: Variable) -> tuple[Any, ...]:
    """The ops that make `view` from its base as that is now: back to the shape the base had when the view was made, and the view's own."""
    assert view._base is not None
    back = view._base._undo[view._epoch :][::-1]
    if None in back:
        raise RuntimeError(
            "the tensor that this view was made of was given other memory by set_ or resize_; make the view again"
        )
    return (*back, *view._chain)


def keep_retaining(v: Variable, node: Node | None, slot: int) -> None:
    """After `retain_grad`, the history of `v` was replaced: its gradient is now found at the new node, no longer at `node`."""
    wanted = (node.extras or {}).get("retain", {}) if node is not None else {}
    reference = wanted.pop(slot, None)
    if v._node is not None and reference is not None:
        v._node.extra("retain", {})[v._out] = reference


_INFERENCE = "Inference tensors cannot be saved for backward. To work around you can make a clone to get a normal tensor and use it in autograd."


def grad_fn(v: Variable) -> Node | None:
    """The node that made `v`, with a view's history brought up to date."""
    if v._base is not None:
        refresh(v)
    return v._node
