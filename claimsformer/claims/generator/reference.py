"""The generated world's code tables, as a payer would have them for its edits."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from claimsformer.claims.generator.catalogue import BUNDLES, DRGS, DRUGS, PROCEDURES
from claimsformer.claims.generator.conditions import CONDITIONS
from claimsformer.claims.generator.tables import tables

__all__ = ["Reference", "reference_tables"]


@dataclass(frozen=True)
class Reference:
    """Code tables of the generated world.

    * `procedures`: code, name, group, fee in US dollars per unit, minutes per unit, `max_units` a day.
    * `bundles`: panel and component, never both and never two components on one day.
    * `diagnoses`: code, condition, the one sex that can have it (null for both), first and last age in years, `grade`
      as a secondary diagnosis of a stay ("CC", "MCC" or null), `complexity` (1 to 4) that supports office level
      `complexity` + 1.
    * `support`: procedure and diagnosis that explains it; procedures that need none (office contacts, specimen
      collection, ambulance) are not listed.
    * `drugs`: national drug code, name, strength and unit, `max_daily_dose` in that unit, list price in US dollars per
      unit of quantity.
    * `drgs`: DRG, family, level (0 plain, 1 with complication, 2 with major complication), payment in US dollars.
    """

    procedures: pl.DataFrame
    bundles: pl.DataFrame
    diagnoses: pl.DataFrame
    support: pl.DataFrame
    drugs: pl.DataFrame
    drgs: pl.DataFrame


def reference_tables() -> Reference:
    """The code tables behind `generate`."""
    billed = [p for p in PROCEDURES.values() if p.group != "room"]
    return Reference(
        procedures=pl.DataFrame(
            [(p.code, p.name, p.group, float(p.fee), p.minutes, p.max_units) for p in billed],
            schema=["code", "name", "group", "fee", "minutes", "max_units"],
            orient="row",
        ),
        bundles=pl.DataFrame(
            [(panel, component) for panel, components in BUNDLES.items() for component in components],
            schema=["panel", "component"],
            orient="row",
        ),
        diagnoses=pl.DataFrame(
            [
                (code, c.name, c.sex or None, c.ages[0], c.ages[1], c.grade or None, c.complexity)
                for c in CONDITIONS
                for code in c.codes
            ],
            schema=["code", "condition", "sex", "first_age", "last_age", "grade", "complexity"],
            orient="row",
        ),
        support=pl.DataFrame(_support(), schema=["procedure", "diagnosis"], orient="row"),
        drugs=pl.DataFrame(
            [(d.ndc, d.name, d.strength, d.unit, d.form, float(d.max_daily_dose), d.price) for d in DRUGS.values()],
            schema=["ndc", "name", "strength", "unit", "form", "max_daily_dose", "price"],
            orient="row",
        ),
        drgs=_drgs(),
    )


def _support() -> list[tuple[str, str]]:
    table = tables()
    return [
        (item, code)
        for k, item in enumerate(table.items[: table.first_drug])
        if not table.supported[:, k].all()
        for code, condition in zip(table.codes, table.code_condition.tolist(), strict=True)
        if table.supported[condition, k]
    ]


def _drgs() -> pl.DataFrame:
    rows = [
        (number, family, level, drg.payment * factor)
        for family, drg in DRGS.items()
        for level, (number, factor) in enumerate(
            zip((drg.plain, drg.with_cc, drg.with_mcc), (1.0, 1.3, 1.8), strict=True)
        )
    ]
    frame = pl.DataFrame(rows, schema=["drg", "family", "level", "payment"], orient="row")
    # Where one number stands for several levels, the lowest counts: it needs the least support.
    return frame.unique("drg", keep="first", maintain_order=True)
