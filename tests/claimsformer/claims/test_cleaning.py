"""Cleaning changes what can be read in one way only, counts each change, and leaves clean tables alone."""

import datetime as dt
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from claimsformer.claims.cleaning import clean, normalise
from claimsformer.claims.frames import to_frame
from claimsformer.claims.schema import Claim

from .claim_strategies import claims


def cleaned(name: str, value: object, **options: bool) -> object:
    return clean(pl.DataFrame({name: [value]}), **options)[0][name][0]


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("service_from", "2024-03-04", dt.date(2024, 3, 4)),
        ("service_from", "20240304", dt.date(2024, 3, 4)),
        ("service_from", " 3/4/2024 ", dt.date(2024, 3, 4)),
        ("service_from", "04-Mar-2024", dt.date(2024, 3, 4)),
        ("service_from", "4-MAR-2024", dt.date(2024, 3, 4)),
        ("service_from", "2024-03-04T23:59:59-08:00", dt.date(2024, 3, 4)),
        ("service_from", "13/13/2024", None),
        ("service_from", "3/4/24", None),
        ("service_from", dt.datetime(2024, 3, 4, 5), dt.date(2024, 3, 4)),
        ("charge_amount", "$1,234.50", Decimal("1234.50")),
        ("charge_amount", "(12.30)", Decimal("-12.30")),
        ("charge_amount", "USD 5", Decimal("5.00")),
        ("charge_amount", "112.41600000000001", Decimal("112.42")),
        ("charge_amount", 112.41600000000001, Decimal("112.42")),
        ("charge_amount", "1,234.50 $", Decimal("1234.50")),
        ("charge_amount", "1,23", None),
        ("charge_amount", "5 €", None),
        ("charge_amount", "1.2.3", None),
        ("member_sex", "Female", "F"),
        ("member_state", "new york", "NY"),
        ("member_zip", "77001-1234", "77001"),
        ("admit_diagnosis", " e11.9", "E119"),
        ("admit_diagnosis", "V58.11", "V5811"),
        ("admit_diagnosis", "E888.8", "E8888"),
        ("drg", "65", "065"),
        ("drg", 65.0, "065"),
        ("bill_type", "0131", "131"),
        ("line_revenue_code", "450", "0450"),
        ("place_of_service", "2", "02"),
        ("line_ndc", "0002-7597-01", "00002759701"),
        ("line_strength", "500mg", "500 mg"),
        ("covered_days", "3.0", 3),
        ("member_sex", "N/A", None),
        ("line_units", "1,000.5", 1000.5),
    ],
)
def test_one_reading(name: str, before: object, after: object) -> None:
    assert cleaned(name, before) == after


def test_day_first() -> None:
    assert cleaned("service_from", "03/04/2024", day_first=True) == dt.date(2024, 4, 3)


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("charge_amount", "1.234,50", Decimal("1234.50")),
        ("charge_amount", "$ 1.234.567,5", Decimal("1234567.50")),
        ("charge_amount", "1 234,50 $", Decimal("1234.50")),
        ("charge_amount", "-12,30 USD", Decimal("-12.30")),
        ("charge_amount", "1.234", Decimal("1234.00")),
        ("charge_amount", "1,234,5", None),
        ("line_units", "1,0", 1.0),
        ("line_quantity", "1.000,5", 1000.5),
        ("covered_days", "3,0", 3),
        ("line_strength", "0,5mg", "0.5 mg"),
    ],
)
def test_decimal_comma(name: str, before: str, after: object) -> None:
    assert cleaned(name, before, decimal_comma=True) == after


def test_the_report_counts_what_changed() -> None:
    frame = pl.DataFrame(
        {
            "claim_id": ["1", "1", "2", "3"],
            "charge_amount": ["$5", "$5", "5", "x"],
            "diagnoses": [["E11.9", "I10"], ["E11.9", "I10"], [], ["A.."]],
        }
    )
    result, report = clean(frame)
    assert result.height == 3
    assert report.duplicates_removed == 1
    assert report.changes["charge_amount", "currency sign removed"] == 2
    assert report.changes["charge_amount", "unreadable, emptied"] == 1
    assert report.changes["diagnoses", "dot of a code removed"] == 2
    assert (report + report).changes["charge_amount", "currency sign removed"] == 4
    assert report.to_frame()["count"].sum() == sum(report.changes.values())
    assert "4 rows, 1 exact duplicates" in str(report)


@settings(max_examples=8)
@given(st.lists(claims(), min_size=1, max_size=3, unique_by=lambda claim: claim.claim_id))
def test_a_clean_table_stays_as_it_is(batch: list[Claim]) -> None:
    frame = to_frame(batch)
    text, report = normalise(frame, plain=True)
    assert not report.changes
    assert clean(text.select(frame.columns))[0].shape == frame.shape


@given(st.lists(st.text(max_size=12), min_size=1, max_size=5))
def test_cleaning_twice_changes_nothing_more(values: list[str]) -> None:
    names = [
        "service_from",
        "charge_amount",
        "admit_diagnosis",
        "member_state",
        "drg",
        "line_ndc",
        "line_units",
        "line_strength",
    ]
    once, _ = normalise(pl.DataFrame(dict.fromkeys(names, values)))
    twice, report = normalise(once)
    assert twice.equals(once), report.changes
