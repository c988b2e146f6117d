"""Rejects: what was refused, where, and why, with values masked to their shape; and counts that always add up."""

import csv
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

from claimsformer.claims.kinds import IDENTIFYING, flat_schema, kind_of

__all__ = ["RejectLog", "mask", "Problem"]

Problem = tuple[int, str, str | None, str]  # row, field, raw value, reason
_SHORT_NUMBER = re.compile(r"-?[0-9]{0,6}(\.[0-9]{0,6})?")


def mask(field: str, value: str | None) -> str:
    """The shape of a value: letters become a or A, digits 9; short numbers in fields of numbers are shown as they
    are."""
    if value is None:
        return ""
    name = field if field in flat_schema() else field.replace("lines.", "line_")
    numeric = name in flat_schema() and name not in IDENTIFYING and kind_of(name) in {"money", "number", "whole"}
    if numeric and _SHORT_NUMBER.fullmatch(value):
        return value
    shape = "".join(
        "9"
        if c.isdigit()
        else "A"
        if c.isupper()
        else "a"
        if c.isalpha()
        else c
        if c.isascii() and c.isprintable()
        else "?"
        for c in value[:24]
    )
    return shape + ("..." if len(value) > 24 else "")


class RejectLog:
    """Counts of records read, accepted and rejected (read = accepted + rejected), and the rejects file if one is
    wanted."""

    def __init__(self, path: str | Path | None = None) -> None:
        self.path = Path(path) if path is not None else None
        self.read = self.accepted = self.rejected = 0
        self.reasons: Counter[tuple[str, str]] = Counter()
        self.first: list[tuple[int, str, str, str]] = []  # the first hundred, for messages
        self._file: IO[str] | None = None
        self._writer: Any = None

    def add(self, n_accepted: int, n_rejected: int, problems: Iterable[Problem]) -> None:
        """One batch: its counts, and (row, field, raw value, reason) of each problem; every rejected record has at
        least one."""
        self.read += n_accepted + n_rejected
        self.accepted += n_accepted
        self.rejected += n_rejected
        for row, field, value, reason in problems:
            entry = (row, field, mask(field, value), reason)
            self.reasons[field, reason] += 1
            if len(self.first) < 100:
                self.first.append(entry)
            self._write(entry)

    def _write(self, entry: tuple[int, str, str, str]) -> None:
        if self.path is None:
            return
        if self._file is None:
            self._file = self.path.open("w", newline="", encoding="utf-8")
            self._writer = csv.writer(self._file)
            self._writer.writerow(["row", "field", "value", "reason"])
        self._writer.writerow(entry)

    def close(self) -> None:
        """Finish the rejects file; it exists afterwards even if nothing was rejected."""
        if self.path is not None and self._file is None:
            self.path.write_text("row,field,value,reason\n", encoding="utf-8")
        if self._file is not None:
            self._file.close()
            self._file = None
            self.path = None
