"""Metrics of an evaluation, in the form of the losses: a sum and what it is divided by, so that batches add up exactly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tensorlite import Tensor

from ..errors import ConfigError

__all__ = ["Metric", "accuracy", "checked_metrics", "exact_match", "pair"]

#: `metric(output, target) -> (sum, weight)`.
Metric = Callable[[Any, Any], tuple[float, float]]


def accuracy(logits: Tensor, target: Tensor, ignore_index: int = -100) -> tuple[float, float]:
    """Labels that are the most probable class, of logits `(..., C)` and labels `(...)`."""
    guess, labels = logits.detach().numpy().argmax(-1), target.numpy()
    keep = labels != ignore_index
    return float(((guess == labels) & keep).sum()), float(keep.sum())


def exact_match(logits: Tensor, target: Tensor, ignore_index: int = -100) -> tuple[float, float]:
    """Sequences all of whose labels are right, of logits `(B, T, C)` and labels `(B, T)`."""
    guess, labels = logits.detach().numpy().argmax(-1), target.numpy()
    right = ((guess == labels) | (labels == ignore_index)).all(-1)
    return float(right.sum()), float(right.size)


def checked_metrics(metrics: Any) -> dict[str, Metric]:
    """The metrics by name. Raises ConfigError for anything but functions by name."""
    if metrics is None:
        return {}
    if not isinstance(metrics, Mapping) or not all(map(callable, metrics.values())):
        raise ConfigError(f'metrics must be functions by name, such as {{"accuracy": accuracy}}; got {metrics!r}')
    return dict(metrics)


def pair(name: str, value: Any) -> tuple[float, float]:
    """What a metric gave, (sum, weight). Raises ConfigError for a mean without its weight."""
    if not isinstance(value, tuple) or len(value) != 2:
        raise ConfigError(
            f"the metric {name!r} must return (sum, weight), got {type(value).__name__}",
            hint="a mean over n examples is (mean * n, n): batches of different sizes then add up exactly",
        )
    return float(value[0]), float(value[1])
