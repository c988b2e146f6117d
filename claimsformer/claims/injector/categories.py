"""Coarse groups of codes that the mechanisms need: major diagnostic category, procedure chapter, codes of one sex."""

from __future__ import annotations

from bisect import bisect_right
from typing import Final, Literal

__all__ = ["major_category", "procedure_chapter", "sex_of_diagnosis"]

# First MS-DRG of each major diagnostic category (CMS, MS-DRG Definitions Manual, v25 and later). The DRGs before 020
# cut across categories ("pre-MDC") and those from 981 are procedures unrelated to the diagnosis: groups of their own.
_MDC_STARTS: Final = (
    (0, "PRE"), (20, "01"), (113, "02"), (129, "03"), (163, "04"), (215, "05"), (326, "06"), (405, "07"), (453, "08"),
    (570, "09"), (614, "10"), (652, "11"), (707, "12"), (734, "13"), (765, "14"), (789, "15"), (799, "16"), (820, "17"),
    (853, "18"), (876, "19"), (894, "20"), (901, "21"), (927, "22"), (939, "23"), (955, "24"), (969, "25"),
    (981, "UNRELATED"), (998, "UNGROUPED"),
)  # fmt: skip
_MDC_FIRST: Final = [start for start, _ in _MDC_STARTS]

# First two digits that open each chapter of ICD-9-CM volume 3.
_CHAPTER_STARTS: Final = (0, 1, 6, 8, 17, 18, 21, 30, 35, 40, 42, 55, 60, 65, 72, 76, 85, 87)

# First and last three-character category of codes that only one sex can have (Medicare Code Editor, sex conflict edit).
_SEX_RANGES: Final[tuple[tuple[str, str, Literal["F", "M"]], ...]] = (
    ("179", "184", "F"), ("218", "221", "F"), ("614", "679", "F"), ("185", "187", "M"), ("600", "608", "M"),
    ("C51", "C58", "F"), ("D25", "D28", "F"), ("N70", "N77", "F"), ("N80", "N98", "F"), ("O00", "O9A", "F"),
    ("C60", "C63", "M"), ("N40", "N53", "M"),
)  # fmt: skip


def major_category(drg: str | None) -> str | None:
    """The major diagnostic category of an MS-DRG, `None` for a DRG that is missing or not a number."""
    if drg is None or not drg.isdigit():
        return None
    return _MDC_STARTS[bisect_right(_MDC_FIRST, int(drg)) - 1][1]


def procedure_chapter(code: str) -> str:
    """The chapter of an ICD-9-CM procedure, or section and body system of an ICD-10-PCS code."""
    if len(code) <= 4 and code[:2].isdigit():
        return f"9:{_CHAPTER_STARTS[bisect_right(_CHAPTER_STARTS, int(code[:2])) - 1]:02d}"
    return f"10:{code[:2]}"


def sex_of_diagnosis(code: str) -> Literal["F", "M"] | None:
    """The one sex that can have an ICD-9-CM or ICD-10-CM diagnosis, `None` where both can."""
    category = code[:3]
    for first, last, sex in _SEX_RANGES:
        if first <= category <= last:
            return sex
    return None
