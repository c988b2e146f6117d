"""Codes and their ancestors: full code, category, chapter, for single codes and for whole columns.

| system | category | chapter |
|---|---|---|
| icd9 | 3 characters (E codes 4) | one of 19 by range |
| icd9_procedure | 2 digits | one of 17 by range |
| icd10 | 3 characters | one of 22 by letter and range |
| icd10_procedure | section and body system (2 characters) | section (1 character) |
| hcpcs | letter and 2 digits; level I codes their first 3 digits | letter; level I codes their first digit |
| drg | major diagnostic category (MDC) | medical or surgical is not told apart: the MDC again |
| ndc | labeler and product (9 digits) | labeler (5 digits) |

A code that no table knows still has a category, so what is new in a later year lands beside its family.
"""

from dataclasses import dataclass

import polars as pl

from claimsformer.claims.codes.drg import mdc_expr, mdc_of
from claimsformer.claims.codes.tables import load
from claimsformer.errors import CodeError

__all__ = ["Code", "SYSTEMS", "lookup", "category_expr", "chapter_expr", "CHAPTERS"]

SYSTEMS = ("icd9", "icd9_procedure", "icd10", "icd10_procedure", "hcpcs", "drg", "ndc")

# First code of each chapter, in order; a chapter reaches to the next one. Titles in our own words.
CHAPTERS: dict[str, list[tuple[str, str]]] = {
    "icd9": [
        ("001", "infectious and parasitic diseases"),
        ("140", "neoplasms"),
        ("240", "endocrine, nutritional, metabolic and immune disorders"),
        ("280", "blood"),
        ("290", "mental disorders"),
        ("320", "nervous system and sense organs"),
        ("390", "circulatory system"),
        ("460", "respiratory system"),
        ("520", "digestive system"),
        ("580", "genitourinary system"),
        ("630", "pregnancy and childbirth"),
        ("680", "skin"),
        ("710", "musculoskeletal system"),
        ("740", "congenital anomalies"),
        ("760", "perinatal conditions"),
        ("780", "symptoms and ill-defined conditions"),
        ("800", "injury and poisoning"),
        ("E000", "external causes"),
        ("V01", "factors influencing health status"),
    ],
    "icd9_procedure": [
        ("00", "procedures not elsewhere classified"),
        ("01", "nervous system"),
        ("06", "endocrine system"),
        ("08", "eye"),
        ("18", "ear"),
        ("21", "nose, mouth and pharynx"),
        ("30", "respiratory system"),
        ("35", "cardiovascular system"),
        ("40", "blood and lymph"),
        ("42", "digestive system"),
        ("55", "urinary system"),
        ("60", "male genital organs"),
        ("65", "female genital organs"),
        ("72", "obstetrics"),
        ("76", "musculoskeletal system"),
        ("85", "skin and breast"),
        ("87", "diagnostic and therapeutic, miscellaneous"),
    ],
    "icd10": [
        ("A00", "infectious and parasitic diseases"),
        ("C00", "neoplasms"),
        ("D50", "blood and immune mechanism"),
        ("E00", "endocrine, nutritional and metabolic diseases"),
        ("F00", "mental and behavioural disorders"),
        ("G00", "nervous system"),
        ("H00", "eye"),
        ("H60", "ear"),
        ("I00", "circulatory system"),
        ("J00", "respiratory system"),
        ("K00", "digestive system"),
        ("L00", "skin"),
        ("M00", "musculoskeletal system"),
        ("N00", "genitourinary system"),
        ("O00", "pregnancy and childbirth"),
        ("P00", "perinatal conditions"),
        ("Q00", "congenital anomalies"),
        ("R00", "symptoms and abnormal findings"),
        ("S00", "injury and poisoning"),
        ("U00", "codes for special purposes"),
        ("V00", "external causes"),
        ("Z00", "factors influencing health status"),
    ],
}
_TABLES = {"icd9": "icd9_diagnosis", "icd9_procedure": "icd9_procedure", "hcpcs": "hcpcs_level2"}
_WIDTH = {"icd9": 3, "icd9_procedure": 2, "icd10": 3, "icd10_procedure": 2, "hcpcs": 3, "ndc": 9}
_CHAPTER_WIDTH = {"icd10_procedure": 1, "hcpcs": 1, "ndc": 5}


@dataclass(frozen=True)
class Code:
    """What is known of a code: `known` is False when no packaged table lists it, and `title` is then empty."""

    code: str
    system: str
    category: str
    chapter: str
    title: str
    group: str
    known: bool


def _check(system: str) -> None:
    if system not in SYSTEMS:
        raise CodeError(f"unknown code system {system!r}", hint=f"Known systems: {', '.join(SYSTEMS)}.")


def _chapter(category: str, system: str) -> str:
    starts = [
        start for start, _ in CHAPTERS[system] if start <= category and start[0].isdigit() == category[:1].isdigit()
    ]
    return CHAPTERS[system][0][0] if not starts else starts[-1]


def lookup(code: str, system: str) -> Code:
    """The code with its ancestors, its title and its CCS group where a table has them; raises CodeError for an
    unknown system."""
    _check(system)
    if system == "drg":
        mdc = mdc_of(code)
        return Code(code, system, mdc, mdc, "", "", mdc != "")
    width = 4 if system == "icd9" and code.startswith("E") else _WIDTH[system]
    category = code[:width]
    chapter = _chapter(category, system) if system in CHAPTERS else code[: _CHAPTER_WIDTH[system]]
    entry = load(_TABLES[system]).get(code) if system in _TABLES else None
    return Code(
        code, system, category, chapter, entry.title if entry else "", entry.group if entry else "", entry is not None
    )


def category_expr(column: pl.Expr, system: str) -> pl.Expr:
    """The category of each code of a column."""
    _check(system)
    if system == "drg":
        return mdc_expr(column)
    if system == "icd9":
        return pl.when(column.str.starts_with("E")).then(column.str.slice(0, 4)).otherwise(column.str.slice(0, 3))
    return column.str.slice(0, _WIDTH[system])


def chapter_expr(column: pl.Expr, system: str) -> pl.Expr:
    """The chapter of each code of a column, named by its first category."""
    _check(system)
    if system == "drg":
        return mdc_expr(column)
    if system not in CHAPTERS:
        return column.str.slice(0, _CHAPTER_WIDTH[system])
    category = category_expr(column, system)
    found: pl.Expr = pl.when(category.is_not_null()).then(pl.lit(CHAPTERS[system][0][0]))
    for start, _ in CHAPTERS[system][1:]:
        reached = (category >= start) & (category.str.contains("^[0-9]") == start[0].isdigit())
        found = pl.when(reached).then(pl.lit(start)).otherwise(found)
    return found
