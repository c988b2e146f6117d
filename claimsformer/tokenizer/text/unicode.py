"""Unicode general categories for `re`, which has no `\\p{L}`: each character is replaced by a stand-in of its category.

ASCII stands for itself; every other code point becomes one of the characters U+0080 to U+00FF, one a general category
(and one each for white space and the few characters that a pattern names). The stand-in text has the length of the
original, so the spans of a match on the one are spans of the other. Categories are those of the running Python's
`unicodedata`.
"""

from __future__ import annotations

import unicodedata
from functools import cache

import numpy as np
import numpy.typing as npt

__all__ = ["CATEGORIES", "NAMED", "SPACES", "category_of", "stand_in_text", "units_of_category"]

CATEGORIES = (
    *("Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po"),
    *("Sm", "Sc", "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co", "Cn"),
)
# Characters with the property White_Space (`str.isspace` would add U+001C to U+001F).
SPACES = frozenset(
    [*range(9, 14), 32, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000]
)
# Characters beyond ASCII with a stand-in of their own: case variants of s and k, micro, mu, degree, euro, pound,
# multiplication.
NAMED = "\u017f\u212a\u00b5\u03bc\u00b0\u20ac\u00a3\u00d7"

_FIRST = 0x80
_CONTROL_SPACE = _FIRST + len(CATEGORIES)  # U+0085, the one white space that is a control character
_NAMED_FIRST = _CONTROL_SPACE + 1
# Code points from here to the private planes are unassigned, but for the tags and variation selectors of plane 14.
_LAST_LETTER_PLANE = 0x40000


@cache
def _table() -> npt.NDArray[np.uint8]:
    """(0x110000,) code point to stand-in."""
    index = {name: _FIRST + number for number, name in enumerate(CATEGORIES)}
    table = np.full(0x110000, index["Cn"], dtype=np.uint8)
    table[:128] = np.arange(128)
    for first, last in ((128, _LAST_LETTER_PLANE), (0xE0000, 0xE0200)):
        table[first:last] = [index[unicodedata.category(chr(code))] for code in range(first, last)]
    table[0xF0000:] = [index["Co"]]
    table[[0xFFFFE, 0xFFFFF, 0x10FFFE, 0x10FFFF]] = index["Cn"]
    table[0x85] = _CONTROL_SPACE
    for number, character in enumerate(NAMED):
        table[ord(character)] = _NAMED_FIRST + number
    return table


def stand_in_text(text: str) -> str:
    """The text with every character beyond ASCII replaced by its stand-in."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    return _table()[codes].tobytes().decode("latin-1")


def category_of(unit: int) -> str:
    """General category of a character of stand-in text, given as its code (0 to 255)."""
    if unit < _FIRST:
        return unicodedata.category(chr(unit))
    if unit < _CONTROL_SPACE:
        return CATEGORIES[unit - _FIRST]
    if unit == _CONTROL_SPACE:
        return "Cc"
    named = unit - _NAMED_FIRST
    return unicodedata.category(NAMED[named]) if named < len(NAMED) else "Cn"


def is_space(unit: int) -> bool:
    """Whether a character of stand-in text is white space."""
    return unit in range(9, 14) or unit in (32, _CONTROL_SPACE) or (unit >= _FIRST and category_of(unit)[0] == "Z")


def named_unit(character: str) -> int | None:
    """The stand-in of a character with one of its own, None for the others."""
    number = NAMED.find(character)
    return None if number < 0 else _NAMED_FIRST + number


@cache
def units_of_category(name: str) -> frozenset[int]:
    """The characters of stand-in text in a category (`Lu`) or a group of categories (`L`)."""
    return frozenset(unit for unit in range(256) if category_of(unit).startswith(name))
