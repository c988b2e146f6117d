"""Learning-rate schedules as functions of the step, from 0: each gives the factor on the optimizer's own rate.

Being functions of the step alone, they need no state: a resumed run has the rate of the run that was never stopped.
Update 0 of a warmup of w updates has 1/w of the rate, update w - 1 all of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from ..errors import ConfigError

__all__ = ["SCHEDULES", "Schedule", "constant", "cosine", "linear", "make_schedule", "noam"]

Schedule = Callable[[int], float]
SCHEDULES = ("constant", "linear", "cosine", "noam")


def constant(warmup: int = 0) -> Schedule:
    """1 after the warmup."""
    return lambda step: _warm(step, warmup)


def linear(total: int, warmup: int = 0, final: float = 0.0) -> Schedule:
    """From 1 at the end of the warmup in a straight line to `final` at update `total`."""

    def factor(step: int) -> float:
        return _warm(step, warmup) if step < warmup else 1 - (1 - final) * _progress(step, warmup, total)

    return factor


def cosine(total: int, warmup: int = 0, final: float = 0.0) -> Schedule:
    """From 1 along half a cosine to `final` (Loshchilov and Hutter 2017, without restarts)."""

    def factor(step: int) -> float:
        if step < warmup:
            return _warm(step, warmup)
        return final + (1 - final) * (1 + math.cos(math.pi * _progress(step, warmup, total))) / 2

    return factor


def noam(d_model: int, warmup: int = 4000) -> Schedule:
    """`d_model^-½ · min(s^-½, s · warmup^-1½)` with s = step + 1 (Vaswani et al. 2017); the optimizer's rate scales it."""
    if d_model <= 0 or warmup <= 0:
        raise ConfigError(f"noam needs positive d_model and warmup, got d_model={d_model}, warmup={warmup}")
    return lambda step: float(d_model**-0.5 * min((step + 1) ** -0.5, (step + 1) * warmup**-1.5))


def make_schedule(
    name: str, total: int, warmup: int | float = 0, final: float = 0.0, d_model: int | None = None
) -> Schedule:
    """The schedule of that name for a run of `total` updates; a `warmup` below 1 is a share of them. Raises ConfigError."""
    if name not in SCHEDULES:
        raise ConfigError(f"schedule must be one of {', '.join(SCHEDULES)}, or a function of the step; got {name!r}")
    if warmup < 0 or (isinstance(warmup, float) and warmup >= 1 and not warmup.is_integer()):
        raise ConfigError(f"warmup must be a number of updates, or a share of them in [0, 1); got {warmup}")
    updates = round(warmup * total) if 0 < warmup < 1 else int(warmup)
    if name == "constant":
        return constant(updates)
    if name == "linear":
        return linear(total, updates, final)
    if name == "cosine":
        return cosine(total, updates, final)
    if d_model is None:
        raise ConfigError(
            "schedule='noam' reads d_model from model.config; give schedule=noam(d_model, warmup) instead"
        )
    return noam(d_model, updates or 4000)


def _warm(step: int, warmup: int) -> float:
    return min(1.0, (step + 1) / warmup) if warmup else 1.0


def _progress(step: int, warmup: int, total: int) -> float:
    return min(1.0, (step - warmup) / max(1, total - warmup))
