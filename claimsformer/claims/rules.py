"""Rules between the fields of one claim, each with the sentence a person reads; none repeats a value.

The same rules in vectorised form, for frames, are in `frame_checks.py`; a property test holds the two together.
"""

import re
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING

from claimsformer.claims.forms import PATTERNS

if TYPE_CHECKING:
    from claimsformer.claims.schema import Claim, ClaimLine

__all__ = ["SENTENCES", "problems_of_claim"]

# (field, reason) by name of the rule; `frame_checks.py` reports with the same words.
SENTENCES: dict[str, tuple[str, str]] = {
    "service_period": ("service_thru", "is before service_from"),
    "admission_period": ("discharge_date", "is before admission_date"),
    "birth": ("member_birth_date", "is after service_from"),
    "death_before_birth": ("member_death_date", "is before member_birth_date"),
    "code_system_missing": ("code_system", "is missing, but there are diagnoses or procedures"),
    "admit_diagnosis": (
        "admit_diagnosis",
        "does not have the form of a code of code_system (write it without the dot)",
    ),
    "diagnoses": ("diagnoses", "holds a code without the form of code_system (write codes without the dot)"),
    "procedures": ("procedures", "holds a code without the form of code_system (write codes without the dot)"),
    "negative": ("charge_amount", "is negative, and claim_status is not 22 (a reversal)"),
    "charge_total": ("charge_amount", "is not the sum of the charges of the lines"),
    "line_numbers": ("lines", "do not have rising line numbers"),
    "line_period": ("lines", "hold a line whose service_thru is before its service_from"),
    "line_outside": ("lines", "hold a line with a date outside the service period of the claim"),
    "line_procedure": ("lines", "hold a procedure_code without the form of its procedure_system"),
    "line_pointer": ("lines", "hold a diagnosis pointer to a diagnosis that is not there"),
}

PROCEDURE_FORM = {"icd9": "icd9_procedure", "icd10": "icd10_procedure", "snomed": "snomed"}
LINE_PROCEDURE_FORM = {"hcpcs": "hcpcs", "hipps": "hipps", "snomed": "snomed", "rxnorm": "other_procedure"}


def _fits(kind: str, code: str) -> bool:
    return re.fullmatch(PATTERNS[kind].strip("^$"), code) is not None


def problems_of_claim(claim: "Claim") -> list[tuple[str, str]]:
    """(field, reason) for each rule between fields that the claim breaks."""
    names = [*_dates(claim), *_codes(claim), *_amounts(claim), *_lines(claim)]
    return [SENTENCES[name] for name in names]


def _dates(claim: "Claim") -> list[str]:
    broken = []
    if claim.service_thru < claim.service_from:
        broken.append("service_period")
    if claim.admission_date and claim.discharge_date and claim.discharge_date < claim.admission_date:
        broken.append("admission_period")
    if claim.member_birth_date:
        if claim.member_birth_date > claim.service_from:
            broken.append("birth")
        if claim.member_death_date and claim.member_death_date < claim.member_birth_date:
            broken.append("death_before_birth")
    return broken


def _codes(claim: "Claim") -> list[str]:
    system = claim.code_system
    if system is None:
        return ["code_system_missing"] if claim.diagnoses or claim.procedures or claim.admit_diagnosis else []
    broken = []
    if claim.admit_diagnosis is not None and not _fits(system, claim.admit_diagnosis):
        broken.append("admit_diagnosis")
    if not all(_fits(system, code) for code in claim.diagnoses):
        broken.append("diagnoses")
    if not all(_fits(PROCEDURE_FORM[system], code) for code in claim.procedures):
        broken.append("procedures")
    return broken


def _amounts(claim: "Claim") -> list[str]:
    broken = []
    charges = [line.charge_amount for line in claim.lines]
    if claim.claim_status != "22" and any(
        amount is not None and amount < 0 for amount in [claim.charge_amount, *charges]
    ):
        broken.append("negative")
    known = [amount for amount in charges if amount is not None]
    if (
        claim.charge_amount is not None
        and charges
        and len(known) == len(charges)
        and sum(known, Decimal(0)) != claim.charge_amount
    ):
        broken.append("charge_total")
    return broken


def _lines(claim: "Claim") -> list[str]:
    broken = []
    numbers = [line.line_number for line in claim.lines]
    if any(later <= earlier for earlier, later in pairwise(numbers)):
        broken.append("line_numbers")
    for name, rule in (
        (
            "line_period",
            lambda line: bool(line.service_from and line.service_thru and line.service_thru < line.service_from),
        ),
        ("line_outside", lambda line: _outside(claim, line)),
        ("line_procedure", _misformed),
        ("line_pointer", lambda line: any(pointer > len(claim.diagnoses) for pointer in line.diagnosis_pointers)),
    ):
        if any(rule(line) for line in claim.lines):
            broken.append(name)
    return broken


def _outside(claim: "Claim", line: "ClaimLine") -> bool:
    dates = [day for day in (line.service_from, line.service_thru) if day is not None]
    return any(not claim.service_from <= day <= claim.service_thru for day in dates)


def _misformed(line: "ClaimLine") -> bool:
    form = LINE_PROCEDURE_FORM.get(line.procedure_system or "")
    return line.procedure_code is not None and form is not None and not _fits(form, line.procedure_code)
