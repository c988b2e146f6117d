"""A finished picture: SVG, its words, and how to show and save it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from . import raster
from .metrics import one_line
from .palette import Theme


@dataclass(frozen=True, slots=True)
class Picture:
    """What the chart functions return. `str(picture)` is its text; notebooks show its SVG."""

    title: str
    svg: str
    text: str
    page: str = ""
    theme: Theme = "auto"

    @property
    def html(self) -> str:
        """A page of its own, without network."""
        return self.page or _PAGE.format(
            title=escape(one_line(self.title)), svg=self.svg, text=escape(self.text), **page_colours(self.theme)
        )

    def save(self, path: str | Path) -> Path:
        """Write .svg, .html, .png or .txt. Raises `ValueError` for another suffix."""
        target = Path(path)
        match target.suffix.lower():
            case ".svg":
                target.write_text(self.svg, encoding="utf-8")
            case ".html":
                target.write_text(self.html, encoding="utf-8")
            case ".txt":
                target.write_text(self.text, encoding="utf-8")
            case ".png":
                target.write_bytes(raster.png(self.svg, 2.0))
            case other:
                raise ValueError(f"cannot tell a format from the suffix {other!r}: expected .svg, .html, .png or .txt")
        return target

    def __str__(self) -> str:
        return self.text

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"image/svg+xml": self.svg, "text/plain": self.text}


_LIGHT, _DARK = "background:#FEFEFE;color:#1F2937", "background:#0F172A;color:#E5E7EB"


def page_colours(theme: Theme) -> dict[str, str]:
    """What a page's `color-scheme` and `body` say, so that it is as light or dark as the picture in it."""
    return {
        "scheme": "light dark" if theme == "auto" else theme,
        "colours": _DARK if theme == "dark" else _LIGHT,
        "dark": f"@media (prefers-color-scheme:dark){{body{{{_DARK}}}}}" if theme == "auto" else "",
    }


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns in plain text: the first to the left, numbers to the right."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    return "\n".join(
        "  ".join(
            cell.rjust(w) if i else cell.ljust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in [header, *rows]
    )


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="color-scheme" content="{scheme}">
<title>{title}</title>
<style>body{{margin:0;padding:12px;font:14px/1.45 Helvetica,Arial,sans-serif;{colours}}}
svg{{max-width:100%;height:auto}}pre{{overflow:auto}}
{dark}</style>
</head>
<body>
<main>
<h1 style="position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)">{title}</h1>
{svg}
<details><summary>The numbers</summary><pre tabindex="0">{text}</pre></details>
</main>
</body>
</html>
"""
