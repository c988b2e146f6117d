"""Numbers as a bin and a scalar: the bin is what a model predicts, the robust z-score is what it reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from claimsformer.tokenizer.fields.categories import MISSING, UNKNOWN, clean_codes
from claimsformer.tokenizer.fields.spec import FieldSpec

__all__ = ["CLIP", "DateCoder", "NumberCoder", "numbers_of"]

CLIP = 8.0  # a z-score beyond this says no more than "far away", and must not blow up an embedding
NORMAL_IQR = 1.3489795003921634  # interquartile range of the standard normal distribution
UNITS = {
    "money": 1.0,
    "ratio": 0.1,
}  # where arcsinh turns from linear to logarithmic: one dollar, a tenth of the median

Ints = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]


def _floats(column: pl.Series) -> Floats:
    return column.cast(pl.Float64, strict=False).fill_null(float("nan")).to_numpy().astype(np.float64)


def numbers_of(spec: FieldSpec, frame: pl.DataFrame, rank: int, medians: Mapping[str, float] | None = None) -> Floats:
    """The numbers of one rank (from 1), NaN where missing: as they are, as days since `since`, or over the group's
    median.
    """
    column = spec.columns[rank - 1]
    if spec.kind == "days":
        assert spec.since is not None
        days = (frame[column].cast(pl.Date) - frame[spec.since].cast(pl.Date)).dt.total_days()
        return _floats(days)
    values = _floats(frame[column])
    if spec.kind == "ratio":
        return values / _medians_of(clean_codes(frame[spec.group_column(rank)]), medians or {})
    return values


def _medians_of(groups: pl.Series, medians: Mapping[str, float]) -> Floats:
    names = pl.Series(list(medians), dtype=pl.String)
    found = groups.replace_strict(names, pl.Series(list(medians.values()), dtype=pl.Float64), default=None)
    return _floats(found.cast(pl.Float64).fill_null(medians.get("", float("nan"))))


def _fit_medians(spec: FieldSpec, frame: pl.DataFrame, min_count: int) -> dict[str, float]:
    """Positive medians of the groups with at least `min_count` numbers; the key "" holds the median of all."""
    ranks = range(1, len(spec.columns) + 1)
    groups = pl.concat([clean_codes(frame[spec.group_column(rank)]).alias("group") for rank in ranks])
    values = np.concatenate([_floats(frame[column]) for column in spec.columns])
    table = pl.DataFrame({"group": groups, "value": values}).filter(pl.col("value").is_finite())
    by_group = table.drop_nulls("group").group_by("group").agg(pl.col("value").median(), pl.len()).sort("group")
    kept = by_group.filter((pl.col("len") >= min_count) & (pl.col("value") > 0))
    overall = table["value"].median()
    medians = {"": float(overall)} if isinstance(overall, float) and overall > 0 else {}
    return medians | dict(zip(kept["group"].to_list(), kept["value"].to_list(), strict=True))


class NumberCoder:
    """The tokens of one numeric field: `bin` holds the numbers in [edges[bin - 1], edges[bin])."""

    def __init__(
        self, spec: FieldSpec, edges: list[float], centre: float, scale: float, medians: dict[str, float]
    ) -> None:
        self.spec = spec
        self.edges = edges
        self.centre = centre
        self.scale = scale
        self.medians = medians

    @classmethod
    def fit(cls, spec: FieldSpec, frame: pl.DataFrame, min_count: int) -> NumberCoder:
        """Learn quantile edges, the median and the robust scale (interquartile range, else standard deviation, else
        1).
        """
        medians = _fit_medians(spec, frame, min_count) if spec.kind == "ratio" else {}
        values = np.concatenate([numbers_of(spec, frame, rank, medians) for rank in range(1, len(spec.columns) + 1)])
        values = values[np.isfinite(values)]
        if values.size == 0:
            return cls(spec, list(spec.edges), 0.0, 1.0, medians)
        edges = list(spec.edges) or _quantile_edges(values, spec.bins)
        transformed = _transform(spec, values)
        low, centre, high = (float(q) for q in np.quantile(transformed, [0.25, 0.5, 0.75]))
        scale = (high - low) / NORMAL_IQR or float(transformed.std()) or 1.0
        return cls(spec, edges, centre, scale, medians)

    @property
    def tokens(self) -> list[str]:
        """Names of the field's tokens in the order of their ids."""
        name = self.spec.name
        bins = [f"{name}:bin{index}" for index in range(len(self.edges) + 1)]
        return [f"<missing:{name}>", f"<unk:{name}>", *bins]

    def encode(self, frame: pl.DataFrame, rank: int) -> tuple[Ints, npt.NDArray[np.float32]]:
        """Token offsets and z-scores, (N,) each; a NaN is missing, an infinity is in the last bin of its side."""
        values = numbers_of(self.spec, frame, rank, self.medians)
        missing = np.isnan(values)
        bins = np.searchsorted(np.asarray(self.edges), values, side="right") + 2
        z = np.clip((_transform(self.spec, values) - self.centre) / self.scale, -CLIP, CLIP)
        return np.where(missing, MISSING, bins).astype(np.int32), np.where(missing, 0.0, z).astype(np.float32)

    def decode(self, offsets: Ints, scalars: npt.NDArray[np.float32]) -> list[float | None]:
        """The numbers that the scalars stand for (to float32, and to the clipped z-score); None where missing."""
        values = _inverse(self.spec, scalars.astype(np.float64) * self.scale + self.centre)
        return [None if offset < 2 else value for offset, value in zip(offsets.tolist(), values.tolist(), strict=True)]

    def to_dict(self) -> dict[str, Any]:
        """What was learned."""
        return {"edges": self.edges, "centre": self.centre, "scale": self.scale, "medians": self.medians}


class DateCoder:
    """A date as its month (token) and its day of the month (scalar, (day - 16) / 8); the year is left out."""

    def __init__(self, spec: FieldSpec) -> None:
        self.spec = spec

    @property
    def tokens(self) -> list[str]:
        """Names of the field's tokens in the order of their ids."""
        name = self.spec.name
        return [f"<missing:{name}>", f"<unk:{name}>", *(f"{name}:month{month}" for month in range(1, 13))]

    def encode(self, frame: pl.DataFrame, rank: int) -> tuple[Ints, npt.NDArray[np.float32]]:
        """Token offsets and scalars, (N,) each."""
        dates = frame[self.spec.columns[rank - 1]].cast(pl.Date)
        months = dates.dt.month().cast(pl.Int32).fill_null(MISSING - UNKNOWN).to_numpy() + UNKNOWN
        days = dates.dt.day().cast(pl.Float32).fill_null(16).to_numpy()
        return months.astype(np.int32), ((days - 16) / 8).astype(np.float32)

    def decode(self, offsets: Ints, scalars: npt.NDArray[np.float32]) -> list[str | None]:
        """Month and day as `MM-DD`; None where missing."""
        days = np.rint(scalars * 8 + 16).astype(int).tolist()
        pairs = zip(offsets.tolist(), days, strict=True)
        return [None if offset < 2 else f"{offset - UNKNOWN:02d}-{day:02d}" for offset, day in pairs]

    def to_dict(self) -> dict[str, Any]:
        """Nothing is learned."""
        return {}


def _transform(spec: FieldSpec, values: Floats) -> Floats:
    return np.arcsinh(values / UNITS[spec.kind]) if spec.kind in UNITS else values


def _inverse(spec: FieldSpec, values: Floats) -> Floats:
    return np.sinh(values) * UNITS[spec.kind] if spec.kind in UNITS else values


def _quantile_edges(values: Floats, bins: int) -> list[float]:
    """About bins - 1 edges; a value that fills a bin by itself (zero dollars) gets its own, the others share the rest
    evenly.
    """
    distinct, counts = np.unique(values, return_counts=True)
    if distinct.size <= bins:
        return [float(edge) for edge in distinct[1:]]
    heavy = np.flatnonzero(counts * bins >= values.size)
    own = np.union1d(distinct[heavy], distinct[np.minimum(heavy + 1, distinct.size - 1)])
    others = values[~np.isin(values, distinct[heavy])]
    free = max(2, bins - heavy.size)
    shared = np.quantile(others, np.arange(1, free) / free, method="higher") if others.size else others
    edges = np.union1d(own, shared)
    return [float(edge) for edge in edges[edges > distinct[0]]]
