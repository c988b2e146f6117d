"""Episodes of care: what happens to the members during the period, as plausible sequences of claims.

Chronic conditions bring visits spread over the year and refills at regular intervals; acute ones an onset and
follow-ups; a stay in hospital an ambulance before it, a visit after it and, at times, a readmission.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from claimsformer.claims.generator.catalogue import DRGS, DRUGS, STAY_SHARES
from claimsformer.claims.generator.conditions import CONDITIONS
from claimsformer.claims.generator.ledger import AMBULANCE, HARD, OFFICE, PHARMACY, STAY, Claims, Ledger, Lines, concat
from claimsformer.claims.generator.tables import SLOTS, Tables
from claimsformer.claims.generator.world import DAYS, KINDS, SPECIALTIES, Members, Providers, distance_km

__all__ = ["far_apart", "in_stay", "make_episodes", "on_weekday", "supported_level"]

Rng = np.random.Generator
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_ACUTE: Final = np.array([
    c.name in {
        "myocardial infarction", "stroke", "venous thrombosis", "acute kidney failure", "urinary tract infection",
        "pneumonia",        "respiratory failure", "upper respiratory infection", "sepsis", "prostatitis", "otitis media",
        "newborn condition",        "forearm fracture", "hip fracture", "gallstones",
    }
    for c in CONDITIONS
])  # fmt: skip
_WITH_AMBULANCE: Final = [
    list(DRGS).index(k) for k in ("infarction", "stroke", "failure", "sepsis", "fracture", "respiratory")
]
_READMITTED: Final = [list(DRGS).index(k) for k in ("failure", "copd", "sepsis", "pneumonia", "renal")]
_NEW_TECHNOLOGY_FROM: Final = 182  # day of the period on which X9001 enters the catalogue
_PRESCRIPTION_COVER: Final = 0.35  # share of courses of a drug that this payer covers


def make_episodes(members: Members, providers: Providers, tables: Tables, rng: Rng) -> Ledger:
    """All genuine claims of one block."""
    stays = _stays(members, tables, rng)
    stay_ledger = _stay_claims(stays, members, providers, tables, rng)
    office = _office_claims(_visits(members, stays, rng), stays, members, providers, tables, rng)
    parts = [office, stay_ledger, _ambulance_claims(stays, members, providers, tables, rng)]
    ledger = concat([*parts, _pharmacy_claims(members, providers, tables, rng)])
    repeats = _repeats(office, tables, rng)
    ledger = concat([ledger, repeats])
    noisy = rng.random(len(ledger.claims)) < 0.015
    ledger.claims.missing = np.where(noisy, 1 << rng.integers(3, size=len(noisy)), 0)
    ledger.claims.hard = np.where(noisy & (ledger.claims.hard == 0), HARD.index("data_entry_noise"), ledger.claims.hard)
    return ledger


# --- stays ------------------------------------------------------------------------------------------------------------
def _exposure(members: Members) -> tuple[Ints, Ints]:
    return np.maximum(members.enrolled, 0), np.minimum(members.death, DAYS)


def _stays(members: Members, tables: Tables, rng: Rng) -> dict[str, Ints]:
    """Stays in hospital by member and day; those of one member do not overlap."""
    rates = np.array([c.stays for c in CONDITIONS])
    who, what = np.nonzero(members.conditions & (rates > 0))
    first, last = _exposure(members)
    count = np.minimum(rng.poisson(rates[what] * (last - first)[who] / DAYS), 2)
    who, what = np.repeat(who, count), np.repeat(what, count)
    start = (first[who] + rng.random(len(who)) * (last - first)[who]).astype(np.int64)
    usual = np.array([drg.days for drg in DRGS.values()])[tables.drg_of[what]]
    days = np.maximum(1, np.round(usual * rng.lognormal(-0.1, 0.45, len(who)))).astype(np.int64)
    again = np.isin(tables.drg_of[what], _READMITTED) & (rng.random(len(who)) < 0.18)
    back = (start + days + rng.integers(4, 29, len(who)))[again]
    who, what = np.concatenate([who, who[again]]), np.concatenate([what, what[again]])
    start, days = np.concatenate([start, back]), np.concatenate([days, np.maximum(1, days[again] - 1)])
    hard = np.concatenate([np.zeros(len(again), dtype=np.int64), np.full(int(again.sum()), HARD.index("readmission"))])
    order = np.lexsort((start, who))
    who, what, start, days, hard = (a[order] for a in (who, what, start, days, hard))
    # Days of all members on one axis: the running maximum of the ends is then the member's own.
    axis, end = who * 10_000 + start, who * 10_000 + start + days
    latest = np.maximum.accumulate(np.concatenate([[-1], end[:-1]]))[: len(end)]
    keep = (axis > latest + 2) & (start + days < np.minimum(last[who], DAYS))
    return {"member": who[keep], "condition": what[keep], "start": start[keep], "days": days[keep], "hard": hard[keep]}


def in_stay(member: Ints, day: Ints, stays: dict[str, Ints]) -> Bools:
    """Whether a member is in hospital on a day, first and last day included."""
    if not len(stays["member"]):
        return np.zeros(len(member), dtype=bool)
    axis = stays["member"] * 10_000 + stays["start"]
    before = np.searchsorted(axis, member * 10_000 + day, side="right") - 1
    found = np.maximum(before, 0)
    end = stays["start"][found] + stays["days"][found]
    return np.asarray((before >= 0) & (stays["member"][found] == member) & (end >= day))


def _stay_claims(stays: dict[str, Ints], members: Members, providers: Providers, tables: Tables, rng: Rng) -> Ledger:
    who, what, n = stays["member"], stays["condition"], len(stays["member"])
    dx = _diagnoses(who, what, members, tables, rng, mean=3.0)
    secondary = np.where(dx[:, 1:] >= 0, tables.grade[tables.code_condition[dx[:, 1:]]], 0)
    claims = _claims(who, what, STAY, stays["start"], stays["days"], dx, rng)
    claims.provider = _provider(who, np.full(n, KINDS.index("hospital")), stays["start"], members, providers, rng)
    claims.drg_level = secondary.max(axis=1, initial=0)
    claims.covered = stays["days"].copy()
    claims.hard = stays["hard"].copy()
    operated = np.array([bool(drg.procedures) for drg in DRGS.values()])[tables.drg_of[what]]
    payment = np.array([drg.payment for drg in DRGS.values()])[tables.drg_of[what]] * 100
    payment = payment * np.array([1.0, 1.3, 1.8])[claims.drg_level]
    items = np.array([tables.item(code) for code in STAY_SHARES])
    present = np.stack([np.ones(n, bool), np.ones(n, bool), rng.random(n) < 0.9, operated], axis=1)
    claim, slot = np.nonzero(present)
    lines = _lines(claim, items[slot], tables, rng)
    lines.units = np.where(slot == 0, stays["days"][claim], 1).astype(np.float64)
    lines.unit_cents = payment[claim] * np.array(list(STAY_SHARES.values()))[slot] / lines.units
    return Ledger(claims, lines)


def _ambulance_claims(
    stays: dict[str, Ints], members: Members, providers: Providers, tables: Tables, rng: Rng
) -> Ledger:
    carried = np.isin(tables.drg_of[stays["condition"]], _WITH_AMBULANCE) & (rng.random(len(stays["member"])) < 0.4)
    who, what, day = (stays[name][carried] for name in ("member", "condition", "start"))
    dx = _diagnoses(who, what, members, tables, rng, mean=0.5)
    claims = _claims(who, what, AMBULANCE, day, np.zeros_like(day), dx, rng)
    claims.provider = _provider(who, np.full(len(who), KINDS.index("ambulance")), day, members, providers, rng)
    ride = np.array([tables.item("A0427"), tables.item("A0429")])[(rng.random(len(who)) < 0.35).astype(int)]
    items = np.stack([ride, np.full(len(who), tables.item("A0425"))], axis=1).ravel()
    lines = _lines(np.repeat(np.arange(len(who)), 2), items, tables, rng)
    lines.units[1::2] = 1 + rng.poisson(9, len(who))
    return Ledger(claims, lines)


# --- visits -----------------------------------------------------------------------------------------------------------
def _visits(members: Members, stays: dict[str, Ints], rng: Rng) -> tuple[Ints, Ints, Ints]:
    """Member, condition and day of each visit: on weekdays, and never during a stay."""
    who, what = np.nonzero(members.conditions)
    first, last = _exposure(members)
    length = (last - first)[who]
    count = rng.poisson(np.array([c.visits for c in CONDITIONS])[what] * length / DAYS)
    which = np.repeat(np.arange(len(who)), count)
    number = np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count)
    spread = (number + rng.random(len(which))) / count[which] * length[which]
    follow_up = rng.random(len(who))[which] * length[which] + number * (5 + rng.exponential(9, len(which)))
    day = first[who[which]] + np.where(_ACUTE[what[which]], follow_up, spread).astype(np.int64)
    after = stays["start"] + stays["days"] + rng.integers(3, 15, len(stays["start"]))
    visited = rng.random(len(after)) < 0.7
    member = np.concatenate([who[which], stays["member"][visited]])
    condition = np.concatenate([what[which], stays["condition"][visited]])
    day = on_weekday(np.concatenate([day, after[visited]]))
    order = np.lexsort((day, condition, member))
    member, condition, day = member[order], condition[order], day[order]
    close = (np.diff(member, prepend=-1) == 0) & (np.diff(condition, prepend=-1) == 0) & (np.diff(day, prepend=-9) <= 1)
    keep = ~close & (day >= first[member]) & (day < last[member]) & ~in_stay(member, day, stays)
    member, condition, day = member[keep], condition[keep], day[keep]
    _, once = np.unique(member * 10_000 + day, return_index=True)
    member, condition, day = _same_day_appointments(member[once], condition[once], day[once], rng)
    order = np.lexsort((day, condition, member))
    member, condition, day = member[order], condition[order], day[order]
    close = (np.diff(member, prepend=-1) == 0) & (np.diff(condition, prepend=-1) == 0) & (np.diff(day, prepend=-9) <= 1)
    return member[~close], condition[~close], day[~close]


def on_weekday(day: Ints) -> Ints:
    """The day, or the Monday after where it falls on a weekend; the period starts on a Monday."""
    return np.asarray(np.where(day % 7 > 4, day + 7 - day % 7, day))


def _same_day_appointments(member: Ints, condition: Ints, day: Ints, rng: Rng) -> tuple[Ints, Ints, Ints]:
    # Some people see two specialists in one trip; those who travel far for their care are left as they are.
    specialty = np.array([SPECIALTIES.index(c.specialty) for c in CONDITIONS])[condition]
    near = (member % 10 != 0) & (specialty != SPECIALTIES.index("transplant"))
    pair = (np.diff(member) == 0) & (np.diff(specialty) != 0) & near[1:] & near[:-1]
    pair &= rng.random(len(pair)) < 0.03
    later = np.flatnonzero(pair) + 1
    later = later[np.diff(later, prepend=-9) > 1]  # never move the visit that another one was moved to
    day[later] = day[later - 1]
    return member, condition, day


def _office_claims(
    visits: tuple[Ints, Ints, Ints],
    stays: dict[str, Ints],
    members: Members,
    providers: Providers,
    tables: Tables,
    rng: Rng,
) -> Ledger:
    who, what, day = visits
    kinds = np.array([SPECIALTIES.index(c.specialty) for c in CONDITIONS])
    provider = _provider(who, kinds[what], day, members, providers, rng, what)
    dx = _diagnoses(who, what, members, tables, rng, mean=1.2)
    claims = _claims(who, what, OFFICE, day, np.zeros_like(day), dx, rng)
    claims.provider = provider
    n = len(who)
    below = np.where(rng.random(n) < providers.habit[provider], 0, 1 + (rng.random(n) < 0.2))
    level = np.maximum(1, supported_level(claims, tables) - below)
    grid = np.full((n, SLOTS + 2), -1)
    grid[:, 0] = tables.office[level - 1]
    drawn = rng.random((n, SLOTS)) < tables.slot_chance[what]
    grid[:, 1:-1] = np.where(drawn, tables.slot_item[what], -1)
    grid[:, 0] = np.where((rng.random(n) < 0.08) & drawn.any(axis=1), -1, grid[:, 0])
    new = tables.item("X9001")
    grid[:, 1:-1] = np.where((grid[:, 1:-1] == new) & (day < _NEW_TECHNOLOGY_FROM)[:, None], -1, grid[:, 1:-1])
    grid[:, 0] = np.where((grid < 0).all(axis=1), tables.office[level - 1], grid[:, 0])
    has_panel = np.zeros(n, dtype=bool)
    for panel, parts in tables.panel_parts:
        rows, columns = np.nonzero(grid == panel)
        alone = rng.random(len(rows)) < 0.1  # one component alone is an ordinary order
        grid[rows[alone], columns[alone]] = np.array(parts)[rng.integers(len(parts), size=int(alone.sum()))]
        has_panel[rows[~alone]] = True
    laboratory = np.isin(grid, [i for i, g in enumerate(tables.group) if g in ("laboratory", "component")]).any(axis=1)
    collected = has_panel | (laboratory & (rng.random(n) < 0.5))
    grid[:, -1] = np.where(collected, tables.item("X2001"), -1)
    claim, slot = np.nonzero(grid >= 0)
    return Ledger(claims, _lines(claim, grid[claim, slot], tables, rng))


def supported_level(claims: Claims, tables: Tables) -> Ints:
    """The highest office level (1 to 5) that the diagnoses support: one above the first one's complexity, at most
    two.
    """
    first = tables.complexity[tables.code_condition[claims.dx[:, 0]]]
    return np.asarray(np.minimum(5, first + 1 + ((claims.dx >= 0).sum(axis=1) >= 4)))


def _repeats(office: Ledger, tables: Tables, rng: Rng) -> Ledger:
    """Genuine repeats on the same day, billed as they should be: the one repeated service, with modifier 76."""
    repeatable = np.array([g in ("laboratory", "imaging", "test") for g in tables.group]) & (tables.max_units > 1)
    lines = np.flatnonzero(repeatable[office.lines.item])
    chosen = np.sort(rng.choice(lines, len(lines) // 60, replace=False))
    _, one = np.unique(office.lines.claim[chosen], return_index=True)
    chosen = chosen[one]
    claims = office.claims.take(office.lines.claim[chosen])
    copied = office.lines.take(chosen)
    assert isinstance(claims, Claims)
    assert isinstance(copied, Lines)
    claims.hard = np.full(len(chosen), HARD.index("repeat_with_modifier"))
    copied.claim = np.arange(len(chosen))
    copied.modifier = np.ones(len(chosen), dtype=np.int64)
    return Ledger(claims, copied)


# --- prescriptions ----------------------------------------------------------------------------------------------------
def _pharmacy_claims(members: Members, providers: Providers, tables: Tables, rng: Rng) -> Ledger:
    first, last = _exposure(members)
    whos, whats, items, days = [], [], [], []
    for c, slots in enumerate(tables.drug_slots):
        holders = np.flatnonzero(members.conditions[:, c])
        for drug, chance in slots:
            taking = holders[rng.random(len(holders)) < chance * _PRESCRIPTION_COVER]
            supply = list(DRUGS.values())[drug - tables.first_drug].days
            begin = first[taking] + rng.integers(0, 45, len(taking))
            span = np.maximum(0, last[taking] - begin)
            count = np.minimum(span, 1) if supply < 20 else (span / (supply * 1.05)).astype(np.int64) + 1
            which = np.repeat(np.arange(len(taking)), count)
            number = np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count)
            day = begin[which] + (number * supply * 1.05).astype(np.int64) + rng.integers(0, 4, len(which))
            kept = (day < last[taking][which]) & (rng.random(len(which)) < 0.9)
            whos.append(taking[which][kept])
            days.append(day[kept])
            whats.append(np.full(int(kept.sum()), c))
            items.append(np.full(int(kept.sum()), drug))
    who, what, item, day = (np.concatenate(x) for x in (whos, whats, items, days))
    dx = np.full((len(who), 6), -1)
    dx[:, 0] = tables.first_code[what] + members.code_of[who, what]
    claims = _claims(who, what, PHARMACY, day, np.zeros_like(day), dx, rng)
    claims.provider = _provider(who, np.full(len(who), KINDS.index("pharmacy")), day, members, providers, rng)
    claims.lag = np.minimum(claims.lag, rng.integers(1, 10, len(who)))
    lines = _lines(np.arange(len(who)), item, tables, rng)
    drugs = list(DRUGS.values())
    lines.days_supply = np.array([d.days for d in drugs])[item - tables.first_drug]
    per_day = np.array([d.per_day for d in drugs])[item - tables.first_drug]
    lines.units = np.maximum(1, np.round(per_day * lines.days_supply))
    return Ledger(claims, lines)


# --- shared -----------------------------------------------------------------------------------------------------------
def _claims(who: Ints, what: Ints, kind: int, start: Ints, days: Ints, dx: Ints, rng: Rng) -> Claims:
    n = len(who)
    zeros = np.zeros(n, dtype=np.int64)
    lag = np.clip(rng.lognormal(2.6, 0.7, n), 1, 330).astype(np.int64)
    return Claims(
        member=who, condition=what, kind=np.full(n, kind), start=start, days=days, provider=zeros.copy(), dx=dx,
        drg_level=np.full(n, -1), covered=np.full(n, -1), lag=lag, hard=zeros.copy(), missing=zeros.copy(),
    )  # fmt: skip


def _lines(claim: Ints, item: Ints, tables: Tables, rng: Rng) -> Lines:
    n = len(claim)
    usual, most = tables.usual_units[item], tables.max_units[item]
    units = np.where(usual > 1, np.round(usual * rng.uniform(0.5, 1.35, n)), 1)
    twice = (usual == 1) & (most > 1) & (rng.random(n) < 0.05)
    both_sides = np.isin(item, [tables.item(code) for code in ("X3090", "X3091", "X4001")]) & (rng.random(n) < 0.1)
    return Lines(
        claim=claim,
        item=item,
        units=np.clip(np.where(twice | both_sides, 2, units), 1, most).astype(np.float64),
        unit_cents=tables.fee_cents[item].copy(),
        noise=np.clip(rng.lognormal(0, 0.04, n), 0.9, 1.1),
        modifier=np.where(both_sides, 2, 0),
        days_supply=np.full(n, -1),
        strength_slip=np.ones(n),
    )


def _diagnoses(who: Ints, what: Ints, members: Members, tables: Tables, rng: Rng, mean: float) -> Ints:
    """The condition that is treated, then others of the member, as codes; the same member keeps the same codes."""
    n = len(who)
    score = rng.random((n, len(CONDITIONS)), dtype=np.float32)
    score[~members.conditions[who]] = -1
    score[np.arange(n), what] = -1
    others = np.argpartition(-score, 5, axis=1)[:, :5]
    value = np.take_along_axis(score, others, axis=1)
    order = np.argsort(-value, axis=1, kind="stable")
    others, value = np.take_along_axis(others, order, axis=1), np.take_along_axis(value, order, axis=1)
    wanted = rng.poisson(mean, n)
    present = (value >= 0) & (np.arange(5) < wanted[:, None])
    conditions = np.concatenate([what[:, None], others], axis=1)
    codes = tables.first_code[conditions] + members.code_of[who[:, None], conditions]
    return np.where(np.concatenate([np.ones((n, 1), bool), present], axis=1), codes, -1)


def _provider(
    who: Ints, kind: Ints, day: Ints, members: Members, providers: Providers, rng: Rng, what: Ints | None = None
) -> Ints:
    """A provider near where the member is that day, mostly the same one, and never one that is excluded by then."""
    winter = (members.winter_state[who] >= 0) & ((day < 80) | (day > 335))
    state = np.where(winter, members.winter_state[who], members.state[who])
    if what is not None:  # some members travel to a referral centre for cancer care
        travels = (kind == SPECIALTIES.index("oncology")) & (who % 10 == 0)
        state = np.where(travels, np.where(members.state[who] % 2 == 0, 0, 2), state)
    size = np.array([[len(c) for c in row] for row in providers.choices])
    table = np.zeros((*size.shape, size.max()), dtype=np.int64)
    for k, row in enumerate(providers.choices):
        for s, options in enumerate(row):
            table[k, s, : len(options)] = options
    regular = (who * 2_654_435_761 >> 7) % size[kind, state]
    other = (rng.random(len(who)) * size[kind, state]).astype(np.int64)
    chosen = table[kind, state, np.where(rng.random(len(who)) < 0.12, other, regular)]
    if what is not None:
        chosen = np.where(travels, table[kind, state, 0], chosen)
    return np.asarray(np.where(day >= providers.excluded[chosen], table[kind, state, 0], chosen))


def far_apart(a: Ints, b: Ints, providers: Providers) -> Floats:
    """Kilometres between two providers."""
    return distance_km(providers.latitude[a], providers.longitude[a], providers.latitude[b], providers.longitude[b])
