"""Sentences to claims."""

from __future__ import annotations

import contextlib
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
    assert claim_of_text("Diabetes, infliximab 100 mg, $40").not_understood == ("drug infliximab", "100 mg")
    with pytest.raises(ReadError, match="names no drug"):
        claim_of_text("a fine day")


@pytest.mark.parametrize(
    ("text", "left_over"),
    [
        ("Diabetes patient, Metformin 500mg, shoulder replacement, $150", ("shoulder replacement",)),
        (
            "Diabetes patient with shoulder replacement surgery and Metformin - sinus surgery",
            ("shoulder replacement surgery", "sinus surgery"),
        ),
        ("Asthma, albuterol inhaler 2x daily, 1.200,50 EUR", ("1.200,50 eur",)),
        ("Knee arthritis, knee replacement surgery, $1,600", ()),
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


@pytest.mark.parametrize(
    ("text", "left_out"),
    [
        ("Patient without diabetes, Metformin 500mg", "without diabetes"),
        ("No diabetes, Metformin 500mg", "no diabetes"),
        ("Denies any asthma or diabetes, Metformin 500mg", "denies any asthma or diabetes"),
        ("Diabetes ruled out, Metformin 500mg", "diabetes ruled out"),
        ("Family history of diabetes, Metformin 500mg", "family history of diabetes"),
    ],
)
def test_what_a_sentence_denies_is_no_diagnosis(text: str, left_out: str) -> None:
    read = claim_of_text(text)
    assert read.claim.diagnoses == ()
    assert left_out in read.not_understood


def test_a_drug_that_is_not_taken_is_no_line_and_one_named_again_is_one() -> None:
    read = claim_of_text("Diabetes, not Metformin but insulin")
    assert read.claim.lines == ()
    assert "not metformin" in read.not_understood
    assert len(claim_of_text("Metformin for diabetes, metformin 500 mg").claim.lines) == 1
    assert len(claim_of_text("Diabetes, metformin 500 mg, metformin 1000 mg").claim.lines) == 2


def test_a_dose_belongs_to_the_drug_that_it_stands_with() -> None:
    for text in ("Metformin and Lisinopril 20 mg", "infliximab 100 mg, Lisinopril 20 mg", "Lisinopril 20mg, Metformin"):
        lines = {line.drug_name: line.strength for line in claim_of_text(text).claim.lines}
        assert lines.pop("Lisinopril Oral Tablet") == "20 MG"
        assert set(lines.values()) <= {None}


@pytest.mark.parametrize("written", ["$150", "150 dollars", "150 USD", "USD 150", "150$", "$150.00"])
def test_dollars_are_read_however_they_are_written(written: str) -> None:
    read = claim_of_text(f"Diabetes, Metformin 500mg, {written}")
    assert read.claim.charge_amount == 150
    assert read.not_understood == ()


@pytest.mark.parametrize(
    "written",
    [
        "$1.5k", "$1.2.3", "$5.000,00", "\u20ac150", "150 Euro", "EUR 150", "$-150", "-$150", "$2M", "$150-$5000",
        "$1 500", "$150.999", "1.5 million dollars", "$99999999999999999999",
    ],
)  # fmt: skip
def test_an_amount_that_is_not_read_is_named(written: str) -> None:
    read = claim_of_text(f"Diabetes, Metformin 500mg, {written}")
    assert read.claim.charge_amount is None
    assert any(set("0123456789") & set(words) for words in read.not_understood)


@pytest.mark.parametrize(
    ("words", "left_out"),
    [
        ("90 tablets for 0 days", "0 days"), ("500-1000 mg", "500-1000 mg"), ("500mg/5ml", "500mg/5ml"),
        ("999 years old", "999 years old"), ("E11.9999999", "e11.9999999"), ("on 03/04/2025", "03/04/2025"),
        ("300 of 4711", "300 4711"), ("woman and man", "the sex, since both are named"),
    ],
)  # fmt: skip
def test_a_number_that_is_not_read_is_named(words: str, left_out: str) -> None:
    assert left_out in claim_of_text(f"Diabetes, Metformin, {words}").not_understood


def test_what_is_read_is_told() -> None:
    read = claim_of_text("Boy aged 8, his mother has asthma, Metformin 500mg, 60 tablets, 30 days, $20")
    told = {"sex M", "age 8", "strength 500 MG", "quantity 60", "supply of 30 days", "amount $20"}
    assert told <= set(read.understood)
    assert read.not_understood == ()


@pytest.mark.parametrize(
    "text", ["metformin " * 5000, "word " * 5000 + "metformin", "$1 " * 3000 + "diabetes", "no " * 9000]
)
def test_long_sentences_are_read_or_refused(text: str) -> None:
    with contextlib.suppress(ReadError):
        assert claim_of_text(text).claim.claim_id == "TEXT"
