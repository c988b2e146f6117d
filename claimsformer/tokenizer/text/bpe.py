"""Byte-pair encoding of one piece of text (Sennrich et al., 2016), on bytes."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence

__all__ = ["BytePairModel"]

LONG = 48  # from this many symbols on, a heap beats scanning for the best pair

Pair = tuple[int, int]


class BytePairModel:
    """Merges pairs of ids in the order in which the merges were learned.

    `byte_ids`: the id of each byte, None where the vocabulary lacks it (then `unk`, or nothing). `whole`: ids of
    pieces that are taken as they are, before any merge.
    """

    def __init__(
        self,
        byte_ids: Sequence[int | None],
        merges: Sequence[tuple[Pair, int]],
        *,
        whole: Mapping[bytes, int] | None = None,
        unk: int | None = None,
    ) -> None:
        self.byte_ids = list(byte_ids)
        self.merges = list(merges)
        self.whole = dict(whole or {})
        self.unk = unk
        self._ranks: dict[Pair, tuple[int, int]] = {}
        for rank, (pair, merged) in enumerate(self.merges):
            self._ranks[pair] = (rank, merged)  # of a pair given twice the later rank holds, as in `tokenizers`

    def encode(self, data: bytes) -> list[int]:
        """The ids of one piece."""
        found = self.whole.get(data)
        if found is not None:
            return [found]
        ids = [self.unk if self.byte_ids[byte] is None else self.byte_ids[byte] for byte in data]
        symbols = [index for index in ids if index is not None]
        return self._merge_long(symbols) if len(symbols) >= LONG else self._merge_short(symbols)

    def _merge_short(self, symbols: list[int]) -> list[int]:
        """Scan for the pair of lowest rank, merge its first occurrence, again."""
        ranks = self._ranks
        nothing = (len(ranks) + 1, -1)
        while len(symbols) > 1:
            best, at = nothing, -1
            for position in range(len(symbols) - 1):
                found = ranks.get((symbols[position], symbols[position + 1]))
                if found is not None and found[0] < best[0]:
                    best, at = found, position
            if at < 0:
                break
            symbols[at : at + 2] = [best[1]]
        return symbols

    def _merge_long(self, symbols: list[int]) -> list[int]:
        """The same with a linked list and a heap of (rank, position): O(n log n)."""
        ranks, count = self._ranks, len(symbols)
        after = [*range(1, count), -1]
        before = [-1, *range(count - 1)]
        heap = []
        for position in range(count - 1):
            found = ranks.get((symbols[position], symbols[position + 1]))
            if found is not None:
                heap.append((found[0], position, found[1]))
        heapq.heapify(heap)
        while heap:
            rank, left, merged = heapq.heappop(heap)
            right = after[left]
            # A stale entry: one of its two symbols has been merged since.
            if symbols[left] < 0 or right < 0 or ranks.get((symbols[left], symbols[right])) != (rank, merged):
                continue
            symbols[left], symbols[right] = merged, -1
            after[left] = after[right]
            if after[right] >= 0:
                before[after[right]] = left
            for first, second in ((before[left], left), (left, after[left])):
                if first >= 0 and second >= 0:
                    found = ranks.get((symbols[first], symbols[second]))
                    if found is not None:
                        heapq.heappush(heap, (found[0], first, found[1]))
        return [symbol for symbol in symbols if symbol >= 0]
