"""Two layouts of a table of claims, and the one view of them that the mechanisms work on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from claimsformer.errors import ConfigError

__all__ = ["SCHEMA_LAYOUT", "SYNPUF_LAYOUT", "ClaimView", "Layout"]


@dataclass(frozen=True)
class Layout:
    """The column that plays each role; `diagnoses` and `procedures` are one list column, or one column per rank."""

    claim: str
    member: str
    provider: str
    amount: str
    days: str
    drg: str
    sex: str
    member_state: str
    provider_state: str | None  # None: the first two characters of the provider's number
    diagnoses: tuple[str, ...]
    procedures: tuple[str, ...]
    dates: tuple[str, ...]  # moved together when a claim is copied; the first is the start of service
    order: tuple[str, ...]  # the order that rows of this layout come in
    birth: str | None = None
    age: str | None = None
    female: str = "F"

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that the mechanisms may read or write."""
        single = (self.claim, self.member, self.provider, self.amount, self.days, self.drg, self.sex, self.member_state)
        return (*single, *self.diagnoses, *self.procedures, *self.dates)


SCHEMA_LAYOUT: Final = Layout(
    claim="claim_id",
    member="member_id",
    provider="billing_provider_id",
    amount="paid_amount",
    days="covered_days",
    drg="drg",
    sex="member_sex",
    member_state="member_state",
    provider_state="provider_state",
    diagnoses=("diagnoses",),
    procedures=("procedures",),
    dates=("service_from", "service_thru", "admission_date", "discharge_date"),
    order=("member_id", "service_from"),
)

SYNPUF_LAYOUT: Final = Layout(
    claim="claim",
    member="bene",
    provider="prov",
    amount="amt",
    days="util",
    drg="drg",
    sex="sex",
    member_state="state",
    provider_state=None,
    diagnoses=tuple(f"dx{i}" for i in range(1, 11)),
    procedures=tuple(f"px{i}" for i in range(1, 7)),
    dates=("from", "thru", "admit", "disch"),
    order=("sample", "bene", "from"),
    birth="birth",
    age="age",
    female="2",
)

Objects = npt.NDArray[np.object_]


@dataclass
class ClaimView:
    """The roles of a layout as arrays, one entry a claim; a code list with a hole in it counts as empty."""

    claim: Objects
    member: Objects
    provider: Objects
    amount: npt.NDArray[np.float64]
    days: npt.NDArray[np.float64]  # NaN where missing
    drg: Objects
    female: npt.NDArray[np.bool_]
    member_state: Objects
    provider_state: Objects
    diagnoses: list[tuple[str, ...]]
    procedures: list[tuple[str, ...]]
    pointed: npt.NDArray[np.int64]  # how many diagnoses the lines point to: a new list may not be shorter
    start: npt.NDArray[np.int64]  # days since 1970-01-01
    end: npt.NDArray[np.int64]
    n: int = field(init=False)

    def __post_init__(self) -> None:
        self.n = len(self.claim)

    @classmethod
    def of(cls, frame: pl.DataFrame, layout: Layout) -> ClaimView:
        """The view of a table; raises ConfigError where it lacks a column of the layout."""
        if missing := [name for name in layout.columns if name not in frame.columns]:
            raise ConfigError(
                f"the table lacks the columns {missing} of the layout", hint="read it with a reader first"
            )
        if "code_system" in frame.columns and frame["code_system"].drop_nulls().n_unique() > 1:
            raise ConfigError(
                "the table mixes code systems, and values drawn from one would not be codes of the other",
                hint="split it by `code_system` and treat each part by itself",
            )
        provider = frame[layout.provider]
        state = provider.str.slice(0, 2) if layout.provider_state is None else frame[layout.provider_state]
        return cls(
            claim=_objects(frame[layout.claim]),
            member=_objects(frame[layout.member]),
            provider=_objects(provider),
            amount=_floats(frame[layout.amount]),
            days=_floats(frame[layout.days]),
            drg=_objects(frame[layout.drg]),
            female=(frame[layout.sex] == layout.female).fill_null(False).to_numpy(),
            member_state=_objects(frame[layout.member_state]),
            provider_state=_objects(state),
            diagnoses=_lists(frame, layout.diagnoses),
            procedures=_lists(frame, layout.procedures),
            pointed=_pointed(frame),
            start=_days(frame[layout.dates[0]]),
            end=_days(frame[layout.dates[1]]),
        )


def _objects(values: pl.Series) -> Objects:
    return np.array([*values.to_list(), None], dtype=object)[:-1]


def _floats(values: pl.Series) -> npt.NDArray[np.float64]:
    return values.cast(pl.Float64).fill_null(float("nan")).to_numpy()


def _days(values: pl.Series) -> npt.NDArray[np.int64]:
    return values.cast(pl.Date).cast(pl.Int64).to_numpy()


def _pointed(frame: pl.DataFrame) -> npt.NDArray[np.int64]:
    if "lines" not in frame.columns:
        return np.zeros(frame.height, dtype=np.int64)
    pointers = pl.element().struct.field("diagnosis_pointers").list.max()
    highest = frame.select(pl.col("lines").list.eval(pointers).list.max().fill_null(0)).to_series()
    return highest.cast(pl.Int64).to_numpy()


def _lists(frame: pl.DataFrame, names: tuple[str, ...]) -> list[tuple[str, ...]]:
    if len(names) == 1 and isinstance(frame.schema[names[0]], pl.List):
        rows: Any = frame[names[0]].to_list()
    else:
        rows = frame.select(names).iter_rows()
    return [_without_padding(tuple(row or ())) for row in rows]


def _without_padding(codes: tuple[str | None, ...]) -> tuple[str, ...]:
    # A list with a hole counts as empty: rewriting it would close the hole, a change that no anomaly means.
    present = tuple(code for code in codes if code is not None)
    return present if present == codes[: len(present)] else ()
