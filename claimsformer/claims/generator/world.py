"""The people and places of one block of the generated stream: members, providers, regions.

A block is a closed market: its members see its providers only. So a stream of any length is made block by block, at
constant memory, and whatever is true of a member's history or of a provider's day is true within the block.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from claimsformer.claims.generator.conditions import COMORBIDITY, CONDITIONS, Condition

__all__ = [
    "DAYS", "FACILITIES", "KINDS", "NEVER", "SPECIALTIES", "STATES", "Members", "Providers", "distance_km", "make_members",
    "make_providers",
]  # fmt: skip

Rng = np.random.Generator
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

DAYS: Final = 365
# State, latitude and longitude of its middle, ZIP3 areas, price level.
STATES: Final = (
    ("NY", 42.9, -75.6, ("100", "112", "122", "144"), 1.22), ("CA", 36.8, -119.4, ("900", "921", "941", "958"), 1.28),
    ("TX", 31.5, -99.3, ("750", "770", "782", "787"), 0.98), ("FL", 28.6, -82.4, ("328", "331", "336", "322"), 1.02),
    ("IL", 40.0, -89.2, ("606", "617", "627", "611"), 1.04), ("OH", 40.3, -82.8, ("432", "441", "452", "436"), 0.94),
    ("GA", 32.7, -83.4, ("303", "314", "319", "309"), 0.97), ("WA", 47.4, -120.5, ("981", "992", "984", "986"), 1.10),
    ("AZ", 34.3, -111.7, ("850", "857", "852", "863"), 1.00), ("MN", 46.3, -94.3, ("554", "551", "558", "560"), 1.01),
)  # fmt: skip
_SUNNY: Final = (3, 8)  # Florida and Arizona, where some older members spend the winter
SPECIALTIES: Final = tuple(sorted({condition.specialty for condition in CONDITIONS}))
FACILITIES: Final = ("hospital", "pharmacy", "ambulance")
KINDS: Final = (*SPECIALTIES, *FACILITIES)
_REFERRAL: Final = ("transplant", "oncology")  # specialties that people travel for
_TRANSPLANT_STATES: Final = (0, 9)


@dataclass
class Members:
    """One entry a member; days count from the first day of the period, and are negative before it."""

    female: Bools
    birth: Ints
    death: Ints  # day of death, or a day long after the period
    enrolled: Ints
    state: Ints
    zip3: Ints  # 0 to 3, an area of the state
    latitude: Floats
    longitude: Floats
    winter_state: Ints  # -1 for those who stay at home
    plan: Ints
    conditions: Bools  # (members, conditions)
    code_of: Ints  # (members, conditions): which code of the condition this member is given

    def __len__(self) -> int:
        return len(self.state)


@dataclass
class Providers:
    """One entry a provider; `choices[kind, state]` lists those to choose from, the first of them never excluded."""

    kind: Ints
    state: Ints
    zip3: Ints
    latitude: Floats
    longitude: Floats
    price: Floats  # multiplies fees
    markup: Floats  # charge over allowed amount
    habit: Floats  # chance of billing the highest level that a visit supports
    referral_center: Bools
    excluded: Ints  # first day of exclusion, or a day long after the period
    choices: list[list[Ints]]

    def __len__(self) -> int:
        return len(self.state)


NEVER: Final = 100_000


def distance_km(lat_a: Floats, lon_a: Floats, lat_b: Floats, lon_b: Floats) -> Floats:
    """Great-circle distance in kilometres between points in degrees (haversine formula)."""
    a, b = np.radians(lat_a), np.radians(lat_b)
    half_lat, half_lon = (b - a) / 2, np.radians(lon_b - lon_a) / 2
    h = np.sin(half_lat) ** 2 + np.cos(a) * np.cos(b) * np.sin(half_lon) ** 2
    return np.asarray(2 * 6371.0 * np.arcsin(np.sqrt(h)))


def make_members(n: int, rng: Rng) -> Members:
    """Members of one block: age, sex, home, and conditions that stay with them."""
    female = rng.random(n) < 0.53
    age = np.where(rng.random(n) < 0.62, rng.uniform(0, 66, n), np.clip(rng.normal(71, 9, n), 50, 103))
    state = rng.integers(len(STATES), size=n)
    place = np.array([row[1:3] for row in STATES])[state] + rng.normal(0, 0.7, (n, 2))
    dies = rng.random(n) < 0.002 + 0.06 / (1 + np.exp(-(age - 84) / 5))
    death = np.where(dies, rng.integers(20, DAYS, n), NEVER)
    enrolled = np.where(rng.random(n) < 0.08, rng.integers(0, 200, n), -400)
    travels = (age > 62) & (rng.random(n) < 0.08) & ~np.isin(state, _SUNNY)
    winter = np.where(travels, np.array(_SUNNY)[rng.integers(2, size=n)], -1)
    conditions = _conditions(age, female, rng)
    codes = np.array([len(condition.codes) for condition in CONDITIONS])
    return Members(
        female=female,
        birth=-(age * 365.25).astype(np.int64) - 1,
        death=death,
        enrolled=np.minimum(enrolled, death - 10),
        state=state,
        zip3=rng.integers(4, size=n),
        latitude=place[:, 0],
        longitude=place[:, 1],
        winter_state=winter,
        plan=rng.integers(3, size=n),
        conditions=conditions,
        code_of=(rng.random((n, len(CONDITIONS))) * codes).astype(np.int64),
    )


def _conditions(age: Floats, female: Bools, rng: Rng) -> Bools:
    frailty = np.exp(rng.normal(0, 0.5, len(age)) - 0.125)
    chance = np.stack([_chance(condition, age, female) for condition in CONDITIONS], axis=1)
    has = rng.random(chance.shape) < np.clip(chance * frailty[:, None], 0, 0.95)
    index = {condition.name: i for i, condition in enumerate(CONDITIONS)}
    for first, then, times in COMORBIDITY:
        a, b = index[first], index[then]
        has[:, b] |= has[:, a] & (rng.random(len(age)) < np.clip(chance[:, b] * (times - 1), 0, 0.9))
    return has


def _chance(condition: Condition, age: Floats, female: Bools) -> Floats:
    shape, numbers = condition.age.split()
    centre, width = (float(x) for x in numbers.split("/"))
    curve = (
        1 / (1 + np.exp(-(age - centre) / (width / 2)))
        if shape == "up"
        else np.exp(-(((age - centre) / width) ** 2) / 2)
    )
    # A member ages during the period (a service may be dated a little after it); the condition must be possible on
    # every day of it.
    possible = (age >= condition.ages[0]) & (age + 1.25 < condition.ages[1] + 1)
    if condition.sex:
        possible &= female == (condition.sex == "F")
    return np.asarray(condition.prevalence * curve * possible)


def make_providers(n: int, rng: Rng) -> Providers:
    """Providers of one block: at least one of every kind in every state, transplant centres in two states only."""
    transplant = KINDS.index("transplant")
    sites = [
        (k, s) for k in range(len(KINDS)) for s in range(len(STATES)) if k != transplant or s in _TRANSPLANT_STATES
    ]
    extra = max(0, n - len(sites))
    others = [k for k in range(len(KINDS)) if k != transplant]
    kind = np.array([k for k, _ in sites] + rng.choice(others, extra).tolist())
    state = np.array([s for _, s in sites] + rng.integers(len(STATES), size=extra).tolist())
    total = len(kind)
    place = np.array([row[1:3] for row in STATES])[state] + rng.normal(0, 0.6, (total, 2))
    may_be_excluded = (np.arange(total) >= len(sites)) & (kind < len(SPECIALTIES))
    excluded = np.where(may_be_excluded & (rng.random(total) < 0.12), rng.integers(30, 250, total), NEVER)
    choices = [[np.flatnonzero((kind == k) & (state == s)) for s in range(len(STATES))] for k in range(len(KINDS))]
    for s in range(len(STATES)):
        if s not in _TRANSPLANT_STATES:
            choices[transplant][s] = choices[transplant][_TRANSPLANT_STATES[0 if s in (0, 3, 5, 6) else 1]]
    centre = (kind == transplant) | (
        (kind == KINDS.index("oncology")) & np.isin(state, (0, 2)) & (np.arange(total) < len(sites))
    )
    return Providers(
        kind=kind,
        state=state,
        zip3=rng.integers(4, size=total),
        latitude=place[:, 0],
        longitude=place[:, 1],
        price=np.clip(rng.lognormal(0, 0.15, total), 0.72, 1.6),
        markup=np.clip(rng.normal(1.6, 0.1, total), 1.4, 1.8),
        habit=rng.beta(5, 4, total),
        referral_center=centre,
        excluded=excluded,
        choices=choices,
    )
