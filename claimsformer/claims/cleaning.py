"""Cleaning: what can be read in only one way is brought into the schema's form, and every change is counted.

Blanks, words for "missing", dates in other notations, currency signs and thousands separators, dots in diagnosis
codes, lost leading zeros, hyphenated NDCs, names of states, exact duplicate rows. What could be read in two ways is
not touched: it stays for the reader to reject. `03/04/2009` is read as month first and `1,234` as over a thousand, as in
the United States, unless `day_first` and `decimal_comma` say otherwise.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import polars as pl

from claimsformer.claims.kinds import flat_schema, kind_of
from claimsformer.claims.states import STATE_NAMES
from claimsformer.claims.typing_columns import type_columns

__all__ = ["CleaningReport", "clean", "normalise", "MISSING_WORDS"]

MISSING_WORDS = ("", "NA", "N/A", "NULL", "NONE", "NAN", "NAT", "-", "?", ".")

Step = tuple[str, Callable[[pl.Expr], pl.Expr]]


@dataclass
class CleaningReport:
    """How many rows were seen and how many values of which field changed, and how; reports of batches add up."""

    rows: int = 0
    duplicates_removed: int = 0
    changes: Counter[tuple[str, str]] = field(default_factory=Counter)

    def __add__(self, other: "CleaningReport") -> "CleaningReport":
        duplicates = self.duplicates_removed + other.duplicates_removed
        return CleaningReport(self.rows + other.rows, duplicates, self.changes + other.changes)

    def to_frame(self) -> pl.DataFrame:
        """(field, change, count), the most frequent first."""
        rows = [(name, change, count) for (name, change), count in self.changes.most_common()]
        return pl.DataFrame(rows, schema={"field": pl.String, "change": pl.String, "count": pl.Int64}, orient="row")

    def __str__(self) -> str:
        lines = [f"{self.rows} rows, {self.duplicates_removed} exact duplicates removed"]
        lines += [f"  {name}: {change} ({count})" for (name, change), count in self.changes.most_common()]
        return "\n".join(lines)


def _trim(value: pl.Expr) -> pl.Expr:
    return value.str.strip_chars()


def _no_missing_words(value: pl.Expr) -> pl.Expr:
    return pl.when(value.str.to_uppercase().is_in(list(MISSING_WORDS))).then(None).otherwise(value)


def _iso_dates(day_first: bool) -> Callable[[pl.Expr], pl.Expr]:
    order = "$3-$2-$1" if day_first else "$3-$1-$2"
    months = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")

    def convert(value: pl.Expr) -> pl.Expr:
        compact = value.str.replace(r"^([0-9]{4})([0-9]{2})([0-9]{2})$", "$1-$2-$3")
        slashed = compact.str.replace(r"^([0-9])([/.])", "0$1$2").str.replace(
            r"^([0-9]{2}[/.])([0-9])([/.])", "${1}0$2$3"
        )
        isoed = slashed.str.replace(r"^([0-9]{2})[/.]([0-9]{2})[/.]([0-9]{4})$", order)
        named = isoed.str.replace(r"^([0-9])-([A-Za-z]{3})-", "0$1-$2-")
        spelt = pl.when(named.str.contains(r"^[0-9]{2}-[A-Za-z]{3}-[0-9]{4}$")).then(
            named.str.to_uppercase().str.replace_many(list(months), [f"{i:02d}" for i in range(1, 13)])
        )
        return spelt.str.replace(r"^([0-9]{2})-([0-9]{2})-([0-9]{4})$", "$3-$2-$1").fill_null(named)

    return convert


def _plain_amount(value: pl.Expr) -> pl.Expr:
    bare = value.str.replace(r"^USD ?", "").str.replace(r" ?USD$", "")
    negative = bare.str.replace(r"^\(\$?([0-9.,]+)\)$", "-$1").str.replace(r"^([0-9.,$]+)-$", "-$1")
    return negative.str.replace(r"^(-?)\$ ?(-?)", "$1$2").str.replace(r"^(-?[0-9][0-9.,\s'’]*?)\s?\$$", "$1")


def _plain_thousands(value: pl.Expr) -> pl.Expr:
    grouped = value.str.contains(r"^-?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]*)?$")
    return pl.when(grouped).then(value.str.replace_all(",", "", literal=True)).otherwise(value)


def _decimal_point(value: pl.Expr) -> pl.Expr:
    grouped = value.str.contains(r"^-?[0-9]{1,3}([.\s'’][0-9]{3})+(,[0-9]*)?$")
    whole = pl.when(grouped).then(value.str.replace_all(r"[.\s'’]", "")).otherwise(value)
    return whole.str.replace(r"^(-?[0-9]+),([0-9]*)$", "$1.$2")


def _cents(value: pl.Expr) -> pl.Expr:
    long = value.str.contains(r"^[+-]?[0-9]*\.[0-9]{3,}$") | value.str.contains(r"^[+-]?[0-9.]+[eE][+-]?[0-9]{1,2}$")
    rounded = value.cast(pl.Decimal(38, 10), strict=False).cast(pl.Decimal(38, 2), strict=False).cast(pl.String)
    exact = value.str.replace(r"(\.[0-9]{2})0+$", "$1")
    done = pl.when(exact.str.contains(r"\.[0-9]{2}$")).then(exact).otherwise(pl.coalesce(rounded, value))
    return pl.when(long).then(done).otherwise(value)


def _hyphens_to_five_four_two(value: pl.Expr) -> pl.Expr:
    split = value.str.replace(r"^([0-9]{4})-([0-9]{4})-([0-9]{2})$", "0$1$2$3")
    split = split.str.replace(r"^([0-9]{5})-([0-9]{3})-([0-9]{2})$", "${1}0$2$3")
    split = split.str.replace(r"^([0-9]{5})-([0-9]{4})-([0-9])$", "$1${2}0$3")
    return split.str.replace(r"^([0-9]{5})-([0-9]{4})-([0-9]{2})$", "$1$2$3")


def _no_dot(value: pl.Expr) -> pl.Expr:
    return value.str.replace(r"^([A-Za-z]?[0-9A-Za-z]{2,3})\.([0-9A-Za-z]{0,4})$", "$1$2")


def _padded(width: int) -> Callable[[pl.Expr], pl.Expr]:
    return lambda value: pl.when(value.str.contains(r"^[0-9]+$")).then(value.str.zfill(width)).otherwise(value)


def _recoded(table: dict[str, str]) -> Callable[[pl.Expr], pl.Expr]:
    return lambda value: value.str.to_uppercase().replace(table).fill_null(value)


_SEX = {"MALE": "M", "FEMALE": "F", "UNKNOWN": "U", "OTHER": "U", "O": "U"}
_SYSTEM = dict.fromkeys(("9", "ICD9", "ICD-9", "ICD-9-CM", "ICD9CM"), "icd9")
_SYSTEM |= dict.fromkeys(("0", "10", "ICD10", "ICD-10", "ICD-10-CM", "ICD10CM"), "icd10") | {"SNOMED": "snomed"}
_UPPER: Step = ("letters in capitals", lambda value: value.str.to_uppercase())
_LOWER: Step = ("letters in lower case", lambda value: value.str.to_lowercase())
_SPACES: Step = ("repeated blanks removed", lambda value: value.str.replace_all(r"\s+", " "))
_WHOLE: Step = ("decimal point of a whole number removed", lambda value: value.str.replace(r"^([0-9]+)\.0*$", "$1"))
_POINT: Step = ("decimal point of a whole number removed", lambda value: value.str.replace(r"^([0-9]+)\.0$", "$1"))

_COMMA: Step = ("decimal comma brought to a point", _decimal_point)
_STRENGTH_COMMA: Step = (_COMMA[0], lambda value: value.str.replace(r"^([0-9]+),([0-9]+)", "$1.$2"))
_THOUSANDS: Step = ("thousands separators removed", _plain_thousands)

_STEPS: dict[str, list[Step]] = {
    "date": [
        (
            "time of day removed",
            lambda value: value.str.replace(r"^([0-9]{4}-[0-9]{2}-[0-9]{2})[T ][0-9:.+Z\-]+$", "$1"),
        )
    ],
    "money": [
        ("currency sign removed", _plain_amount),
        _THOUSANDS,
        ("rounded to cents", _cents),
    ],
    "number": [_THOUSANDS],
    "whole": [_WHOLE],
    "sex": [("recoded to M, F or U", _recoded(_SEX))],
    "state": [_UPPER, ("name of the state to its abbreviation", _recoded(STATE_NAMES))],
    "zip": [("cut to five digits", lambda value: value.str.replace(r"^([0-9]{5})-?[0-9]{4}$", "$1"))],
    "claim_type": [_LOWER],
    "lower": [_LOWER],
    "code_system": [("recoded to icd9 or icd10", _recoded(_SYSTEM))],
    "icd": [_UPPER, ("dot of a code removed", _no_dot)],
    "code": [_UPPER],
    "pad2": [_POINT, ("leading zeros restored", _padded(2))],
    "pad3": [_POINT, ("leading zeros restored", _padded(3))],
    "pad4": [_POINT, ("leading zeros restored", _padded(4))],
    "bill_type": [_UPPER, ("leading zero removed", lambda value: value.str.replace(r"^0([0-9]{2}[0-9A-Z])$", "$1"))],
    "ndc": [("NDC written as 5-4-2 without hyphens", _hyphens_to_five_four_two)],
    "text": [_SPACES],
    "strength": [
        _SPACES,
        ("amount and unit of a strength set apart", lambda v: v.str.replace(r"^([0-9.]+)([A-Za-z])", "$1 $2")),
    ],
    "identifier": [],
    "adjustments": [],
}


def _with_comma(kind: str) -> list[Step]:
    """The steps of a kind where numbers have a decimal comma."""
    if kind in ("money", "number"):
        return [_COMMA if step is _THOUSANDS else step for step in _STEPS[kind]]
    return {"whole": [_COMMA], "strength": [_STRENGTH_COMMA]}.get(kind, []) + _STEPS[kind]


def _steps(name: str, *, day_first: bool, decimal_comma: bool, plain: bool) -> list[Step]:
    steps: list[Step] = [("outer blanks removed", _trim)]
    if not plain:
        steps.append(("word for missing emptied", _no_missing_words))
    if not (plain and kind_of(name) in ("text", "strength")):
        steps += _with_comma(kind_of(name)) if decimal_comma else _STEPS[kind_of(name)]
    if kind_of(name) == "date":
        steps.append(("date brought to YYYY-MM-DD", _iso_dates(day_first)))
    return steps


def _as_text(frame: pl.DataFrame, name: str) -> pl.Expr:
    dtype = frame.schema[name]
    if isinstance(dtype, pl.Datetime):
        return pl.col(name).dt.to_string("%Y-%m-%dT%H:%M:%S").str.replace("T00:00:00", "", literal=True)
    if isinstance(dtype, pl.Float32 | pl.Float64):
        whole = pl.col(name).is_finite() & (pl.col(name) == pl.col(name).round(0)) & (pl.col(name).abs() < 1e15)
        return (
            pl.when(whole)
            .then(pl.col(name).cast(pl.Int64, strict=False).cast(pl.String))
            .otherwise(pl.col(name).cast(pl.String))
        )
    return pl.col(name).cast(pl.String)


def normalise(
    frame: pl.DataFrame, *, day_first: bool = False, decimal_comma: bool = False, plain: bool = False
) -> tuple[pl.DataFrame, CleaningReport]:
    """The known columns as text in the schema's form where that is unambiguous, and what was changed; lists keep
    their length.

    `plain` is for files that this package wrote: words such as "NA" are values there, and free text is left as it is.
    """
    report = CleaningReport(rows=frame.height)
    known = [name for name in frame.columns if name in flat_schema() and kind_of(name) != "adjustments"]
    for name in known:
        steps = _steps(name, day_first=day_first, decimal_comma=decimal_comma, plain=plain)
        if isinstance(frame.schema[name], pl.List):
            frame = _normalise_list(frame, name, steps, report)
            continue
        if frame.schema[name] == flat_schema()[name] != pl.String:
            continue
        column = frame.select(_as_text(frame, name).alias(name)).to_series()
        frame = frame.with_columns(_apply(column, steps, name, report))
    return frame, report


def _apply(column: pl.Series, steps: list[Step], name: str, report: CleaningReport) -> pl.Series:
    if column.null_count() == len(column):
        return column
    # Few distinct values repeat many times in claims, so the steps run on the distinct ones and are mapped back.
    distinct = column.value_counts(name="n_rows")
    values, counts = distinct[column.name], distinct["n_rows"]
    original = values
    for change, step in steps:
        after = values.to_frame("value").select(step(pl.col("value")).alias("value")).to_series()
        changed = values.is_not_null() & values.ne_missing(after)
        n_changed = int(counts.filter(changed).sum())
        if n_changed:
            report.changes[name, change] += n_changed
        values = after
    if bool(original.ne_missing(values).any()):
        table = pl.DataFrame({"before": original, "after": values})
        return (
            column.to_frame("before")
            .join(table, on="before", how="left", nulls_equal=True, maintain_order="left")["after"]
            .alias(column.name)
        )
    return column


def _normalise_list(frame: pl.DataFrame, name: str, steps: list[Step], report: CleaningReport) -> pl.DataFrame:
    items = frame.select(pl.int_range(pl.len()).alias("_row"), pl.col(name).cast(pl.List(pl.String))).explode(name)
    items = items.filter(pl.col(name).is_not_null())
    values = _apply(items[name], steps, name, report)
    lists = (
        items.with_columns(values).filter(pl.col(name).is_not_null()).group_by("_row", maintain_order=True).agg(name)
    )
    joined = frame.select(pl.int_range(pl.len()).alias("_row")).join(
        lists, on="_row", how="left", maintain_order="left"
    )
    return frame.with_columns(joined[name].fill_null([]))


def clean(
    frame: pl.DataFrame, *, day_first: bool = False, decimal_comma: bool = False, key: Iterable[str] | None = None
) -> tuple[pl.DataFrame, CleaningReport]:
    """A table whose known columns have the schema's form and types, without exact duplicate rows, and the report of
    each change.

    A value that cannot be read in its column is emptied and counted as "unreadable, emptied"; `key` limits the
    comparison of duplicates to these columns. Columns with names outside the schema are passed through; a `lines`
    column as it is.
    """
    frame, report = normalise(frame, day_first=day_first, decimal_comma=decimal_comma)
    typed, problems = type_columns(frame)
    for name, count in problems.group_by("field").len().iter_rows():
        report.changes[name, "unreadable, emptied"] += count
    kept = typed.unique(subset=list(key) if key else None, maintain_order=True, keep="first")
    report.duplicates_removed = typed.height - kept.height
    return kept, report
