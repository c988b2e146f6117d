"""SVG: one file for light and dark, readable by screen readers, the same bytes for the same view."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

from .geometry import FACT_SIZE, GROUP_SIZE, PAD, STRIP, Layout, Point, Rect, Route, shown_lines
from .metrics import one_line, width
from .palette import STRIPS, Theme
from .style import stylesheet
from .view import Box, Group, Link, View

_HEAD, _LEGEND, _RADIUS = 34.0, 18.0, 8.0


def svg(view: View, layout: Layout, theme: Theme = "auto") -> str:
    """The picture as one SVG document."""
    title = one_line(view.title)
    swatches = legend(view)
    wide = max(layout.width, width(title, 16) + 28.0, 120.0)
    rows = _wrap(swatches, wide - 28.0)
    left = round((wide - layout.width) / 2, 2)
    notes = [view.legend] if view.legend else []
    wide = max(wide, *(width(note, FACT_SIZE) + 28.0 for note in notes)) if notes else wide
    high = _HEAD + layout.height + _LEGEND * (len(rows) + len(notes)) + (10.0 if rows or notes else 0.0)
    content = repr((view, layout.width, layout.height)).encode("utf-8", "backslashreplace")
    name = f"g{hashlib.sha256(content).hexdigest()[:8]}"
    body = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="tlg tlg-{theme}" width="{_n(wide)}" height="{_n(high)}" '
        f'viewBox="0 0 {_n(wide)} {_n(high)}" role="img" aria-labelledby="{name}-t {name}-d">',
        f'<title id="{name}-t">{text(title)}</title>',
        f'<desc id="{name}-d">{text(view.description)}</desc>',
        f"<style>{stylesheet(theme)}</style>",
        _markers(name),
        f'<rect class="bg" width="{_n(wide)}" height="{_n(high)}" fill="#FEFEFE"/>',
        f'<text class="head" x="14" y="23">{text(title)}</text>',
        f'<g transform="translate({_n(left)} {_n(_HEAD)})">',
    ]
    body += [_frame(group, layout.groups[group.key]) for group in view.groups if group.key in layout.groups]
    body += [_edge(link, route, name, view.backward) for link, route in zip(view.links, layout.routes, strict=True)]
    body += [_box(box, layout.boxes[box.key]) for box in view.boxes]
    body += [_caption(group, layout.groups[group.key]) for group in view.groups if group.key in layout.groups]
    depth = {group.key: group.depth for group in view.groups}
    home = {box.key: depth.get(box.group or "", 0) for box in view.boxes}
    body += [
        _label(link, route, min(home[link.src], home[link.dst]))
        for link, route in zip(view.links, layout.routes, strict=True)
        if link.label and route.label
    ]
    body.append("</g>")
    y = _HEAD + layout.height + 16.0
    for row in rows:
        body.append(_swatches(row, y))
        y += _LEGEND
    for note in notes:
        body.append(f'<text x="14" y="{_n(y)}">{text(note)}</text>')
        y += _LEGEND
    return "\n".join(body) + "\n</svg>\n"


def text(value: str) -> str:
    """Escaped for XML text, without characters that XML forbids (line breaks stay)."""
    return escape("\n".join(one_line(line) for line in value.split("\n")))


def _n(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if value else "0"


def _markers(name: str) -> str:
    arrow = '<path d="M0 0 L8 3.5 L0 7 L2.2 3.5 Z" class="{}"/>'
    return (
        "<defs>"
        + "".join(
            f'<marker id="{name}-{kind}" viewBox="0 0 8 7" refX="{ref}" refY="3.5" markerWidth="8" markerHeight="7" '
            f'markerUnits="userSpaceOnUse" orient="{orient}">{arrow.format(css)}</marker>'
            for kind, css, orient, ref in (
                ("data", "a", "auto", 7.4),
                ("skip", "a-skip", "auto", 7.4),
                ("loop", "a-loop", "auto", 7.4),
                ("leaf", "a", "auto", 7.4),
                ("back", "a", "auto-start-reverse", 7.4),
            )
        )
        + "</defs>"
    )


def _frame(group: Group, rect: Rect) -> str:
    return (
        f'<rect class="d{_tone(group.depth)}" data-group={quoteattr(group.key)} x="{_n(rect.x)}" y="{_n(rect.y)}" '
        f'width="{_n(rect.width)}" height="{_n(rect.height)}" rx="10"/>'
    )


def _tone(depth: int) -> int:
    return 1 if depth % 2 else 2


def _caption(group: Group, rect: Rect) -> str:
    x, y = rect.x + 12.0, rect.y + 17.0
    halo = f"halo h{_tone(group.depth)}"
    words = f'<text class="g {halo}" x="{_n(x)}" y="{_n(y)}">{text(group.title)}</text>'
    if group.subtitle:
        x += width(group.title, GROUP_SIZE, bold=True) + 8
        words += f'<text class="{halo}" x="{_n(x)}" y="{_n(y)}">{text(group.subtitle)}</text>'
    return words


def _edge(link: Link, route: Route, name: str, backward: bool) -> str:
    kind = link.kind
    css = f"e {kind}" if kind != "data" else "e"
    ends = f'marker-end="url(#{name}-{kind})"'
    if backward and kind in {"data", "skip"}:
        css, ends = "e back", f'marker-start="url(#{name}-back)"'
    stroke = f' style="stroke-width:{_n(link_width(link.weight))}"' if backward and link.weight is not None else ""
    return (
        f'<path class="{css}" data-src={quoteattr(link.src)} data-dst={quoteattr(link.dst)} d="{curve(route.points)}" '
        f'fill="none" {ends}{stroke}/>'
    )


def link_width(weight: float) -> float:
    """Pen width from a gradient norm: one pixel at 1e-4, four at 1e2, on a logarithmic scale."""
    if not math.isfinite(weight) or weight <= 0:
        return 1.0
    return max(1.0, min(4.0, 3.0 + math.log10(weight) / 2))


def curve(points: Sequence[Point]) -> str:
    """SVG path data; straight pieces are written as lines."""
    x, y = points[0]
    out = [f"M{_n(x)} {_n(y)}"]
    for i in range(1, len(points) - 2, 3):
        (x1, y1), (x2, y2), (x3, y3) = points[i : i + 3]
        if abs(x1 - x) < 0.05 and abs(x2 - x) < 0.05 and abs(x3 - x) < 0.05:
            out.append(f"V{_n(y3)}")
        else:
            out.append(f"C{_n(x1)} {_n(y1)} {_n(x2)} {_n(y2)} {_n(x3)} {_n(y3)}")
        x, y = x3, y3
    return "".join(out)


def _box(box: Box, rect: Rect) -> str:
    key = quoteattr(box.key)
    if box.kind == "entry":
        x, y = rect.x + rect.width / 2, rect.y + rect.height / 2
        return f'<g class="entry" data-key={key}><circle cx="{_n(x)}" cy="{_n(y)}" r="3"/></g>'
    alarm = " alarm" if box.overlay is not None and box.overlay.alarm else ""
    pill = rect.height / 2 if box.kind in {"input", "output"} else _RADIUS
    parts = [
        f'<g class="b {box.kind} {box.role}{alarm}" data-key={key}>',
        f"<title>{text(box.tip or box.title)}</title>",
        f'<rect class="f" x="{_n(rect.x)}" y="{_n(rect.y)}" width="{_n(rect.width)}" height="{_n(rect.height)}" '
        f'rx="{_n(pill)}"/>',
    ]
    if box.role:
        parts.append(f'<path class="strip" d="{_strip(rect)}"/>')
    parts += _lines(box, rect)
    if box.overlay is not None:
        parts.append(_meter(box.overlay.level, rect))
    return "".join(parts) + "</g>"


def _lines(box: Box, rect: Rect) -> list[str]:
    lines = shown_lines(box)
    centred = not box.role
    x = rect.x + rect.width / 2 if centred else rect.x + STRIP + PAD - 1
    y = rect.y + (rect.height - 15.0 * len(lines)) / 2 + 11.5
    anchor = ' text-anchor="middle"' if centred else ""
    out = []
    for i, line in enumerate(lines):
        number = box.overlay is not None and i == len(lines) - 1
        css = ' class="t"' if i == 0 else ' class="num"' if number else ""
        at = x
        if line.startswith("▸ "):  # drawn, because many fonts lack the glyph and would change the whole line
            out.append(f'<path class="tri" d="M{_n(x)} {_n(y - 9.0)}l7 4.5l-7 4.5z"/>')
            at, line = x + 13.0, line[2:]
        out.append(f'<text{css} x="{_n(at)}" y="{_n(y + 15.0 * i)}"{anchor}>{text(line)}</text>')
    return out


def _strip(rect: Rect) -> str:
    x, y, r = rect.x, rect.y, _RADIUS
    inset = r - (r * r - (r - STRIP) ** 2) ** 0.5
    return (
        f"M{_n(x + STRIP)} {_n(y + inset)}A{_n(r)} {_n(r)} 0 0 0 {_n(x)} {_n(y + r)}V{_n(rect.bottom - r)}"
        f"A{_n(r)} {_n(r)} 0 0 0 {_n(x + STRIP)} {_n(rect.bottom - inset)}Z"
    )


def _meter(level: float, rect: Rect) -> str:
    x, room, y = rect.x + STRIP + PAD - 1, rect.width - 2 * PAD - STRIP + 2, rect.bottom - 4.5
    filled = room * min(max(level, 0.0), 1.0)
    return (
        f'<rect class="track" x="{_n(x)}" y="{_n(y)}" width="{_n(room)}" height="2.5"/>'
        f'<rect class="meter" x="{_n(x)}" y="{_n(y)}" width="{_n(filled)}" height="2.5"/>'
    )


def _label(link: Link, route: Route, depth: int) -> str:
    assert route.label is not None
    x, y = route.label
    kind = " lbl-loop" if link.kind == "loop" else ""
    halo = f"halo h{_tone(depth)}" if depth else "halo"
    return f'<text class="lbl{kind} {halo}" x="{_n(x)}" y="{_n(y)}">{text(link.label)}</text>'


_NAMES = {
    "linear": "weights and products",
    "activation": "activation",
    "norm": "normalisation",
    "attention": "attention",
    "loss": "loss",
    "reduce": "elementwise, reductions",
    "shape": "shape and indexing",
}


def legend(view: View) -> list[tuple[str, str]]:
    """(role, words) of the colours that the view uses."""
    used = {box.role for box in view.boxes}
    rows = [(role, _NAMES[role]) for role in STRIPS if role in used]
    if any(link.kind == "skip" for link in view.links):
        rows.append(("skip", "residual"))
    return rows if len(rows) > 1 else []


def _wrap(entries: Sequence[tuple[str, str]], limit: float) -> list[list[tuple[str, str]]]:
    rows: list[list[tuple[str, str]]] = []
    room = 0.0
    for role, name in entries:
        need = width(name, FACT_SIZE) + 32.0
        if not rows or need > room:
            rows.append([])
            room = limit
        rows[-1].append((role, name))
        room -= need
    return rows


def _swatches(row: Sequence[tuple[str, str]], y: float) -> str:
    out, x = [], 14.0
    for role, name in row:
        if role == "skip":
            out.append(f'<path class="e skip" d="M{_n(x)} {_n(y - 4)}h11" fill="none"/>')
        else:
            out.append(f'<rect class="{role} strip" x="{_n(x)}" y="{_n(y - 9)}" width="10" height="10" rx="2"/>')
        out.append(f'<text x="{_n(x + 15)}" y="{_n(y)}">{text(name)}</text>')
        x += width(name, FACT_SIZE) + 32.0
    return "".join(out)
