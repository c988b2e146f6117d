"""Loop arcs in a layout by Graphviz, which would draw them across the border of the repeated block.

Each arc goes down below the last box of the block, along a lane at the right of everything in it, and back to the
first. What stands further right moves aside, so that the frame holds the arc and its label.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from .geometry import LABEL_SIZE, Layout, Point, Rect, Route, rounded
from .metrics import width
from .view import Link, View

_LANE, _STEP, _EDGE = 16.0, 12.0, 10.0
_BEND = 6  # points of an arc that give way


def with_loops(view: View, layout: Layout) -> Layout:
    """`layout` with a route for every loop of `view`, inside the frame of its block."""
    homes: dict[str | None, list[int]] = {}
    around = _ancestors(view)
    for i, link in enumerate(view.links):
        if link.kind == "loop":
            homes.setdefault(_common(around[link.src], around[link.dst]), []).append(i)
    for home in sorted(homes, key=lambda key: -len(around[key]) if key is not None else 0):  # innermost first
        layout = _routed(view, layout, home, homes[home], around)
    return layout


def _ancestors(view: View) -> dict[str, list[str]]:
    """The groups around each box and group, innermost first."""
    around: dict[str, list[str]] = {}
    parents = [(group.key, group.parent) for group in view.groups]  # outer ones come first
    for key, parent in [*parents, *((box.key, box.group) for box in view.boxes)]:
        around[key] = [] if parent is None else [parent, *around[parent]]
    return around


def _common(a: Sequence[str], b: Sequence[str]) -> str | None:
    return next((key for key in a if key in b), None)


def _routed(
    view: View, layout: Layout, home: str | None, loops: Sequence[int], around: Mapping[str, Sequence[str]]
) -> Layout:
    inside = [key for key, groups in around.items() if home is None or home in groups]
    rects = {key: rect for key, rect in {**layout.boxes, **layout.groups}.items() if key in set(inside)}
    right = max(rect.right for rect in rects.values())
    for link, route in zip(view.links, layout.routes, strict=True):
        if link.kind != "loop" and link.src in rects and link.dst in rects:
            right = max(right, *(x for x, _ in route.points))
    lane = right + _LANE
    text = max(width(view.links[i].label, LABEL_SIZE) for i in loops)
    edge = lane + _STEP * (len(loops) - 1) + (text + 6.0 if text else 0.0) + _EDGE
    frame = layout.groups[home].right if home is not None else layout.width
    if edge > frame:
        layout = _widened(view, layout, frame, edge - frame)
    routes = list(layout.routes)
    for n, i in enumerate(loops):
        routes[i] = _route(view.links[i], layout.boxes, rects, lane + _STEP * n)
    return replace(layout, routes=tuple(routes))


def _route(link: Link, boxes: Mapping[str, Rect], rects: Mapping[str, Rect], lane: float) -> Route:
    start, end = boxes[link.src], boxes[link.dst]
    low = max(r.bottom for r in rects.values() if r.y <= start.y + start.height / 2 <= r.bottom and _beside(r, start))
    x0, low = start.x + 0.75 * start.width, low + 8.0
    middle = end.y + end.height / 2
    if end.width < 10:  # the point at which every round begins
        corners = [(x0, start.bottom), (x0, low), (lane, low), (lane, middle), (end.right, middle)]
        return Route(_tidy(rounded(corners)), (round(lane + 6.0, 2), round((low + middle) / 2, 2)))
    high = min(r.y for r in rects.values() if r.y <= middle <= r.bottom and _beside(r, end)) - 8.0
    x1 = end.x + end.width / 2
    corners = [(x0, start.bottom), (x0, low), (lane, low), (lane, high), (x1, high), (x1, end.y)]
    return Route(_tidy(rounded(corners)), (round(lane + 6.0, 2), round((low + high) / 2, 2)))


def _beside(rect: Rect, box: Rect) -> bool:
    """The box itself, or right of it, in the way of its arc."""
    return rect == box or rect.x >= box.right


def _tidy(points: Sequence[Point]) -> tuple[Point, ...]:
    return tuple((round(x, 2), round(y, 2)) for x, y in points)


def _widened(view: View, layout: Layout, cut: float, by: float) -> Layout:
    """Everything from x = `cut` on moved right by `by`; frames across the cut grow, boxes across it move or stay."""

    def moved(x: float) -> float:
        return round(x + by, 2) if x >= cut - 0.01 else x

    def box(rect: Rect) -> Rect:
        return replace(rect, x=round(rect.x + by, 2)) if rect.x + rect.width / 2 >= cut else rect

    def group(rect: Rect) -> Rect:
        left = moved(rect.x)
        return replace(rect, x=left, width=round(moved(rect.right) - left, 2))

    boxes = {key: box(rect) for key, rect in layout.boxes.items()}

    def route(link: Link, old: Route) -> Route:
        ends = [boxes[key].x - layout.boxes[key].x for key in (link.src, link.dst)]
        shifts = [moved(x) - x for x, _ in old.points]
        near = min(_BEND, len(shifts) // 2)
        for k in range(near):  # an arc stays at its boxes, and bends towards where the rest of it has gone
            share = 1 - k / near
            shifts[k] += share * (ends[0] - shifts[k])
            shifts[-1 - k] += share * (ends[1] - shifts[-1 - k])
        points = [(round(x + shift, 2), y) for (x, y), shift in zip(old.points, shifts, strict=True)]
        return Route(tuple(points), old.label and (moved(old.label[0]), old.label[1]))

    routes = tuple(route(link, old) for link, old in zip(view.links, layout.routes, strict=True))
    groups = {key: group(rect) for key, rect in layout.groups.items()}
    return replace(layout, width=round(layout.width + by, 2), boxes=boxes, groups=groups, routes=routes)
