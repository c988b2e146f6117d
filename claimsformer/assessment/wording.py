"""Reasons in words: which edits fired, which fields surprise, what was expected there, what would make it ordinary."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import polars as pl

from claimsformer.assessment.decision import Assessment, Reason
from claimsformer.assessment.edits import EDITS
from claimsformer.assessment.fields import CLAIM_FIELDS, NO_PROCEDURE
from claimsformer.assessment.surprise import Alternatives
from claimsformer.claims.codes import CARC

__all__ = ["edit_reasons", "surprise_reason", "without_reason"]

# The adjustment reason that comes nearest to a surprise in each field.
_CARC: Final = {
    "member_sex": "10", "member_age": "9", "provider_state": "125", "provider_specialty": "8", "place_of_service": "5",
    "submit_lag": "29", "covered_days": "152", "drg": "150", "stay_ratio": "45", "stay_charge": "45", "diagnosis": "11", "procedure": "11",
    "item": "11", "units": "222", "price_ratio": "45", "drug": "11", "strength": "151", "days_supply": "151",
    "quantity": "151", "stay_days": "152",
}  # fmt: skip
_NAMES: Final = {
    "member_sex": "sex", "member_age": "age", "provider_state": "provider's state", "provider_specialty": "specialty",
    "place_of_service": "place of service", "submit_lag": "days until submission", "covered_days": "covered days",
    "drg": "DRG", "stay_charge": "charge of the stay", "stay_ratio": "charge of the stay over its DRG's median",
    "stay_days": "days of the stay", "diagnosis": "diagnosis",
    "procedure": "procedure", "item": "service", "units": "units", "price_ratio": "unit price over the usual one",
    "drug": "drug", "strength": "strength", "days_supply": "days of supply", "quantity": "quantity",
}  # fmt: skip
_DAYS: Final = {"covered_days", "days_supply", "submit_lag", "stay_days"}
WHOLE: Final = 0.001  # see `UNIT_EDGES`


def without_reason(assessment: Assessment) -> str:
    """In place of a first reason, where no edit fires and no field surprises by itself."""
    if assessment.abstained:
        return f"judged by the edits alone: {assessment.abstained_because}"
    if not assessment.surprises:
        return "several weak signs together"
    most = max(assessment.surprises.items(), key=lambda pair: pair[1])[0]
    return f"several weak signs together, the strongest in {_NAMES.get(most, most)}"


def edit_reasons(findings: pl.DataFrame) -> list[Reason]:
    """The findings of one claim as reasons, one per edit and field, the heaviest first."""
    reasons: dict[tuple[str, str], Reason] = {}
    for name, field, evidence, amount in findings.select("edit", "field", "evidence", "amount").iter_rows():
        rule = EDITS[name]
        if (name, field) not in reasons:
            reasons[name, field] = Reason(
                "edit", f"{name} v{rule.version}", rule.reason, field, evidence, rule.reason_text, rule.weight,
                round(float(amount or 0.0), 2),
            )  # fmt: skip
    return sorted(reasons.values(), key=lambda reason: -reason.strength)


def _plain(words: str) -> str:
    """`price_ratio in [2.5, 3)` without its field's name, an open end in words, whole numbers as such."""
    name = words.split("=", 1)[0].split(" in ", 1)[0]
    value = words.split("=", 1)[1] if "=" in words else words.split(" in ", 1)[-1]
    value = "missing" if value.startswith("<missing") else "something unusual" if value.startswith("<unk") else value
    if not value.startswith("["):
        return (
            f"a code of the family {value[:-1]}" if value.endswith("*") else "none" if value == NO_PROCEDURE else value
        )
    low, high = (float(edge) for edge in value[1:-1].split(", "))
    if math.isinf(low):
        return f"below {high:g}"
    if name in _DAYS and math.isfinite(high):
        return f"{low:g}" if high - low == 1 else f"{low:g} to {high - 1:g}"
    if round(low % 1, 6) == WHOLE:  # bins of whole numbers that begin just above one
        low, high = math.floor(low) + 1, math.floor(high) if math.isfinite(high) else high
        return f"{low}" if low == high else f"{low} or more" if math.isinf(high) else f"{low} to {high}"
    return f"{low:g} or more" if math.isinf(high) else f"{low:g}" if low == 1 < high < 1.01 else f"{low:g} to {high:g}"


def surprise_reason(guess: Alternatives, p: float, amount: float) -> Reason | None:
    """One surprising field as a reason, with what the rest of the claim leads one to expect; None where that is what
    the claim holds."""
    name, rank = guess.field, guess.rank
    if guess.found == guess.options[0][0]:
        return None
    options = tuple((_plain(words), round(probability, 4)) for words, probability in guess.options)
    line = f" of line {rank}" if rank and name in ("item", "units", "price_ratio", "drug", "quantity") else ""
    share = "less than 0.01 %" if guess.probability < 1e-4 else f"{100 * guess.probability:.2g} %"
    others = [
        k for k, (words, probability) in enumerate(guess.options) if words != guess.found and probability >= 0.005
    ]
    likely = ", ".join(f"{options[k][0]} ({100 * options[k][1]:.0f} %)" for k in others[:2] or [0])
    evidence = (
        f"{_NAMES[name]}{line} is {_plain(guess.found)}: {share} likely given the rest of the claim; expected {likely}"
    )
    return Reason(
        "surprise",
        f"surprise:{name}",
        f"CO-{_CARC[name]}",
        CLAIM_FIELDS.get(name, name),
        evidence,
        CARC[_CARC[name]],
        -math.log10(max(p, 1e-12)),
        round(amount, 2),
        options,
        _hint(guess, name),
    )


def _hint(guess: Alternatives, name: str) -> str:
    """What would make the claim ordinary in this field."""
    best = _plain(guess.options[0][0])
    if name not in (
        "price_ratio",
        "stay_ratio",
        "stay_charge",
        "units",
        "quantity",
        "covered_days",
        "submit_lag",
        "days_supply",
    ):
        return f"would be ordinary with {_NAMES[name]} {best}"
    highs = [_upper(words) for words, probability in guess.options if probability >= 0.05]
    found = _lower(guess.found)
    limit = max((h for h in highs if h is not None), default=None)
    if limit is None or found is None or not np.isfinite(limit):
        return f"would be ordinary with {_NAMES[name]} {best}"
    return f"would be ordinary with {_NAMES[name]} {'under' if found >= limit else 'around'} {_round(limit)}"


def _round(limit: float) -> str:
    return f"{math.floor(limit) + 1}" if round(limit % 1, 6) == WHOLE else f"{limit:g}"


def _upper(words: str) -> float | None:
    return float(words.rsplit(", ", 1)[1].rstrip(")")) if " in [" in words else None


def _lower(words: str) -> float | None:
    return float(words.split(" in [", 1)[1].split(", ")[0]) if " in [" in words else None
