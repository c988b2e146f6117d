"""Encoded sequences: `BatchEncoding`, truncation and padding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np

from claimsformer.tokenizer.base import TokenizerError

__all__ = ["BatchEncoding", "Encoded", "Padding", "Truncation", "pad_length", "pad_rows", "truncate"]

Padding: TypeAlias = bool | Literal["longest", "max_length", "do_not_pad"]
Truncation: TypeAlias = bool | Literal["longest_first", "only_first", "only_second", "do_not_truncate"]
Side: TypeAlias = Literal["left", "right"]


class BatchEncoding(dict[str, Any]):
    """A mapping of NumPy arrays whose entries are attributes too: `batch["input_ids"] is batch.input_ids`.

    One text: (T,) arrays. Several of one length, or padded: (B, T). Several of different lengths: lists of (T,) arrays.
    """

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"this encoding has no {name!r}: it has {', '.join(self)}") from None


@dataclass(slots=True)
class Encoded:
    """One sequence: ids and, beside each, its sequence (0, 1), its characters and whether a template put it there."""

    ids: list[int]
    offsets: list[tuple[int, int]] = field(default_factory=list)  # empty when nobody asked
    types: list[int] = field(default_factory=list)
    special: list[int] = field(default_factory=list)

    def cut(self, length: int, side: Side) -> Encoded:
        """The first `length` tokens, or the last when cut from the left."""
        where = slice(len(self.ids) - length, None) if side == "left" else slice(length)
        return Encoded(self.ids[where], self.offsets[where], self.types[where], self.special[where])


def truncate(
    first: Encoded, second: Encoded | None, room: int, strategy: Truncation, side: Side
) -> tuple[Encoded, Encoded | None]:
    """The two sequences cut to `room` tokens together; raises TokenizerError when the strategy cannot."""
    n, m = len(first.ids), 0 if second is None else len(second.ids)
    if strategy not in (True, "longest_first", "only_first", "only_second"):
        raise TokenizerError(
            f"truncation must be True, False, 'longest_first', 'only_first', 'only_second' or 'do_not_truncate', got {strategy!r}"
        )
    if room < 0:
        raise TokenizerError("max_length leaves no room beside the special tokens")
    if n + m <= room:
        return first, second
    if strategy == "only_first" and m < room:
        n = room - m
    elif strategy == "only_second" and second is not None and n < room:
        m = room - n
    elif strategy in ("only_first", "only_second"):
        raise TokenizerError(
            f"{strategy} cannot cut {n} + {m} tokens to {room}: use longest_first or a larger max_length"
        )
    elif second is None:
        n = room
    else:
        n, m = _longest_first(n, m, room)
    return first.cut(n, side), None if second is None else second.cut(m, side)


def _longest_first(n: int, m: int, room: int) -> tuple[int, int]:
    """Lengths after taking tokens from the longer of the two until they fit."""
    short, long = min(n, m), max(n, m)
    long = short if short > room else max(short, room - short)
    if short + long > room:
        short, long = room // 2, room - room // 2
    return (short, long) if n <= m else (long, short)


def pad_length(lengths: Sequence[int], padding: Padding, max_length: int | None, multiple: int | None) -> int | None:
    """The length to pad to, None for no padding."""
    if padding is False or padding == "do_not_pad":
        return None
    if padding == "max_length":
        if max_length is None:
            raise TokenizerError("padding='max_length' needs max_length")
        length = max_length
    elif padding is True or padding == "longest":
        length = max(lengths, default=0)
    else:
        raise TokenizerError(f"padding must be True, False, 'longest' or 'max_length', got {padding!r}")
    return -(-length // multiple) * multiple if multiple else length


def pad_rows(rows: Sequence[Any], length: int, value: Any, side: Side) -> np.ndarray[Any, Any]:
    """Sequences as one array of (B, length, ...), as long as the longest where that is longer; whole numbers are int64."""
    if side not in ("left", "right"):
        raise TokenizerError(f"padding_side must be 'left' or 'right', got {side!r}")
    longest = max((len(row) for row in rows), default=0)
    length = max(length, longest)
    tail = np.shape(value)
    fractions = any(np.asarray(row).dtype.kind == "f" for row in rows if len(row))
    result = np.empty((len(rows), length, *tail), dtype=np.float64 if fractions else np.int64)
    result[...] = value
    for target, row in zip(result, rows, strict=True):
        if len(row):
            target[slice(length - len(row), None) if side == "left" else slice(len(row))] = row
    return result
