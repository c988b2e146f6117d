"""What an assessment says: the decision, how sure, for which reasons, and what acting on it is worth."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any, Literal

import polars as pl

__all__ = ["Assessment", "Reason", "SimilarClaim", "digest"]


@dataclass(frozen=True)
class Reason:
    """One reason: `code` is group and CARC (with RARC), `field` of the claim, `evidence` in words and numbers,
    `expected` what the model expected instead, with probabilities; `strength` orders reasons of one claim."""

    source: Literal["edit", "surprise"]
    id: str
    code: str
    field: str
    evidence: str
    text: str
    strength: float
    amount: float = 0.0
    expected: tuple[tuple[str, float], ...] = ()
    hint: str = ""


@dataclass(frozen=True)
class SimilarClaim:
    """A past claim like this one: `similarity` is the cosine of their vectors; no number or date of it is kept."""

    summary: str
    similarity: float
    outcome: str


@dataclass(frozen=True)
class Assessment:
    """The verdict on one claim. Nothing is ever denied: the action is to approve or to review.

    `probability` is calibrated where the processor had labels (`calibrated`), else it follows from stated weights;
    so it does for claims that the edits decide alone, whatever `calibrated` says of the processor.
    `p_value` is the conformal p-value of the surprise. Amounts in US dollars. `abstained` says that the model had too
    little to go by, and `abstained_because` why; the edits alone decide then.
    """

    claim_id: str
    decision: Literal["valid", "suspicious"]
    action: Literal["approve", "review"]
    probability: float
    calibrated: bool
    p_value: float
    reasons: tuple[Reason, ...]
    amount_at_risk: float
    expected_value: float
    surprises: dict[str, float]
    model_version: str
    claim_digest: str
    abstained: bool = False
    abstained_because: str = ""
    similar: tuple[SimilarClaim, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)


def digest(row: dict[str, Any]) -> str:
    """SHA-256 of a claim's fields in canonical JSON: what a verdict is bound to."""
    text = json.dumps(row, sort_keys=True, separators=(",", ":"), default=str, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def digests(claims: pl.DataFrame) -> list[str]:
    """The digest of each row."""
    return [digest(row) for row in claims.iter_rows(named=True)]
