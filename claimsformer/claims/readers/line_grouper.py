"""Files with one row per service line: neighbouring rows with one claim_id become one claim."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from claimsformer.claims.frames import conform, line_schema
from claimsformer.claims.readers.rejects import Problem

__all__ = ["ROW", "BAD", "Group", "LineGrouper"]

ROW = "_row"  # line number (CSV) or row number from 1 (Parquet)
BAD = "_bad"  # the row has a value that does not parse


@dataclass
class Group:
    """Claims, the row where each begins, which of them are refused, and the problems found while grouping."""

    frame: pl.DataFrame
    rows: pl.Series
    bad: pl.Series
    problems: list[Problem] = field(default_factory=list)


class LineGrouper:
    """Rows in, claims out; the last claim of a batch waits for the next one. Remembers 8 bytes a claim, to see
    scattered rows."""

    def __init__(self) -> None:
        self._waiting: pl.DataFrame | None = None
        self._seen = pl.Series("seen", [], dtype=pl.UInt64)
        self._broken_before = False  # the line before the next batch is unreadable

    def add(self, fields: pl.DataFrame, keep: Sequence[str], broken: Sequence[int]) -> Group:
        """The claims that are complete after these rows; `broken` are the numbers of unreadable lines among them."""
        if "claim_id" not in fields.columns:
            fields = fields.with_columns(pl.lit(None, dtype=pl.String).alias("claim_id"))
        fields = self._beside_broken(fields, broken)
        if self._waiting is not None:
            fields = pl.concat([self._waiting, fields], how="vertical_relaxed")
        if fields.is_empty():
            return self._group(fields, keep)
        run = fields["claim_id"].rle_id()
        self._waiting = fields.filter(run == run.max())
        return self._group(fields.filter(run != run.max()), keep)

    def finish(self, keep: Sequence[str]) -> Group:
        """The claim that was still waiting."""
        rest = self._waiting
        if rest is None:
            rest = pl.DataFrame(
                schema={ROW: pl.Int64, BAD: pl.Boolean, "claim_id": pl.String, **dict.fromkeys(keep, pl.String)}
            )
        return self._group(rest, keep)

    def _beside_broken(self, fields: pl.DataFrame, broken: Sequence[int]) -> pl.DataFrame:
        """Mark the rows next to an unreadable line: it may have been a line of their claim, which would now be
        incomplete."""
        rows = fields[ROW].to_numpy()
        beside = np.zeros(len(rows) + 1, dtype=bool)
        beside[0] = self._broken_before
        at = np.searchsorted(rows, np.asarray(sorted(broken), dtype=np.int64))
        beside[at] = True
        beside[at[at > 0] - 1] = True
        if self._waiting is not None and (at == 0).any():
            self._waiting = self._waiting.with_columns(pl.lit(True).alias(BAD))
        self._broken_before = bool((at == len(rows)).any()) if len(rows) else self._broken_before or bool(broken)
        return fields.with_columns(pl.col(BAD) | pl.Series(beside[: len(rows)]))

    def _group(self, fields: pl.DataFrame, keep: Sequence[str]) -> Group:
        header = [name for name in fields.columns if not name.startswith(("line_", "_")) and name not in keep]
        run = fields["claim_id"].rle_id() if fields.height else pl.Series([], dtype=pl.UInt32)
        lined = _with_lines(fields.with_columns(run.alias("_run")))
        start = pl.col("_run").ne_missing(pl.col("_run").shift(1))
        differs = [(pl.col(name).ne_missing(pl.col(name).shift(1)) & ~start).alias(name) for name in header]
        differing = lined.select(ROW, start.cum_sum().alias("_claim"), *differs)
        claims = lined.filter(start).select("_run", ROW, *header, *keep)
        in_order = lined.filter("_has_line").sort("_run", "_number", maintain_order=True)
        lines = in_order.group_by("_run", maintain_order=True).agg(pl.col("_line").alias("lines"))
        bad_runs = lined.filter(BAD)["_run"].unique()
        claims = claims.join(lines, on="_run", how="left", maintain_order="left")
        claims = claims.with_columns(pl.col("_run").is_in(bad_runs.implode()).alias(BAD))
        problems = self._scattered(claims)
        for name in header:
            if differing[name].any():
                rows = claims[ROW].gather(differing.filter(name)["_claim"].unique() - 1)
                problems += [(row, name, None, "differs between the rows of one claim") for row in rows]
        bad_rows = {problem[0] for problem in problems}
        reason = "a value of one of its rows, or a line beside them, cannot be read"
        problems += [(row, "claim", None, reason) for row in claims.filter(BAD)[ROW] if row not in bad_rows]
        bad = claims[BAD] | claims[ROW].is_in(list(bad_rows))
        return Group(conform(claims, keep), claims[ROW], bad, problems)

    def _scattered(self, claims: pl.DataFrame) -> list[Problem]:
        keys = claims["claim_id"].hash(seed=0).alias("seen")
        repeated = keys.is_in(self._seen.implode()) | ~keys.is_first_distinct()
        self._seen = pl.concat([self._seen, keys])
        reason = "has rows in more than one place; sort the file by claim_id"
        return [
            (row, "claim_id", None, reason) for row in claims.filter(repeated & claims["claim_id"].is_not_null())[ROW]
        ]


def _with_lines(fields: pl.DataFrame) -> pl.DataFrame:
    names = [name for name in line_schema() if f"line_{name}" in fields.columns]
    parts: list[Any] = []
    for name, dtype in line_schema().items():
        empty = pl.lit([] if isinstance(dtype, pl.List) else None, dtype=dtype)
        column = pl.col(f"line_{name}").cast(dtype) if name in names else empty
        parts.append((column.fill_null(empty) if isinstance(dtype, pl.List) else column).alias(name))
    if "line_number" not in names:
        order = (pl.int_range(pl.len()).over("_run") + 1).cast(pl.Int32)
        parts[list(line_schema()).index("line_number")] = order.alias("line_number")
    filled = [_is_filled(fields, f"line_{name}") for name in names]
    return fields.with_columns(
        (pl.any_horizontal(filled) if filled else pl.lit(False)).alias("_has_line"),
        pl.struct(parts).alias("_line"),
        parts[list(line_schema()).index("line_number")].alias("_number"),
    )


def _is_filled(fields: pl.DataFrame, name: str) -> pl.Expr:
    column = pl.col(name)
    return (
        (column.list.len() > 0).fill_null(False) if isinstance(fields.schema[name], pl.List) else column.is_not_null()
    )
