"""From text in the schema's form to the schema's types; what does not parse is named, never guessed."""

import polars as pl

from claimsformer.claims.kinds import flat_schema, kind_of

__all__ = ["type_columns", "PARSE_REASON"]

PARSE_REASON = {
    "date": "is not a date (YYYY-MM-DD)",
    "money": "is not an amount in US dollars",
    "number": "is not a number",
    "whole": "is not a whole number",
    "adjustments": "is not a list of group:reason:amount",
}
_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?$"
_EMPTY = pl.DataFrame(schema={"row": pl.Int64, "field": pl.String, "value": pl.String, "reason": pl.String})


def _parsed(column: pl.Expr, kind: str, dtype: pl.DataType) -> pl.Expr:
    if kind == "date":
        iso = pl.when(column.str.contains(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")).then(column)
        return iso.str.to_date("%Y-%m-%d", strict=False)
    if kind == "money":
        return pl.when(column.str.contains(r"^[+-]?[0-9]{0,10}(\.[0-9]{0,2})?$")).then(column).cast(dtype, strict=False)
    if kind == "number":
        return pl.when(column.str.contains(_NUMBER)).then(column).cast(dtype, strict=False)
    if kind == "whole":
        return pl.when(column.str.contains(r"^[0-9]{1,9}$")).then(column).cast(dtype, strict=False)
    return column


def _adjustments(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """`CO:45:12.00|PR:1:3.00` to a list of structs; a malformed item becomes null as a whole."""
    parts = pl.element().str.split_exact(":", 2)
    amount = pl.when(parts.struct.field("field_2").str.contains(r"^-?[0-9]{1,10}(\.[0-9]{1,2})?$")).then(
        parts.struct.field("field_2")
    )
    item = pl.struct(
        parts.struct.field("field_0").alias("group_code"),
        parts.struct.field("field_1").alias("reason_code"),
        amount.cast(pl.Decimal(18, 2), strict=False).alias("amount"),
    )
    return column.str.split("|").list.eval(item).cast(dtype)


def type_columns(frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The frame with its known columns in the schema's types, and (row, field, value, reason) of each value that does
    not parse."""
    problems = [_EMPTY]
    for name in [name for name in frame.columns if name in flat_schema()]:
        dtype, kind, source = flat_schema()[name], kind_of(name), frame[name]
        if source.dtype == dtype:
            continue
        if source.dtype == pl.Null:
            frame = frame.with_columns(pl.lit(None, dtype=dtype).alias(name))
            continue
        if kind == "adjustments":
            typed = frame.select(_adjustments(pl.col(name).cast(pl.String), dtype)).to_series()
        elif isinstance(source.dtype, pl.List):
            inner = dtype.inner if isinstance(dtype, pl.List) else pl.String()
            parsed = _parsed(pl.element().cast(pl.String), kind, inner)  # type: ignore[arg-type]
            typed = frame.select(pl.col(name).list.eval(parsed)).to_series()
            n_before = source.list.drop_nulls().list.len()
            lost = n_before != typed.list.drop_nulls().list.len()
            problems.append(_problem(frame, name, lost.fill_null(False), kind))
            frame = frame.with_columns(typed.list.drop_nulls().cast(dtype).alias(name))
            continue
        else:
            typed = frame.select(_parsed(pl.col(name).cast(pl.String), kind, dtype)).to_series().cast(dtype)
        problems.append(_problem(frame, name, source.is_not_null() & typed.is_null(), kind))
        frame = frame.with_columns(typed.alias(name))
    return frame, pl.concat(problems)


def _problem(frame: pl.DataFrame, name: str, bad: pl.Series, kind: str) -> pl.DataFrame:
    if not bad.any():
        return _EMPTY
    rows = bad.arg_true()
    value = frame[name].gather(rows)
    text = (
        value.list.eval(pl.element().cast(pl.String)).list.join("|")
        if isinstance(value.dtype, pl.List)
        else value.cast(pl.String)
    )
    return pl.DataFrame(
        {"row": rows.cast(pl.Int64), "field": pl.repeat(name, len(rows), eager=True), "value": text}
    ).with_columns(pl.lit(PARSE_REASON.get(kind, "cannot be read")).alias("reason"))
