"""The catalogue as arrays: every procedure, item, drug and code gets an index, and what depends on it is one gather
away.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from claimsformer.claims.generator.catalogue import BUNDLES, DRGS, DRUGS, OFFICE_LEVELS, PROCEDURES
from claimsformer.claims.generator.conditions import CONDITIONS

__all__ = ["Tables", "tables"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

SLOTS = 8  # most procedures that one condition may have


@dataclass(frozen=True)
class Tables:
    """Items are the procedures in order, then the drugs; codes are all diagnoses in order of their conditions."""

    items: tuple[str, ...]
    fee_cents: Floats  # per unit
    minutes: Floats
    max_units: Ints
    usual_units: Ints
    group: tuple[str, ...]
    supported: Bools  # (conditions, items): the condition explains the item
    slot_item: Ints  # (conditions, SLOTS), -1 for none
    slot_chance: Floats
    office: Ints  # items of the five office levels
    panel_parts: tuple[tuple[int, tuple[int, ...]], ...]
    first_drug: int
    drug_slots: tuple[tuple[tuple[int, float], ...], ...]  # per condition: (item, chance)
    codes: tuple[str, ...]
    code_condition: Ints
    first_code: Ints  # per condition
    complexity: Ints
    grade: Ints  # per condition: 0 plain, 1 complication, 2 major complication
    drg_of: Ints  # per condition, -1 for none
    drg_keys: tuple[str, ...]

    def item(self, code: str) -> int:
        """Index of a procedure code or of a drug's key."""
        return self.items.index(code)


@cache
def tables() -> Tables:
    """The tables of the shipped catalogue; made once."""
    items = (*PROCEDURES, *DRUGS)
    index = {code: i for i, code in enumerate(items)}
    procedures = list(PROCEDURES.values())
    drugs = list(DRUGS.values())
    n_conditions, n_items = len(CONDITIONS), len(items)
    slot_item = np.full((n_conditions, SLOTS), -1)
    slot_chance = np.zeros((n_conditions, SLOTS))
    supported = np.zeros((n_conditions, n_items), dtype=bool)
    parts = tuple((index[p], tuple(index[c] for c in components)) for p, components in BUNDLES.items())
    drug_slots = []
    for i, condition in enumerate(CONDITIONS):
        for slot, entry in enumerate(condition.services.split()):
            code, chance = entry.split(":")
            slot_item[i, slot], slot_chance[i, slot] = index[code], float(chance)
            supported[i, index[code]] = True
        drug_slots.append(tuple((index[k], float(p)) for k, p in (e.split(":") for e in condition.drugs.split())))
        supported[i, [k for k, _ in drug_slots[-1]]] = True
    for panel, components in parts:
        supported[:, list(components)] |= supported[:, [panel]]
    generic = [i for i, p in enumerate(procedures) if p.group in ("office", "ambulance", "room") or p.code == "X2001"]
    supported[:, generic] = True
    codes = tuple(code for condition in CONDITIONS for code in condition.codes)
    sizes = np.array([len(condition.codes) for condition in CONDITIONS])
    drg_keys = tuple(DRGS)
    return Tables(
        items=items,
        fee_cents=np.array([p.fee * 100 for p in procedures] + [d.price * 100 for d in drugs], dtype=np.float64),
        minutes=np.array([p.minutes for p in procedures] + [0] * len(drugs), dtype=np.float64),
        max_units=np.array([p.max_units for p in procedures] + [10_000] * len(drugs)),
        usual_units=np.array([p.usual_units for p in procedures] + [1] * len(drugs)),
        group=(*(p.group for p in procedures), *("prescription" for _ in drugs)),
        supported=supported,
        slot_item=slot_item,
        slot_chance=slot_chance,
        office=np.array([index[code] for code in OFFICE_LEVELS]),
        panel_parts=parts,
        first_drug=len(procedures),
        drug_slots=tuple(drug_slots),
        codes=codes,
        code_condition=np.repeat(np.arange(n_conditions), sizes),
        first_code=np.concatenate([[0], np.cumsum(sizes)[:-1]]),
        complexity=np.array([condition.complexity for condition in CONDITIONS]),
        grade=np.array([{"": 0, "CC": 1, "MCC": 2}[condition.grade] for condition in CONDITIONS]),
        drg_of=np.array([drg_keys.index(c.drg) if c.drg else -1 for c in CONDITIONS]),
        drg_keys=drg_keys,
    )
