"""Codes that do not go together, or not with the member."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from claimsformer.claims.generator.conditions import CONDITIONS
from claimsformer.claims.generator.planter import Planter

__all__ = ["age_conflict", "dx_procedure_mismatch", "sex_conflict"]

Rng = np.random.Generator
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


def dx_procedure_mismatch(p: Planter, quota: int) -> None:
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


def sex_conflict(p: Planter, quota: int) -> None:
    sex = np.array([c.sex for c in CONDITIONS])
    ages = np.array([c.ages for c in CONDITIONS])

    def other_sex(i: int) -> Bools:
        age = _age(p, i)
        fits = (ages[:, 0] + 1 < age) & (age < ages[:, 1] - 1)
        return np.asarray(fits & (sex == ("M" if p.members.female[p.claims.member[i]] else "F")))

    _conflict(p, quota, "sex_conflict", other_sex)


def age_conflict(p: Planter, quota: int) -> None:
    sex = np.array([c.sex for c in CONDITIONS])
    ages = np.array([c.ages for c in CONDITIONS])

    def other_age(i: int) -> Bools:
        age, own = _age(p, i), "F" if p.members.female[p.claims.member[i]] else "M"
        return np.asarray(((age < ages[:, 0] - 5) | (age > ages[:, 1] + 6)) & ((sex == "") | (sex == own)))

    _conflict(p, quota, "age_conflict", other_age)
