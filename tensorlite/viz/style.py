"""One style sheet for SVG and HTML, made from the palette: light, dark by media query, or one theme pinned."""

from __future__ import annotations

from .palette import DARK, LIGHT, STRIPS, Theme

FONT = 'Helvetica,Arial,"Liberation Sans",sans-serif'


def stylesheet(theme: Theme = "auto") -> str:
    """CSS for everything under class `tlg`. Raises `ValueError` for an unknown theme."""
    if theme not in {"auto", "light", "dark"}:
        raise ValueError(f"theme must be 'auto', 'light' or 'dark', got {theme!r}")
    scope = f".tlg-{theme}"
    base = _shapes(scope) + _colours(scope, DARK if theme == "dark" else LIGHT)
    return base + f"@media (prefers-color-scheme:dark){{{_colours(scope, DARK)}}}" if theme == "auto" else base


def _shapes(s: str) -> str:
    return (
        f"{s} text{{font-family:{FONT};font-size:11px}}"
        f"{s} .t{{font-size:13px}}{s} .module .t,{s} .g{{font-weight:bold}}"
        f"{s} .head{{font-size:16px}}{s} .g{{font-size:12px}}"
        f"{s} .lbl{{font-size:10.5px}}"
        f"{s} .e{{fill:none;stroke-width:1.2}}{s} .skip{{stroke-width:1.6}}"
        f"{s} .loop{{stroke-width:1.4;stroke-dasharray:6 4}}{s} .leaf{{stroke-dasharray:3 3}}"
        f"{s} .back{{stroke-dasharray:5 4}}"
        f"{s} .buffer .f,{s} .const .f{{stroke-dasharray:5 3}}{s} .module .f{{stroke-width:1.8}}"
        f"{s} .halo{{paint-order:stroke;stroke-width:4px;stroke-linejoin:round}}"
    )


def _colours(s: str, c: dict[str, str]) -> str:
    rules = [
        f"{s} .bg{{fill:{c['background']}}}",
        f"{s} text{{fill:{c['secondary']}}}{s} .t,{s} .g,{s} .head,{s} .tri{{fill:{c['ink']}}}",
        f"{s} .b .f{{fill:{c['box']};stroke:{c['border']}}}{s} .entry circle{{fill:{c['edge']}}}",
        *(f"{s} .{kind} .f{{fill:{c[kind]};stroke:{c[kind + '-border']}}}" for kind in ("input", "param", "buffer")),
        f"{s} .const .f{{fill:{c['buffer']};stroke:{c['buffer-border']}}}",
        f"{s} .output .f{{fill:{c['input']};stroke:{c['input-border']}}}",
        f"{s} .d1{{fill:{c['cluster1']};stroke:{c['cluster-border']}}}"
        f"{s} .d2{{fill:{c['cluster2']};stroke:{c['cluster-border']}}}",
        *(f"{s} .{r}>.strip,{s} .{r}.strip{{fill:{c[r]}}}{s} .module.{r} .f{{stroke:{c[r]}}}" for r in STRIPS),
        f"{s} .e{{stroke:{c['edge']}}}{s} .skip{{stroke:{c['skip']}}}{s} .loop{{stroke:{c['loop']}}}",
        f"{s} .a{{fill:{c['edge']}}}{s} .a-skip{{fill:{c['skip']}}}{s} .a-loop{{fill:{c['loop']}}}",
        f"{s} .lbl-loop{{fill:{c['loop']}}}{s} .halo{{stroke:{c['background']}}}"
        f"{s} .h1{{stroke:{c['cluster1']}}}{s} .h2{{stroke:{c['cluster2']}}}",
        f"{s} .b .track{{fill:{c['cluster2']};stroke:none}}{s} .b .meter{{fill:{c['focus']};stroke:none}}",
        f"{s} .b.alarm .f{{fill:{c['alarm-fill']};stroke:{c['alarm']}}}{s} .b.alarm .meter{{fill:{c['alarm']}}}"
        f"{s} .alarm .num{{fill:{c['alarm']}}}",
    ]
    return "".join(rules)
