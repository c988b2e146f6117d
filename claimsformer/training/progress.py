"""Showing how far a run is: a bar in a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TextIO

__all__ = ["Facts", "PlainLines", "Quiet", "Reporter", "TerminalBar", "make_reporter"]

REFRESH_S = 0.1  # at most ten updates a second
PLAIN_S = 5.0  # one plain line in this time

Clock = Callable[[], float]


@dataclass(slots=True)
class Facts:
    """Where a run is, after an update."""

    epoch: int
    epochs: int | None
    batch: int
    batches: int | None
    step: int
    total: int | None
    loss: float
    grad_norm: float
    lr: float
    rate: float
    unit: str
    seconds_left: float | None
    validation: float | None = None

    def line(self) -> str:
        """`epoch 3/10 · 412/640 · loss 0.231 · val 0.254 · 18.4k tok/s · lr 3.1e-04 · |g| 0.84 · 0:42 left`."""
        parts = [self.position(), f"{self.batch}/{'?' if self.batches is None else self.batches}"]
        return " · ".join([*parts, *self.numbers()])

    def position(self) -> str:
        """`epoch 3/10`, or `epoch 3` where updates alone end the run."""
        return f"epoch {self.epoch}" + (f"/{self.epochs}" if self.epochs is not None else "")

    def numbers(self) -> list[str]:
        """The parts of the line after the position."""
        parts = [f"loss {self.loss:.4g}"]
        if self.validation is not None:
            parts.append(f"val {self.validation:.4g}")
        parts += [
            f"{short(self.rate)} {'tok' if self.unit == 'tokens' else self.unit}/s",
            f"lr {self.lr:.1e}",
            f"|g| {self.grad_norm:.2g}",
        ]
        if self.seconds_left is not None:
            parts.append(f"{duration(self.seconds_left)} left")
        return parts


class Reporter(Protocol):
    """Where a run shows itself."""

    def start(self, text: str) -> None: ...
    def due(self) -> bool: ...
    def update(self, facts: Facts) -> None: ...
    def say(self, text: str) -> None: ...
    def stop(self) -> None: ...


class Quiet:
    """Shows nothing."""

    def start(self, text: str) -> None:
        """Before the run."""

    def due(self) -> bool:
        """Whether `update` would show anything now."""
        return False

    def update(self, facts: Facts) -> None:
        """After an update of the weights."""

    def say(self, text: str) -> None:
        """A line that stays."""

    def stop(self) -> None:
        """After the run."""


class PlainLines(Quiet):
    """A line every few seconds, without colours or cursor movements: for files, pipes and notebooks."""

    def __init__(self, stream: TextIO | None = None, every_s: float = PLAIN_S, clock: Clock = time.monotonic) -> None:
        self.stream, self.every_s, self.clock = stream, every_s, clock
        self._next = -float("inf")

    def start(self, text: str) -> None:
        self.say(text)
        self._next = self.clock() + self.every_s

    def due(self) -> bool:
        return self.clock() >= self._next

    def update(self, facts: Facts) -> None:
        self._next = self.clock() + self.every_s
        self.say(facts.line())

    def say(self, text: str) -> None:
        print(text, file=self.stream or sys.stdout, flush=True)


class TerminalBar(Quiet):
    """One line that is redrawn, by rich; `NO_COLOR` is respected, and what `say` prints stays above it."""

    def __init__(self, console: Any = None, clock: Clock = time.monotonic) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self.clock, self._next = clock, -float("inf")
        self.bar = Progress(
            TextColumn("{task.fields[epoch]}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[numbers]}"),
            console=console or Console(),
            auto_refresh=False,
            transient=True,
        )
        self.task = self.bar.add_task("", total=None, epoch="", numbers="")

    def start(self, text: str) -> None:
        self.say(text)
        self.bar.start()

    def due(self) -> bool:
        return self.clock() >= self._next

    def update(self, facts: Facts) -> None:
        self._next = self.clock() + REFRESH_S
        numbers = " · ".join([f"{facts.batch}/{'?' if facts.batches is None else facts.batches}", *facts.numbers()])
        self.bar.update(self.task, completed=facts.batch, total=facts.batches, epoch=facts.position(), numbers=numbers)
        self.bar.refresh()

    def say(self, text: str) -> None:
        self.bar.console.print(text, markup=False, highlight=False)

    def stop(self) -> None:
        self.bar.stop()


def make_reporter(progress: bool | Reporter, stream: TextIO | None = None) -> Reporter:
    """A bar when standard output is a terminal and rich is installed, else plain lines; nothing for False."""
    if not isinstance(progress, bool):
        return progress
    if not progress:
        return Quiet()
    stream = stream or sys.stdout
    if stream.isatty():
        try:
            return TerminalBar()
        except ImportError:
            return PlainLines()
    return PlainLines()


def short(n: float) -> str:
    """18.4k, 512, 1.2M."""
    for factor, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if n >= factor:
            return f"{n / factor:.3g}{unit}"
    return f"{n:.3g}"


def duration(seconds: float) -> str:
    """0:42, 12:05, 3:07:00."""
    minutes, s = divmod(round(seconds), 60)
    hours, m = divmod(minutes, 60)
    return f"{hours}:{m:02d}:{s:02d}" if hours else f"{m}:{s:02d}"
