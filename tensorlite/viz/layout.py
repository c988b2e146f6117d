"""The built-in layout: layered, with each module a contiguous frame, in plain Python.

Every open group is laid out by itself (`layers.arrange`), innermost first, and then stands in its parent as one box. An
edge that crosses a frame passes through a port on its border. Boxes therefore cannot overlap, and edges keep clear of
them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from . import layers
from .geometry import LABEL_SIZE, Layout, Point, Rect, Route, bend, box_size, line, rounded, title_width
from .metrics import width
from .view import Link, View

_Arc = tuple[object, object, bool]  # tail and head, each an item or a port, and whether it is a residual

_FRAME_PAD, _FRAME_TITLE, _ROW_GAP, _PORT_GAP = 14.0, 26.0, 30.0, 16.0


@dataclass(slots=True)
class _Frame:
    """The inside of one group: positions relative to its top left corner."""

    width: float = 0.0
    height: float = 0.0
    at: dict[str, Rect] = field(default_factory=dict)
    port: dict[tuple[str, bool], float] = field(default_factory=dict)
    pieces: dict[_Arc, list[Point]] = field(default_factory=dict)
    lanes: dict[_Arc, Point] = field(default_factory=dict)


def builtin(view: View) -> Layout:
    """Lay out `view` without any other program."""
    return _Builder(view).layout()


class _Builder:
    def __init__(self, view: View) -> None:
        self.view = view
        self.size = {box.key: box_size(box) for box in view.boxes}
        self.boxes = {box.key: box for box in view.boxes}
        self.groups = {group.key: group for group in view.groups}
        self.parent: dict[str, str | None] = {box.key: box.group for box in view.boxes}
        self.parent |= {group.key: group.parent for group in view.groups}
        self.inside: dict[str | None, list[str]] = {None: []}
        for key, parent in self.parent.items():
            self.inside.setdefault(parent, []).append(key)
        self.frames: dict[str | None, _Frame] = {}
        self.arcs: dict[str | None, dict[_Arc, Link]] = {}
        self.paths = [self._path(link) for link in view.links]

    def layout(self) -> Layout:
        for key in [*(group.key for group in reversed(self.view.groups)), None]:
            self.frames[key] = self._frame(key)
        boxes, groups, origin = self._absolute()
        routes = tuple(self._route(link, path, origin) for link, path in zip(self.view.links, self.paths, strict=True))
        top = self.frames[None]
        return Layout(round(top.width, 2), round(top.height, 2), boxes, groups, routes)

    # -- which level an edge passes -----------------------------------------------------------------------------------

    def _around(self, key: str) -> list[str | None]:
        chain: list[str | None] = []
        at: str | None = self.parent[key]
        while at is not None:
            chain.append(at)
            at = self.parent[at]
        return [*chain, None]

    def _path(self, link: Link) -> list[tuple[str | None, _Arc]]:
        """The arc that the link follows in each group, from its source to its target."""
        ups, downs = self._around(link.src), self._around(link.dst)
        while len(ups) > 1 and len(downs) > 1 and ups[-2] == downs[-2]:
            ups.pop()
            downs.pop()
        skip = link.kind == "skip"
        port = (link.src, skip)
        path: list[tuple[str | None, _Arc]] = []
        tail: object = link.src
        for group in ups[:-1]:
            path.append((group, (tail, port, skip)))
            tail = group
        heads: list[object] = [link.dst, *downs[:-1]]
        path.append((ups[-1], (tail, heads[-1], skip)))
        for group, head in zip(reversed(downs[:-1]), reversed(heads[:-1]), strict=True):
            path.append((group, (port, head, skip)))
        for i, (group, arc) in enumerate(path):
            closes = link.kind == "loop" and i == len(ups) - 1
            known = self.arcs.setdefault(group, {})
            if arc not in known or closes:
                known[arc] = link
        return path

    # -- one frame ----------------------------------------------------------------------------------------------------

    def _frame(self, key: str | None) -> _Frame:
        arcs = self.arcs.get(key, {})
        items: list[object] = list(self.inside.get(key, ()))
        sources = sorted({tail for tail, _, _ in arcs if isinstance(tail, tuple)})
        sinks = sorted({head for _, head, _ in arcs if isinstance(head, tuple)})
        number = {item: i for i, item in enumerate([*items, *sources, *(("out", sink) for sink in sinks)])}
        widths = [self._item_size(item)[0] for item in items] + [4.0] * (len(sources) + len(sinks))
        loops = [arc for arc, link in arcs.items() if link.kind == "loop" and not isinstance(arc[1], tuple)]
        plain = [arc for arc in arcs if arc not in set(loops)]
        n = len(items)
        ports = range(n, n + len(sources)), range(n + len(sources), len(number))
        came: dict[_Arc, float] = {}
        side: dict[_Arc, float] = {}
        for _ in range(2):  # the second time, edges arrive in the order in which they come
            ends = self._attach(arcs, came, side)
            flat = [self._arc(arc, arcs[arc], number, ends) for arc in plain]
            level = layers.arrange(widths, flat, *ports)
            for i, arc in enumerate(plain):
                came[arc] = level.x[[flat[i].tail, *level.chain[i]][-1]]
                side[arc] = level.x[[*level.chain[i], flat[i].head][0]] - level.x[flat[i].tail]
        return _FrameBuilder(self, key, items, sources, sinks, level, plain, flat, loops, ends).build()

    def _item_size(self, item: object) -> tuple[float, float]:
        if item in self.size:
            return self.size[str(item)]
        frame = self.frames[str(item)]
        return frame.width, frame.height

    def _arc(
        self,
        arc: _Arc,
        link: Link,
        number: Mapping[object, int],
        ends: Mapping[tuple[object, _Arc], float],
    ) -> layers.Arc:
        tail, head, skip = arc
        weight = {"data": 1.0, "skip": 1e-4, "leaf": 0.1, "loop": 1e-4}[link.kind]
        if self.boxes[link.src].kind == "input" and tail != link.src:
            weight = 1e-3  # a mask that comes from far away does not bend the main path
        target = number[("out", head) if isinstance(head, tuple) else head]
        return layers.Arc(number[tail], target, skip, weight, ends.get(("out", arc), 0.0), ends.get(("in", arc), 0.0))

    def _attach(
        self,
        arcs: Mapping[_Arc, Link],
        came: Mapping[_Arc, float],
        side: Mapping[_Arc, float],
    ) -> dict[tuple[object, _Arc], float]:
        """Offset from the centre of an item at which each arc leaves or arrives."""
        ends: dict[tuple[object, _Arc], float] = {}
        arriving: dict[str, list[_Arc]] = {}
        for arc, link in arcs.items():
            tail, head, skip = arc
            port = (link.src, skip)
            if isinstance(tail, str) and tail in self.frames:
                frame = self.frames[tail]
                ends["out", arc] = frame.port[port] - frame.width / 2
            elif isinstance(tail, str) and (skip or link.kind == "loop") and self.boxes[tail].kind != "entry":
                ends["out", arc] = math.copysign(min(14.0, self.size[tail][0] / 4), side.get(arc, 1.0))
            if isinstance(head, str) and head in self.frames and link.kind != "loop":
                frame = self.frames[head]
                ends["in", arc] = frame.port[port] - frame.width / 2
            elif isinstance(head, str) and link.kind != "loop":
                arriving.setdefault(head, []).append(arc)
        for head, group in arriving.items():
            group.sort(key=lambda arc: came.get(arc, 0.0))
            room = max(self.size[head][0] - 28.0, 0.0)
            step = min(18.0, room / max(len(group) - 1, 1))
            plain = [i for i, arc in enumerate(group) if not arc[2]]
            centre = plain[0] if len(plain) == 1 else (len(group) - 1) / 2  # the main path arrives in the middle
            for i, arc in enumerate(group):
                ends["in", arc] = (i - centre) * step
        return ends

    # -- the whole ----------------------------------------------------------------------------------------------------

    def _absolute(self) -> tuple[dict[str, Rect], dict[str, Rect], dict[str | None, Point]]:
        boxes: dict[str, Rect] = {}
        groups: dict[str, Rect] = {}
        origin: dict[str | None, Point] = {None: (0.0, 0.0)}
        for key in [None, *(group.key for group in self.view.groups)]:
            left, top = origin[key]
            for item, rect in self.frames[key].at.items():
                placed = Rect(round(left + rect.x, 2), round(top + rect.y, 2), rect.width, rect.height)
                if item in self.boxes:
                    boxes[item] = placed
                else:
                    groups[item] = placed
                    origin[item] = (placed.x, placed.y)
        return boxes, groups, origin

    def _route(
        self,
        link: Link,
        path: Sequence[tuple[str | None, _Arc]],
        origin: Mapping[str | None, Point],
    ) -> Route:
        points: list[Point] = []
        label: Point | None = None
        for group, arc in path:
            left, top = origin[group]
            piece = [(round(x + left, 2), round(y + top, 2)) for x, y in self.frames[group].pieces[arc]]
            points += piece[1:] if points else piece
            lane = self.frames[group].lanes.get(arc)
            if lane is not None and link.label:
                label = (round(lane[0] + left, 2), round(lane[1] + top, 2))
        if link.label and label is None:
            label = _beside(points)
        return Route(tuple(points), label)


def _beside(points: Sequence[Point]) -> Point:
    """Right of the middle of the last piece, or near its end if it is long."""
    (x0, y0), (x1, y1) = points[-4], points[-1]
    if x0 == x1:
        y0 = max(y0, y1 - _ROW_GAP)
    return (round((x0 + x1) / 2 + 6, 2), round((y0 + y1) / 2 + 3, 2))


@dataclass
class _FrameBuilder:
    owner: _Builder
    key: str | None
    items: list[object]
    sources: Sequence[object]
    sinks: Sequence[object]
    level: layers.Level
    plain: Sequence[_Arc]
    flat: Sequence[layers.Arc]
    loops: Sequence[_Arc]
    ends: Mapping[tuple[object, _Arc], float]

    def build(self) -> _Frame:
        frame = _Frame()
        n = len(self.items)
        sizes = [self.owner._item_size(item) for item in self.items]
        left, right = self._extent(sizes)
        shift = _FRAME_PAD - left
        backward = [self.plain[i] for i in self.level.backward]
        lanes = [*self.loops, *backward]
        frame.width = right - left + 2 * _FRAME_PAD + self._lane_room(lanes)
        if self.key is not None:
            least = title_width(self.owner.groups[self.key]) + 2 * _FRAME_PAD
            shift += max(least - frame.width, 0.0) / 2
            frame.width = max(frame.width, least)
        self.x = [x + shift for x in self.level.x]
        self.far = self._sideways()
        self._rows(sizes)
        frame.height = self.bottom
        for i, item in enumerate(self.items):
            w, h = sizes[i]
            row = self.level.rank[i]
            middle = (self.row_top[row] + self.row_end[row]) / 2
            frame.at[str(item)] = Rect(round(self.x[i] - w / 2, 2), round(middle - h / 2, 2), w, h)
        for i, source in enumerate(self.sources):
            frame.port[source] = self.x[n + i]  # type: ignore[index]
        for i, sink in enumerate(self.sinks):
            frame.port[sink] = self.x[n + len(self.sources) + i]  # type: ignore[index]
        gone = set(self.level.backward)
        for i, arc in enumerate(self.plain):
            if i not in gone:
                frame.pieces[arc] = self._curve(i, frame)
        edge = right + shift
        for i, arc in enumerate(lanes):
            lane = edge + 14.0 + 12.0 * i
            frame.pieces[arc], frame.lanes[arc] = self._loop(arc, lane, frame)
        return frame

    def _extent(self, sizes: Sequence[tuple[float, float]]) -> tuple[float, float]:
        x = self.level.x
        spread = [(x[i] - w / 2, x[i] + w / 2) for i, (w, _) in enumerate(sizes)]
        spread += [(at - 4, at + 4) for at in x[len(sizes) :]]
        return min((lo for lo, _ in spread), default=0.0), max((hi for _, hi in spread), default=0.0)

    def _lane_room(self, lanes: Sequence[_Arc]) -> float:
        if not lanes:
            return 0.0
        text = max(width(self.owner.arcs[self.key][arc].label, LABEL_SIZE) for arc in lanes)
        return 10.0 + 12.0 * len(lanes) + (text + 6.0 if text else 0.0)

    def _rows(self, sizes: Sequence[tuple[float, float]]) -> None:
        rows, n = self.level.rows, len(sizes)
        top = 0.0 if self.key is None else _FRAME_TITLE
        self.row_top, self.row_end = [], []
        y = top + (0.0 if self.sources else (_FRAME_PAD if self.key is None else 4.0))
        for r, row in enumerate(rows):
            height = max((sizes[i][1] for i in row if i < n), default=0.0)
            ports = r == 0 and bool(self.sources)
            self.row_top.append(0.0 if ports else y)
            self.row_end.append(top if ports else y + height)
            y = (top + _PORT_GAP + self._gap(r) - _ROW_GAP) if ports else y + height + self._gap(r)
        last = self.row_end[-1] if rows else y
        if self.sinks and rows:
            before = self.row_end[-2] if len(rows) > 1 else top
            wider = self._gap(len(rows) - 2) - _ROW_GAP if len(rows) > 1 else 0.0
            self.row_top[-1] = self.row_end[-1] = last = before + _PORT_GAP + wider
        self.bottom = last + (0.0 if self.sinks else _FRAME_PAD + (8.0 if self.loops else 0.0))

    def _sideways(self) -> list[float]:
        """How far edges go sideways below each rank, at most."""
        far = [0.0] * max(len(self.level.rows), 1)
        for i, arc in enumerate(self.flat):
            top = self.level.rank[arc.tail]
            stops = [arc.tail, *self.level.chain[i], arc.head]
            for at, (a, b) in enumerate(itertools.pairwise(stops)):
                if top + at < self.level.rank[arc.head]:  # not so for backward arcs
                    far[top + at] = max(far[top + at], abs(self.x[a] - self.x[b]))
        return far

    def _gap(self, r: int) -> float:
        """More room where edges go far sideways."""
        return min(_ROW_GAP + 0.06 * self.far[r], 64.0)

    def _curve(self, i: int, frame: _Frame) -> list[Point]:
        """Down through the waypoints, straight where they stand under one another."""
        flat = self.flat[i]
        points = [(self.x[flat.tail] + flat.out, self._foot(flat.tail, frame))]
        top, bottom = self.level.rank[flat.tail], self.level.rank[flat.head]
        stops = [*self.level.chain[i], flat.head]
        for at, stop in enumerate(stops):
            final = at == len(stops) - 1
            x = self.x[stop] + (flat.into if final else 0.0)
            if abs(x - points[-1][0]) > 0.01:
                line(points, self.row_end[top + at if len(stops) > 1 else bottom - 1])
                bend(points, x, self.row_top[bottom if final else top + at + 1])
        line(points, self._head(flat.head, frame))
        return points

    def _foot(self, item: int, frame: _Frame) -> float:
        if item < len(self.items):
            return frame.at[str(self.items[item])].bottom
        return 0.0

    def _head(self, item: int, frame: _Frame) -> float:
        return frame.at[str(self.items[item])].y if item < len(self.items) else self.bottom

    def _loop(self, arc: _Arc, lane: float, frame: _Frame) -> tuple[list[Point], Point]:
        """Down into the gap below the tail, along it to a lane at the right, up, and back to the head."""
        tail, head = arc[0], arc[1]
        start, end = self._rect(tail, frame, foot=True), self._rect(head, frame, foot=False)
        x0 = start.x + start.width / 2 + self.ends.get(("out", arc), 0.0)
        low = self._row_of(tail, foot=True) + 9.0
        x1 = end.x + end.width / 2 + self.ends.get(("in", arc), 0.0)
        high = self._row_of(head, foot=False) - 8.0
        if isinstance(head, str) and head in self.owner.boxes and self.owner.boxes[head].kind == "entry":
            corners = [
                (x0, start.bottom),
                (x0, low),
                (lane, low),
                (lane, end.y + end.height / 2),
                (end.right, end.y + end.height / 2),
            ]
        else:
            corners = [(x0, start.bottom), (x0, low), (lane, low), (lane, high), (x1, high), (x1, end.y)]
        return rounded(corners), (lane + 6.0, (low + high) / 2)

    def _rect(self, item: object, frame: _Frame, *, foot: bool) -> Rect:
        if isinstance(item, str):
            return frame.at[item]
        at = frame.port[item]  # type: ignore[index]
        return Rect(at, self.bottom if not foot else 0.0, 0.0, 0.0)

    def _row_of(self, item: object, *, foot: bool) -> float:
        if not isinstance(item, str):
            return _FRAME_TITLE if foot else self.bottom
        rank = self.level.rank[self.items.index(item)]
        return self.row_end[rank] if foot else self.row_top[rank]
