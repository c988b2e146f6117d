"""CSV in blocks of bytes: constant memory, gzip or not, and damage in one line stays in that line.

Each line is one row (a field holds no line break). Whether a line has the right number of fields is decided on the
bytes of a whole block at once; only lines that are sound go to the CSV parser, which would else shift or swallow
fields without a word.
"""

import gzip
import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt
import polars as pl

from claimsformer.errors import ReadError

__all__ = ["RawBatch", "open_bytes", "csv_header", "csv_batches"]

BLOCK = 1 << 23  # bytes

Bytes = npt.NDArray[np.uint8]
Flags = npt.NDArray[np.bool_]
Positions = npt.NDArray[np.int64]


@dataclass
class RawBatch:
    """Rows of text, the line number of each, and (line number, reason) of the lines that are no rows."""

    frame: pl.DataFrame
    rows: pl.Series
    broken: list[tuple[int, str]]


def open_bytes(path: Path) -> IO[bytes]:
    """The file's bytes, decompressed when it is gzip."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise ReadError(f"{path.name!r} cannot be opened: {error.strerror}") from None
    magic = file.read(2)
    file.seek(0)
    return gzip.GzipFile(fileobj=file) if magic == b"\x1f\x8b" else file  # type: ignore[return-value]


def read_block(file: IO[bytes], size: int = BLOCK) -> bytes:
    """Up to `size` bytes; raises ReadError when the compression is damaged."""
    try:
        return file.read(size)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ReadError(f"the compressed data is damaged: {error}") from None
    except OSError as error:
        raise ReadError(f"the file cannot be read: {error.strerror or error}") from None


def csv_header(first_line: bytes) -> tuple[list[str], str]:
    """Column names and the separator (comma, semicolon, tab or bar, whichever is most frequent)."""
    text = first_line.decode("utf-8-sig", errors="replace").rstrip("\r\n")
    separator = max(",;\t|", key=text.count)
    names = [name.strip().strip('"') for name in text.split(separator)]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ReadError(f"the header names {len(repeated)} column(s) twice", hint="Give each column a name of its own.")
    return names, separator


def csv_batches(path: Path, encoding: str = "utf-8") -> Iterator[RawBatch]:
    """The rows of a CSV file as text columns, one batch per block of 8 MiB.

    `encoding` is UTF-8, or one with a byte for each character, such as cp1252.
    """
    with open_bytes(path) as file:
        rest = _utf8(read_block(file), encoding)
        end = rest.find(b"\n")
        header_line, rest = (rest, b"") if end < 0 else (rest[: end + 1], rest[end + 1 :])
        names, separator = csv_header(header_line)
        line_number = 2
        empty = pl.DataFrame(schema=dict.fromkeys(names, pl.String()))
        yield RawBatch(empty, pl.Series("row", [], dtype=pl.Int64), [])  # so that the header is judged, rows or not
        while True:
            block = _utf8(read_block(file), encoding)
            cut = len(rest) if not block else rest.rfind(b"\n") + 1
            done, rest = rest[:cut], rest[cut:] + block
            if done:
                batch, n_lines = _parse(done, names, separator, line_number)
                line_number += n_lines
                yield batch
            if not block and not rest:
                return
            if len(rest) > 8 * BLOCK:
                raise ReadError(f"line {line_number} is longer than {8 * BLOCK} bytes; this is not a CSV file")


def _utf8(block: bytes, encoding: str) -> bytes:
    return block if encoding == "utf-8" else block.decode(encoding, errors="replace").encode()


def _parse(done: bytes, names: list[str], separator: str, first: int) -> tuple[RawBatch, int]:
    data = np.frombuffer(done if done.endswith(b"\n") else done + b"\n", dtype=np.uint8)
    ends = np.flatnonzero(data == ord("\n"))
    starts = np.concatenate([[0], ends[:-1] + 1])
    separators = data == ord(separator)
    if b'"' in done:
        quotes = np.concatenate([[0], np.cumsum(data == ord('"'), dtype=np.int64)])
        inside = (quotes[1:] - np.repeat(quotes[starts], ends - starts + 1)) % 2 == 1
        unclosed, stray = (quotes[ends] - quotes[starts]) % 2 == 1, _stray_quotes(data, inside, separator, starts)
        separators &= ~inside
    else:
        unclosed = stray = np.zeros(len(ends), dtype=bool)
    n_fields = np.add.reduceat(separators, starts, dtype=np.int64) + 1
    lengths = ends - starts
    blank = (lengths == 0) | ((lengths == 1) & (data[starts] == ord("\r")))
    faults = {
        "has a quotation mark that is not closed": unclosed,
        "has a quotation mark inside a field": stray,
        "holds a NUL byte": np.logical_or.reduceat(data == 0, starts),
        f"does not have {len(names)} fields": n_fields != len(names),
    }
    wrong: dict[int, str] = {}
    for reason, found in faults.items():
        for line in np.flatnonzero(found & ~blank):
            wrong.setdefault(int(line), reason)
    broken = [(first + line, reason) for line, reason in sorted(wrong.items())]
    sound = ~blank
    sound[list(wrong)] = False
    rows = np.flatnonzero(sound) + first
    text = done if sound.all() else data[np.repeat(sound, lengths + 1)].tobytes()
    frame, misread = _to_frame(text, names, separator, len(rows))
    if misread:
        broken += [(int(row), "is not readable as CSV") for row in rows]
        rows = rows[:0]
    return RawBatch(frame, pl.Series("row", rows, dtype=pl.Int64), broken), len(ends)


def _stray_quotes(data: Bytes, inside: Flags, separator: str, starts: Positions) -> Flags:
    """Lines where a quotation mark opens after, or closes before, something else than a separator or another mark."""
    positions = np.flatnonzero(data == ord('"'))
    fits = np.isin(np.arange(256), [ord(c) for c in f'{separator}"\r\n'])
    opens = inside[positions]  # the mark itself counts as inside when it opens
    before = np.where(positions > 0, data[positions - 1], ord("\n"))
    stray = positions[np.where(opens, ~fits[before], ~fits[data[positions + 1]])]
    found = np.zeros(len(starts), dtype=bool)
    found[np.searchsorted(starts, stray, side="right") - 1] = True
    return found


def _to_frame(text: bytes, names: list[str], separator: str, n_rows: int) -> tuple[pl.DataFrame, bool]:
    schema = dict.fromkeys(names, pl.String())
    if not n_rows:
        return pl.DataFrame(schema=schema), False
    try:
        frame = pl.read_csv(
            io.BytesIO(text), has_header=False, new_columns=names, schema_overrides=[pl.String] * len(names), infer_schema=False,
            separator=separator, encoding="utf8-lossy", raise_if_empty=False,
        )  # fmt: skip
    except pl.exceptions.PolarsError:
        return pl.DataFrame(schema=schema), True
    if frame.shape != (n_rows, len(names)):
        return pl.DataFrame(schema=schema), True
    return frame, False
