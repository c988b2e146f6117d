"""Files of records (JSON, X12): one claim at a time into batches, with the same counts and rejects as tables."""

import codecs
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from claimsformer.claims.frames import to_frame
from claimsformer.claims.readers.csv_source import BLOCK, open_bytes, read_block
from claimsformer.claims.readers.rejects import Problem
from claimsformer.claims.readers.tabular import Parsed
from claimsformer.claims.schema import Claim
from claimsformer.errors import FormatError

__all__ = ["Refused", "Record", "record_batches", "lines_of"]


@dataclass
class Refused:
    """A record that is no claim: (field, raw value, reason) of each problem."""

    problems: list[tuple[str, str | None, str]]


Record = tuple[int, Claim | Refused]  # place in the file, and what was found there


def lines_of(path: Path, limit: int = 1 << 26) -> Iterator[tuple[int, bytes | None]]:
    """(line number, line) of a text file, blank lines left out; None for a line longer than `limit` bytes."""
    number, rest = 0, b""
    with open_bytes(path) as file:
        while True:
            block = read_block(file, BLOCK)
            parts = (rest + block).split(b"\n")
            rest = parts.pop() if block else b""
            for part in parts:
                number += 1
                line = part.removeprefix(codecs.BOM_UTF8) if number == 1 else part
                if line.strip():
                    yield number, line
            if len(rest) > limit:
                yield number + 1, None
                return
            if not block:
                return


def _reader(format: str) -> Callable[[Path], Iterator[Record]]:
    if format == "fhir":
        from claimsformer.claims.readers.fhir import fhir_records

        return fhir_records
    if format == "x12":
        from claimsformer.claims.readers.x12 import x12_records

        return x12_records
    if format == "synthea":
        from claimsformer.claims.readers.synthea import synthea_records

        return synthea_records
    if format == "ndjson":
        from claimsformer.claims.readers.ndjson import ndjson_records

        return ndjson_records
    raise FormatError(f"{format!r} is not a format of records")


def record_batches(path: Path, format: str, batch_size: int) -> Iterator[Parsed]:
    """The records of a file in batches of at most `batch_size` claims."""
    claims: list[Claim] = []
    rows: list[int] = []
    problems: list[Problem] = []
    n_refused = 0
    for row, record in _reader(format)(path):
        if isinstance(record, Claim):
            claims.append(record)
            rows.append(row)
        else:
            n_refused += 1
            problems += [(row, field, value, reason) for field, value, reason in record.problems]
        if len(claims) >= batch_size or n_refused >= batch_size:
            yield _batch(claims, rows, problems, n_refused)
            claims, rows, problems, n_refused = [], [], [], 0
    yield _batch(claims, rows, problems, n_refused)


def _batch(claims: list[Claim], rows: list[int], problems: list[Problem], n_refused: int) -> Parsed:
    bad = pl.repeat(False, len(claims), dtype=pl.Boolean, eager=True)
    return Parsed(to_frame(claims), pl.Series("row", rows, dtype=pl.Int64), bad, problems, n_refused)
