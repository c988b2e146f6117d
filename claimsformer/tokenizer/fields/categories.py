"""Categories and codes as token offsets: frequent values keep a token, rare ones fall back to their family, then to
`<unk>`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from claimsformer.tokenizer.base import TokenizerError
from claimsformer.tokenizer.codes import levels
from claimsformer.tokenizer.fields.spec import FieldSpec

__all__ = ["MISSING", "UNKNOWN", "CategoryCoder", "clean_codes", "parent_keys"]

MISSING, UNKNOWN = 0, 1  # the first two tokens of every field's slice
IDENTIFIER_LIKE = 1_000  # distinct values above which a field must repeat its values to be believed

Ints = npt.NDArray[np.int32]


def clean_codes(column: pl.Series) -> pl.Series:
    """Codes as they are compared: upper case, no dots, no blanks around; an empty string is missing."""
    text = column.cast(pl.String).str.strip_chars().str.to_uppercase().str.replace_all(".", "", literal=True)
    return text.set(text == "", None)


def _clean_categories(column: pl.Series) -> pl.Series:
    text = column.cast(pl.String).str.strip_chars()
    return text.set(text == "", None)


def parent_keys(hierarchy: str, code: str) -> tuple[str, ...]:
    """Names of a code's families in the parent vocabulary, nearest first; fields of one hierarchy share them."""
    return tuple(f"{hierarchy}:{level}" for level in levels(hierarchy, code))


class CategoryCoder:
    """The tokens of one category or code field; offsets count from the field's first id."""

    def __init__(self, spec: FieldSpec, values: list[str], families: list[str]) -> None:
        self.spec = spec
        self.values = values
        self.families = families
        self._families = {family: index + 2 for index, family in enumerate(families)}
        self._values = {value: index + 2 + len(families) for index, value in enumerate(values)}

    @classmethod
    def fit(cls, spec: FieldSpec, column: pl.Series, min_count: int) -> CategoryCoder:
        """Learn the values seen at least `min_count` times, and the families seen that often."""
        values = cls(spec, [], []).clean(column).drop_nulls()
        counts = _counts(values)
        if len(counts) > IDENTIFIER_LIKE and 2 * len(counts) > len(values):
            raise TokenizerError(
                f"field {spec.name!r} has {len(counts)} distinct values in {len(values)} claims: that looks like an "
                "identifier, which never enters a vocabulary"
            )
        families: Counter[str] = Counter()
        if spec.hierarchy is not None:
            for value, count in counts.items():
                families[levels(spec.hierarchy, value)[0]] += count
        kept = [value for value, count in counts.items() if count >= min_count]
        return cls(spec, sorted(kept), sorted(family for family, count in families.items() if count >= min_count))

    def clean(self, column: pl.Series) -> pl.Series:
        """The column in the form that is counted and looked up."""
        return clean_codes(column) if self.spec.kind == "code" else _clean_categories(column)

    @property
    def tokens(self) -> list[str]:
        """Names of the field's tokens in the order of their ids."""
        name = self.spec.name
        special = [f"<missing:{name}>", f"<unk:{name}>"]
        return special + [f"{name}={f}*" for f in self.families] + [f"{name}={value}" for value in self.values]

    def encode(self, column: pl.Series, parents: Mapping[str, int]) -> tuple[Ints, Ints]:
        """Token offsets and parent ids, (N,) each; the table is built once per distinct value."""
        values = self.clean(column)
        distinct = values.unique().drop_nulls()
        table = [(self.offset(value), self.parent(value, parents)) for value in distinct.to_list()]
        if not table:
            return np.zeros(len(values), dtype=np.int32), np.zeros(len(values), dtype=np.int32)
        offsets, families = zip(*table, strict=True)
        return _look_up(values, distinct, offsets), _look_up(values, distinct, families)

    def offset(self, value: str) -> int:
        """Offset of a clean value's token, of its family's when it has none, of `<unk>` when that has none either."""
        found = self._values.get(value)
        if found is None and self.spec.hierarchy is not None:
            found = self._families.get(levels(self.spec.hierarchy, value)[0])
        return UNKNOWN if found is None else found

    def parent(self, value: str, parents: Mapping[str, int]) -> int:
        """Id of the nearest family that the parent vocabulary knows; 0 for a field without a hierarchy."""
        if self.spec.hierarchy is None:
            return 0
        known = (parents[key] for key in parent_keys(self.spec.hierarchy, value) if key in parents)
        return next(known, parents[f"{self.spec.hierarchy}:?"])

    def decode(self, offsets: Ints) -> list[str | None]:
        """The value of each offset: a family as `428*`, an unknown value as `?`, a missing one as None."""
        names = [None, "?", *(f"{family}*" for family in self.families), *self.values]
        return [names[offset] for offset in offsets.tolist()]

    def to_dict(self) -> dict[str, Any]:
        """What was learned."""
        return {"values": self.values, "families": self.families}


def _counts(values: pl.Series) -> dict[str, int]:
    table = values.value_counts(name="n")
    return dict(sorted(zip(table[values.name].to_list(), table["n"].to_list(), strict=True)))


def _look_up(values: pl.Series, distinct: pl.Series, table: tuple[int, ...]) -> Ints:
    new = pl.Series(table, dtype=pl.Int32)
    ids = values.replace_strict(distinct, new, default=None, return_dtype=pl.Int32)
    return np.asarray(ids.fill_null(MISSING).to_numpy(), dtype=np.int32)
