"""Anomalies planted into a block of genuine claims, each breaking the one rule it stands for and, as far as possible,
no other.

Each function takes the planter and how many to plant. The amounts that follow from a change (a higher level costs
more) change with it and are not listed in the truth.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from claimsformer.claims.generator.catalogue import DRGS, DRUGS
from claimsformer.claims.generator.conditions import CONDITIONS
from claimsformer.claims.generator.episodes import far_apart, in_stay, supported_level
from claimsformer.claims.generator.ledger import OFFICE, PHARMACY, STAY, Claims, Ledger, concat
from claimsformer.claims.generator.pricing import charge_cents
from claimsformer.claims.generator.tables import Tables
from claimsformer.claims.generator.world import DAYS, Members, Providers, distance_km

__all__ = ["GENERATED_TYPES", "FAR_KM", "Planted", "Planter", "SAME_DAY_KM", "plant", "renumbered"]

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
        """Up to `quota` unused claims out of the eligible ones; they count as used from here on."""
        rows = np.flatnonzero(eligible & ~self.used)
        chosen = np.sort(self.rng.choice(rows, min(quota, len(rows)), replace=False))
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


def plant(planter: Planter, rate: float) -> Ledger:
    """Plant every type at this share of the claims; returns the block with its added claims, truth is in `planted`."""
    quota = int(planter.rng.poisson(rate * planter.size)) if rate * planter.size < 5 else round(rate * planter.size)
    for kind in GENERATED_TYPES:
        _TYPES[kind](planter, quota)
    return concat([planter.ledger, *planter.added])


def renumbered(planted: list[Planted], order: Ints) -> list[Planted]:
    """The truth after the claims were put in another order."""
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))

    def moved(original: str | None) -> str | None:
        return f"claim:{rank[int(original[6:])]}" if original and original.startswith("claim:") else original

    return [p._replace(claim=int(rank[p.claim]), originals=tuple(map(moved, p.originals))) for p in planted]


# --- too much for what was done ---------------------------------------------------------------------------------------
def _upcoding(p: Planter, quota: int) -> None:
    lines, supported = p.ledger.lines, supported_level(p.claims, p.tables)
    starts_with_level = np.isin(lines.item[np.minimum(p.first, len(lines) - 1)], p.tables.office)
    for i in p.pick(p.office & starts_with_level & (supported < 5), quota):
        line = int(p.first[i])
        level = min(5, int(supported[i]) + int(p.rng.integers(1, 3)))
        old = p.tables.items[lines.item[line]]
        p.set_item(line, int(p.tables.office[level - 1]))
        p.tell(i, "upcoding", "lines.procedure_code", old, level - supported[i], "claim")


def _upcoding_drg(p: Planter, quota: int) -> None:
    families = list(DRGS.values())
    current = [(f.plain, f.with_cc, f.with_mcc) for f in families]
    group, level = p.tables.drg_of[p.claims.condition], p.claims.drg_level
    rises = np.array([(t[2] != t[0], t[2] != t[1], False, False) for t in current])  # level -1 is no stay
    for i in p.pick((p.claims.kind == STAY) & rises[group, level], quota):
        old, factor = int(level[i]), (1.0, 1.3, 1.8)
        p.claims.drg_level[i] = 2
        p.ledger.lines.unit_cents[p.lines_of(i)] *= factor[2] / factor[old]
        p.tell(i, "upcoding_drg", "drg", current[group[i]][old], factor[2] / factor[old], "claim")


def _unbundling(p: Planter, quota: int) -> None:
    # Panel and specimen collection become two components: as many lines as before, for more money than the panel's.
    lines, collection = p.ledger.lines, p.tables.item("X2001")
    parts = dict(p.tables.panel_parts)
    panel_lines = np.isin(lines.item, list(parts))
    has = np.bincount(lines.claim, panel_lines, p.size) > 0
    has &= np.bincount(lines.claim, lines.item == collection, p.size) > 0
    for i in p.pick(p.office & has[: len(p.office)], quota):
        mine = p.lines_of(i)
        line = int(mine[panel_lines[mine]][0])
        other = int(mine[lines.item[mine] == collection][0])
        panel = int(lines.item[line])
        chosen = p.rng.choice(parts[panel], 2, replace=False)
        for where, item in zip((line, other), chosen.tolist(), strict=True):
            p.set_item(where, item)
        severity = p.tables.fee_cents[chosen].sum() / p.tables.fee_cents[panel]
        p.tell(i, "unbundling", "lines.procedure_code", f"{p.tables.items[panel]} X2001", severity, "claim")


def _impossible_units(p: Planter, quota: int) -> None:
    lines = p.ledger.lines
    limit = p.tables.max_units[lines.item]
    possible = p.office[lines.claim] & (lines.units * 19 > limit)
    candidates = np.bincount(lines.claim, possible, p.size) > 0
    for i in p.pick(candidates[: len(p.office)], quota):
        mine = p.lines_of(i)
        line = int(p.rng.choice(mine[possible[mine]]))
        old, most = float(lines.units[line]), float(limit[line])
        factor = p.rng.uniform(max(5.0, 1.01 * most / old), 20)
        lines.units[line] = max(np.ceil(old * factor), most + 1)
        p.tell(i, "impossible_units", "lines.units", f"{old:g}", lines.units[line] / most, "line")


def _impossible_dose(p: Planter, quota: int) -> None:
    drugs, lines = list(DRUGS.values()), p.ledger.lines
    for i in p.pick(p.claims.kind == PHARMACY, quota):
        line = int(p.first[i])
        drug = drugs[int(lines.item[line]) - p.tables.first_drug]
        dose = drug.strength * lines.units[line] / lines.days_supply[line]
        needed = 1.1 * drug.max_daily_dose / dose
        if drug.unit in ("MG", "MCG") and (needed > 19 or p.rng.random() < 0.3):
            lines.strength_slip[line] = 1000
            p.tell(i, "impossible_dose", "lines.strength", drug.strength_text, 1000, "line")
            continue
        old = float(lines.units[line])
        lines.units[line] = np.ceil(old * p.rng.uniform(max(5.0, needed), max(20.0, 1.2 * needed)))
        p.tell(i, "impossible_dose", "lines.quantity", f"{old:g}", lines.units[line] / old, "line")


def _impossible_days(p: Planter, quota: int) -> None:
    for i in p.pick(p.claims.kind == STAY, quota):
        extra, old = int(p.rng.integers(15, 61)), int(p.claims.covered[i])
        p.claims.covered[i] += extra
        p.tell(i, "impossible_days", "covered_days", str(old), extra, "claim")


def _cost_outlier(p: Planter, quota: int) -> None:
    cents = charge_cents(p.ledger, p.providers)
    for i in p.pick(p.office, quota):
        mine = p.lines_of(i)
        line = int(mine[cents[mine].argmax()])
        factor = p.rng.uniform(3, 10)
        p.ledger.lines.noise[line] *= factor
        p.tell(i, "cost_outlier", "lines.charge_amount", f"{cents[line] / 100:.2f}", factor, "line")


# --- codes that do not go together ------------------------------------------------------------------------------------
def _dx_procedure_mismatch(p: Planter, quota: int) -> None:
    lines, tables = p.ledger.lines, p.tables
    foreign = np.array([g in ("laboratory", "imaging", "surgery", "test") and c != "X2001"
                        for g, c in zip(tables.group, tables.items, strict=True)])  # fmt: skip
    for_sex = [
        np.array(
            [tables.supported[[c.sex in ("", s) for c in CONDITIONS]][:, k].any() for k in range(len(tables.items))]
        )
        for s in ("M", "F")
    ]
    specific = np.isin(lines.item, np.flatnonzero(foreign))
    has = np.bincount(lines.claim, specific, p.size) > 0
    for i in p.pick(p.office & has[: len(p.office)], quota):
        conditions = tables.code_condition[p.claims.dx[i][p.claims.dx[i] >= 0]]
        wrong = foreign & ~tables.supported[conditions].any(axis=0) & for_sex[int(p.members.female[p.claims.member[i]])]
        mine = p.lines_of(i)
        line = int(p.rng.choice(mine[specific[mine]]))
        old = tables.items[lines.item[line]]
        p.set_item(line, int(p.rng.choice(np.flatnonzero(wrong))))
        p.tell(i, "dx_procedure_mismatch", "lines.procedure_code", old, 1.0, "claim")


def _conflict(p: Planter, quota: int, kind: str, wrong: Callable[[int], Bools]) -> None:
    several = (p.claims.dx >= 0).sum(axis=1) >= 2
    for i in p.shuffled(p.office & several):
        if quota == 0:
            return
        conditions = np.flatnonzero(wrong(i))
        if not len(conditions):
            continue
        condition = int(p.rng.choice(conditions))
        code = p.tables.first_code[condition] + int(p.rng.integers(len(CONDITIONS[condition].codes)))
        rank = int((p.claims.dx[i] >= 0).sum()) - 1
        old = p.tables.codes[p.claims.dx[i, rank]]
        p.claims.dx[i, rank] = code
        p.used[i], quota = True, quota - 1
        p.tell(i, kind, "diagnoses", old, 1.0, "claim")


def _age(p: Planter, i: int) -> float:
    return float(p.claims.start[i] - p.members.birth[p.claims.member[i]]) / 365.25


def _sex_conflict(p: Planter, quota: int) -> None:
    sex = np.array([c.sex for c in CONDITIONS])
    ages = np.array([c.ages for c in CONDITIONS])

    def other_sex(i: int) -> Bools:
        age = _age(p, i)
        fits = (ages[:, 0] + 1 < age) & (age < ages[:, 1] - 1)
        return np.asarray(fits & (sex == ("M" if p.members.female[p.claims.member[i]] else "F")))

    _conflict(p, quota, "sex_conflict", other_sex)


def _age_conflict(p: Planter, quota: int) -> None:
    sex = np.array([c.sex for c in CONDITIONS])
    ages = np.array([c.ages for c in CONDITIONS])

    def other_age(i: int) -> Bools:
        age, own = _age(p, i), "F" if p.members.female[p.claims.member[i]] else "M"
        return np.asarray(((age < ages[:, 0] - 5) | (age > ages[:, 1] + 6)) & ((sex == "") | (sex == own)))

    _conflict(p, quota, "age_conflict", other_age)


# --- places and times -------------------------------------------------------------------------------------------------
def _same_kind(p: Planter, i: int) -> Ints:
    """Providers of the same kind that are not excluded on the day of the claim."""
    kind = p.providers.kind[p.claims.provider[i]]
    return np.flatnonzero((p.providers.kind == kind) & (p.providers.excluded > p.claims.start[i]))


def _from_home(p: Planter, i: int, options: Ints) -> Floats:
    member = int(p.claims.member[i])
    home = (p.members.latitude[member], p.members.longitude[member])
    there = (p.providers.latitude[options], p.providers.longitude[options])
    return distance_km(np.full(len(options), home[0]), np.full(len(options), home[1]), *there)


def _alone_that_day(p: Planter) -> Bools:
    visits = p.claims.member * 10_000 + p.claims.start
    values, counts = np.unique(visits[p.office], return_counts=True)
    return np.asarray(p.office & ~np.isin(visits, values[counts > 1]))


def _geography(p: Planter, quota: int) -> None:
    for i in p.shuffled(_alone_that_day(p) & p.at_home & ~p.providers.referral_center[p.claims.provider]):
        if quota == 0:
            return
        options = _same_kind(p, i)
        km = _from_home(p, i, options)
        far = options[(km > FAR_KM) & ~p.providers.referral_center[options]]
        if len(far):
            new = int(p.rng.choice(far))
            old = int(p.claims.provider[i])
            p.claims.provider[i], p.used[i], quota = new, True, quota - 1
            p.tell(
                i,
                "geography",
                "billing_provider_id",
                f"provider:{old}",
                float(_from_home(p, i, np.array([new]))[0]),
                "claim",
            )


def _impossible_travel(p: Planter, quota: int) -> None:
    """A visit moved to the day of another visit of the member, at a provider too far away from that one."""
    alone = _alone_that_day(p) & p.at_home & ~p.used
    rows = np.flatnonzero(alone)
    rows = rows[np.argsort(p.claims.member[rows], kind="stable")]
    pairs = np.flatnonzero((np.diff(p.claims.member[rows]) == 0) & (np.diff(p.claims.condition[rows]) != 0))
    new_technology = p.tables.item("X9001")
    for k in p.rng.permutation(pairs).tolist():
        a, b = int(rows[k]), int(rows[k + 1])
        if quota == 0:
            return
        if p.used[a] or p.used[b] or (p.ledger.lines.item[p.lines_of(b)] == new_technology).any():
            continue
        old_day, old_provider = int(p.claims.start[b]), int(p.claims.provider[b])
        p.claims.start[b] = p.claims.start[a]
        options = _same_kind(p, b)
        apart = far_apart(np.full(len(options), p.claims.provider[a]), options, p.providers)
        fit = options[(apart > SAME_DAY_KM) & (_from_home(p, b, options) < FAR_KM)]
        if not len(fit):
            p.claims.start[b] = old_day
            continue
        new = int(p.rng.choice(fit))
        p.claims.provider[b], quota = new, quota - 1
        p.used[[a, b]] = True
        km = float(far_apart(np.array([p.claims.provider[a]]), np.array([new]), p.providers)[0])
        day = ("service_from", f"day:{old_day}")
        p.tell(b, "impossible_travel", "billing_provider_id", f"provider:{old_provider}", km, "cross_claim", day)


def _after_death(p: Planter, quota: int) -> None:
    death = p.members.death[p.claims.member]
    shift = p.rng.integers(3, 60, len(death))
    works = p.providers.excluded[p.claims.provider] > death + shift
    seen: set[int] = set()
    for i in p.shuffled((death < DAYS) & works & np.isin(p.claims.kind, (OFFICE, PHARMACY))):
        member = int(p.claims.member[i])
        if quota == 0 or member in seen:
            continue
        seen.add(member)
        old = int(p.claims.start[i])
        p.claims.start[i] = death[i] + shift[i]
        p.used[i], quota = True, quota - 1
        p.tell(i, "after_death", "service_from", f"day:{old}", int(shift[i]), "history")


def _timely_filing(p: Planter, quota: int) -> None:
    for i in p.pick(np.ones(len(p.office), dtype=bool), quota):
        old, p.claims.lag[i] = int(p.claims.lag[i]), int(p.rng.integers(366, 700))
        end = int(p.claims.start[i] + p.claims.days[i])
        p.tell(i, "timely_filing", "submitted_date", f"day:{end + old}", int(p.claims.lag[i]), "claim")


def _excluded_provider(p: Planter, quota: int) -> None:
    providers = p.providers
    barred = np.flatnonzero(providers.excluded < DAYS)
    for i in p.shuffled(p.office & p.at_home & ~providers.referral_center[p.claims.provider]):
        if quota == 0:
            return
        mine = int(p.claims.provider[i])
        same = (providers.kind[barred] == providers.kind[mine]) & (providers.state[barred] == providers.state[mine])
        options = barred[same & (providers.excluded[barred] <= p.claims.start[i])]
        if len(options):
            p.claims.provider[i] = int(p.rng.choice(options))
            p.used[i], quota = True, quota - 1
            since = int(p.claims.start[i] - providers.excluded[p.claims.provider[i]])
            p.tell(i, "excluded_provider", "billing_provider_id", f"provider:{mine}", since, "provider")


def _impossible_day(p: Planter, quota: int) -> None:
    """Visits of one provider moved to one day until they take more than 24 hours."""
    lines = p.ledger.lines
    minutes = np.bincount(lines.claim, p.tables.minutes[lines.item] * lines.units, p.size)
    claims = p.claims
    barred = np.bincount(lines.claim, lines.item == p.tables.item("X9001"), p.size) > 0
    for provider in p.rng.permutation(np.unique(claims.provider[p.office])).tolist():
        if quota < 20:
            return
        day = int(p.rng.integers(30, DAYS - 30))
        mine = np.flatnonzero(p.office & (claims.provider == provider))
        near = np.unique(claims.member[mine[np.abs(claims.start[mine] - day) <= 1]])
        member = claims.member[mine]
        free = ~p.used[mine] & ~barred[mine] & p.at_home[mine] & ~np.isin(member, near) & (minutes[mine] > 0)
        free &= (
            (p.members.enrolled[member] <= day)
            & (p.members.death[member] > day)
            & ~in_stay(member, np.full(len(member), day), p.stays)
        )
        free &= (member % 10 != 0) & (p.providers.excluded[provider] > day)
        rows = p.rng.permutation(mine[free])
        _, once = np.unique(claims.member[rows], return_index=True)
        rows = rows[np.sort(once)]
        needed = int(np.searchsorted(np.cumsum(minutes[rows]), 24 * 60 + 30)) + 1
        if needed > min(len(rows), quota + 40):
            continue
        total = float(minutes[rows[:needed]].sum())
        for i in np.sort(rows[:needed]).tolist():
            old = int(claims.start[i])
            claims.start[i], p.used[i] = day, True
            p.tell(i, "impossible_day", "service_from", f"day:{old}", total / 60, "provider")
        quota -= needed


# --- claims that should not be there ----------------------------------------------------------------------------------
def _phantom(p: Planter, quota: int) -> None:
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
    copies.claims.start[:] = p.claims.start[stays] + p.rng.integers(1, p.claims.days[stays])
    kinds = p.providers.kind[p.claims.provider[copied]].tolist()
    states = p.members.state[member].tolist()
    copies.claims.provider[:] = [p.providers.choices[k][s][0] for k, s in zip(kinds, states, strict=True)]
    copies.claims.dx[:, 1:] = -1
    start = p.add(copies)
    for k in range(len(stays)):
        p.tell(start + k, "phantom", "service_from", None, 1.0, "history")


def _duplicate(p: Planter, quota: int) -> None:
    rows = p.pick(np.isin(p.claims.kind, (OFFICE, PHARMACY)), quota)
    copies = p.ledger.select(rows)
    copies.claims.lag += p.rng.integers(1, 25, len(rows))
    start = p.add(copies)
    for k, i in enumerate(rows.tolist()):
        p.tell(start + k, "duplicate", "claim_id", f"claim:{i}", 0.0, "cross_claim")


def _near_duplicate(p: Planter, quota: int) -> None:
    """A copy one day off, or under another provider of the same kind in the same state."""
    last = np.minimum(p.members.death[p.claims.member], DAYS) - 1
    inside = (p.claims.start < last) & ~in_stay(p.claims.member, p.claims.start + 1, p.stays)
    works = p.providers.excluded[p.claims.provider] > p.claims.start + 1
    rows = p.pick(_alone_that_day(p) & inside & works & p.at_home, quota)
    copies = p.ledger.select(rows)
    copies.claims.lag += p.rng.integers(1, 25, len(rows))
    start = p.add(copies)
    for k, i in enumerate(rows.tolist()):
        provider = int(p.claims.provider[i])
        options = _same_kind(p, i)
        others = options[(p.providers.state[options] == p.providers.state[provider]) & (options != provider)]
        if len(others) and p.rng.random() < 0.4:
            copies.claims.provider[k] = int(p.rng.choice(others))
            more = ("billing_provider_id", f"provider:{provider}")
        else:
            copies.claims.start[k] += 1
            more = ("service_from", f"day:{int(p.claims.start[i])}")
        p.tell(start + k, "near_duplicate", "claim_id", f"claim:{i}", 1.0, "cross_claim", more)


# In this order: what must find many free claims of one kind goes first.
_TYPES: Final[dict[str, Callable[[Planter, int], None]]] = {
    "impossible_day": _impossible_day,
    "impossible_travel": _impossible_travel,
    "after_death": _after_death,
    "phantom": _phantom,
    "upcoding_drg": _upcoding_drg,
    "impossible_days": _impossible_days,
    "excluded_provider": _excluded_provider,
    "unbundling": _unbundling,
    "upcoding": _upcoding,
    "impossible_units": _impossible_units,
    "impossible_dose": _impossible_dose,
    "cost_outlier": _cost_outlier,
    "dx_procedure_mismatch": _dx_procedure_mismatch,
    "sex_conflict": _sex_conflict,
    "age_conflict": _age_conflict,
    "geography": _geography,
    "timely_filing": _timely_filing,
    "duplicate": _duplicate,
    "near_duplicate": _near_duplicate,
}
GENERATED_TYPES: Final = tuple(_TYPES)
