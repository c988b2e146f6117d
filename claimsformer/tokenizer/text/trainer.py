"""Learning byte-pair merges: pair counts are kept up to date, a merge touches only the words that have it."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from itertools import pairwise

from claimsformer.tokenizer.text.bytes import BYTE_TO_CHAR, token_of_bytes

__all__ = ["BYTES_IN_ORDER", "learn_merges"]

# Bytes in the order of their printable characters: the order in which Hugging Face numbers the alphabet.
BYTES_IN_ORDER = sorted(range(256), key=lambda byte: BYTE_TO_CHAR[byte])

Pair = tuple[int, int]


def learn_merges(
    words: Mapping[bytes, int],
    count: int,
    *,
    first_id: int = 256,
    byte_ids: Mapping[int, int] | None = None,
    min_frequency: int = 2,
    reserved: Collection[str] = (),
    known: Mapping[bytes, int] | None = None,
) -> list[tuple[Pair, int, bytes]]:
    """At most `count` merges ((left, right), new id, bytes) from word counts, the most frequent pair first.

    Of equally frequent pairs the one with the smaller ids is taken, so the result depends on the counts alone. New
    ids start at `first_id`; a merge whose token is in `reserved` is left out.
    """
    byte_ids = byte_ids or {byte: index for index, byte in enumerate(BYTES_IN_ORDER)}
    content = {index: bytes([byte]) for byte, index in byte_ids.items()}
    state = _Corpus(words, byte_ids)
    ids = dict(known or {})
    merges: list[tuple[Pair, int, bytes]] = []
    next_id = first_id
    while next_id < first_id + count:
        best = state.most_frequent(min_frequency)
        if best is None:
            break
        data = content[best[0]] + content[best[1]]
        if token_of_bytes(data) in reserved:
            state.forget(best)
            continue
        merged = ids.setdefault(data, next_id)
        next_id += merged == next_id
        content[merged] = data
        merges.append((best, merged, data))
        state.merge(best, merged)
    return merges


class _Corpus:
    """Words as lists of ids, how often each pair occurs, and in which words."""

    def __init__(self, words: Mapping[bytes, int], byte_ids: Mapping[int, int]) -> None:
        ordered = sorted(words.items())
        self.words = [[byte_ids[byte] for byte in word] for word, _ in ordered]
        self.weights = [weight for _, weight in ordered]
        self.counts: Counter[Pair] = Counter()
        self.where: defaultdict[Pair, set[int]] = defaultdict(set)
        for index, (word, weight) in enumerate(zip(self.words, self.weights, strict=True)):
            for pair in pairwise(word):
                self.counts[pair] += weight
                self.where[pair].add(index)
        self.heap = [(-count, pair) for pair, count in self.counts.items()]
        heapq.heapify(self.heap)

    def most_frequent(self, min_frequency: int) -> Pair | None:
        """The most frequent pair, None when none occurs often enough; outdated entries are put back corrected."""
        while self.heap:
            negative, pair = heapq.heappop(self.heap)
            count = self.counts.get(pair, 0)
            if count == -negative:
                return pair if count >= max(1, min_frequency) else None
            if count > 0:
                heapq.heappush(self.heap, (-count, pair))
        return None

    def forget(self, pair: Pair) -> None:
        """Never offer this pair again."""
        del self.counts[pair]

    def merge(self, pair: Pair, merged: int) -> None:
        """Replace the pair in every word that contains it and correct the counts around it."""
        changes: Counter[Pair] = Counter()
        for index in self.where.pop(pair):
            self._merge_word(index, pair, merged, changes)
        changes.pop(pair, None)
        for other, change in changes.items():
            if change == 0:
                continue
            self.counts[other] += change
            if change > 0:
                heapq.heappush(self.heap, (-self.counts[other], other))
        self.counts.pop(pair, None)

    def _merge_word(self, index: int, pair: Pair, merged: int, changes: Counter[Pair]) -> None:
        word, weight, (left, right) = self.words[index], self.weights[index], pair
        at = 0
        while at < len(word) - 1:
            if word[at] == left and word[at + 1] == right:
                if at > 0:
                    changes[word[at - 1], left] -= weight
                    changes[word[at - 1], merged] += weight
                    self.where[word[at - 1], merged].add(index)
                if at + 2 < len(word):
                    changes[right, word[at + 2]] -= weight
                    changes[merged, word[at + 2]] += weight
                    self.where[merged, word[at + 2]].add(index)
                word[at : at + 2] = [merged]
            at += 1
