"""The backward walk: `walk`, which fits on one screen. `run` asks one node for the gradients of its inputs; the rest is entry and exit.

Nodes are visited in reverse order of creation, which is a reverse topological order because a node's parents are always older than the
node itself. Each node is visited once, when all that flows into it has been added up. There is no recursion, so depth costs nothing.

In a plain pass cotangents are ndarrays and nothing is recorded; with `create_graph` they are tensors, and the same rules record themselves.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from heapq import heappop, heappush
from typing import Any

import numpy as np

from ..kernels.elementwise import binary
from ..ops.basic import cast
from .conform import conform, conform_tensor, filled, unpack
from .diagnosis import check_nan, explain, raise_modified
from .graph import Node, Variable, holds_arrays, wrap
from .hooks import accumulate as accumulate
from .hooks import apply_hooks, hooks_after, hooks_before
from .mode import enable_grad, mode, no_grad
from .recompute import recomputed

_FREED = (
    "Trying to backward through the graph a second time (or directly access saved tensors after they have already been freed). "
    "Saved intermediate values of the graph are freed when you call .backward() or autograd.grad(). "
    "Specify retain_graph=True if you need to backward through the graph a second time or if you need to access saved tensors after calling backward."
)


def walk(roots: Sequence[Any], keep: bool, create_graph: bool, wanted: dict[Any, Any] | None = None) -> dict[Any, Any]:
    """Push cotangents from `roots`, (node or leaf, slot, cotangent) triples, back to the leaves.

    Returns the summed gradient of each leaf. With `wanted`, keys (node, slot) or leaf, only the paths that lead to those are walked, and
    the gradients of nodes among them are stored in it.
    """
    # node or leaf -> the sum of what has flowed into it (a list of sums, for a node with several outputs)
    pending: dict[Any, Any] = {}
    owned: set[Any] = set()  # those of which the sum is our own array, free to be added to in place
    heap: list[tuple[int, Node]] = []  # nodes that something has flowed into, youngest first
    useful, running = (None, None) if wanted is None else _leading_to(wanted, [r[0] for r in roots])
    flows: Sequence[Any] = roots
    while True:
        for target, slot, g in flows:
            if useful is not None and target not in useful:
                continue
            found = pending.get(target)
            if found is None:
                if type(target) is Node:
                    heappush(heap, (-target.seq, target))
                    if target.multiple:
                        g = [g if k == slot else None for k in range(len(target.shape))]
                pending[target] = g
            elif type(found) is list:
                found[slot] = g if found[slot] is None else found[slot] + g
            elif target in owned:
                binary(np.add, found, g, found)
            elif create_graph:
                pending[target] = found + g
            else:
                pending[target] = np.asarray(binary(np.add, found, g))
                owned.add(target)
        if not heap:
            return pending
        g = found = None  # what only a receiver holds now is its own
        node = heappop(heap)[1]
        g = pending.pop(node)
        if node.extras is not None:
            g = hooks_before(node, g)
        if wanted is not None:
            _store_wanted(wanted, node, g)
            if node not in running:  # type: ignore[operator]
                flows = ()
                continue
        flows = run(node, g, create_graph)
        if node.extras is not None and "packed" in node.extras:
            _release(node, keep)
        if not keep and node.saved and holds_arrays(node.saved):
            node.saved = None


def _release(node: Node, keep: bool) -> None:
    """Drop what hooks had unpacked for this pass, and what they keep unless it is needed again."""
    assert node.extras is not None
    node.saved = None
    if not keep:
        del node.extras["packed"]


def run(node: Node, g: Any, create_graph: bool) -> list[Any]:
    """The gradients of one node's inputs, as (parent, slot, gradient) with the shape and dtype of the parent."""
    plan = node.plan
    saved = node.saved
    if saved is None and (saved := recomputed(node)) is None:
        raise RuntimeError(_FREED)
    if node.versions is not None:
        for _, counter, version in node.versions:
            if counter[0] != version:
                raise_modified(node)
    if create_graph or plan.joint is not None or plan.op.n_outputs != 1 or node.extras is not None or mode.anomaly:
        return _run_general(node, g, create_graph)
    flows = []
    slots = node.slots
    try:
        for i, (rule, picks) in enumerate(plan.calls):
            parent = node.parents[i]
            gi = g if rule is None else rule(g, *[saved[k] for k in picks]) if picks else rule(g)
            like = parent if type(parent) is Node else parent._data
            shape, dtype = like.shape, like.dtype
            slot = 0
            if slots is not None:
                slot = slots[i]
            if type(dtype) is tuple:  # a parent with several outputs
                shape, dtype = shape[slot], dtype[slot]
            if type(gi) is not np.ndarray:
                gi = np.asarray(gi)
            if gi.shape != shape or gi.dtype is not dtype:
                gi = conform(gi, shape, dtype, node)
            flows.append((parent, slot, gi))
    except Exception as error:
        explain(error, node)
        raise
    return flows


def _run_general(node: Node, g: Any, create_graph: bool) -> list[Any]:
    """`run` for everything out of the ordinary: joint rules, several outputs, hooks, anomaly mode, and recording."""
    plan = node.plan
    saved: Any = node.saved
    if plan.op.n_outputs != 1:
        g = filled(node, g, create_graph)
    try:
        if create_graph:
            saved = unpack(node)
        if create_graph and plan.op.definition is not None:
            raw: Sequence[Any] = _through_definition(node, g, saved)
        elif plan.joint is not None:
            needs = plan.needs if not plan.op.variadic else tuple([p is not None for p in node.parents])
            raw = plan.joint.rule(g, needs, *[saved[k] for k in plan.joint.picks])
        else:
            raw = [s.rule(g, *[saved[k] for k in s.picks]) for s in plan.steps]
        grads = [
            None if p is None or gi is None else _like(i, p, gi, node, create_graph)
            for i, (p, gi) in enumerate(zip(node.parents, raw, strict=False))
        ]
    except Exception as error:
        explain(error, node)
        raise
    if mode.anomaly and mode.check_nan:
        check_nan(node, grads)
    if node.extras is not None:
        grads = list(hooks_after(node, g, grads))
    slots = node.slots or (0,) * len(node.parents)
    return [(p, k, gi) for p, k, gi in zip(node.parents, slots, grads, strict=True) if p is not None and gi is not None]


def _like(i: int, parent: Any, gi: Any, node: Node, create_graph: bool) -> Any:
    """A rule's result with the shape and dtype of the parent it is for."""
    like = parent if type(parent) is Node else parent._data
    shape, dtype = like.shape, like.dtype
    if type(parent) is Node and parent.multiple:
        slot = 0 if node.slots is None else node.slots[i]
        shape, dtype = shape[slot], dtype[slot]
    if create_graph:
        return conform_tensor(gi, shape, dtype, node)
    gi = np.asarray(gi)
    return gi if gi.shape == shape and gi.dtype == dtype else conform(gi, shape, dtype, node)


def _store_wanted(wanted: dict[Any, Any], node: Node, g: Any) -> None:
    for k in range(len(node.shape) if node.multiple else 1):
        if (node, k) in wanted:
            wanted[node, k] = g[k] if node.multiple else g


# -- entry points -----------------------------------------------------------------------------------------------------


def backward(
    tensors: Sequence[Variable],
    grad_tensors: Sequence[Any],
    retain_graph: bool | None,
    create_graph: bool,
    inputs: Sequence[Variable] | None,
) -> None:
    """Add d(tensors)·grad_tensors / d(leaf) to `.grad` of every leaf (or of `inputs` only)."""
    keep = create_graph if retain_graph is None else retain_graph
    roots = [_root(t, g, create_graph) for t, g in zip(tensors, grad_tensors, strict=True)]
    wanted = None
    if inputs is not None:
        if not inputs:
            raise RuntimeError("'inputs' argument to backward() cannot be empty.")
        wanted = {_key(v): None for v in inputs}
    with np.errstate(all="ignore"), enable_grad() if create_graph else no_grad():
        leaves = walk(roots, keep, create_graph, wanted)
        for leaf in list(leaves):
            if isinstance(leaf, Variable):
                accumulate(leaf, leaves.pop(leaf), create_graph)
                for hook in list((leaf._after or {}).values()):
                    hook(leaf)
        if wanted is not None:
            for v in inputs or ():
                if v._node is not None and wanted[_key(v)] is not None:
                    accumulate(v, wanted[_key(v)], create_graph)


def grad(
    outputs: Sequence[Variable],
    inputs: Sequence[Variable],
    grad_outputs: Sequence[Any],
    retain_graph: bool | None,
    create_graph: bool,
    allow_unused: bool,
    materialize_grads: bool,
) -> tuple[Any, ...]:
    """The gradients of `outputs` with respect to `inputs`; `.grad` is not touched."""
    keep = create_graph if retain_graph is None else retain_graph
    for i, v in enumerate(inputs):
        if not v._rg:
            raise RuntimeError(f"One of the differentiated Tensors does not require grad (input {i})")
    roots = [_root(t, g, create_graph) for t, g in zip(outputs, grad_outputs, strict=True)]
    wanted = {_key(v): None for v in inputs}
    with np.errstate(all="ignore"), enable_grad() if create_graph else no_grad():
        leaves = walk(roots, keep, create_graph, wanted)
        results: list[Any] = []
        given: set[int] = set()
        for i, v in enumerate(inputs):
            g = leaves.get(v) if v._node is None else wanted[_key(v)]
            if g is not None and v._node is None and v._hooks:
                g = apply_hooks(v._hooks, g)
                leaves[v] = g
            if g is None:
                if materialize_grads:
                    g = np.zeros(v._data.shape, v._data.dtype)
                elif not allow_unused:
                    raise RuntimeError(
                        f"The differentiated Tensor at index {i} appears to not have been used in the graph. "
                        "Set allow_unused=True if this is the desired behavior."
                    )
                else:
                    results.append(None)
                    continue
            if not isinstance(g, Variable):
                g = wrap(g.copy() if id(g) in given or g.base is not None or sys.getrefcount(g) > 4 else g)
                given.add(id(g._data))
            results.append(g)
    return tuple(results)


# -- details ----------------------------------------------------------------------------------------------------------


def _root(t: Variable, g: Any, create_graph: bool) -> tuple[Any, int, Any]:
    if not isinstance(g, Variable):
        g = wrap(g)
    target = t._node if t._node is not None else t
    return target, t._out, g if create_graph else g._data


def _key(v: Variable) -> Any:
    return v if v._node is None else (v._node, v._out)


def _leading_to(wanted: dict[Any, Any], roots: Sequence[Any]) -> tuple[set[Any], set[Node]]:
    """The nodes and leaves from which something in `wanted` can be reached, and those of the nodes whose rules have to run for it."""
    seen: set[Any] = set()
    stack = [r for r in roots if isinstance(r, Node)]
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            stack.extend(p for p in node.parents if isinstance(p, Node) and p not in seen)
    useful = {k[0] if isinstance(k, tuple) else k for k in wanted}
    running: set[Node] = set()
    for node in sorted(seen, key=lambda n: n.seq):
        if any(p in useful for p in node.parents if p is not None):
            useful.add(node)
            running.add(node)
    return useful, running


def _through_definition(node: Node, g: Any, saved: tuple[Any, ...]) -> Sequence[Any]:
    """Double backward of a fused op: run its definition, a composition of ordinary ops, and differentiate that."""
    op = node.plan.op
    by_name = {s: v for s, v in zip(node.plan.saves, saved, strict=True) if isinstance(s, int)}
    arguments: list[Any] = [by_name.get(i) for i in range(len(op.params))]
    asked = [i for i, needed in zip(node.plan.positions, node.plan.needs, strict=True) if needed]
    # Each input stands for itself alone here, even where two are the same tensor or one was computed from another.
    copies: dict[int, Any] = {i: cast(arguments[i], _wide(arguments[i])) for i in asked}
    arguments = [copies.get(i, cast(a, _wide(a)) if _is_half(a) else a) for i, a in enumerate(arguments)]
    out = op.definition(*arguments)  # type: ignore[misc]
    grads = iter(grad([out], list(copies.values()), [cast(g, _wide(g))], True, True, True, True))
    return [next(grads) if needed else None for needed in node.plan.needs]


def _is_half(a: Any) -> bool:
    return isinstance(a, Variable) and a._data.dtype == np.float16


def _wide(t: Any) -> Any:
    """The dtype in which a fused op's kernel computes: float32 for float16, whose squares overflow."""
    return np.dtype(np.float32) if _is_half(t) else t._data.dtype
