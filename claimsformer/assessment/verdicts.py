"""From evidence to a verdict: probability, what is at stake, what a review is expected to bring in, whether to abstain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import polars as pl

from claimsformer.assessment.costs import Costs
from claimsformer.assessment.fusion import Evidence, Fusion
from claimsformer.assessment.questions import Question
from claimsformer.tokenizer.fields import ClaimBatch, FieldTokenizer

__all__ = ["mixed", "thin_because", "top_fields", "values_held", "verdict_table"]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


def verdict_table(
    claims: pl.DataFrame,
    evidence: Evidence,
    counted: Evidence,
    findings: pl.DataFrame,
    fusion: Fusion,
    costs: Costs,
    scanty: Bools,
) -> pl.DataFrame:
    """One row a claim: claim_id, probability, rank, p_value, surprise, decision, action, amount_at_risk, expected_value;
    `counted` is the part of the evidence that decides; of the `scanty` (N,) claims that is the edits' alone."""
    probability = np.where(scanty, fusion.by_edits(counted), fusion.probability(counted))
    at_risk = _at_risk(findings, evidence)
    value = costs.expected_value(probability, at_risk)
    review = value > 0
    suspicious = review | (probability >= costs.suspicious_probability)
    return claims.select("claim_id").with_columns(
        probability=probability,
        rank=fusion.rank(counted),
        p_value=evidence.claim_p,
        surprise=evidence.score,
        decision=pl.Series(np.where(suspicious, "suspicious", "valid")),
        action=pl.Series(np.where(review, "review", "approve")),
        amount_at_risk=at_risk,
        expected_value=value,
    )


def _at_risk(findings: pl.DataFrame, evidence: Evidence) -> Floats:
    """What the edits' findings put at stake, at most the claim's amount; the whole amount where only surprise speaks."""
    per_edit = findings.group_by("row", "edit").agg(pl.col("amount").max())
    totals = per_edit.group_by("row").agg(pl.col("amount").sum())
    at_risk = evidence.amount.copy()
    rows = totals["row"].to_numpy()
    at_risk[rows] = np.minimum(np.maximum(totals["amount"].to_numpy(), 0), np.maximum(evidence.amount[rows], 0))
    return at_risk


def top_fields(evidence: Evidence, about: Mapping[str, Question]) -> list[str]:
    """The field that the strongest answer of each claim is about."""
    fields = [about[name].field for name in evidence.names]
    return [fields[k] for k in evidence.fields.argmax(axis=1).tolist()]


def thin_because(tokenizer: FieldTokenizer, batch: ClaimBatch) -> npt.NDArray[np.str_]:
    """Why the evidence is too thin to judge each claim, "" where it is not; the edits alone judge such a claim."""
    starts = tokenizer.field_starts[batch.field_ids]
    unknown = _holding(batch) & (batch.value_ids == starts + 1)
    total = values_held(batch)
    services = [tokenizer.field_id(name) for name in ("item", "drug", "drg", "procedure")]
    billed = np.isin(batch.field_ids, services).any(axis=1)
    reasons = np.full(len(batch), "", dtype="U80")
    reasons[total < 4] = "the claim has fewer than four fields to go by"
    reasons[unknown.sum(axis=1) > 0.3 * total] = "more than 30 % of its values never occurred in the history"
    reasons[~billed] = "the claim names no service, drug or DRG"
    return reasons


def values_held(batch: ClaimBatch) -> npt.NDArray[np.int64]:
    """How many values each claim has that the model can read, (N,)."""
    held: npt.NDArray[np.int64] = _holding(batch).sum(axis=1)
    return held


def _holding(batch: ClaimBatch) -> Bools:
    holding: Bools = batch.mask & (batch.field_ids > 0)
    return holding


def mixed(evidence: Evidence, other: Evidence, rows: Bools) -> Evidence:
    """The evidence with that of `other` in these rows."""

    def chosen(mine: Floats, theirs: Floats) -> Floats:
        return np.where(rows[:, None] if mine.ndim == 2 else rows, theirs, mine)

    details = None
    if evidence.details is not None and other.details is not None:
        details = chosen(evidence.details, other.details)
    return replace(
        evidence,
        fields=chosen(evidence.fields, other.fields),
        claim_p=chosen(evidence.claim_p, other.claim_p),
        details=details,
    )
