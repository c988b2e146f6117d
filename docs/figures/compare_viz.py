"""One model drawn by tensorlite.viz, torchviz, torchview and torchvista: seconds, bytes, boxes, and what is in the picture.

    pip install torch torchviz torchview torchvista graphviz
    python docs/figures/compare_viz.py

Prints the table of docs/drawing.md. Nothing is judged by eye: what a picture shows is looked up in the text of the file.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import os
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

BLOCKS, WIDTH, BATCH, RUNS = 6, 16, 4, 5


def model(lib: Any) -> tuple[Any, Any]:
    """A residual network of six equal blocks, in either library, and its input."""
    nn = lib.nn

    class Block(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.LayerNorm(WIDTH)
            self.up = nn.Linear(WIDTH, 4 * WIDTH)
            self.down = nn.Linear(4 * WIDTH, WIDTH)

        def forward(self, x: Any) -> Any:
            return x + self.down(lib.relu(self.up(self.norm(x))))

    return nn.Sequential(*[Block() for _ in range(BLOCKS)], nn.Linear(WIDTH, 3)), lib.randn(BATCH, WIDTH)


def tensorlite_svg(folder: Path, **options: Any) -> Path:
    import tensorlite as lib
    from tensorlite import viz

    net, x = model(lib)
    return Path(viz.graph(net, x).save(folder / f"tensorlite{len(options)}.svg", engine="builtin", **options))


def tensorlite_html(folder: Path) -> Path:
    import tensorlite as lib
    from tensorlite import viz

    net, x = model(lib)
    return Path(viz.graph(net, x).save(folder / "tensorlite.html"))


def torchviz_svg(folder: Path) -> Path:
    import torch
    from torchviz import make_dot

    net, x = model(torch)
    return Path(make_dot(net(x), params=dict(net.named_parameters())).render(folder / "torchviz", format="svg"))


def torchview_svg(folder: Path) -> Path:
    import torch
    from torchview import draw_graph

    net, x = model(torch)
    drawn = draw_graph(net, input_data=x, expand_nested=True, depth=3)
    return Path(drawn.visual_graph.render(folder / "torchview", format="svg"))


def torchvista_html(folder: Path) -> Path:
    import torch
    from torchvista import trace_model

    net, x = model(torch)
    net.eval()  # it warns otherwise; nothing here depends on the mode
    path = folder / "torchvista.html"
    trace_model(net, x, export_path=str(path), collapse_modules_after_depth=3)
    return path


TOOLS: dict[str, Callable[[Path], Path]] = {
    "tensorlite.viz, SVG": tensorlite_svg,
    "tensorlite.viz, SVG, every block": lambda folder: tensorlite_svg(folder, collapse="none", fold_repeats=False),
    "tensorlite.viz, HTML": tensorlite_html,
    "torchviz, SVG": torchviz_svg,
    "torchview, SVG": torchview_svg,
    "torchvista, HTML": torchvista_html,
}


def boxes(path: Path) -> str:
    """How many boxes an SVG draws; the pages draw theirs in the browser."""
    text = path.read_text(encoding="utf-8")
    return str(len(re.findall(r'<g [^>]*class="(?:node|b )', text))) if path.suffix == ".svg" else "in the browser"


def shows(path: Path) -> dict[str, bool]:
    text = path.read_text(encoding="utf-8")
    return {
        "layers by name": bool(re.search(r"LayerNorm(?!Backward)", text)),
        "shapes": any(s in text for s in (f"{BATCH}×{WIDTH}", f"({BATCH}, {WIDTH})", f"[{BATCH}, {WIDTH}]")),
        "parameter counts": bool(re.search(r"\b(1088|1,088|1\.09k)\b", text)),  # of a Linear(16, 64)
        "equal blocks as one": bool(re.search(rf"\b{BLOCKS} ?[×x] ?Block", text)),
        "light and dark": "prefers-color-scheme" in text,
        "loads from the network": bool(re.search(r'<(script|link|img)[^>]*(src|href)="(https?:)?//', text)),
    }


def needs_dot(tool: Callable[[Path], Path], folder: Path) -> bool:
    """Whether the tool fails where no program `dot` is on the path."""
    before = os.environ.get("PATH", "")
    os.environ["PATH"] = ""
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            tool(folder)
    except Exception:
        return True
    finally:
        os.environ["PATH"] = before
    return False


def measure(tool: Callable[[Path], Path]) -> tuple[list[float], Path, bool]:
    folder = Path(tempfile.mkdtemp())
    seconds = []
    with contextlib.redirect_stdout(io.StringIO()):
        tool(folder)  # imports, caches
        for _ in range(RUNS):
            start = time.perf_counter()
            path = tool(folder)
            seconds.append(time.perf_counter() - start)
    return seconds, path, needs_dot(tool, Path(tempfile.mkdtemp()))


def main() -> None:
    for name in ("torch", "torchviz", "torchview", "torchvista"):
        print(f"{name} {importlib.metadata.version(name)}", file=sys.stderr)
    rows = []
    for name, tool in TOOLS.items():
        try:
            seconds, path, dot = measure(tool)
        except ImportError as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
            continue
        shown = shows(path)
        rows.append(
            [
                name,
                f"{1e3 * statistics.median(seconds):.0f} ({1e3 * min(seconds):.0f}-{1e3 * max(seconds):.0f})",
                f"{path.stat().st_size / 1e3:.0f}",
                boxes(path),
                *("yes" if v else "no" for v in shown.values()),
                "yes" if dot else "no",
            ]
        )
    header = ["", "ms, median (range)", "kB", "boxes", *shown, "needs `dot`"]
    print("| what | " + " | ".join(r[0] for r in rows) + " |")
    print("|---" * (len(rows) + 1) + "|")
    for i, title in enumerate(header[1:], 1):
        print(f"| {title} | " + " | ".join(r[i] for r in rows) + " |")


if __name__ == "__main__":
    main()
