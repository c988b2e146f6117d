"""One function per anomaly: what it changes on one claim, with values that real claims hold wherever the type allows.

A mechanism gets the index of a claim and returns the new values by role, or `None` where this claim cannot carry the
anomaly (no procedure, no dearer group); the caller then tries another claim.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from claimsformer.claims.injector.categories import major_category, procedure_chapter, sex_of_diagnosis
from claimsformer.claims.injector.layout import ClaimView

__all__ = ["MECHANISMS", "Change", "Donors", "Mechanism"]

Rng = np.random.Generator


@dataclass(frozen=True)
class Change:
    """New values by role of the layout; `diagnoses` and `procedures` are whole lists."""

    values: Mapping[str, Any]
    role: str  # the role to show a reviewer first
    severity: float
    rank: int = 0  # which entry, where the role is a list


class Donors:
    """Real claims to draw values from, grouped the way the mechanisms ask for them."""

    def __init__(self, view: ClaimView) -> None:
        self.view = view

    @cached_property
    def amounts(self) -> npt.NDArray[np.float64]:
        """Distinct positive amounts, ascending."""
        amounts = np.unique(self.view.amount[np.isfinite(self.view.amount)])
        return amounts[amounts > 0]

    @cached_property
    def days(self) -> frozenset[int]:
        """Distinct numbers of days."""
        return frozenset(int(d) for d in np.unique(self.view.days[np.isfinite(self.view.days)]))

    @cached_property
    def category(self) -> list[str | None]:
        """Major diagnostic category by claim."""
        return [major_category(drg) for drg in self.view.drg]

    @cached_property
    def claims_of_drg(self) -> dict[str, npt.NDArray[np.int64]]:
        """Claims with a positive amount, by DRG."""
        groups: dict[str, list[int]] = {}
        for i, drg in enumerate(self.view.drg):
            if drg is not None and self.view.amount[i] > 0:
                groups.setdefault(drg, []).append(i)
        return {drg: np.array(rows) for drg, rows in groups.items()}

    @cached_property
    def mean_amount_of_drg(self) -> dict[str, float]:
        """Mean positive amount in US dollars, by DRG."""
        return {drg: float(self.view.amount[rows].mean()) for drg, rows in self.claims_of_drg.items()}

    @cached_property
    def drgs_of_category(self) -> dict[str, list[str]]:
        """DRGs that occur, by major diagnostic category."""
        groups: dict[str, list[str]] = {}
        for drg in sorted(self.claims_of_drg):
            if (category := major_category(drg)) is not None:
                groups.setdefault(category, []).append(drg)
        return groups

    @cached_property
    def claims_with_procedures(self) -> npt.NDArray[np.int64]:
        """Claims that list a procedure."""
        return np.flatnonzero([len(codes) > 0 for codes in self.view.procedures])

    @cached_property
    def procedures_at(self) -> dict[tuple[int, str], list[str]]:
        """Procedures by rank and chapter, as often as they occur there.

        By rank, because a code that real claims only ever list first would betray itself in any other place.
        """
        groups: dict[tuple[int, str], list[str]] = {}
        for codes in self.view.procedures:
            for rank, code in enumerate(codes):
                groups.setdefault((rank, procedure_chapter(code)), []).append(code)
        return groups

    @cached_property
    def diagnoses_at(self) -> dict[tuple[int, str], list[str]]:
        """Diagnoses that only one sex can have, by rank and sex, as often as they occur there."""
        groups: dict[tuple[int, str], list[str]] = {}
        for codes in self.view.diagnoses:
            for rank, code in enumerate(codes):
                if (sex := sex_of_diagnosis(code)) is not None:
                    groups.setdefault((rank, sex), []).append(code)
        return groups


def draw_claim(rng: Rng, n: int, accept: Callable[[int], bool], tries: int = 200) -> int | None:
    """A random one of `n` claims that `accept` agrees to, or None after so many tries."""
    return next((int(i) for i in rng.integers(n, size=tries).tolist() if accept(i)), None)


Mechanism = Callable[[ClaimView, int, Donors, Rng], Change | None]


def cost_outlier(view: ClaimView, i: int, donors: Donors, rng: Rng) -> Change | None:
    """Amount times 3 to 8, moved to the nearest amount that real claims hold."""
    amount, amounts = view.amount[i], donors.amounts
    if not amount > 0 or 3 * amount > amounts[-1]:
        return None
    inside = amounts[(amounts >= 3 * amount) & (amounts <= 8 * amount)]
    if not inside.size:
        return None
    target = amount * rng.uniform(3, min(8.0, amounts[-1] / amount))
    new = float(inside[np.abs(inside - target).argmin()])
    return Change({"amount": new}, "amount", new / amount)


def impossible_days(view: ClaimView, i: int, donors: Donors, rng: Rng) -> Change | None:
    """15 to 60 covered days more than were billed; the dates of the stay remain."""
    if not np.isfinite(view.days[i]):
        return None
    days = int(view.days[i])
    possible = [extra for extra in range(15, 61) if days + extra in donors.days]
    if not possible:
        return None
    extra = int(rng.choice(possible))
    return Change({"days": days + extra}, "days", float(extra))


def upcoding(view: ClaimView, i: int, donors: Donors, rng: Rng) -> Change | None:
    """A DRG of the same major category paid at least 1.5 times as much, with the amount of one of its claims."""
    drg, category = view.drg[i], major_category(view.drg[i])
    mean = donors.mean_amount_of_drg
    if category is None or drg not in mean:
        return None
    dearer = [other for other in donors.drgs_of_category[category] if mean[other] >= 1.5 * mean[drg]]
    if not dearer:
        return None
    new = str(rng.choice(dearer))
    amount = float(donors.view.amount[rng.choice(donors.claims_of_drg[new])])
    return Change({"drg": new, "amount": amount}, "drg", mean[new] / mean[drg])


def dx_procedure_mismatch(view: ClaimView, i: int, donors: Donors, rng: Rng) -> Change | None:
    """The procedures of a claim from another major category, none of which was billed."""
    own, category = set(view.procedures[i]), major_category(view.drg[i])
    pool = donors.claims_with_procedures
    if not own or category is None or not pool.size:
        return None
    for j in rng.choice(pool, size=50).tolist():
        foreign = donors.view.procedures[j]
        if donors.category[j] not in (category, None) and not own & set(foreign):
            return Change({"procedures": foreign}, "procedures", 1.0)
    return None


def sex_conflict(view: ClaimView, i: int, donors: Donors, rng: Rng) -> Change | None:
    """A secondary diagnosis that only the other sex can have."""
    own = view.diagnoses[i]
    if len(own) < 2:
        return None
    rank = int(rng.integers(1, len(own)))
    codes = donors.diagnoses_at.get((rank, "M" if view.female[i] else "F"), [])
    code = codes[int(rng.integers(len(codes)))] if codes else own[0]
    if code in own:
        return None
    return Change({"diagnoses": (*own[:rank], code, *own[rank + 1 :])}, "diagnoses", 1.0, rank)


def geography(view: ClaimView, i: int, donors: Donors, rng: Rng) -> Change | None:
    """A provider of another state than the member's and than the one that billed.

    One that bills in this very table, as often as it does: a provider from elsewhere would stand out by billing once.
    """
    del donors
    near = {view.member_state[i], view.provider_state[i]}
    if None in near:
        return None
    states, providers = view.provider_state, view.provider
    j = draw_claim(rng, view.n, lambda k: providers[k] is not None and states[k] is not None and states[k] not in near)
    if j is None:
        return None
    return Change({"provider": providers[j], "provider_state": states[j]}, "provider", 1.0)


def phantom(view: ClaimView, i: int, donors: Donors, rng: Rng) -> Change | None:
    """The whole diagnosis list of an unrelated patient."""
    own, member = view.diagnoses[i], view.member[i]
    if not own:
        return None
    other, members = donors.view.diagnoses, donors.view.member
    fewest = max(1, int(view.pointed[i]))
    j = draw_claim(
        rng, len(other), lambda k: members[k] != member and len(other[k]) >= fewest and other[k][0] != own[0]
    )
    return None if j is None else Change({"diagnoses": other[j]}, "diagnoses", 1.0)


def unbundling(view: ClaimView, i: int, donors: Donors, rng: Rng) -> Change | None:
    """Up to three more procedures of the same chapter."""
    own = view.procedures[i]
    if not own or len(own) >= 6:
        return None
    chapter = procedure_chapter(own[0])
    added: list[str] = []
    for rank in range(len(own), min(6, len(own) + int(rng.integers(1, 4)))):
        pool = donors.procedures_at.get((rank, chapter), [])
        drawn = [pool[k] for k in rng.integers(len(pool), size=40).tolist()] if pool else []
        code = next((c for c in drawn if c not in own and c not in added), None)
        if code is None:
            break
        added.append(code)
    if not added:
        return None
    return Change({"procedures": (*own, *added)}, "procedures", float(len(added)), len(own))


# Duplicates add a row instead of changing one: `inject` makes them.
MECHANISMS: Final[dict[str, Mechanism]] = {
    "cost_outlier": cost_outlier,
    "impossible_days": impossible_days,
    "upcoding": upcoding,
    "dx_procedure_mismatch": dx_procedure_mismatch,
    "sex_conflict": sex_conflict,
    "geography": geography,
    "phantom": phantom,
    "unbundling": unbundling,
}
