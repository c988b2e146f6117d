"""Edits against planted anomalies (truth that the edits never see), worked examples, and what must not fire."""

from __future__ import annotations

import datetime as dt
from functools import cache

import polars as pl
import pytest

from claimsformer.assessment.edits import EDITS, Directory, EditTables, firing_rates, flags, run_edits, switch_off
from claimsformer.assessment.edits.codes import luhn_ok
from claimsformer.claims.codes import CARC, RARC
from claimsformer.claims.frames import to_frame
from claimsformer.claims.generator import GeneratedBatch, generate, reference_tables
from claimsformer.claims.schema import Claim
from claimsformer.errors import ConfigError

EDIT_OF = {
    "upcoding": "LEVEL-EM", "upcoding_drg": "LEVEL-DRG", "unbundling": "UNBUNDLE", "duplicate": "DUPLICATE",
    "near_duplicate": "NEAR-DUPLICATE", "phantom": "IN-STAY", "dx_procedure_mismatch": "DX-PROC",
    "sex_conflict": "SEX-DX", "age_conflict": "AGE-DX", "impossible_units": "UNITS", "impossible_dose": "DOSE",
    "impossible_days": "COVERED-DAYS", "cost_outlier": "FEE", "geography": "GEOGRAPHY",
    "impossible_travel": "TRAVEL", "after_death": "DEATH", "timely_filing": "TIMELY",
    "excluded_provider": "EXCLUDED", "impossible_day": "IMPOSSIBLE-DAY",
}  # fmt: skip


@cache
def world() -> tuple[GeneratedBatch, pl.DataFrame]:
    batch = next(generate(9_000, 11, 9_000, rate=0.005))
    tables = EditTables.of_reference(reference_tables()).learn(batch.claims)
    findings = run_edits(batch.claims, tables, directory=Directory(batch.providers, batch.members))
    ids = batch.claims.with_row_index("row").select("row", "claim_id")
    return batch, findings.join(ids, on="row")


@pytest.mark.parametrize("kind", sorted(EDIT_OF))
def test_each_planted_type_is_found_by_its_edit(kind: str) -> None:
    batch, findings = world()
    planted = set(batch.truth.filter(type=kind)["claim_id"])
    found = set(findings.filter(edit=EDIT_OF[kind])["claim_id"])
    assert len(planted & found) >= 0.9 * len(planted)


def test_genuine_claims_stay_clear_except_the_other_half_of_a_pair() -> None:
    batch, findings = world()
    astray = findings.join(batch.truth, on="claim_id", how="anti")
    assert set(astray["edit"]) <= {"TRAVEL"}  # of two visits too far apart either may be the wrong one


def test_every_finding_has_evidence_an_amount_and_a_known_reason() -> None:
    _, findings = world()
    assert findings["evidence"].str.len_chars().min() > 10  # type: ignore[operator]
    assert (findings["amount"] >= 0).all()
    for rule in EDITS.values():
        assert rule.carc in CARC
        assert not rule.rarc or rule.rarc in RARC


def test_evidence_never_repeats_an_identifier() -> None:
    batch, findings = world()
    text = "\n".join(findings["evidence"])
    for name in ("member_id", "claim_id", "billing_provider_id"):
        assert not any(value in text for value in batch.claims[name].unique())


def test_check_digit_of_provider_numbers() -> None:
    # 1234567893 is the example in the standard for national provider identifiers.
    numbers = pl.DataFrame({"n": ["1234567893", "1234567890", "1234567839"]})
    assert numbers.select(luhn_ok(pl.col("n"))).to_series().to_list() == [True, False, False]


def claim(**fields: object) -> Claim:
    day = dt.date(2024, 3, 5)
    base = {"claim_id": "A1", "claim_type": "professional", "member_id": "M1", "service_from": day, "service_thru": day}
    return Claim.parse(base | fields)


def edits_of(*claims: Claim, history: list[Claim] | None = None, **options: object) -> list[tuple[int, str, str]]:
    tables = EditTables(**options)  # type: ignore[arg-type]
    earlier = to_frame(history) if history else None
    found = run_edits(to_frame(claims), tables, history=earlier)
    return [(row, name, field) for row, name, field in found.select("row", "edit", "field").iter_rows()]


def test_dates_and_filing() -> None:
    assert edits_of(claim(submitted_date=dt.date(2024, 3, 1))) == [(0, "DATES", "submitted_date")]
    assert edits_of(claim(submitted_date=dt.date(2025, 3, 6))) == [(0, "TIMELY", "submitted_date")]
    assert edits_of(claim(submitted_date=dt.date(2025, 3, 5))) == []
    assert edits_of(claim(member_death_date=dt.date(2024, 3, 4))) == [(0, "DEATH", "service_from")]
    assert edits_of(claim(member_death_date=dt.date(2024, 3, 5))) == []


def test_a_duplicate_is_the_later_one_and_a_marked_repeat_is_none() -> None:
    line = {"line_number": 1, "procedure_code": "99213", "procedure_system": "hcpcs", "units": 1.0}
    first = claim(lines=[line], submitted_date=dt.date(2024, 3, 7))
    second = claim(claim_id="A2", lines=[line], submitted_date=dt.date(2024, 3, 9))
    assert edits_of(first, second) == [(1, "DUPLICATE", "claim_id")]
    assert edits_of(second, history=[first]) == [(0, "DUPLICATE", "claim_id")]
    assert edits_of(first, history=[second]) == []
    again = claim(claim_id="A3", lines=[line | {"modifiers": ["76"]}], submitted_date=dt.date(2024, 3, 9))
    assert edits_of(first, again) == []


def test_icd9_codes_without_a_category_are_reported() -> None:
    assert edits_of(claim(code_system="icd9", diagnoses=["25000"])) == []
    assert edits_of(claim(code_system="icd9", diagnoses=["25000", "66000", "62400", "00000"]))[0][1] == "DX-VALID"


def test_an_edit_that_fires_on_the_history_is_switched_off() -> None:
    late = [claim(claim_id=f"A{i}", member_id=f"M{i}", submitted_date=dt.date(2026, 3, 6)) for i in range(10)]
    tables = switch_off(EditTables(), to_frame(late), None, most=0.1)
    assert tables.off == ("TIMELY",)
    assert run_edits(to_frame(late), tables).is_empty()


def test_flags_and_rates_count_the_same() -> None:
    batch, findings = world()
    table = flags(findings, batch.claims.height)
    rates = firing_rates(findings, batch.claims.height)
    assert {name: table[name].mean() for name in EDITS} == pytest.approx(rates)


def test_tables_survive_being_saved() -> None:
    batch, _ = world()
    tables = EditTables.of_reference(reference_tables()).learn(batch.claims)
    again = EditTables.from_dict(tables.to_dict())
    assert run_edits(batch.claims, again).equals(run_edits(batch.claims, tables))


def test_unknown_edit_and_empty_table() -> None:
    with pytest.raises(ConfigError, match="unknown edits"):
        run_edits(to_frame([claim()]), EditTables(), only=["NOPE"])
    assert run_edits(to_frame([]), EditTables()).is_empty()
