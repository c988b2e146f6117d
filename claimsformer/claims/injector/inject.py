"""Known anomalies put into real claims, one per claim, at a rate per type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from claimsformer.claims.injector.layout import SCHEMA_LAYOUT, SYNPUF_LAYOUT, ClaimView, Layout
from claimsformer.claims.injector.mechanisms import MECHANISMS, Change, Donors
from claimsformer.claims.truth import Truth, truth_frame
from claimsformer.errors import ConfigError

__all__ = ["INJECTABLE_TYPES", "inject", "inject_synpuf"]

INJECTABLE_TYPES: Final = (*MECHANISMS, "duplicate")
_SCOPE: Final = {"duplicate": "cross_claim"}


def inject(
    frame: pl.DataFrame,
    seed: int,
    rates: float | Mapping[str, float] = 0.01,
    *,
    layout: Layout = SCHEMA_LAYOUT,
    donors: pl.DataFrame | None = None,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Claims with planted anomalies, and the truth about them (`TRUTH_SCHEMA`).

    `rates` is a share of the claims per type, one number for all of `INJECTABLE_TYPES` or a mapping. No claim carries
    two anomalies. Values and the mean payments of DRGs come from the claims of `donors`, by default the table itself; a
    history that is long enough makes "paid 1.5 times as much" true of the DRG and not of seven claims that happen to
    carry it. Providers always come from the table. A duplicate is a new row that stands after its original, under a new claim number. Types that no claim of the table can carry are left out when
    `rates` is one number. Raises ConfigError for an unknown type, a rate outside 0 to 1, or a named type that cannot
    be planted.
    """
    wanted = _wanted(rates)
    view = ClaimView.of(frame, layout)
    pool = Donors(view if donors is None else ClaimView.of(donors, layout))
    rng = np.random.Generator(np.random.PCG64(seed))
    free = rng.permutation(view.n)  # claims that carry nothing yet, in the order they are tried
    changes: dict[int, tuple[str, Change]] = {}
    copies = np.empty(0, dtype=np.int64)
    for kind in sorted(wanted, key=INJECTABLE_TYPES.index):
        quota = round(wanted[kind] * view.n)
        if kind == "duplicate":
            copies, free = free[:quota], free[quota:]
            continue
        planted: dict[int, Change] = {}
        for i in free.tolist():
            if len(planted) == quota:
                break
            if (change := MECHANISMS[kind](view, i, pool, rng)) is not None:
                planted[i] = change
        if quota and not planted and not isinstance(rates, int | float):
            raise ConfigError(f"no claim of the table can carry the anomaly {kind!r}", hint="leave it out of `rates`")
        changes |= {i: (kind, change) for i, change in planted.items()}
        free = free[~np.isin(free, list(planted))]
    truths = [_truth(view, layout, i, kind, change) for i, (kind, change) in sorted(changes.items())]
    changed = _with_changes(frame, view, layout, {i: change for i, (_, change) in changes.items()})
    result, copied = _with_duplicates(changed, frame, np.sort(copies), layout, rng)
    return result, truth_frame([*truths, *copied])


def inject_synpuf(
    frame: pl.DataFrame, seed: int, rates: float | Mapping[str, float] = 0.01, *, donors: pl.DataFrame | None = None
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """`inject` for the wide layout of CMS DE-SynPUF inpatient claims (`dx1` to `dx10`, `px1` to `px6`)."""
    return inject(frame, seed, rates, layout=SYNPUF_LAYOUT, donors=donors)


def _wanted(rates: float | Mapping[str, float]) -> dict[str, float]:
    wanted = dict.fromkeys(INJECTABLE_TYPES, float(rates)) if isinstance(rates, int | float) else dict(rates)
    if unknown := sorted(set(wanted) - set(INJECTABLE_TYPES)):
        raise ConfigError(f"unknown types {unknown}, expected some of {list(INJECTABLE_TYPES)}")
    if any(not 0 <= rate <= 1 for rate in wanted.values()) or sum(wanted.values()) > 1:
        raise ConfigError(f"the rates are {wanted}, expected shares between 0 and 1 that add up to at most 1")
    return wanted


def _columns_of(layout: Layout, role: str, value: Any) -> dict[str, Any]:
    """New values by column for one role."""
    if role in ("diagnoses", "procedures"):
        names: tuple[str, ...] = getattr(layout, role)
        if len(names) == 1:
            return {names[0]: list(value)}
        return dict(zip(names, [*value, *[None] * len(names)][: len(names)], strict=True))
    column = getattr(layout, role)
    return {} if column is None else {column: value}


def _old_columns(view: ClaimView, layout: Layout, role: str, i: int) -> dict[str, Any]:
    return _columns_of(layout, role, getattr(view, role)[i])


def _truth(view: ClaimView, layout: Layout, i: int, kind: str, change: Change) -> Truth:
    originals: dict[str, str | None] = {}
    for role, value in change.values.items():
        old = _old_columns(view, layout, role, i)
        for column, new in _columns_of(layout, role, value).items():
            if new != old[column]:
                originals[column] = _text(old[column])
    names = getattr(layout, change.role)
    field = names if isinstance(names, str) else names[min(change.rank, len(names) - 1)]
    scope = _SCOPE.get(kind, "claim")
    return Truth(view.claim[i], kind, field, list(originals), list(originals.values()), change.severity, scope)


def _text(value: Any) -> str | None:
    if isinstance(value, list):
        return " ".join(value)
    return None if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _with_changes(frame: pl.DataFrame, view: ClaimView, layout: Layout, changes: Mapping[int, Change]) -> pl.DataFrame:
    """The table with the changed cells replaced; all other cells, and every column's type, stay as they were."""
    cells: dict[str, dict[int, Any]] = {}
    for i, change in changes.items():
        for role, value in change.values.items():
            old = _old_columns(view, layout, role, i)
            for column, new in _columns_of(layout, role, value).items():
                if new != old[column]:
                    cells.setdefault(column, {})[i] = new
    return frame.with_columns(
        _replaced(frame[column], np.array(list(new)), list(new.values())) for column, new in cells.items()
    )


def _replaced(old: pl.Series, rows: npt.NDArray[np.int64], values: list[Any]) -> pl.Series:
    new = pl.Series(values, strict=False).cast(old.dtype)
    where = np.full(old.len(), -1, dtype=np.int64)
    where[rows] = np.arange(len(rows))
    index = pl.Series(where)
    picked = new.gather(index.clip(lower_bound=0))
    return pl.select(pl.when(index >= 0).then(picked).otherwise(old)).to_series().alias(old.name)


def _with_duplicates(
    changed: pl.DataFrame, original: pl.DataFrame, rows: npt.NDArray[np.int64], layout: Layout, rng: np.random.Generator
) -> tuple[pl.DataFrame, list[Truth]]:
    """Copies of some rows, moved by 0 or 1 day, each behind the row it copies."""
    if not rows.size:
        return changed, []
    shift = pl.Series(rng.integers(0, 2, size=len(rows)))
    copies = changed[rows.tolist()]
    shift = _allowed(copies, original, layout, shift)
    moved = [(pl.col(name) + pl.duration(days=pl.lit(shift))).cast(copies.schema[name]) for name in layout.dates]
    ids = _new_ids(original[layout.claim], len(rows), rng)
    if "lines" in copies.columns:
        moved.append(_moved_lines(shift))
    sources = copies
    copies = copies.with_columns(*moved, pl.Series(layout.claim, ids, dtype=copies.schema[layout.claim]))
    if layout.age and layout.birth:
        years = (pl.col(layout.dates[0]) - pl.col(layout.birth)).dt.total_days() / 365.25
        copies = copies.with_columns(years.round(1).alias(layout.age))
    truths = _duplicate_truths(sources, copies, shift, layout)
    place = pl.concat([pl.Series(np.arange(changed.height, dtype=np.float64)), pl.Series(rows + 0.5)])
    both = pl.concat([changed, copies]).with_columns(__place=place)
    order = [name for name in layout.order if name in both.columns]
    if changed.select(pl.struct(order).is_sorted()).item():
        both = both.sort(*order, "__place")
    else:
        both = both.sort("__place")
    return both.drop("__place"), truths


def _moved_lines(shift: pl.Series) -> pl.Expr:
    """The lines, one day later where the claim is."""
    day = pl.duration(days=1)
    dates = [(pl.element().struct.field(name) + day).alias(name) for name in ("service_from", "service_thru")]
    later = pl.col("lines").list.eval(pl.element().struct.with_fields(dates))
    return pl.when(pl.lit(shift) == 1).then(later).otherwise(pl.col("lines")).alias("lines")


def _duplicate_truths(sources: pl.DataFrame, copies: pl.DataFrame, shift: pl.Series, layout: Layout) -> list[Truth]:
    names = [layout.claim, *layout.dates, *([layout.age] if layout.age else [])]
    truths = []
    pairs = zip(sources.select(names).iter_rows(), copies.select(names).iter_rows(), shift, strict=True)
    for old, new, days in pairs:
        changed = [(name, _text(a)) for name, a, b in zip(names, old, new, strict=True) if a != b]
        fields, originals = [name for name, _ in changed], [value for _, value in changed]
        truths.append(Truth(new[0], "duplicate", layout.claim, fields, originals, float(days), _SCOPE["duplicate"]))
    return truths


def _allowed(copies: pl.DataFrame, original: pl.DataFrame, layout: Layout, shift: pl.Series) -> pl.Series:
    # A copy stays in the year of its original, whose deductible it repeats, and on dates that real claims hold.
    keeps = pl.lit(True)
    for name in layout.dates:
        later = (pl.col(name) + pl.duration(days=1)).cast(copies.schema[name])
        known = later.is_in(original[name].unique().implode()) & (later.dt.year() == pl.col(name).dt.year())
        keeps = keeps & (known | pl.col(name).is_null())
    return shift * copies.select(keeps.fill_null(False)).to_series().cast(pl.Int64)


def _new_ids(ids: pl.Series, count: int, rng: np.random.Generator) -> list[str]:
    """Claim numbers of the same form as the real ones: the head of one and the tail of another, not yet in use."""
    known = set(ids.to_list())
    values = ids.to_list()
    new: list[str] = []
    while len(new) < count:
        head, tail = (values[k] for k in rng.integers(len(values), size=2).tolist())
        cut = len(head) // 2
        candidate = head[:cut] + tail[-(len(head) - cut) :] if len(tail) == len(head) else head
        if candidate in known:
            digits = "".join(map(str, rng.integers(10, size=min(6, len(head) - 1)).tolist()))
            candidate = head[: -len(digits)] + digits
        if candidate not in known:
            known.add(candidate)
            new.append(candidate)
    return new
