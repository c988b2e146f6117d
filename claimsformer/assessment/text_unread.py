"""What a sentence says that its claim does not: words that no table knows, numbers that were not read, what it denies.

A verdict on half a sentence is worth nothing to whoever believes that all of it was read, so everything left out is named.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

__all__ = ["AGE", "ICD10", "denial", "dollars_in_front", "is_age", "left_over", "read_amounts", "sex_of"]

AGE: Final = r"\b(?:([0-9]{1,3})[- ]?(?:years?[- ]old|year[- ]old|yo\b|y/o)|aged? ([0-9]{1,3})\b)"
ICD10: Final = re.compile(r"(?<![a-z0-9.])[a-tv-z][0-9][0-9ab](?:\.[0-9a-z]{1,4})?(?![a-z0-9.]*[a-z0-9])")
# Nouns before pronouns, which may be about somebody else.
_SEX: Final = (
    {"F": r"woman|female|girl", "M": r"man|male|boy"},
    {"F": r"she|her|mother", "M": r"he|his|father"},
)
# Words that say nothing about the claim; what else is left over was not understood.
_NEUTRAL: Final = re.compile(
    r"[0-9]+x|a|about|after|also|an|are|at|bill|billed|by|charged?|claim|codes?|costs?|daily|days?|diagnosed|diagnosis|dx|from"
    r"|had|has|he|her|his|i|in|insured|is|it|its|member|mg|my|no|of|old|on|once?|one|or|our|patients?|per|person|prescribed"
    r"|prescription|received|rx|she|supply|takes?|taking|that|the|their|they|this|to|total|treated|treatment|twice|usd|visit"
    r"|was|we|were|which|who|years?"
)
# Nothing new beside a name that was read.
_BESIDE: Final = {"disease", "disorder", "operation", "procedure", "scan", "session", "surgery", "test", "therapy"}
_DENIED: Final = re.compile(
    r"\b(?:no|not|without|denies|denied|neither|never|negative for|free of|rules? out|ruled out|instead of|family history of)"
    r"(?: (?:any|known|a|an|the|current|longer|had|(?:signs?|evidence|history|symptoms|diagnosis) of))*"
    r"(?: [\w' -]+ (?:or|nor))? $"
)
_DENIED_AFTER: Final = re.compile(r" (?:(?:is|was|were|has been) )?(?:ruled out|denied|absent)\b")
_NEAR: Final = 80  # characters within which a denial is looked for
_DOLLARS_AFTER: Final = re.compile(
    r"(?<![\w$.,-])((?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]{1,2})?) ?(?:dollars?\b|usd\b|\$(?! ?[0-9]))", re.I
)
_OTHER_NUMBER_BEFORE: Final = re.compile(r"(?:^|[\s(])-$|\$ ?[0-9.,]+ ?(?:-|to) ?$")
_OTHER_NUMBER_AFTER: Final = re.compile(
    r" ?(?:k|m|bn|thousand|million|billion)\b| ?(?:-|to) ?\$|\.[0-9]{3}"
    r"| [0-9]{3}(?![\w.,]| ?(?:mc?g|g|ml|tab|cap|puff|vial|patch|unit|day|week|month))",
    re.I,
)


def dollars_in_front(text: str) -> str:
    """The text with `150 dollars`, `150 USD` and `150$` written as `$150`."""
    return _DOLLARS_AFTER.sub(r"$\1", text)


def denial(text: str, start: int, stop: int) -> tuple[int, int] | None:
    """Where the words stand by which a text in lower case denies what stands at these places, with these; None where it
    does not."""
    first = max(0, start - _NEAR)
    before, after = _DENIED.search(text[first:start]), _DENIED_AFTER.match(text[stop : stop + _NEAR])
    if before is None and after is None:
        return None
    return first + before.start() if before else start, stop + (after.end() if after else 0)


def read_amounts(text: str, places: Sequence[tuple[int, int]]) -> tuple[list[Decimal], list[str]]:
    """US dollars at these places, and what is no such amount: another currency, a negative one, thousands by a letter, one
    end of a range."""
    amounts, unread = [], []
    for start, stop in places:
        written = text[start:stop].strip()
        amount = Decimal(re.sub(r"[^0-9.]", "", written))
        before, after = text[max(0, start - _NEAR) : stop - len(written)], text[stop : stop + _NEAR]
        other = _OTHER_NUMBER_BEFORE.search(before) or _OTHER_NUMBER_AFTER.match(after)
        if not re.match(r"(?i)\$|usd", written) or other or amount != round(amount, 2):
            unread.append(f"amount {written}")
        else:
            amounts.append(amount)
    return amounts, unread


def sex_of(text: str) -> tuple[str | None, list[str]]:
    """The sex that a text in lower case names, and a note where it names both."""
    for words in _SEX:
        named = [sex for sex, pattern in words.items() if re.search(rf"\b(?:{pattern})\b", text)]
        if named:
            return (named[0], []) if len(named) == 1 else (None, ["the sex, since both are named"])
    return None, []


def left_over(rest: str, read: Sequence[tuple[int, int]]) -> list[str]:
    """The words and numbers that no pattern and no table knows, those that stand together as one."""
    for start, stop in read:
        rest = rest[:start] + ";" * (stop - start) + rest[stop:]
    rest = ICD10.sub(" ; ", rest)
    rest = re.sub(AGE, lambda age: " ; " if is_age(age) else age[0], rest)
    sexes = "|".join(pattern for words in _SEX for pattern in words.values())
    rest = re.sub(rf"\b(?:{sexes})\b", " ", rest)
    runs = re.split(r"[;:!?()]|[.,](?![0-9])|\s-\s|\band\b|\bwith\b|\bfor\b", rest)
    token = r"[$\u20ac\u00a3]?-?[^\W_](?:[\w'%/-]|[.,](?=[0-9]))*[$\u20ac\u00a3]?"
    told = [" ".join(word for word in re.findall(token, run) if not _NEUTRAL.fullmatch(word)) for run in runs]
    return [words for words in told if words and words not in _BESIDE]


def is_age(match: re.Match[str]) -> bool:
    """Whether what `AGE` found is the age of a person."""
    return int(match[1] or match[2]) < 120
