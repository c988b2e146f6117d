"""Coarse groups of codes that the mechanisms need: major diagnostic category, procedure chapter, codes of one sex."""

from __future__ import annotations

from functools import cache
from typing import Final, Literal

from claimsformer.claims.codes import lookup, mdc_of

__all__ = ["major_category", "procedure_chapter", "sex_of_diagnosis"]

# First and last three-character category of codes that only one sex can have (Medicare Code Editor, sex conflict edit).
_SEX_RANGES: Final[tuple[tuple[str, str, Literal["F", "M"]], ...]] = (
    ("179", "184", "F"), ("218", "221", "F"), ("614", "679", "F"), ("185", "187", "M"), ("600", "608", "M"),
    ("C51", "C58", "F"), ("D25", "D28", "F"), ("N70", "N77", "F"), ("N80", "N98", "F"), ("O00", "O9A", "F"),
    ("C60", "C63", "M"), ("N40", "N53", "M"),
)  # fmt: skip


@cache
def major_category(drg: str | None) -> str | None:
    """The major diagnostic category of an MS-DRG, `None` for a DRG that is missing or has none."""
    return mdc_of(drg) or None if drg is not None else None


@cache
def procedure_chapter(code: str) -> str:
    """The chapter of an ICD-9-CM procedure, or section and body system of an ICD-10-PCS code."""
    if len(code) <= 4 and code.isdecimal():
        return lookup(code, "icd9_procedure").chapter
    return lookup(code, "icd10_procedure").category


def sex_of_diagnosis(code: str) -> Literal["F", "M"] | None:
    """The one sex that can have an ICD-9-CM or ICD-10-CM diagnosis, `None` where both can."""
    category = code[:3]
    for first, last, sex in _SEX_RANGES:
        if first <= category <= last:
            return sex
    return None
