"""Sentences to claims."""

from __future__ import annotations

from decimal import Decimal

import pytest

from claimsformer.assessment.text import claim_of_text
from claimsformer.errors import ReadError


def test_a_sentence_becomes_a_claim() -> None:
    claim = claim_of_text("58-year-old woman with diabetes, Metformin 500mg, 60 tablets, 30 days, $12.50").claim
    line = claim.lines[0]
    assert claim.claim_type == "pharmacy"
    assert claim.member_sex == "F"
    assert claim.member_birth_date is not None
    assert (claim.service_from - claim.member_birth_date).days // 365.25 == 58
    assert claim.diagnoses == ("E119",)
    assert (line.strength, line.quantity, line.days_supply, line.charge_amount) == ("500 MG", 60, 30, Decimal("12.50"))


def test_without_a_quantity_the_amount_stays_with_the_claim() -> None:
    claim = claim_of_text("Diabetes patient, Metformin 500mg, $5,000").claim
    assert claim.charge_amount == Decimal("5000.00")
    assert claim.lines[0].charge_amount is None


def test_codes_and_procedures() -> None:
    claim = claim_of_text("E11.9, HbA1c test, $20").claim
    assert claim.claim_type == "professional"
    assert claim.diagnoses == ("E119",)
    assert claim.lines[0].procedure_code == "X2170"


def test_what_is_not_understood_is_said() -> None:
    assert claim_of_text("Diabetes, infliximab 100 mg, $40").not_understood == ("drug infliximab",)
    with pytest.raises(ReadError, match="names no drug"):
        claim_of_text("a fine day")


@pytest.mark.parametrize(
    ("text", "left_over"),
    [
        ("Diabetes patient, Metformin 500mg, hip replacement, $150", ("hip replacement",)),
        (
            "Diabetes patient with knee replacement surgery and Metformin - brain surgery",
            ("knee replacement surgery", "brain surgery"),
        ),
        ("Asthma, albuterol inhaler 2x daily, 1.200,50 EUR", ("eur",)),
        ("8 year old boy with Alzheimer's disease takes donepezil 10 mg, billed for one HbA1c test", ()),
    ],
)
def test_words_that_no_table_knows_are_named(text: str, left_over: tuple[str, ...]) -> None:
    assert claim_of_text(text).not_understood == left_over


@pytest.mark.parametrize(("dose", "kept"), [("500 mg", True), ("1000mg", False), ("2000 mg", True), ("0.5 g", True)])
def test_an_ordinary_strength_that_the_tables_lack_is_no_evidence(dose: str, kept: bool) -> None:
    """Two tablets a day: 2,000 mg are ordinary, 4,000 are beyond the highest dose."""
    read = claim_of_text(f"Diabetes, Metformin {dose}, $20")
    assert (read.claim.lines[0].strength is not None) is kept
    assert any("500 MG alone" in words for words in read.not_understood) is not kept


@pytest.mark.parametrize("written", ["N40.0", "n40.0", "diagnosis N40.0", "dx: N40.0", "ICD-10 N400"])
def test_a_diagnosis_code_is_read_however_it_is_written(written: str) -> None:
    read = claim_of_text(f"Male, 66 years old, {written}, office visit, $120")
    assert read.claim.diagnoses == ("N400",)
    assert {"sex M", "age 66", "diagnosis N400"} <= set(read.understood)
    assert read.not_understood == ()


def test_a_code_that_is_not_read_is_named() -> None:
    read = claim_of_text("Diabetes, CPT 99213, code 250.00, $40")
    assert read.not_understood == ("code CPT 99213", "code 250.00")
    assert read.claim.diagnoses == ("E119",)
