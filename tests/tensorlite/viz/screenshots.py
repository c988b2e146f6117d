"""`python -m tests.tensorlite.viz.screenshots FOLDER`: every kind of picture, light and dark, as PNG from a headless Chromium."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tensorlite import viz
from tensorlite.viz import render

from .browser import CHROMIUM, screenshot
from .samples import random_graph, transformer


def pictures() -> Iterator[tuple[str, str, tuple[int, int]]]:
    """(file name, content, window size)."""
    graph = transformer()

    def closed(module: viz.Module) -> bool:
        return module.name in {"MultiHeadAttention", "FeedForward"}

    for engine in viz.available_engines():
        yield f"collapsed-{engine}.svg", render.svg(graph, engine=engine, collapse=closed), (620, 1200)
    yield "auto.svg", render.svg(graph, engine="builtin"), (900, 2300)
    yield "flops.svg", render.svg(graph, engine="builtin", collapse=closed, color_by="flops"), (560, 1400)
    yield "backward.svg", render.svg(graph, engine="builtin", collapse=closed, direction="backward"), (560, 1300)
    yield "random.svg", render.svg(random_graph(3, 60), engine="builtin", collapse="none"), (1600, 1600)
    yield "page.html", render.html(graph, depth=1), (1200, 1300)
    rng = np.random.default_rng(0)
    weights = np.exp(rng.normal(size=(2, 4, 16, 16)) * 2)
    weights /= weights.sum(-1, keepdims=True)
    tokens = [
        "[CLS]",
        "type",
        "2",
        "diabetes",
        "HbA1c",
        "8.1",
        "%",
        "metformin",
        "500",
        "mg",
        "denied",
        ":",
        "not",
        "covered",
        ".",
        "[SEP]",
    ]
    yield "attention.svg", viz.attention(weights, tokens, row=4).svg, (760, 900)
    steps = np.arange(200)
    history = {"step": steps, "train loss": 2 * np.exp(-steps / 40) + 0.1, "accuracy": 1 - np.exp(-steps / 60)}
    yield "curves.svg", viz.training_curves(history).svg, (760, 330)  # type: ignore[arg-type]
    norms = {f"layers.{i}.weight": 10.0 ** (-1.3 * i) for i in range(8)}
    yield "gradient-flow.svg", viz.gradient_flow(norms).svg, (700, 270)
    series = {name: norm * 10 ** rng.normal(size=60) for name, norm in norms.items()}
    yield "gradient-flow-time.svg", viz.gradient_flow(series).svg, (780, 270)


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content, size in pictures():
        page = folder / name
        page.write_text(content, encoding="utf-8")
        for dark in (False, True):
            out = folder / f"{page.stem}{'-dark' if dark else ''}.png"
            screenshot(page, out, size, dark=dark)
            print(out)


if __name__ == "__main__":
    if CHROMIUM is None:
        sys.exit("no Chromium on PATH")
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "screenshots"))
