"""PNG and PDF, through whichever converter is installed."""

from __future__ import annotations

import importlib
import importlib.util
import shutil
import subprocess
from collections.abc import Callable
from typing import Any


def png(svg: str, scale: float, dot: Callable[[], str]) -> bytes:
    """PNG of an SVG by resvg; without resvg, of the DOT by Graphviz."""
    if importlib.util.find_spec("resvg_py"):
        resvg: Any = importlib.import_module("resvg_py")
        return bytes(resvg.svg_to_bytes(svg_string=svg, zoom=scale))
    return _graphviz(dot(), "png", "PNG needs resvg: pip install claimsformer[viz] (or install Graphviz)", scale)


def pdf(dot: str) -> bytes:
    return _graphviz(
        dot, "pdf", "PDF needs Graphviz: pip install pygraphviz, or install Graphviz with your package manager"
    )


def _graphviz(source: str, format: str, missing: str, scale: float = 1.0) -> bytes:
    dpi = f"-Gdpi={96 * scale:g}"
    if shutil.which("dot"):
        command = ["dot", f"-T{format}", dpi]
        return subprocess.run(command, input=source.encode(), capture_output=True, check=True, timeout=120).stdout
    if importlib.util.find_spec("pygraphviz"):
        module: Any = importlib.import_module("pygraphviz")
        return bytes(module.AGraph(string=source).draw(format=format, prog="dot", args=dpi))
    raise RuntimeError(missing)
