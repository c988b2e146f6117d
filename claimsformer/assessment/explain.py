"""Verdicts with reasons: of the most surprising answers what was expected instead, and similar past claims."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl

from claimsformer.assessment.decision import Assessment, Reason, SimilarClaim, digests
from claimsformer.assessment.examples import Examples
from claimsformer.assessment.fusion import Evidence
from claimsformer.assessment.reading import Reader
from claimsformer.assessment.surprise import Blank, Surprises, expected
from claimsformer.assessment.wording import edit_reasons, surprise_reason
from claimsformer.tokenizer.fields import ClaimBatch

__all__ = ["Judged", "assessments", "edit_reasons"]

RARE = 0.01  # only what so few ordinary claims reach is a reason
SHOWN = 2  # so many surprising fields a claim


@dataclass(frozen=True)
class Judged:
    """Claims as they were judged: `table` one row a claim, the evidence, what the model answered, the edits' findings."""

    table: pl.DataFrame
    evidence: Evidence
    answers: Surprises
    findings: pl.DataFrame
    batch: ClaimBatch


def assessments(
    claims: pl.DataFrame,
    judged: Judged,
    reader: Reader,
    examples: Examples,
    explain: Literal["suspicious", "all", "none"],
    calibrated: bool,
    version: str,
) -> list[Assessment]:
    """One assessment a claim; `explain` says which get expected values, hints and similar claims."""
    rows = list(judged.table.iter_rows(named=True))
    wanted = [i for i, row in enumerate(rows) if explain == "all" or (explain == row["decision"] == "suspicious")]
    surprising = _surprise_reasons(judged, reader, [i for i in wanted if not rows[i]["abstained"]])
    similar = _similar(judged.batch, reader, examples, wanted)
    found = {key[0]: part for key, part in judged.findings.group_by("row", maintain_order=True)}
    results = []
    for i, (row, sha) in enumerate(zip(rows, digests(claims), strict=True)):
        reasons = (edit_reasons(found[i]) if i in found else []) + surprising.get(i, [])
        results.append(
            Assessment(
                claim_id=row["claim_id"],
                decision=row["decision"],
                action=row["action"],
                probability=round(float(row["probability"]), 6),
                calibrated=calibrated,
                p_value=round(float(row["p_value"]), 6),
                reasons=tuple(reasons),
                amount_at_risk=round(float(row["amount_at_risk"]), 2),
                expected_value=round(float(row["expected_value"]), 2),
                surprises=_by_field(judged, reader, i),
                model_version=version,
                claim_digest=sha,
                abstained=row["abstained"],
                abstained_because=row["abstained_because"],
                similar=similar.get(i, ()),
            )
        )
    return results


def _by_field(judged: Judged, reader: Reader, row: int) -> dict[str, float]:
    """The strongest evidence about each field that the claim has, as -log10 of a p-value."""
    found: dict[str, float] = {}
    for question, value, evidence in zip(
        reader.reading.questions, judged.answers.values[row], judged.evidence.fields[row], strict=True
    ):
        if not np.isnan(value):
            found[question.field] = max(found.get(question.field, 0.0), round(float(evidence), 3))
    return found


def _surprise_reasons(judged: Judged, reader: Reader, rows: Sequence[int]) -> dict[int, list[Reason]]:
    """The most surprising fields of each of these claims, where ordinary claims surprise as much in less than one of a
    hundred."""
    p = reader.calibration.p_values(judged.answers)
    asked = [(i, k) for i in rows for k in _strongest(judged, reader, p[i], i)]
    blanks = []
    for i, k in asked:
        question, rank = reader.reading.questions[k], int(judged.answers.ranks[i, k])
        blanks.append(Blank(i, question.field, rank, all_ranks=not question.ranks))
    reasons: dict[int, list[Reason]] = {}
    guesses = expected(reader.predictor, reader.tokenizer, judged.batch, blanks)
    for (i, k), guess in zip(asked, guesses, strict=True):
        strength = 10 ** -float(judged.evidence.fields[i, k])
        reason = surprise_reason(guess, strength, float(judged.evidence.amount[i]))
        if reason is not None:
            reasons.setdefault(i, []).append(reason)
    return reasons


def _strongest(judged: Judged, reader: Reader, p: Any, row: int) -> list[int]:
    """Up to `SHOWN` questions about different fields, the strongest first."""
    chosen: dict[str, int] = {}
    for k in np.argsort(-judged.evidence.fields[row], kind="stable").tolist():
        if p[k] <= RARE:
            chosen.setdefault(reader.reading.questions[k].field, k)
    return list(chosen.values())[:SHOWN]


def _similar(
    batch: ClaimBatch, reader: Reader, examples: Examples, rows: list[int]
) -> dict[int, tuple[SimilarClaim, ...]]:
    found: dict[int, tuple[SimilarClaim, ...]] = {}
    for start in range(0, len(rows), 512):
        part = rows[start : start + 512]
        vectors = reader.model.summary_vectors(batch[part].compact())
        found |= {i: examples.nearest(vector) for i, vector in zip(part, vectors, strict=True)}
    return found
