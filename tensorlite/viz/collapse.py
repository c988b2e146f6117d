"""From a graph to the boxes that fit on a page: clusters, folding, and which modules stay closed.

`unfold` makes the view with every module open; `project` closes the modules that are not in the open set. Closing moves
boxes and links inside; it loses none.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from .bundle import bundle
from .ir import Graph, Module
from .repeats import with_rounds
from .unfold import unfold
from .view import Box, Link, LinkKind, View

Predicate = Callable[[Module], bool]
MAX_VISIBLE = 40


def collapse(
    graph: Graph,
    collapse: str | Predicate = "auto",
    *,
    depth: int | None = None,
    fold_repeats: bool = True,
    show_params: bool | None = None,
    max_visible: int = MAX_VISIBLE,
    open: str | Collection[str] = (),
) -> View:
    """The view of `graph` that is drawn.

    `collapse` is "auto" (open modules, outermost first, while at most `max_visible` boxes show; layers of the library stay closed), "none", "max", or a
    predicate that is true for a `Module` to close. `depth` opens that many levels instead. `open` names module paths to
    open with everything around them. `show_params` draws parameters as boxes of their own (default: where all values
    are scalars). Raises `ValueError` for another `collapse`, or a `max_visible` below 2.
    """
    if not callable(collapse) and collapse not in {"auto", "none", "max"}:
        raise ValueError(f"collapse must be 'auto', 'none', 'max' or a predicate on Module, got {collapse!r}")
    if max_visible < 2:
        raise ValueError(f"max_visible must be at least 2, got {max_visible}")
    if depth is not None and depth < 0:
        raise ValueError(f"depth must not be negative, got {depth}")
    graph = with_rounds(graph) if fold_repeats else graph
    view = unfold(graph, fold_repeats=fold_repeats, show_params=show_params)
    if collapse == "auto" and depth is None:
        view = bundle(view, max_visible)
    paths = {open} if isinstance(open, str) else set(open)
    unknown = sorted(paths - {name for group in view.groups for name in (group.path, group.key)})
    if unknown:
        known = ", ".join(dict.fromkeys(group.path for group in view.groups)) or "none"
        raise ValueError(f"open names no module that can be opened: {', '.join(unknown)}; there are: {known}")
    opened = _opened(graph, view, collapse, depth, max_visible) | _around(view, paths)
    return project(view, opened)


def project(view: View, opened: Collection[str]) -> View:
    """Close every group that is not in `opened` (or lies inside one that is closed)."""
    parent = {group.key: group for group in view.groups}
    shown: dict[str | None, str | None] = {None: None}  # group -> closed group that hides it
    for group in view.groups:  # parents come first
        outer = shown[group.parent]
        shown[group.key] = outer if outer is not None else (None if group.key in opened else group.key)
    boxes: dict[str, Box] = {}
    where: dict[str, str] = {}
    hidden: dict[str, list[Box]] = {}
    for box in view.boxes:
        closed = shown[box.group]
        if closed is None:
            boxes[box.key] = box
            where[box.key] = box.key
        else:
            boxes.setdefault(closed, parent[closed].closed)
            where[box.key] = closed
            hidden.setdefault(closed, []).append(box)
    links, inner = _merge(view.links, where)
    for key, inside in hidden.items():
        boxes[key] = replace(_total(boxes[key], inside), inner=sum(b.inner for b in inside) + inner.get(key, 0))
    groups = tuple(group for group in view.groups if shown[group.key] is None)
    return replace(view, boxes=tuple(boxes.values()), groups=groups, links=links)


def _total(closed: Box, inside: Sequence[Box]) -> Box:
    return replace(
        closed,
        members=tuple(sorted(node for box in inside for node in box.members)),
        params=sum(box.params for box in inside),
        flops=sum(box.flops for box in inside),
        nbytes=sum(box.nbytes for box in inside),
    )


def _merge(links: Sequence[Link], where: dict[str, str]) -> tuple[tuple[Link, ...], dict[str, int]]:
    merged: dict[tuple[str, str, LinkKind], Link] = {}
    inner: dict[str, int] = {}
    for link in links:
        src, dst = where[link.src], where[link.dst]
        if src == dst:
            inner[src] = inner.get(src, 0) + link.edges
            continue
        key = (src, dst, link.kind)
        if key in merged:
            old = merged[key]
            weight = max((w for w in (old.weight, link.weight) if w is not None), default=None)
            label = old.label if old.label == link.label else ""
            merged[key] = replace(old, edges=old.edges + link.edges, label=label, weight=weight)
        else:
            merged[key] = replace(link, src=src, dst=dst)
    return tuple(merged.values()), inner


# -- which groups are open --------------------------------------------------------------------------------------------


def _opened(graph: Graph, view: View, rule: str | Predicate, depth: int | None, limit: int) -> set[str]:
    if depth is not None:
        return {group.key for group in view.groups if group.depth < depth}
    if callable(rule):
        modules = {f"m{module.id}": module for module in graph.modules}
        return {group.key for group in view.groups if group.key not in modules or not rule(modules[group.key])}
    if rule == "none":
        return {group.key for group in view.groups}
    return set() if rule == "max" else _fitting(view, limit)


def _fitting(view: View, limit: int) -> set[str]:
    size: dict[str | None, int] = {}
    for box in view.boxes:
        size[box.group] = size.get(box.group, 0) + (box.kind != "entry")
    for group in view.groups:
        size[group.parent] = size.get(group.parent, 0) + 1
    visible = size.get(None, 0)
    opened: set[str] = set()
    for group in sorted(view.groups, key=lambda g: g.depth):
        if group.layer and group.repeats == 1:
            continue
        if (group.parent is None or group.parent in opened) and visible + size.get(group.key, 0) - 1 <= limit:
            visible += size.get(group.key, 0) - 1
            opened.add(group.key)
    return opened


def _around(view: View, paths: Collection[str]) -> set[str]:
    parent = {group.key: group.parent for group in view.groups}
    wanted: set[str] = set()
    for group in view.groups:
        key: str | None = group.key if group.path in paths or group.key in paths else None
        while key is not None and key not in wanted:
            wanted.add(key)
            key = parent[key]
    return wanted
