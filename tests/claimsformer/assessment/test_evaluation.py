"""Figures of merit against scikit-learn and worked examples; leaking splits are refused."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from claimsformer.assessment import Costs
from claimsformer.assessment.baselines import ecod
from claimsformer.assessment.curves import GRID, net_dollars_by_threshold, precision_by_recall, roc
from claimsformer.assessment.evaluation import evaluate
from claimsformer.assessment.metrics import auprc, auroc, bootstrap, brier, ece, net_dollars, precision_at
from claimsformer.errors import ConfigError, LeakageError

from .test_processor import fitted, world


def sample(seed: int = 0, n: int = 500) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.random(n) < 0.2
    return labels, np.round(rng.normal(size=n) + labels, 1)  # rounded, so that there are ties


def test_ranking_figures_agree_with_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    for seed in range(5):
        labels, scores = sample(seed)
        assert auroc(labels, scores) == pytest.approx(metrics.roc_auc_score(labels, scores))
        assert auprc(labels, scores) == pytest.approx(metrics.average_precision_score(labels, scores))
        p = 1 / (1 + np.exp(-scores))
        assert brier(labels, p) == pytest.approx(metrics.brier_score_loss(labels, p))


def test_curves_agree_with_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    for seed in range(5):
        labels, scores = sample(seed)
        alarms, found, _ = metrics.roc_curve(labels, scores, drop_intermediate=False)
        assert np.trapezoid(roc(labels, scores, alarms), alarms) == pytest.approx(auroc(labels, scores), abs=0.02)
        once = np.r_[np.flatnonzero(np.diff(alarms)), len(alarms) - 1]
        assert roc(labels, scores, alarms[once]) == pytest.approx(found[once])
        precision, recall, _ = metrics.precision_recall_curve(labels, scores)
        precision, recall = precision[:-1][::-1], recall[:-1][::-1]  # highest score first, without the point added
        first = np.r_[True, np.diff(recall) > 0] & (recall > 0)
        assert precision_by_recall(labels, scores, recall[first]) == pytest.approx(precision[first])


def test_curves_by_hand() -> None:
    labels = np.array([True, False, True, False])
    scores = np.array([0.9, 0.8, 0.3, 0.1])
    assert roc(labels, scores, np.array([0.0, 0.25, 0.5, 1.0])).tolist() == [0.5, 0.75, 1.0, 1.0]
    assert precision_by_recall(labels, scores, np.array([0.5, 0.51, 1.0])) == pytest.approx([1.0, 2 / 3, 2 / 3])
    costs = Costs(review_cost=20, abrasion_cost=10, recoverable_share=0.5)
    net = net_dollars_by_threshold(labels, scores, np.array([200.0, 9.0, 80.0, 7.0]), costs, np.array([0.0, 0.5, 1.0]))
    assert net.tolist() == [140 - 4 * 20 - 2 * 10, 100 - 2 * 20 - 10, 0]


def test_precision_and_calibration_by_hand() -> None:
    labels = np.array([True, False, True, False])
    scores = np.array([0.9, 0.8, 0.3, 0.1])
    assert precision_at(labels, scores, 2) == 0.5
    # Bins 0.9: 1 claim, off by 0.1; 0.8: off by 0.8; 0.3: off by 0.7; 0.1: off by 0.1.
    assert ece(labels, scores) == pytest.approx((0.1 + 0.8 + 0.7 + 0.1) / 4)


def test_net_dollars_by_hand() -> None:
    costs = Costs(review_cost=20, abrasion_cost=10, recoverable_share=0.5)
    value = net_dollars(
        np.array([True, False, True]), np.array([True, True, False]), np.array([200.0, 9.0, 80.0]), costs
    )
    assert value == 0.5 * 200 - 2 * 20 - 10


def test_intervals_hold_the_value_and_shrink_with_more_claims() -> None:
    small, large = (bootstrap(auroc, *sample(1, n), n=100) for n in (200, 3000))
    assert small.low <= small.value <= small.high
    assert large.high - large.low < small.high - small.low


def test_ecod_ranks_a_far_away_point_first() -> None:
    rng = np.random.default_rng(0)
    train = rng.normal(size=(500, 3))
    scores = ecod(train, np.vstack([rng.normal(size=(20, 3)), [[9.0, 9.0, 9.0]]]))
    assert scores.argmax() == 20


def test_evaluation_runs_beside_other_methods() -> None:
    pytest.importorskip("sklearn")
    pytest.importorskip("lightgbm")
    train, test = world(5), world(6)
    some = test.claims[:900]
    renamed = some.with_columns(**{name: "T" + some[name] for name in ("claim_id", "member_id")})
    truth = test.truth.with_columns(claim_id="T" + test.truth["claim_id"])
    truth = truth.filter(pl.col("claim_id").is_in(renamed["claim_id"].implode()))
    known = truth.vstack(train.truth.select(truth.columns))
    found = evaluate(fitted(), train.claims[:1200], renamed, known, n_bootstrap=20)
    by_name = {m.name: m for m in found.methods}
    assert set(by_name) >= {"claimsformer", "isolation forest", "ECOD", "naive Bayes by field",
                            "LightGBM on the raw table"}  # fmt: skip
    assert by_name["claimsformer"].auroc.value > 0.85
    assert found.n_suspicious == truth.height
    assert found.dollars["by expected value"] <= found.dollars["every anomaly and nothing else"]
    for curves in found.curves.values():
        assert set(curves) == set(by_name)
    area = np.trapezoid(found.curves["roc"]["claimsformer"], GRID)
    assert area == pytest.approx(by_name["claimsformer"].auroc.value, abs=0.02)


def test_a_split_that_leaks_is_refused() -> None:
    batch = world(5)
    with pytest.raises(LeakageError):
        evaluate(fitted(), batch.claims[:2000], batch.claims[1500:], batch.truth)


def test_a_truth_of_nobody_is_refused_and_a_list_of_labels_read_as_one() -> None:
    train, test = world(5), world(6)
    renamed = test.claims[:300].with_columns(pl.col("claim_id", "member_id").str.replace("^", "Z"))
    with pytest.raises(ConfigError, match="of the 300 claims to evaluate on, 0 are labelled suspicious"):
        evaluate(fitted(), train.claims[:1200], renamed, test.truth)
    truth = test.truth.with_columns(claim_id=pl.lit("Z") + pl.col("claim_id"))
    ordinary = renamed.join(truth, on="claim_id", how="anti").select("claim_id")
    none = pl.lit(None, pl.String)
    listed = pl.concat(
        [truth.with_columns(suspicious=pl.lit("1")), ordinary.with_columns(suspicious=pl.lit("0"), type=none)],
        how="diagonal_relaxed",
    )
    found = [evaluate(fitted(), train.claims[:1200], renamed, known, n_bootstrap=20) for known in (truth, listed)]
    assert found[0] == found[1]
