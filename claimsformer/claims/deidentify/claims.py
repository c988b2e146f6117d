"""De-identification of tables of claims."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Literal

import polars as pl

from claimsformer.claims.deidentify.geography import safe_zip3
from claimsformer.claims.deidentify.identifiers import Identifier
from claimsformer.claims.deidentify.policy import Action, FieldPolicy, policy_of
from claimsformer.claims.deidentify.pseudonyms import KeyedPseudonyms, ReleaseCodes, day_shift
from claimsformer.claims.deidentify.report import DeidReport
from claimsformer.claims.deidentify.text import scrub_text
from claimsformer.errors import ConfigError

__all__ = ["Deidentifier", "Mode", "MAX_AGE"]

Mode = Literal["shifted", "safe_harbor", "relative"]
MAX_AGE: Final = 90  # years; 45 CFR 164.514(b)(2)(i)(C): one category of age 90 or older
RELATIVE_ORIGIN: Final = dt.date(2000, 1, 1)

_SHIFT, _START, _SERVICE = "__shift", "__start", "__service"


class Deidentifier:
    """Removes or replaces the identifiers of tables of claims, batch by batch, and reports what it did.

    Modes:

    * `"shifted"` (inside use): keyed pseudonyms, and dates moved by a secret number of days, constant per member, so
      intervals are kept. A limited data set or an expert's determination, **not Safe Harbor**.
    * `"safe_harbor"` (release): random codes; of dates only the year stays, written as 1 January of that year.
    * `"relative"` (release): random codes; dates become days since the first service of the member that the run has
      seen, written as 2000-01-01 plus those days, so no year is left. Feed claims in order of service.

    In every mode ZIP codes keep three digits where Safe Harbor allows (written "02100"; "00000" where it does not),
    ages over 89 become 90 (birth dates are moved to fit), and columns that neither the schema nor a known name
    explains are dropped; `policy` overrides single columns. Raises ConfigError for a table without `member_id`.
    """

    def __init__(
        self,
        key: bytes,
        mode: Mode = "shifted",
        *,
        max_shift_days: int = 182,
        policy: Mapping[str, FieldPolicy] | None = None,
        release_seed: int | None = None,
    ) -> None:
        if mode not in ("shifted", "safe_harbor", "relative"):
            raise ConfigError(f"mode is {mode!r}, expected 'shifted', 'safe_harbor' or 'relative'")
        self.mode: Mode = mode
        self.max_shift_days = max_shift_days
        self._keyed = KeyedPseudonyms(key)
        self._codes: KeyedPseudonyms | ReleaseCodes = self._keyed if mode == "shifted" else ReleaseCodes(release_seed)
        self._policy = dict(policy or {})
        self._starts: dict[str, dt.date] = {}  # "relative": member -> first service seen

    def policy_of(self, column: str) -> FieldPolicy:
        """What this object does to a column."""
        return self._policy.get(column) or policy_of(column)

    def __call__(self, frame: pl.DataFrame) -> tuple[pl.DataFrame, DeidReport]:
        """The table without its identifiers, and the report of this batch."""
        if "member_id" not in frame.columns:
            raise ConfigError(
                "the table has no column 'member_id', which ties dates and pseudonyms to a person",
                hint="rename the column that numbers the members, or read the file with a mapping",
            )
        report = DeidReport(self.mode, rows=frame.height)
        table = frame.with_columns(self._timeline(frame))
        names = self._columns(frame.columns, Action.NAME)
        # Free text first, while the columns that hold names are still there; so for the lines.
        table = self._scrub_text(table, self._columns(frame.columns, Action.TEXT), names, report)
        for column in self._columns(frame.columns, Action.LINES):
            table = self._apply_to_lines(table, column, names, report)
        for column in frame.columns:
            table = self._apply(table, column, report)
        return table.drop(_SHIFT, _START, _SERVICE), report

    def _timeline(self, frame: pl.DataFrame) -> list[pl.Series]:
        """Per row: the member's shift in days, first service (mode "relative"), and the service that ages count at."""
        members = frame["member_id"].cast(pl.String)
        service = frame["service_from"] if "service_from" in frame.columns else _no_dates(frame.height)
        if self.mode == "relative":
            first = pl.DataFrame({"m": members, "d": service}).drop_nulls().group_by("m").agg(pl.col("d").min())
            for member, day in first.iter_rows():
                self._starts.setdefault(member, day)
            starts = _map_values(members, self._starts.get, pl.Date())
        else:
            starts = _no_dates(frame.height)
        shifts = _map_values(members, lambda m: day_shift(self._keyed, m, self.max_shift_days), pl.Int32())
        return [shifts.fill_null(0).alias(_SHIFT), starts.alias(_START), service.alias(_SERVICE)]

    def _apply(self, table: pl.DataFrame, column: str, report: DeidReport) -> pl.DataFrame:
        policy = self.policy_of(column)
        report.actions[column] = policy.action.value
        values = table[column]
        present = values.len() - values.null_count()
        match policy.action:
            case Action.KEEP | Action.TEXT | Action.LINES:
                return table
            case Action.DROP | Action.NAME:
                report.changed[column] += present
                return table.drop(column)
            case Action.CODE:
                codes = _map_values(values.cast(pl.String), lambda v: self._codes.code(policy.prefix, v), pl.String())
                report.changed[column] += present
                return table.with_columns(codes.alias(column))
        new = self._expression(column, policy, values.dtype)
        changed = table.with_columns(new.alias(column))
        report.changed[column] += int(changed[column].cast(pl.String).ne_missing(values.cast(pl.String)).sum())
        return changed

    def _expression(self, column: str, policy: FieldPolicy, dtype: pl.DataType) -> pl.Expr:
        value = pl.col(column)
        if policy.action is Action.ZIP:
            return value.cast(pl.String).map_batches(_safe_zips, return_dtype=pl.String)
        if policy.action is Action.AGE:
            if not dtype.is_numeric():
                raise ConfigError(f"column {column!r} should hold ages in years, got {dtype}")
            return pl.when(value >= MAX_AGE).then(pl.lit(MAX_AGE, dtype=dtype)).otherwise(value)
        if dtype not in (pl.Date, pl.Datetime):
            raise ConfigError(
                f"column {column!r} should hold dates, got {dtype}", hint="parse it first, or drop it with `policy`"
            )
        date = value.cast(pl.Date)
        if policy.action is Action.BIRTH_DATE:
            date = self._capped_birth(date)
            if self.mode == "relative":
                age = pl.col(_START).dt.year() - date.dt.year()
                return pl.date(RELATIVE_ORIGIN.year - pl.min_horizontal(age, pl.lit(MAX_AGE)), 1, 1)
        return self._moved(date)

    def _capped_birth(self, birth: pl.Expr) -> pl.Expr:
        # "90 or older": the year of birth of anybody past 89 becomes the one of somebody who is 90.
        oldest = pl.col(_SERVICE).dt.offset_by(f"-{MAX_AGE}y")
        return pl.when(birth < oldest).then(oldest).otherwise(birth)

    def _moved(self, date: pl.Expr) -> pl.Expr:
        if self.mode == "shifted":
            return date + pl.duration(days=pl.col(_SHIFT))
        if self.mode == "safe_harbor":
            return date.dt.truncate("1y")
        return pl.lit(RELATIVE_ORIGIN) + (date - pl.col(_START))

    def _apply_to_lines(
        self, table: pl.DataFrame, column: str, names: Sequence[str], report: DeidReport
    ) -> pl.DataFrame:
        fields = [field.name for field in table.schema[column].inner.fields]  # type: ignore[attr-defined]
        keys = table.select(pl.int_range(pl.len()).alias("__row"), _SHIFT, _START, _SERVICE, column, *names)
        lines = keys.filter(pl.col(column).list.len() > 0).explode(column).unnest(column)
        lines = self._scrub_text(lines, self._columns(fields, Action.TEXT), names, report)
        for name in fields:
            policy = self.policy_of(name)
            if policy.action in (Action.CODE, Action.DATE):
                lines = self._apply(lines, name, report)
        packed = lines.group_by("__row", maintain_order=True).agg(pl.struct(fields).alias(column))
        back = keys.select("__row").join(packed, on="__row", how="left", maintain_order="left")[column]
        return table.with_columns(back.cast(table.schema[column]).fill_null([]).alias(column))

    def _columns(self, columns: Iterable[str], action: Action) -> list[str]:
        return [c for c in columns if not c.startswith("__") and self.policy_of(c).action is action]

    def _scrub_text(
        self, table: pl.DataFrame, texts: Sequence[str], names: Sequence[str], report: DeidReport
    ) -> pl.DataFrame:
        """Free text without its identifiers, nor the words of the columns `names` of the same row."""
        known: dict[tuple[object, ...], tuple[str | None, Counter[Identifier]]] = {}
        for column in texts:
            cleaned: list[str | None] = []
            for row in table.select(column, *names).iter_rows():
                if row not in known:
                    nothing: tuple[None, Counter[Identifier]] = (None, Counter())
                    known[row] = nothing if row[0] is None else scrub_text(str(row[0]), filter(None, row[1:]))
                new, found = known[row]
                cleaned.append(new)
                report.in_text += found
                report.changed[column] += bool(found)
            table = table.with_columns(pl.Series(column, cleaned, dtype=pl.String))
        return table


def _no_dates(n: int) -> pl.Series:
    return pl.repeat(None, n, dtype=pl.Date, eager=True)


def _safe_zips(values: pl.Series) -> pl.Series:
    return _map_values(values, lambda v: f"{safe_zip3(v)}00", pl.String())


def _map_values(values: pl.Series, function: Callable[[str], object], dtype: pl.DataType) -> pl.Series:
    """Apply a Python function once per distinct value; null stays null."""
    distinct = values.drop_nulls().unique(maintain_order=True)
    if distinct.is_empty():
        return pl.repeat(None, values.len(), dtype=dtype, eager=True)
    return values.replace_strict(distinct, pl.Series([function(v) for v in distinct], dtype=dtype), default=None)
