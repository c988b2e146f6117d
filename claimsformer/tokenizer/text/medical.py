"""Medical text cut where its meaning is: codes, doses, dates, money and vital signs are units with pieces.

Two steps. `MedicalSplitter` cuts text into units and ordinary words with one pattern. `MedicalModel` cuts a unit into
pieces and encodes them: a code becomes a *marker* (its system and chapter, a token that spells nothing, or the space
before the code), its category, and the rest; a drug name is one piece; numbers go in groups of at most three digits.
The pieces of a unit always spell it, so nothing is ever lost, whatever the patterns take a text for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from claimsformer.tokenizer.codes import (
    CPT_SECTIONS,
    ICD9_CHAPTERS,
    ICD10_CHAPTERS,
    cpt_section,
    icd9_chapter,
    icd10_chapter,
)
from claimsformer.tokenizer.text.bpe import BytePairModel
from claimsformer.tokenizer.text.bytes import encode_bytes
from claimsformer.tokenizer.text.drugs import DEFAULT_DRUGS
from claimsformer.tokenizer.text.medical_patterns import UNITS, classify, unit_pattern
from claimsformer.tokenizer.text.models import character_spans
from claimsformer.tokenizer.text.patterns import SplitPattern

__all__ = ["MARKERS", "MedicalModel", "MedicalSplitter", "Piece", "Unit", "pieces_of"]

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
MARKERS: tuple[str, ...] = (
    *(f"<icd10:{chapter}>" for chapter in (*ICD10_CHAPTERS, "?")),
    *(f"<icd9:{chapter}>" for chapter in (*ICD9_CHAPTERS, "V", "E", "?")),
    *(f"<cpt:{section}>" for section in CPT_SECTIONS),
    *(f"<hcpcs:{letter}>" for letter in _LETTERS),
    "<ndc>",
)
SPACED = " "  # a marker's token with this at its end stands for the marker and the space before the code


class Piece(NamedTuple):
    """A part of a unit: what it spells, and the marker's token when it is one."""

    text: str
    marker: str | None = None


class Unit(NamedTuple):
    """A recognised unit of a text: its kind and its characters."""

    kind: str
    start: int
    stop: int


class MedicalSplitter:
    """Cuts text into medical units and ordinary words; every character is in exactly one piece."""

    def __init__(self, drugs: Iterable[str] = DEFAULT_DRUGS) -> None:
        self.drugs = frozenset(name.lower() for name in drugs)
        self._pattern = SplitPattern(unit_pattern(name for name in self.drugs if " " in name))
        self.pieces = self._pattern.pieces
        self.spans = self._pattern.spans

    def units(self, text: str) -> list[Unit]:
        """The medical units of a text: `Unit("icd10", 10, 15)`; ordinary words are left out."""
        found = []
        for start, stop in self.spans(text):
            piece = text[start:stop]
            kind = classify(piece, self.drugs)
            if kind is not None:
                found.append(Unit(kind, start + (piece[0] == " "), stop))
        return found


def pieces_of(unit: str, drugs: frozenset[str]) -> list[Piece]:
    """The pieces of a unit or word; together they spell it."""
    kind = classify(unit, drugs)
    if kind is None or kind in {"drug", "frequency"}:
        return [Piece(unit)]
    if kind == "coded":
        code = UNITS["coded"].match(unit)
        assert code is not None
        head = [Piece(text) for text in re.findall(r" ?[A-Za-z]+|[0-9]+|[^A-Za-z0-9]", unit[: code.start("code")])]
        if head and head[-1].text == " ":
            return head[:-1] + _code(" " + code["code"], _system_of(code["code"], unit))
        return head + _code(code["code"], _system_of(code["code"], unit))
    if kind in {"icd10", "icd9", "hcpcs", "cpt", "ndc"}:
        return _code(unit, kind)
    return [Piece(text) for text in _plain_parts(unit, kind)]


def _system_of(code: str, unit: str) -> str:
    """The system of a code after a key word such as `ICD-10` or `CPT`; where they disagree its form decides."""
    if re.search("cpt|hcpcs", unit, re.IGNORECASE):
        if code[0].isalpha():
            return "hcpcs"
        if code[:4].isdigit():
            return "cpt"
    return "icd9" if code[0].isdigit() else "icd10"


def _code(unit: str, system: str) -> list[Piece]:
    """Marker, category, rest."""
    space, code = (" ", unit[1:]) if unit.startswith(" ") else ("", unit)
    marker, width = _marker_and_width(code, system)
    parts = [code[:width], *re.findall(r"[-. ]?[0-9A-Za-z]{1,4}|[-. :#]", code[width:])]
    return [Piece(space, marker + space), *(Piece(part) for part in parts if part)]


def _marker_and_width(code: str, system: str) -> tuple[str, int]:
    if system == "icd10":
        return f"<icd10:{icd10_chapter(code)}>", 3
    if system == "icd9":
        return f"<icd9:{icd9_chapter(code)}>", 4 if code.startswith("E") else 3
    if system == "cpt":
        return f"<cpt:{cpt_section(code)}>", 3
    if system == "hcpcs":
        return f"<hcpcs:{code[0]}>", 3
    labeler = code.find("-")
    return "<ndc>", labeler if labeler > 0 else 5


def _plain_parts(unit: str, kind: str) -> list[str]:
    if kind == "date":
        return re.findall(r"[-/ ]?[0-9]{1,4}|,? ?[A-Za-z]+|[^A-Za-z0-9]", unit)
    # Digits in groups of three from the right, with the separator before them; a unit of measure is one piece.
    return re.findall(r"[ .,/-]?[0-9]{1,3}(?=(?:[0-9]{3})*(?![0-9]))|[ /]?[^\W\d_]+| ?[^\w\s]|[\s\S]", unit)


class MedicalModel:
    """Byte-pair encoding of the pieces of medical units, markers as ids of their own."""

    def __init__(
        self, bpe: BytePairModel, lengths: Mapping[int, int], markers: Mapping[str, int], drugs: Iterable[str]
    ) -> None:
        self.bpe = bpe
        self.markers = dict(markers)
        spelled = set(self.markers.values())
        self.lengths = {index: length for index, length in lengths.items() if index not in spelled}
        self.drugs = frozenset(name.lower() for name in drugs)

    def _pairs(self, unit: str) -> list[tuple[str, list[int]]]:
        pieces = pieces_of(unit, self.drugs)
        if "".join(piece.text for piece in pieces) != unit:
            raise AssertionError(f"pieces of a unit must spell it, got {pieces} for {unit!r}")
        return [
            (piece.text, [self.markers[piece.marker]] if piece.marker else self.bpe.encode(encode_bytes(piece.text)))
            for piece in pieces
        ]

    def ids(self, piece: str) -> tuple[int, ...]:
        """The ids of a unit or word."""
        return tuple(index for _, ids in self._pairs(piece) for index in ids)

    def spans(self, piece: str) -> list[tuple[int, int]]:
        """The characters of each; a marker without a space covers none."""
        spans: list[tuple[int, int]] = []
        at = 0
        for text, ids in self._pairs(piece):
            lengths = [self.lengths.get(index, len(text)) for index in ids]
            spans += [(at + a, at + b) for a, b in character_spans(text, lengths)]
            at += len(text)
        return spans
