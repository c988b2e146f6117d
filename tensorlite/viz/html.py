"""A page of its own: modules open and close by click or keyboard, search, deep links, dark mode; no network, no
library.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any, Unpack
from xml.sax.saxutils import escape

from .bundle import bundle
from .collapse import MAX_VISIBLE
from .geometry import GROUP_SIZE, LABEL_SIZE, box_size, shown_lines, title_width
from .ir import Graph
from .metrics import one_line, width
from .palette import DARK, LIGHT, Theme
from .render import Options, view, whole
from .style import stylesheet
from .svg import legend
from .text import text
from .view import Box, Group, Link, View


def page(graph: Graph, theme: Theme = "auto", **options: Unpack[Options]) -> str:
    """The graph as a self-contained HTML document; `options` choose what is open at first, and the overlay."""
    start = view(graph, **options)
    everything = whole(graph, **options)
    everything = bundle(everything, options.get("max_visible", MAX_VISIBLE))
    title = one_line(graph.name)
    assets = files(__package__) / "assets"
    scripts = "\n".join((assets / name).read_text(encoding="utf-8") for name in ("layout.js", "page.js"))
    return _PAGE.format(
        title=escape(title),
        style=_variables(theme) + stylesheet(theme) + (assets / "page.css").read_text(encoding="utf-8"),
        scheme="light dark" if theme == "auto" else theme,
        legend="".join(f'<li><i class="{role}"></i>{escape(name)}</li>' for role, name in legend(everything)),
        note=escape(everything.legend),
        description=escape(everything.description),
        text=escape(text(start)),
        data=_json(_data(everything, {group.key for group in start.groups}, theme)),
        script=scripts,
    )


def _data(view: View, opened: set[str], theme: Theme) -> dict[str, Any]:
    return {
        "title": one_line(view.title),
        "theme": theme,
        "open": sorted(opened),
        "groups": [_group(group) for group in view.groups],
        "boxes": [_box(box) for box in view.boxes],
        "links": [_link(link) for link in view.links],
    }


def _group(group: Group) -> dict[str, Any]:
    return {
        "key": group.key,
        "parent": group.parent or "",
        "depth": group.depth,
        "path": group.path,
        "title": one_line(group.title),
        "subtitle": one_line(group.subtitle),
        "tw": round(title_width(group) + 18, 1),
        "bw": round(width(group.title, GROUP_SIZE, bold=True), 1),
        "closed": _box(group.closed),
    }


def _box(box: Box) -> dict[str, Any]:
    w, h = box_size(box)
    entry = {
        "key": box.key,
        "kind": box.kind,
        "role": box.role,
        "lines": [one_line(line) for line in shown_lines(box)],
        "group": box.group or "",
        "w": w,
        "h": h,
        "tip": box.tip,
    }
    if box.overlay is not None:
        entry |= {"level": round(box.overlay.level, 3), "alarm": box.overlay.alarm}
    return entry


def _link(link: Link) -> dict[str, Any]:
    entry: dict[str, Any] = {"src": link.src, "dst": link.dst, "kind": link.kind}
    if link.label:
        entry |= {"label": link.label, "lw": round(width(link.label, LABEL_SIZE), 1)}
    return entry


def _json(data: dict[str, Any]) -> str:
    """JSON that cannot end the script element it stands in."""
    packed = json.dumps(data, ensure_ascii=True, separators=(",", ":"))
    return packed.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _variables(theme: Theme) -> str:
    def block(colours: dict[str, str]) -> str:
        return (
            ":root{"
            + ";".join(f"--{name}:{value}" for name, value in colours.items())
            + "}"
            + "".join(f"footer .{name}{{background:{value}}}" for name, value in colours.items())
        )

    if theme == "auto":
        return block(LIGHT) + "@media (prefers-color-scheme:dark){" + block(DARK) + "}"
    return block(DARK if theme == "dark" else LIGHT)


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="color-scheme" content="{scheme}">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<header>
<h1>{title}</h1>
<div class="find"><label for="search">Find</label>
<input id="search" type="search" autocomplete="off"><ul id="found"></ul></div>
<button id="all" type="button">Open all</button>
<button id="none" type="button">Close all</button>
<button id="out" type="button" aria-label="Zoom out">−</button>
<button id="in" type="button" aria-label="Zoom in">+</button>
</header>
<main>
<div id="stage" tabindex="0" role="region" aria-label="Graph"></div>
<aside id="facts" aria-label="Details" hidden></aside>
</main>
<footer>
<ul>{legend}</ul>
<p>{note}</p>
<p>{description}</p>
<details><summary>As text</summary><pre tabindex="0">{text}</pre></details>
<div id="live" role="status"></div>
</footer>
<script id="graph-data" type="application/json">{data}</script>
<script>{script}</script>
</body>
</html>
"""
