"""Identifiers in free text: find them, replace them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from claimsformer.claims.deidentify.identifiers import Identifier
from claimsformer.claims.deidentify.patterns import OVER_89, PATTERNS, PROTECTED

__all__ = ["IdentifierSpan", "find_identifiers", "scrub_text"]


@dataclass(frozen=True, order=True)
class IdentifierSpan:
    """Characters `start` to `stop` of a text and what they are; the text itself is not kept."""

    start: int
    stop: int
    identifier: Identifier
    replacement: str


def scrub_text(text: str, names: Iterable[str] = ()) -> tuple[str, Counter[Identifier]]:
    """Replace identifiers by their kind (`[PHONE]`, `[DATE]`), and count them.

    This layer is made of regular expressions. **It misses names**, and places named without a state or a street, when
    no title or label goes before them and no field of the claim carries them: pass those fields as `names`. Do not
    release free text on the strength of this function alone; codes, doses and amounts of money are kept.
    """
    spans = find_identifiers(text, names)
    parts: list[str] = []
    end = 0
    for span in spans:
        parts += (text[end : span.start], span.replacement)
        end = span.stop
    return "".join((*parts, text[end:])), Counter(span.identifier for span in spans)


def find_identifiers(text: str, names: Iterable[str] = ()) -> list[IdentifierSpan]:
    """The identifiers of a text in order of place; spans that overlap come as one, under the first pattern's kind."""
    kept = [match.span() for pattern in PROTECTED for match in pattern.finditer(text)]
    found = [span for span in _matches(text, names) if not _inside_any(span, kept)]
    return _merged(sorted(found, key=lambda span: (span.start, -span.stop)))


def _matches(text: str, names: Iterable[str]) -> Iterator[IdentifierSpan]:
    if (name_pattern := _name_pattern(names)) is not None:
        for match in name_pattern.finditer(text):
            yield IdentifierSpan(*match.span(), Identifier.NAME, Identifier.NAME.label)
    for identifier, pattern in PATTERNS:
        for match in pattern.finditer(text):
            yield IdentifierSpan(*match.span(), identifier, identifier.label)
    for match in OVER_89.finditer(text):
        yield IdentifierSpan(*match.span(), Identifier.DATE_OR_AGE, "[AGE OVER 89]")


def _name_pattern(names: Iterable[str]) -> re.Pattern[str] | None:
    # A claim carries "DOE, JANE A"; the note says "Jane". Every word of the field goes, initials excepted.
    words = {word for name in names if name for word in re.findall(r"[^\W\d_][\w'’-]*", name) if len(word) > 1}
    if not words:
        return None
    longest_first = sorted(words, key=lambda word: (-len(word), word))
    return re.compile(rf"\b(?:{'|'.join(map(re.escape, longest_first))})\b", re.IGNORECASE)


def _inside_any(span: IdentifierSpan, kept: list[tuple[int, int]]) -> bool:
    return any(start <= span.start and span.stop <= stop for start, stop in kept)


def _merged(spans: list[IdentifierSpan]) -> list[IdentifierSpan]:
    merged: list[IdentifierSpan] = []
    for span in spans:
        last = merged[-1] if merged else None
        if last is not None and span.start < last.stop:
            merged[-1] = IdentifierSpan(last.start, max(last.stop, span.stop), last.identifier, last.replacement)
        else:
            merged.append(span)
    return merged
