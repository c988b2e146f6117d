"""The plain layout on disk: CSV (a row a line), Parquet and NDJSON (a claim a row), columns named as the fields of
the schema."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

import polars as pl
from polars.io.plugins import register_io_source

from claimsformer.claims.frames import claims_schema, conform, iter_claims, line_schema
from claimsformer.claims.kinds import flat_schema

__all__ = ["write_csv", "write_parquet", "write_ndjson", "flat_frame"]


def _text(name: str, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if name.endswith("adjustments"):
        item = pl.element().struct
        joined = pl.concat_str(
            item.field("group_code"), item.field("reason_code"), item.field("amount").cast(pl.String), separator=":"
        )
        return column.list.eval(joined).list.join("|").replace("", None)
    if isinstance(dtype, pl.List):
        return column.cast(pl.List(pl.String)).list.join("|").replace("", None)
    return column.cast(pl.String)


def flat_frame(frame: pl.DataFrame) -> pl.DataFrame:
    """One row per line (one row for a claim without lines), every value as text, items of lists joined by `|`."""
    none = pl.lit([None], dtype=claims_schema()["lines"])  # a claim without lines still has one row
    lines = frame.with_columns(pl.when(pl.col("lines").list.len() > 0).then("lines").otherwise(none)).explode("lines")
    header = [name for name in claims_schema() if name != "lines"]
    fields = [pl.col("lines").struct.field(name).alias(f"line_{name}") for name in line_schema()]
    flat = lines.select(*header, *fields)
    return flat.select([_text(name, dtype) for name, dtype in flat_schema().items()])


def write_csv(frames: Iterable[pl.DataFrame], file: IO[bytes]) -> int:
    """Write the claims as plain CSV; gives their number."""
    n_claims = 0
    for index, frame in enumerate(_conformed(frames)):
        flat_frame(frame).write_csv(file, include_header=index == 0, quote_style="necessary")
        n_claims += frame.height
    return n_claims


def write_ndjson(frames: Iterable[pl.DataFrame], file: IO[bytes]) -> int:
    """Write the claims as NDJSON, fields that are empty left out; gives their number."""
    n_claims = 0
    for frame in _conformed(frames):
        for claim in iter_claims(frame):
            file.write(claim.model_dump_json(exclude_defaults=True).encode() + b"\n")
            n_claims += 1
    return n_claims


def write_parquet(frames: Iterable[pl.DataFrame], path: Path) -> int:
    """Write the claims as Parquet in the schema's types, streaming; gives their number."""
    n_claims = 0

    def source(
        with_columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, batch_size: int | None
    ) -> Iterator[pl.DataFrame]:
        nonlocal n_claims
        for frame in _conformed(frames):
            n_claims += frame.height
            yield frame

    register_io_source(source, schema=claims_schema()).sink_parquet(path)
    return n_claims


def _conformed(frames: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    empty = True
    for frame in frames:
        empty = False
        yield conform(frame)
    if empty:
        yield pl.DataFrame(schema=claims_schema())
