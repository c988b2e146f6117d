"""In-place ops: computed out of place, written back, and the history of everything that shares the memory rewritten.

A tensor changed in place gets the node of the equivalent out-of-place op, and the version counter of its memory goes up, so that a
backward pass that still needs the old values raises instead of using the new ones. When the tensor is a view, the base's new history says
"the old base, with this region replaced" (torch's CopySlices), and the histories of views follow from the base's when next used.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import from_numpy_dtype
from ..ops.basic import cast
from ..ops.index import getitem
from ..ops.softmax import plain_dtype
from ..ops.table import Op, op
from .graph import Variable, edge, make_node, remember_change
from .mode import mode
from .record import apply, chain_of, keep_retaining, refresh

_KINDS = {"b": 0, "u": 1, "i": 1, "f": 2, "c": 3}


def apply_inplace(op: Op, target: Variable, args: tuple[Any, ...], kwargs: dict[str, Any] | None = None) -> Any:
    """Run `op` with `target` as first argument and write the result into its memory. Returns `target`."""
    if target._base is not None:
        refresh(target)
    bound = op.bind((target, *args), kwargs or {})
    recording = mode.grad and (target._rg or any(isinstance(a, Variable) and a._rg for a in bound[1:]))
    _check_allowed(op, target, recording)
    if op.writes is not None and not recording:
        write(op, target._data, [_unwrap(a, target) for a in bound[1:]])
        bump(target)
        return target
    result = apply(op, bound) if mode.pack is None else _apply_unpacked(op, bound)
    if result._data.dtype != target._data.dtype:
        check_castable(result._data.dtype, target._data.dtype)
        if result._rg:
            result = apply(cast, (result, target._data.dtype))
    if recording and result._rg and result._node is not None:
        _keep_original(result._node, target._data)
    _store(op, target, result._data)
    bump(target)
    if recording and result._rg:
        _rebind(target, result)
        if mode.pack is not None:
            mode.pack.take(result._node)
    return target


def write(op: Op, data: Any, values: list[Any]) -> None:
    """Change `data` directly, by an op that can."""
    assert op.writes is not None
    op.writes(data, *values)


def _apply_unpacked(op: Op, args: tuple[Any, ...]) -> Any:
    """`apply`, with the hooks on what is saved to be called later: when it is known where the saved values live."""
    hooks = mode.pack
    mode.set_pack(None)
    try:
        return apply(op, args)
    finally:
        mode.set_pack(hooks)


def reshape_inplace(op: Op, target: Variable, args: tuple[Any, ...], undo: Op, undo_args: tuple[Any, ...]) -> Any:
    """Let `target` be what the view op `op` makes of it; `undo` takes it back, for the sake of views made before. Returns `target`."""
    if target._base is not None:
        refresh(target)
    if mode.grad and target._rg:
        check_recorded(target)
    result = apply(op, (target, *args))
    before = target._node, target._out
    target._data = result._data
    bump(target)
    if target._base is None:
        _remember(target, (undo, undo_args, 0))
    else:
        target._chain, target._seen = result._chain, target.counter()[0]
    if result._rg:
        target._node, target._out = result._node, result._out
        if target._retained:
            keep_retaining(target, *before)
    return target


def _remember(base: Variable, step: Any) -> None:
    if not base._undo:
        base._undo = []
    base._undo.append(step)


def forget_views(target: Variable) -> None:
    """`target` is about to look at other memory: views of it that are used in a recorded op from now on raise."""
    if target._base is None:
        _remember(target, None)
    else:
        target._base, target._chain, target._view_kind = None, (), ""
    bump(target)


def _store(op: Op, target: Variable, data: Any) -> None:
    if data.shape != target._data.shape:
        raise RuntimeError(
            f"output with shape {list(target._data.shape)} doesn't match the broadcast shape {list(data.shape)}"
        )
    np.copyto(target._data, data, casting="unsafe")


def _keep_original(node: Any, data: Any) -> None:
    """Where a rule needs the values that are about to be overwritten, let it have a copy of them."""
    if node.saved is None or not any(held is data for held in node.saved):
        return
    kept = [k for k, held in enumerate(node.saved) if held is data]
    node.saved = tuple(held.copy() if k in kept else held for k, held in enumerate(node.saved))
    node.versions = [v for v in node.versions or () if v[0] not in kept] or None


def bump(target: Variable) -> None:
    """The memory of `target` was changed: raise its version."""
    counter = target.counter()
    counter[0] += 1
    if mode.anomaly:
        remember_change(counter)


def _check_allowed(op: Op, target: Variable, recording: bool) -> None:
    data = target._data
    check_no_self_overlap(data)
    if not data.flags.writeable:
        raise RuntimeError(
            f"{op.name}_(): the memory of this tensor is read-only; clone() it before changing it in place"
        )
    if recording or (target._view_kind == "no_grad" and mode.grad and target._base is not None and target._base._rg):
        check_recorded(target)
    elif target._inference and not mode.inference:
        raise RuntimeError(_INFERENCE)


_INFERENCE = (
    "Inplace update to inference tensor outside InferenceMode is not allowed. "
    "You can make a clone to get a normal tensor before doing inplace update."
)


def check_recorded(target: Variable) -> None:
    """Raises RuntimeError for a tensor that may not be changed in place while that is recorded: a leaf, one of several views, and others."""
    if target._rg and target._node is None:
        what = "a leaf Variable" if target._base is None else "a view of a leaf Variable"
        raise RuntimeError(f"{what} that requires grad is being used in an in-place operation.")
    base = target._base
    if base is not None:
        if base._rg and base._node is None:
            raise RuntimeError("a view of a leaf Variable that requires grad is being used in an in-place operation.")
        if target._view_kind == "multi":
            raise RuntimeError(
                f"Output {target._out} of {target._node.name() if target._node else 'a function'} is a view and is being modified inplace. "
                "This view is the output of a function that returns multiple views. Such functions do not allow the output views to be modified "
                "inplace. You should replace the inplace operation by an out-of-place one."
            )
        if target._view_kind == "no_grad":
            raise RuntimeError(
                "A view was created in no_grad mode and is being modified inplace with grad mode enabled. "
                "Given that this use case is ambiguous and error-prone, it is forbidden. You can clarify your code by moving both the view and the "
                "inplace either both inside the no_grad block (if you don't want the inplace to be tracked) or both outside (if you want the inplace to be tracked)."
            )
    if target._inference:
        raise RuntimeError(_INFERENCE)


def check_no_self_overlap(data: Any) -> None:
    """Raises RuntimeError for an array in which several elements are one place in memory, as after `expand`."""
    if (
        0 in data.strides
        and data.size > 1
        and any(s == 0 and n > 1 for s, n in zip(data.strides, data.shape, strict=True))
    ):
        raise RuntimeError(
            "unsupported operation: more than one element of the written-to tensor refers to a single memory location. "
            "Please clone() the tensor before performing the operation."
        )


def check_castable(source: Any, target: Any) -> None:
    """Raises RuntimeError if values of one dtype may not be written into another: a float into an integer, say."""
    if _KINDS[source.kind] > _KINDS[target.kind]:
        a, b = from_numpy_dtype(source).name, from_numpy_dtype(target).name
        raise RuntimeError(f"result type {a} can't be cast to the desired output type {b}")


def _unwrap(value: Any, target: Variable) -> Any:
    if isinstance(value, Variable):
        data = value._data
        return data.real if data.dtype.kind == "c" and target._data.dtype.kind != "c" else data
    return value


def _rebind(target: Variable, result: Variable) -> None:
    """Give `target` the history of `result`, whose values it now holds."""
    node = result._node
    assert node is not None
    if -2 in node.plan.origins and node.plan.op.n_outputs == 1:
        # the rule needs the output, which lives on in target's memory: guard that memory from now on
        i = node.plan.origins.index(-2)
        saved = list(node.saved or ())
        saved[i] = target._data
        node.saved = tuple(saved)
        counter = target.counter()
        node.versions = [(k, counter, counter[0]) if k == i else (k, c, v) for k, c, v in node.versions]
    base = target._base
    if base is None:
        before = target._node, target._out
        target._node, target._out, target._rg = node, result._out, True
        if target._retained:
            keep_retaining(target, *before)
        return
    mask = (1 if base._rg else 0) | 2
    plan = copy_slices.plan(mask)
    parents = ((edge(base),) if base._rg else ()) + (node,)
    slots = ((base._out,) if base._rg else ()) + (result._out,)
    pool: dict[str, Any] = {"chain": chain_of(target), "x": base._data, "source": target._data}
    saved_values = tuple(
        pool[copy_slices.params[s]] if isinstance(s, int) else pool[copy_slices.params[s[0]]].shape for s in plan.saves
    )
    base_before, target_before = (base._node, base._out), (target._node, target._out)
    base._node = make_node(
        plan, parents, slots if any(slots) else None, saved_values, None, base._data.shape, base._data.dtype
    )
    base._out = 0
    base._rg = True
    target._seen = -1
    target._node = node  # a non-leaf from now on, so that refresh may replace it
    target._rg = True
    if base._retained:
        keep_retaining(base, *base_before)
    if target._retained:
        keep_retaining(target, *target_before)
    refresh(target)


# -- writing through a chain of views ----------------------------------------------------------------------------------


_REINTERPRETING = frozenset({"real", "imag", "view_as_real", "view_as_complex"})


def _follow(array: Any, chain: Any) -> Any:
    for viewing, rest, k in chain:
        array = viewing.forward(array, *rest)
        if viewing.n_outputs != 1:
            array = array[k]
    return array


def _region(shape: Any, chain: Any) -> Any:
    """The flat positions in an array of `shape` that the view made by `chain` shows."""
    return _follow(np.arange(int(np.prod(shape))).reshape(shape), chain)


def _reinterprets(chain: Any) -> bool:
    return any(viewing.name in _REINTERPRETING for viewing, _, _ in chain)


def _real_region(shape: Any, is_complex: bool, chain: Any) -> tuple[Any, bool]:
    """The same where the chain turns complex numbers into pairs or back: positions among real numbers, and whether they are pairs."""
    n = int(np.prod(shape))
    ids = _follow((np.arange(2.0 * n).view(np.complex128) if is_complex else np.arange(float(n))).reshape(shape), chain)
    pairs = ids.dtype.kind == "c"
    return (np.stack((ids.real, ids.imag), -1) if pairs else ids).astype(np.int64), pairs


@op(namespaces=())
def copy_slices(x: Any, source: Any, chain: Any) -> Any:
    """A copy of `x` in which the region that the views of `chain` show is replaced by `source`."""
    out = np.ascontiguousarray(x).copy()
    if _reinterprets(chain):
        where, pairs = _real_region(x.shape, x.dtype.kind == "c", chain)
        out.reshape(-1).view(out.real.dtype)[where] = (
            np.stack((np.real(source), np.imag(source)), -1) if pairs else source
        )
    else:
        out.reshape(-1)[_region(x.shape, chain)] = source
    return out.reshape(x.shape)


def _of_region(g: Any, chain: Any, x_shape: Any) -> Any:
    """The part of the base's gradient that belongs to the view."""
    if not _reinterprets(chain):
        return getitem(g.reshape(-1), _region(x_shape, chain))
    from ..ops.complex import view_as_complex, view_as_real

    is_complex = plain_dtype(g).kind == "c"
    where, pairs = _real_region(x_shape, is_complex, chain)
    taken = getitem((view_as_real(g) if is_complex else g).reshape(-1), where)
    return view_as_complex(taken) if pairs else taken


copy_slices.grad(x=lambda g, chain: copy_slices(g, 0, chain), source=_of_region)
