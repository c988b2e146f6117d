"""What happens to text before it is split: Unicode normal forms, lower case, accents, BERT's cleaning.

A normalizer maps a string to a string; `Aligned` also says which part of the original each character came from.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from claimsformer.tokenizer.base import TokenizerError
from claimsformer.tokenizer.text.unicode import SPACES

__all__ = ["Normalizer", "align", "build_normalizer"]

Normalizer = Callable[[str], str]
Form = Literal["NFC", "NFD", "NFKC", "NFKD"]
_FORMS: tuple[Form, ...] = ("NFC", "NFD", "NFKC", "NFKD")

# Blocks of Chinese characters that BERT separates (Hangul, Hiragana and Katakana are written with spaces or left
# whole).
_CHINESE = (
    (0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F),
    (0x2B920, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F),
)  # fmt: skip


def build_normalizer(state: Mapping[str, Any] | None) -> Normalizer | None:
    """The normalizer of a `tokenizer.json`; raises TokenizerError for a type that is not supported."""
    if state is None:
        return None
    kind = state["type"]
    if kind in _FORMS:
        return _form(kind)
    if kind == "Lowercase":
        return _lower
    if kind == "StripAccents":
        return _strip_marks
    if kind == "BertNormalizer":
        return _bert(state)
    if kind == "Sequence":
        return _sequence([build_normalizer(part) for part in state["normalizers"]])
    raise TokenizerError(
        f"normalizer {kind!r} is not supported; NFC, NFD, NFKC, NFKD, Lowercase, StripAccents, Bert are"
    )


def align(normalizer: Normalizer, text: str) -> tuple[str, list[tuple[int, int]]]:
    """The normalized text, and for each of its characters the span of the original that it came from.

    Each base character is normalized together with its combining marks. Where that gives another text than
    normalizing the whole (it should not), every character is said to come from the whole.
    """
    parts: list[str] = []
    spans: list[tuple[int, int]] = []
    for start, stop in _clusters(text):
        part = normalizer(text[start:stop])
        parts.append(part)
        spans += (
            [(start, stop)] * len(part) if stop - start > 1 and len(part) != stop - start else _each(start, part, stop)
        )
    whole = normalizer(text)
    if "".join(parts) != whole:
        return whole, [(0, len(text))] * len(whole)
    return whole, spans


def _each(start: int, part: str, stop: int) -> list[tuple[int, int]]:
    if stop - start == 1:
        return [(start, stop)] * len(part)
    return [(start + k, start + k + 1) for k in range(len(part))]


def _clusters(text: str) -> list[tuple[int, int]]:
    starts = [i for i, c in enumerate(text) if i == 0 or not (unicodedata.combining(c) or "\u1160" <= c <= "\u11ff")]
    return list(zip(starts, [*starts[1:], len(text)], strict=True))


def _form(kind: Form) -> Normalizer:
    return lambda text: unicodedata.normalize(kind, text)


def _lower(text: str) -> str:
    """Lower case character by character (`str.lower` would write a final sigma by its context)."""
    return text.lower() if text.isascii() else "".join(character.lower() for character in text)


def _strip_marks(text: str) -> str:
    if text.isascii():
        return text
    return "".join(character for character in text if unicodedata.category(character) != "Mn")


def _sequence(parts: Sequence[Normalizer | None]) -> Normalizer:
    def apply(text: str) -> str:
        for part in parts:
            text = part(text) if part is not None else text
        return text

    return apply


def _bert(state: Mapping[str, Any]) -> Normalizer:
    """Clean control characters, set Chinese characters apart, strip accents, lower case: each as the options say."""
    lowercase = state.get("lowercase", True)
    strip = state.get("strip_accents")
    steps: list[Normalizer | None] = []
    if state.get("clean_text", True):
        steps.append(_clean)
    if state.get("handle_chinese_chars", True):
        steps.append(_separate_chinese)
    if lowercase if strip is None else strip:
        steps.append(lambda text: text if text.isascii() else _strip_marks(unicodedata.normalize("NFD", text)))
    if lowercase:
        steps.append(_lower)
    return _sequence(steps)


def _clean(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    kept = (character for character in text if not _is_noise(character))
    return "".join(" " if ord(character) in SPACES else character for character in kept)


def _is_noise(character: str) -> bool:
    if character in "\t\n\r":
        return False
    return character in "\0\ufffd" or unicodedata.category(character) in {"Cc", "Cf", "Co", "Cs"}


def _separate_chinese(text: str) -> str:
    if text.isascii():
        return text
    return "".join(f" {character} " if _is_chinese(ord(character)) else character for character in text)


def _is_chinese(code: int) -> bool:
    return any(first <= code <= last for first, last in _CHINESE)
