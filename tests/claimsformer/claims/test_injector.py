"""Planted anomalies in real claims: each does what its type says, changes nothing else, and leaves no other trace."""

from __future__ import annotations

import datetime as dt
from functools import cache

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from claimsformer.claims.frames import conform, from_frame
from claimsformer.claims.generator import generate
from claimsformer.claims.injector import INJECTABLE_TYPES, fingerprint_report, inject, inject_synpuf
from claimsformer.claims.injector.categories import major_category, procedure_chapter, sex_of_diagnosis
from claimsformer.claims.readers import read_claims
from claimsformer.claims.truth import TRUTH_SCHEMA
from claimsformer.errors import ConfigError

from .conftest import DATA

SYNPUF = DATA / "synpuf" / "inpatient_claims.parquet"
DIAGNOSES = [f"dx{i}" for i in range(1, 11)]
PROCEDURES = [f"px{i}" for i in range(1, 7)]


@cache
def real_claims() -> pl.DataFrame:
    if not SYNPUF.exists():
        pytest.skip("the DE-SynPUF claims are not in the data folder (CLAIMSFORMER_DATA)")
    return pl.read_parquet(SYNPUF).filter(pl.col("sample").is_in([1, 14]))


@cache
def injected_claims() -> tuple[pl.DataFrame, pl.DataFrame]:
    return inject_synpuf(real_claims(), seed=11)


def rows_of(kind: str) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Claims of one type after and before, in the order of the truth, which comes third."""
    injected, truth = injected_claims()
    chosen = truth.filter(type=kind)
    keys = chosen.select(claim="claim_id")
    return (
        keys.join(injected, on="claim", maintain_order="left"),
        keys.join(real_claims(), on="claim", how="left", maintain_order="left"),
        chosen,
    )


@pytest.mark.data
def test_rates_hold_and_no_claim_carries_two_anomalies() -> None:
    injected, truth = injected_claims()
    n = real_claims().height
    assert truth.schema == TRUTH_SCHEMA
    assert truth["claim_id"].is_unique().all()
    counts = dict(truth["type"].value_counts().iter_rows())
    assert counts == dict.fromkeys(INJECTABLE_TYPES, round(n * 0.01))
    assert injected.height == n + counts["duplicate"]
    assert injected.schema == real_claims().schema


@pytest.mark.data
def test_same_seed_same_bytes_and_another_seed_another_choice() -> None:
    sample = real_claims().head(2000)
    first, second, other = (inject_synpuf(sample, seed) for seed in (3, 3, 4))
    assert_frame_equal(first[0], second[0])
    assert_frame_equal(first[1], second[1])
    assert first[1]["claim_id"].to_list() != other[1]["claim_id"].to_list()


@pytest.mark.data
def test_only_the_fields_of_the_truth_differ_and_the_originals_are_on_record() -> None:
    injected, truth = injected_claims()
    both = injected.join(real_claims(), on="claim", suffix="_real")
    told = {row["claim_id"]: dict(zip(row["fields"], row["original_values"], strict=True)) for row in truth.to_dicts()}
    untouched = both.filter(~pl.col("claim").is_in(truth["claim_id"].implode()))
    for column in real_claims().columns:
        if column != "claim":
            assert untouched[column].equals(untouched[f"{column}_real"], null_equal=True)
    for row in both.filter(pl.col("claim").is_in(truth["claim_id"].implode())).to_dicts():
        changed = {c for c in real_claims().columns if c != "claim" and row[c] != row[f"{c}_real"]}
        assert changed == set(told[row["claim"]])
        for column in changed:
            old = row[f"{column}_real"]
            kept = told[row["claim"]][column]
            assert kept == (f"{old:g}" if isinstance(old, float) else old if old is None else str(old))


@pytest.mark.data
def test_amounts_and_days_move_by_what_the_type_says() -> None:
    after, before, _ = rows_of("cost_outlier")
    assert ((after["amt"] / before["amt"]).is_between(3, 8)).all()
    after, before, _ = rows_of("impossible_days")
    assert ((after["util"] - before["util"]).is_between(15, 60)).all()


@pytest.mark.data
def test_upcoding_stays_in_the_category_and_pays_half_as_much_again() -> None:
    after, before, _ = rows_of("upcoding")
    mean = dict(real_claims().filter(pl.col("amt") > 0).group_by("drg").agg(pl.col("amt").mean()).iter_rows())
    amounts = set(real_claims().select("drg", "amt").iter_rows())
    for new, old, amount in zip(after["drg"], before["drg"], after["amt"], strict=True):
        assert major_category(new) == major_category(old)
        assert mean[new] >= 1.5 * mean[old]
        assert (new, amount) in amounts


@pytest.mark.data
def test_foreign_procedures_are_those_of_a_real_claim_and_share_none() -> None:
    after, before, _ = rows_of("dx_procedure_mismatch")
    lists = set(real_claims().select(PROCEDURES).iter_rows())
    for new, old in zip(after.select(PROCEDURES).iter_rows(), before.select(PROCEDURES).iter_rows(), strict=True):
        assert new in lists
        assert not {*new} & {*old} - {None}


@pytest.mark.data
def test_added_procedures_are_up_to_three_of_the_same_chapter() -> None:
    after, before, _ = rows_of("unbundling")
    for new, old in zip(after.select(PROCEDURES).iter_rows(), before.select(PROCEDURES).iter_rows(), strict=True):
        extra = [b for a, b in zip(old, new, strict=True) if a is None and b is not None]
        assert 1 <= len(extra) <= 3
        assert {procedure_chapter(code) for code in extra} == {procedure_chapter(old[0])}
        assert len({c for c in new if c}) == sum(c is not None for c in new)


@pytest.mark.data
def test_provider_phantom_and_sex_conflict_come_from_other_real_claims() -> None:
    after, before, _ = rows_of("geography")
    states = after["prov"].str.slice(0, 2)
    assert (states != after["state"]).all()
    assert (states != before["prov"].str.slice(0, 2)).all()
    after, before, _ = rows_of("phantom")
    owners: dict[tuple[str, ...], set[str]] = {}
    for member, *codes in real_claims().select("bene", *DIAGNOSES).iter_rows():
        owners.setdefault(tuple(codes), set()).add(member)
    for member, *codes in after.select("bene", *DIAGNOSES).iter_rows():
        assert owners[tuple(codes)] - {member}
    after, before, truth = rows_of("sex_conflict")
    for row, field in zip(after.to_dicts(), truth["field"], strict=True):
        assert sex_of_diagnosis(row[field]) == ("M" if row["sex"] == "2" else "F")


@pytest.mark.data
def test_a_duplicate_differs_from_its_original_by_number_and_at_most_one_day() -> None:
    injected, truth = injected_claims()
    place = dict(injected.select("claim", pl.int_range(pl.len())).iter_rows())
    rows = {row["claim"]: row for row in injected.to_dicts()}
    for planted in truth.filter(type="duplicate").to_dicts():
        copy, original = rows[planted["claim_id"]], rows[planted["original_values"][0]]
        days = {(copy[name] - original[name]).days for name in ("from", "thru", "admit", "disch")}
        assert days == {int(planted["severity"])} <= {0, 1}
        assert place[copy["claim"]] > place[original["claim"]]
        assert {c for c in copy if copy[c] != original[c]} <= {"claim", "from", "thru", "admit", "disch", "age"}


@pytest.mark.data
def test_the_shipped_injector_leaves_no_fingerprint() -> None:
    report = fingerprint_report(real_claims(), *injected_claims(), id_column="claim")
    assert report.clean, report.findings
    # Pairs that are new must not be newer than pairs of unrelated real values.
    assert (report.pairs["unseen"] <= report.pairs["unseen_if_unrelated"] + 0.02).all()


@pytest.mark.data
def test_claims_that_came_through_a_reader_take_every_type_too() -> None:
    if not SYNPUF.exists():
        pytest.skip("the DE-SynPUF claims are not in the data folder (CLAIMSFORMER_DATA)")
    claims = next(read_claims(SYNPUF, batch_size=4000))
    injected, truth = inject(claims, 5, 0.02)
    assert set(truth["type"]) == set(INJECTABLE_TYPES)
    assert len(from_frame(injected)) == injected.height
    assert fingerprint_report(claims, injected, truth).clean


def _some(rng: np.random.Generator, codes: list[str], count: int) -> list[str]:
    return [str(code) for code in rng.choice(codes, count, replace=False)]


def small_world(n: int = 1200) -> pl.DataFrame:
    """Claims in the schema's layout, drawn here so that the tests below need no data."""
    rng = np.random.Generator(np.random.PCG64(5))
    drgs = np.array(["280", "291", "470", "871", "193"])[rng.integers(5, size=n)]
    start = [dt.date(2019, 1, 2) + dt.timedelta(days=int(d)) for d in rng.integers(0, 300, size=n)]
    stay = rng.integers(1, 40, size=n)
    states = np.array(["NY", "CA", "TX"])[rng.integers(3, size=n)]
    procedures = ["3893", "3995", "8154", "8151", "3722", "3606"]
    return conform(
        pl.DataFrame(
            {
                "claim_id": [f"C{i:06d}" for i in range(n)],
                "claim_type": ["institutional"] * n,
                "member_id": [f"M{i // 3:05d}" for i in range(n)],
                "member_sex": np.array(["F", "M"])[np.arange(n) // 3 % 2],
                "member_state": states,
                "provider_state": states,
                "billing_provider_id": [f"{s}{k:03d}" for s, k in zip(states, rng.integers(20, size=n), strict=True)],
                "service_from": start,
                "service_thru": [a + dt.timedelta(days=int(b)) for a, b in zip(start, stay, strict=True)],
                "drg": drgs,
                "code_system": ["icd9"] * n,
                "diagnoses": [_some(rng, ["4280", "60001", "6260", "486", "0389"], 3) for _ in range(n)],
                "procedures": [_some(rng, procedures, int(k)) for k in rng.integers(1, 4, size=n)],
                "covered_days": stay + 30 * (rng.random(n) < 0.1),
                "paid_amount": 1000.0 * rng.integers(1, 60, size=n),
            }
        )
    ).sort("member_id", "service_from", maintain_order=True)  # fmt: skip


def test_the_schema_layout_takes_every_type_and_stays_valid() -> None:
    world = small_world()
    injected, truth = inject(world, 2, 0.02)
    assert set(truth["type"]) >= {*INJECTABLE_TYPES} - {"upcoding"}
    assert injected.schema == world.schema
    assert len(from_frame(injected)) == injected.height
    assert fingerprint_report(world, injected, truth).clean


def test_claims_with_lines_stay_valid() -> None:
    claims = next(generate(4000, 6, rate=0.0)).claims
    injected, truth = inject(claims, 1, 0.02)
    assert len(from_frame(injected)) == injected.height
    assert {"duplicate", "phantom", "sex_conflict", "cost_outlier", "geography"} <= set(truth["type"])


def test_an_empty_table_stays_empty() -> None:
    injected, truth = inject(small_world(10).head(0), 1)
    assert injected.is_empty()
    assert truth.is_empty()


def test_a_mix_of_code_systems_is_refused() -> None:
    world = small_world(10)
    system = pl.when(pl.int_range(pl.len()) < 5).then(pl.lit("icd9")).otherwise(pl.lit("icd10"))
    with pytest.raises(ConfigError, match="mixes code systems"):
        inject(world.with_columns(code_system=system), 1)


def test_unknown_types_and_impossible_rates_are_refused() -> None:
    world = small_world(60)
    with pytest.raises(ConfigError, match="unknown types"):
        inject(world, 1, {"upcodding": 0.1})
    with pytest.raises(ConfigError, match="add up to at most 1"):
        inject(world, 1, 0.5)
    with pytest.raises(ConfigError, match="no claim of the table"):
        inject(world.with_columns(paid_amount=pl.lit(0).cast(world.schema["paid_amount"])), 1, {"cost_outlier": 0.1})
    with pytest.raises(ConfigError, match="lacks the columns"):
        inject(world.drop("drg"), 1)


PLANTS = {
    "unseen_value": lambda rows: pl.when(rows).then(pl.lit("999")).otherwise("drg").alias("drg"),
    "finer_grid": lambda rows: pl.when(rows).then(pl.col("paid_amount") + pl.lit("0.37").cast(pl.Decimal(18, 2)))
    .otherwise("paid_amount").cast(pl.Decimal(18, 2)).alias("paid_amount"),
    "last_digit": lambda rows: pl.when(rows).then(pl.lit(1100).cast(pl.Decimal(18, 2)))
    .otherwise("paid_amount").alias("paid_amount"),
    "id_form": lambda rows: pl.when(rows).then(pl.lit("X-") + pl.col("claim_id")).otherwise("claim_id")
    .alias("claim_id"),
    "unseen_pair": lambda rows: pl.when(rows).then(pl.lit("NY")).otherwise("member_state").alias("member_state"),
}  # fmt: skip


@pytest.mark.parametrize("kind", sorted(PLANTS))
def test_a_planted_fingerprint_is_found(kind: str) -> None:
    world = small_world()
    if kind == "last_digit":
        # Four of five real amounts are whole thousands, the planted ones (which do occur) never.
        rest = pl.when(pl.int_range(pl.len()) % 5 == 0).then(100).otherwise(0)
        world = world.with_columns(paid_amount=(pl.col("paid_amount") + rest).cast(world.schema["paid_amount"]))
        world = world.with_columns(
            paid_amount=pl.when(pl.int_range(pl.len()) == 0)
            .then(1100)
            .otherwise("paid_amount")
            .cast(world.schema["paid_amount"])
        )
    if kind == "unseen_pair":  # no real pair of the state of the member and a provider of another
        world = world.with_columns(member_state=pl.col("provider_state"))
    injected, truth = inject(world, 2, {"impossible_days": 0.05})
    assert fingerprint_report(world, injected, truth).clean
    rows = pl.col("claim_id").is_in(truth["claim_id"].implode())
    if kind == "id_form":
        truth = truth.with_columns(claim_id="X-" + pl.col("claim_id"))
    planted = injected.with_columns(PLANTS[kind](rows))
    assert fingerprint_report(world, planted, truth).of(kind)


def test_numbers_that_hardly_repeat_are_judged_by_their_range() -> None:
    world = small_world()
    exact = (pl.int_range(pl.len()) * 17 + 1000).cast(world.schema["paid_amount"]).alias("paid_amount")
    world = world.with_columns(exact)
    injected, truth = inject(world, 2, {"impossible_days": 0.05})
    rows = pl.col("claim_id").is_in(truth["claim_id"].implode())
    for amount, clean in ((1001, True), (99_999, False)):
        new = pl.when(rows).then(pl.lit(amount).cast(world.schema["paid_amount"])).otherwise("paid_amount")
        report = fingerprint_report(world, injected.with_columns(new.alias("paid_amount")), truth)
        assert (not report.of("out_of_range")) == clean


def test_giveaways_of_the_table_are_found() -> None:
    world = small_world()
    injected, truth = inject(world, 2, {"phantom": 0.05})
    rows = pl.col("claim_id").is_in(truth["claim_id"].implode())
    bunched = pl.concat([injected.filter(~rows), injected.filter(rows)])
    assert fingerprint_report(world, bunched, truth).of("row_order")
    assert fingerprint_report(world, injected.with_columns(flag=rows), truth).of("columns")
    assert fingerprint_report(world, pl.concat([injected, injected.head(1)]), truth).of("duplicate_id")
    recast = injected.with_columns(pl.col("covered_days").cast(pl.Int64))
    assert fingerprint_report(world, recast, truth).of("dtype")
