"""How to fine-tune: one set of numbers for both engines, and what an engine must be able to do."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from claimsformer.errors import ConfigError

from .formatting import Example

__all__ = ["SAVE_EVERY", "Counts", "Curve", "Engine", "Recipe", "Stopwatch", "batches", "show", "steps"]

#: Updates from one checkpoint to the next.
SAVE_EVERY = 50


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """LoRA and training settings; the defaults are those of the example on Phi-2.

    targets are today's names in transformers. `max_steps` ends the run early; `seed` is that of the order of examples and of
    the adapters' first values. dropout is that of the adapters; the two engines draw different masks, so comparisons use 0.
    Raises ConfigError for a number that no run can have.
    """

    targets: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "dense", "fc1", "fc2")
    r: int = 8
    alpha: float = 16.0
    dropout: float = 0.05
    lr: float = 2e-4
    epochs: int = 3
    batch_size: int = 1
    accumulate: int = 8
    weight_decay: float = 0.0
    clip: float = 1.0
    max_steps: int | None = None
    max_length: int = 512
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("r", "epochs", "batch_size", "accumulate", "max_steps", "max_length", "seed"):
            value, least = getattr(self, name), 0 if name == "seed" else 1
            if not (isinstance(value, int) and value >= least) and not (name == "max_steps" and value is None):
                raise ConfigError(f"{name} must be a whole number, at least {least}, got {value!r}")
        for name in ("alpha", "lr", "clip", "weight_decay", "dropout"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not 0 <= value < math.inf:
                raise ConfigError(f"{name} must be a finite number, at least 0, got {value!r}")
        if isinstance(self.targets, str) or not all(isinstance(target, str) for target in self.targets):
            raise ConfigError(f"targets must be a list of names of layers, got {self.targets!r}")
        object.__setattr__(self, "targets", tuple(self.targets))


class Curve(NamedTuple):
    """What a training run left behind: loss and norm of the gradient before clipping at each update, the time by the clock and
    on the processor in seconds, and the tokens seen."""

    losses: list[float]
    grad_norms: list[float]
    seconds: float
    processor_seconds: float
    tokens: int


class Stopwatch:
    """Time by the clock and on the processor in seconds, from `(seconds, processor_seconds)` on: those before an interruption."""

    def __init__(self, seconds: float = 0.0, processor_seconds: float = 0.0) -> None:
        self.start = time.perf_counter() - seconds
        self.processor_start = time.process_time() - processor_seconds

    def read(self) -> tuple[float, float]:
        return time.perf_counter() - self.start, time.process_time() - self.processor_start


class Counts(NamedTuple):
    """Parameters of the model without adapters, and those that learn."""

    total: int
    trainable: int


class Engine(Protocol):
    """A model with its tokenizer in one of the two libraries."""

    name: str
    tokenizer: Any
    eos_id: int

    def new_adapters(self, recipe: Recipe) -> None:
        """Fresh adapters; only they learn from now on."""

    def adapt(self, adapter: Path) -> None:
        """Load LoRA adapters in peft's format; only they learn from now on."""

    def counts(self) -> Counts: ...
    def train(
        self, examples: Sequence[Example], recipe: Recipe, checkpoints: Path | None = None, every: int = SAVE_EVERY
    ) -> Curve:
        """Train the adapters, and write what learns to the folder `checkpoints` each so many updates and at Ctrl-C.

        A checkpoint in that folder is where the run goes on; its curve then holds the updates before it too.
        """

    def loss(self, examples: Sequence[Example]) -> float: ...
    def answer(self, prompts: Sequence[str], max_new_tokens: int) -> list[str]: ...
    def save_adapter(self, folder: Path) -> None: ...
    def merge(self) -> None:
        """Add the adapters to the weights and drop them."""


def batches(examples: Sequence[Example], recipe: Recipe) -> list[list[Example]]:
    """The micro-batches of a whole run in order: every epoch is shuffled anew from the seed, and both engines follow it."""
    order = [
        int(i) for epoch in range(recipe.epochs) for i in np.random.default_rng([recipe.seed, epoch]).permutation(len(examples))
    ]  # fmt: skip
    if recipe.max_steps is not None:
        order = order[: recipe.max_steps * recipe.batch_size * recipe.accumulate]
    n = recipe.batch_size
    return [[examples[i] for i in order[k : k + n]] for k in range(0, len(order), n)]


def steps(examples: Sequence[Example], recipe: Recipe) -> int:
    """How many updates the run has."""
    return -(-len(batches(examples, recipe)) // recipe.accumulate)


def show(update: int, total: int, loss: float) -> None:
    """How far the run is, on a terminal; a redirected log stays free of it."""
    if sys.stderr.isatty():
        print(
            f"\rupdate {update} of {total}, loss {loss:.4f}", end="\n" * (update == total), file=sys.stderr, flush=True
        )
