"""The patterns by which medical units are recognised.

Written for `re` on ASCII; `unit_pattern` joins them into one split pattern. A unit may start with one space and never
starts or ends within a word. Every unit holds a digit, a space between words or is an abbreviation of how often (`bid`,
`prn`), so hardly an ordinary word can be taken for one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["UNITS", "classify", "unit_pattern"]

# Every repeat is bounded, so that no text makes the search quadratic.
_NUMBER = r"[0-9]{1,3}(?:,[0-9]{3}){1,4}(?:\.[0-9]{1,6})?|[0-9]{1,12}(?:\.[0-9]{1,6})?"
_TIME = r"(?i:hours?|hrs?|h|minutes?|mins?|days?|d|weeks?|wks?|months?|mos?|years?(?:[- ]old)?|yrs?|y/o|yo)"
_AMOUNT = (
    r"(?i:mcg|mg|ug|[\u00b5\u03bc]g|ng|kg|g|ml|dl|cc|l|units?|unt|iu|meq|mmol|mol|tablets?|tabs?|capsules?|caps?|"
    r"puffs?|drops?|patch(?:es)?|vials?|sprays?|mmhg|mm ?hg|bpm|cm|mm|lbs?|oz|[\u00b0] ?[cf]|%)"
)
_ROUTE = r"oral|chewable|topical|nasal|ophthalmic|otic|rectal|vaginal|transdermal|sublingual|intravenous|subcutaneous"
_RELEASE = r"(?:delayed|extended|sustained|immediate|prolonged)[- ]release"
_FORM = (
    r"tablets?|capsules?|injections?|solutions?|suspensions?|syrups?|creams?|ointments?|gels?|lotions?|patch(?:es)?|"
    r"inhalers?|inhalants?|sprays?|drops|suppositor(?:y|ies)|lozenges?|powders?|auto-?injectors?|prefilled syringes?"
)
_MODIFIERS = r"(?:-[0-9A-Z]{2}){0,4}"
_ICD10 = r"[A-Z][0-9][0-9AB](?:\.[0-9A-Z]{1,4}|[0-9A-Z]{1,4})?"
_ICD9 = r"[0-9]{3}\.[0-9]{1,2}|E[0-9]{3}\.[0-9]"
_CPT = rf"(?:[0-9]{{5}}|[0-9]{{4}}[FTUMA]){_MODIFIERS}"
_HCPCS = rf"[A-CEGHJ-MP-V][0-9]{{4}}{_MODIFIERS}"
_NDC = r"[0-9]{4}-[0-9]{4}-[0-9]{2}|[0-9]{5}-[0-9]{3}-[0-9]{2}|[0-9]{5}-[0-9]{4}-[0-9]{1,2}"
# Whole names: "NovoLog 10 units" is no day of November.
_MONTH = (
    r"(?i:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|"
    r"oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
_MM, _DD = r"(?:1[0-2]|0?[1-9])", r"(?:3[01]|[12][0-9]|0?[1-9])"
_STATE = (
    r"(?:A[KLRZ]|C[AOT]|D[CE]|FL|GA|HI|I[ADLN]|K[SY]|LA|M[ADEINOST]|N[CDEHJMVY]|O[HKR]|PA|PR|RI|"
    r"S[CD]|T[NX]|UT|V[AT]|W[AIVY])"
)
_SIGN = r"(?i:blood pressure|bp|heart rate|hr|pulse|resp|rr|temp(?:erature)?|spo2|o2 sat|weight|wt|height|ht|bmi|a1c)"

# In the order in which they are tried; the first that matches decides.
_SOURCES = {
    "ndc": rf"{_NDC}|(?i:ndc)[ :#]{{1,2}}[0-9]{{10,11}}",
    "date": (
        rf"(?:19|20)[0-9]{{2}}[-/]{_MM}[-/]{_DD}|(?:{_MM}[/-]{_DD}|{_DD}[/-]{_MM})[/-](?:[0-9]{{4}}|[0-9]{{2}})|"
        r"(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])|"
        rf"{_MONTH} {_DD}(?:,? [0-9]{{4}})?|{_DD} {_MONTH} [0-9]{{4}}"
    ),
    "coded": (
        r"(?i:icd ?-?(?:9|10)(?:-?cm)?|dx[0-9]{0,2}|diagnosis|cpt|hcpcs)[ :#]{1,2}"
        rf"(?P<code>{_HCPCS}|{_CPT}|{_ICD10}|{_ICD9}|[0-9]{{3,5}})"
    ),
    "money": rf"(?:[$\u20ac\u00a3]|(?i:usd|eur) ?) ?(?:{_NUMBER})",
    "vital": (
        rf"{_SIGN}[ :=]{{1,2}}(?:[0-9]{{2,3}}/[0-9]{{2,3}}|[0-9]{{1,3}}(?:\.[0-9]{{1,2}})?)"
        rf"(?: ?{_AMOUNT}| [FC])?"
    ),
    "dose": (
        rf"(?:{_NUMBER})(?:-(?:{_NUMBER}))?[ -]?{_AMOUNT}"
        rf"(?:/(?:(?:{_NUMBER}) ?)?(?:{_AMOUNT}|{_TIME}|(?i:actuations?|dose))){{0,2}}"
    ),
    "duration": rf"(?:{_NUMBER})(?:-(?:{_NUMBER}))?[ -]?{_TIME}",
    "form": rf"(?:(?:ER|XR|XL|SR|DR|CR|LA|ODT) )?(?i:(?:{_RELEASE} )?(?:(?:{_ROUTE}) )?(?:{_FORM})|{_RELEASE})",
    "frequency": (
        r"(?i:q ?[0-9]{1,2}(?:-[0-9]{1,2})? ?(?:hours|hrs|hr|h)|"
        r"(?:once|twice|three times|four times|[0-9] times)(?: an?| per)? ?(?:daily|day|week(?:ly)?|month(?:ly)?)|"
        r"every (?:other day|day|morning|evening|night|[0-9]{1,2}(?:-[0-9]{1,2})? (?:hours?|days?|weeks?|months?))|"
        r"as needed|at bedtime|by mouth|[btq]id|[btq]\.i\.d\.|qd|q\.d\.|qod|qhs|qam|qpm|prn|p\.r\.n\.)"
    ),
    "hcpcs": _HCPCS,
    "icd10": _ICD10,
    "icd9": _ICD9,
    "address": rf"{_STATE} [0-9]{{5}}(?:-[0-9]{{4}})?",
    "cpt": _CPT,
}  # fmt: skip

_EDGE_BEFORE = r"(?<![\p{L}\p{N}])"
_EDGE_AFTER = r"(?![\p{L}\p{N}])"
# A code or number does not end within a longer number (`250.0` in `250.007`, `99213` in `99213-4567`).
_NUMBER_AFTER = r"(?![.,/-]?[0-9])"
# Words, digits by three, marks (but the currency sign of an amount), white space: as in current byte-level tokenizers.
_MARKS = r"(?:[^\s\p{L}\p{N}$\u20ac\u00a3]|[$\u20ac\u00a3](?! ?[0-9]))+"
_WORDS = rf"'(?:[sdmt]|ll|ve|re)| ?\p{{L}}+| ?\p{{N}}{{1,3}}| ?{_MARKS}|\s+(?!\S)|\s+|[^\s]"

UNITS: dict[str, re.Pattern[str]] = {name: re.compile(f" ?(?:{source})", re.ASCII) for name, source in _SOURCES.items()}


def unit_pattern(phrases: Iterable[str] = ()) -> str:
    """One split pattern for units, phrases (drug names of several words) and ordinary words."""
    units = [source.replace("(?P<code>", "(?:") for source in _SOURCES.values()]
    longest_first = sorted(phrases, key=lambda phrase: (-len(phrase), phrase))
    units += [rf"(?i:{re.escape(phrase)})" for phrase in longest_first]
    return rf" ?{_EDGE_BEFORE}(?:{'|'.join(units)}){_EDGE_AFTER}{_NUMBER_AFTER}|{_WORDS}"


def classify(piece: str, drugs: frozenset[str]) -> str | None:
    """The kind of a piece of text by itself; None for an ordinary word."""
    name = piece.removeprefix(" ").lower()
    if name in drugs:
        return "drug"
    if len(piece) < 2:
        return None
    return next((kind for kind, pattern in UNITS.items() if pattern.fullmatch(piece)), None)
