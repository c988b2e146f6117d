"""Making values fit: gradients to the shape and dtype of their input, and saved arrays back into tensors with a history."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..ops.analytic import state as dual_state
from ..ops.basic import cast, sum_to_shape
from .graph import Node, Variable, wrap


def conform(g: Any, shape: tuple[int, ...], dtype: Any, node: Node) -> Any:
    """Sum what was broadcast, and cast what was promoted, so that a gradient looks like its input."""
    if g.shape != shape:
        if not node.plan.op.broadcasts or not _broadcastable(shape, g.shape):
            _wrong_shape(node, g.shape, shape)
        if g.size == 0 or len(shape) > g.ndim:
            g = np.broadcast_to(g, np.broadcast_shapes(g.shape, shape))
        g = np.asarray(sum_to_shape.forward(g, shape))
    if g.dtype != dtype and not dual_state.on:
        if g.dtype.kind == "c" and dtype.kind != "c":
            g = g.real
        g = g.astype(dtype)
    return g


def conform_tensor(g: Any, shape: tuple[int, ...], dtype: Any, node: Node) -> Any:
    if not isinstance(g, Variable):
        g = wrap(g)
    if g._data.shape != shape:
        if not node.plan.op.broadcasts or not _broadcastable(shape, g._data.shape):
            _wrong_shape(node, g._data.shape, shape)
        g = sum_to_shape(g, shape)
    return g if g._data.dtype == dtype else cast(g, dtype)


def _broadcastable(small: tuple[int, ...], large: tuple[int, ...]) -> bool:
    try:
        np.broadcast_shapes(small, large)
    except ValueError:
        return False
    return True


def _wrong_shape(node: Node, got: tuple[int, ...], expected: tuple[int, ...]) -> None:
    raise RuntimeError(
        f"Function {node.name()} returned an invalid gradient - got {list(got)} but expected shape compatible with {list(expected)}"
    )


def filled(node: Node, g: list[Any], create_graph: bool) -> tuple[Any, ...]:
    """Zeros for the outputs into which nothing flowed, unless the node is a Function that asked for None."""
    if node.saved and not getattr(node.saved[0], "materialize_grads", True):
        return tuple(g)
    filled = [np.zeros(s, d) if x is None else x for x, s, d in zip(g, node.shape, node.dtype, strict=True)]
    return tuple(wrap(x) if create_graph and not isinstance(x, Variable) else x for x in filled)


def unpack(node: Node) -> tuple[Any, ...]:
    """The saved values as tensors with their history, for rules that are to be differentiated again."""
    plan = node.plan
    result = []
    for value, origin in zip(node.saved or (), plan.origins, strict=True):
        if plan.op.variadic and isinstance(value, tuple) and value and isinstance(value[0], np.ndarray):
            slots = node.slots or (0,) * len(node.parents)
            result.append(tuple(restored(a, p, s) for a, p, s in zip(value, node.parents, slots, strict=True)))
        elif origin == -1 or not _is_array(value):
            result.append(value)
        elif origin == -2:
            result.append(
                restored(value, node, 0)
                if plan.op.n_outputs == 1
                else tuple(restored(v, node, k) for k, v in enumerate(value))
            )
        else:
            result.append(restored(value, node.parents[origin], 0 if node.slots is None else node.slots[origin]))
    return tuple(result)


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray) or (
        isinstance(value, tuple) and bool(value) and isinstance(value[0], np.ndarray)
    )


def restored(data: Any, source: Any, slot: int) -> Any:
    """A tensor over saved values, with the history of what they are the values of: a node's output, or a leaf."""
    if isinstance(source, Variable) and source._data is data:
        return source
    if isinstance(source, Variable) and source._rg:  # the values of a leaf, in other memory: packed and unpacked
        copy = cast(source, source._data.dtype)
        copy._data = data
        return copy
    t = wrap(data)
    if isinstance(source, Node):
        t._node, t._out, t._rg = source, slot, True
    return t
