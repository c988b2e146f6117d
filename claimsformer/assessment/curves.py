"""Curves of a score against known truth, read off at given places, so that those of several methods share an axis."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from claimsformer.assessment.costs import Costs
from claimsformer.assessment.metrics import net_dollars

__all__ = ["GRID", "net_dollars_by_threshold", "precision_by_recall", "roc"]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
GRID: Final[Floats] = np.linspace(0.0, 1.0, 101)


def _counts(labels: Bools, scores: Floats) -> tuple[Floats, Floats]:
    """Suspicious and ordinary claims that score at least as high as each distinct score, highest first, after (0, 0)."""
    order = np.argsort(-scores, kind="stable")
    last = np.r_[np.flatnonzero(np.diff(scores[order])), len(scores) - 1]
    hits = np.cumsum(labels[order])[last].astype(np.float64)
    return np.r_[0.0, hits], np.r_[0.0, last + 1 - hits]


def roc(labels: Bools, scores: Floats, at: Floats = GRID) -> Floats:
    """True positive rate at each false positive rate of `at`; between two thresholds, on the line from one to the other."""
    hits, alarms = _counts(labels, scores)
    rate, found = alarms / alarms[-1], hits / hits[-1]
    last = np.r_[np.flatnonzero(np.diff(rate)), len(rate) - 1]  # of equal false positive rates the best threshold
    values: Floats = np.interp(at, rate[last], found[last])
    return values


def precision_by_recall(labels: Bools, scores: Floats, at: Floats = GRID[1:]) -> Floats:
    """Precision at the first threshold that finds at least each share of `at` of the suspicious claims."""
    hits, alarms = _counts(labels, scores)
    reached = np.searchsorted(hits, np.maximum(at * hits[-1] - 1e-9, 1e-9))
    values: Floats = hits[reached] / (hits[reached] + alarms[reached])
    return values


def net_dollars_by_threshold(
    labels: Bools, probabilities: Floats, amounts: Floats, costs: Costs, at: Floats = GRID
) -> Floats:
    """US dollars that reviewing every claim from each probability of `at` on would have brought in."""
    return np.array([net_dollars(labels, probabilities >= t, amounts, costs) for t in at])
