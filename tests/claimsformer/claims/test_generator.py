"""The generated stream: repeatable, valid, lazily made, with the dependencies that real public data lacks."""

from __future__ import annotations

import csv
import hashlib
import os
import subprocess
import sys
from collections import Counter
from functools import cache
from itertools import islice
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from claimsformer.claims.frames import claims_schema, explode_lines, from_frame
from claimsformer.claims.generator import (
    DETECTION,
    GENERATED_TYPES,
    GeneratedBatch,
    generate,
    reference_tables,
    review_labels,
)
from claimsformer.claims.generator.catalogue import BUNDLES, DRGS, DRUGS, PROCEDURES
from claimsformer.claims.generator.conditions import COMORBIDITY, CONDITIONS
from claimsformer.claims.truth import SCOPES, TRUTH_SCHEMA
from claimsformer.errors import ConfigError

from .conftest import DATA


@cache
def batch() -> GeneratedBatch:
    return next(generate(40_000, 7, 40_000))


# --- the stream -------------------------------------------------------------------------------------------------------
def test_same_seed_same_bytes_whatever_the_batch_size() -> None:
    whole, pieces = list(generate(3000, 5, 3000)), list(generate(3000, 5, 700))
    assert [b.claims.height for b in pieces] == [700, 700, 700, 700, 200]
    assert_frame_equal(whole[0].claims, pl.concat([b.claims for b in pieces]))
    assert_frame_equal(whole[0].truth, pl.concat([b.truth for b in pieces]).sort("claim_id"))
    assert whole[0].claims.write_json() == next(generate(3000, 5, 3000)).claims.write_json()
    assert whole[0].claims.write_json() != next(generate(3000, 6, 3000)).claims.write_json()


@settings(max_examples=8)
@given(st.integers(1, 2500), st.integers(1, 1500))
def test_exactly_as_many_claims_as_asked_for(n_claims: int, batch_size: int) -> None:
    batches = list(generate(n_claims, 1, batch_size))
    assert sum(b.claims.height for b in batches) == n_claims
    assert all(b.claims.height == batch_size for b in batches[:-1])
    assert pl.concat([b.claims for b in batches])["claim_id"].is_unique().all()


def test_the_stream_is_made_as_it_is_read() -> None:
    first = [b.claims.height for b in islice(generate(10**12, 1, 20_000), 2)]
    assert first == [20_000, 20_000]


@pytest.mark.parametrize("arguments", [(0, 1, 1), (1, 1, 0)])
def test_impossible_sizes_are_refused(arguments: tuple[int, int, int]) -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        generate(*arguments)


def test_impossible_rates_are_refused() -> None:
    with pytest.raises(ConfigError, match="rate is"):
        generate(10, 1, rate=0.2)


def test_another_process_makes_the_same_bytes() -> None:
    digest = hashlib.sha256(next(generate(500, 8)).claims.write_json().encode()).hexdigest()
    script = (
        "import hashlib; from claimsformer.claims.generator import generate; "
        "print(hashlib.sha256(next(generate(500, 8)).claims.write_json().encode()).hexdigest())"
    )
    env = os.environ | {"PYTHONHASHSEED": "12345", "POLARS_MAX_THREADS": "1"}
    root = Path(__file__).parents[3]
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=env, cwd=root, check=True)
    assert run.stdout.strip() == digest


# --- the tables -------------------------------------------------------------------------------------------------------
def test_claims_are_valid_and_in_the_layout_of_the_schema() -> None:
    frame = batch().claims
    assert frame.schema == claims_schema()
    assert len(from_frame(frame.sample(3000, seed=1))) == 3000
    assert set(frame["claim_type"]) == {"professional", "institutional", "pharmacy"}


def test_money_adds_up() -> None:
    frame = batch().claims
    lines = (
        explode_lines(frame)
        .group_by("claim_id")
        .agg(pl.col("^(charge|allowed|paid)_amount$").sum().name.suffix("_lines"))
    )
    both = frame.join(lines, on="claim_id")
    for name in ("charge_amount", "allowed_amount", "paid_amount"):
        assert (both[name] == both[f"{name}_lines"]).all()
    shares = both["paid_amount"] + both["deductible_amount"] + both["coinsurance_amount"]
    assert (shares == both["allowed_amount"]).all()
    assert (both.select(pl.min_horizontal(pl.col("^(paid|deductible|coinsurance)_amount$"))).to_series() >= 0).all()
    spent = both.group_by("member_id").agg(pl.col("deductible_amount").sum())["deductible_amount"]
    assert spent.max() <= 1500
    assert spent.n_unique() > 3


def test_truth_names_claims_of_the_batch_and_every_type() -> None:
    truth = batch().truth
    assert truth.schema == TRUTH_SCHEMA
    assert set(truth["type"]) == set(GENERATED_TYPES)
    assert set(truth["claim_id"]) <= set(batch().claims["claim_id"])
    assert set(truth["scope"]) == set(SCOPES) == set(DETECTION)
    assert (truth["fields"].list.len() == truth["original_values"].list.len()).all()
    assert truth.select(pl.col("fields").list.first() == pl.col("field")).to_series().all()
    share = truth.height / batch().claims.height
    assert 0.7 * 0.003 * len(GENERATED_TYPES) < share < 1.3 * 0.003 * len(GENERATED_TYPES)


def test_rate_zero_plants_nothing() -> None:
    assert next(generate(2000, 3, rate=0.0)).truth.is_empty()


def test_hard_negatives_of_each_kind_are_there_and_are_genuine() -> None:
    hard = batch().hard_negatives
    assert set(hard["reason"]) >= {
        "rare_condition", "winter_home", "referral_center", "new_technology", "transplant_cost", "readmission",
        "repeat_with_modifier", "data_entry_noise",
    }  # fmt: skip
    assert not set(hard["claim_id"]) & set(batch().truth["claim_id"])
    repeats = batch().claims.filter(
        pl.col("claim_id").is_in(hard.filter(reason="repeat_with_modifier")["claim_id"].implode())
    )
    assert explode_lines(repeats)["modifiers"].list.contains("76").all()
    noise = hard.filter(reason="data_entry_noise").height / batch().claims.height
    assert 0.01 <= noise <= 0.02


# --- the dependencies -------------------------------------------------------------------------------------------------
def normalised_information(a: pl.Series, b: pl.Series) -> float:
    """Mutual information of two columns as a share of the entropy of the first."""
    counts = pl.DataFrame({"a": a, "b": b}).pivot("b", index="a", values="b", aggregate_function="len").fill_null(0)
    joint = counts.drop("a").to_numpy() / a.len()
    rows, columns = joint.sum(axis=1, keepdims=True), joint.sum(axis=0, keepdims=True)
    seen = joint > 0
    information = float((joint[seen] * np.log(joint[seen] / (rows * columns)[seen])).sum())
    return information / float(-(rows * np.log(rows)).sum())


def test_sex_and_diagnosis_depend_on_each_other() -> None:
    sex, first = batch().claims["member_sex"], batch().claims["diagnoses"].list.first()
    assert normalised_information(sex, first) > 0.2
    assert normalised_information(sex, first.shuffle(seed=1)) < 0.02


def test_charges_follow_the_procedure() -> None:
    lines = explode_lines(batch().claims).filter(pl.col("procedure_code").is_not_null())
    log = lines.with_columns(y=pl.col("charge_amount").cast(pl.Float64).log())
    inside = log.select((pl.col("y") - pl.col("y").mean().over("procedure_code")).var()).item()
    assert 1 - inside / log["y"].var() > 0.6


def test_conditions_persist_with_the_same_code() -> None:
    condition = {code: c.name for c in CONDITIONS for code in c.codes}
    planted = batch().truth.filter(pl.col("type").is_in(["sex_conflict", "age_conflict", "phantom"]))["claim_id"]
    genuine = batch().claims.filter(~pl.col("claim_id").is_in(planted.implode()))
    codes = genuine.select("member_id", code="diagnoses").explode("code").unique()
    named = codes.with_columns(condition=pl.col("code").replace_strict(condition))
    assert named.group_by("member_id", "condition").len()["len"].max() == 1


def test_visits_spread_over_the_year_and_refills_come_at_intervals() -> None:
    pharmacy = batch().claims.filter(pl.col("member_death_date").is_null(), claim_type="pharmacy")
    fills = (
        explode_lines(pharmacy)
        .join(pharmacy.select("claim_id", "member_id"), on="claim_id")
        .sort("member_id", "ndc", "service_from")
    )
    gap = fills.select(
        (pl.col("service_from").diff().over("member_id", "ndc").dt.total_days() / pl.col("days_supply")).alias("g")
    )["g"]
    assert 1.0 <= gap.drop_nulls().median() < 1.2
    months = batch().claims["service_from"].dt.month().value_counts()["count"]
    assert months.len() == 12
    assert months.min() > 0.5 * months.max()
    office = batch().claims.filter(pl.col("provider_specialty") != "ambulance", claim_type="professional")
    weekend = office.filter(pl.col("service_from").dt.weekday() > 5)["claim_id"]
    assert set(weekend) <= set(batch().truth.filter(type="phantom")["claim_id"])


def test_unbundling_keeps_the_number_of_lines() -> None:
    claims = next(generate(40_000, 9, 40_000, rate=0.02))
    count = claims.claims.select("claim_id", n=pl.col("lines").list.len())
    unbundled = count.join(claims.truth.filter(type="unbundling"), on="claim_id", how="semi")["n"]
    codes = explode_lines(claims.claims).group_by("claim_id").agg(pl.col("procedure_code"))
    panels = codes.filter(pl.col("procedure_code").list.eval(pl.element().is_in(list(BUNDLES))).list.any())
    genuine = count.join(panels, on="claim_id", how="semi").join(claims.truth, on="claim_id", how="anti")["n"]
    assert unbundled.len() > 300
    grid = np.arange(1, 12)
    distance = np.abs(
        (unbundled.to_numpy()[:, None] <= grid).mean(0) - (genuine.to_numpy()[:, None] <= grid).mean(0)
    ).max()
    # Kolmogorov-Smirnov, 99.9 % point for two samples.
    assert distance < 1.95 * np.sqrt(1 / unbundled.len() + 1 / genuine.len())


# --- the catalogue ----------------------------------------------------------------------------------------------------
def test_the_catalogue_is_consistent() -> None:
    codes = Counter(code for condition in CONDITIONS for code in condition.codes)
    assert max(codes.values()) == 1
    assert 55 <= len(CONDITIONS) <= 80
    names = {condition.name for condition in CONDITIONS}
    assert {name for first, then, _ in COMORBIDITY for name in (first, then)} <= names
    for condition in CONDITIONS:
        assert {entry.split(":")[0] for entry in condition.services.split()} <= set(PROCEDURES)
        assert {entry.split(":")[0] for entry in condition.drugs.split()} <= set(DRUGS)
        assert condition.drg in DRGS or not condition.stays
    for panel, parts in BUNDLES.items():
        fees = sorted(PROCEDURES[part].fee for part in parts)
        assert fees[0] + fees[1] > PROCEDURES[panel].fee + PROCEDURES["X2001"].fee
    assert all(drug.strength * drug.per_day <= drug.max_daily_dose for drug in DRUGS.values())
    assert len({drug.ndc for drug in DRUGS.values()}) == len(DRUGS)


def test_reference_tables_cover_what_is_billed_and_support_every_genuine_line() -> None:
    reference = reference_tables()
    lines = explode_lines(batch().claims)
    assert set(lines["procedure_code"].drop_nulls()) <= set(reference.procedures["code"])
    assert set(lines["ndc"].drop_nulls()) <= set(reference.drugs["ndc"])
    assert set(batch().claims["drg"].drop_nulls()) <= set(reference.drgs["drg"])
    assert set(batch().claims["diagnoses"].explode()) <= set(reference.diagnoses["code"])
    diagnoses = batch().claims.select("claim_id", diagnosis="diagnoses").explode("diagnosis")
    needing = lines.select("claim_id", procedure="procedure_code").filter(
        pl.col("procedure").is_in(reference.support["procedure"].implode())
    )
    supported = (
        needing.join(diagnoses, on="claim_id")
        .join(reference.support, on=["procedure", "diagnosis"])
        .select("claim_id", "procedure")
    )
    unsupported = needing.join(supported, on=["claim_id", "procedure"], how="anti")
    planted = batch().truth.filter(type="dx_procedure_mismatch")
    assert set(unsupported["claim_id"]) == set(planted["claim_id"])


@pytest.mark.data
def test_items_are_in_the_public_code_table() -> None:
    path = DATA / "codes" / "hcpcs_level2_2019.csv"
    if not path.exists():
        pytest.skip("the HCPCS level II table is not in the data folder (CLAIMSFORMER_DATA)")
    with path.open(encoding="utf-8") as file:
        public = {row["code"] for row in csv.DictReader(file)}
    invented = {code for code in PROCEDURES if code[0] in "XR"}
    assert set(PROCEDURES) - invented <= public
    assert not invented & public


# --- labels -----------------------------------------------------------------------------------------------------------
def test_labels_are_selective_late_and_noisy() -> None:
    claims, truth = batch().claims, batch().truth
    labels = review_labels(claims, truth, 3, capacity=0.05, audit=0.1)
    anomalous = labels["claim_id"].is_in(truth["claim_id"].implode())
    model = labels["selected_by"] == "model"
    assert labels.filter(model).height == round(0.05 * claims.height)
    assert labels.filter(pl.col("selected_by").is_null())["label"].is_null().all()
    # The model's picks are richer in anomalies than all claims; the audit's are not richer than the rest.
    rate = anomalous.mean()
    assert anomalous.filter(model.fill_null(False)).mean() > 2 * rate
    # Weighted by 1 / propensity, the reviewed claims stand for all of them.
    reviewed = labels.with_columns(anomalous=anomalous).filter(pl.col("label").is_not_null())
    weight = 1 / reviewed["propensity"]
    estimate = (reviewed["anomalous"].cast(pl.Float64) * weight).sum() / weight.sum()
    assert estimate == pytest.approx(rate, rel=0.15)
    # Without an anomaly a verdict is positive only by mistake.
    clean = reviewed.filter(~pl.col("anomalous"))["label"]
    assert clean.mean() == pytest.approx(0.03, abs=4 * (0.03 / clean.len()) ** 0.5)
    found = reviewed.filter("anomalous")["label"].mean()
    assert min(DETECTION.values()) < found < max(DETECTION.values())


def test_labels_arrive_after_the_delay_and_repeat_with_the_seed() -> None:
    claims, truth = batch().claims, batch().truth
    day = claims["submitted_date"].quantile(0.5)
    early = review_labels(claims, truth, 3, audit=0.1, as_of=day)
    known = early.filter(pl.col("label").is_not_null())
    assert (known["label_date"] <= day).all()
    assert known.height < review_labels(claims, truth, 3, audit=0.1)["label"].is_not_null().sum()
    assert_frame_equal(early, review_labels(claims, truth, 3, audit=0.1, as_of=day))
    with pytest.raises(ConfigError, match="between 0 and 1"):
        review_labels(claims, truth, 3, audit=2.0)
