"""`python -m tests.tensorlite.viz.screenshots FOLDER [WORD]`: every kind of picture (with WORD in its name), light and dark, as PNG from
a headless Chromium."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import claimsformer.assessment
import tensorlite as tl
from claimsformer.assessment.bundle import load_demo_claims
from claimsformer.assessment.processor import ClaimsProcessor
from tensorlite import viz
from tensorlite.viz import render

from .browser import CHROMIUM, screenshot
from .samples import random_graph, transformer
from .test_networks import NETWORKS

_CLICKS = """
for (let i = 0; i < 3; i++) document.querySelector("#stage [aria-expanded=false]").dispatchEvent(new MouseEvent("click", {bubbles: true}));
const find = document.getElementById("search");
find.value = "softmax";
find.dispatchEvent(new Event("input"));
find.dispatchEvent(new KeyboardEvent("keydown", {key: "Enter", bubbles: true}));
window.scrollTo(0, 0);
document.getElementById("stage").scrollTo(0, 0);
"""


def clicked(page: str) -> str:
    """The page as it is after three modules were opened by a click and an op was searched for."""
    return page.replace("</body>", f"<script>{_CLICKS}</script></body>")


def claims_transformer() -> viz.Graph:
    """The packaged model on a few demonstration claims."""
    folder = Path(claimsformer.assessment.__file__).parent / "pretrained"
    processor = ClaimsProcessor.load(folder)
    return viz.graph(processor.model, processor.encode(load_demo_claims(folder)[0].head(4)))


def micrograd() -> viz.Graph:
    """A neuron of scalars, with data and gradient on every node."""
    values = {"w1": -3.0, "x1": 2.0, "w2": 1.0, "x2": 0.5, "b": 6.88}
    leaves = [tl.tensor(value, requires_grad=True) for value in values.values()]

    def neuron(w1: Any, x1: Any, w2: Any, x2: Any, b: Any) -> Any:
        return tl.tanh(w1 * x1 + w2 * x2 + b)

    return viz.graph(neuron, *leaves, backward=True)


def pictures() -> Iterator[tuple[str, str, tuple[int, int]]]:
    """(file name, content, window size)."""
    graph = transformer()

    def closed(module: viz.Module) -> bool:
        return module.name in {"MultiHeadAttention", "FeedForward"}

    for engine in viz.available_engines():
        yield f"collapsed-{engine}.svg", render.svg(graph, engine=engine, collapse=closed), (620, 1200)
    for network in NETWORKS:
        drawn = viz.graph(*network())
        for engine in ("builtin", "dot", "wasi"):
            if engine in viz.available_engines():
                yield f"{network.__name__}-{engine}.svg", render.svg(drawn, engine=engine), (1000, 1700)
    claims = claims_transformer()
    yield "claims.svg", render.svg(claims, engine="builtin"), (1100, 2400)
    yield (
        "claims-dot.svg",
        render.svg(claims, engine="dot" if "dot" in viz.available_engines() else "auto"),
        (1100, 2400),
    )
    yield "claims-page.html", render.html(claims), (1200, 2400)
    yield "scalar.svg", render.svg(micrograd(), engine="builtin"), (760, 700)
    yield "auto.svg", render.svg(graph, engine="builtin"), (900, 2300)
    yield "flops.svg", render.svg(graph, engine="builtin", collapse=closed, color_by="flops"), (560, 1400)
    yield "backward.svg", render.svg(graph, engine="builtin", collapse=closed, direction="backward"), (560, 1300)
    yield "random.svg", render.svg(random_graph(3, 60), engine="builtin", collapse="none"), (1600, 1600)
    yield "page.html", render.html(graph, depth=1), (1200, 1300)
    yield "page-clicked.html", clicked(render.html(graph, depth=0)), (1200, 1900)
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
    drawn = viz.attention(weights, tokens, row=4)
    yield "attention.svg", drawn.svg, (760, 900)
    pressed = 'document.querySelectorAll("#heads button")[6].click();document.getElementById("map").click()'
    masked = viz.attention(weights, tokens, row=4, mask=np.triu(np.ones((16, 16)), 1) > 0).html
    yield "attention-page.html", masked.replace("</body>", f"<script>{pressed}</script></body>"), (900, 980)
    steps = np.arange(200)
    history = {"step": steps, "train loss": 2 * np.exp(-steps / 40) + 0.1, "accuracy": 1 - np.exp(-steps / 60)}
    yield "curves.svg", viz.training_curves(history).svg, (760, 330)  # type: ignore[arg-type]
    norms = {f"layers.{i}.weight": 10.0 ** (-1.3 * i) for i in range(8)}
    yield "gradient-flow.svg", viz.gradient_flow(norms).svg, (700, 270)
    series = {name: norm * 10 ** rng.normal(size=60) for name, norm in norms.items()}
    yield "gradient-flow-time.svg", viz.gradient_flow(series).svg, (780, 270)


def drawn_size(content: str) -> tuple[int, int] | None:
    """The size of an SVG, so that the screenshot has no empty margin."""
    found = re.match(r'<svg[^>]* width="([\d.]+)" height="([\d.]+)"', content)
    return None if found is None else (max(500, round(float(found.group(1)))), round(float(found.group(2))))


def main(folder: Path, only: str = "") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content, size in pictures():
        if only not in name:
            continue
        page = folder / name
        page.write_text(content, encoding="utf-8")
        for dark in (False, True):
            out = folder / f"{page.stem}{'-dark' if dark else ''}.png"
            screenshot(page, out, drawn_size(content) or size, dark=dark)
            print(out)


if __name__ == "__main__":
    if CHROMIUM is None:
        sys.exit("no Chromium on PATH")
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "screenshots"), *sys.argv[2:3])
