"""Claims as polars tables: one row a claim, its lines as a list of structs in the column `lines`.

One table, because a batch of rows is then complete in itself: it streams, filters, shuffles, and is split by member
without ever losing a line; `explode_lines` gives the table of lines where one is wanted.
"""

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

import polars as pl

from claimsformer.claims.schema import Claim, ClaimLine
from claimsformer.errors import ClaimError

__all__ = [
    "MONEY",
    "claims_schema",
    "line_schema",
    "to_frame",
    "from_frame",
    "iter_claims",
    "explode_lines",
    "checked",
    "conform",
    "asked_amount",
]

MONEY = pl.Decimal(18, 2)
_ADJUSTMENT = {"group_code": pl.String(), "reason_code": pl.String(), "amount": MONEY}
_DATES = {
    "member_birth_date",
    "member_death_date",
    "service_from",
    "service_thru",
    "admission_date",
    "discharge_date",
} | {
    "submitted_date",
    "paid_date",
}
_TEXT_LISTS = {"member_conditions", "diagnoses", "procedures", "remark_codes", "modifiers"}


def _dtype(name: str) -> pl.DataType:
    if name == "adjustments":
        return pl.List(pl.Struct(_ADJUSTMENT))
    if name == "lines":
        return pl.List(pl.Struct(line_schema()))
    if name in _DATES:
        return pl.Date()
    if name.endswith("_amount"):
        return MONEY
    if name in _TEXT_LISTS:
        return pl.List(pl.String)
    if name == "diagnosis_pointers":
        return pl.List(pl.Int32)
    if name in {"units", "quantity"}:
        return pl.Float64()
    if name in {"line_number", "covered_days", "days_supply"}:
        return pl.Int32()
    return pl.String()


@cache
def line_schema() -> dict[str, pl.DataType]:
    """Column types of one service line, in the order of `ClaimLine`."""
    return {name: _dtype(name) for name in ClaimLine.model_fields}


@cache
def _claims_schema() -> dict[str, pl.DataType]:
    return {name: _dtype(name) for name in Claim.model_fields}


def claims_schema() -> pl.Schema:
    """Column types of a table of claims, in the order of `Claim`; money is Decimal(18, 2) US dollars, lists are never
    null."""
    return pl.Schema(_claims_schema())


def to_frame(claims: Iterable[Claim]) -> pl.DataFrame:
    """A table of these claims, one row each."""
    return pl.DataFrame([claim.model_dump() for claim in claims], schema=claims_schema(), orient="row")


def iter_claims(frame: pl.DataFrame) -> Iterator[Claim]:
    """The claims of a table, one by one; raises ClaimError at the first row that breaks the schema."""
    names = [name for name in _claims_schema() if name in frame.columns]
    for row in frame.select(names).iter_rows(named=True):
        yield Claim.parse(_without_nulls(row))


def from_frame(frame: pl.DataFrame) -> list[Claim]:
    """The claims of a table; columns outside the schema are ignored; raises ClaimError at the first row that breaks
    it."""
    return list(iter_claims(frame))


def _without_nulls(row: dict[str, Any]) -> dict[str, Any]:
    fields = {name: value for name, value in row.items() if value is not None}
    if "lines" in fields:
        fields["lines"] = [{k: v for k, v in line.items() if v is not None} for line in fields["lines"]]
    return fields


def conform(frame: pl.DataFrame, keep: Iterable[str] = ()) -> pl.DataFrame:
    """The table with exactly the columns of `claims_schema()`, missing ones null (lists empty), then the columns of
    `keep`."""
    columns = []
    for name, dtype in _claims_schema().items():
        empty: Any = [] if isinstance(dtype, pl.List) else None
        if name not in frame.columns:
            columns.append(pl.lit(empty, dtype=dtype).alias(name))
        else:
            column = pl.col(name).cast(dtype)
            columns.append(column.fill_null(pl.lit([], dtype=dtype)) if empty == [] else column)
    return frame.select(*columns, *[pl.col(name) for name in keep])


def checked(frame: pl.DataFrame) -> pl.DataFrame:
    """`conform` of a table that no reader has checked: NaN, with which pandas says "missing", becomes null.

    Raises ClaimError for columns whose values are of another kind, and for infinite units or quantities.
    """
    if not isinstance(frame, pl.DataFrame):
        raise ClaimError([("claims", f"a polars DataFrame is expected, got {type(frame).__name__}")])
    try:
        claims = conform(frame)
    except pl.exceptions.PolarsError:
        kinds = {name: dtype for name, dtype in _claims_schema().items() if not _castable(frame, name, dtype)}
        raise ClaimError([(name, f"is not of the kind {dtype}") for name, dtype in kinds.items()]) from None
    lines = claims["lines"].explode().struct
    numbers = [(name, lines.field(name)) for name in ("units", "quantity")]
    if infinite := [f"lines.{name}" for name, values in numbers if values.is_infinite().any()]:
        raise ClaimError([(name, "is infinite") for name in infinite])
    if any(values.is_nan().any() for _, values in numbers):
        known = [pl.element().struct.field(name).fill_nan(None) for name, _ in numbers]
        claims = claims.with_columns(pl.col("lines").list.eval(pl.element().struct.with_fields(*known)))
    return claims


def _castable(frame: pl.DataFrame, name: str, dtype: pl.DataType) -> bool:
    try:
        frame.select(pl.col(name).cast(dtype) if name in frame.columns else pl.lit(True))
    except pl.exceptions.PolarsError:
        return False
    return True


def explode_lines(frame: pl.DataFrame) -> pl.DataFrame:
    """One row per service line, `claim_id` first; claims without lines have none."""
    lines = frame.lazy().select("claim_id", "lines").filter(pl.col("lines").list.len() > 0).explode("lines")
    return lines.unnest("lines").collect()


def asked_amount(claims: pl.DataFrame) -> pl.Series:
    """US dollars (N,) that each claim asks for: allowed, charged or paid, else the sum of its lines where each has an amount."""
    named = ("allowed_amount", "charge_amount", "paid_amount")
    asked = claims.select(pl.coalesce(named).cast(pl.Float64).alias("asked"))["asked"]
    if not asked.null_count() or "lines" not in claims.columns:
        return asked
    of_lines = pl.coalesce(pl.element().struct.field(*named)).cast(pl.Float64)
    each = claims.select(pl.when(asked.is_null()).then(pl.col("lines").list.eval(of_lines)).alias("each"))["each"]
    priced = (each.list.len() > 0) & (each.list.drop_nulls().list.len() == each.list.len())
    return asked.zip_with(asked.is_not_null() | ~priced.fill_null(False), each.list.sum())
