"""The bookkeeping of planting anomalies: which claims are still free, what was changed, what was added."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from claimsformer.claims.generator.ledger import OFFICE, STAY, Claims, Ledger
from claimsformer.claims.generator.tables import Tables
from claimsformer.claims.generator.world import Members, Providers

__all__ = ["FAR_KM", "SAME_DAY_KM", "Planted", "Planter", "renumbered"]

Rng = np.random.Generator
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

FAR_KM: Final = 800.0  # a visit this far from home needs a reason: a winter home, a referral centre
SAME_DAY_KM: Final = 500.0  # two visits this far apart on one day are not possible


class Planted(NamedTuple):
    """One planted anomaly, still by index; `original` may hold `day:` and `claim:` references, resolved when
    rendered.
    """

    claim: int
    type: str
    field: str
    fields: tuple[str, ...]
    originals: tuple[str | None, ...]
    severity: float
    scope: str


@dataclass
class Planter:
    """The block, what is used already, and the truth so far."""

    ledger: Ledger
    members: Members
    providers: Providers
    tables: Tables
    rng: Rng
    planted: list[Planted] = field(default_factory=list)
    added: list[Ledger] = field(default_factory=list)

    def __post_init__(self) -> None:
        claims = self.ledger.claims
        # Repeats stand beside the claim that they repeat; both keep out, or one would no longer fit the other.
        key = claims.member * 10_000 + claims.start
        self.used = np.isin(key, key[claims.hard == 2])
        self.first, self.count = self.ledger.line_range()
        stay = np.flatnonzero(claims.kind == STAY)
        stay = stay[np.lexsort((claims.start[stay], claims.member[stay]))]
        self.stays = {"member": claims.member[stay], "start": claims.start[stay], "days": claims.days[stay]}
        self.size = len(claims)
        self.office = claims.kind == OFFICE
        self.at_home = self.members.winter_state[claims.member] < 0

    @property
    def claims(self) -> Claims:
        return self.ledger.claims

    def pick(self, eligible: Bools, quota: int) -> Ints:
        """Up to `quota` unused claims, at most one in ten of the eligible ones; they count as used from here on."""
        rows = np.flatnonzero(eligible & ~self.used)
        chosen = np.sort(self.rng.choice(rows, min(quota, -(-len(rows) // 10)), replace=False))
        self.used[chosen] = True
        return chosen

    def shuffled(self, eligible: Bools) -> list[int]:
        """All unused eligible claims in random order, for types that must look at each."""
        return [int(i) for i in self.rng.permutation(np.flatnonzero(eligible & ~self.used))]

    def add(self, copies: Ledger) -> int:
        """Append claims to the block; returns the index of the first."""
        start = self.size
        self.added.append(copies)
        self.size += len(copies.claims)
        return start

    def tell(
        self,
        claim: int,
        kind: str,
        name: str,
        original: str | None,
        severity: float,
        scope: str,
        *more: tuple[str, str | None],
    ) -> None:
        fields, originals = (name, *(n for n, _ in more)), (original, *(o for _, o in more))
        self.planted.append(Planted(int(claim), kind, name, fields, originals, float(severity), scope))

    def lines_of(self, claim: int) -> Ints:
        return np.arange(self.first[claim], self.first[claim] + self.count[claim])

    def set_item(self, line: int, item: int) -> None:
        """Another item on a line, at its usual units and fee."""
        lines, tables = self.ledger.lines, self.tables
        lines.item[line], lines.units[line] = item, tables.usual_units[item]
        lines.unit_cents[line], lines.modifier[line] = tables.fee_cents[item], 0

    def same_kind(self, i: int) -> Ints:
        """Providers of the same kind that are not excluded on the day of the claim."""
        kind = self.providers.kind[self.claims.provider[i]]
        return np.flatnonzero((self.providers.kind == kind) & (self.providers.excluded > self.claims.start[i]))

    def alone_that_day(self) -> Bools:
        """Office visits that are the only one of their member on that day."""
        visits = self.claims.member * 10_000 + self.claims.start
        values, counts = np.unique(visits[self.office], return_counts=True)
        return np.asarray(self.office & ~np.isin(visits, values[counts > 1]))


def renumbered(planted: list[Planted], order: Ints) -> list[Planted]:
    """The truth after the claims were put in another order."""
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))

    def moved(original: str | None) -> str | None:
        return f"claim:{rank[int(original[6:])]}" if original and original.startswith("claim:") else original

    return [p._replace(claim=int(rank[p.claim]), originals=tuple(map(moved, p.originals))) for p in planted]
