"""Warmup on and off: the same transformer, seed and data, with the learning rate at its height at once, or after 50 updates.

Run: python examples/warmup.py [FOLDER]

The model reverses six symbols. With the norm after each residual sum ("post", as in 2017) and a high learning rate it never
leaves chance unless the rate is warmed up; with the norm before each sub-layer ("pre") it does not need the warmup
(Xiong et al. 2020). With a folder, the curves are written there as SVG.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any, Literal

import numpy as np

from claimsformer.training import History, TokenCrossEntropy, Trainer, exact_match
from claimsformer.transformer import Transformer, TransformerConfig
from tensorlite.viz import training_curves

SYMBOLS, LENGTH, UPDATES, BATCH, LR = 10, 6, 220, 32, 1e-2


def sequences(n: int, seed: int) -> tuple[Any, Any]:
    """Random symbols and the same in reverse."""
    x = np.random.default_rng(seed).integers(0, SYMBOLS, (n, LENGTH))
    return x, np.ascontiguousarray(x[:, ::-1])


def train(norm_position: Literal["pre", "post"], warmup: int) -> History:
    config = TransformerConfig(
        vocab_size=SYMBOLS,
        architecture="encoder",
        d_model=32,
        n_layers=6,
        d_ff=64,
        max_length=LENGTH,
        norm_position=norm_position,
        initialization="xavier",
    )
    trainer = Trainer(
        Transformer(config, seed=1),
        TokenCrossEntropy(),
        lr=LR,
        warmup=warmup,
        batch_size=BATCH,
        metrics={"exact": exact_match},
        seed=1,
        progress=False,
    )
    return trainer.fit(sequences(UPDATES * BATCH, 0), sequences(256, 1))


def main(folder: str | Path | None = None) -> dict[str, History]:
    print(f"chance: a loss of ln {SYMBOLS} = {math.log(SYMBOLS):.3f}\n")
    found = {}
    runs: list[tuple[Literal["pre", "post"], int]] = [("post", 0), ("post", 50), ("pre", 0)]
    for norm_position, warmup in runs:
        title = f"{norm_position}-norm, {f'warmup {warmup}' if warmup else 'no warmup'}"
        history = found[title] = train(norm_position, warmup)
        last, exact = history.steps["loss"][-10:].mean(), history["val_exact"][-1]
        print(f"{title:<22} loss of the last 10 updates {last:.3f}   reversed without mistake {exact:.0%}")
    if folder is not None:
        curves = {title: history.steps["loss"].tolist() for title, history in found.items()}
        print(f"curves: {training_curves(curves, title='Warmup').save(Path(folder) / 'warmup.svg')}")
    return found


if __name__ == "__main__":
    main(*sys.argv[1:2])
