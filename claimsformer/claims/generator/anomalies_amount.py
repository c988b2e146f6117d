"""More billed than was done: levels, groups, units, doses, days and prices."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from claimsformer.claims.generator.catalogue import DRGS, DRUGS
from claimsformer.claims.generator.episodes import supported_level
from claimsformer.claims.generator.ledger import PHARMACY, STAY
from claimsformer.claims.generator.planter import Planter
from claimsformer.claims.generator.pricing import charge_cents

__all__ = [
    "cost_outlier",
    "impossible_days",
    "impossible_dose",
    "impossible_units",
    "unbundling",
    "upcoding",
    "upcoding_drg",
]

Rng = np.random.Generator
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


def upcoding(p: Planter, quota: int) -> None:
    lines, supported = p.ledger.lines, supported_level(p.claims, p.tables)
    starts_with_level = np.isin(lines.item[np.minimum(p.first, len(lines) - 1)], p.tables.office)
    for i in p.pick(p.office & starts_with_level & (supported < 5), quota):
        line = int(p.first[i])
        level = min(5, int(supported[i]) + int(p.rng.integers(1, 3)))
        old = p.tables.items[lines.item[line]]
        p.set_item(line, int(p.tables.office[level - 1]))
        p.tell(i, "upcoding", "lines.procedure_code", old, level - supported[i], "claim")


def upcoding_drg(p: Planter, quota: int) -> None:
    families = list(DRGS.values())
    current = [(f.plain, f.with_cc, f.with_mcc) for f in families]
    group, level = p.tables.drg_of[p.claims.condition], p.claims.drg_level
    rises = np.array([(t[2] != t[0], t[2] != t[1], False, False) for t in current])  # level -1 is no stay
    for i in p.pick((p.claims.kind == STAY) & rises[group, level], quota):
        old, factor = int(level[i]), (1.0, 1.3, 1.8)
        p.claims.drg_level[i] = 2
        p.ledger.lines.unit_cents[p.lines_of(i)] *= factor[2] / factor[old]
        p.tell(i, "upcoding_drg", "drg", current[group[i]][old], factor[2] / factor[old], "claim")


def unbundling(p: Planter, quota: int) -> None:
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


def impossible_units(p: Planter, quota: int) -> None:
    lines = p.ledger.lines
    limit = p.tables.max_units[lines.item]
    possible = p.office[lines.claim] & (lines.units * 19 > limit)
    possible &= (
        p.tables.minutes[lines.item] * lines.units * 20 < 8 * 60
    )  # or the provider's day would be impossible too
    candidates = np.bincount(lines.claim, possible, p.size) > 0
    for i in p.pick(candidates[: len(p.office)], quota):
        mine = p.lines_of(i)
        line = int(p.rng.choice(mine[possible[mine]]))
        old, most = float(lines.units[line]), float(limit[line])
        factor = p.rng.uniform(max(5.0, 1.01 * most / old), 20)
        lines.units[line] = max(np.ceil(old * factor), most + 1)
        p.tell(i, "impossible_units", "lines.units", f"{old:g}", lines.units[line] / most, "line")


def impossible_dose(p: Planter, quota: int) -> None:
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


def impossible_days(p: Planter, quota: int) -> None:
    for i in p.pick(p.claims.kind == STAY, quota):
        extra, old = int(p.rng.integers(15, 61)), int(p.claims.covered[i])
        p.claims.covered[i] += extra
        p.tell(i, "impossible_days", "covered_days", str(old), extra, "claim")


def cost_outlier(p: Planter, quota: int) -> None:
    cents = charge_cents(p.ledger, p.providers)
    for i in p.pick(p.office, quota):
        mine = p.lines_of(i)
        line = int(mine[cents[mine].argmax()])
        factor = p.rng.uniform(3, 10)
        p.ledger.lines.noise[line] *= factor
        p.tell(i, "cost_outlier", "lines.charge_amount", f"{cents[line] / 100:.2f}", factor, "line")
