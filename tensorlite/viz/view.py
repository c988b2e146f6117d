"""What a renderer sees: boxes, groups and links, after folding and collapsing.

Every node of the graph belongs to exactly one box and every edge is either inside a box or counted on exactly one link,
so a collapsed view conserves edges, parameters and FLOPs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

BoxKind = Literal["op", "module", "input", "output", "param", "buffer", "const", "entry"]
LinkKind = Literal["data", "skip", "loop", "leaf"]


@dataclass(frozen=True, slots=True)
class Overlay:
    """A number laid over a box: its text, its place between 0 and 1, and whether it calls for attention."""

    text: str
    level: float
    alarm: bool = False


@dataclass(frozen=True, slots=True)
class Box:
    """One visible box. `members` are the nodes that it stands for, folded copies and inlined leaves included."""

    key: str
    kind: BoxKind
    role: str
    lines: tuple[str, ...]
    group: str | None
    members: tuple[int, ...] = ()
    inner: int = 0
    params: int = 0
    flops: int = 0
    nbytes: int = 0
    tip: str = ""
    overlay: Overlay | None = None

    @property
    def title(self) -> str:
        return self.lines[0] if self.lines else ""


@dataclass(frozen=True, slots=True)
class Group:
    """A visible cluster; `closed` is the box that takes its place when it is collapsed."""

    key: str
    parent: str | None
    depth: int
    path: str
    title: str
    subtitle: str
    closed: Box
    repeats: int = 1
    layer: bool = False


@dataclass(frozen=True, slots=True)
class Link:
    """An arrow between two boxes that stands for `edges` edges of the graph (0 for arrows that only repeat one)."""

    src: str
    dst: str
    kind: LinkKind = "data"
    edges: int = 1
    label: str = ""
    weight: float | None = None  # gradient norm that flows back along it


@dataclass(frozen=True, slots=True)
class View:
    title: str
    description: str
    boxes: tuple[Box, ...]
    groups: tuple[Group, ...]
    links: tuple[Link, ...]
    legend: str = ""
    backward: bool = False
