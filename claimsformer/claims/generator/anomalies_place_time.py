"""Services where or when they cannot have been, or by whom they may not."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from claimsformer.claims.generator.episodes import far_apart, in_stay, on_weekday
from claimsformer.claims.generator.ledger import OFFICE, PHARMACY
from claimsformer.claims.generator.planter import FAR_KM, SAME_DAY_KM, Planter
from claimsformer.claims.generator.world import DAYS, NEVER, distance_km

__all__ = ["after_death", "excluded_provider", "geography", "impossible_day", "impossible_travel", "timely_filing"]

Rng = np.random.Generator
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


def _from_home(p: Planter, i: int, options: Ints) -> Floats:
    member = int(p.claims.member[i])
    home = (p.members.latitude[member], p.members.longitude[member])
    there = (p.providers.latitude[options], p.providers.longitude[options])
    return distance_km(np.full(len(options), home[0]), np.full(len(options), home[1]), *there)


def geography(p: Planter, quota: int) -> None:
    for i in p.shuffled(p.alone_that_day() & p.at_home & ~p.providers.referral_center[p.claims.provider]):
        if quota == 0:
            return
        options = p.same_kind(i)
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


def impossible_travel(p: Planter, quota: int) -> None:
    """A visit moved to the day of another visit of the member, at a provider too far away from that one."""
    alone = p.alone_that_day() & p.at_home & ~p.used
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
        options = p.same_kind(b)
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


def after_death(p: Planter, quota: int) -> None:
    death = p.members.death[p.claims.member]
    shift = on_weekday(death + p.rng.integers(3, 60, len(death))) - death
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


def timely_filing(p: Planter, quota: int) -> None:
    for i in p.pick(np.ones(len(p.office), dtype=bool), quota):
        old, p.claims.lag[i] = int(p.claims.lag[i]), int(p.rng.integers(366, 700))
        end = int(p.claims.start[i] + p.claims.days[i])
        p.tell(i, "timely_filing", "submitted_date", f"day:{end + old}", int(p.claims.lag[i]), "claim")


def excluded_provider(p: Planter, quota: int) -> None:
    providers = p.providers
    barred = np.flatnonzero(providers.excluded < DAYS)
    market = providers.kind * 1000 + providers.state
    earliest = np.full(int(market.max()) + 1, NEVER)
    np.minimum.at(earliest, market[barred], providers.excluded[barred])
    late = p.claims.start >= earliest[market[p.claims.provider]]
    for i in p.shuffled(p.office & p.at_home & late & ~providers.referral_center[p.claims.provider]):
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


def impossible_day(p: Planter, quota: int) -> None:
    """Visits of one provider moved to one day until they take more than 24 hours."""
    lines = p.ledger.lines
    minutes = np.bincount(lines.claim, p.tables.minutes[lines.item] * lines.units, p.size)
    claims = p.claims
    barred = np.bincount(lines.claim, lines.item == p.tables.item("X9001"), p.size) > 0
    for provider in p.rng.permutation(np.unique(claims.provider[p.office])).tolist():
        if quota < 20:
            return
        day = 7 * int(p.rng.integers(5, 47)) + int(p.rng.integers(5))  # a weekday
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
