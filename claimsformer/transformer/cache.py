"""Keys and values of tokens already seen, so that generating the next token costs one token's work and not all of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

import tensorlite as tl
from tensorlite import Tensor

__all__ = ["DecoderCache", "KeyValueCache"]


class KeyValueCache:
    """Keys and values `(B, H, S, d)` of one attention layer, in memory that doubles when it is full.

    A static cache is filled once and read after that: cross-attention, whose keys come from the encoder. Gradients do
    not pass through a cache; `append` raises RuntimeError where they are recorded.
    """

    def __init__(self, static: bool = False) -> None:
        self.static = static
        self.length = 0
        self._buffers: tuple[Any, Any] | None = None

    def append(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Add `(B, H, T, d)` behind what is there, and return all of it."""
        if keys.requires_grad or values.requires_grad:
            raise RuntimeError("a key-value cache has no gradient: call the model under tensorlite.no_grad()")
        new = (keys.numpy(), values.numpy())
        if self._buffers is not None and self._buffers[0].shape[:2] != new[0].shape[:2]:
            rows, more = self._buffers[0].shape[0], new[0].shape[0]
            raise ValueError(f"the cache holds {rows} rows and got tokens for {more}; reorder it, or begin a new one")
        if self._buffers is None:
            self._buffers = (_room_for(new[0], new[0].shape[2]), _room_for(new[1], new[1].shape[2]))
        end = self.length + new[0].shape[2]
        if end > self._buffers[0].shape[2]:
            self._buffers = (self._grown(self._buffers[0], end), self._grown(self._buffers[1], end))
        for buffer, part in zip(self._buffers, new, strict=True):
            buffer[:, :, self.length : end] = part
        self.length = end
        return self.read()

    def read(self) -> tuple[Tensor, Tensor]:
        """All keys and values so far. Raises RuntimeError if there are none."""
        if self._buffers is None:
            raise RuntimeError("the key-value cache is empty: append first")
        keys, values = self._buffers
        return tl.from_numpy(keys[:, :, : self.length]), tl.from_numpy(values[:, :, : self.length])

    def reorder(self, rows: npt.NDArray[np.integer]) -> None:
        """Take these rows of the batch, in this order: beam search moves hypotheses about."""
        if self._buffers is not None:
            self._buffers = (self._buffers[0][rows], self._buffers[1][rows])

    def _grown(self, buffer: Any, needed: int) -> Any:
        bigger = _room_for(buffer, max(needed, 2 * buffer.shape[2]))
        bigger[:, :, : self.length] = buffer[:, :, : self.length]
        return bigger


def _room_for(like: Any, tokens: int) -> Any:
    b, h, _, d = like.shape
    return np.empty((b, h, tokens, d), like.dtype)


class DecoderCache:
    """The caches of all layers of a decoder; `length` tokens have been seen."""

    def __init__(self, n_layers: int) -> None:
        self.self_attention = [KeyValueCache() for _ in range(n_layers)]
        self.cross_attention = [KeyValueCache(static=True) for _ in range(n_layers)]

    @property
    def length(self) -> int:
        return self.self_attention[0].length if self.self_attention else 0

    def reorder(self, rows: npt.NDArray[np.integer]) -> None:
        """Take these rows of the batch in every layer."""
        for cache in (*self.self_attention, *self.cross_attention):
            cache.reorder(rows)
