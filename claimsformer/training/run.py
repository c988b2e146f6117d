"""One call of `Trainer.fit`: the loop over epochs and updates, with evaluation, checkpoints and interruption."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tensorlite as tl
from tensorlite.optim.lr_scheduler import LambdaLR, LRScheduler, ReduceLROnPlateau

from ..errors import CheckpointError, ConfigError
from . import checkpoints
from .data import make_loader, size_of
from .describe import describe
from .history import History
from .interrupt import Interrupts
from .journal import Journal
from .lora import lora_layers
from .progress import Facts, Quiet, make_reporter
from .schedules import make_schedule
from .stepper import Stepper, Update
from .summary import summarize

if TYPE_CHECKING:
    from .trainer import Trainer

__all__ = ["Position", "Run"]


@dataclass
class Position:
    """Where a run stands. `total` and `weight` are the epoch's losses so far, `batch` its micro-batches; `read_out` when the
    loader has said that there are no more."""

    epoch: int = 0
    batch: int = 0
    step: int = 0
    total: float = 0.0
    weight: float = 0.0
    best: float | None = None
    evaluations_since_best: int = 0
    read_out: bool = False


class Run:
    """The state of one call of `fit`."""

    def __init__(
        self, trainer: Trainer, train: Any, val: Any, epochs: int | None, max_steps: int | None, dry: bool
    ) -> None:
        t = self.trainer = trainer
        self.val, self.epochs, self.max_steps, self.dry = val, epochs, max_steps, dry
        self.loader = make_loader(
            train, t.batch_size, shuffle=True, collate=t.collate, by_length=t.by_length, seed=t.seed
        )
        if val is not None and val is self.loader:
            raise ConfigError(
                "train and val are one loader, whose place an evaluation would move",
                hint="make a second loader for val",
            )
        self.batches = _length(self.loader)
        if self.batches == 0:
            raise ConfigError("the data hold no batch", hint="a loader with drop_last drops all of too few examples")
        self._check_monitor()
        if any(layer.merged for layer in lora_layers(t.model).values()):
            raise ConfigError("the model's adapters are merged and cannot learn", hint="unmerge(model) before training")
        if dry:
            self.max_steps = 1
        self.stepper = Stepper(t.model, t.loss, t.optimizer, t.forward, t.clip)
        self.scheduler = self._make_scheduler()
        self.at, self.history, self.lr = Position(), History(), self._rate()
        self.journal = None if dry or t.folder is None else Journal(t.folder)
        self.reporter = Quiet() if dry else make_reporter(t.progress)
        self.interrupts = Interrupts()
        self.validation: float | None = None
        self.saved: dict[str, Any] = {}
        self.unit = "examples"
        t.stop_reason = ""

    # -- the loop -----------------------------------------------------------------------------------------------------

    def go(self, resume: bool | str | Path | None) -> History:
        """Train to the end, or to where the run is stopped."""
        t = self.trainer
        with nullcontext() if t.seed is None else tl.random.fork_rng():
            if t.seed is not None:
                tl.manual_seed(t.seed)
            resumed = self._open(resume)
            self._publish()
            for callback in t.callbacks:
                callback.on_fit_start(t)
            self.reporter.start(self._headline(resumed))
            self.started, self.first_step, self.seen = time.perf_counter(), self.at.step, 0
            try:
                with self.interrupts:
                    while self._epoch_read() or not self._over():  # an epoch that was read to its end is evaluated
                        self._epoch()
            finally:
                self.reporter.stop()
            self._finish()
            for callback in t.callbacks:
                callback.on_fit_end(t, self.history)
            self.interrupts.raise_if_asked()
            return self.history

    def _over(self) -> bool:
        full = self.max_steps is not None and self.at.step >= self.max_steps
        return full or (self.epochs is not None and self.at.epoch >= self.epochs) or self._stopping()

    def _epoch_read(self) -> bool:
        """Whether the updates of this epoch are made; what is left of it is its evaluation."""
        return self.at.read_out or (self.at.batch > 0 and self.at.batch == self.batches)

    def _stopping(self) -> bool:
        t = self.trainer
        patience_lost = t.patience is not None and self.at.evaluations_since_best >= t.patience
        if patience_lost and not t.stop_reason:
            t.stop_reason = f"no better {t.monitor} in {t.patience} evaluations"
        if self.interrupts.asked and not t.stop_reason:
            t.stop_reason = "interrupted"
        return bool(t.stop_reason)

    def _epoch(self) -> None:
        t, at = self.trainer, self.at
        t.model.train()
        for group in () if at.read_out else self._groups(iter(self.loader)):
            self.lr = self._rate()
            update = self.stepper.update(group)
            if not isinstance(self.scheduler, ReduceLROnPlateau):
                self.scheduler.step()
            at.step, at.batch = at.step + 1, at.batch + len(group)
            at.total, at.weight = at.total + update.total, at.weight + update.weight
            for batch in group:
                count, self.unit = size_of(batch)
                self.seen += count
            self._tell(update)
            complete = self._epoch_read()
            if t.evaluate_every and at.step % t.evaluate_every == 0 and not complete:
                self._evaluate()
                t.model.train()
            if t.checkpoint_every and at.step % t.checkpoint_every == 0:
                self._save()
            if self._over() and not complete:  # a complete epoch ends by itself, with its evaluation
                return
        if not at.batch:
            raise ConfigError("the data hold no batch", hint="a loader with drop_last drops all of too few examples")
        self._evaluate(end_of_epoch=True)

    def _groups(self, batches: Iterator[Any]) -> Iterator[list[Any]]:
        while group := list(itertools.islice(batches, self.trainer.accumulate)):
            self.at.read_out = len(group) < self.trainer.accumulate
            yield group

    def _finish(self) -> None:
        t = self.trainer
        if self.at.batch and not t.stop_reason and self.history.last.get("step") != self.at.step:
            self._evaluate()  # max_steps ended the run within an epoch
        self._save()
        self.history.stopped = t.stop_reason
        if self.interrupts.asked and self.journal:
            given = (("epochs", self.epochs), ("max_steps", self.max_steps))
            length = ", ".join(f"{name}={value}" for name, value in given if value is not None)
            call = t.resume_call or f'trainer.fit(train{"" if self.val is None else ", val"}, {length}, resume="auto")'
            self.reporter.say(f"stopped after update {self.at.step}: saved {self.journal.last}\nresume with: {call}")
        elif t.stop_reason:
            self.reporter.say(f"stopped after update {self.at.step}: {t.stop_reason}")

    # -- evaluation ---------------------------------------------------------------------------------------------------

    def _evaluate(self, end_of_epoch: bool = False) -> None:
        t, at = self.trainer, self.at
        part = 1.0 if end_of_epoch else at.batch / self.batches if self.batches else 0.0
        row = {"epoch": at.epoch + part, "step": float(at.step), "lr": self.lr}
        row["loss"] = at.total / at.weight if at.weight else math.nan
        if self.val is not None:
            found = t.evaluate(self.val, limit=1 if self.dry else None)
            row |= {f"val_{name}": value for name, value in found.items()}
            self.validation = row["val_loss"]
        if end_of_epoch:
            at.epoch, at.batch, at.total, at.weight, at.read_out = at.epoch + 1, 0, 0.0, 0.0, False
            self._publish()
        self.history.add(row)
        monitored = self._monitored(row)
        if isinstance(self.scheduler, ReduceLROnPlateau):
            self.scheduler.step(monitored)
        self._judge(row, monitored)
        if self.journal:
            self.journal.write({"kind": "evaluation", **row, "step": at.step})
        numbers = " · ".join(f"{k} {v:.4g}" for k, v in row.items() if k not in ("epoch", "step", "lr"))
        self.reporter.say(f"epoch {row['epoch']:g} · update {at.step} · {numbers}")
        for callback in t.callbacks:
            callback.on_evaluate(t, row)
        if end_of_epoch:
            self._save()

    def _monitored(self, row: dict[str, float]) -> float:
        name = self.trainer.monitor
        return row["loss" if self.val is None and name == "val_loss" else name]  # nothing to validate on

    def _check_monitor(self) -> None:
        """Before the first update, not after an epoch. Raises ConfigError."""
        t = self.trainer
        measured = ["loss", *([] if self.val is None else ["val_loss", *(f"val_{name}" for name in t.metrics)])]
        if t.monitor not in (*measured, "val_loss"):
            raise ConfigError(f"monitor={t.monitor!r} is not measured; there are {', '.join(measured)}")
        if t.patience is not None and self.val is None and t.monitor == "val_loss" and not self.dry:
            raise ConfigError(
                "patience watches val_loss, but fit was given no val", hint='give val, or monitor="loss" on purpose'
            )

    def _judge(self, row: dict[str, float], value: float) -> None:
        t, at = self.trainer, self.at
        gain = math.inf if at.best is None else at.best - value if t.mode == "min" else value - at.best
        if math.isnan(value) or not gain > (t.min_delta if at.best is not None else 0):  # ∞ − ∞ is no gain
            at.evaluations_since_best += 1
            return
        at.best, at.evaluations_since_best = value, 0
        if self.journal:
            weights = checkpoints.model_state(t.model)
            checkpoints.write(self.journal.best, {"format": checkpoints.FORMAT, "model": weights, "row": row})

    # -- checkpoints --------------------------------------------------------------------------------------------------

    def _save(self) -> None:
        if self.journal is None or self.saved == asdict(self.at):
            return
        t = self.trainer
        self.saved = asdict(self.at)
        checkpoints.write(
            self.journal.last,
            {
                "format": checkpoints.FORMAT,
                "model": checkpoints.model_state(t.model),
                "optimizer_name": type(t.optimizer).__name__,
                "optimizer": t.optimizer.state_dict(),
                "scheduler": self.scheduler.state_dict(),
                "random": checkpoints.random_state(),
                "loader": self.loader.state_dict(),
                "batches": self.batches,
                "position": self.saved,
                "history": self.history.state_dict(),
                "callbacks": [callback.state_dict() for callback in t.callbacks],
            },
        )

    def _open(self, resume: bool | str | Path | None) -> bool:
        """Start the folder of the run, or go on with one; True if it goes on."""
        t = self.trainer
        if resume in ("auto", True) and self.journal is None and not self.dry:
            raise ConfigError("resume needs to know the run: give the Trainer a name, or resume a path")
        own = None if self.journal is None else self.journal.last
        path = own if resume in ("auto", True) else Path(str(resume)) if resume else None
        if resume == "auto" and own is not None and not own.exists():
            path = None
        if path is not None:
            self._restore(path)
        if self.journal is not None:
            if path is not None and path.resolve() == self.journal.last.resolve():
                self.journal.resume(self.at.step, self.history.evaluations)
            else:
                self.journal.start(describe(t, self.epochs, self.max_steps), again=resume == "auto")
        return path is not None

    def _restore(self, path: Path) -> None:
        t = self.trainer
        saved = checkpoints.read(path)
        checkpoints.check_model(t.model, saved["model"], path)
        position = Position(**saved["position"])
        if saved["optimizer_name"] != type(t.optimizer).__name__:
            raise CheckpointError(
                f"the checkpoint {path} was made with {saved['optimizer_name']}, this trainer has {type(t.optimizer).__name__}"
            )
        if position.batch and saved["batches"] != self.batches:
            raise CheckpointError(
                f"the checkpoint {path} stands within an epoch of {saved['batches']} batches; these data make {self.batches}",
                hint="resume with the same data and batch size",
            )
        if len(saved["callbacks"]) != len(t.callbacks):
            raise CheckpointError(
                f"the run had {len(saved['callbacks'])} callbacks, this trainer has {len(t.callbacks)}"
            )
        try:
            t.optimizer.load_state_dict(saved["optimizer"])
        except (ValueError, KeyError, RuntimeError) as error:
            raise CheckpointError(f"the optimizer's state in {path} does not fit: {error}") from error
        t.model.load_state_dict(saved["model"])
        self.scheduler.load_state_dict(saved["scheduler"])
        self.at = position
        self.history.load_state_dict(saved["history"])
        self.lr = self.history.last_update.get("lr", self._rate())
        for callback, state in zip(t.callbacks, saved["callbacks"], strict=True):
            callback.load_state_dict(state)
        checkpoints.set_random_state(saved["random"])
        self.loader.load_state_dict(saved["loader"])

    # -- telling ------------------------------------------------------------------------------------------------------

    def _tell(self, update: Update) -> None:
        t, at = self.trainer, self.at
        self._publish()
        numbers = {"loss": update.loss, "grad_norm": update.grad_norm, "lr": self.lr}
        self.history.add_update(at.step, **numbers)
        for callback in t.callbacks:
            callback.on_step_end(t, numbers)
        if self.journal and at.step % t.log_every == 0:
            row = {"kind": "update", "epoch": at.epoch, "step": at.step, **numbers}
            self.journal.write({**row, f"{self.unit}_per_s": round(self._per_s(), 1)})
        if self.reporter.due():
            self.reporter.update(self._facts(update))

    def _facts(self, update: Update) -> Facts:
        at, total = self.at, self._total_steps()
        done = at.step - self.first_step
        left = None
        if total is not None and done:
            left = (time.perf_counter() - self.started) / done * (total - at.step)
        return Facts(
            at.epoch + 1, self.epochs, at.batch, self.batches, at.step, total, update.loss, update.grad_norm, self.lr,
            self._per_s(), self.unit, left, self.validation,
        )  # fmt: skip

    def _per_s(self) -> float:
        return self.seen / max(1e-9, time.perf_counter() - self.started)

    def _headline(self, resumed: bool) -> str:
        text = summarize(self.trainer.model)
        return f"{text}\nresumed after update {self.at.step}" if resumed else text

    def _publish(self) -> None:
        self.trainer.step, self.trainer.epoch = self.at.step, self.at.epoch

    # -- the rate -----------------------------------------------------------------------------------------------------

    def _rate(self) -> float:
        """Of the group without a rate of its own, else of the first."""
        groups: list[dict[str, Any]] = self.trainer.optimizer.param_groups
        base = (group for group in groups if group.get("initial_lr", group["lr"]) == self.trainer.lr)
        return float(next(base, groups[0])["lr"])

    def _total_steps(self) -> int | None:
        if self.batches is None or self.epochs is None:
            return self.max_steps
        total = self.epochs * math.ceil(self.batches / self.trainer.accumulate)
        return total if self.max_steps is None else min(total, self.max_steps)

    def _make_scheduler(self) -> Any:
        t = self.trainer
        schedule = t.schedule
        if isinstance(schedule, LRScheduler):
            return schedule
        if isinstance(schedule, str):
            total = self._total_steps()
            if total is None and (schedule in ("linear", "cosine") or 0 < t.warmup < 1):
                raise ConfigError(f"schedule={schedule!r} needs the length of the run: give max_steps")
            d_model = getattr(getattr(t.model, "config", None), "d_model", None)
            schedule = make_schedule(schedule, total or 1, t.warmup, t.final_lr, d_model)
        return LambdaLR(t.optimizer, schedule)


def _length(loader: Any) -> int | None:
    """How many batches there are; None for a stream, whose end only reading it shows."""
    try:
        return len(loader)
    except TypeError:
        return None
