"""DOT for Graphviz. Plain labels only: engines built without expat silently drop HTML-like ones."""

from __future__ import annotations

from collections.abc import Sequence

from .geometry import box_size, shown_lines, title_width
from .metrics import one_line
from .palette import LIGHT
from .view import Box, Group, Link, View

_POINTS = 72.0  # one pixel of ours is one point of Graphviz


def dot(view: View, *, fixed_sizes: bool = False) -> str:
    """The view as DOT. `fixed_sizes` gives every node the size that the SVG writer will draw, for layout alone."""
    title = quote("" if fixed_sizes else view.title)
    out = [
        "digraph tensorlite {",
        f'  graph [rankdir=TB bgcolor="{LIGHT["background"]}" fontname="Helvetica" fontsize=14 '
        f'fontcolor="{LIGHT["ink"]}" '
        f"nodesep=0.34 ranksep=0.42 pad=0.2 splines=true ordering=out labeljust=l labelloc=t "
        f'label={title} class="graph"]',
        f'  node [shape=box style="rounded,filled" fontname="Helvetica" fontsize=11 fontcolor="{LIGHT["ink"]}" '
        f'margin="0.16,0.06" height=0 width=0]',
        f'  edge [color="{LIGHT["edge"]}" fontname="Helvetica" fontsize=9 fontcolor="{LIGHT["secondary"]}" '
        f"arrowsize=0.55 penwidth=1.1 arrowhead=vee]",
    ]
    below: dict[str | None, list[Group]] = {}
    for group in view.groups:
        below.setdefault(group.parent, []).append(group)
    boxes: dict[str | None, list[Box]] = {}
    for box in view.boxes:
        boxes.setdefault(box.group, []).append(box)
    edges = _by_cluster(view, with_loops=not fixed_sizes)
    out += [f"  {_node(box, fixed_sizes)}" for box in boxes.get(None, ())]
    stack: list[Group | None] = list(reversed(below.get(None, ())))
    while stack:
        current = stack.pop()
        if current is None:
            out.append("  }")
            continue
        out.append(f"  subgraph {quote('cluster_' + current.key)} {{")
        out.append(f"    {_cluster(current, fixed_sizes)}")
        out += [f"    {_node(box, fixed_sizes)}" for box in boxes.get(current.key, ())]
        out += [f"    {_edge(i, view.links[i], view.backward)}" for i in edges.get(current.key, ())]
        stack.append(None)
        stack += reversed(below.get(current.key, ()))
    out += [f"  {_edge(i, view.links[i], view.backward)}" for i in edges.get(None, ())]
    return "\n".join([*out, "}"]) + "\n"


def _by_cluster(view: View, *, with_loops: bool) -> dict[str | None, list[int]]:
    """Numbers of the links to write in each cluster: dot keeps a long arc inside its cluster only if it is written there."""
    parent = {group.key: group.parent for group in view.groups}
    home = {box.key: box.group for box in view.boxes}

    def around(key: str | None) -> list[str | None]:
        chain = [key]
        while chain[-1] is not None:
            chain.append(parent[chain[-1]])
        return chain

    found: dict[str | None, list[int]] = {}
    for i, link in enumerate(view.links):
        if link.kind == "loop" and not with_loops:
            continue  # `loops.with_loops` draws it
        at = None
        if link.kind in {"skip", "loop"}:
            others = around(home[link.dst])
            at = next(key for key in around(home[link.src]) if key in others)
        found.setdefault(at, []).append(i)
    return found


def quote(text: str) -> str:
    """A DOT string that stands for exactly this text: no escapes, no HTML."""
    return '"' + one_line(text).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _attributes(**attributes: str) -> str:
    return "[" + " ".join(f"{name.rstrip('_')}={value}" for name, value in attributes.items() if value) + "]"


def _node(box: Box, fixed: bool) -> str:
    key = quote(box.key)
    if box.kind == "entry":
        return f'{key} [shape=point width=0.07 label="" color="{LIGHT["edge"]}" class=entry]'
    w, h = box_size(box)
    if fixed:
        size = f"fixedsize=true width={w / _POINTS:.4f} height={h / _POINTS:.4f}"
        return f'{key} [label="" {size}]'
    fill, border, style = _paint(box, w)
    lines = shown_lines(box)
    end = "\\l" if box.role else "\\n"
    label = '"' + "".join(quote(line)[1:-1] + end for line in lines).removesuffix("\\n") + '"'
    return (
        key
        + " "
        + _attributes(
            label=label,
            style=f'"{style}"',
            fillcolor=f'"{fill}"',
            color=f'"{border}"',
            penwidth="1.6" if box.kind == "module" else "1",
            gradientangle="0" if box.role else "",
            class_=quote(f"{box.kind} {box.role}".strip()),
            tooltip=quote(box.tip or box.title),
        )
    )


def _paint(box: Box, width: float) -> tuple[str, str, str]:
    if box.role:
        border = LIGHT[box.role] if box.kind == "module" else LIGHT["border"]
        return f"{LIGHT[box.role]};{6 / width:.3f}:{LIGHT['box']}", border, "rounded,filled"
    kind = {"output": "input", "const": "buffer"}.get(box.kind, box.kind)
    dashed = ",dashed" if kind == "buffer" else ""
    return LIGHT[kind], LIGHT[f"{kind}-border"], f"rounded,filled{dashed}"


def _cluster(group: Group, fixed: bool) -> str:
    title = f"{group.title}   {group.subtitle}".rstrip()
    label = '""' if fixed else quote(title)
    if fixed:  # an empty label of the right size keeps the room for the caption
        label = quote("x" * (round(title_width(group) / 5.5) + 2))
    fill = LIGHT["cluster1" if group.depth % 2 else "cluster2"]
    return (
        f'graph [style="rounded,filled" fillcolor="{fill}" color="{LIGHT["cluster-border"]}" penwidth=1 '
        f'margin=12 labelloc=t fontsize=11 fontcolor="{LIGHT["ink"]}" label={label} class="module depth{group.depth}"]'
    )


_EDGE: dict[str, Sequence[str]] = {
    "data": (),
    "skip": (f'color="{LIGHT["skip"]}"', "penwidth=1.4", "weight=0"),
    "loop": (f'color="{LIGHT["loop"]}"', f'fontcolor="{LIGHT["loop"]}"', "style=dashed", "weight=0"),
    "leaf": ("style=dashed",),
}


def _edge(number: int, link: Link, backward: bool) -> str:
    attributes = [f'id="l{number}"', *_EDGE[link.kind]]
    if link.label:
        attributes.append(f"label={quote(link.label)}")
    if backward and link.kind in {"data", "skip"}:
        attributes += ["dir=back", "style=dashed", "arrowtail=vee"]
    src, dst = link.src, link.dst
    if (
        link.kind == "loop"
    ):  # from the first box to the last, as a long edge: against the ranks, dot draws it through clusters
        src, dst = dst, src
        attributes += ["dir=back", "arrowtail=vee"]
    return f"{quote(src)} -> {quote(dst)} [{' '.join(attributes)}]"
