"""Mermaid flowchart, which GitHub and many note-taking programs draw."""

from __future__ import annotations

from .geometry import shown_lines
from .metrics import one_line
from .palette import LIGHT, STRIPS
from .view import Box, Group, View

_SHAPES = {
    "input": ("([", "])"),
    "output": ("([", "])"),
    "param": ("[/", "/]"),
    "buffer": ("[(", ")]"),
    "entry": ("((", "))"),
}
_ARROWS = {"data": "-->", "skip": "==>", "loop": "-.->", "leaf": "-.->"}


def mermaid(view: View) -> str:
    """The view as a `flowchart TB`; the title goes into an accessible title line."""
    out = [f"%% {one_line(view.title)}", "flowchart TB", f"  accTitle: {_plain(view.title)}"]
    boxes: dict[str | None, list[Box]] = {}
    for box in view.boxes:
        boxes.setdefault(box.group, []).append(box)
    below: dict[str | None, list[Group]] = {}
    for group in view.groups:
        below.setdefault(group.parent, []).append(group)
    out += [f"  {_box(box)}" for box in boxes.get(None, ())]
    stack: list[Group | None] = list(reversed(below.get(None, ())))
    while stack:
        current = stack.pop()
        if current is None:
            out.append("  end")
            continue
        title = f"{current.title} · {current.subtitle}".rstrip(" ·")
        out.append(f'  subgraph {_id(current.key)}["{_escape(title)}"]')
        out += [f"    {_box(box)}" for box in boxes.get(current.key, ())]
        stack.append(None)
        stack += reversed(below.get(current.key, ()))
    for link in view.links:
        label = f'|"{_escape(link.label)}"|' if link.label else ""
        out.append(f"  {_id(link.src)} {_ARROWS[link.kind]}{label} {_id(link.dst)}")
    return "\n".join(out + _classes(view)) + "\n"


def _id(key: str) -> str:
    return "k" + "".join(char if char.isalnum() and char.isascii() else "_" for char in key)


def _plain(text: str) -> str:
    return "".join(char if char.isalnum() or char in " .-_" else " " for char in one_line(text)).strip() or "graph"


def _escape(text: str) -> str:
    """Entities for everything that Mermaid, Markdown or HTML could read as markup."""
    return "".join(f"#{ord(char)};" if char in '"<>&#|{}[]()`*_~\\;' else char for char in one_line(text))


def _box(box: Box) -> str:
    left, right = _SHAPES.get(box.kind, ("[[", "]]") if box.kind == "module" else ("[", "]"))
    label = "<br/>".join(_escape(line) for line in shown_lines(box)) if box.kind != "entry" else " "
    return f'{_id(box.key)}{left}"{label}"{right}'


def _classes(view: View) -> list[str]:
    lines = []
    for role in STRIPS:
        members = ",".join(_id(box.key) for box in view.boxes if box.role == role)
        if members:
            lines += [f"  classDef {role} stroke:{LIGHT[role]},stroke-width:2px", f"  class {members} {role}"]
    return lines
