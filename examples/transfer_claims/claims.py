"""The task: two texts of a claim, why the member was admitted and what was done, and whether the two belong together.

Codes are replaced by their titles in ICD-9-CM (public domain), so that a reader of words has something to read. In one half of
the claims the procedures were exchanged for as many of a stay from another major diagnostic category.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from claimsformer.claims.codes import Entry, load, mdc_of
from claimsformer.errors import ReadError

__all__ = ["Claims", "same_chapter", "stays"]

TEST_SAMPLE = 14  #: CMS's samples share no member; 1 to 10 give the labels


@dataclass(frozen=True)
class Claims:
    """Per claim: the titles of the admission and principal diagnosis, those of the procedures, and whether they mismatch."""

    reasons: list[str]
    procedures: list[str]
    mismatch: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.reasons)

    def take(self, rows: Any) -> Claims:
        """Some of them."""
        rows = [int(i) for i in rows]
        return Claims([self.reasons[i] for i in rows], [self.procedures[i] for i in rows], self.mismatch[rows])


def stays(n_train: int, n_test: int, seed: int = 0) -> tuple[Claims, Claims]:
    """Inpatient stays of CMS DE-SynPUF for labels and for the test, no member in both. Raises ReadError without the data."""
    path = Path(os.environ.get("CLAIMSFORMER_DATA", "../shared/data")) / "synpuf" / "inpatient_claims.parquet"
    if not path.is_file():
        raise ReadError(
            "the SynPUF claims are not there", hint="Set CLAIMSFORMER_DATA to the folder that holds synpuf/."
        )
    known = [pl.col(c).is_in(_titled(table)) for c, table in (("dx1", "icd9_diagnosis"), ("px1", "icd9_procedure"))]
    frame = pl.read_parquet(path).filter(*known, pl.col("drg").is_not_null())
    parts = frame.filter(pl.col("sample") <= 10), frame.filter(pl.col("sample") == TEST_SAMPLE)
    return tuple(  # type: ignore[return-value]
        _mismatched(part.sample(min(n, part.height), seed=seed, shuffle=True), seed + i)
        for i, (part, n) in enumerate(zip(parts, (n_train, n_test), strict=True))
    )


def _titled(table: str) -> list[str]:
    """Codes that have a title; those of older versions have none."""
    return [code for code, entry in load(table).items() if entry.title]


def _mismatched(frame: pl.DataFrame, seed: int) -> Claims:
    """One half with foreign procedures: drawn from all stays, so that they are as common there as where they belong."""
    rows = list(frame.iter_rows(named=True))
    billed = [[r[f"px{k}"] for k in range(1, 7) if r[f"px{k}"]] for r in rows]
    groups = [mdc_of(r["drg"]) for r in rows]
    counts = np.array([len(codes) for codes in billed])
    rng = np.random.default_rng([seed, 14])
    found, mismatch = list(billed), np.zeros(len(rows), np.bool_)
    for i in rng.permutation(len(rows))[: len(rows) // 2]:
        for j in rng.choice(np.flatnonzero(counts == counts[i]), size=50):
            if groups[j] != groups[i] and not set(billed[i]) & set(billed[j]):
                found[i], mismatch[i] = billed[j], True
                break
    diagnoses, operations = load("icd9_diagnosis"), load("icd9_procedure")
    return Claims(
        [_words([r["admit_dx"], r["dx1"]], diagnoses) for r in rows],
        [_words(codes, operations) for codes in found],
        mismatch,
    )


def _words(codes: list[str | None], table: dict[str, Entry]) -> str:
    return ". ".join(dict.fromkeys(table[c].title for c in codes if c in table and table[c].title))


#: Chapters of ICD-9-CM on one part of the body: first three digits of diagnoses, first two of procedures.
_PARTS = (
    ((360, 379), (8, 16)), ((380, 389), (18, 20)), ((390, 459), (35, 39)), ((460, 519), (30, 34)),
    ((520, 579), (42, 54)), ((580, 599), (55, 59)), ((600, 608), (60, 64)), ((710, 739), (76, 84)),
)  # fmt: skip


def same_chapter(n: int, seed: int = 0) -> Claims:
    """Pairs of titles drawn at random, of the same part of the body or of another: a task that needs no data beside the package."""
    rng = np.random.default_rng(seed)
    diagnoses = [_titles("icd9_diagnosis", 3, *first) for first, _ in _PARTS]
    procedures = [_titles("icd9_procedure", 2, *second) for _, second in _PARTS]
    mismatch = np.arange(n) % 2 == 1
    own = rng.integers(len(_PARTS), size=n)
    other = (own + mismatch * rng.integers(1, len(_PARTS), size=n)) % len(_PARTS)
    return Claims(
        [str(rng.choice(diagnoses[k])) for k in own], [str(rng.choice(procedures[k])) for k in other], mismatch
    )


def _titles(table: str, digits: int, first: int, last: int) -> list[str]:
    return sorted(
        entry.title
        for code, entry in load(table).items()
        if entry.title and code[:digits].isdecimal() and first <= int(code[:digits]) <= last
    )
