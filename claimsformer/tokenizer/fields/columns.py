"""What a field reads from a frame, as polars expressions: one `select` cleans all columns of all fields at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
import polars as pl

from claimsformer.tokenizer.base import TokenizerError
from claimsformer.tokenizer.fields.spec import ClaimSpec, FieldSpec

__all__ = ["clean_columns", "floats", "group_name", "look_up", "value_name"]

Row = tuple[float, ...]
SMALL = 2_048  # below this many values a Python loop beats building a table


def value_name(field: FieldSpec, rank: int) -> str:
    """Name of the cleaned column of a field's rank (from 1)."""
    return f"{field.name}:{rank}"


def group_name(field: FieldSpec, rank: int) -> str:
    """Name of the cleaned column of the groups that a ratio is taken by."""
    return f"{field.name}:{rank}:by"


def clean_columns(spec: ClaimSpec, frame: pl.DataFrame) -> pl.DataFrame:
    """The columns of all fields: text for categories and codes, float64 (NaN: missing) for numbers, dates for dates."""
    columns, schema = [], frame.schema
    for field in spec.fields:
        for rank, column in enumerate(field.columns, start=1):
            columns.append(_value(field, column, schema).alias(value_name(field, rank)))
            if field.by is not None:
                columns.append(_code(pl.col(field.group_column(rank))).alias(group_name(field, rank)))
    return frame.select(columns)


def check_numbers(spec: ClaimSpec, frame: pl.DataFrame) -> None:
    """A column of text of which nothing is a number is the wrong column, not a column of missing values: TokenizerError."""
    for field in spec.fields:
        for column in field.columns if field.kind in {"number", "money", "ratio"} else ():
            if frame.schema[column] != pl.String:
                continue
            text = frame[column].drop_nulls()
            if len(text) and text.cast(pl.Float64, strict=False).null_count() == len(text):
                raise TokenizerError(
                    f"field {field.name!r} reads numbers, and none of the {len(text)} values of column {column!r} is one"
                )


def _value(field: FieldSpec, column: str, schema: Mapping[str, pl.DataType]) -> pl.Expr:
    value = pl.col(column)
    if field.kind in {"code", "category"} and schema[column].is_float():
        # Whole numbers that some reader made floating point because of the missing ones among them.
        value = value.fill_nan(None).cast(pl.String).str.strip_suffix(".0")
    if field.kind == "code":
        return _code(value)
    if field.kind == "category":
        # Booleans as 0 and 1, as most claim files write flags.
        return _category(value.cast(pl.Int8) if schema[column] == pl.Boolean else value)
    if field.kind == "date":
        return value.cast(pl.Date)
    if field.kind == "days":
        value = (value.cast(pl.Date) - pl.col(field.since or "").cast(pl.Date)).dt.total_days()
    return value.cast(pl.Float64, strict=False).fill_null(float("nan"))


def _category(value: pl.Expr) -> pl.Expr:
    text = value.cast(pl.String).str.strip_chars()
    return pl.when(text != "").then(text)


def _code(value: pl.Expr) -> pl.Expr:
    """Codes as they are compared: upper case, no dots, no blanks around; an empty string is missing."""
    text = value.cast(pl.String).str.strip_chars().str.to_uppercase().str.replace_all(".", "", literal=True)
    return pl.when(text != "").then(text)


def floats(column: pl.Series) -> npt.NDArray[np.float64]:
    """A cleaned column of numbers as an array."""
    return np.asarray(column.to_numpy(), dtype=np.float64)


def look_up(values: pl.Series, find: Callable[[str], Row], missing: Row) -> npt.NDArray[np.float64]:
    """`find` of every text, `missing` of every null, (N, len(missing)); each distinct text once where there are
    many.
    """
    if len(values) <= SMALL:
        rows = [missing if value is None else find(value) for value in values.to_list()]
        return np.array(rows, dtype=np.float64).reshape(-1, len(missing))
    distinct = values.unique().drop_nulls()
    if not len(distinct):
        return np.tile(np.array(missing, dtype=np.float64), (len(values), 1))
    numbers = pl.Series(range(1, len(distinct) + 1), dtype=pl.Int32)
    codes = values.replace_strict(distinct, numbers, default=None, return_dtype=pl.Int32).fill_null(0)
    table = np.array([missing, *(find(value) for value in distinct.to_list())], dtype=np.float64)
    return np.take(table, codes.to_numpy(), axis=0)
