"""Categories and codes as token offsets: rare values fall back to their family, then to `<unk>`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from claimsformer.tokenizer.base import TokenizerError
from claimsformer.tokenizer.codes import levels
from claimsformer.tokenizer.fields.columns import look_up, value_name
from claimsformer.tokenizer.fields.spec import FieldSpec

__all__ = ["MISSING", "UNKNOWN", "CategoryCoder", "parent_keys", "stacked"]

MISSING, UNKNOWN = 0, 1  # the first two tokens of every field's slice
IDENTIFIER_LIKE = 1_000  # distinct values above which a field must repeat its values to be believed

Ints = npt.NDArray[np.int32]


def stacked(spec: FieldSpec, columns: pl.DataFrame) -> pl.Series:
    """A field's cleaned columns below each other, (ranks x B,)."""
    names = [value_name(spec, rank) for rank in range(1, len(spec.columns) + 1)]
    return pl.concat([columns[name].alias(spec.name) for name in names]) if len(names) > 1 else columns[names[0]]


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
    def fit(cls, spec: FieldSpec, columns: pl.DataFrame, min_count: int) -> CategoryCoder:
        """Learn the values seen at least `min_count` times, and the families seen that often."""
        values = stacked(spec, columns).drop_nulls()
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

    @property
    def tokens(self) -> list[str]:
        """Names of the field's tokens in the order of their ids."""
        name = self.spec.name
        special = [f"<missing:{name}>", f"<unk:{name}>"]
        return special + [f"{name}={f}*" for f in self.families] + [f"{name}={value}" for value in self.values]

    def encode(self, columns: pl.DataFrame, parents: Mapping[str, int]) -> tuple[Ints, Ints]:
        """Token offsets and parent ids of the cleaned columns, (ranks x B,) each."""
        values = stacked(self.spec, columns)
        found = look_up(values, lambda value: (self.offset(value), self.parent(value, parents)), (MISSING, 0))
        return found[:, 0].astype(np.int32), found[:, 1].astype(np.int32)

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

    def families_of_tokens(self, parents: Mapping[str, int]) -> Ints:
        """The parent id of each of the field's tokens; 0 for a missing or unknown value."""
        if self.spec.hierarchy is None:
            return np.zeros(len(self.tokens), dtype=np.int32)
        own = [parents.get(f"{self.spec.hierarchy}:{family}", 0) for family in self.families]
        return np.array([0, 0, *own, *(self.parent(value, parents) for value in self.values)], dtype=np.int32)

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
