"""`ClaimBatch`: claims as arrays, ready for a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

__all__ = ["ClaimBatch"]

Ints = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class ClaimBatch:
    """B claims of T tokens; every array is (B, T).

    `value_ids`: what the field holds. `parent_ids`: the family of a code (0: none). `field_ids`: which field (0:
    [CLS] or padding). `position_ids`: rank in a list, line number (0: the field has one value). `scalars`: robust
    z-score of a number, else 0. `mask`: True where a token is, False where padding is.
    """

    value_ids: Ints
    parent_ids: Ints
    field_ids: Ints
    position_ids: Ints
    scalars: npt.NDArray[np.float32]
    mask: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.value_ids)

    @property
    def shape(self) -> tuple[int, int]:
        """(B, T)."""
        return self.value_ids.shape[0], self.value_ids.shape[1]

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Tokens of each claim, (B,)."""
        lengths: npt.NDArray[np.int64] = self.mask.sum(axis=1, dtype=np.int64)
        return lengths

    def __getitem__(self, rows: slice | npt.NDArray[np.integer] | npt.NDArray[np.bool_] | Sequence[int]) -> ClaimBatch:
        """Some of the claims."""
        return ClaimBatch(*(getattr(self, field.name)[rows] for field in fields(self)))

    def compact(self) -> ClaimBatch:
        """The same tokens in the same order, padding moved to the end and cut where all claims have it."""
        order = np.argsort(~self.mask, axis=1, kind="stable")
        length = int(self.lengths.max(initial=0))
        arrays = (np.take_along_axis(getattr(self, field.name), order, axis=1)[:, :length] for field in fields(self))
        return ClaimBatch(*arrays)

    @staticmethod
    def concatenate(batches: Sequence[ClaimBatch]) -> ClaimBatch:
        """The claims of several batches, padded at the end to the longest."""
        length = max(batch.shape[1] for batch in batches)
        return ClaimBatch(
            *(
                np.concatenate(
                    [np.pad(getattr(b, field.name), ((0, 0), (0, length - b.shape[1]))) for b in batches], axis=0
                )
                for field in fields(ClaimBatch)
            )
        )
