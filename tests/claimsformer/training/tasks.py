"""Sequence tasks that a transformer must be able to learn: copy, reverse, sort.

    python -m tests.claimsformer.training.tasks

trains each at length 20 and prints the seconds and the share of sequences without any mistake.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

import tensorlite as tl
from claimsformer.training import TokenCrossEntropy, Trainer, exact_match
from claimsformer.transformer import Transformer, TransformerConfig

BEGIN = 0  # the token before the first; the others are 1 … symbols
TASKS = {"copy": lambda x: x, "reverse": lambda x: x[:, ::-1], "sort": lambda x: np.sort(x, axis=1)}
STEPS = {"copy": 400, "reverse": 400, "sort": 900}  # updates that suffice at length 20


class Sequences:
    """Random sequences and what the task makes of them, drawn from the index, so that every example is new."""

    def __init__(self, task: str, count: int, length: int, symbols: int = 10, seed: int = 0) -> None:
        self.task, self.count, self.length, self.symbols, self.seed = task, count, length, symbols, seed

    def __len__(self) -> int:
        return self.count

    def __getitems__(self, indices: list[int]) -> Any:
        rng = np.random.default_rng([self.seed, *indices[:1]])
        source = rng.integers(1, self.symbols + 1, (len(indices), self.length))
        answer = np.ascontiguousarray(TASKS[self.task](source))
        begun = np.concatenate([np.full((len(indices), 1), BEGIN), answer[:, :-1]], axis=1)
        return {"ids": tl.from_numpy(source), "target_ids": tl.from_numpy(begun), "labels": tl.from_numpy(answer)}

    def __getitem__(self, index: int) -> Any:
        return self.__getitems__([index])


def learn(
    task: str,
    *,
    length: int,
    steps: int,
    width: int = 64,
    layers: int = 1,
    batch: int = 64,
    lr: float = 3e-3,
    **options: Any,
) -> tuple[Transformer, Trainer, Any]:
    """Train an encoder-decoder on a task; the history's `val_exact` is the share of sequences without any mistake.

    Exact match with the right prefix given is exact match of greedy decoding: if each next token is right after the
    right prefix, greedy decoding stays on it.
    """
    config = TransformerConfig(
        vocab_size=11,
        architecture="encoder-decoder",
        d_model=width,
        n_layers=layers,
        n_heads=4,
        d_ff=2 * width,
        max_length=length,
        initialization="xavier",
        tie_embeddings=True,
    )
    model = Transformer(config, seed=0)
    trainer = Trainer(
        model,
        TokenCrossEntropy(),
        lr=lr,
        schedule="cosine",
        warmup=0.1,
        metrics={"exact": exact_match},
        collate=lambda batch: batch,
        batch_size=batch,
        progress=options.pop("progress", False),
        **options,
    )
    train, val = Sequences(task, steps * batch, length), Sequences(task, 256, length, seed=1)
    return model, trainer, trainer.fit(train, val)


def main() -> None:
    """Train each task at length 20 and print how long it took and how well it was learnt."""
    for task, steps in STEPS.items():
        start = time.perf_counter()
        _, _, history = learn(task, length=20, steps=steps)
        seconds = time.perf_counter() - start
        print(f"{task:>8}  {steps} updates, {seconds:5.1f} s, exact match {history['val_exact'][-1]:.4f}", flush=True)


if __name__ == "__main__":
    main()
