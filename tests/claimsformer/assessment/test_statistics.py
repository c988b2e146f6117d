"""Calibration, conformal p-values and queues against formulas and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from claimsformer.assessment.calibration import (
    Calibrator,
    isotonic_regression,
    logistic_regression,
    logistic_regression_with_signs,
)
from claimsformer.assessment.costs import Costs
from claimsformer.assessment.fusion import class_weights
from claimsformer.assessment.metrics import auroc
from claimsformer.assessment.neural_head import NeuralHead
from claimsformer.assessment.surprise import Calibration, Surprises, benjamini_hochberg, conformal_p
from claimsformer.errors import ConfigError


@given(hnp.arrays(np.float64, st.integers(1, 30), elements=st.floats(-5, 5)))
def test_isotonic_regression_rises_keeps_the_mean_and_is_the_nearest(y: np.ndarray) -> None:
    fit = isotonic_regression(y)
    assert (np.diff(fit) >= -1e-12).all()
    assert fit.sum() == pytest.approx(y.sum(), abs=1e-9)
    # Nearest: no other rising sequence, such as a constant or the running maximum, is nearer.
    for other in (np.full(len(y), y.mean()), np.maximum.accumulate(y), np.sort(y)):
        assert ((fit - y) ** 2).sum() <= ((other - y) ** 2).sum() + 1e-9


def test_isotonic_and_logistic_agree_with_scikit_learn() -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    isotonic = pytest.importorskip("sklearn.isotonic")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 4))
    y = rng.random(300) < 1 / (1 + np.exp(-x[:, 0] + 1))
    ours = logistic_regression(x, y.astype(float), ridge=0.5)
    theirs = linear_model.LogisticRegression(C=1.0, tol=1e-10, max_iter=1000).fit(x, y)
    np.testing.assert_allclose(ours[:-1], theirs.coef_[0], atol=1e-5)
    np.testing.assert_allclose(ours[-1], theirs.intercept_[0], atol=1e-5)
    order = np.argsort(x[:, 0])
    theirs_steps = isotonic.IsotonicRegression().fit_transform(x[order, 0], y[order].astype(float))
    np.testing.assert_allclose(isotonic_regression(y[order].astype(float)), theirs_steps, atol=1e-12)


@pytest.mark.parametrize("kind", ["platt", "isotonic"])
def test_calibrated_probabilities_are_right_on_average_and_keep_the_order(kind: str) -> None:
    rng = np.random.default_rng(1)
    scores = rng.normal(size=4000)
    truth = 1 / (1 + np.exp(-(2 * scores - 1)))
    calibrator = Calibrator.fit(scores, rng.random(4000) < truth, kind)
    found = calibrator(scores)
    assert np.abs(found - truth).mean() < 0.04
    assert (np.diff(found[np.argsort(scores)]) >= -1e-12).all()
    assert ((found > 0) & (found < 1)).all()
    again = Calibrator.from_dict(calibrator.to_dict())
    np.testing.assert_array_equal(again(scores), found)


def test_calibration_needs_both_kinds() -> None:
    with pytest.raises(ConfigError, match="both"):
        Calibrator.fit(np.arange(5.0), np.zeros(5, dtype=bool))


def test_conformal_p_by_counting() -> None:
    calibration = np.array([1.0, 2.0, 2.0, 5.0])
    np.testing.assert_allclose(conformal_p(np.array([0.0, 2.0, 2.1, 5.0, 6.0]), calibration), [1, 0.8, 0.4, 0.4, 0.2])


def test_claim_p_values_of_exchangeable_claims_are_not_too_small() -> None:
    rng = np.random.default_rng(2)

    def draw(n: int) -> Surprises:
        values = rng.gamma(1.0, 2.0, size=(n, 3)) * np.array([1.0, 3.0, 0.2])
        values[rng.random((n, 3)) < 0.2] = np.nan
        values[:, 0] = np.where(np.isnan(values[:, 0]), 1.0, values[:, 0])
        return Surprises(("a", "b", "c"), values, np.zeros((n, 3), dtype=np.int64))

    calibration = Calibration.fit(draw(2000))
    fresh = draw(4000)
    p = calibration.claim_p(calibration.evidence(fresh).max(axis=1))
    for level in (0.01, 0.05, 0.2, 0.5):
        assert (p <= level).mean() <= level + 3 * np.sqrt(level / 2000)
    assert abs((p <= 0.2).mean() - 0.2) < 0.04
    again = Calibration.from_arrays(calibration.fields, calibration.to_arrays())
    np.testing.assert_allclose(again.evidence(fresh), calibration.evidence(fresh), atol=0.02)


def test_a_bounded_answer_is_no_rarer_than_it_says_of_itself() -> None:
    rng = np.random.default_rng(5)

    def draw(n: int) -> Surprises:
        # Nearly all alike, as for a number that follows from the rest of the claim; a few are honestly one in ten.
        values = np.column_stack([rng.normal(0.7, 0.02, n), rng.normal(0.7, 0.02, n)])
        values[rng.random(n) < 0.005] = np.log(10)
        return Surprises(("a", "b"), values, np.zeros((n, 2), dtype=np.int64))

    calibration = Calibration.fit(draw(3000), bounded=("a",))
    fresh = draw(5000)
    evidence = calibration.evidence(fresh)
    assert (evidence[:, 0] <= np.maximum(fresh.values[:, 0] / np.log(10), 0) + 1e-12).all()
    odd = fresh.values[:, 0] > 2
    assert evidence[odd, 0] == pytest.approx(1.0)
    assert (evidence[odd, 1] > 3).all()  # the tail of the alike runs away with them
    missing = Surprises(("a", "b"), np.full((1, 2), np.nan), np.zeros((1, 2), dtype=np.int64))
    assert not calibration.evidence(missing).any()
    again = Calibration.from_arrays(calibration.fields, calibration.to_arrays())
    assert again.bounded == ("a",)
    np.testing.assert_allclose(again.evidence(fresh), evidence, atol=0.02)
    p = calibration.claim_p(evidence.max(axis=1))
    for level in (0.01, 0.1, 0.5):
        assert (p <= level).mean() <= level + 3 * np.sqrt(level / 3000)


def test_the_queue_bounds_false_alarms() -> None:
    rng = np.random.default_rng(3)
    shares = []
    for _ in range(200):
        p = np.concatenate([rng.random(900), rng.random(100) * 1e-4])
        queued = benjamini_hochberg(p, 0.1)
        shares.append(queued[:900].sum() / max(1, queued.sum()))
        assert queued[900:].mean() > 0.95
    assert np.mean(shares) < 0.1 + 0.01


def test_review_pays_when_the_expected_recovery_exceeds_its_cost() -> None:
    costs = Costs(review_cost=20, abrasion_cost=10, recoverable_share=0.5)
    value = costs.expected_value(np.array([1.0, 0.5, 0.0]), np.array([100.0, 100.0, 100.0]))
    np.testing.assert_allclose(value, [50 - 20, 25 - 20 - 5, -30])
    with pytest.raises(ConfigError, match="unknown costs"):
        Costs.from_dict({"reveiw_cost": 1})


def test_the_neural_head_learns_what_does_not_add_up() -> None:
    rng = np.random.default_rng(4)
    x = rng.normal(size=(1500, 3))
    labels = (x[:, 0] * x[:, 1] > 0.5) & (rng.random(1500) < 0.95)
    head = NeuralHead.fit(x[:1000], labels[:1000], class_weights(labels[:1000]), members=2, epochs=30)
    linear = logistic_regression(x[:1000], labels[:1000].astype(float))
    assert auroc(labels[1000:], head(x[1000:])) > 0.9
    assert auroc(labels[1000:], x[1000:] @ linear[:-1]) < 0.7
    again = NeuralHead.from_dict(head.to_dict())
    np.testing.assert_allclose(again(x), head(x), atol=1e-5)


def test_class_weights_give_both_kinds_the_same_total() -> None:
    labels = np.array([True, False, False, False])
    weights = class_weights(labels)
    assert weights[labels].sum() == pytest.approx(weights[~labels].sum())
    assert weights.mean() == pytest.approx(1)


@pytest.mark.parametrize("seed", range(4))
def test_logistic_regression_with_signs_is_the_bounded_optimum(seed: int) -> None:
    optimize = pytest.importorskip("scipy.optimize")
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(300, 6)) @ rng.normal(size=(6, 6))
    y = (rng.random(300) < 1 / (1 + np.exp(-x @ rng.normal(size=6)))).astype(float)
    weights, signed = rng.uniform(0.5, 2, 300), np.array([True, True, False, True, True, False])
    centre = rng.normal(size=6)

    def objective(b: np.ndarray) -> float:
        z = x @ b[:-1] + b[-1]
        return float(np.sum(weights * (np.logaddexp(0, z) - y * z)) + np.sum((b[:-1] - centre) ** 2))

    found = logistic_regression_with_signs(x, y, signed, weights=weights, centre=centre)
    bounds = [(0 if s else None, None) for s in signed] + [(None, None)]
    best = optimize.minimize(objective, np.zeros(7), bounds=bounds, method="L-BFGS-B", options={"maxiter": 5000})
    assert (found[:-1][signed] >= 0).all()
    assert objective(found) == pytest.approx(best.fun, rel=1e-5)
    free = logistic_regression_with_signs(x, y, np.zeros(6, bool), weights=weights, centre=centre)
    assert free == pytest.approx(logistic_regression(x, y, weights=weights, centre=centre))
