"""Anomalies planted into a block of genuine claims, each breaking the one rule it stands for and no other.

A test holds every planted claim against independent rules. What follows from a change is not listed in the truth:
amounts (a higher level costs more), the state, specialty and rendering number of another provider, the dates of the
lines.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from claimsformer.claims.generator.anomalies_amount import (
    cost_outlier,
    impossible_days,
    impossible_dose,
    impossible_units,
    unbundling,
    upcoding,
    upcoding_drg,
)
from claimsformer.claims.generator.anomalies_codes import age_conflict, dx_procedure_mismatch, sex_conflict
from claimsformer.claims.generator.anomalies_copies import duplicate, near_duplicate, phantom
from claimsformer.claims.generator.anomalies_place_time import (
    after_death,
    excluded_provider,
    geography,
    impossible_day,
    impossible_travel,
    timely_filing,
)
from claimsformer.claims.generator.ledger import Ledger, concat
from claimsformer.claims.generator.planter import Planter

__all__ = ["GENERATED_TYPES", "plant"]

# In this order: what must find many free claims of one kind goes first.
_TYPES: Final[dict[str, Callable[[Planter, int], None]]] = {
    "impossible_day": impossible_day,
    "impossible_travel": impossible_travel,
    "after_death": after_death,
    "phantom": phantom,
    "upcoding_drg": upcoding_drg,
    "impossible_days": impossible_days,
    "excluded_provider": excluded_provider,
    "unbundling": unbundling,
    "upcoding": upcoding,
    "impossible_units": impossible_units,
    "impossible_dose": impossible_dose,
    "cost_outlier": cost_outlier,
    "dx_procedure_mismatch": dx_procedure_mismatch,
    "sex_conflict": sex_conflict,
    "age_conflict": age_conflict,
    "geography": geography,
    "timely_filing": timely_filing,
    "duplicate": duplicate,
    "near_duplicate": near_duplicate,
}
GENERATED_TYPES: Final = tuple(_TYPES)


def plant(planter: Planter, rate: float) -> Ledger:
    """Plant every type at this share of the claims; returns the block with its added claims, truth is in `planted`."""
    quota = int(planter.rng.poisson(rate * planter.size)) if rate * planter.size < 5 else round(rate * planter.size)
    for kind in GENERATED_TYPES:
        _TYPES[kind](planter, quota)
    return concat([planter.ledger, *planter.added])
