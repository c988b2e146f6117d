"""Measuring two ways of doing the same thing: in turn, in one process, as a ratio with its spread."""

from __future__ import annotations

import gc
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Ratio:
    """How long `ours` takes relative to `theirs`: the median of paired runs and its spread, and what was asked for."""

    name: str
    median: float
    low: float
    high: float
    ours_s: float
    theirs_s: float
    target: float | None
    load: float

    def row(self) -> str:
        verdict = "" if self.target is None else "ok" if self.median <= self.target else "MISSED"
        target = "" if self.target is None else f"≤ {self.target:g}"
        return f"{self.name:<58} {self.median:6.2f}  [{self.low:.2f} … {self.high:.2f}]  {self.ours_s * 1e3:9.2f} {self.theirs_s * 1e3:9.2f}  {target:>6} {verdict:<6} {self.load:5.2f}"

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


@dataclass(frozen=True)
class Note:
    """A line that is no ratio: what was skipped and why, or numbers that need words."""

    text: str

    def row(self) -> str:
        return self.text

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


HEADER = f"{'':<58} {'ratio':>6}  {'spread':<15}  {'ours ms':>9} {'theirs ms':>9}  {'target':>6} {'':<6} {'load':>5}"


def compare(
    name: str,
    ours: Callable[[], object],
    theirs: Callable[[], object],
    target: float | None = None,
    pairs: int = 15,
    least_s: float = 0.02,
) -> Ratio:
    """Run A B A B … and return the ratio A/B. Each run repeats the call until it takes `least_s`; the spread is the middle half of the pairs."""
    repeats = [_repeats(f, least_s) for f in (ours, theirs)]
    times: tuple[list[float], list[float]] = ([], [])
    gc.collect()
    for _ in range(pairs):
        for f, n, found in zip((ours, theirs), repeats, times, strict=True):
            start = time.perf_counter()
            for _ in range(n):
                f()
            found.append((time.perf_counter() - start) / n)
    return ratio(name, list(zip(*times, strict=True)), target)


def ratio(name: str, times: list[tuple[float, float]], target: float | None = None) -> Ratio:
    """The ratio of paired times (ours, theirs) in seconds."""
    ratios = sorted(a / b for a, b in times)
    quarter = len(ratios) // 4
    return Ratio(
        name,
        statistics.median(ratios),
        ratios[quarter],
        ratios[-1 - quarter],
        statistics.median(a for a, _ in times),
        statistics.median(b for _, b in times),
        target,
        os.getloadavg()[0],
    )


def _repeats(f: Callable[[], object], least_s: float) -> int:
    f()  # warm up
    start = time.perf_counter()
    f()
    once = time.perf_counter() - start
    return max(1, round(least_s / max(once, 1e-7)))
