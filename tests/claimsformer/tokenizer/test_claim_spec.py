"""The specification for claims of `claimsformer.claims.schema`."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from claimsformer.claims.frames import claims_schema, to_frame
from claimsformer.claims.schema import Claim
from claimsformer.tokenizer.fields import FieldTokenizer, choose_field, claim_spec, closure, prepare_claims

SPEC = claim_spec()


def claim(number: int, **changes: Any) -> Claim:
    day = dt.date(2024, 1, 1) + dt.timedelta(days=number)
    lines = [
        {
            "line_number": k + 1,
            "service_from": day + dt.timedelta(days=k),
            "procedure_code": ("99213", "J1885", "80053")[k],
            "procedure_system": "hcpcs",
            "modifiers": ("25",) if k == 0 else (),
            "units": float(k + 1),
            "charge_amount": Decimal(100 * (k + 1)),
            "allowed_amount": Decimal(50 * (k + 1)) + number % 5,
            "diagnosis_pointers": (k + 1, 1),
        }
        for k in range(1 + number % 3)
    ]
    fields = {
        "claim_id": f"C{number}",
        "claim_type": "professional",
        "member_id": f"M{number % 7}",
        "member_sex": "FM"[number % 2],
        "member_birth_date": dt.date(1950 + number % 40, 6, 1),
        "member_state": "TX",
        "member_conditions": ("diabetes", "ckd") if number % 2 else (),
        "billing_provider_id": f"P{number % 3}",
        "service_from": day,
        "service_thru": day + dt.timedelta(days=len(lines)),
        "submitted_date": day + dt.timedelta(days=10),
        "code_system": "icd10",
        "diagnoses": ("E119", "I10", "N183")[: 1 + number % 3],
        "charge_amount": sum((line["charge_amount"] for line in lines), Decimal(0)),
        "lines": lines,
    }
    return Claim.parse(fields | changes)


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    return to_frame(claim(number) for number in range(120))


@pytest.fixture(scope="module")
def tokenizer(frame: pl.DataFrame) -> FieldTokenizer:
    return FieldTokenizer(SPEC, min_count=4).fit(prepare_claims(frame))


def test_prepared_claims_have_the_columns_and_no_identifier(frame: pl.DataFrame) -> None:
    prepared = prepare_claims(frame)
    assert set(SPEC.columns) <= set(prepared.columns)
    assert not set(SPEC.identifiers) & set(prepared.columns)
    assert set(claims_schema()) >= set(SPEC.identifiers)


def test_lists_and_lines_keep_their_rank(tokenizer: FieldTokenizer, frame: pl.DataFrame) -> None:
    decoded = tokenizer.decode(tokenizer.encode(prepare_claims(frame)))
    for rank in (1, 2, 3):
        diagnoses = frame["diagnoses"].list.get(rank - 1, null_on_oob=True)
        assert decoded[f"diagnosis{rank}"].to_list() == diagnoses.to_list()
        line = frame["lines"].list.get(rank - 1, null_on_oob=True)
        assert decoded[f"line{rank}_procedure_code"].to_list() == line.struct.field("procedure_code").to_list()
        charges = line.struct.field("charge_amount").cast(pl.Float64)
        np.testing.assert_allclose(decoded[f"line{rank}_charge_amount"].drop_nulls(), charges.drop_nulls(), rtol=1e-4)
    assert decoded["condition2"].to_list() == frame["member_conditions"].list.get(1, null_on_oob=True).to_list()
    np.testing.assert_allclose(decoded["line_count"], frame["lines"].list.len(), atol=1e-4)
    np.testing.assert_allclose(decoded["submit_lag"], 10 - frame["lines"].list.len().cast(pl.Int64), atol=1e-4)


def test_empty_ranks_cost_nothing(tokenizer: FieldTokenizer, frame: pl.DataFrame) -> None:
    batch = tokenizer.encode(prepare_claims(frame))
    assert batch.shape[1] == SPEC.length
    assert batch.compact().shape[1] < 60
    more = batch.lengths[frame["lines"].list.len().to_numpy() == 3].min()
    assert more > batch.lengths[frame["lines"].list.len().to_numpy() == 1].max()


def test_icd9_and_icd10_codes_of_one_spelling_are_kept_apart(tokenizer: FieldTokenizer) -> None:
    pair = to_frame([claim(3, diagnoses=("V1011",), code_system="icd9"), claim(6, diagnoses=("V1011",))])
    batch = tokenizer.encode(prepare_claims(pair))
    at = choose_field(tokenizer, batch, "diagnosis")
    assert at.sum() == 2
    fresh = FieldTokenizer(SPEC, min_count=1).fit(prepare_claims(pair))
    ids = fresh.encode(prepare_claims(pair)).value_ids[at]
    assert fresh.convert_ids_to_tokens(ids) == ["diagnosis=ICD9:V1011", "diagnosis=V1011"]


def test_hiding_a_charge_hides_what_it_could_be_added_up_from(tokenizer: FieldTokenizer, frame: pl.DataFrame) -> None:
    batch = tokenizer.encode(prepare_claims(frame))
    hidden = closure(tokenizer, batch, choose_field(tokenizer, batch, "line_charge", rank=2))
    at = {
        (tokenizer.field_names[f - 1], r)
        for f, r in zip(batch.field_ids[hidden], batch.position_ids[hidden], strict=True)
    }
    assert at == {("line_charge", 2), ("line_charge_ratio", 2), ("charge_amount", 0)}


def test_a_claim_with_nothing_but_the_required_fields(tokenizer: FieldTokenizer, tmp_path: Path) -> None:
    bare = Claim.parse(
        {
            "claim_id": "X",
            "claim_type": "pharmacy",
            "member_id": "Y",
            "service_from": dt.date(2024, 5, 1),
            "service_thru": dt.date(2024, 5, 1),
        }
    )
    batch = tokenizer.encode(prepare_claims(to_frame([bare])))
    assert tokenizer.decode(batch)["claim_type"].to_list() == ["?"]
    tokenizer.save_pretrained(tmp_path)
    again = FieldTokenizer.from_pretrained(tmp_path).encode(prepare_claims(to_frame([bare])))
    np.testing.assert_array_equal(again.value_ids, batch.value_ids)


def test_no_claims_at_all(tokenizer: FieldTokenizer, frame: pl.DataFrame) -> None:
    batch = tokenizer.encode(prepare_claims(frame[:0]))
    assert batch.shape == (0, SPEC.length)
    assert batch.compact().shape == (0, 0)
    assert len(tokenizer.decode(batch)) == 0
