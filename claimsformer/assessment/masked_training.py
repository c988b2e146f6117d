"""Training of the masked model: hide a share of each claim's fields, predict them, repeat.

Which claims a step sees and what it hides follows from the seed and the number of the step alone, so a run that is
interrupted and resumed is the same run, bit for bit.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

import tensorlite as tl
from claimsformer.assessment.masked_model import MaskedClaimModel
from claimsformer.errors import ConfigError, ReadError
from claimsformer.tokenizer.fields import ClaimBatch, FieldTokenizer, choose_at_random, closure, hide
from tensorlite import nn
from tensorlite.utils.safetensors import load_file, save_file

__all__ = ["MaskedTraining", "Progress", "train_masked"]


@dataclass(frozen=True)
class MaskedTraining:
    """How long and how: of a share `list_rate` of the claims a whole list of codes is hidden, beside what is hidden
    anyway, and a share `sparse_rate` is shown with half of its fields left out; learning rate with warm-up and cosine
    decay, AdamW, gradient norm clipped at 1."""

    epochs: int = 4
    batch_size: int = 128
    learning_rate: float = 3e-3
    weight_decay: float = 0.01
    mask_rate: float = 0.2
    sparse_rate: float = 0.15
    list_rate: float = 0.2
    warmup: float = 0.1
    seed: int = 0
    checkpoint_every: int = 200

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 1:
            raise ConfigError(f"epochs and batch_size must be at least 1, got {self.epochs} and {self.batch_size}")


@dataclass(frozen=True)
class Progress:
    """One step: its number of how many, the loss in nats per hidden field, claims per second so far."""

    step: int
    steps: int
    loss: float
    claims_per_second: float


def train_masked(
    model: MaskedClaimModel,
    tokenizer: FieldTokenizer,
    claims: ClaimBatch,
    settings: MaskedTraining,
    *,
    on_step: Callable[[Progress], None] | None = None,
    checkpoints: str | Path | None = None,
) -> list[float]:
    """Train in place; returns the loss of every step. With `checkpoints`, a folder, an interrupted run goes on there.

    Raises ConfigError when there are fewer claims than one batch, FloatingPointError when the loss is not finite.
    """
    if len(claims) < settings.batch_size:
        raise ConfigError(
            f"{len(claims)} claims are fewer than one batch of {settings.batch_size}",
            hint="give more history, or a smaller batch_size",
        )
    steps = settings.epochs * (len(claims) // settings.batch_size)
    optimizer = tl.optim.AdamW(
        list(model.parameters()), lr=settings.learning_rate, weight_decay=settings.weight_decay, betas=(0.9, 0.98)
    )
    losses = _resume(model, optimizer, checkpoints, settings)
    started, first = time.perf_counter(), len(losses)
    model.train()
    for step in range(first, steps):
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * _schedule(step, steps, settings.warmup)
        losses.append(_step(model, tokenizer, claims, optimizer, settings, step))
        if not math.isfinite(losses[-1]):
            raise FloatingPointError(f"the loss is {losses[-1]} at step {step + 1}: try a lower learning_rate")
        if checkpoints is not None and (step + 1) % settings.checkpoint_every == 0:
            _save(model, optimizer, losses, Path(checkpoints), settings)
        if on_step is not None:
            pace = (step + 1 - first) * settings.batch_size / (time.perf_counter() - started)
            on_step(Progress(step + 1, steps, losses[-1], pace))
    model.eval()
    return losses


def _schedule(step: int, steps: int, warmup: float) -> float:
    warm = max(1, int(warmup * steps))
    if step < warm:
        return (step + 1) / warm
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def _step(
    model: MaskedClaimModel,
    tokenizer: FieldTokenizer,
    claims: ClaimBatch,
    optimizer: Any,
    settings: MaskedTraining,
    step: int,
) -> float:
    batch, hidden = _sample(tokenizer, claims, settings, step)
    optimizer.zero_grad()
    loss = model.loss(hide(tokenizer, batch, hidden), batch, hidden)
    loss.backward()
    nn.utils.clip_grad_norm_(list(model.parameters()), 1.0)
    optimizer.step()
    return float(loss.item())


def _sample(
    tokenizer: FieldTokenizer, claims: ClaimBatch, settings: MaskedTraining, step: int
) -> tuple[ClaimBatch, np.ndarray[Any, np.dtype[np.bool_]]]:
    """The step's claims, of similar length so that little is padding, and what is hidden in them."""
    per_epoch = len(claims) // settings.batch_size
    epoch, place = divmod(step, per_epoch)
    rng = np.random.default_rng([settings.seed, epoch])
    order = rng.permutation(len(claims))
    pool = settings.batch_size * 16
    chunks = [c[np.argsort(claims.lengths[c], kind="stable")] for c in np.split(order, range(pool, len(order), pool))]
    starts = rng.permutation(per_epoch)
    chosen = np.concatenate(chunks)[starts[place] * settings.batch_size :][: settings.batch_size]
    noise = np.random.default_rng([settings.seed, 1, step])
    batch = _thinned(claims[chosen], settings.sparse_rate, noise).compact()
    drawn = choose_at_random(tokenizer, batch, settings.mask_rate, noise)
    if settings.list_rate:
        drawn |= _whole_lists(tokenizer, batch, settings.list_rate, noise)
    return batch, closure(tokenizer, batch, drawn)


def _whole_lists(tokenizer: FieldTokenizer, batch: ClaimBatch, rate: float, rng: np.random.Generator) -> Any:
    """All tokens of one list of codes, drawn anew for each of a share `rate` of the claims; (B, T)."""
    lists = [f.name for f in tokenizer.spec.fields if f.kind == "code" and len(f.columns) > 1]
    if not lists:
        return np.zeros(batch.shape, dtype=np.bool_)
    ids = np.array([tokenizer.field_id(name) for name in lists])
    chosen = np.where(rng.random(len(batch)) < rate, ids[rng.integers(len(ids), size=len(batch))], -1)
    return batch.mask & (batch.field_ids == chosen[:, None])


def _thinned(batch: ClaimBatch, rate: float, rng: np.random.Generator) -> ClaimBatch:
    """Some claims without half of their tokens, as if they had been sent that way; at least one token stays."""
    sparse = rng.random(len(batch)) < rate
    leave = sparse[:, None] & (rng.random(batch.shape) < 0.5) & (batch.field_ids > 0)
    leave[(leave | ~batch.mask | (batch.field_ids == 0)).all(axis=1)] = False
    keep = ~leave

    def kept(array: Any) -> Any:
        return np.where(keep, array, array.dtype.type(0))

    return ClaimBatch(
        kept(batch.value_ids), kept(batch.parent_ids), kept(batch.field_ids), kept(batch.position_ids),
        kept(batch.scalars), batch.mask & keep,
    )  # fmt: skip


def _save(model: MaskedClaimModel, optimizer: Any, losses: list[float], folder: Path, settings: MaskedTraining) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    names = [name for name, _ in model.named_parameters()]
    for index, state in optimizer.state_dict()["state"].items():
        for key, value in state.items():
            tensors[f"optimizer.{names[index]}.{key}"] = tl.as_tensor(value)
    progress = json.dumps({"losses": losses, "settings": asdict(settings)})
    save_file(tensors, folder / "checkpoint.safetensors", {"progress": progress})


def _resume(
    model: MaskedClaimModel, optimizer: Any, folder: str | Path | None, settings: MaskedTraining
) -> list[float]:
    from tensorlite.utils.safetensors import safe_open

    path = None if folder is None else Path(folder) / "checkpoint.safetensors"
    if path is None or not path.is_file():
        return []
    progress = json.loads((safe_open(path).metadata() or {})["progress"])
    if progress["settings"] != asdict(settings):
        raise ReadError(
            "the checkpoint in this folder was made with other settings", hint="Name another folder, or remove it."
        )
    tensors = load_file(path)
    model.load_state_dict({k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")})
    state = optimizer.state_dict()
    for index, (name, _) in enumerate(model.named_parameters()):
        prefix = f"optimizer.{name}."
        state["state"][index] = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
    optimizer.load_state_dict(state)
    losses: list[float] = progress["losses"]
    return losses
