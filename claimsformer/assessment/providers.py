"""The experiment on real labels of providers: the transformer over a provider's claims next to LightGBM on statistics.

Four of the five folds by provider are public (`providers_data`). Each fold is scored by models that saw the other folds'
providers alone. Three views, because one figure misleads here: the provider's; the claim's, where a claim seen alone says
next to nothing about the label of its provider; and the volume-free one, because most of the signal is size.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from claimsformer.assessment.baselines import lightgbm_scores
from claimsformer.assessment.calibration import logistic_regression
from claimsformer.assessment.metrics import auprc, auroc
from claimsformer.assessment.providers_data import VOLUME, ProviderSet, load_provider_set, provider_statistics
from claimsformer.assessment.providers_model import PiecewiseLinear, ProviderModelConfig
from claimsformer.assessment.providers_training import ProviderScorer, ProviderTraining, claim_measurements
from claimsformer.assessment.splits import check_disjoint
from claimsformer.errors import MissingExtraError

__all__ = ["AdditiveScorer", "run"]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Tell = Callable[[str], None]
Scores = dict[str, Floats]

OURS: Final = "transformer and statistics"
ALONE: Final = "transformer alone"
TREES: Final = "LightGBM on statistics"
# What grows with the number of claims, though it is no total: the largest of more values is larger.
_GROWING: Final = ("_max", "_per_", "_evenness", "_top_share")


class AdditiveScorer:
    """An additive logistic model of provider statistics: each in piecewise-linear encoding, the `n_kept` that move the
    score most in a first fit are kept for a second one."""

    def __init__(self, n_kept: int = 24, ridge: tuple[float, float] = (16.0, 5.0)) -> None:
        self.n_kept, self.ridge = n_kept, ridge

    def fit(self, statistics: Floats, labels: Bools) -> AdditiveScorer:
        """Learn from (P, S) and (P,)."""
        self._encode = PiecewiseLinear.fit(statistics)
        encoded = self._encode(statistics).astype(np.float64)
        widths = np.array([len(edges) for edges in self._encode.edges])  # bins, and one for a missing value
        ends = np.cumsum(widths)
        first = logistic_regression(encoded, labels.astype(np.float64), ridge=self.ridge[0], steps=12)
        moved = [float((encoded[:, e - w : e] @ first[e - w : e]).std()) for e, w in zip(ends, widths, strict=True)]
        kept = np.sort(np.argsort(-np.array(moved), kind="stable")[: self.n_kept])
        self.kept_ = kept
        self._columns = np.concatenate([np.arange(ends[k] - widths[k], ends[k]) for k in kept])
        self._weights = logistic_regression(
            encoded[:, self._columns], labels.astype(np.float64), ridge=self.ridge[1], steps=12
        )
        return self

    def score(self, statistics: Floats) -> Floats:
        """Log-odds (P,)."""
        encoded = self._encode(statistics).astype(np.float64)[:, self._columns]
        found: Floats = encoded @ self._weights[:-1] + self._weights[-1]
        return found


def run(
    folder: str | Path,
    *,
    training: ProviderTraining | None = None,
    n_bootstrap: int = 500,
    tell: Tell = print,
) -> dict[str, Any]:
    """Train and score every fold that is there; returns every figure as JSON values. LightGBM needs the extra `eval`."""
    started = time.perf_counter()
    data = load_provider_set(folder)
    table = provider_statistics(data.claims)
    training = training or ProviderTraining()
    folds: dict[int, tuple[Ints, Scores, dict[str, float]]] = {}
    left_out: list[str] = []
    for fold in sorted(set(data.folds.tolist())):
        train, test = np.flatnonzero(data.folds != fold), np.flatnonzero(data.folds == fold)
        sides = [pl.DataFrame({"provider": [data.providers[k] for k in rows]}) for rows in (train, test)]
        check_disjoint(sides[0], sides[1], "provider")
        scores, left_out = _fold(data, table, train, test, training)
        folds[fold] = (test, scores, _claim_level(data, train, test, scores))
        figures = ", ".join(f"{n} {auroc(data.labels[test], s):.3f}" for n, s in scores.items())
        tell(f"fold {fold}: AUROC {figures} ({time.perf_counter() - started:.0f} s)")
    labelled = [(data.labels[test], scores) for test, scores, _ in folds.values()]
    methods = list(labelled[0][1])
    return {
        "providers": len(data),
        "positive": int(data.labels.sum()),
        "claims": data.claims.height,
        "folds": {
            str(fold): {n: {"auroc": round(auroc(data.labels[test], s), 4), "auprc": round(auprc(data.labels[test], s), 4)}
                        for n, s in scores.items()}
            for fold, (test, scores, _) in folds.items()
        },
        "mean": {name: _mean(labelled, name, n_bootstrap) for name in methods},
        "ahead_of_lightgbm": {} if TREES not in methods else {
            name: _mean(labelled, name, n_bootstrap, TREES) for name in methods if name != TREES
        },
        "within_size_quintiles": {
            name: round(float(np.mean([_within_size(data, test, s[name]) for test, s, _ in folds.values()])), 4)
            for name in methods
        },
        "claim_level": {
            name: round(float(np.mean([level[name] for _, _, level in folds.values()])), 4)
            for name in next(iter(folds.values()))[2]
        },
        "left_out": left_out,
        "seconds": round(time.perf_counter() - started, 1),
    }  # fmt: skip


def _fold(
    data: ProviderSet, table: pl.DataFrame, train: Ints, test: Ints, training: ProviderTraining
) -> tuple[Scores, list[str]]:
    columns = table.columns[1:]
    statistics = table.select(pl.col(columns).cast(pl.Float64)).to_numpy()
    free = [k for k, name in enumerate(columns) if _volume_free(name)]
    known = data.labels[train]
    alone = ProviderScorer(ProviderModelConfig(), training).fit(data, train)
    without = ProviderScorer(
        ProviderModelConfig(counts=False), replace(training, n_models=max(1, training.n_models - 1))
    ).fit(data, train)
    scores: Scores = {ALONE: alone.score(data, test)}
    scores["statistics alone, additive"] = AdditiveScorer().fit(statistics[train], known).score(statistics[test])
    scores[OURS] = (scores[ALONE] + scores["statistics alone, additive"]) / 2
    scores["number of claims"] = data.sizes[test].astype(np.float64)
    scores["transformer, volume-free"] = without.score(data, test)
    left_out = []
    try:
        scores[TREES] = _log_odds(lightgbm_scores(statistics[train], known, statistics[test]))
        scores[f"{OURS} and LightGBM"] = (scores[OURS] + scores[TREES]) / 2
        volume_free = statistics[:, free]
        scores["LightGBM, volume-free"] = lightgbm_scores(volume_free[train], known, volume_free[test])
    except MissingExtraError as error:
        left_out.append(f"LightGBM: {error.message}; {error.hint}")
    scores["_single claims"] = alone.score_claims(data, test)
    return scores, left_out


def _volume_free(name: str) -> bool:
    return name not in VOLUME and not any(part in name for part in _GROWING)


def _log_odds(probabilities: Floats) -> Floats:
    p = np.clip(probabilities, 1e-6, 1 - 1e-6)
    found: Floats = np.log(p / (1 - p))
    return found


def _claim_level(data: ProviderSet, train: Ints, test: Ints, scores: Scores) -> dict[str, float]:
    """AUROC over claims, each with its provider's label: a claim seen alone, and its provider's score."""
    owner = data.owner
    places = np.flatnonzero(np.isin(owner, test))
    labels = data.labels[owner[places]]
    where = np.full(len(data), -1)
    where[test] = np.arange(len(test))
    found = {"a claim seen alone, transformer": auroc(labels, scores.pop("_single claims"))}
    measured = claim_measurements(data.claims, counts=False)
    mine = np.isin(owner, train)
    if TREES in scores:
        alone = lightgbm_scores(measured[mine], data.labels[owner[mine]], measured[places])
        found["a claim seen alone, LightGBM"] = auroc(labels, alone)
    for name in (ALONE, OURS, TREES):
        if name in scores:
            found[f"the provider's score, {name}"] = auroc(labels, scores[name][where[owner[places]]])
    return found


def _within_size(data: ProviderSet, test: Ints, scores: Floats) -> float:
    """Mean AUROC within fifths of providers by number of claims, where both kinds are there."""
    order = np.argsort(data.sizes[test], kind="stable")
    found = []
    for part in np.array_split(order, 5):
        labels = data.labels[test][part]
        if labels.any() and not labels.all():
            found.append(auroc(labels, scores[part]))
    return float(np.mean(found))


def _mean(labelled: list[tuple[Bools, Scores]], name: str, n: int, versus: str | None = None) -> dict[str, list[float]]:
    """[mean over folds, low, high] of each figure (or of its lead over `versus`), providers resampled within folds."""
    rng = np.random.default_rng(0)
    found: dict[str, list[float]] = {}
    for figure in (auroc, auprc):
        draws = []
        for k in range(n + 1):
            values = []
            for labels, scores in labelled:
                rows = np.arange(len(labels)) if k == 0 else rng.integers(len(labels), size=len(labels))
                value = figure(labels[rows], scores[name][rows])
                values.append(value - (0.0 if versus is None else figure(labels[rows], scores[versus][rows])))
            draws.append(float(np.mean(values)))
        low, high = np.quantile(draws[1:], [0.025, 0.975]).tolist() if n else (draws[0], draws[0])
        found[figure.__name__] = [round(v, 4) for v in (draws[0], low, high)]
    return found
