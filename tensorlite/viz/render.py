"""From a graph to a file: one function a format, all with the same options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict, Unpack

from . import collapse as _collapse
from . import dot as _dot
from . import mermaid as _mermaid
from . import raster
from . import svg as _svg
from . import text as _text
from .engines import place
from .ir import Graph
from .overlay import backward as _backward
from .overlay import colour
from .palette import Theme
from .repeats import with_rounds
from .unfold import unfold as _unfold
from .unfold import with_closed_members
from .view import View


class Options(TypedDict, total=False):
    """What every renderer understands; see `collapse.collapse` and `overlay.colour`."""

    collapse: str | _collapse.Predicate
    depth: int | None
    fold_repeats: bool
    show_params: bool | None
    max_visible: int
    open: Any
    color_by: str | None
    direction: str


class DrawOptions(Options, total=False):
    """`Options`, and what only drawn formats understand."""

    theme: Theme
    engine: str


_VIEWED = tuple(Options.__annotations__)
_DRAWN = tuple(DrawOptions.__annotations__)


def _check(format: str, options: Mapping[str, Any], known: Sequence[str]) -> None:
    unknown = [name for name in options if name not in known]
    if unknown:
        raise TypeError(
            f"{format} takes no option {unknown[0]!r}" + (f"; it takes {', '.join(known)}" if known else "")
        )


def view(graph: Graph, **options: Unpack[Options]) -> View:
    """The boxes and links that the other functions draw.

    `color_by` is "grad_norm", "flops", "bytes", "time", "nan" or "dead"; `direction="backward"` turns the arrows into
    gradients.
    """
    _check("this picture", options, _VIEWED)
    color_by = options.pop("color_by", None)
    direction = options.pop("direction", "forward")
    if direction not in {"forward", "backward"}:
        raise ValueError(f"direction must be 'forward' or 'backward', got {direction!r}")
    result = _collapse.collapse(graph, **options)  # type: ignore[misc]
    if color_by is not None:
        result = colour(graph, result, color_by)
    return _backward(graph, result) if direction == "backward" else result


def whole(graph: Graph, **options: Unpack[Options]) -> View:
    """The same view with every module open; pages close modules themselves."""
    folded, shown = options.get("fold_repeats", True), options.get("show_params")
    graph = with_rounds(graph) if folded else graph
    result = _unfold(graph, fold_repeats=folded, show_params=shown)
    color_by = options.get("color_by")
    return colour(graph, with_closed_members(result), color_by) if color_by is not None else result


def svg(graph: Graph, **options: Unpack[DrawOptions]) -> str:
    """SVG; `theme` is "auto" (follows the reader), "light" or "dark"."""
    _check("an SVG", options, _DRAWN)
    theme, engine = options.pop("theme", "auto"), options.pop("engine", "auto")
    drawn = view(graph, **options)  # type: ignore[misc]
    return _svg.svg(drawn, place(drawn, engine), theme)


def html(graph: Graph, **options: Unpack[DrawOptions]) -> str:
    """A page of its own in which modules open and close; needs no network and no server."""
    from .html import page

    _check("a page", options, _DRAWN)
    theme = options.pop("theme", "auto")
    options.pop("engine", None)  # the page lays itself out, again after every click
    return page(graph, theme, **options)  # type: ignore[misc]


def dot(graph: Graph, **options: Unpack[Options]) -> str:
    """DOT for Graphviz."""
    return _dot.dot(view(graph, **options))


def mermaid(graph: Graph, **options: Unpack[Options]) -> str:
    """A Mermaid flowchart."""
    return _mermaid.mermaid(view(graph, **options))


def text(graph: Graph, **options: Unpack[Options]) -> str:
    """An indented tree for terminals."""
    return _text.text(view(graph, **options))


def png(graph: Graph, *, scale: float = 2.0, **options: Unpack[DrawOptions]) -> bytes:
    """PNG at `scale` device pixels a CSS pixel. Raises `RuntimeError` naming the extra that is missing."""
    options.setdefault("theme", "light")
    return raster.png(svg(graph, **options), scale, lambda: dot(graph, **_undrawn(options)))


def pdf(graph: Graph, **options: Unpack[DrawOptions]) -> bytes:
    """PDF through Graphviz. Raises `RuntimeError` naming what to install when there is none."""
    return raster.pdf(dot(graph, **_undrawn(options)))


def _undrawn(options: DrawOptions) -> Options:
    return {key: value for key, value in options.items() if key not in {"theme", "engine"}}  # type: ignore[return-value]


_TEXTS = {".svg": svg, ".html": html, ".dot": dot, ".gv": dot, ".mmd": mermaid, ".txt": text}


def save(graph: Graph, path: str | Path, **options: Any) -> Path:
    """Write `graph` to `path`; the suffix chooses the format. Raises `ValueError` for an unknown suffix."""
    target = Path(path)
    suffix = target.suffix.lower()
    if suffix in _TEXTS:
        target.write_text(_TEXTS[suffix](graph, **options), encoding="utf-8")
    elif suffix == ".json":
        _check("JSON, the whole graph,", options, ())
        target.write_text(graph.to_json() + "\n", encoding="utf-8")
    elif suffix in {".png", ".pdf"}:
        target.write_bytes(png(graph, **options) if suffix == ".png" else pdf(graph, **options))
    else:
        known = ", ".join([*_TEXTS, ".json", ".png", ".pdf"])
        raise ValueError(f"cannot tell a format from the suffix {suffix!r} of {target.name!r}: expected one of {known}")
    return target


def mimebundle(graph: Graph) -> dict[str, str]:
    """What a notebook shows: SVG, and text where there is no SVG."""
    return {"image/svg+xml": svg(graph), "text/plain": text(graph)}
