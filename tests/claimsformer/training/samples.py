"""Small models and data that the tests of training share."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np

import tensorlite as tl
from claimsformer.training import Callback, CrossEntropy, History, Trainer, accuracy
from tensorlite import nn


def classes(n: int = 30, seed: int = 0) -> tuple[Any, Any]:
    """Points in 4 dims and which of 3 linear scores is largest."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 4)).astype(np.float32)
    return x, (x @ np.random.default_rng(9).normal(size=(4, 3))).argmax(1)


def network(width: int = 8, dropout: float = 0.1, seed: int = 1) -> nn.Module:
    with tl.random.fork_rng():
        tl.manual_seed(seed)
        return nn.Sequential(
            nn.Linear(4, width), nn.LayerNorm(width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(width, 3)
        )


class InterruptAt(Callback):
    """Presses Ctrl-C during update k."""

    def __init__(self, k: int | None) -> None:
        self.k = k

    def on_step_end(self, trainer: Trainer, numbers: Any) -> None:
        if trainer.step == self.k:
            os.kill(os.getpid(), signal.SIGINT)


def trainer(root: Path | str, name: str | None = "run", k: int | None = None, **options: Any) -> Trainer:
    options = {"lr": 1e-2, "batch_size": 8, "metrics": {"accuracy": accuracy}, "progress": False, **options}
    model = options.pop("model", None) or network()
    return Trainer(model, CrossEntropy(), name=name, root=root, callbacks=[InterruptAt(k)], **options)


def weights(model: nn.Module) -> list[bytes]:
    return [p.detach().numpy().tobytes() for p in model.parameters()]


def same_history(a: History, b: History) -> bool:
    updates = all(np.array_equal(a.steps[k], b.steps[k]) for k in a.steps)
    return updates and list(a) == list(b) and all(np.array_equal(a[k], b[k], equal_nan=True) for k in a)
