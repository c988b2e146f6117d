"""Numbers laid over a view: gradient norm, FLOPs, bytes, time, NaN, dead units. The number is printed, colour only
repeats it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from .ir import Graph, Node
from .metrics import count, nbytes
from .view import Box, Link, Overlay, View

_VANISHING, _EXPLODING, _DEAD = 1e-7, 1e3, 0.9


@dataclass(frozen=True, slots=True)
class _Measure:
    value: Callable[[Sequence[Node]], float | None]
    text: Callable[[float], str]
    alarm: Callable[[float], bool]
    legend: str
    logarithmic: bool = False
    absent: str = "record=True"  # what `viz.graph` was not asked for


def _grad_norm(nodes: Sequence[Node]) -> float | None:
    norms = [node.grad.norm for node in nodes if node.grad is not None]
    return math.sqrt(sum(norm * norm for norm in norms)) if norms else None


def _seconds(nodes: Sequence[Node]) -> float | None:
    times = [node.seconds for node in nodes if node.seconds is not None]
    return sum(times) if times else None


def _not_finite(nodes: Sequence[Node]) -> float | None:
    summaries = [s for node in nodes for s in (node.value, node.grad) if s is not None]
    return float(sum(s.nan + s.inf for s in summaries)) if summaries else None


def _dead(nodes: Sequence[Node]) -> float | None:
    """Share of exact zeros in the outputs of activations."""
    summaries = [node.value for node in nodes if node.value is not None and node.op in _GATES and node.value.size]
    return sum(s.zero for s in summaries) / sum(s.size for s in summaries) if summaries else None


_GATES = frozenset({"relu", "relu_", "relu6", "hardtanh", "threshold", "dropout", "hardswish", "hardsigmoid"})

_MEASURES: dict[str, _Measure] = {
    "grad_norm": _Measure(
        _grad_norm,
        lambda v: f"grad ‖·‖ {v:.3g}",
        lambda v: not _VANISHING < v < _EXPLODING,
        f"bar: norm of the gradient, logarithmic; flagged outside {_VANISHING:g} … {_EXPLODING:g}",
        logarithmic=True,
        absent="backward=True",
    ),
    "flops": _Measure(
        lambda nodes: float(sum(n.flops for n in nodes)),
        lambda v: f"{count(v)} FLOPs",
        lambda v: False,
        "bar: share of the largest FLOP count",
    ),
    "bytes": _Measure(
        lambda nodes: float(sum(n.nbytes for n in nodes)),
        nbytes,
        lambda v: False,
        "bar: bytes of the results, share of the largest",
    ),
    "time": _Measure(
        _seconds,
        lambda v: f"{v * 1e3:.3g} ms",
        lambda v: False,
        "bar: forward time, share of the longest",
        absent="timed=True",
    ),
    "nan": _Measure(
        _not_finite,
        lambda v: f"{count(v)} NaN or Inf",
        lambda v: v > 0,
        "flagged: values or gradients that are NaN or infinite",
    ),
    "dead": _Measure(
        _dead,
        lambda v: f"{v:.0%} zeros",
        lambda v: v >= _DEAD,
        f"bar: share of zeros after an activation; flagged from {_DEAD:.0%}",
    ),
}
COLOR_BY = tuple(_MEASURES)


def colour(graph: Graph, view: View, color_by: str) -> View:
    """`view` with the number of each box printed in it and as a bar. Raises `ValueError` for an unknown overlay."""
    if color_by not in _MEASURES:
        raise ValueError(f"color_by must be one of {COLOR_BY}, got {color_by!r}")
    measure = _MEASURES[color_by]
    closed = [group.closed for group in view.groups if group.closed.members]  # only pages ask for these
    drawn = [box for box in view.boxes if box.kind in {"op", "module"}]
    values = {box.key: _of_box(graph, box, measure) for box in [*drawn, *closed]}
    known = [v for v in values.values() if v is not None and math.isfinite(v)]
    level = _levels(known, measure.logarithmic)
    boxes = tuple(replace(box, overlay=_overlay(values.get(box.key), measure, level)) for box in view.boxes)
    absent = "" if known else f" (nothing was recorded: viz.graph(..., {measure.absent}) does)"
    groups = tuple(
        replace(group, closed=replace(group.closed, overlay=_overlay(values.get(group.key), measure, level)))
        for group in view.groups
    )
    summed = "; folded copies are summed" if any(group.repeats > 1 for group in view.groups) else ""
    return replace(view, boxes=boxes, groups=groups, legend=measure.legend + summed + absent)


def _of_box(graph: Graph, box: Box, measure: _Measure) -> float | None:
    return measure.value([graph.nodes[node] for node in box.members])


def _levels(known: Sequence[float], logarithmic: bool) -> Callable[[float], float]:
    positive = [v for v in known if v > 0]
    top = max(positive, default=1.0)
    if not logarithmic:
        return lambda v: v / top
    bottom = min(positive, default=top)
    span = max(math.log10(top) - math.log10(bottom), 1.0)
    return lambda v: 1.0 + (math.log10(v) - math.log10(top)) / (span * 1.1) if v > 0 else 0.0


def _overlay(value: float | None, measure: _Measure, level: Callable[[float], float]) -> Overlay | None:
    if value is None:
        return None
    if not math.isfinite(value):
        return Overlay(measure.text(value), 1.0, True)
    return Overlay(measure.text(value), min(max(level(value), 0.0), 1.0), measure.alarm(value))


def backward(graph: Graph, view: View) -> View:
    """Arrows turned around: each shows the norm of the gradient that arrives at its source."""
    boxes = {box.key: box for box in view.boxes}

    def weighed(link: Link) -> Link:
        if link.kind not in {"data", "skip"}:
            return link
        source = boxes[link.src]
        outs = [graph.nodes[node] for node in source.members if graph.nodes[node].kind in {"op", "input"}]
        norm = outs[-1].grad.norm if outs and outs[-1].grad is not None else None
        label = link.label or (f"{norm:.2g}" if norm is not None else "")
        return replace(link, weight=norm, label=label)

    note = "dashed arrows: gradients; the number is their norm, the width its logarithm"
    if not any(node.grad is not None for node in graph.nodes):
        note = "no gradients were recorded: viz.graph(..., backward=True) does"
    legend = f"{view.legend}; {note}" if view.legend else note
    return replace(view, links=tuple(map(weighed, view.links)), backward=True, legend=legend)
