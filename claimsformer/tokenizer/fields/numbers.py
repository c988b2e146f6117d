"""Numbers as a bin and a scalar: the bin is what a model predicts, the robust z-score is what it reads."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from claimsformer.tokenizer.fields.categories import MISSING, UNKNOWN
from claimsformer.tokenizer.fields.columns import floats, group_name, look_up, value_name
from claimsformer.tokenizer.fields.spec import FieldSpec

__all__ = ["CLIP", "DateCoder", "NumberCoder"]

CLIP = 8.0  # a z-score beyond this says no more than "far away", and must not blow up an embedding
NORMAL_IQR = 1.3489795003921634  # interquartile range of the standard normal distribution
UNITS = {
    "money": 1.0,
    "ratio": 0.1,
}  # where arcsinh turns from linear to logarithmic: one dollar, a tenth of the median

Ints = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]


def _numbers(spec: FieldSpec, columns: pl.DataFrame, rank: int, medians: Mapping[str, float]) -> Floats:
    """The numbers of one rank, NaN where missing; a ratio is taken over the median of its group, or of all."""
    values = floats(columns[value_name(spec, rank)])
    if spec.kind != "ratio":
        return values
    overall = medians.get("", float("nan"))
    groups = columns[group_name(spec, rank)]
    ratio: Floats = values / look_up(groups, lambda group: (medians.get(group, overall),), (overall,))[:, 0]
    return ratio


def _fit_medians(spec: FieldSpec, columns: pl.DataFrame, min_count: int) -> dict[str, float]:
    """Positive medians of the groups with at least `min_count` numbers; the key "" holds the median of all."""
    ranks = range(1, len(spec.columns) + 1)
    groups = pl.concat([columns[group_name(spec, rank)].alias("group") for rank in ranks])
    values = pl.concat([columns[value_name(spec, rank)].alias("value") for rank in ranks])
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
    def fit(cls, spec: FieldSpec, columns: pl.DataFrame, min_count: int) -> NumberCoder:
        """Learn quantile edges, the median and the robust scale (from the interquartile range where it is not 0)."""
        medians = _fit_medians(spec, columns, min_count) if spec.kind == "ratio" else {}
        values = np.concatenate([_numbers(spec, columns, rank, medians) for rank in range(1, len(spec.columns) + 1)])
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

    def encode(self, columns: pl.DataFrame, rank: int) -> tuple[Ints, npt.NDArray[np.float32]]:
        """Token offsets and z-scores, (N,) each; a NaN is missing, an infinity is in the last bin of its side."""
        values = _numbers(self.spec, columns, rank, self.medians)
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

    def encode(self, columns: pl.DataFrame, rank: int) -> tuple[Ints, npt.NDArray[np.float32]]:
        """Token offsets and scalars, (N,) each."""
        dates = columns[value_name(self.spec, rank)]
        missing = dates.is_null().to_numpy()
        days = dates.fill_null(dt.date(1970, 1, 16)).to_numpy().astype("datetime64[D]")
        months = days.astype("datetime64[M]")
        of_month = (days - months).astype(np.int64) + 1
        offsets = np.where(missing, MISSING, months.astype(np.int64) % 12 + 1 + UNKNOWN)
        return offsets.astype(np.int32), ((of_month - 16) / 8).astype(np.float32)

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
    """About bins - 1 edges; a value that fills a bin (zero dollars) gets its own, the others share the rest."""
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
