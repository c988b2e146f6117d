"""Claims and their lines as arrays of numbers, before they become a table.

Everything here is an index or a count; words and dates appear once, in `render`. Lines are kept in the order of their
claims.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["AMBULANCE", "Claims", "Ledger", "Lines", "MODIFIERS", "OFFICE", "PHARMACY", "STAY", "concat"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

OFFICE, STAY, PHARMACY, AMBULANCE = range(4)
MODIFIERS: Final = ("", "76", "50", "59")
HARD: Final = ("", "readmission", "repeat_with_modifier", "data_entry_noise")


@dataclass
class _Columns:
    def take(self, rows: Ints | Bools) -> _Columns:
        return type(self)(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})


@dataclass
class Claims(_Columns):
    """One entry a claim; days count from the first day of the period."""

    member: Ints
    condition: Ints
    kind: Ints
    start: Ints
    days: Ints  # length of stay, 0 for a visit
    provider: Ints
    dx: Ints  # (n, 6) indices of codes, -1 for none
    drg_level: Ints  # 0 plain, 1 complication, 2 major complication, -1 for no stay
    covered: Ints  # covered days billed
    lag: Ints  # days from the end of service to submission
    hard: Ints  # index into HARD
    missing: Ints  # bits: 1 ZIP, 2 rendering provider, 4 place of service

    def __len__(self) -> int:
        return len(self.member)


@dataclass
class Lines(_Columns):
    """One entry a service line; `claim` is ascending."""

    claim: Ints
    item: Ints
    units: Floats
    unit_cents: Floats  # expected fee per unit, before region and provider
    noise: Floats  # what the charge is multiplied by beyond the provider's price
    modifier: Ints  # index into MODIFIERS
    days_supply: Ints
    strength_slip: Floats  # 1, or 1000 where mcg and mg were mixed up

    def __len__(self) -> int:
        return len(self.claim)


@dataclass
class Ledger:
    """The claims of a block with their lines."""

    claims: Claims
    lines: Lines

    def line_range(self) -> tuple[Ints, Ints]:
        """First line and number of lines of each claim."""
        count = np.bincount(self.lines.claim, minlength=len(self.claims))
        return np.concatenate([[0], np.cumsum(count)[:-1]]), count

    def submission_order(self) -> Ints:
        """Claims by day of submission; those of one day by member."""
        claims = self.claims
        return np.lexsort((np.arange(len(claims)), claims.member, claims.start + claims.days + claims.lag))

    def select(self, rows: Ints) -> Ledger:
        """These claims, in this order, with copies of their lines; a claim may be taken more than once."""
        first, count = self.line_range()
        taken = count[rows]
        offsets = np.arange(taken.sum()) - np.repeat(np.cumsum(taken) - taken, taken)
        lines = self.lines.take(np.repeat(first[rows], taken) + offsets)
        assert isinstance(lines, Lines)
        lines.claim = np.repeat(np.arange(len(rows)), taken)
        claims = self.claims.take(rows)
        assert isinstance(claims, Claims)
        return Ledger(claims, lines)


def concat(parts: list[Ledger]) -> Ledger:
    """One ledger of several, in order."""
    offsets = np.cumsum([0] + [len(part.claims) for part in parts])
    claims = {f.name: np.concatenate([getattr(p.claims, f.name) for p in parts]) for f in fields(Claims)}
    lines = {f.name: np.concatenate([getattr(p.lines, f.name) for p in parts]) for f in fields(Lines)}
    lines["claim"] = np.concatenate([p.lines.claim + o for p, o in zip(parts, offsets, strict=False)])
    return Ledger(Claims(**claims), Lines(**lines))
