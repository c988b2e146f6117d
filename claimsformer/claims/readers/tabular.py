"""Tables of claims (CSV, Parquet) into batches in the schema's form, by a layout; all vectorised."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from claimsformer.claims.cleaning import MISSING_WORDS, CleaningReport, normalise
from claimsformer.claims.frames import conform
from claimsformer.claims.kinds import LIST_FIELDS
from claimsformer.claims.readers.csv_source import RawBatch, csv_batches
from claimsformer.claims.readers.layouts import PLAIN, Join, Layout, shown_columns
from claimsformer.claims.readers.line_grouper import BAD, ROW, LineGrouper
from claimsformer.claims.readers.rejects import Problem
from claimsformer.claims.typing_columns import type_columns
from claimsformer.errors import MappingError, ReadError

__all__ = ["Parsed", "csv_claims", "parquet_claims"]


@dataclass
class Parsed:
    """Claims still to be checked against the schema, their places in the file, which are refused already, and why."""

    frame: pl.DataFrame
    rows: pl.Series
    bad: pl.Series
    problems: list[Problem] = field(default_factory=list)
    n_broken: int = 0  # records that never became a row of `frame`; each has a problem
    cleaning: CleaningReport = field(default_factory=CleaningReport)


def csv_claims(path: Path, layout: Layout, keep: Sequence[str], batch_size: int) -> Iterator[Parsed]:
    """The claims of a CSV file in this layout."""
    yield from _claims(csv_batches(path, layout.encoding), path, layout, keep, batch_size)


def parquet_claims(path: Path, layout: Layout, keep: Sequence[str], batch_size: int) -> Iterator[Parsed]:
    """The claims of a Parquet file in this layout, or of one in the schema's own types."""
    claims = _claims(_parquet_batches(path, batch_size), path, layout, keep, batch_size)
    while True:
        with refusing_damage(path):  # damage may show only when a value is converted
            parsed = next(claims, None)
        if parsed is None:
            return
        yield parsed


def parquet_header(path: Path) -> list[str]:
    """Column names of a Parquet file; raises ReadError when it is damaged."""
    with refusing_damage(path):
        return list(pl.scan_parquet(path).collect_schema())


class refusing_damage:
    """Turns whatever polars raises on a damaged file into one ReadError."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        expected = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, OverflowError, ValueError)
        if isinstance(error, expected) and not isinstance(error, ReadError):
            raise ReadError(
                f"{self.path.name!r} is not a sound Parquet file", hint="Write it again at its source."
            ) from None


def _parquet_batches(path: Path, batch_size: int) -> Iterator[RawBatch]:
    with refusing_damage(path):
        n_rows = int(pl.scan_parquet(path).select(pl.len()).collect().item())
    for start in range(0, n_rows, batch_size):
        with refusing_damage(path):
            frame = pl.scan_parquet(path).slice(start, batch_size).collect()
        if frame.height != min(batch_size, n_rows - start):
            raise ReadError(f"{path.name!r} says it has {n_rows} rows, but they end earlier")
        yield RawBatch(frame, pl.int_range(start + 1, start + frame.height + 1, eager=True).alias("row"), [])


def _claims(
    batches: Iterator[RawBatch], path: Path, layout: Layout, keep: Sequence[str], size: int
) -> Iterator[Parsed]:
    tables = [(join, _joined_table(path, join)) for join in layout.joins]
    grouper = LineGrouper() if layout.per_line else None
    for raw in batches:
        frame = raw.frame.with_columns(raw.rows.alias(ROW))
        for join, table in tables:
            if table is not None:
                frame = frame.join(table, left_on=join.left, right_on=join.right, how="left", maintain_order="left")
        fields, report = normalise(
            apply_layout(frame, layout, keep),
            day_first=layout.day_first,
            decimal_comma=layout.decimal_comma,
            plain=layout.name == PLAIN,
        )
        fields, found = type_columns(_repadded(fields, layout))
        problems = list(found.with_columns(fields[ROW].gather(found["row"]).alias("row")).iter_rows())
        bad = fields[ROW].is_in(list({problem[0] for problem in problems}))
        problems += [(row, "", None, reason) for row, reason in raw.broken]
        if grouper is not None:
            group = grouper.add(fields.with_columns(bad.alias(BAD)), keep, [row for row, _ in raw.broken])
            yield Parsed(group.frame, group.rows, group.bad, problems + group.problems, len(raw.broken), report)
        else:
            yield from _slices(Parsed(conform(fields, keep), fields[ROW], bad, problems, len(raw.broken), report), size)
    if grouper is not None:
        group = grouper.finish(keep)
        yield Parsed(group.frame, group.rows, group.bad, group.problems)


def _slices(whole: Parsed, size: int) -> Iterator[Parsed]:
    """Batches of at most `size` claims; problems and counts go with the first."""
    yield Parsed(
        whole.frame[:size], whole.rows[:size], whole.bad[:size], whole.problems, whole.n_broken, whole.cleaning
    )
    for start in range(size, whole.frame.height, size):
        part = slice(start, start + size)
        yield Parsed(whole.frame[part], whole.rows[part], whole.bad[part])


def _joined_table(path: Path, join: Join) -> pl.DataFrame | None:
    """The table beside the file, each key once; None when there is no such file."""
    for pattern in join.patterns:
        for candidate in sorted(path.parent.glob(pattern)):
            if candidate != path:
                table = pl.concat([batch.frame for batch in csv_batches(candidate)])
                if join.right in table.columns:
                    return table.unique(subset=join.right, keep="first", maintain_order=True)
    return None


def _need(frame: pl.DataFrame, column: str, layout: Layout, absent: frozenset[str]) -> bool:
    """Whether the column is there; raises MappingError when it is missing and must not be."""
    if column in frame.columns:
        return True
    if column in absent:
        return False
    have = shown_columns([name for name in frame.columns if name != ROW])
    raise MappingError(f"layout {layout.name!r}: the file has no column {column!r}", hint=f"It has: {have}")


def _may_be_absent(frame: pl.DataFrame, layout: Layout) -> frozenset[str]:
    """Columns of joined tables that were not found, and the optional ones when none of them is there."""
    absent = layout.optional if not layout.optional & set(frame.columns) else frozenset()
    for join in layout.joins:
        if not join.columns & set(frame.columns):
            absent |= join.columns
    return absent


def apply_layout(frame: pl.DataFrame, layout: Layout, keep: Sequence[str]) -> pl.DataFrame:
    """The columns of the layout under the names of the schema, recoded but not yet cleaned or typed."""
    absent = _may_be_absent(frame, layout)
    chosen: list[pl.Expr] = [pl.col(ROW)]
    for target, source in layout.columns.items():
        columns = [
            name for name in ([source] if isinstance(source, str) else source) if _need(frame, name, layout, absent)
        ]
        if not columns:
            continue
        chosen.append(_source(frame, target, columns, isinstance(source, tuple), layout).alias(target))
    for target, part in layout.slices.items():
        if _need(frame, part.column, layout, absent):
            text = pl.col(part.column).cast(pl.String).str.slice(part.start, part.length)
            chosen.append(_recode(text, layout, target, otherwise_null=True).alias(target))
    chosen += [pl.lit(value).alias(target) for target, value in layout.constants.items()]
    flags = [
        pl.when(pl.col(column).cast(pl.String) == yes).then(pl.lit(condition))
        for column, (condition, yes) in layout.conditions.items()
        if _need(frame, column, layout, absent)
    ]
    if flags:
        chosen.append(pl.concat_list(flags).list.drop_nulls().alias("member_conditions"))
    return frame.select(*chosen, *[pl.col(name) for name in keep if _need(frame, name, layout, frozenset())])


def _source(frame: pl.DataFrame, target: str, columns: list[str], many: bool, layout: Layout) -> pl.Expr:
    items = [
        _recode(_emptied(frame, name, None if layout.name == PLAIN else layout.missing), layout, target)
        for name in columns
    ]
    if many:
        return pl.concat_list([item.cast(pl.String) for item in items]).list.drop_nulls()
    if target in LIST_FIELDS and frame.schema[columns[0]] == pl.String:
        return items[0].str.split("|").list.eval(pl.element().filter(pl.element() != ""))
    return items[0]


def _emptied(frame: pl.DataFrame, name: str, missing: Sequence[str] | None) -> pl.Expr:
    if frame.schema[name] != pl.String:
        return pl.col(name)
    words = [*missing, *MISSING_WORDS] if missing is not None else [""]
    return pl.when(~pl.col(name).str.strip_chars().is_in(words)).then(pl.col(name))


def _recode(value: pl.Expr, layout: Layout, target: str, otherwise_null: bool = False) -> pl.Expr:
    table = layout.values.get(target)
    if table is None:
        return value
    text = value.cast(pl.String)
    if otherwise_null:
        return text.replace_strict(list(table), list(table.values()), default=None, return_dtype=pl.String)
    return text.replace(list(table), list(table.values()))


def _repadded(frame: pl.DataFrame, layout: Layout) -> pl.DataFrame:
    for target, width in layout.pad.items():
        if target not in frame.columns:
            continue
        if isinstance(frame.schema[target], pl.List):
            padded = pl.col(target).list.eval(pl.element().str.zfill(width))
        else:
            padded = pl.col(target).cast(pl.String).str.zfill(width)
        frame = frame.with_columns(padded)
    return frame
