"""Forgetting what a part of the graph saved, and computing it again when the backward pass gets there.

The nodes stay where they are, with the same parents: only their saved values go, and come back from a second run of the function. So
gradients flow as if nothing had been forgotten, to arguments and to whatever else the function uses, also under `create_graph`.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from typing import Any

from .graph import Node, Variable, holds_arrays, next_ticket
from .mode import enable_grad, mode

_KEY = "recompute"


class Recomputation:
    """A function that was run with recording, and whose nodes have forgotten what they saved."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self.function = function
        self.nodes: list[weakref.ref[Node]] = []

    def run(self) -> Any:
        """The result of the function, with nodes that will compute what they need when they need it."""
        start = next_ticket()
        hooks = mode.pack
        mode.set_pack(None)  # what is forgotten needs no packing
        try:
            result = self.function()
        finally:
            mode.set_pack(hooks)
        for node in _made_since(start, result):
            self.nodes.append(weakref.ref(node))
            node.saved = node.versions = None
            node.extra(_KEY, None)
            node.extras[_KEY] = (self, len(self.nodes) - 1)  # type: ignore[index]
        return result

    def restore(self) -> None:
        """Run the function again, and give every node that is still there what it had saved."""
        start = next_ticket()
        with enable_grad():
            again = _made_since(start, self.function())
        if len(again) != len(self.nodes):
            raise RuntimeError(
                f"checkpoint: the function recorded {len(self.nodes)} ops at first and {len(again)} when it was computed again; "
                "it has to do the same both times"
            )
        for reference, copy in zip(self.nodes, again, strict=True):
            node = reference()
            if node is not None:
                _hand_over(copy, node)


def recomputed(node: Node) -> Any:
    """What `node` had saved, computed again, or back from the hooks that packed it; None if it was freed."""
    while node.saved is None and node.extras is not None and _KEY in node.extras:
        node.extras[_KEY][0].restore()
    if node.saved is None and node.extras is not None and "packed" in node.extras:
        from .packing import unpacked

        node.saved = unpacked(node)
    return node.saved


def _hand_over(copy: Node, node: Node) -> None:
    """Give `node` what `copy`, the same op in the second run, saved."""
    if copy.op is not node.op or copy.shape != node.shape:
        raise RuntimeError(
            f"checkpoint: {node.name()} of shape {node.shape} became {copy.name()} of shape {copy.shape} when it was computed again; "
            "the function has to do the same both times"
        )
    node.saved, node.versions = copy.saved, copy.versions
    for value in copy.saved or ():
        for kept in getattr(value, "_to_save", ()):  # a Function's own results have to lead to this node
            if getattr(kept, "slot", None) is not None:
                kept.node = weakref.ref(node)
    assert node.extras is not None
    inner = (copy.extras or {}).get(_KEY)
    if inner is None:
        del node.extras[_KEY]
        node.extras = node.extras or None
    else:  # a checkpoint inside this one: it restores this node from now on
        node.extras[_KEY] = inner
        inner[0].nodes[inner[1]] = weakref.ref(node)


def _made_since(start: int, result: Any) -> list[Node]:
    """The nodes younger than `start` that the tensors in `result` come from and that hold something, always in the same order.

    What holds nothing but shapes is left alone: among it the new history of a view whose base had changed, which is made once.
    """
    seen: set[Node] = set()
    found: list[Node] = []
    stack = [v._node for v in _tensors(result)]
    while stack:
        node = stack.pop()
        if isinstance(node, Node) and node.seq > start and node not in seen:
            seen.add(node)
            if node.saved is None or holds_arrays(node.saved):
                found.append(node)
            stack.extend(node.parents)
    return found


def _tensors(value: Any) -> Iterator[Variable]:
    if isinstance(value, Variable):
        yield value
    elif isinstance(value, list | tuple | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _tensors(item)
