"""Encoding over several processes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from claimsformer.tokenizer.text.tokenizer import TextTokenizer

__all__ = ["ParallelEncoder"]

CHUNK = 1 << 19  # characters handed to a process at once

_worker: TextTokenizer | None = None


def _start(kind: type[TextTokenizer], state: dict[str, Any]) -> None:
    global _worker
    _worker = kind.from_dict(state)


def _encode(texts: Sequence[str]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """The ids of the texts behind each other, and where each ends: two arrays travel faster than thousands."""
    assert _worker is not None
    flat: list[int] = []
    ends = []
    for text in texts:
        flat += _worker.encode(text, add_special_tokens=False)
        ends.append(len(flat))
    return np.array(flat, dtype=np.int32), np.array(ends, dtype=np.int64)


class ParallelEncoder:
    """A pool of processes that each hold the tokenizer; use it as a context manager to keep it for several batches."""

    def __init__(self, tokenizer: TextTokenizer, processes: int) -> None:
        # "spawn": a fork of a process with threads (polars, BLAS) may hang.
        self._pool = ProcessPoolExecutor(
            processes,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_start,
            initargs=(type(tokenizer), tokenizer.to_dict()),
        )

    def encode_batch(self, texts: Sequence[str]) -> list[npt.NDArray[np.int64]]:
        """The ids of each text without special tokens, in order."""
        result: list[npt.NDArray[np.int64]] = []
        for flat, ends in self._pool.map(_encode, _chunks(texts)):
            ids, start = flat.astype(np.int64), 0
            for stop in ends.tolist():
                result.append(ids[start:stop])
                start = stop
        return result

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()


def _chunks(texts: Sequence[str]) -> list[list[str]]:
    chunks: list[list[str]] = [[]]
    size = 0
    for text in texts:
        if size > CHUNK:
            chunks.append([])
            size = 0
        chunks[-1].append(text)
        size += len(text) + 1
    return chunks
