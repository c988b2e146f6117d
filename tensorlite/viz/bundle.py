"""Gather a long stretch of ops that lie in no module of their own into groups of neighbours, so that it can be closed
too.

Neighbours in topological order make convex groups, so the collapsed picture has no cycles.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from .view import Box, Group, View

_CHUNKS = 16  # groups made of one crowded level


def bundle(view: View, limit: int) -> View:
    """`view` with at most `limit` (two or more) boxes and groups directly inside any group."""
    groups, boxes = list(view.groups), list(view.boxes)
    while True:
        contents, first = _contents(groups, boxes)
        crowded = [(key, items) for key, items in contents.items() if len(items) > limit]
        if not crowded:
            return replace(view, groups=tuple(_by_depth(groups)), boxes=tuple(boxes))
        by_key = {group.key: group.closed for group in groups} | {box.key: box for box in boxes}
        home: dict[str, str] = {}
        for key, items in crowded:
            _cut(key, items, limit, by_key, first, groups, home)
        boxes = [replace(box, group=home[box.key]) if box.key in home else box for box in boxes]
        groups = [replace(group, parent=home[group.key]) if group.key in home else group for group in groups]


def _contents(groups: Sequence[Group], boxes: Sequence[Box]) -> tuple[dict[str | None, list[str]], dict[str, int]]:
    """Keys of the boxes and groups directly inside each group, in order of their first op, and the number of that."""
    parent: dict[str, str | None] = {group.key: group.parent for group in groups}
    first: dict[str, int] = {}
    for order, box in enumerate(boxes):
        at = min(box.members, default=order)
        first[box.key] = at
        if not box.members:  # points of entry come before everything in their group, results after everything
            first[box.key] = -1 if box.kind == "entry" else sys.maxsize
            continue
        key = box.group
        while key is not None:
            first[key] = min(first.get(key, at), at)
            key = parent[key]
    content: dict[str | None, list[str]] = {}
    for item, container in [*((box.key, box.group) for box in boxes), *parent.items()]:
        content.setdefault(container, []).append(item)
    return {key: sorted(items, key=lambda k: (first.get(k, -1), k)) for key, items in content.items()}, first


def _cut(
    container: str | None,
    items: Sequence[str],
    limit: int,
    by_key: Mapping[str, Box],
    first: Mapping[str, int],
    groups: list[Group],
    home: dict[str, str],
) -> None:
    """Add groups of neighbouring `items` to `groups`, and note in `home` which item goes where."""
    size = -(-len(items) // min(_CHUNKS, limit))
    for start in range(0, len(items), size):
        chunk = items[start : start + size]
        if len(chunk) < 2:
            continue
        key = f"s{len(groups)}"
        home.update(dict.fromkeys(chunk, key))
        groups.append(_stretch(key, container, [by_key[item] for item in chunk], max(first.get(chunk[0], 0), 0)))


def _stretch(key: str, container: str | None, inside: Sequence[Box], first: int) -> Group:
    names = Counter(box.title.removeprefix("▸ ").split(" · ")[0] for box in inside if box.kind in {"op", "module"})
    common = ", ".join(name for name, _ in sorted(names.items(), key=lambda entry: (-entry[1], entry[0]))[:3])
    roles = Counter(box.role for box in inside if box.role)
    role = max(sorted(roles), key=lambda r: roles[r]) if roles else "reduce"
    what = "boxes" if any(box.kind == "module" for box in inside) else "ops"
    title = f"{len(inside)} {what} from #{first}"
    closed = Box(key, "module", role, (f"▸ {title}", common), container)
    return Group(key, container, 0, key, title, common, closed)


def _by_depth(groups: Sequence[Group]) -> list[Group]:
    """Parents first, depths counted again."""
    below: dict[str | None, list[Group]] = {}
    for group in groups:
        below.setdefault(group.parent, []).append(group)
    out: list[Group] = []
    level = [replace(group, depth=1, closed=replace(group.closed, group=None)) for group in below.get(None, ())]
    while level:
        out += level
        level = [
            replace(child, depth=group.depth + 1, closed=replace(child.closed, group=group.key))
            for group in level
            for child in below.get(group.key, ())
        ]
    return out
