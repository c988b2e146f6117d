"""How many tokens a text costs: per claim, per word, per character, and against another tokenizer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from claimsformer.tokenizer.base import TokenizerError

__all__ = ["Coverage", "coverage_table", "measure_coverage"]


@dataclass(frozen=True, slots=True)
class Coverage:
    """Counts over a set of texts; a word is what stands between white space."""

    texts: int
    words: int
    characters: int
    tokens: int
    whole_words: int

    @property
    def tokens_per_text(self) -> float:
        """Mean tokens of a text (of a claim)."""
        return self.tokens / max(1, self.texts)

    @property
    def tokens_per_word(self) -> float:
        """Mean tokens of a word."""
        return self.tokens / max(1, self.words)

    @property
    def characters_per_token(self) -> float:
        """Mean characters of a token."""
        return self.characters / max(1, self.tokens)

    @property
    def whole_word_share(self) -> float:
        """Share of the words that are one token by themselves."""
        return self.whole_words / max(1, self.words)

    def __str__(self) -> str:
        return (
            f"{self.texts} texts: {self.tokens_per_text:.1f} tokens each, {self.tokens_per_word:.2f} a word, "
            f"{self.characters_per_token:.2f} characters a token, {self.whole_word_share:.0%} of words whole"
        )


def measure_coverage(encode: Callable[[str], Iterable[int]], texts: Iterable[str]) -> Coverage:
    """Coverage of texts by any function from text to ids (`tokenizer.encode`, or another library's).

    Raises TokenizerError for a function that gives something else, such as a whole tokenizer, whose call gives a mapping.
    """
    known: dict[str, bool] = {}
    counts = [0, 0, 0, 0, 0]
    for text in [texts] if isinstance(texts, str) else texts:
        words = text.split()
        for word in words:
            if word not in known:
                known[word] = _count(encode(word)) == 1
        row = (1, len(words), len(text), _count(encode(text)), sum(known[word] for word in words))
        counts = [total + number for total, number in zip(counts, row, strict=True)]
    return Coverage(*counts)


def _count(ids: Iterable[int]) -> int:
    if isinstance(ids, Mapping):
        raise TokenizerError("measure_coverage needs a function from text to ids, got a mapping: give tokenizer.encode")
    return len(list(ids))


def coverage_table(encoders: Mapping[str, Callable[[str], Iterable[int]]], texts: Iterable[str]) -> str:
    """A Markdown table of the coverage of the same texts by several tokenizers."""
    kept = list(texts)
    rows = ["| tokenizer | tokens per claim | tokens per word | characters per token |", "|---|---|---|---|"]
    for name, encode in encoders.items():
        c = measure_coverage(encode, kept)
        rows.append(f"| {name} | {c.tokens_per_text:.1f} | {c.tokens_per_word:.2f} | {c.characters_per_token:.2f} |")
    return "\n".join(rows)
