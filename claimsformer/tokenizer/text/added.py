"""Tokens that are found in the text as they stand, before anything else happens to it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["AddedToken", "AddedTokens"]


@dataclass(frozen=True, slots=True)
class AddedToken:
    """A token with its own id; the options are those of Hugging Face's `AddedToken`."""

    content: str
    id: int
    special: bool = True
    single_word: bool = False
    lstrip: bool = False
    rstrip: bool = False
    normalized: bool = False

    def to_dict(self) -> dict[str, Any]:
        """As in `added_tokens` of a `tokenizer.json`."""
        return asdict(self)

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> AddedToken:
        """The token of an entry of `added_tokens`."""
        return cls(**{name: state[name] for name in cls.__dataclass_fields__ if name in state})


class AddedTokens:
    """Finds added tokens in text: leftmost first, of several at one place the longest."""

    def __init__(self, tokens: Iterable[AddedToken]) -> None:
        self.by_content = {token.content: token for token in tokens if token.content}
        ordered = sorted(self.by_content, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, ordered))) if ordered else None

    def split(self, text: str) -> Iterator[tuple[int, int, AddedToken | None]]:
        """Spans that cover the text, each with its added token, or None for ordinary text."""
        at = 0
        if self._pattern is not None:
            for match in self._pattern.finditer(text):
                start, stop = match.span()
                token = self.by_content[match.group()]
                if start < at or (token.single_word and not _stands_alone(text, start, stop)):
                    continue
                if token.lstrip:
                    start = at + len(text[at:start].rstrip())
                if token.rstrip:
                    stop = len(text) - len(text[stop:].lstrip())
                if start > at:
                    yield at, start, None
                yield start, stop, token
                at = stop
        if at < len(text):
            yield at, len(text), None


def _stands_alone(text: str, start: int, stop: int) -> bool:
    before, after = text[start - 1 : start], text[stop : stop + 1]
    return not any(neighbour and (neighbour.isalnum() or neighbour == "_") for neighbour in (before, after))
