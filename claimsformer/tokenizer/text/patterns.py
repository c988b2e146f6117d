"""Split patterns in the dialect of the `regex` module and of Oniguruma, compiled to `re` over stand-in text.

Understood: `\\p{L}` and its kind, `\\s \\d \\r \\n \\t`, character classes, groups, look-around, `(?i:...)`, every
quantifier. What `re` and these dialects define differently on non-ASCII text (`\\w`, `\\b`, `^`, `$`) is refused
rather than approximated.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from claimsformer.tokenizer.base import TokenizerError
from claimsformer.tokenizer.text.unicode import is_space, named_unit, stand_in_text, units_of_category

__all__ = ["GPT2_SPLIT", "SplitPattern"]

GPT2_SPLIT = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"

_ALL = frozenset(range(256))
_SPACE = frozenset(unit for unit in range(256) if is_space(unit))
_CONTROLS = {"n": 10, "r": 13, "t": 9, "f": 12, "v": 11, "0": 0}
_GROUP = re.compile(r"\((?:\?(?:i:|[:=!>]|<[=!]))?")
_QUANTIFIER = re.compile(r"(?:[*+?]|\{[0-9]*,?[0-9]*\})[?+]?")


class SplitPattern:
    """A compiled pattern whose matches are found in any text; `source` is the pattern as written."""

    def __init__(self, source: str) -> None:
        self.source = source
        self._re = _compile(source)
        self._findall = self._re.findall

    def pieces(self, text: str) -> list[str]:
        """The matches, in order; the pattern must have no capturing group and match every character."""
        if text.isascii():
            return self._findall(text)
        return [text[start:stop] for start, stop in self.spans(text)]

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Start and end of each match."""
        text = text if text.isascii() else stand_in_text(text)
        return [match.span() for match in self._re.finditer(text)]


@cache
def _compile(source: str) -> re.Pattern[str]:
    return re.compile(_Translation(source).result(), re.DOTALL)


class _Translation:
    def __init__(self, source: str) -> None:
        self.source = source
        self.at = 0
        self.ignore_case: list[bool] = [False]

    def result(self) -> str:
        parts = []
        while self.at < len(self.source):
            parts.append(self._next())
        return "".join(parts)

    def _refuse(self, what: str) -> TokenizerError:
        near = self.source[max(0, self.at - 20) : self.at + 20]
        return TokenizerError(f"split pattern: {what} (near {near!r}) is not supported")

    def _next(self) -> str:
        character = self.source[self.at]
        if character == "(":
            return self._open()
        if character == ")":
            self.ignore_case.pop()
        if character in ")|":
            self.at += 1
            return character
        quantifier = _QUANTIFIER.match(self.source, self.at)
        if quantifier:
            self.at = quantifier.end()
            return quantifier.group()
        if character in "^$":
            raise self._refuse(f"the anchor {character!r}")
        return _charset(self._set())

    def _open(self) -> str:
        group = _GROUP.match(self.source, self.at)
        assert group is not None
        text = group.group()
        if text == "(" and self.source.startswith("(?", self.at):
            raise self._refuse(f"the group {self.source[self.at : self.at + 4]!r}")
        self.ignore_case.append(self.ignore_case[-1] or text == "(?i:")
        self.at = group.end()
        return "(?:" if text in {"(", "(?i:"} else text

    def _set(self) -> frozenset[int]:
        """The set of characters that the next element (a literal, an escape or a class) stands for."""
        character = self.source[self.at]
        if character == "[":
            units = self._class()
        elif character == "\\":
            units = self._escape()
        elif character == ".":
            self.at += 1
            units = _ALL - {10}
        else:
            self.at += 1
            units = frozenset([self._unit(character)])
        return _both_cases(units) if self.ignore_case[-1] else units

    def _unit(self, character: str) -> int:
        unit = ord(character) if character.isascii() else named_unit(character)
        if unit is None:
            raise self._refuse(f"the literal {character!r}")
        return unit

    def _escape(self) -> frozenset[int]:
        letter = self.source[self.at + 1]
        self.at += 2
        if letter in "pP":
            end = self.source.index("}", self.at)
            name = self.source[self.at + 1 : end]
            units = units_of_category(name)
            if not units:
                raise self._refuse(f"the property {name!r}")
            self.at = end + 1
            return units if letter == "p" else _ALL - units
        if letter in "sS":
            return _SPACE if letter == "s" else _ALL - _SPACE
        if letter in "dD":
            digits = units_of_category("Nd")
            return digits if letter == "d" else _ALL - digits
        if letter in "ux":
            return frozenset([self._unit(self._hexadecimal(4 if letter == "u" else 2))])
        if letter in _CONTROLS:
            return frozenset([_CONTROLS[letter]])
        if letter.isalnum():
            raise self._refuse(f"the escape \\{letter}")
        return frozenset([self._unit(letter)])

    def _hexadecimal(self, digits: int) -> str:
        code = self.source[self.at : self.at + digits]
        if len(code) < digits or not set(code) <= set("0123456789abcdefABCDEF"):
            raise self._refuse(f"the escape \\{self.source[self.at - 1]}{code}")
        self.at += digits
        return chr(int(code, 16))

    def _class(self) -> frozenset[int]:
        self.at += 1
        negated = self.source[self.at] == "^"
        self.at += negated
        units: set[int] = set()
        while self.source[self.at] != "]":
            units |= self._class_item()
        self.at += 1
        if self.ignore_case[-1]:
            units = set(_both_cases(units))
        return _ALL - units if negated else frozenset(units)

    def _class_item(self) -> frozenset[int]:
        if self.source[self.at] == "[" or self.source.startswith("&&", self.at):
            raise self._refuse("a class within a class")
        low = self._class_end()
        if self.source[self.at] != "-" or self.source[self.at + 1] == "]" or len(low) != 1:
            return low
        self.at += 1
        high = self._class_end()
        first, last = min(low), max(high)
        if last > 127:
            raise self._refuse("a range beyond ASCII")
        return frozenset(range(first, last + 1))

    def _class_end(self) -> frozenset[int]:
        """One end of a range, or an item by itself."""
        if self.source[self.at] == "\\":
            return self._escape()
        self.at += 1
        return frozenset([self._unit(self.source[self.at - 1])])


def _both_cases(units: Iterable[int]) -> frozenset[int]:
    """Simple case folding: of ASCII letters, and of the long s and the Kelvin sign."""
    result = set(units)
    for unit in units:
        if unit < 128 and chr(unit).isalpha():
            result |= {ord(chr(unit).lower()), ord(chr(unit).upper())}
    for letter, other in (("s", "\u017f"), ("k", "\u212a")):
        variant = named_unit(other)
        if variant is not None and (ord(letter) in result or variant in result):
            result |= {ord(letter), ord(letter.upper()), variant}
    return frozenset(result)


def _charset(units: frozenset[int]) -> str:
    """A set as a character class of `re`, in ranges."""
    if len(units) == 1:
        return re.escape(chr(next(iter(units))))
    if units == _ALL:
        return "."
    ordered = sorted(units)
    ranges: list[list[int]] = []
    for unit in ordered:
        if ranges and ranges[-1][1] == unit - 1:
            ranges[-1][1] = unit
        else:
            ranges.append([unit, unit])
    if not ranges:
        return "(?!)"
    return "[" + "".join(f"\\x{a:02x}-\\x{b:02x}" if b > a else f"\\x{a:02x}" for a, b in ranges) + "]"
