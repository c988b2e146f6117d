"""Claims that should not be there at all: visits during a stay in hospital, and copies."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from claimsformer.claims.generator.conditions import CONDITIONS
from claimsformer.claims.generator.episodes import in_stay
from claimsformer.claims.generator.ledger import OFFICE, PHARMACY, STAY
from claimsformer.claims.generator.planter import Planter
from claimsformer.claims.generator.world import DAYS

__all__ = ["duplicate", "near_duplicate", "phantom"]

Rng = np.random.Generator
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


def phantom(p: Planter, quota: int) -> None:
    """An office visit of somebody who is in hospital that day."""
    lines = p.ledger.lines
    ordinary = np.array([c.sex == "" and c.ages[0] <= 18 and c.ages[1] >= 100 for c in CONDITIONS])
    level_of = np.zeros(len(p.tables.items))
    level_of[p.tables.office] = np.arange(1, 6)
    top = np.zeros(p.size)
    np.maximum.at(top, lines.claim, level_of[lines.item])
    plain = top[: len(p.office)] <= p.tables.complexity[p.claims.condition] + 1
    templates = np.flatnonzero(p.office & ordinary[p.claims.condition] & plain & ~p.used & (p.claims.hard == 0))
    adult = p.members.birth[p.claims.member] < -20 * 366
    stays = p.pick((p.claims.kind == STAY) & (p.claims.days >= 2) & adult & p.at_home, quota)
    copied = p.rng.choice(templates, len(stays))
    copies = p.ledger.select(copied)
    member = p.claims.member[stays]
    copies.claims.member[:] = member
    copies.claims.start[:] = p.claims.start[stays] + p.rng.integers(1, p.claims.days[stays])  # Sundays included
    kinds = p.providers.kind[p.claims.provider[copied]].tolist()
    states = p.members.state[member].tolist()
    copies.claims.provider[:] = [p.providers.choices[k][s][0] for k, s in zip(kinds, states, strict=True)]
    copies.claims.dx[:, 1:] = -1
    start = p.add(copies)
    for k in range(len(stays)):
        p.tell(start + k, "phantom", "service_from", None, 1.0, "history")


def duplicate(p: Planter, quota: int) -> None:
    rows = p.pick(np.isin(p.claims.kind, (OFFICE, PHARMACY)), quota)
    copies = p.ledger.select(rows)
    copies.claims.lag += p.rng.integers(1, 25, len(rows))
    start = p.add(copies)
    for k, i in enumerate(rows.tolist()):
        p.tell(start + k, "duplicate", "claim_id", f"claim:{i}", 0.0, "cross_claim")


def near_duplicate(p: Planter, quota: int) -> None:
    """A copy one day off, or under another provider of the same kind in the same state."""
    last = np.minimum(p.members.death[p.claims.member], DAYS) - 1
    inside = (p.claims.start < last) & ~in_stay(p.claims.member, p.claims.start + 1, p.stays)
    inside &= p.claims.start % 7 < 4  # the day after is a weekday too
    days = p.claims.member * 10_000 + p.claims.start
    inside &= ~np.isin(days + 1, days[p.office])
    works = p.providers.excluded[p.claims.provider] > p.claims.start + 1
    rows = p.pick(p.alone_that_day() & inside & works & p.at_home, quota)
    copies = p.ledger.select(rows)
    copies.claims.lag += p.rng.integers(1, 25, len(rows))
    start = p.add(copies)
    for k, i in enumerate(rows.tolist()):
        provider = int(p.claims.provider[i])
        options = p.same_kind(i)
        others = options[(p.providers.state[options] == p.providers.state[provider]) & (options != provider)]
        if len(others) and p.rng.random() < 0.4:
            copies.claims.provider[k] = int(p.rng.choice(others))
            more = ("billing_provider_id", f"provider:{provider}")
        else:
            copies.claims.start[k] += 1
            more = ("service_from", f"day:{int(p.claims.start[i])}")
        p.tell(start + k, "near_duplicate", "claim_id", f"claim:{i}", 1.0, "cross_claim", more)
