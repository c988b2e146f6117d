"""The masked model for scoring: nothing is computed for tokens that nobody asks about.

A prediction needs the last layer's output at hidden tokens alone: there every token is looked at, but only the hidden
ones look, and only they pass the feed-forward layer. The numbers are those of `MaskedClaimModel.predict` up to rounding.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

import tensorlite as tl
from claimsformer.assessment.masked_model import MaskedClaimModel, Prediction
from claimsformer.tokenizer.fields import ClaimBatch
from tensorlite import Tensor
from tensorlite.nn import functional as F

__all__ = ["HiddenTokenModel"]

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


class HiddenTokenModel:
    """`MaskedClaimModel.predict` with less work; shares the model's weights. Takes pre-norm encoders."""

    def __init__(self, model: MaskedClaimModel) -> None:
        self.model = model

    def predict(self, shown: ClaimBatch, truth: ClaimBatch, hidden: Bools) -> list[Prediction]:
        """Log-probabilities of the hidden tokens (B, T), field by field."""
        rows, columns = np.nonzero(hidden)
        field_ids = truth.field_ids[hidden].astype(np.int64)
        value_ids = truth.value_ids[hidden].astype(np.int64)
        ranks = truth.position_ids[hidden].astype(np.int64)
        found = []
        with tl.no_grad():
            vectors = self.model.head(self._hidden_vectors(shown, rows, columns))
            for index in np.unique(field_ids).tolist():
                name, where = self.model.slices[index - 1]
                picked = np.flatnonzero(field_ids == index)
                logits = self.model.logits(vectors[tl.from_numpy(picked)], where)
                log_p = F.log_softmax(logits, dim=-1).numpy()
                found.append(Prediction(name, rows[picked], ranks[picked], value_ids[picked] - where.start, log_p))
        return found

    def _hidden_vectors(self, shown: ClaimBatch, rows: Ints, columns: Ints) -> Tensor:
        """The encoder's output (N, D) at the N places (rows, columns)."""
        x, visible = self.model.embedded(shown)
        *first, last = list(self.model.encoder.layers)
        for layer in first:
            x = layer(x, visible)
        asking, at = _gathered(rows, columns, len(shown))
        y = last.attention_norm(x)
        flat: Any = tl.from_numpy(asking + np.arange(len(shown))[:, None] * shown.shape[1])
        d = x.shape[-1]
        own = x.reshape(-1, d)[flat]  # (B, Q, D)
        own = own + last.self_attention(y.reshape(-1, d)[flat], y, mask=visible.mask)
        picked = own.reshape(-1, d)[tl.from_numpy(at)]
        picked = picked + last.feed_forward(last.feed_forward_norm(picked))
        norm = self.model.encoder.norm
        return picked if norm is None else norm(picked)  # type: ignore[no-any-return]


def _gathered(rows: Ints, columns: Ints, n: int) -> tuple[Ints, Ints]:
    """Columns (n, Q) of each row's places, filled up with column 0, and where in it each place stands, flat."""
    counts = np.bincount(rows, minlength=n)
    width = int(counts.max(initial=1))
    place = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    asking = np.zeros((n, width), dtype=np.int64)
    asking[rows, place] = columns
    return asking, rows * width + place
