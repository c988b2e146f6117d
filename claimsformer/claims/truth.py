"""The truth about planted anomalies: a table that is kept apart from the claims and that no model sees."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import polars as pl

__all__ = ["SCOPES", "TRUTH_SCHEMA", "Truth", "truth_frame"]

# Where the evidence lies: on one line, within the claim, between claims, in a member's history, in a provider's.
SCOPES: Final = ("line", "claim", "cross_claim", "history", "provider")

TRUTH_SCHEMA: Final = pl.Schema(
    {
        "claim_id": pl.String(),
        "type": pl.String(),
        "field": pl.String(),  # the field that a reviewer should be shown first
        "fields": pl.List(pl.String()),  # every field whose value is not the original's
        "original_values": pl.List(pl.String()),  # in the order of `fields`; null where there was none
        "severity": pl.Float64(),  # in the type's own unit: a ratio, days, kilometres
        "scope": pl.String(),
    }
)


class Truth(NamedTuple):
    """One planted anomaly; see `TRUTH_SCHEMA` for the meaning of the fields."""

    claim_id: str
    type: str
    field: str
    fields: Sequence[str]
    original_values: Sequence[str | None]
    severity: float
    scope: str


def truth_frame(truths: Iterable[Truth]) -> pl.DataFrame:
    """A table of planted anomalies with the columns of `TRUTH_SCHEMA`."""
    rows = list(truths)
    single = {
        name: pl.Series(name, [getattr(row, name) for row in rows], dtype=dtype)
        for name, dtype in TRUTH_SCHEMA.items()
        if not isinstance(dtype, pl.List)
    }
    # One pass over all entries: a Series of lists made from Python lists costs a Series for each of them.
    entries = pl.DataFrame(
        {
            "row": pl.Series([k for k, row in enumerate(rows) for _ in row.fields], dtype=pl.UInt32),
            "fields": pl.Series([name for row in rows for name in row.fields], dtype=pl.String),
            "original_values": pl.Series([value for row in rows for value in row.original_values], dtype=pl.String),
        }
    )
    lists = entries.group_by("row", maintain_order=True).all().drop("row")
    return pl.DataFrame(single).hstack(lists).select(TRUTH_SCHEMA.names())
