"""What all charts share: colours, the SVG document around them, and when a gradient norm calls for attention."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence

from .metrics import one_line
from .palette import DARK, LIGHT, STRIPS, Theme
from .style import FONT
from .svg import text

_DASHES = ("", "6 3", "2 3", "8 3 2 3", "12 4", "1 4", "4 2")
LINES = ("linear", "attention", "activation", "norm", "loss", "shape", "reduce")
VANISHING, EXPLODING = 1e-7, 1e3


def flag(norm: float) -> str:
    """A word for a norm that calls for attention, else nothing."""
    if not math.isfinite(norm):
        return "not finite"
    return "vanishing" if norm < VANISHING else "exploding" if norm > EXPLODING else ""


def chart_style(theme: Theme) -> str:
    """CSS of the charts. Raises `ValueError` for an unknown theme."""
    if theme not in {"auto", "light", "dark"}:
        raise ValueError(f"theme must be 'auto', 'light' or 'dark', got {theme!r}")
    base = _chart_colours(theme, DARK if theme == "dark" else LIGHT)
    return base + f"@media (prefers-color-scheme:dark){{{_chart_colours(theme, DARK)}}}" if theme == "auto" else base


def _chart_colours(theme: Theme, c: Mapping[str, str]) -> str:
    s = f".tlc-{theme}"
    rules = [
        f"{s} .bg{{fill:{c['background']}}}{s} text{{font-family:{FONT};font-size:11px;fill:{c['secondary']}}}",
        f"{s} .head{{font-size:16px;fill:{c['ink']}}}{s} .ink{{fill:{c['ink']}}}",
        f"{s} .grid{{stroke:{c['cluster2']}}}{s} .line{{stroke-width:2;stroke-linejoin:round}}",
        f"{s} .bar{{fill:{c['linear']}}}{s} .bar.alarm{{fill:{c['alarm']}}}{s} .frame{{fill:none;stroke:{c['border']}}}"
        f"{s} .chosen{{fill:none;stroke:{c['skip']};stroke-width:2}}",
        *(
            f"{s} .line.l{i}{{stroke:{c[role]};stroke-dasharray:{_DASHES[i] or 'none'}}}{s} .dot.l{i}{{fill:{c[role]}}}"
            for i, role in enumerate(LINES)
        ),
    ]
    assert set(LINES) == set(STRIPS)
    return "".join(rules)


def document(title: str, words: str, body: Sequence[str], wide: float, high: float, theme: Theme) -> str:
    """An SVG document around `body`, with title and description."""
    flat = text(one_line(title))
    name = f"c{hash_of(title, words):08x}"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="tlc tlc-{theme}" width="{wide:g}" height="{high:g}" '
            f'viewBox="0 0 {wide:g} {high:g}" role="img" aria-labelledby="{name}-t {name}-d">',
            f'<title id="{name}-t">{flat}</title><desc id="{name}-d">{text(words)}</desc>',
            f"<style>{chart_style(theme)}</style>",
            f'<rect class="bg" width="{wide:g}" height="{high:g}" fill="#FEFEFE"/>',
            f'<text class="head" x="14" y="24">{flat}</text>',
            *body,
            "</svg>\n",
        ]
    )


def hash_of(*parts: str) -> int:
    """A number that depends on the text alone, the same in every process."""
    return zlib.crc32("\0".join(parts).encode("utf-8", "backslashreplace"))
