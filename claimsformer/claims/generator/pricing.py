"""From units to money: charges by code, region and provider, then what the plan allows and pays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from claimsformer.claims.generator.ledger import AMBULANCE, OFFICE, PHARMACY, Ledger
from claimsformer.claims.generator.world import STATES, Members, Providers

__all__ = ["Amounts", "charge_cents", "price"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

REGION: Final = np.array([row[4] for row in STATES])
_DEDUCTIBLE: Final = np.array([25_000, 75_000, 150_000])  # cents a year, by plan
_COINSURANCE: Final = np.array([0.1, 0.2, 0.3])
_PHARMACY_MARKUP: Final = 1.15


@dataclass
class Amounts:
    """Money in cents: per line what was charged, allowed and paid; per claim the member's deductible and
    coinsurance.
    """

    charge: Ints
    allowed: Ints
    paid: Ints
    deductible: Ints
    coinsurance: Ints


def charge_cents(ledger: Ledger, providers: Providers) -> Ints:
    """Charge of each line in cents: fee per unit × units × region × the provider's price and markup."""
    claims, lines = ledger.claims, ledger.lines
    provider = claims.provider[lines.claim]
    pharmacy = claims.kind[lines.claim] == PHARMACY
    local = np.where(pharmacy, _PHARMACY_MARKUP, REGION[providers.state[provider]] * providers.price[provider])
    markup = np.where(pharmacy, 1.0, providers.markup[provider])
    cents = lines.unit_cents * lines.units * local * markup * lines.noise
    return np.maximum(1, np.round(cents)).astype(np.int64)


def price(ledger: Ledger, members: Members, providers: Providers) -> Amounts:
    """Adjudicate all claims of a block in order of service: deductible first, then coinsurance of the member's plan."""
    claims, lines = ledger.claims, ledger.lines
    charge = charge_cents(ledger, providers)
    provider = claims.provider[lines.claim]
    markup = np.where(claims.kind[lines.claim] == PHARMACY, 1.0, providers.markup[provider])
    allowed = np.maximum(1, np.round(charge / markup)).astype(np.int64)
    total = np.bincount(lines.claim, weights=allowed, minlength=len(claims)).astype(np.int64)
    plan = members.plan[claims.member]
    counts = np.isin(claims.kind, (OFFICE, AMBULANCE)) | (claims.drg_level >= 0)
    order = np.lexsort((claims.start, claims.member))
    ranked = np.where(counts, total, 0)[order]
    running = np.cumsum(ranked)
    new_member = np.diff(claims.member[order], prepend=-1) != 0
    before_member = np.maximum.accumulate(np.where(new_member, running - ranked, 0))
    spent = running - before_member
    limit = _DEDUCTIBLE[plan[order]]
    deductible = np.zeros(len(claims), dtype=np.int64)
    deductible[order] = np.minimum(spent, limit) - np.minimum(spent - ranked, limit)
    coinsurance = np.round((total - deductible) * _COINSURANCE[plan]).astype(np.int64)
    share = 1 - (deductible + coinsurance) / total
    paid = np.floor(allowed * share[lines.claim]).astype(np.int64)
    # Cents lost to rounding go to the first line, so that lines add up to the claim.
    missing = (
        total
        - deductible
        - coinsurance
        - np.bincount(lines.claim, weights=paid, minlength=len(claims)).astype(np.int64)
    )
    first, _ = ledger.line_range()
    paid[first] += missing
    return Amounts(charge, allowed, paid, deductible, coinsurance)
