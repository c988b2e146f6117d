"""The families of medical codes: for a code, the groups that contain it, from the nearest to the widest.

Numbering only: chapters of ICD-9-CM and ICD-10-CM, sections of ICD-9-CM volume 3 and of CPT, letters of HCPCS level
II, major diagnostic categories of MS-DRG, labeler and product of an NDC. Titles are not here. A code outside every
known range still gets a family, taken from its first characters, so that a code of a later release lands near its
relatives.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import lru_cache

__all__ = ["HIERARCHIES", "levels", "icd10_chapter", "icd9_chapter", "cpt_section"]

# First category of each chapter, in order; a category belongs to the last chapter that starts at or before it.
ICD10_CHAPTERS = (
    *("A00", "C00", "D50", "E00", "F01", "G00", "H00", "H60", "I00", "J00", "K00"),
    *("L00", "M00", "N00", "O00", "P00", "Q00", "R00", "S00", "U00", "V00", "Z00"),
)
ICD9_CHAPTERS = (
    *("001", "140", "240", "280", "290", "320", "390", "460", "520"),
    *("580", "630", "680", "710", "740", "760", "780", "800"),
)
# ICD-9-CM volume 3: first two digits of each chapter.
ICD9_PROCEDURE_CHAPTERS = (
    *("00", "01", "06", "08", "18", "21", "30", "35", "40"),
    *("42", "55", "60", "65", "72", "76", "85", "87"),
)
# CPT category I sections by first code: anesthesia, surgery by body system, radiology, pathology, medicine, evaluation.
CPT_SECTIONS = (
    *("00100", "10004", "20100", "30000", "33016", "38100", "39000", "40490", "50010", "54000", "56405"),
    *("59000", "60000", "61000", "65091", "69000", "70010", "80047", "90281", "99202", "99500"),
)
# First DRG of each major diagnostic category (MS-DRG numbering); 981 and above are unrelated to a category or
# ungroupable.
MDC_FIRST = (
    (1, "PRE"), (20, "01"), (113, "02"), (129, "03"), (163, "04"), (215, "05"), (326, "06"), (405, "07"),
    (453, "08"), (573, "09"), (614, "10"), (652, "11"), (707, "12"), (734, "13"), (765, "14"), (789, "15"),
    (799, "16"), (820, "17"), (853, "18"), (876, "19"), (894, "20"), (901, "21"), (927, "22"), (935, "23"),
    (955, "24"), (969, "25"), (981, "ANY"),
)  # fmt: skip
_MDC_STARTS = [first for first, _ in MDC_FIRST]

_FIVE_DIGITS = re.compile(r"[0-9]{5}")
_DIGITS = re.compile(r"[0-9]+")


def _last_at_or_before(starts: Sequence[str], category: str) -> str | None:
    index = bisect_right(starts, category) - 1
    return starts[index] if index >= 0 else None


def icd10_chapter(code: str) -> str:
    """The first category of an ICD-10-CM code's chapter (`E119` is in the chapter of `E00`)."""
    return _last_at_or_before(ICD10_CHAPTERS, code[:3]) or "?"


def icd9_chapter(code: str) -> str:
    """The first category of an ICD-9-CM diagnosis code's chapter; `V` and `E` are the supplementary ones."""
    if code[:1] in {"V", "E"}:
        return code[0]
    return _last_at_or_before(ICD9_CHAPTERS, code[:3]) or "?"


def cpt_section(code: str) -> str:
    """The first code of a CPT number's section (surgery by body system)."""
    return _last_at_or_before(CPT_SECTIONS, code[:5]) or "00100"


def _icd9(code: str) -> tuple[str, ...]:
    width = 4 if code[:1] == "E" else 3
    return (code[:width], f"chapter {icd9_chapter(code)}")


def _icd9_procedure(code: str) -> tuple[str, ...]:
    return (code[:2], f"chapter {_last_at_or_before(ICD9_PROCEDURE_CHAPTERS, code[:2]) or '?'}")


def _icd10(code: str) -> tuple[str, ...]:
    return (code[:3], f"chapter {icd10_chapter(code)}")


def _diagnosis(code: str) -> tuple[str, ...]:
    """ICD-10-CM unless it starts with a digit or is marked `ICD9:`; codes marked otherwise by their system."""
    if code.startswith("ICD9:"):
        return tuple(f"ICD9:{level}" for level in _icd9(code[5:]))
    if ":" in code:
        return (code.partition(":")[0],)
    if code[:1].isdigit():
        return tuple(f"ICD9:{level}" for level in _icd9(code))
    return _icd10(code)


def _procedure(code: str) -> tuple[str, ...]:
    """HCPCS, ICD-10-PCS (seven characters) and ICD-9-CM volume 3 (three or four digits), told by their form."""
    if code.startswith("ICD9:"):
        return tuple(f"ICD9:{level}" for level in _icd9_procedure(code[5:]))
    if ":" in code:
        return (code.partition(":")[0],)
    if _FIVE_DIGITS.fullmatch(code):
        return (code[:3], f"section {cpt_section(code)}")
    if _DIGITS.fullmatch(code) and len(code) <= 4:
        return tuple(f"ICD9:{level}" for level in _icd9_procedure(code))
    if len(code) == 7:
        return (f"PCS {code[:3]}", f"PCS {code[:2]}")
    return (code[:3], f"section {code[:1]}")


def _drg(code: str) -> tuple[str, ...]:
    if not _DIGITS.fullmatch(code) or int(code) == 0:
        return ("MDC ?",)
    index = bisect_right(_MDC_STARTS, int(code)) - 1
    return (f"MDC {MDC_FIRST[index][1]}",)


def _ndc(code: str) -> tuple[str, ...]:
    """Eleven digits are 5-4-2: labeler and product, then labeler."""
    digits = code.replace("-", "")
    return (digits[:9], digits[:5])


def _prefix(width: int) -> Callable[[str], tuple[str, ...]]:
    return lambda code: (code[:width],)


HIERARCHIES: dict[str, Callable[[str], tuple[str, ...]]] = {
    "icd9": _icd9,
    "icd9_procedure": _icd9_procedure,
    "icd10": _icd10,
    "diagnosis": _diagnosis,
    "procedure": _procedure,
    "drg": _drg,
    "ndc": _ndc,
    "prefix1": _prefix(1),
    "prefix2": _prefix(2),
    "prefix3": _prefix(3),
}


@lru_cache(maxsize=1 << 17)
def levels(hierarchy: str, code: str) -> tuple[str, ...]:
    """The groups of a code without dots, nearest first: `levels("icd9", "42833") == ("428", "chapter 390")`."""
    return HIERARCHIES[hierarchy](code)
