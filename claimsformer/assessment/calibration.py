"""From scores to probabilities that mean what they say: Platt scaling and isotonic regression.

Platt (1999) fits a logistic curve, with his smoothed targets against overconfidence; isotonic regression fits the best
rising step function by pooling adjacent violators (Ayer et al. 1955; Zadrozny and Elkan 2002).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from claimsformer.errors import ConfigError

__all__ = ["Calibrator", "isotonic_regression", "logistic_regression", "logistic_regression_with_signs", "platt"]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

ISOTONIC_FROM = 200  # positives from which isotonic steps are worth their freedom


def sigmoid(x: Floats) -> Floats:
    """1 / (1 + e^-x) without overflow."""
    small = np.exp(-np.abs(x))
    result: Floats = np.where(x >= 0, 1.0, small) / (1 + small)
    return result


def logistic_regression(
    x: Floats,
    y: Floats,
    *,
    weights: Floats | None = None,
    ridge: float = 1.0,
    centre: Floats | None = None,
    steps: int = 60,
) -> Floats:
    """Coefficients (D + 1,), the intercept last, of logistic regression with an L2 penalty; Newton's method.

    `y` may hold probabilities; `ridge` is half the inverse variance of a normal prior, around `centre` (by default 0), the
    intercept is free.
    """
    design = np.column_stack([x, np.ones(len(x))])
    penalty = np.full(design.shape[1], 2 * ridge)
    penalty[-1] = 1e-9
    w = np.ones(len(x)) if weights is None else weights
    mean = np.zeros(design.shape[1])
    if centre is not None:
        mean[:-1] = centre
    beta = mean.copy()

    def objective(b: Floats) -> float:
        z = design @ b
        return float(np.sum(w * (np.logaddexp(0, z) - y * z)) + 0.5 * np.sum(penalty * (b - mean) ** 2))

    current = objective(beta)
    for _ in range(steps):
        p = sigmoid(design @ beta)
        gradient = design.T @ (w * (p - y)) + penalty * (beta - mean)
        hessian = (design * (w * p * (1 - p))[:, None]).T @ design + np.diag(penalty)
        step = np.linalg.solve(hessian, gradient)
        size = 1.0
        while size > 1e-6 and objective(beta - size * step) > current:
            size /= 2
        beta = beta - size * step
        previous, current = current, objective(beta)
        if previous - current < 1e-10 * max(1.0, abs(current)):
            break
    return beta


def logistic_regression_with_signs(
    x: Floats,
    y: Floats,
    not_negative: Bools,
    *,
    weights: Floats | None = None,
    ridge: float = 1.0,
    centre: Floats | None = None,
) -> Floats:
    """As `logistic_regression`, with no coefficient below 0 where `not_negative` (D,) is true; by active sets."""
    mean = np.zeros(x.shape[1]) if centre is None else centre
    at_zero = np.zeros(x.shape[1], dtype=np.bool_)
    w = np.ones(len(x)) if weights is None else weights
    for _ in range(30):
        free = np.flatnonzero(~at_zero)
        fitted = logistic_regression(x[:, free], y, weights=weights, ridge=ridge, centre=mean[free])
        beta = np.zeros(x.shape[1] + 1)
        beta[free], beta[-1] = fitted[:-1], fitted[-1]
        below = not_negative & (beta[:-1] < 0)
        if below.any():
            at_zero |= below
            continue
        slope = x.T @ (w * (sigmoid(x @ beta[:-1] + beta[-1]) - y)) + 2 * ridge * (beta[:-1] - mean)
        better = at_zero & (slope < -1e-6 * len(x))
        if not better.any():
            break
        at_zero &= ~better
    return np.where(np.append(not_negative, False), np.maximum(beta, 0.0), beta)


def platt(scores: Floats, labels: Bools) -> tuple[float, float]:
    """Slope and intercept of Platt's logistic curve on scores."""
    positives = int(labels.sum())
    high, low = (positives + 1) / (positives + 2), 1 / (len(labels) - positives + 2)
    slope, intercept = logistic_regression(scores[:, None], np.where(labels, high, low), ridge=1e-6)
    return float(slope), float(intercept)


def isotonic_regression(y: Floats, weights: Floats | None = None) -> Floats:
    """The non-decreasing sequence nearest to `y` in weighted squares; pools adjacent violators in one pass."""
    w = np.ones(len(y)) if weights is None else weights
    means: list[float] = []
    masses: list[float] = []
    sizes: list[int] = []
    for value, mass in zip(y.tolist(), w.tolist(), strict=True):
        means.append(value)
        masses.append(mass)
        sizes.append(1)
        while len(means) > 1 and means[-2] >= means[-1]:
            mass_b, mean_b, size_b = masses.pop(), means.pop(), sizes.pop()
            total = masses[-1] + mass_b
            means[-1] = (masses[-1] * means[-1] + mass_b * mean_b) / total
            masses[-1], sizes[-1] = total, sizes[-1] + size_b
    return np.repeat(means, sizes)


class Calibrator:
    """A rising map from scores to probabilities: points to interpolate between, after a logistic curve if need be."""

    def __init__(self, kind: str, x: Floats, y: Floats) -> None:
        self.kind, self.x, self.y = kind, np.asarray(x, np.float64), np.asarray(y, np.float64)

    @classmethod
    def fit(cls, scores: Floats, labels: Bools, kind: str = "auto") -> Calibrator:
        """`kind` is "platt", "isotonic", or "auto": isotonic from two hundred positives on, else Platt.

        Raises ConfigError when one of the two classes is missing.
        """
        if labels.all() or not labels.any():
            raise ConfigError("calibration needs both ordinary and suspicious claims")
        if kind == "auto":
            kind = "isotonic" if labels.sum() >= ISOTONIC_FROM else "platt"
        if kind == "platt":
            return cls("platt", np.array(platt(scores, labels)), np.empty(0))
        if kind != "isotonic":
            raise ConfigError(f"kind must be 'platt', 'isotonic' or 'auto', got {kind!r}")
        values, first, counts = np.unique(scores, return_index=True, return_counts=True)
        order = np.argsort(scores, kind="stable")
        sums = np.add.reduceat(labels[order].astype(np.float64), np.searchsorted(scores[order], values))
        del first
        steps = isotonic_regression(sums / counts, counts.astype(np.float64))
        # Never certain: half a claim of doubt at either end (Laplace's rule on the end blocks).
        floor, ceiling = 0.5 / (counts.sum() + 1), 1 - 0.5 / (labels.sum() + 1)
        kept = np.flatnonzero(np.r_[True, np.diff(steps) > 0] | np.r_[np.diff(steps) > 0, True])
        return cls("isotonic", values[kept], np.clip(steps[kept], floor, ceiling))

    def __call__(self, scores: Floats) -> Floats:
        """Probabilities (N,)."""
        if self.kind == "platt":
            return sigmoid(self.x[0] * scores + self.x[1])
        result: Floats = np.interp(scores, self.x, self.y)
        return result

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {"kind": self.kind, "x": self.x.tolist(), "y": self.y.tolist()}

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Calibrator:
        """The calibrator that `to_dict` described."""
        return cls(state["kind"], np.array(state["x"], np.float64), np.array(state["y"], np.float64))
