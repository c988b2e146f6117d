"""The comparison as one HTML page without network: both curves, their difference, the table, and both computation graphs."""

from __future__ import annotations

import tempfile
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

import tensorlite as tl
from claimsformer.transformer import Visibility
from tensorlite import viz

from .recipe import Recipe
from .tensorlite_engine import TensorliteEngine

__all__ = ["graph_in_tensorlite", "write_page"]

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>LoRA in torch and in tensorlite</title>
<style>:root{{color-scheme:light dark;background:#FEFEFE;color:#1F2937}}
@media (prefers-color-scheme:dark){{:root{{background:#0F172A;color:#E5E7EB}}}}
body{{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}}
pre{{white-space:pre-wrap;font-size:.8rem}} svg{{max-width:100%;height:auto}}
figure{{overflow-x:auto;margin:1rem 0}} figure svg{{max-width:none}}</style></head><body>
<h1>LoRA in torch and in tensorlite</h1>
<h2>Loss of each update</h2>{curves}
<h2>Difference of the two</h2>{difference}
<h2>In numbers</h2><pre>{table}</pre>
{graph}
</body></html>
"""


def write_page(path: Path, left: dict[str, Any], right: dict[str, Any], table: str, folder: Path | None = None) -> Path:
    """Write the page for two reports; with `folder`, the first block of that model with its adapters is drawn too, from both libraries."""
    names = (left["engine"], right["engine"])
    updates = list(range(1, len(left["losses"]) + 1))
    curves = {"update": updates, names[0]: left["losses"], names[1]: right["losses"]}
    gaps = np.abs(np.subtract(left["losses"], right["losses"])).tolist()
    page = _PAGE.format(
        curves=viz.training_curves(curves, x="update", title="Loss").svg,
        difference=viz.training_curves({"update": updates, "difference": gaps}, x="update", title="Difference").svg,
        table=escape(table),
        graph="" if folder is None else _graphs(folder),
    )
    path.write_text(page, encoding="utf-8")
    return path


def _graphs(folder: Path) -> str:
    from .torch_graph import graph_of_block

    return (
        "<h2>One block with adapters of queries and values</h2>"
        "<figure><figcaption>In tensorlite: every value of the forward pass.</figcaption>"
        f"{_svg(graph_in_tensorlite(folder))}</figure><figure><figcaption>In torch: what its autograd keeps, of which frozen "
        f"weights are no part.</figcaption>{_svg(graph_of_block(folder))}</figure>"
    )


def graph_in_tensorlite(folder: Path, targets: tuple[str, ...] = ("q_proj", "v_proj")) -> viz.Graph:
    """The first block of a causal model with fresh adapters, on four random tokens with a gradient, as every later block has them."""
    engine = TensorliteEngine(folder)
    engine.new_adapters(Recipe(targets=targets, dropout=0.0))
    model = engine.model
    x = np.random.default_rng(0).standard_normal((1, 4, model.config.d_model)).astype(np.float32)
    turn = None if model.rotary is None else model.rotary.tables(np.arange(4), x.dtype)
    block = model.decoder.layers[0]
    return viz.graph(
        block, tl.from_numpy(x).requires_grad_(), Visibility(None, True), turn, record=False, name="tensorlite"
    )


def _svg(picture: viz.Graph) -> str:
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "graph.svg"
        picture.save(file, max_visible=200)
        return file.read_text(encoding="utf-8")
