"""PNG and PDF, through whichever converter is installed."""

from __future__ import annotations

import importlib
import importlib.util
import re
import shutil
import subprocess
from collections.abc import Callable
from typing import Any

_NO_PNG = "PNG needs resvg: pip install claimsformer[viz]"


def png(svg: str, scale: float, dot: Callable[[], str] | None = None) -> bytes:
    """PNG of an SVG by resvg; without resvg, of the DOT by Graphviz if there is one."""
    if importlib.util.find_spec("resvg_py"):
        resvg: Any = importlib.import_module("resvg_py")
        found = re.search(r'<svg[^>]* width="([\d.]+)"', svg)
        wide = round(float(found.group(1)) * scale) if found else None
        return bytes(resvg.svg_to_bytes(svg_string=svg, width=wide))
    if dot is None:
        raise RuntimeError(_NO_PNG)
    return _graphviz(dot(), "png", f"{_NO_PNG}, or install Graphviz", scale)


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
