"""Heads that are calibrated crosswise, remedies for imbalance, and the table that other methods read."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest

from claimsformer.assessment.baselines import raw_table
from claimsformer.assessment.edits import EDITS
from claimsformer.assessment.fusion import Evidence, Fusion
from claimsformer.assessment.metrics import auroc, bootstrap_difference, ece
from claimsformer.assessment.neural_head import NeuralHead
from claimsformer.assessment.splits import member_folds
from claimsformer.tokenizer.fields import ClaimSpec, FieldSpec


def evidence(n: int, seed: int, details: bool = False) -> tuple[Evidence, np.ndarray]:
    rng = np.random.default_rng(seed)
    fields, hint = rng.exponential(size=(n, 3)), rng.normal(size=n)
    labels = rng.random(n) < 1 / (1 + np.exp(3 - 1.5 * fields[:, 0] - 2 * hint))
    return Evidence(
        tuple(EDITS), np.zeros((n, len(EDITS)), bool), ("a", "b", "c"), fields, rng.random(n), np.ones(n),
        hint[:, None] if details else None,
    ), labels  # fmt: skip


def test_a_member_is_in_one_fold() -> None:
    members = pl.Series([f"M{k // 3}" for k in range(600)])
    folds = member_folds(members, 5)
    assert pl.DataFrame({"m": members, "f": folds}).group_by("m").agg(pl.col("f").n_unique())["f"].max() == 1
    assert np.bincount(folds, minlength=5).min() > 60


def test_probabilities_of_a_crossed_head_are_calibrated_on_new_claims() -> None:
    learned, labels = evidence(3000, 1)
    fusion = Fusion.fit_crossed(learned, labels, np.arange(3000) % 5)
    new, truth = evidence(4000, 2)
    assert fusion.calibrated
    # The head weighs both classes alike, so that without calibration it is far off; 0.02 is what chance alone gives.
    assert ece(truth, fusion.probability(new)) < 0.05 < ece(truth, 1 / (1 + np.exp(-fusion.rank(new))))


def test_details_reach_the_head_and_not_the_score() -> None:
    plain, with_details = evidence(2000, 3)[0], evidence(2000, 3, details=True)[0]
    assert (plain.score == with_details.score).all()
    assert with_details.features().shape[1] == plain.features().shape[1] + 1
    both = Evidence.concatenate([with_details.take(slice(0, 700)), with_details.take(slice(700, None))])
    assert (both.features() == with_details.features()).all()
    labels = evidence(2000, 3)[1]
    folds = np.arange(2000) % 4
    new, truth = evidence(3000, 4, details=True)
    without = Evidence(new.edits, new.flags, new.names, new.fields, new.claim_p, new.amount)
    better = auroc(truth, Fusion.fit_crossed(with_details, labels, folds).rank(new))
    assert better > auroc(truth, Fusion.fit_crossed(plain, labels, folds).rank(without)) + 0.05


def test_without_labels_an_edit_counts_by_how_rare_it_is() -> None:
    flags = np.zeros((3, len(EDITS)), bool)
    flags[1, 0], flags[2, 1] = True, True
    edit_p = np.full(len(EDITS), 0.5)
    edit_p[:2] = 0.01, 0.0001
    found = Evidence(tuple(EDITS), flags, ("a",), np.full((3, 1), 3.0), np.full(3, 0.001), np.ones(3))
    fusion = Fusion(0.05, edit_p=edit_p)
    # One claim in a hundred is no news where the model says one in a thousand; one in ten thousand is.
    assert fusion.rank(found)[0] == fusion.rank(found)[1] < fusion.rank(found)[2]
    again = Fusion.from_dict(fusion.to_dict())
    assert (again.probability(found) == fusion.probability(found)).all()
    assert not again.calibrated


@pytest.mark.parametrize("focus", [0.0, 2.0])
def test_the_network_learns_with_either_loss(focus: float) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3000, 4))
    y = x[:, 0] * x[:, 1] > 0.8  # no linear head finds a product
    head = NeuralHead.fit(x[:2000], y[:2000], np.ones(2000), members=1, focus=focus)
    assert auroc(y[2000:], head(x[2000:])) > 0.9


def test_the_margin_is_the_difference_and_holds_its_interval() -> None:
    rng = np.random.default_rng(5)
    labels = rng.random(800) < 0.2
    good, bad = labels + rng.normal(size=800) * 0.7, labels + rng.normal(size=800) * 3
    margin = bootstrap_difference(auroc, labels, good, bad, n=50)
    assert margin.value == pytest.approx(auroc(labels, good) - auroc(labels, bad))
    assert 0 < margin.low < margin.value < margin.high
    same = bootstrap_difference(auroc, labels, good, good, n=20)
    assert (same.value, same.low, same.high) == (0, 0, 0)


def test_days_and_ratios_are_numbers_in_the_raw_table() -> None:
    spec = ClaimSpec(
        "x",
        (
            FieldSpec("state", "category"),
            FieldSpec("provider_state", "category"),
            FieldSpec("stay", "days", columns=("thru",), since="from"),
            FieldSpec("ratio", "ratio", columns=("amt",), by="drg"),
        ),
    )
    day = dt.date(2009, 5, 1)
    frame = pl.DataFrame(
        {
            "state": ["05"] * 4,
            "provider_state": ["05", "05", "05", "10"],
            "from": [day] * 4,
            "thru": [day + dt.timedelta(days=k) for k in range(4)],
            "drg": ["470", "470", "871", "871"],
            "amt": [100.0, 300.0, 0.0, 0.0],
        }
    )
    table, same = raw_table(frame, frame, spec)
    assert (table == same).all()
    assert table[:, 2].tolist() == [0, 1, 2, 3]
    # A group whose median is nothing has the median of all, 50.
    assert table[:, 3].tolist() == [0.5, 1.5, 0, 0]
    assert table[:, 4].tolist() == [1, 1, 1, 0]
