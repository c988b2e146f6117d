"""Metrics of an evaluation, in the form of the losses: a sum and what it is divided by, so that batches add up exactly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tensorlite import Tensor

__all__ = ["Metric", "accuracy", "exact_match"]

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
