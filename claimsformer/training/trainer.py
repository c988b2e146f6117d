"""The Trainer: what is trained, how, and where it is written. `run.py` holds the loop."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import tensorlite as tl
from tensorlite import nn, optim

from ..errors import ConfigError
from . import checkpoints
from .callbacks import Listener, checked_callbacks
from .data import make_loader, run_model
from .history import History
from .losses import Loss, measure
from .metrics import Metric, checked_metrics, pair
from .parameters import parameter_groups
from .progress import Reporter
from .schedules import Schedule
from .stepper import Forward, Stepper, keeping

__all__ = ["Overfit", "Trainer"]

OPTIMIZERS = ("adamw", "adam", "sgd")
DEFAULT_LR = 3e-4


@dataclass(frozen=True)
class Overfit:
    """What `overfit_batch` found: the loss of each update, and whether the last was low enough."""

    losses: npt.NDArray[np.float64]
    passed: bool


class Trainer:
    """Trains a model: `Trainer(model, CrossEntropy(), lr=3e-4).fit(train, val, epochs=10)` returns a History.

    model, loss: see `losses`; a function (output, target) -> mean loss works too.
    optimizer: "adamw", "adam", "sgd" with `lr` (default 3e-4), `weight_decay` (default 0.01, for "adam" 0; it skips biases
        and norms), `rates` and `layer_decay` (see `parameter_groups`); or an optimizer of your own, without these.
    schedule: "constant", "linear", "cosine", "noam", a function of the step, or a scheduler of tensorlite.optim;
        `warmup` in updates, or below 1 as a share of the run; `final_lr` as a share of `lr`.
    clip: the largest norm of the gradient (None: any). accumulate: micro-batches in an update.
    batch_size, by_length, collate: how examples become batches, unless `fit` is given a DataLoader.
    forward: `forward(model, batch) -> (output, target)`; default: `(x, …, y)` or a dict with "labels".
    metrics: functions `(output, target) -> (sum, weight)` by name, for evaluations.
    evaluate_every, checkpoint_every, log_every: in updates; evaluation and checkpoint come after each epoch too.
    monitor, mode, min_delta, patience: what "best" means, and after how many evaluations without it the run stops.
    name, root: the run is written to `root/name`; without a name nothing is written.
    seed: of the order of the examples, dropout and all else; None uses the global random state.
    progress: a bar or lines (True), nothing (False), or a Reporter. resume_call: what Ctrl-C says to type.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Loss,
        optimizer: str | optim.Optimizer = "adamw",
        *,
        lr: float | None = None,
        weight_decay: float | None = None,
        rates: Mapping[str, float] | None = None,
        layer_decay: float = 1.0,
        schedule: str | Schedule | optim.lr_scheduler.LRScheduler = "constant",
        warmup: int | float = 0,
        final_lr: float = 0.0,
        clip: float | None = 1.0,
        accumulate: int = 1,
        batch_size: int = 32,
        by_length: bool = False,
        collate: Callable[[Any], Any] | None = None,
        forward: Forward = run_model,
        metrics: Mapping[str, Metric] | None = None,
        evaluate_every: int | None = None,
        checkpoint_every: int | None = None,
        log_every: int = 10,
        monitor: str = "val_loss",
        mode: str = "min",
        min_delta: float = 0.0,
        patience: int | None = None,
        callbacks: Sequence[Listener] = (),
        name: str | None = None,
        root: str | Path = "runs",
        seed: int | None = 0,
        progress: bool | Reporter = True,
        resume_call: str | None = None,
    ) -> None:
        _check_counts(
            accumulate=accumulate,
            batch_size=batch_size,
            log_every=log_every,
            evaluate_every=evaluate_every,
            checkpoint_every=checkpoint_every,
            patience=patience,
        )
        if mode not in ("min", "max"):
            raise ConfigError(f"mode must be 'min' or 'max', got {mode!r}")
        if clip is not None and not clip > 0:
            raise ConfigError(f"clip must be positive, or None for no clipping; got {clip}")
        if not callable(loss):
            raise ConfigError(
                f"loss must be a loss such as CrossEntropy(), or a function (output, target) -> mean; got {loss!r}"
            )
        self.model, self.loss = model, loss
        self.optimizer = _optimizer(model, optimizer, lr, weight_decay, rates, layer_decay)
        #: the rate of what has none of its own (`rates`, `layer_decay`), before the schedule; None for your own optimizer
        self.lr = (DEFAULT_LR if lr is None else lr) if isinstance(optimizer, str) else None
        self.optimizer_name = optimizer if isinstance(optimizer, str) else type(optimizer).__name__
        self.schedule, self.warmup, self.final_lr = schedule, warmup, final_lr
        self.clip, self.accumulate = clip, accumulate
        self.batch_size, self.by_length, self.collate, self.forward = batch_size, by_length, collate, forward
        self.metrics = checked_metrics(metrics)
        self.evaluate_every, self.checkpoint_every, self.log_every = evaluate_every, checkpoint_every, log_every
        self.monitor, self.mode, self.min_delta, self.patience = monitor, mode, min_delta, patience
        self.callbacks = checked_callbacks(callbacks)
        self.folder = None if name is None else _folder(root, name)
        self.seed, self.progress, self.resume_call = seed, progress, resume_call
        self.step = 0  #: updates so far in this run
        self.epoch = 0  #: epochs completed in this run
        self.stop_reason = ""

    # -- training -----------------------------------------------------------------------------------------------------

    def fit(
        self,
        train: Any,
        val: Any = None,
        *,
        epochs: int | None = None,
        max_steps: int | None = None,
        resume: bool | str | Path | None = None,
        fast_dev_run: bool = False,
    ) -> History:
        """Train for `epochs` passes over `train` (default 1) and evaluate on `val` after each pass.

        `max_steps` updates end the run; without `epochs` it goes over `train` as often as they need.
        `resume="auto"` goes on with the run of this name if there is one; True insists on it; a path names a checkpoint.
        What comes out is bit for bit what a run that was never stopped gives. `fast_dev_run` makes one update and one
        batch of evaluation, writes nothing, and leaves the model as it was. Ctrl-C ends the run after the update at hand,
        saves, says how to resume, and raises KeyboardInterrupt; a second one ends it at once.

        Raises ConfigError for settings that do not fit, CheckpointError for a checkpoint that cannot be used or a run that would
        be overwritten, WriteError where it cannot write, NonFiniteError when the loss becomes NaN or infinite.
        """
        from .run import Run

        _check_counts(epochs=epochs, max_steps=max_steps)
        if epochs is None and max_steps is None:
            epochs = 1
        run = Run(self, train, val, epochs, max_steps, dry=fast_dev_run)
        if not fast_dev_run:
            return run.go(resume)
        scheduler = self.schedule if isinstance(self.schedule, optim.lr_scheduler.LRScheduler) else None
        place = None if scheduler is None else copy.deepcopy(scheduler.state_dict())
        with keeping(self.model, self.optimizer):
            history = run.go(None)
        if scheduler is not None and place is not None:
            scheduler.load_state_dict(place)
        return history

    def stop(self, reason: str = "stopped by a callback") -> None:
        """End the run after the update at hand; it can be resumed."""
        self.stop_reason = reason

    def evaluate(self, data: Any, *, limit: int | None = None) -> dict[str, float]:
        """Mean loss and metrics over the data, token by token as the loss weighs them; the random state stays as it was.

        `limit` is a number of batches.
        """
        loader = make_loader(data, self.batch_size, shuffle=False, collate=self.collate, by_length=self.by_length)
        sums: dict[str, list[float]] = {name: [0.0, 0.0] for name in ("loss", *self.metrics)}
        modes = {module: module.training for module in self.model.modules()}
        self.model.eval()
        try:
            with tl.random.fork_rng(), tl.no_grad():
                for batch in itertools.islice(loader, limit):
                    output, target = self.forward(self.model, batch)
                    total, weight = measure(self.loss, output, target)
                    found = {"loss": (float(total), weight)}
                    found |= {name: pair(name, metric(output, target)) for name, metric in self.metrics.items()}
                    for name, (value, count) in found.items():
                        sums[name][0] += float(value)
                        sums[name][1] += float(count)
        finally:
            for module, mode in modes.items():
                module.training = mode
        return {name: total / count if count else float("nan") for name, (total, count) in sums.items()}

    def overfit_batch(self, data: Any, *, steps: int = 200, below: float = 1e-3) -> Overfit:
        """Train on one batch alone until its loss is `below`: a model that cannot do that has a mistake in it.

        `data` is what `fit` takes; the first batch is used, without dropout, at the full rate. The model is left as it was.
        """
        loader = make_loader(data, self.batch_size, shuffle=False, collate=self.collate, by_length=self.by_length)
        batch = next(iter(loader))
        stepper = Stepper(self.model, self.loss, self.optimizer, self.forward, self.clip)
        losses: list[float] = []
        with tl.random.fork_rng(), keeping(self.model, self.optimizer):
            self.model.eval()
            for group in self.optimizer.param_groups:  # a schedule may have left the rate anywhere
                group["lr"] = group.get("initial_lr", group["lr"])
            for _ in range(steps):
                losses.append(stepper.update([batch]).loss)
                if losses[-1] < below:
                    break
        return Overfit(np.array(losses), bool(losses and losses[-1] < below))

    def load_best(self) -> dict[str, float]:
        """Fill the model with the weights of the best evaluation, and return that row of the history."""
        if self.folder is None:
            raise ConfigError("the best weights are kept in the folder of a run: give the Trainer a name")
        path = self.folder / "checkpoints" / "best.safetensors"
        saved = checkpoints.read(path)
        checkpoints.load_model(self.model, saved["model"], path)
        return dict(saved["row"])


def _optimizer(
    model: nn.Module,
    optimizer: str | optim.Optimizer,
    lr: float | None,
    weight_decay: float | None,
    rates: Mapping[str, float] | None,
    layer_decay: float,
) -> optim.Optimizer:
    if isinstance(optimizer, optim.Optimizer):
        if lr is not None or weight_decay is not None or rates or layer_decay != 1:
            raise ConfigError("lr, weight_decay, rates and layer_decay are for an optimizer by name; yours has its own")
        mine = {id(p) for p in model.parameters() if p.requires_grad}
        if not any(id(p) in mine for group in optimizer.param_groups for p in group["params"]):
            raise ConfigError(
                "the optimizer holds no parameter of the model that learns",
                hint="make it from model.parameters() of this model",
            )
        return optimizer
    if optimizer not in OPTIMIZERS:
        raise ConfigError(f"optimizer must be one of {', '.join(OPTIMIZERS)}, or an Optimizer; got {optimizer!r}")
    lr = DEFAULT_LR if lr is None else lr
    if weight_decay is None:
        weight_decay = 0.0 if optimizer == "adam" else 0.01
    groups = parameter_groups(model, lr, weight_decay, rates=rates, layer_decay=layer_decay)
    if optimizer == "sgd":
        return optim.SGD(groups, lr=lr)
    return (optim.AdamW if optimizer == "adamw" else optim.Adam)(groups, lr=lr)


def _folder(root: str | Path, name: str) -> Path:
    path = Path(name)
    if path.is_absolute() or ".." in path.parts or path == Path("."):
        raise ConfigError(f"name must name a folder below root={str(root)!r}, got {name!r}")
    return Path(root) / path


def _check_counts(**counts: int | None) -> None:
    for name, value in counts.items():
        if value is not None and (not isinstance(value, int) or value < 1):
            raise ConfigError(f"{name} must be a positive whole number, got {value!r}")
