"""The schema: models and vectorised checks judge alike, errors say what and never who."""

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from claimsformer.claims.frame_checks import check_frame
from claimsformer.claims.frames import asked_amount, claims_schema, conform, explode_lines, from_frame, to_frame
from claimsformer.claims.schema import Claim, ClaimLine
from claimsformer.errors import ClaimError

from .claim_strategies import claim_fields, claims

EARLY, LATE = dt.date(1849, 12, 31), dt.date(2200, 1, 1)
STRANGE: list[Any] = [
    "",
    " ",
    "a\nb",
    "é",
    "X" * 200,
    "1.5",
    "12",
    "123",
    "1234",
    "ABC",
    "E11.9",
    "00000000000",
    "CO",
    "|",
    "\x00",
    "F",
    "icd9",
]


def judge_model(row: dict[str, Any]) -> bool:
    try:
        from_frame(pl.DataFrame([row], schema=claims_schema()))
    except ClaimError:
        return False
    return True


def judge_frame(row: dict[str, Any]) -> bool:
    return check_frame(pl.DataFrame([row], schema=claims_schema())).is_empty()


def mutations(row: dict[str, Any]) -> st.SearchStrategy[Callable[[], None]]:
    """Changes of one field of a row (or of one of its lines) to something that may break a rule."""
    targets: list[dict[str, Any]] = [row, *row["lines"]]

    def change(target: dict[str, Any], name: str, value: Any) -> Callable[[], None]:
        return lambda: target.__setitem__(name, value)

    def values(target: dict[str, Any], name: str) -> st.SearchStrategy[Any]:
        dtype = (
            claims_schema() if target is row else dict(zip(ClaimLine.model_fields, ClaimLine.model_fields, strict=True))
        )[name]
        old = target[name]
        if name.endswith("_amount"):
            return st.sampled_from([None, Decimal("-1.00"), Decimal("0.01"), Decimal("99999999999.99")])
        if isinstance(old, dt.date) or dtype == pl.Date or name.startswith("service_"):
            return st.sampled_from([None, EARLY, LATE, dt.date(1999, 1, 1), dt.date(2029, 1, 1)])
        if name in ("units", "quantity"):
            return st.sampled_from([None, -1.0, float("nan"), float("inf"), 1e10])
        if name in ("line_number", "covered_days", "days_supply"):
            return st.sampled_from([None, 0, -1, 1, 10**6])
        if name == "diagnosis_pointers":
            return st.sampled_from([[0], [99], [1], []])
        if name == "adjustments":
            bad = {"group_code": "c o", "reason_code": "1", "amount": Decimal(1)}
            return st.sampled_from([[], [bad], [{**bad, "group_code": "CO"}], [{**bad, "group_code": None}]])
        if isinstance(old, list):
            return st.lists(st.sampled_from(STRANGE), max_size=2) | st.just(["123"] * 60)
        return st.none() | st.sampled_from(STRANGE)

    @st.composite
    def one(draw: st.DrawFn) -> Callable[[], None]:
        target = draw(st.sampled_from(targets))
        name = draw(st.sampled_from([key for key in target if key != "lines"]))
        return change(target, name, draw(values(target, name)))

    return one()


@given(st.data())
def test_models_and_frames_judge_alike(data: st.DataObject) -> None:
    claim = Claim.parse(data.draw(claim_fields()))
    row = to_frame([claim]).to_dicts()[0]
    assert judge_frame(row)
    for change in data.draw(st.lists(mutations(row), max_size=3)):
        change()
    assert judge_frame(row) == judge_model(row), check_frame(pl.DataFrame([row], schema=claims_schema()))


LEGAL: dict[str, Any] = {
    "claim_id": "SECRET-CLAIM",
    "claim_type": "professional",
    "member_id": "SECRET-MEMBER",
    "service_from": dt.date(2024, 1, 2),
    "service_thru": dt.date(2024, 1, 3),
    "code_system": "icd10",
    "diagnoses": ["E119"],
    "charge_amount": Decimal("10.50"),
    "lines": [
        {"line_number": 1, "procedure_code": "99213", "procedure_system": "hcpcs", "charge_amount": Decimal("10.50")}
    ],
}


@pytest.mark.parametrize(
    ("change", "field", "sentence"),
    [
        ({"service_thru": dt.date(2024, 1, 1)}, "service_thru", "before service_from"),
        ({"member_birth_date": dt.date(2024, 1, 5)}, "member_birth_date", "after service_from"),
        (
            {"admission_date": dt.date(2024, 1, 2), "discharge_date": dt.date(2024, 1, 1)},
            "discharge_date",
            "before admission_date",
        ),
        ({"diagnoses": ["E11.9"]}, "diagnoses", "without the dot"),
        ({"code_system": None}, "code_system", "missing"),
        ({"charge_amount": Decimal("10.51")}, "charge_amount", "sum of the charges"),
        ({"charge_amount": Decimal("10.505")}, "charge_amount", "2 decimal places"),
        ({"charge_amount": 10.5}, "charge_amount", "Decimal"),
        ({"member_id": "SECRET\n"}, "member_id", "form"),
        ({"claim_type": "SECRET"}, "claim_type", "institutional"),
        ({"member_phone": "SECRET"}, "claim", "does not know"),
        ({"lines": [{"line_number": 1, "service_from": dt.date(2024, 2, 1)}]}, "lines", "outside the service period"),
        ({"lines": [{"line_number": 1, "diagnosis_pointers": [2]}]}, "lines", "not there"),
        ({"lines": [{"line_number": 2}, {"line_number": 1}]}, "lines", "rising"),
        (
            {"lines": [{"line_number": 1, "procedure_code": "9921", "procedure_system": "hcpcs"}]},
            "lines",
            "procedure_system",
        ),
    ],
)
def test_each_rule_names_its_field_and_no_person(change: dict[str, Any], field: str, sentence: str) -> None:
    with pytest.raises(ClaimError) as caught:
        Claim.parse({**LEGAL, **change})
    assert any(name.startswith(field) and sentence in reason for name, reason in caught.value.problems)
    assert "SECRET" not in str(caught.value)
    assert "SECRET" not in repr(caught.value.__cause__)


def test_suspicious_is_not_illegal() -> None:
    """Findings are for the edits: service after death, absurd units, late filing and negative payments come through the door."""
    claim = Claim.parse(
        {**LEGAL, "member_death_date": dt.date(2020, 1, 1), "submitted_date": dt.date(2028, 1, 1), "paid_amount": Decimal("-5.00"),
         "lines": [{**LEGAL["lines"][0], "units": 5000.0}]}
    )  # fmt: skip
    assert claim.lines[0].units == 5000.0


def test_a_reversal_may_be_negative() -> None:
    line = {"line_number": 1, "charge_amount": Decimal("-10.50")}
    reversal = {**LEGAL, "charge_amount": Decimal("-10.50"), "lines": [line]}
    with pytest.raises(ClaimError, match="negative"):
        Claim.parse(reversal)
    assert Claim.parse({**reversal, "claim_status": "22"}).charge_amount == Decimal("-10.50")


@given(st.lists(claims(), min_size=1, max_size=3))
def test_tables_of_lines_and_missing_columns(batch: list[Claim]) -> None:
    frame = to_frame(batch)
    lines = explode_lines(frame)
    assert lines.height == sum(len(claim.lines) for claim in batch)
    assert lines["procedure_code"].to_list() == [line.procedure_code for claim in batch for line in claim.lines]
    thin = conform(
        frame.select("claim_id", "claim_type", "member_id", "service_from", "service_thru").with_columns(extra=1),
        keep=["extra"],
    )
    assert thin.columns == [*claims_schema(), "extra"]
    assert [claim.claim_id for claim in from_frame(thin)] == [claim.claim_id for claim in batch]


def test_columns_are_the_fields_of_the_model() -> None:
    assert list(claims_schema()) == list(Claim.model_fields)
    assert claims_schema()["lines"].inner.to_schema() == pl.Schema(  # type: ignore[attr-defined]
        dict(explode_lines(to_frame([Claim.parse(LEGAL)])).drop("claim_id").schema.items())
    )


def test_a_claim_asks_for_the_sum_of_its_lines_where_it_names_no_amount_itself() -> None:
    day = dt.date(2024, 1, 2)
    common = {"member_id": "M", "claim_type": "professional", "service_from": day, "service_thru": day}
    five, seven, none = {"charge_amount": Decimal(5)}, {"paid_amount": Decimal("7.50")}, {"units": 1.0}
    cases: list[tuple[list[dict[str, Any]], dict[str, Any], float | None]] = [
        ([five, seven], {}, 12.5),
        ([five, none], {}, None),  # half of the lines would be too low an amount
        ([], {}, None),
        ([five], {"paid_amount": Decimal(3)}, 3.0),
    ]
    frame = to_frame(
        Claim.parse(
            common | named | {"claim_id": f"C{i}", "lines": [{"line_number": k} | x for k, x in enumerate(lines, 1)]}
        )
        for i, (lines, named, _) in enumerate(cases)
    )
    assert asked_amount(frame).to_list() == [asked for _, _, asked in cases]
    assert asked_amount(frame[3:]).to_list() == [3.0]
