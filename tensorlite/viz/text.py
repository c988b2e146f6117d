"""Plain text: a tree with a table for terminals, and prose for screen readers."""

from __future__ import annotations

from collections import Counter

from .ir import Graph
from .metrics import count, dims, dtype, nbytes, one_line
from .view import Box, Group, View

_KIND_MARK = {"input": "→ ", "output": "← ", "param": "▪ ", "buffer": "▫ ", "const": "▫ "}


def text(view: View) -> str:
    """The view as an indented tree: one line a box, with what feeds it."""
    names = _numbered(view)
    feeds: dict[str, list[str]] = {}
    for link in view.links:
        mark = {"skip": " (residual)", "loop": " (previous copy)"}.get(link.kind, "")
        if link.src in names:
            feeds.setdefault(link.dst, []).append(f"{names[link.src]}{mark}")
        elif link.kind != "loop":  # through an entry point
            feeds.setdefault(link.dst, []).extend(f"{name}{mark}" for name in feeds.get(link.src, ()))
    rows = [("", one_line(view.title), "", "")]
    rows += [_row(item, depth, names, feeds) for item, depth in _tree(view)]
    widths = [max(len(row[i]) for row in rows[1:]) if rows[1:] else 0 for i in range(3)]
    lines = [rows[0][1]]
    for row in rows[1:]:
        cells = [cell.ljust(size) for cell, size in zip(row[:3], widths, strict=True)]
        lines.append("  ".join([*cells, row[3]]).rstrip())
    if view.legend:
        lines.append(view.legend)
    return "\n".join(lines) + "\n"


def _numbered(view: View) -> dict[str, str]:
    return {box.key: str(i) for i, box in enumerate((b for b in view.boxes if b.kind != "entry"), 1)}


def _tree(view: View) -> list[tuple[Box | Group, int]]:
    """Boxes and groups in reading order with their depth."""
    boxes: dict[str | None, list[Box]] = {}
    for box in view.boxes:
        if box.kind != "entry":
            boxes.setdefault(box.group, []).append(box)
    groups: dict[str | None, list[Group]] = {}
    for group in view.groups:
        groups.setdefault(group.parent, []).append(group)
    first: dict[str, int] = {}
    order = {box.key: i for i, box in enumerate(view.boxes)}
    for group in reversed(view.groups):
        inside = [order[b.key] for b in boxes.get(group.key, ())] + [first[g.key] for g in groups.get(group.key, ())]
        first[group.key] = min(inside, default=len(order))
    out: list[tuple[Box | Group, int]] = []
    stack: list[tuple[Box | Group, int]] = []

    def push(key: str | None, depth: int) -> None:
        items: list[Box | Group] = [*boxes.get(key, ()), *groups.get(key, ())]
        items.sort(key=lambda item: first[item.key] if isinstance(item, Group) else order[item.key], reverse=True)
        stack.extend((item, depth) for item in items)

    push(None, 0)
    while stack:
        item, depth = stack.pop()
        out.append((item, depth))
        if isinstance(item, Group):
            push(item.key, depth + 1)
    return out


def _row(
    item: Box | Group, depth: int, names: dict[str, str], feeds: dict[str, list[str]]
) -> tuple[str, str, str, str]:
    indent = "  " * depth
    if isinstance(item, Group):
        return ("", f"{indent}{item.title}:", item.subtitle, "")
    facts = " · ".join(part for part in (*item.lines[1:], item.overlay.text if item.overlay else "") if part)
    sources = ", ".join(dict.fromkeys(feeds.get(item.key, ())))
    mark = _KIND_MARK.get(item.kind, "")
    return (names[item.key], f"{indent}{mark}{item.title}", facts, f"← {sources}" if sources else "")


def describe(graph: Graph) -> str:
    """The graph in sentences."""
    ops = [node for node in graph.nodes if node.kind == "op"]
    kinds = Counter(node.op for node in ops)
    common = ", ".join(f"{n} {op}" for op, n in sorted(kinds.items(), key=lambda entry: (-entry[1], entry[0]))[:5])
    words = [f"{graph.name}: a computation graph of {len(ops)} ops" + (f" ({common})" if common else "") + "."]
    inputs = [node for node in graph.nodes if node.kind == "input"]
    if inputs:
        listed = [f"{node.name or 'input'} {dims(node.shape)} {dtype(node.dtype)}" for node in inputs[:6]]
        words.append(f"Inputs: {', '.join(listed)}{' and more' if len(inputs) > 6 else ''}.")
    if graph.outputs:
        results = [graph.nodes[out] for out in graph.outputs[:6]]
        words.append(f"Results: {', '.join(f'{node.op} {dims(node.shape)}' for node in results)}.")
    words.append(
        f"{count(graph.params)} parameters, {count(graph.flops)} FLOPs forward, {nbytes(graph.nbytes)} of values."
    )
    skips = sum(edge.is_skip for edge in graph.edges)
    if skips:
        words.append(f"{skips} residual connection{'s' * (skips != 1)}.")
    return one_line(" ".join(words))
