"""From an output tensor to a `Graph`, by walking the autograd nodes behind it, without recursion.

Only what autograd keeps is there: ops on the way to leaves that require grad, shapes, the values that gradient rules
saved, and the gradients of leaves (and of tensors that retain theirs).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..autograd.graph import Variable
from ..ops.flops import flops
from .ir import Edge, Graph, Node, Summary, mark_skips


def from_output(outputs: Sequence[Any], names: Mapping[str, Any], name: str) -> Graph:
    """The graph behind `outputs`; `names` gives names to leaves."""
    label = {id(tensor): key for key, tensor in names.items()}
    found = _reachable(outputs)
    number = {id(thing): i for i, thing in enumerate(found)}
    nodes = [_leaf(i, t, label) if isinstance(t, Variable) else _op(i, t) for i, t in enumerate(found)]
    edges = [
        Edge(number[id(parent)], i, slot, is_view=bool(thing.plan.op.view))
        for i, thing in enumerate(found)
        if not isinstance(thing, Variable)
        for slot, parent in enumerate(thing.parents)
        if parent is not None
    ]
    for thing in found:
        if not isinstance(thing, Variable):
            _fill_saved(thing, number, nodes)
    ends = []
    for tensor in outputs:
        at = number[id(tensor if tensor._node is None else tensor._node)]
        nodes[at] = replace(nodes[at], value=Summary.of(tensor._data), dtype=str(tensor._data.dtype))
        ends.append(at)
    _count(nodes, edges)
    return Graph(name, tuple(nodes), mark_skips(nodes, edges), (), tuple(dict.fromkeys(ends)))


def _reachable(outputs: Sequence[Any]) -> list[Any]:
    """Autograd nodes and leaves behind `outputs`: each leaf just before its first user, nodes in order of creation."""
    seen: dict[int, Any] = {}
    stack = [tensor if tensor._node is None else tensor._node for tensor in outputs]
    while stack:
        thing = stack.pop()
        if id(thing) in seen:
            continue
        seen[id(thing)] = thing
        if not isinstance(thing, Variable):
            stack.extend(parent for parent in thing.parents if parent is not None)
    ops = sorted((t for t in seen.values() if not isinstance(t, Variable)), key=lambda node: node.seq)
    ordered: dict[int, Any] = {}
    for op in ops:
        for parent in op.parents:
            if isinstance(parent, Variable):
                ordered.setdefault(id(parent), parent)
        ordered[id(op)] = op
    for thing in seen.values():
        ordered.setdefault(id(thing), thing)
    return list(ordered.values())


def _leaf(number: int, tensor: Any, label: Mapping[int, str]) -> Node:
    data = tensor._data
    kind = "param" if tensor.requires_grad else "const"
    gradient = None if tensor._grad is None else Summary.of(tensor._grad._data)
    return Node(
        number,
        kind,
        "param" if tensor.requires_grad else "const",
        label.get(id(tensor), ""),
        data.shape,
        str(data.dtype),
        nbytes=data.nbytes,
        params=data.size if kind == "param" else 0,
        value=Summary.of(data),
        grad=gradient,
    )


def _op(number: int, node: Any) -> Node:
    shape, dtype = (node.shape[0], node.dtype[0]) if node.multiple else (node.shape, node.dtype)
    retained = _retained(node)
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    gradient = None if retained is None else Summary.of(retained._data)
    return Node(number, node.plan.op.name, "op", "", tuple(shape), str(np.dtype(dtype)), nbytes=size, grad=gradient)


def _retained(node: Any) -> Any:
    reference = ((node.extras or {}).get("retain") or {}).get(0)
    tensor = reference() if callable(reference) else reference
    return None if tensor is None else tensor._grad


def _fill_saved(node: Any, number: Mapping[int, int], nodes: list[Node]) -> None:
    """Values that the gradient rule saved: its own result, or those of its parents."""
    if node.saved is None or node.multiple:
        return
    for origin, save, value in zip(node.plan.origins, node.plan.saves, node.saved, strict=False):
        if not isinstance(save, int) or not isinstance(value, np.ndarray):
            continue
        thing = node if origin == -2 else node.parents[origin] if 0 <= origin < len(node.parents) else None
        if thing is not None and nodes[number[id(thing)]].shape == value.shape:
            at = number[id(thing)]
            nodes[at] = replace(nodes[at], value=nodes[at].value or Summary.of(value))


def _count(nodes: list[Node], edges: Sequence[Edge]) -> None:
    shapes: dict[int, list[tuple[int, ...]]] = {}
    for edge in edges:
        shapes.setdefault(edge.dst, []).append(nodes[edge.src].shape)
    for i, node in enumerate(nodes):
        if node.kind == "op":
            nodes[i] = replace(node, flops=flops(node.op, shapes.get(i, []), node.shape))
