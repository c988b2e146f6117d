"""Figures of merit with bootstrap intervals: ranking, calibration, localisation, money."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from claimsformer.assessment.costs import Costs
from claimsformer.errors import ConfigError

__all__ = [
    "Interval",
    "auprc",
    "auroc",
    "bootstrap",
    "bootstrap_difference",
    "brier",
    "ece",
    "net_dollars",
    "precision_at",
    "reliability",
]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Interval:
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def _check(labels: Bools) -> None:
    if labels.all() or not labels.any():
        raise ConfigError("this figure needs both ordinary and suspicious claims")


def auroc(labels: Bools, scores: Floats) -> float:
    """Probability that a suspicious claim scores above an ordinary one, ties counted as half (Mann and Whitney 1947)."""
    _check(labels)
    values, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    del values
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    n, m = int(labels.sum()), int((~labels).sum())
    return float((ranks[labels].sum() - n * (n + 1) / 2) / (n * m))


def auprc(labels: Bools, scores: Floats) -> float:
    """Average precision: precision at each distinct threshold, weighted by the recall it adds."""
    _check(labels)
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(labels[order])
    last = np.r_[np.flatnonzero(np.diff(scores[order])), len(scores) - 1]
    recall = hits[last] / labels.sum()
    return float(np.sum(np.diff(recall, prepend=0.0) * hits[last] / (last + 1)))


def precision_at(labels: Bools, scores: Floats, k: int) -> float:
    """Share of suspicious claims among the `k` that score highest."""
    return float(labels[np.argsort(-scores, kind="stable")[:k]].mean())


def brier(labels: Bools, probabilities: Floats) -> float:
    """Mean squared error of the probabilities (Brier 1950)."""
    return float(np.mean((probabilities - labels) ** 2))


def reliability(labels: Bools, probabilities: Floats, bins: int = 10) -> list[tuple[float, float, int]]:
    """(mean probability, observed share, claims) of each tenth of the scale that holds a claim."""
    place = np.minimum((probabilities * bins).astype(np.int64), bins - 1)
    return [
        (float(probabilities[place == k].mean()), float(labels[place == k].mean()), int((place == k).sum()))
        for k in range(bins)
        if (place == k).any()
    ]


def ece(labels: Bools, probabilities: Floats, bins: int = 10) -> float:
    """Expected calibration error: distance of mean probability from observed share, weighted by claims."""
    return sum(n * abs(p - share) for p, share, n in reliability(labels, probabilities, bins)) / len(labels)


def net_dollars(labels: Bools, reviewed: Bools, amount: Floats, costs: Costs) -> float:
    """What reviewing these claims brings in, in US dollars: recoveries less reviews and the trouble of false alarms."""
    found = reviewed & labels
    gain = costs.recoverable_share * float(np.maximum(amount[found], 0).sum())
    return gain - costs.review_cost * int(reviewed.sum()) - costs.abrasion_cost * int((reviewed & ~labels).sum())


def bootstrap(
    figure: Callable[[Bools, Floats], float],
    labels: Bools,
    scores: Floats,
    *,
    groups: npt.NDArray[np.int64] | None = None,
    n: int = 200,
    seed: int = 0,
) -> Interval:
    """The figure with a percentile interval over resampled claims, or over resampled groups (members) of claims."""
    rng = np.random.default_rng(seed)
    found = []
    members = None if groups is None else _rows_by_group(groups)
    for _ in range(n):
        if members is None:
            rows = rng.integers(len(labels), size=len(labels))
        else:
            rows = np.concatenate([members[g] for g in rng.integers(len(members), size=len(members))])
        if labels[rows].any() and not labels[rows].all():
            found.append(figure(labels[rows], scores[rows]))
    low, high = np.quantile(found, [0.025, 0.975])
    return Interval(figure(labels, scores), float(low), float(high))


def bootstrap_difference(
    figure: Callable[[Bools, Floats], float],
    labels: Bools,
    ours: Floats,
    theirs: Floats,
    *,
    n: int = 200,
    seed: int = 0,
) -> Interval:
    """By how much the figure of `ours` exceeds that of `theirs`, with a percentile interval over the same resampled
    claims for both."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(n):
        rows = rng.integers(len(labels), size=len(labels))
        if labels[rows].any() and not labels[rows].all():
            found.append(figure(labels[rows], ours[rows]) - figure(labels[rows], theirs[rows]))
    low, high = np.quantile(found, [0.025, 0.975])
    return Interval(figure(labels, ours) - figure(labels, theirs), float(low), float(high))


def _rows_by_group(groups: npt.NDArray[np.int64]) -> list[npt.NDArray[np.int64]]:
    order = np.argsort(groups, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(groups[order])) + 1)


def by_group(labels: Bools, scores: Floats, groups: npt.NDArray[np.object_]) -> dict[str, float]:
    """AUROC within each group that holds both kinds of claims."""
    found = {}
    for name in sorted({str(g) for g in groups}):
        inside = groups.astype(str) == name
        if labels[inside].any() and not labels[inside].all():
            found[name] = auroc(labels[inside], scores[inside])
    return found
