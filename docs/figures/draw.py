"""Draws the figures of the README and the docs: `python docs/figures/draw.py` writes them beside this file, the same bytes every time."""

from __future__ import annotations

from pathlib import Path

import tensorlite as tl
from claimsformer.transformer import Transformer, TransformerConfig

HERE = Path(__file__).parent


def transformer() -> str:
    """A four-layer encoder with its repeated block drawn once."""
    model = Transformer(
        TransformerConfig(architecture="encoder", vocab_size=8192, d_model=64, n_layers=4, n_heads=4, head=False),
        seed=0,
    )
    ids = tl.arange(32).reshape(2, 16)
    graph = tl.viz.graph(model, ids, names={"token ids": ids})
    svg: str = graph.svg(
        engine="builtin", collapse=lambda module: module.name in ("MultiHeadAttention", "FeedForward", "InputEmbedding")
    )
    return svg


FIGURES = {"transformer.svg": transformer}


def main() -> None:
    for name, draw in FIGURES.items():
        (HERE / name).write_text(draw(), encoding="utf-8")


if __name__ == "__main__":
    main()
