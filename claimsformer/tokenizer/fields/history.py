"""What was known about a member and a provider when a claim arrived: counts over earlier claims only."""

from __future__ import annotations

import polars as pl

__all__ = ["HISTORY_COLUMNS", "with_history"]

HISTORY_COLUMNS = ("days_since_last_claim", "member_claims_90d", "provider_claims_90d")
WINDOW = "90d"


def with_history(frame: pl.DataFrame, *, member: str, provider: str, date: str) -> pl.DataFrame:
    """The frame, in its order, with `days_since_last_claim` (null: first claim seen) and claims of the last 90 days.

    The frame must hold the earlier claims that are to count; a claim of the same day is not an earlier one.
    """
    rows = frame.select(
        pl.int_range(pl.len()).alias("row"),
        pl.col(member).cast(pl.String).alias("member"),
        pl.col(provider).cast(pl.String).alias("provider"),
        pl.col(date).cast(pl.Date).alias("date"),
    )
    history = (
        rows.join(_days_since_last(rows), on=["member", "date"], how="left")
        .join(_recent(rows, "member"), on=["member", "date"], how="left")
        .join(_recent(rows, "provider"), on=["provider", "date"], how="left")
        .sort("row")
    )
    return frame.with_columns(history.select(HISTORY_COLUMNS))


def _days_since_last(rows: pl.DataFrame) -> pl.DataFrame:
    days = rows.select("member", "date").drop_nulls().unique().sort("member", "date")
    since = pl.col("date").diff().dt.total_days().over("member").alias("days_since_last_claim")
    return days.with_columns(since)


def _recent(rows: pl.DataFrame, who: str) -> pl.DataFrame:
    """Claims in [date - 90 days, date) of each member or provider, one row a date."""
    days = rows.select(who, "date").drop_nulls().group_by(who, "date").agg(pl.len().alias("n")).sort(who, "date")
    name = f"{who}_claims_90d"
    counts = days.rolling(index_column="date", period=WINDOW, closed="left", group_by=who).agg(
        pl.col("n").sum().alias(name)
    )
    return counts.select(who, "date", name)
