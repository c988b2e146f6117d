"""Where the time of a program goes: per op, forward and backward, with bytes moved, FLOPs, copies and peak memory.

    with tl.profiler.profile() as prof:
        step()
    print(prof.table())
    prof.export_chrome_trace("step.json")  # for chrome://tracing or ui.perfetto.dev

While a profile is taken, the few functions through which every op runs are replaced by timed ones; when none is taken, nothing is
measured and nothing is paid. It times ops, not lines: the interpreter's time between ops is the difference to the wall clock, shown last.
"""

from __future__ import annotations

import json
import os
import threading
import time
import tracemalloc
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from contextlib import ContextDecorator
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np

from .autograd import engine, inplace, record
from .autograd.graph import Node
from .ops.flops import flops
from .ops.index import is_basic
from .ops.table import Op

_clock = time.perf_counter_ns
_active: profile | None = None

#: Ops whose only work is to copy.
_COPYING = frozenset(
    {"cast", "cat", "clone", "concat", "contiguous", "flip", "hstack", "repeat", "roll", "stack", "vstack"}
)


@dataclass(frozen=True, slots=True)
class Event:
    """One call: of an op forward, of its rules backward, or of a named range. Times in nanoseconds since the profile began."""

    name: str
    kind: str  # "forward", "backward" or "range"
    start: int
    duration: int
    self_time: int  # without the calls inside it
    thread: int
    bytes: int  # of arrays read and written
    flops: int
    copied: int  # bytes written by what only copies
    shapes: tuple[tuple[int, ...], ...]


@dataclass(slots=True)
class Row:
    """All calls of one op."""

    name: str
    calls: int = 0  # forward; backward where there is no forward, as of accumulate_grad
    forward: float = 0.0  # milliseconds
    backward: float = 0.0
    bytes: int = 0
    flops: int = 0
    copied: int = 0

    @property
    def total(self) -> float:
        """Milliseconds forward and backward."""
        return self.forward + self.backward


class profile:
    """A context manager that records every op run within it, on all threads; entered again, it starts anew.

    With `memory`, NumPy's allocations are traced as well (`peak_memory`, in bytes above the start); that makes small ops several times
    slower, so times and memory are better taken separately.

    Raises:
        RuntimeError: on entering, if another profile is being taken.
    """

    def __init__(self, memory: bool = False) -> None:
        self.memory = memory
        self.events: list[Event] = []
        self._wall = 0.0
        self.peak_memory: int | None = None
        self._local = threading.local()

    # -- taking it ----------------------------------------------------------------------------------------------------

    def __enter__(self) -> profile:
        global _active
        if _active is not None:
            raise RuntimeError("a profile is already being taken; end it before starting another")
        _active = self
        self.events, self.peak_memory = [], None
        self._compute, self._run, self._accumulate = record.compute, engine.run, engine.accumulate
        self._write, inplace.write = inplace.write, self._timed_write
        record.observers.append(_ignore)  # operators take their general path while somebody observes
        record.compute, engine.run, engine.accumulate = self._timed_compute, self._timed_run, self._timed_accumulate
        self._tracing = self.memory and not tracemalloc.is_tracing()
        if self._tracing:
            tracemalloc.start()
        if self.memory:
            tracemalloc.reset_peak()
            self._memory_before = tracemalloc.get_traced_memory()[0]
        self._began = _clock()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        global _active
        self._wall = (_clock() - self._began) / 1e9
        if self.memory:
            self.peak_memory = tracemalloc.get_traced_memory()[1] - self._memory_before
        if self._tracing:
            tracemalloc.stop()
        record.compute, engine.run, engine.accumulate = self._compute, self._run, self._accumulate
        inplace.write = self._write
        record.observers.remove(_ignore)
        _active = None

    @property
    def wall(self) -> float:
        """Seconds that the profile has taken, or has been running for."""
        return (_clock() - self._began) / 1e9 if _active is self else self._wall

    def _timed_compute(self, op: Op, values: list[Any]) -> tuple[Any, Any]:
        start, inner = self._open()
        try:
            result = self._compute(op, values)
        finally:
            duration, own = self._close(start, inner)
        out = result[0]
        operands = [a for a in _arrays(values) if a.ndim or op.promote is None]
        results = _arrays([out])
        copied = _copied(op, operands, results)
        moved = 0 if op.view and not copied else _bytes(operands) + _bytes(results)
        cost = flops(op.name, [a.shape for a in operands], results[0].shape) if results else 0
        self._add(op.name, "forward", start, duration, own, moved, cost, copied, tuple(a.shape for a in operands))
        return result

    def _timed_write(self, op: Op, data: Any, values: list[Any]) -> None:
        start, inner = self._open()
        try:
            self._write(op, data, values)
        finally:
            duration, own = self._close(start, inner)
        given, source = _arrays(values), _arrays(values[-1:])
        at = op.name == "setitem" and is_basic(values[0])
        written = data[values[0]].nbytes if at else _bytes(source) or data.nbytes
        copied = written if source and op.name == "setitem" else 0
        self._add(op.name, "forward", start, duration, own, _bytes(given) + written, 0, copied, (data.shape,))

    def _timed_run(self, node: Node, g: Any, create_graph: bool) -> list[Any]:
        shapes, products = _operand_shapes(node), _products(node)
        start, inner = self._open()
        try:
            flows = self._run(node, g, create_graph)
        finally:
            duration, own = self._close(start, inner)
        given, found = _arrays(g if isinstance(g, list) else [g]), _arrays([f[2] for f in flows])
        out = node.shape[0] if node.multiple and node.shape else node.shape
        cost = int(flops(node.op.name, shapes, out) * products)
        copied = _bytes(found) if node.op.multiview or node.op.name in _COPYING else 0
        copied = copied if any(not np.may_share_memory(a, b) for a in found for b in given[:1]) else 0
        moved = 0 if node.op.view and not copied else _bytes(given) + _bytes(found)
        self._add(node.op.name, "backward", start, duration, own, moved, cost, copied, tuple(shapes))
        return flows

    def _timed_accumulate(self, leaf: Any, g: Any, create_graph: bool) -> None:
        start, inner = self._open()
        kept = leaf._grad is None
        try:
            self._accumulate(leaf, g, create_graph)
        finally:
            duration, own = self._close(start, inner)
        data = leaf._grad._data
        taken = kept and data is (g if type(g) is np.ndarray else getattr(g, "_data", None))
        self._add("accumulate_grad", "backward", start, duration, own, 0 if taken else 2 * data.nbytes, 0, data.nbytes if kept and not taken else 0, (data.shape,))  # fmt: skip

    def _open(self) -> tuple[int, int]:
        """Start a call; returns its start and the time its caller has spent in inner calls so far."""
        inner = getattr(self._local, "inner", 0)
        self._local.inner = 0
        return _clock(), inner

    def _close(self, start: int, inner: int) -> tuple[int, int]:
        """End it: its duration, and the part of it that no call inside has taken."""
        duration = _clock() - start
        own = duration - self._local.inner
        self._local.inner = inner + duration
        return duration, own

    def _add(
        self, name: str, kind: str, start: int, duration: int, own: int, moved: int, cost: int, copied: int, shapes: Any
    ) -> None:
        self.events.append(
            Event(name, kind, start - self._began, duration, own, threading.get_ident(), moved, cost, copied, shapes)
        )

    # -- reading it ---------------------------------------------------------------------------------------------------

    def rows(self, sort_by: str = "total") -> list[Row]:
        """One `Row` per op, the largest `sort_by` (any attribute of `Row`) first; named ranges are left out."""
        found: dict[str, Row] = {}
        backward: Counter[str] = Counter()
        for e in self.events:
            if e.kind == "range":
                continue
            row = found.setdefault(e.name, Row(e.name))
            if e.kind == "forward":
                row.calls += 1
                row.forward += e.self_time / 1e6
            else:
                row.backward += e.self_time / 1e6
                backward[e.name] += 1
            row.bytes += e.bytes
            row.flops += e.flops
            row.copied += e.copied
        for row in found.values():
            row.calls = row.calls or backward[row.name]
        return sorted(found.values(), key=lambda r: getattr(r, sort_by), reverse=sort_by != "name")

    def table(self, sort_by: str = "total", row_limit: int = 20) -> str:
        """The rows as text, then the time outside ops and the peak of memory if it was traced."""
        wall, threads = self.wall * 1e3, len({e.thread for e in self.events})
        head = f"{'op':<30} {'calls':>6} {'forward ms':>11} {'backward ms':>11} {'% wall':>7} {'MB':>9} {'GFLOP':>8} {'GFLOP/s':>8} {'copied MB':>9}"
        lines = [head, "-" * len(head)]
        rows = self.rows(sort_by)
        for r in rows[:row_limit]:
            speed = f"{r.flops / r.total / 1e6:8.1f}" if r.flops and r.total else " " * 8
            lines.append(
                f"{r.name:<30} {r.calls:>6} {r.forward:>11.3f} {r.backward:>11.3f} {100 * r.total / max(wall, 1e-9):>6.1f}% "
                f"{r.bytes / 1e6:>9.1f} {r.flops / 1e9:>8.3f} {speed} {r.copied / 1e6:>9.1f}"
            )
        inside = sum(r.total for r in rows)
        lines.append("-" * len(head))
        outside = f"outside ops {wall - inside:.3f} ms ({100 * (1 - inside / max(wall, 1e-9)):.1f} %)"
        lines.append(f"ops {inside:.3f} ms of {wall:.3f} ms; {outside if threads <= 1 else f'on {threads} threads'}")
        ranges: defaultdict[str, float] = defaultdict(float)
        for e in self.events:
            if e.kind == "range":
                ranges[e.name] += e.duration / 1e6
        lines.extend(f"range {name}: {spent:.3f} ms" for name, spent in ranges.items())
        if self.peak_memory is not None:
            lines.append(f"peak memory {self.peak_memory / 2**20:.1f} MiB above the start")
        return "\n".join(lines)

    def copies(self) -> list[tuple[str, tuple[tuple[int, ...], ...], int, int]]:
        """What only copied: (op and direction, shapes of its operands, calls, bytes written), the most bytes first."""
        found: dict[tuple[str, Any], list[int]] = {}
        for e in self.events:
            if e.copied:
                entry = found.setdefault((f"{e.name} {e.kind}", e.shapes), [0, 0])
                entry[0] += 1
                entry[1] += e.copied
        listed = [(name, shapes, n, size) for (name, shapes), (n, size) in found.items()]
        return sorted(listed, key=lambda c: -c[3])

    def export_chrome_trace(self, path: str | os.PathLike[str]) -> None:
        """Write the events in the Trace Event Format, which chrome://tracing and ui.perfetto.dev read."""
        events = [
            {
                "name": e.name if e.kind != "backward" else f"{e.name} backward", "cat": e.kind, "ph": "X", "ts": e.start / 1e3, "dur": e.duration / 1e3,
                "pid": os.getpid(), "tid": e.thread, "args": {"shapes": [list(s) for s in e.shapes], "bytes": e.bytes, "flops": e.flops},
            }
            for e in sorted(self.events, key=lambda e: e.start)
        ]  # fmt: skip
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"traceEvents": events, "displayTimeUnit": "ms"}, file)


class record_function(ContextDecorator):
    """A named range of a profile, such as "optimizer" or "epoch 3", as a context manager or a decorator.

    Nothing happens when no profile is being taken.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def _recreate_cm(self) -> record_function:
        return record_function(self.name)  # one for each call of a decorated function, which may call itself

    def __enter__(self) -> record_function:
        self._profile, self._start = _active, _clock()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._profile is not None and self._profile is _active:
            duration = _clock() - self._start
            self._profile._add(self.name, "range", self._start, duration, 0, 0, 0, 0, ())


def _ignore(op: Op, args: tuple[Any, ...], result: Any) -> None:
    """The observer whose presence keeps operators on their general path."""


def _arrays(values: Sequence[Any]) -> list[Any]:
    """The ndarrays among values, looked for one level deep in tuples and lists, and in tensors."""
    found: list[Any] = []
    for v in values:
        for a in v if isinstance(v, tuple | list) else (v,):
            a = getattr(a, "_data", a)
            if isinstance(a, np.ndarray):
                found.append(a)
    return found


def _bytes(arrays: Sequence[Any]) -> int:
    return sum(a.nbytes for a in arrays)


def _copied(op: Op, operands: Sequence[Any], results: Sequence[Any]) -> int:
    if op.name in _COPYING:
        return _bytes(results)
    if op.view and operands and results and not np.may_share_memory(operands[0], results[0]):
        return _bytes(results)
    return 0


def _operand_shapes(node: Node) -> list[tuple[int, ...]]:
    """Shapes of an op's array operands, from the parents they have or from what was saved of them."""
    plan, shapes = node.plan, {}
    for i, s in enumerate(plan.saves):
        if node.saved is None:
            break
        if isinstance(s, int) and s < len(plan.op.params) and type(node.saved[i]) is np.ndarray:
            shapes[s] = node.saved[i].shape
        elif isinstance(s, tuple) and isinstance(node.saved[i], tuple):
            shapes[s[0]] = node.saved[i]
    if not plan.op.variadic:
        for k, (position, parent) in enumerate(zip(plan.positions, node.parents, strict=False)):
            if parent is not None:
                like = parent if type(parent) is Node else parent._data
                slot = 0 if node.slots is None else node.slots[k]
                shapes[position] = like.shape[slot] if type(parent) is Node and parent.multiple else like.shape
    return [shapes[p] for p in sorted(shapes) if all(isinstance(n, int) for n in shapes[p])]


_PRODUCTS: dict[str, Callable[[int], float]] = {
    "matmul": lambda n: n,
    "linear": lambda n: min(n, 2.0),
    "convolution": lambda n: min(n, 2.0),
    "scaled_dot_product_attention": lambda n: (
        2.5
    ),  # five products to the forward's two, the scores being computed again
}


def _products(node: Node) -> float:
    """The work of a backward in units of the forward's: a product has one like itself for each operand."""
    wanted = sum(p is not None for p in node.parents)
    factor = _PRODUCTS.get(node.op.name)
    return min(wanted, 1) if factor is None else factor(wanted)


__all__ = ["Event", "Row", "profile", "record_function"]
