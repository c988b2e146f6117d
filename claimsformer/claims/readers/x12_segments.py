"""X12 as a stream of segments: separators from the ISA, elements by number, errors that name segment, element and
position.

Tolerant of what happens in practice (line breaks after terminators, ISA fields of the wrong width) and of nothing
that could change a claim. Only what claims need: ASC X12 005010X222, X223 and X221.
"""

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from claimsformer.claims.readers.csv_source import BLOCK, open_bytes, read_block
from claimsformer.errors import SegmentError

__all__ = ["Segment", "segments_of"]

_MONEY = re.compile(r"-?(\d{1,10}(\.\d{0,2})?|\.\d{1,2})")
_NUMBER = re.compile(r"\d{1,9}(\.\d{0,6})?|\.\d{1,6}")


@dataclass(frozen=True)
class Segment:
    """One segment: its elements (0 is the name), its place in the file from 1, and the separator of components."""

    elements: list[str]
    position: int
    component: str = ":"
    composites: dict[str, str] = field(
        default_factory=dict
    )  # shared by a transaction: the separator found in CLM05, if another

    @property
    def name(self) -> str:
        return self.elements[0]

    def __getitem__(self, element: int) -> str:
        """The element as text, empty when absent."""
        return self.elements[element].strip() if element < len(self.elements) else ""

    def error(self, element: int, reason: str) -> SegmentError:
        """A SegmentError at this element; the reason must not repeat a value."""
        return SegmentError(self.name, element, self.position, reason)

    def need(self, element: int, what: str) -> str:
        """The element, or a SegmentError that says what is missing."""
        return self[element] or self._missing(element, what)

    def _missing(self, element: int, what: str) -> str:
        raise self.error(element, f"is empty, expected {what}")

    def parts(self, element: int) -> list[str]:
        """The components of a composite element."""
        text = self[element]
        separator = self.component if self.component in text else self.composites.get("separator", self.component)
        return [part.strip() for part in text.split(separator)]

    def money(self, element: int) -> Decimal | None:
        """An amount in US dollars, None when empty."""
        if self[element] and not _MONEY.fullmatch(self[element]):
            raise self.error(element, "is not an amount in US dollars")
        return Decimal(self[element]) if self[element] else None

    def number(self, element: int) -> float | None:
        """A number that is not negative, None when empty."""
        if self[element] and not _NUMBER.fullmatch(self[element]):
            raise self.error(element, "is not a number")
        return float(self[element]) if self[element] else None

    def date(self, element: int) -> dt.date:
        """A date CCYYMMDD; what follows it (a time) is left out."""
        return self._day(element, self[element][:8])

    def _day(self, element: int, text: str) -> dt.date:
        if not re.fullmatch(r"[0-9]{8}", text):
            raise self.error(element, "is not a date CCYYMMDD")
        try:
            return dt.date(int(text[:4]), int(text[4:6]), int(text[6:]))
        except ValueError:
            raise self.error(element, "is not a date CCYYMMDD") from None

    def period(self, kind: int, element: int) -> tuple[dt.date, dt.date]:
        """The days of a DTP: D8 one day, RD8 from-thru, DT a day with its time."""
        form, text = self[kind], self[element]
        if form == "RD8":
            start, dash, end = text.partition("-")
            if not dash:
                raise self.error(element, "is not a range CCYYMMDD-CCYYMMDD")
            return self._day(element, start), self._day(element, end)
        if not ((form == "D8" and len(text) == 8) or (form == "DT" and re.fullmatch(r"[0-9]{12}([0-9]{2})?", text))):
            raise self.error(
                kind if form not in ("D8", "DT") else element, "is not a date in one of the forms D8, RD8, DT"
            )
        day = self.date(element)
        return day, day


def segments_of(path: Path) -> Iterator[Segment]:
    """The segments of a file, one by one; raises SegmentError when its envelope gives no separators."""
    with open_bytes(path) as file:
        buffer = read_block(file, BLOCK).lstrip(b"\xef\xbb\xbf \t\r\n")
        separator, component, terminator = _separators(buffer)
        position = 0
        while buffer:
            *done, rest = buffer.split(terminator)
            for raw in done:
                position += 1
                elements = raw.decode("utf-8", errors="replace").strip().split(separator)
                if elements == [""]:
                    position -= 1
                    continue
                if elements[0] == "ISA" and position > 1 and elements[-1] != component:
                    raise SegmentError(
                        "ISA", 16, position, "announces other separators than the first interchange of the file"
                    )
                yield Segment(elements, position, component)
            block = read_block(file, BLOCK)
            if not block:
                if rest.strip():
                    raise SegmentError(
                        _name(rest, separator), 0, position + 1, "is not closed by a terminator; the file is cut off"
                    )
                return
            buffer = rest + block
            if len(rest) > 1 << 20:
                raise SegmentError(
                    _name(rest, separator), 0, position + 1, "is longer than 1 MiB; a terminator is missing"
                )


def _name(raw: bytes, separator: str) -> str:
    name = raw.strip().decode("utf-8", errors="replace").split(separator)[0]
    return name if re.fullmatch(r"[A-Z][A-Z0-9]{1,2}", name) else "segment"


def _separators(head: bytes) -> tuple[str, str, bytes]:
    """Element separator, component separator, terminator."""
    text = head[:400].decode("latin-1")
    separator = text[3:4]
    if text[:3] != "ISA" or not separator or separator.isalnum() or separator.isspace():
        raise SegmentError("ISA", 0, 1, "is not how the file begins; this is not an X12 interchange")
    parts = text.split(separator, 16)
    if len(parts) < 17 or len(parts[16]) < 2:
        raise SegmentError("ISA", 16, 1, "is missing; the envelope has fewer than 16 elements")
    component, terminator = parts[16][0], parts[16][1]
    if not terminator.strip() and "\n" not in parts[16][:3]:
        raise SegmentError("ISA", 16, 1, "is not followed by a terminator of segments")
    if len({separator, component, terminator}) < 3 or component.isalnum() or terminator.isalnum():
        raise SegmentError("ISA", 16, 1, "does not give three different separators")
    return separator, component, terminator.encode("latin-1")
