"""What a graph holds in memory: which ops saved which arrays for their backward."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .graph import Node, Variable
from .packing import Packed, packed


@dataclass(slots=True)
class Saved:
    """Arrays that the nodes of one op keep alive; bytes are counted once, at the first node (in order of creation) that holds them."""

    op: str
    nodes: int = 0
    arrays: int = 0
    bytes: int = 0


@dataclass(slots=True)
class MemoryReport:
    """Bytes that a graph keeps for its backward, by op. `parameters` are the bytes of leaves among them, which exist without the graph."""

    rows: list[Saved] = field(default_factory=list)
    parameters: int = 0

    @property
    def total(self) -> int:
        """Bytes kept by the graph alone."""
        return sum(r.bytes for r in self.rows)

    def __str__(self) -> str:
        lines = [f"{'op':<30} {'nodes':>6} {'arrays':>7} {'MB':>10}"]
        lines.extend(f"{r.op:<30} {r.nodes:>6} {r.arrays:>7} {r.bytes / 1e6:>10.3f}" for r in self.rows)
        lines.append(
            f"saved for backward {self.total / 1e6:.3f} MB; leaves among what is saved {self.parameters / 1e6:.3f} MB"
        )
        return "\n".join(lines)


def memory_report(*tensors: Variable) -> MemoryReport:
    """Which ops below `tensors` keep how many bytes for the backward, the most first.

    Arrays that share memory are counted once, by the size of the memory that they keep alive: a saved view keeps all of its base.
    """
    nodes = sorted(_nodes(tensors), key=lambda n: n.seq)
    seen = {id(_memory(p._data)): p._data.nbytes for n in nodes for p in n.parents if isinstance(p, Variable)}
    leaves = dict(seen)
    used: set[int] = set()
    found: dict[str, Saved] = {}
    for node in nodes:
        row = found.setdefault(node.op.name, Saved(node.op.name))
        row.nodes += 1
        for a in _arrays(node.saved or packed(node)):
            row.arrays += 1
            memory = _memory(a)
            key = id(memory)
            used.add(key)
            if key not in seen:
                seen[key] = memory.nbytes
                row.bytes += memory.nbytes
    rows = sorted((r for r in found.values() if r.arrays), key=lambda r: -r.bytes)
    return MemoryReport(rows, sum(size for key, size in leaves.items() if key in used))


def _nodes(tensors: tuple[Variable, ...]) -> set[Node]:
    for t in tensors:
        if not isinstance(t, Variable):
            raise TypeError(f"memory_report expects tensors, each as an argument of its own, got {type(t).__name__}")
    seen: set[Node] = set()
    stack = [t._node for t in tensors if t._node is not None]
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            stack.extend(p for p in node.parents if isinstance(p, Node) and p not in seen)
    return seen


def _arrays(saved: Any) -> Iterator[Any]:
    """The ndarrays in what a node saved; a custom Function's context brings its own list, hooks may have packed them as something else."""
    for v in saved or ():
        v = v.kept if isinstance(v, Packed) else v
        if isinstance(v, np.ndarray):
            yield v
        elif isinstance(v, Variable):
            yield v._data
        elif isinstance(v, tuple | list):
            yield from _arrays(v)
        elif hasattr(v, "saved_tensors"):
            yield from (t._data for t in v.saved_tensors if isinstance(t, Variable))


def _memory(a: Any) -> Any:
    """The array that owns the memory of `a`."""
    while isinstance(a.base, np.ndarray):
        a = a.base
    return a


__all__ = ["MemoryReport", "Saved", "memory_report"]
