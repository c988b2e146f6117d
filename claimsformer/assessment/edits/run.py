"""All edits over a table of claims."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import polars as pl

from claimsformer.assessment.edits import amounts, codes, copies, time_place  # noqa: F401  (they register their edits)
from claimsformer.assessment.edits.rule import EDITS, FINDING_SCHEMA, Context
from claimsformer.assessment.edits.tables import Directory, EditTables
from claimsformer.errors import ConfigError

__all__ = ["firing_rates", "flags", "run_edits", "switch_off"]


def run_edits(
    claims: pl.DataFrame,
    tables: EditTables,
    *,
    history: pl.DataFrame | None = None,
    directory: Directory | None = None,
    only: Iterable[str] | None = None,
) -> pl.DataFrame:
    """Findings (`FINDING_SCHEMA`) of every edit in force on the day of service, by row; `claims` as `claims_schema()`.

    `history` holds earlier claims, for what lives across claims. Raises ConfigError for an unknown name in `only`.
    """
    wanted = list(EDITS) if only is None else list(only)
    if unknown := [name for name in wanted if name not in EDITS]:
        raise ConfigError(f"unknown edits {unknown}, expected some of {list(EDITS)}")
    context = Context(claims, tables, history, directory or Directory())
    if claims.is_empty():
        return pl.DataFrame(schema=FINDING_SCHEMA)
    days = context.numbered.select("row", "service_from")
    parts = []
    for name in wanted:
        if name in tables.off:
            continue
        rule = EDITS[name]
        found = rule.find(context).with_columns(edit=pl.lit(name)).select(FINDING_SCHEMA.names())
        in_force = days.filter(pl.col("service_from") >= rule.effective_from)
        if rule.effective_to is not None:
            in_force = in_force.filter(pl.col("service_from") <= rule.effective_to)
        parts.append(found.join(in_force.select("row"), on="row", how="semi", maintain_order="left"))
    if not parts:
        return pl.DataFrame(schema=FINDING_SCHEMA)
    order = {name: k for k, name in enumerate(EDITS)}
    return (
        pl.concat(parts)
        .unique(["row", "edit", "field", "evidence"], maintain_order=True)
        .sort("row", pl.col("edit").replace_strict(order, return_dtype=pl.Int64), maintain_order=True)
    )


def flags(findings: pl.DataFrame, n_claims: int) -> pl.DataFrame:
    """One row a claim, one Boolean column an edit."""
    names = list(EDITS)
    seen = findings.select("row", "edit").unique()
    columns = {}
    for name in names:
        column = pl.zeros(n_claims, dtype=pl.Boolean, eager=True)
        columns[name] = column.scatter(seen.filter(pl.col("edit") == name)["row"], True)
    return pl.DataFrame(columns)


def firing_rates(findings: pl.DataFrame, n_claims: int) -> dict[str, float]:
    """Share of the claims on which each edit fired."""
    counts = dict(findings.select("row", "edit").unique()["edit"].value_counts().iter_rows())
    return {name: counts.get(name, 0) / max(1, n_claims) for name in EDITS}


def switch_off(tables: EditTables, history: pl.DataFrame, directory: Directory | None, *, most: float) -> EditTables:
    """The tables with those edits off that fire on more than `most` of the history: there a table or a field does not
    mean what the edit takes it for (ten-digit numbers that are no NPIs, say)."""
    rates = firing_rates(run_edits(history, tables, directory=directory), history.height)
    return replace(tables, off=tuple(sorted({*tables.off, *(name for name, rate in rates.items() if rate > most)})))
