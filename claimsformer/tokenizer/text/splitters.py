"""Cutting text into the pieces that a model encodes one by one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from claimsformer.tokenizer.base import TokenizerError
from claimsformer.tokenizer.text.patterns import GPT2_SPLIT, SplitPattern

__all__ = ["BERT_SPLIT", "PatternSplitter", "SequenceSplitter", "Splitter", "build_splitter"]

# BERT: white space divides and vanishes, punctuation (ASCII symbols included) stands alone.
_ASCII_PUNCTUATION = "".join("\\" + character for character in "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
BERT_SPLIT = rf"[{_ASCII_PUNCTUATION}\p{{P}}]|[^\s{_ASCII_PUNCTUATION}\p{{P}}]+"


class Splitter(Protocol):
    """Text to pieces, in order; what is in no piece is dropped."""

    def pieces(self, text: str) -> list[str]:
        """The pieces."""
        ...

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where they are."""
        ...


class WholeText:
    """Does not split."""

    def pieces(self, text: str) -> list[str]:
        """The text, unless it is empty."""
        return [text] if text else []

    def spans(self, text: str) -> list[tuple[int, int]]:
        """All of it."""
        return [(0, len(text))] if text else []


class PatternSplitter:
    """Pieces are a pattern's matches and, with `keep_rest`, what lies between them."""

    def __init__(self, pattern: str, *, keep_rest: bool = False, drop_matches: bool = False) -> None:
        self.pattern = SplitPattern(pattern)
        self.keep_rest = keep_rest
        self.drop_matches = drop_matches
        self._plain = not (keep_rest or drop_matches)

    def pieces(self, text: str) -> list[str]:
        """The pieces."""
        if self._plain:
            return self.pattern.pieces(text)
        return [text[start:stop] for start, stop in self.spans(text)]

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where they are."""
        matches = self.pattern.spans(text)
        if self._plain:
            return matches
        result, at = [], 0
        for start, stop in matches:
            if start > at:
                result.append((at, start))
            if not self.drop_matches and stop > start:
                result.append((start, stop))
            at = stop
        if at < len(text):
            result.append((at, len(text)))
        return result


class SequenceSplitter:
    """Splits the pieces of one splitter with the next."""

    def __init__(self, parts: Sequence[Splitter]) -> None:
        self.parts = list(parts)

    def pieces(self, text: str) -> list[str]:
        """The pieces."""
        pieces = [text] if text else []
        for part in self.parts:
            pieces = [smaller for piece in pieces for smaller in part.pieces(piece)]
        return pieces

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where they are."""
        spans = [(0, len(text))] if text else []
        for part in self.parts:
            spans = [(a + x, a + y) for a, b in spans for x, y in part.spans(text[a:b])]
        return spans


def build_splitter(state: Mapping[str, Any] | None) -> Splitter:
    """The pre-tokenizer of a `tokenizer.json`; raises TokenizerError for a type that is not supported."""
    if state is None:
        return WholeText()
    kind = state["type"]
    if kind == "ByteLevel":
        return PatternSplitter(GPT2_SPLIT) if state.get("use_regex", True) else WholeText()
    if kind == "Split":
        return _build_split(state)
    if kind == "Digits":
        return PatternSplitter(r"\p{N}" if state.get("individual_digits") else r"\p{N}+", keep_rest=True)
    if kind == "BertPreTokenizer":
        return PatternSplitter(BERT_SPLIT)
    if kind == "WhitespaceSplit":
        return PatternSplitter(r"\S+")
    if kind == "Medical":
        from claimsformer.tokenizer.text.medical import MedicalSplitter

        return MedicalSplitter(state["drugs"])
    if kind == "Sequence":
        parts = [build_splitter(part) for part in state["pretokenizers"]]
        kept = [part for part in parts if not isinstance(part, WholeText)]
        return kept[0] if len(kept) == 1 else SequenceSplitter(kept)
    raise TokenizerError(f"pre-tokenizer {kind!r} is not supported")


def _build_split(state: Mapping[str, Any]) -> Splitter:
    pattern = state["pattern"]
    source = pattern["Regex"] if "Regex" in pattern else re.escape(pattern["String"])
    behavior, invert = state.get("behavior", "Isolated"), state.get("invert", False)
    if behavior == "Isolated":
        return PatternSplitter(source, keep_rest=True)
    if behavior == "Removed":
        return PatternSplitter(source) if invert else PatternSplitter(source, keep_rest=True, drop_matches=True)
    raise TokenizerError(f"a split with behavior {behavior!r} is not supported: Isolated and Removed are")
