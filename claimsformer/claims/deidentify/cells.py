"""Small cells of a published table of counts."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from claimsformer.errors import ConfigError

__all__ = ["suppress_small_cells"]


def suppress_small_cells(
    frame: pl.DataFrame, count: str, threshold: int = 11, values: Sequence[str] = (), within: Sequence[str] = ()
) -> pl.DataFrame:
    """Blank the counts from 1 to `threshold` - 1, and the `values` beside them (CMS publishes no cell under 11).

    Where exactly one cell of a group of the columns `within` is blanked, its neighbour with the smallest count above
    the threshold goes too: otherwise the group's total minus the rest gives the hidden count. Zeros stay: they count
    nobody.
    """
    missing = [name for name in (count, *values, *within) if name not in frame.columns]
    if missing:
        raise ConfigError(f"columns {missing} are not in the table, which has {frame.columns}")
    small = (pl.col(count) > 0) & (pl.col(count) < threshold)
    marked = frame.with_columns(_small=small.fill_null(False))
    if within:
        alone = pl.col("_small").sum().over(within) == 1
        rest = pl.when(~pl.col("_small") & (pl.col(count) >= threshold)).then(pl.col(count))
        second = rest.rank("ordinal").over(within) == 1
        marked = marked.with_columns(_small=pl.col("_small") | (alone & second).fill_null(False))
    hidden = [pl.when(~pl.col("_small")).then(pl.col(name)).alias(name) for name in (count, *values)]
    return marked.with_columns(hidden).drop("_small")
