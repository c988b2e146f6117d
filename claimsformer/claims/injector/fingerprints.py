"""Does an injector betray itself by values that real claims never hold?

A detector that meets a value for the first time in an injected claim needs to understand nothing. This check lists such
values, and the simple giveaways around them. A combination of values that real claims never show is not a fingerprint
by itself, since it is what most anomalies are: pairs are findings only where the anomaly should have touched neither
field, and are otherwise tabulated beside the share that unrelated real values would give.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
import polars as pl

__all__ = ["Finding", "FingerprintReport", "fingerprint_report"]

_MAX_PAIR_VALUES: Final = 1000  # distinct values of a column that takes part in the table of pairs
_PAIR_SCHEMA: Final = pl.Schema(
    {"a": pl.String(), "b": pl.String(), "unseen": pl.Float64(), "unseen_if_unrelated": pl.Float64()}
)
_ORDER_DISTANCE: Final = 2.5  # Kolmogorov-Smirnov distance times sqrt(n); exceeded once in 100,000 by chance


@dataclass(frozen=True)
class Finding:
    """One giveaway: its kind, the column, the anomaly's type ("" for the table as a whole), how many claims, and
    how.
    """

    kind: str
    column: str
    type: str
    claims: int
    detail: str


@dataclass(frozen=True)
class FingerprintReport:
    """`findings`, and `pairs`: per pair of columns the share of injected claims whose pair no real claim shows.

    Columns of `pairs`: `a`, `b`, `unseen`, and `unseen_if_unrelated`, the same share after shuffling `b` among them.
    """

    findings: tuple[Finding, ...]
    pairs: pl.DataFrame

    @property
    def clean(self) -> bool:
        """True where nothing was found."""
        return not self.findings

    def of(self, kind: str) -> tuple[Finding, ...]:
        """The findings of one kind."""
        return tuple(finding for finding in self.findings if finding.kind == kind)


def fingerprint_report(
    real: pl.DataFrame,
    injected: pl.DataFrame,
    truth: pl.DataFrame,
    *,
    id_column: str = "claim_id",
    ignore: Sequence[str] = (),
    seed: int = 0,
) -> FingerprintReport:
    """Compare a table with planted anomalies to the real one that it was made from.

    `real` and `injected` share one layout, `truth` names the injected claims (`TRUTH_SCHEMA`). Claim numbers are
    judged by their form, since a copy must have a new one; columns of `ignore` are left out.
    Numbers that hardly repeat are judged by their range and by the step they are written in.
    """
    findings = [
        *_table_shape(real, injected),
        *_ids(real, injected, truth, id_column),
        *_row_order(injected, truth, id_column),
    ]
    columns = [c for c in real.columns if c in injected.columns and c not in (id_column, *ignore)]
    types = truth.select(
        pl.col("claim_id").alias(id_column), pl.col("type").alias("__type"), pl.col("fields").alias("__fields")
    )
    rows = injected.join(types.cast({id_column: injected.schema[id_column]}), on=id_column, how="inner")
    for column in columns:
        findings += (
            _out_of_range(real, rows, column) if _is_continuous(real[column]) else _unseen_values(real, rows, column)
        )
        if real.schema[column].is_numeric():
            findings += _finer_grid(real, rows, column)
    narrow = [c for c in columns if _is_narrow(real[c])]
    pairs, pair_findings = _pairs(real, rows, narrow, np.random.Generator(np.random.PCG64(seed)))
    return FingerprintReport((*findings, *pair_findings), pairs)


def _table_shape(real: pl.DataFrame, injected: pl.DataFrame) -> Iterator[Finding]:
    if real.columns != injected.columns:
        extra = sorted(set(injected.columns) ^ set(real.columns))
        yield Finding(
            "columns", ",".join(extra), "", injected.height, "columns differ in name or order from the real ones"
        )
    for column in set(real.columns) & set(injected.columns):
        if real.schema[column] != injected.schema[column]:
            yield Finding(
                "dtype", column, "", injected.height, f"{injected.schema[column]}, really {real.schema[column]}"
            )


def _ids(real: pl.DataFrame, injected: pl.DataFrame, truth: pl.DataFrame, id_column: str) -> Iterator[Finding]:
    doubled = injected.height - injected[id_column].n_unique()
    if doubled > real.height - real[id_column].n_unique():
        yield Finding("duplicate_id", id_column, "", doubled, "a claim number occurs twice")
    forms = set(_form(real[id_column]).unique().to_list())
    ids = injected.filter(pl.col(id_column).cast(pl.String).is_in(truth["claim_id"].implode()))[id_column]
    strange = [form for form in _form(ids).to_list() if form not in forms]
    if strange:
        yield Finding(
            "id_form", id_column, "", len(strange), f"forms that no real claim number has, such as {strange[0]}"
        )


def _form(values: pl.Series) -> pl.Series:
    """Letters become A or a and digits 9, so that a form says how a number is written and not which it is."""
    text = values.cast(pl.String)
    return text.str.replace_all("[0-9]", "9").str.replace_all("[A-Z]", "A").str.replace_all("[a-z]", "a")


def _row_order(injected: pl.DataFrame, truth: pl.DataFrame, id_column: str) -> Iterator[Finding]:
    where = injected[id_column].cast(pl.String).is_in(truth["claim_id"].implode()).arg_true().to_numpy()
    n = len(where)
    if n < 30:
        return
    expected = (np.arange(n) + 0.5) / n
    distance = float(np.abs((where + 0.5) / injected.height - expected).max()) * n**0.5
    if distance > _ORDER_DISTANCE:
        yield Finding(
            "row_order", "", "", n, f"injected rows are bunched (distance {distance:.1f} from an even spread)"
        )


def _unseen_values(real: pl.DataFrame, rows: pl.DataFrame, column: str) -> Iterator[Finding]:
    known, values = real.select(pl.col(column)), rows.select(pl.col(column), "__type")
    if isinstance(real.schema[column], pl.List):
        if isinstance(real.schema[column].inner, pl.Struct):  # type: ignore[attr-defined]
            return
        known, values = known.explode(column), values.explode(column)
    unseen = values.join(known.unique(), on=column, how="anti", nulls_equal=True)
    for kind, group in unseen.group_by("__type", maintain_order=True):
        examples = ", ".join(map(str, group[column].unique(maintain_order=True).head(3).to_list()))
        yield Finding("unseen_value", column, str(kind[0]), group.height, f"in no real claim, such as {examples}")


def _is_continuous(values: pl.Series) -> bool:
    """Numbers so many and so different that a new one between the others means nothing."""
    return values.dtype.is_numeric() and values.n_unique() > max(200, 0.02 * values.len())


def _out_of_range(real: pl.DataFrame, rows: pl.DataFrame, column: str) -> Iterator[Finding]:
    low, high = real[column].min(), real[column].max()
    beyond = rows.filter((pl.col(column) < low) | (pl.col(column) > high))
    for (kind,), group in beyond.group_by("__type", maintain_order=True):
        yield Finding("out_of_range", column, str(kind), group.height, f"outside of {low!s} to {high!s}")


def _finer_grid(real: pl.DataFrame, rows: pl.DataFrame, column: str) -> Iterator[Finding]:
    """Amounts written more finely than real ones: more decimals, or ones and tens where real amounts are round."""
    grid = _step(real[column].drop_nulls())
    for (kind,), group in rows.group_by("__type", maintain_order=True):
        values = group[column].drop_nulls()
        shares = [_share(_steps(series, grid * 10) == 0) for series in (real[column].drop_nulls(), values)]
        off = int(((_steps(values, grid) != 0) & ~values.is_in(real[column].implode())).sum())
        if off:
            yield Finding("finer_grid", column, str(kind), off, f"no multiple of {grid:g}, the step of real values")
        elif len(values) >= 30 and shares[0] - shares[1] > 0.25:
            detail = f"{shares[1]:.0%} are multiples of {grid * 10:g}, of real values {shares[0]:.0%}"
            yield Finding("last_digit", column, str(kind), len(values), detail)


def _step(values: pl.Series) -> float:
    """The largest power of ten that at least 99.5 % of the values are multiples of."""
    for power in range(4, -5, -1):
        if len(values) and _share(_steps(values, 10.0**power) == 0) >= 0.995:
            return 10.0**power
    return 1e-5


def _share(mask: pl.Series) -> float:
    return int(mask.sum()) / max(1, len(mask))


def _steps(values: pl.Series, grid: float) -> pl.Series:
    """Distance to the nearest multiple of the grid, in units of the grid, with rounding noise removed."""
    quotient = values.cast(pl.Float64) / grid
    distance = (quotient - quotient.round()).abs()
    return distance.set(distance < 1e-6, 0.0)


def _is_narrow(values: pl.Series) -> bool:
    return not values.dtype.is_nested() and not values.dtype.is_temporal() and values.n_unique() <= _MAX_PAIR_VALUES


def _pairs(
    real: pl.DataFrame, rows: pl.DataFrame, columns: Iterable[str], rng: np.random.Generator
) -> tuple[pl.DataFrame, list[Finding]]:
    table: list[tuple[str, str, float, float]] = []
    findings: list[Finding] = []
    if not rows.height:
        return pl.DataFrame(schema=_PAIR_SCHEMA), []
    order = pl.Series(rng.permutation(rows.height))
    for a, b in combinations(columns, 2):
        known = real.select(a, b).unique()
        unseen = rows.select(a, b, "__type", "__fields").join(known, on=[a, b], how="anti", nulls_equal=True)
        if not unseen.height:
            continue
        shuffled = rows.select(a, pl.col(b).gather(order)).join(known, on=[a, b], how="anti", nulls_equal=True)
        table.append((a, b, unseen.height / rows.height, shuffled.height / rows.height))
        untouched = unseen.filter(~pl.col("__fields").list.contains(a) & ~pl.col("__fields").list.contains(b))
        for (kind,), group in untouched.group_by("__type", maintain_order=True):
            detail = "values that no real claim combines, and the anomaly should have changed neither"
            findings.append(Finding("unseen_pair", f"{a}, {b}", str(kind), group.height, detail))
    return pl.DataFrame(table, schema=_PAIR_SCHEMA, orient="row"), findings
