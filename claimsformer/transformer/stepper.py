"""The model as generation sees it: give the tokens chosen last, get the scores of the next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

import tensorlite as tl
from tensorlite import Tensor

if TYPE_CHECKING:
    from .model import Transformer

__all__ = ["Stepper"]

Ids = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


class Stepper:
    """The tokens so far of each row, and with `use_cache` their keys and values.

    For an encoder-decoder the prompt is encoded once and every row starts with `bos_id`.
    """

    def __init__(
        self, model: Transformer, prompt: Ids, mask: Bools | None, bos_id: int | None, use_cache: bool
    ) -> None:
        self.model, self.rows = model, len(prompt)
        self.cache = model.new_cache() if use_cache else None
        self.memory: Tensor | None = None
        self.memory_mask: Bools | None = None
        if model.config.architecture == "encoder-decoder":
            self.memory, self.memory_mask = model.encode(prompt, attention_mask=mask), mask
            prompt, mask = np.full((self.rows, 1), bos_id, np.int64), None
        self.ids = prompt
        self.mask = None if mask is None or mask.all() else mask
        self.seen = 0

    def next_logits(self, chosen: Ids | None) -> Floats:
        """Scores `(B, V)` of what follows, after `chosen (B,)` has been added to the rows."""
        if chosen is not None:
            self.ids = np.concatenate([self.ids, chosen[:, None]], axis=1)
            if self.mask is not None:
                self.mask = np.concatenate([self.mask, np.ones((self.rows, 1), np.bool_)], axis=1)
        hidden = self.model.decode(
            self.ids[:, self.seen :],
            self.memory,
            attention_mask=self.mask,
            memory_mask=self.memory_mask,
            cache=self.cache,
        )
        if self.cache is not None:
            self.seen = self.ids.shape[1]
        logits = self.model.logits(
            hidden[:, -1:]
        )  # (B, 1, V): the vocabulary is the largest product, so only where needed
        scores: Floats = logits.numpy()[:, 0].astype(np.float64)
        return scores

    def reorder(self, rows: Ids) -> None:
        """Take these rows, in this order, in place of those there were."""
        if len(rows) == self.rows and (rows == np.arange(self.rows)).all():
            return
        self.rows = len(rows)
        self.ids = self.ids[rows]
        self.mask = None if self.mask is None else self.mask[rows]
        if self.cache is not None:
            self.cache.reorder(rows)
        if self.memory is not None:
            self.memory = tl.from_numpy(self.memory.numpy()[rows])
            self.memory_mask = None if self.memory_mask is None else self.memory_mask[rows]
