"""Rectangles, curves, and how large a box must be for its text. Pixels, y downwards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .metrics import width
from .view import Box, Group, View

TITLE_SIZE, FACT_SIZE, GROUP_SIZE, LABEL_SIZE = 13.0, 11.0, 12.0, 10.5
PAD, STRIP, LINE = 12.0, 6.0, 15.0
_CORNER = 9.0

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Rect:
    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        return self.x + self.width

    @property
    def bottom(self) -> float:
        return self.y + self.height


@dataclass(frozen=True, slots=True)
class Route:
    """Bézier curve of a link: a start point, then three points for each piece; `label` is where its text begins."""

    points: tuple[Point, ...]
    label: Point | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """Pixels, y downwards. `routes` are in the order of the view's links."""

    width: float
    height: float
    boxes: dict[str, Rect]
    groups: dict[str, Rect]
    routes: tuple[Route, ...]
    engine: str = "builtin"


Engine = Callable[[View], Layout]


def box_size(box: Box) -> tuple[float, float]:
    """Width and height in pixels of a box around its lines."""
    if box.kind == "entry":
        return 7.0, 7.0
    lines = shown_lines(box)
    text = max(
        width(line, FACT_SIZE if i else TITLE_SIZE, bold=not i and box.kind == "module") for i, line in enumerate(lines)
    )
    strip = STRIP if box.role else 0.0
    return round(text + 2 * PAD + strip + 2, 1), 12.0 + LINE * len(lines)


def shown_lines(box: Box) -> tuple[str, ...]:
    lines = tuple(line for line in box.lines if line) or (" ",)
    return (*lines, box.overlay.text) if box.overlay is not None else lines


def title_width(group: Group) -> float:
    gap = 8 if group.subtitle else 0
    return width(group.title, GROUP_SIZE, bold=True) + gap + width(group.subtitle, FACT_SIZE)


def line(points: list[Point], y: float) -> None:
    x0, y0 = points[-1]
    if abs(y - y0) > 0.01:
        points += [(x0, y0 + (y - y0) / 3), (x0, y0 + 2 * (y - y0) / 3), (x0, y)]


def bend(points: list[Point], x: float, y: float) -> None:
    x0, y0 = points[-1]
    middle = (y0 + y) / 2
    points += [(x0, middle), (x, middle), (x, y)]


def rounded(corners: Sequence[Point]) -> list[Point]:
    """An orthogonal path with rounded corners, as cubic pieces."""
    points = [corners[0]]
    for before, corner, after in zip(corners, corners[1:], corners[2:], strict=False):
        _straight(points, _toward(corner, before))
        end = _toward(corner, after)
        x0, y0 = points[-1]
        points += [
            (x0 + (corner[0] - x0) * 0.55, y0 + (corner[1] - y0) * 0.55),
            (end[0] + (corner[0] - end[0]) * 0.55, end[1] + (corner[1] - end[1]) * 0.55),
            end,
        ]
    _straight(points, corners[-1])
    return points


def _toward(corner: Point, other: Point) -> Point:
    dx, dy = other[0] - corner[0], other[1] - corner[1]
    length = max(abs(dx), abs(dy), 1e-9)
    cut = min(_CORNER, length / 2) / length
    return corner[0] + dx * cut, corner[1] + dy * cut


def _straight(points: list[Point], end: Point) -> None:
    x0, y0 = points[-1]
    points += [
        (x0 + (end[0] - x0) / 3, y0 + (end[1] - y0) / 3),
        (x0 + 2 * (end[0] - x0) / 3, y0 + 2 * (end[1] - y0) / 3),
        end,
    ]
