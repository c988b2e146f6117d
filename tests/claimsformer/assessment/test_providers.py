"""Providers as sets of claims: folds, statistics, the set transformer, and the experiment on the public labels."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import tensorlite as tl
from claimsformer.assessment.metrics import auroc
from claimsformer.assessment.providers import AdditiveScorer, run
from claimsformer.assessment.providers_data import VOLUME, ProviderSet, fold_of, provider_set, provider_statistics
from claimsformer.assessment.providers_model import PiecewiseLinear, ProviderModelConfig, ProviderTransformer
from claimsformer.assessment.providers_training import (
    ProviderScorer,
    ProviderTraining,
    claim_measurements,
    draw_claims,
)
from claimsformer.claims.frames import claims_schema
from claimsformer.errors import ReadError

DATA = Path(os.environ.get("CLAIMSFORMER_DATA", "../shared/data")) / "provider_fraud"
ANNUAL = ("IPAnnualReimbursementAmt", "OPAnnualReimbursementAmt", "IPAnnualDeductibleAmt")


def made(n_providers: int = 60, seed: int = 0, long_stays: bool = True) -> ProviderSet:
    """Providers of 1 to 12 stays each; half are positive, and these have (if asked for) one stay of thirty days."""
    rng = np.random.default_rng(seed)
    rows: list[dict[str, object]] = []
    labels = {f"P{k:03d}": bool(k % 2) for k in range(n_providers)}
    for name, label in labels.items():
        n = int(rng.integers(1, 13))
        special = int(rng.integers(n))
        for i in range(n):
            first = dt.date(2009, 1, 1) + dt.timedelta(days=int(rng.integers(300)))
            days = 30 if label and long_stays and i == special else int(rng.integers(1, 8))
            rows.append({
                "claim_id": f"C{len(rows)}", "claim_type": "institutional", "member_id": f"M{rng.integers(200)}",
                "member_sex": "F", "member_birth_date": dt.date(1940, 1, 1), "member_race": "1",
                "member_state": "PA", "billing_provider_id": name, "service_from": first,
                "service_thru": first + dt.timedelta(days=days), "code_system": "icd9", "diagnoses": ["4280", "25000"],
                "attending_provider_id": f"A{rng.integers(3)}", "drg": "293", "procedures": [],
                "member_conditions": ["diabetes"], "lines": [],
            })  # fmt: skip
    frame = pl.DataFrame(rows, schema={k: t for k, t in claims_schema().items() if k in rows[0]})
    missing = [pl.lit(None, dtype=t).alias(k) for k, t in claims_schema().items() if k not in frame.columns]
    frame = frame.with_columns(*missing, *(pl.lit("1000").alias(name) for name in ANNUAL))
    frame = frame.with_columns(
        paid_amount=pl.Series(rng.integers(1000, 20000, frame.height)).cast(pl.Decimal(18, 2)),
        deductible_amount=pl.lit(1068).cast(pl.Decimal(18, 2)),
    )
    known = pl.DataFrame({"billing_provider_id": list(labels), "label": list(labels.values())})
    return provider_set(frame, known)


def test_the_fold_is_that_of_the_published_rule() -> None:
    for name in ("PRV51001", "PRV57763"):
        digits = hashlib.sha256(f"claims-v1|{name}".encode()).hexdigest()[:8]
        assert fold_of(name) == int(digits, 16) % 5


def test_claims_stand_by_their_provider() -> None:
    data = made()
    names = data.claims["billing_provider_id"].to_list()
    assert [data.providers[k] for k in data.owner] == names
    assert data.sizes.sum() == data.claims.height
    assert data.labels.sum() == 30


def test_a_provider_without_a_label_is_refused_without_its_number() -> None:
    data = made(4)
    with pytest.raises(ReadError, match="1 providers") as error:
        provider_set(data.claims, pl.DataFrame({"billing_provider_id": data.providers[1:], "label": [True] * 3}))
    assert data.providers[0] not in str(error.value)


def test_statistics_are_those_of_numpy() -> None:
    data = made()
    table = provider_statistics(data.claims)
    assert tuple(table["billing_provider_id"]) == data.providers
    assert set(VOLUME) < set(table.columns)
    days = (data.claims["service_thru"] - data.claims["service_from"]).dt.total_days().to_numpy()
    paid = data.claims["paid_amount"].cast(pl.Float64).to_numpy()
    for k, row in enumerate(table.iter_rows(named=True)):
        mine = slice(data.starts[k], data.starts[k + 1])
        assert row["claims"] == data.sizes[k]
        assert row["days_max"] == days[mine].max()
        assert row["amount_total"] == pytest.approx(paid[mine].sum())
        assert row["members"] == data.claims["member_id"][mine].n_unique()


def test_statistics_do_not_depend_on_the_order_of_claims() -> None:
    data = made()
    shuffled = data.claims.sample(fraction=1.0, shuffle=True, seed=1)
    for a, b in zip(provider_statistics(data.claims), provider_statistics(shuffled), strict=True):
        if a.dtype.is_numeric():
            np.testing.assert_allclose(a.to_numpy(), b.to_numpy(), rtol=1e-9)
        else:
            assert a.equals(b)


def test_piecewise_linear_encoding_is_monotone_and_marks_what_is_missing() -> None:
    numbers = np.array([[1.0], [2.0], [5.0], [np.nan], [9.0]])
    encoded = PiecewiseLinear.fit(numbers)(np.array([[0.0], [3.0], [7.0], [np.nan], [20.0]]))
    filled, missing = encoded[:, :-1].sum(axis=1), encoded[:, -1]
    assert missing.tolist() == [0, 0, 0, 1, 0]
    assert filled[0] == 0.0
    assert filled[3] == 0.0
    assert filled[0] < filled[1] < filled[2] < filled[4] == encoded.shape[1] - 1


@pytest.mark.parametrize("counts", [True, False])
def test_the_order_of_claims_and_padding_change_nothing(counts: bool) -> None:
    rng = np.random.default_rng(0)
    model = ProviderTransformer(7, 0, ProviderModelConfig(d_model=16, counts=counts)).eval()
    claims, share = rng.normal(size=(1, 5, 7)).astype(np.float32), tl.ones(1, 1)
    padded = np.concatenate([claims[:, rng.permutation(5)], rng.normal(size=(1, 3, 7)).astype(np.float32)], axis=1)
    mask = np.array([[True] * 5 + [False] * 3])
    with tl.no_grad():
        one = model(tl.from_numpy(claims), mask[:, :5], share).numpy()
        two = model(tl.from_numpy(padded), mask, share).numpy()
    np.testing.assert_allclose(one, two, atol=1e-5)


def test_without_counts_the_model_cannot_tell_a_set_from_the_same_set_twice() -> None:
    claims = np.random.default_rng(0).normal(size=(1, 4, 7)).astype(np.float32)
    twice, share = np.concatenate([claims, claims], axis=1), tl.ones(1, 1)

    def change(counts: bool) -> float:
        # No encoder layer, where the provider's own token would count as one among more claims.
        model = ProviderTransformer(7, 0, ProviderModelConfig(d_model=16, counts=counts)).eval()
        model.encoder.layers = tl.nn.ModuleList([])
        with tl.no_grad():
            values = [model(tl.from_numpy(c), np.ones(c.shape[:2], bool), share).numpy() for c in (claims, twice)]
        return float(np.abs(values[0] - values[1]).max())

    assert change(counts=False) < 1e-5
    assert change(counts=True) > 1e-3


def test_drawn_claims_belong_to_their_provider_and_are_drawn_once() -> None:
    data = made()
    rows = np.array([3, 10, 40])
    places, mask, share = draw_claims(data, rows, 6, np.random.default_rng(0), least_share=0.5)
    for k, row in enumerate(rows):
        mine = places[k][mask[k]]
        assert len(set(mine.tolist())) == len(mine) >= 1
        assert (data.owner[mine] == row).all()
        assert share[k] == pytest.approx(len(mine) / data.sizes[row])


def test_it_learns_what_one_claim_among_many_says_and_never_sees_the_others() -> None:
    data = made(160)
    train, test = np.arange(0, 110), np.arange(110, 160)
    scorer = ProviderScorer(
        ProviderModelConfig(d_model=16), ProviderTraining(epochs=25, n_models=1, n_draws=1, learning_rate=3e-3)
    ).fit(data, train)
    assert auroc(data.labels[test], scorer.score(data, test)) > 0.95
    shuffled = ProviderSet(data.claims, data.providers, data.starts, data.labels.copy(), data.folds)
    shuffled.labels[110:] = ~shuffled.labels[110:]
    again = ProviderScorer(scorer.config, scorer.training).fit(shuffled, train)
    np.testing.assert_array_equal(scorer.score(data, test), again.score(data, test))


def test_the_additive_model_finds_the_statistic_that_matters() -> None:
    rng = np.random.default_rng(0)
    statistics = rng.normal(size=(600, 12))
    labels = rng.random(600) < 1 / (1 + np.exp(-4 * (np.abs(statistics[:, 5]) - 0.7)))  # not monotone
    scorer = AdditiveScorer(n_kept=3).fit(statistics[:400], labels[:400])
    assert 5 in scorer.kept_
    assert auroc(labels[400:], scorer.score(statistics[400:])) > 0.8


def test_measurements_are_finite_or_missing() -> None:
    data = made()
    measured = claim_measurements(data.claims)
    assert measured.shape[0] == data.claims.height
    assert not np.isinf(measured).any()


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.skipif(not DATA.is_dir(), reason="the provider-fraud set is not there; set CLAIMSFORMER_DATA")
def test_the_public_set_is_scored_in_all_views() -> None:
    pytest.importorskip("lightgbm")
    found = run(DATA, training=ProviderTraining(epochs=20, n_models=2), n_bootstrap=100, tell=lambda line: None)
    assert len(found["folds"]) == 4
    assert found["mean"]["transformer alone"]["auroc"][0] > 0.90
    assert found["claim_level"]["a claim seen alone, transformer"] < 0.56  # else the provider has leaked into the claim
    assert (
        found["mean"]["transformer and statistics"]["auroc"][0] > found["mean"]["number of claims"]["auroc"][0] + 0.05
    )
