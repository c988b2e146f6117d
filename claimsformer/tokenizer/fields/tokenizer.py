"""`FieldTokenizer`: structured claims to value, parent, field and position ids, and back.

The vocabulary is ordered by field: special tokens, then one contiguous slice a field, so a model's logits for a field
are `logits[..., tokenizer.slices["drg"]]` and its loss a softmax over that slice alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from claimsformer.errors import NotFittedError
from claimsformer.tokenizer.base import SpecialTokens, TokenizerBase, TokenizerError
from claimsformer.tokenizer.fields.batch import ClaimBatch
from claimsformer.tokenizer.fields.categories import MISSING, CategoryCoder, parent_keys, stacked
from claimsformer.tokenizer.fields.columns import check_numbers, clean_columns
from claimsformer.tokenizer.fields.numbers import DateCoder, NumberCoder
from claimsformer.tokenizer.fields.spec import ClaimSpec, FieldSpec

__all__ = ["FieldTokenizer"]

Coder = CategoryCoder | NumberCoder | DateCoder
RAW_KINDS = frozenset({"category", "code", "number", "money"})  # decoded under the name of their column


class FieldTokenizer(TokenizerBase):
    """Learns a vocabulary from claims (`fit`), maps claims to a `ClaimBatch` (`encode`) and back (`decode`).

    A value seen fewer than `min_count` times has no token of its own: it is encoded as its family, or as `<unk:field>`.
    """

    kind = "fields"

    def __repr__(self) -> str:
        names = ", ".join(self.field_names[:6]) + (", ..." if len(self.field_names) > 6 else "")
        state = f"vocab_size={self.vocab_size}" if self._coders else "not fitted"
        return f"FieldTokenizer({self.spec.name!r}, {len(self.field_names)} fields: {names}; {state})"

    def __init__(self, spec: ClaimSpec, *, min_count: int = 8, special: SpecialTokens | None = None) -> None:
        special = special or SpecialTokens()
        if special.pad is None or special.cls is None or special.mask is None or special.in_order()[0] != special.pad:
            raise TokenizerError("a field tokenizer needs the special tokens pad (id 0), cls and mask")
        super().__init__(special.in_order(), special)
        self.spec = spec
        self.min_count = min_count
        self.field_names = [field.name for field in spec.fields]
        self.slices: dict[str, slice] = {}
        self.parents_: dict[str, int] = {}
        self._coders: list[Coder] = []

    # Learning -----------------------------------------------------------------------------------------------------

    def fit(self, frame: pl.DataFrame) -> Self:
        """Learn values, families, bins and scales; raises TokenizerError for a missing column or an identifier."""
        self._check_columns(frame)
        check_numbers(self.spec, frame)
        columns = clean_columns(self.spec, frame)
        coders = [self._fit_field(field, columns) for field in self.spec.fields]
        self._assemble(coders, self._fit_parents(columns))
        return self

    def _fit_field(self, field: FieldSpec, columns: pl.DataFrame) -> Coder:
        min_count = self.min_count if field.min_count is None else field.min_count
        if field.kind == "date":
            return DateCoder(field)
        if field.numeric:
            return NumberCoder.fit(field, columns, min_count)
        return CategoryCoder.fit(field, columns, min_count)

    def _fit_parents(self, columns: pl.DataFrame) -> list[str]:
        """Families seen often enough over all fields of a hierarchy, and one `?` for each hierarchy."""
        counts: Counter[str] = Counter()
        codes = [field for field in self.spec.fields if field.hierarchy is not None]
        for field in codes:
            assert field.hierarchy is not None
            values = stacked(field, columns).drop_nulls().value_counts(name="n")
            for value, count in values.iter_rows():
                for key in parent_keys(field.hierarchy, value):
                    counts[key] += count
        kept = {key for key, count in counts.items() if count >= self.min_count}
        return sorted(kept | {f"{field.hierarchy}:?" for field in codes})

    def _assemble(self, coders: list[Coder], parents: list[str]) -> None:
        tokens, slices = self.special.in_order(), {}
        for coder in coders:
            slices[coder.spec.name] = slice(len(tokens), len(tokens) + len(coder.tokens))
            tokens += coder.tokens
        self._set_tokens(tokens)
        self.slices = slices
        self._coders = coders
        self.parents_ = {"<none>": 0} | {key: index + 1 for index, key in enumerate(parents)}

    # What a model needs to know -----------------------------------------------------------------------------------

    @property
    def parent_size(self) -> int:
        """Number of parent ids; 0 means no parent."""
        return len(self.parents_)

    @property
    def field_size(self) -> int:
        """Number of field ids; 0 is [CLS] and padding, field k of the specification is k + 1."""
        return len(self.field_names) + 1

    @property
    def position_size(self) -> int:
        """Number of position ids; 0 for fields with one value, ranks count from 1."""
        return 1 + max((len(field.columns) for field in self.spec.fields if len(field.columns) > 1), default=0)

    @property
    def families(self) -> npt.NDArray[np.int64]:
        """The parent id of each value id, (vocab_size,); 0 for what is no code."""
        found = np.zeros(self.vocab_size, dtype=np.int64)
        for coder in self._coders:
            if isinstance(coder, CategoryCoder):
                found[self.slices[coder.spec.name]] = coder.families_of_tokens(self.parents_)
        return found

    @property
    def numeric_fields(self) -> npt.NDArray[np.bool_]:
        """Which field ids carry scalars, (field_size,)."""
        return np.array([False, *(field.numeric for field in self.spec.fields)])

    @property
    def field_starts(self) -> npt.NDArray[np.int32]:
        """First value id of each field id's slice, (field_size,); 0 for field id 0."""
        return np.array([0, *(self.slices[name].start for name in self.field_names)], dtype=np.int32)

    def field_id(self, name: str) -> int:
        """The field id of a field's name; raises KeyError with the known names."""
        if name not in self.slices:
            raise KeyError(f"no field {name!r}: fields are {', '.join(self.field_names)}")
        return self.field_names.index(name) + 1

    # Encoding -----------------------------------------------------------------------------------------------------

    def encode(self, frame: pl.DataFrame) -> ClaimBatch:
        """The claims as arrays of (B, spec.length), unused ranks as padding in place (see `ClaimBatch.compact`)."""
        self._check_fitted()
        self._check_columns(frame)
        shape = (len(frame), self.spec.length)
        batch = ClaimBatch(
            value_ids=np.zeros(shape, np.int32),
            parent_ids=np.zeros(shape, np.int32),
            field_ids=np.zeros(shape, np.int32),
            position_ids=np.zeros(shape, np.int32),
            scalars=np.zeros(shape, np.float32),
            mask=np.ones(shape, np.bool_),
        )
        batch.value_ids[:, 0] = self._token_to_id[self.special.cls or ""]
        columns = clean_columns(self.spec, frame)
        start = 1
        for index, coder in enumerate(self._coders):
            stop = start + len(coder.spec.columns)
            self._encode_field(coder, index + 1, columns, batch, slice(start, stop))
            start = stop
        return batch

    __call__ = encode

    def _encode_field(self, coder: Coder, field_id: int, columns: pl.DataFrame, batch: ClaimBatch, at: slice) -> None:
        field = coder.spec
        width = len(field.columns)
        if isinstance(coder, CategoryCoder):
            offsets, parents = coder.encode(columns, self.parents_)
            batch.parent_ids[:, at] = parents.reshape(width, -1).T
        else:
            pairs = [coder.encode(columns, rank) for rank in range(1, width + 1)]
            offsets = np.concatenate([pair[0] for pair in pairs])
            batch.scalars[:, at] = np.stack([pair[1] for pair in pairs], axis=1)
        offsets = offsets.reshape(width, -1).T
        batch.value_ids[:, at] = offsets + self.slices[field.name].start
        batch.field_ids[:, at] = field_id
        batch.position_ids[:, at] = np.arange(1, width + 1) if width > 1 else 0
        if field.absent == "pad":
            self._pad(batch, at, offsets == MISSING)

    @staticmethod
    def _pad(batch: ClaimBatch, at: slice, absent: npt.NDArray[np.bool_]) -> None:
        for array in (batch.value_ids, batch.parent_ids, batch.field_ids, batch.position_ids, batch.scalars):
            array[:, at][absent] = 0
        batch.mask[:, at] &= ~absent

    # Decoding -----------------------------------------------------------------------------------------------------

    def decode(self, batch: ClaimBatch) -> pl.DataFrame:
        """What a model can see of the claims: columns of the specification, derived numbers under their field's name.

        Codes come back clean (no dots), rare ones as their family (`428*`) or `?`; numbers to float32; days and
        ratios as such; hidden or absent tokens as null.
        """
        self._check_fitted()
        columns: dict[str, pl.Series] = {}
        for index, coder in enumerate(self._coders):
            field = coder.spec
            for rank, column in enumerate(field.columns, start=1):
                here = batch.mask & (batch.field_ids == index + 1) & (batch.value_ids >= self.slices[field.name].start)
                if len(field.columns) > 1:
                    here &= batch.position_ids == rank
                name = column if field.kind in RAW_KINDS else field.name + (str(rank) if len(field.columns) > 1 else "")
                columns[name] = self._decode_column(coder, batch, here).alias(name)
        return pl.DataFrame(columns)

    def _decode_column(self, coder: Coder, batch: ClaimBatch, here: npt.NDArray[np.bool_]) -> pl.Series:
        rows = np.arange(len(batch))
        at = here.argmax(axis=1) if batch.shape[1] else rows
        present = here[rows, at]
        offsets = np.where(present, batch.value_ids[rows, at] - self.slices[coder.spec.name].start, MISSING).astype(
            np.int32
        )
        if isinstance(coder, CategoryCoder):
            return pl.Series(coder.decode(offsets), dtype=pl.String)
        dtype = pl.String if isinstance(coder, DateCoder) else pl.Float64
        return pl.Series(coder.decode(offsets, batch.scalars[rows, at]), dtype=dtype)

    def describe(self, value_id: int) -> str:
        """A token in words for a reviewer: `drg=470`, or the range of a bin, `paid_amount in [4000, 7000)`."""
        token = self.convert_ids_to_tokens(value_id)
        for coder in self._coders:
            where = self.slices[coder.spec.name]
            index = value_id - where.start - 2
            if where.start <= value_id < where.stop and isinstance(coder, NumberCoder) and index >= 0:
                low, high = ([-np.inf, *coder.edges][index], [*coder.edges, np.inf][index])
                return f"{coder.spec.name} in [{low:g}, {high:g})"
        return token

    # Saving -------------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """The specification and what was learned."""
        self._check_fitted()
        return {
            "spec": self.spec.to_dict(),
            "min_count": self.min_count,
            "special": self.special.as_dict(),
            "learned": {coder.spec.name: coder.to_dict() for coder in self._coders},
            "parents": [key for key in self.parents_ if key != "<none>"],
        }

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Self:
        """The tokenizer that `to_dict` described."""
        parents, min_count = state["parents"], state["min_count"]
        if not isinstance(parents, list) or not all(isinstance(name, str) for name in parents):
            raise TypeError("'parents', which must be a list of names")
        if not isinstance(min_count, int):
            raise TypeError("'min_count', which must be a whole number")
        tokenizer = cls(
            ClaimSpec.from_dict(state["spec"]), min_count=min_count, special=SpecialTokens(**state["special"])
        )
        coders = [_coder(field, state["learned"][field.name]) for field in tokenizer.spec.fields]
        tokenizer._assemble(coders, parents)
        return tokenizer

    # Checks -------------------------------------------------------------------------------------------------------

    def _check_fitted(self) -> None:
        if not self._coders:
            raise NotFittedError(
                "this FieldTokenizer has no vocabulary yet", hint="Call fit(frame) or from_pretrained(folder)."
            )

    def _check_columns(self, frame: pl.DataFrame) -> None:
        if not isinstance(frame, pl.DataFrame):
            raise TokenizerError(
                f"claims must be a polars DataFrame with a row for each, got {type(frame).__name__}; "
                "one claim is pl.DataFrame([{column: value, ...}])"
            )
        present = set(frame.columns)
        missing = [column for column in self.spec.columns if column not in present]
        if missing:
            raise TokenizerError(
                f"spec {self.spec.name!r} reads columns that the frame lacks: {', '.join(missing)}; "
                "run the specification's prepare function on the frame first"
            )


def _coder(field: FieldSpec, learned: Mapping[str, Any]) -> Coder:
    if field.kind == "date":
        return DateCoder(field)
    if field.numeric:
        return NumberCoder(field, **learned)
    return CategoryCoder(field, **learned)
