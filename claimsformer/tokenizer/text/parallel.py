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


def _encode(texts: Sequence[str]) -> tuple[npt.NDArray[np.int64], list[int]]:
    assert _worker is not None
    rows = _worker.encode_batch(texts)
    return np.concatenate([*rows, np.empty(0, np.int64)]), [len(row) for row in rows]


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
        for flat, lengths in self._pool.map(_encode, _chunks(texts)):
            result += np.split(flat, np.cumsum(lengths)[:-1]) if lengths else []
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
