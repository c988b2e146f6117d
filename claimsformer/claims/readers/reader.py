"""`read_claims`: any supported file into batches of valid claims, everything else into the rejects, and counts that
add up."""

import contextlib
import gzip
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from claimsformer.claims.cleaning import CleaningReport
from claimsformer.claims.frame_checks import check_frame
from claimsformer.claims.frames import claims_schema
from claimsformer.claims.readers.csv_source import csv_header, open_bytes
from claimsformer.claims.readers.layouts import (
    LAYOUTS,
    Layout,
    layout_of_header,
    load_mapping,
    plain_layout,
    shown_columns,
)
from claimsformer.claims.readers.records import record_batches
from claimsformer.claims.readers.rejects import Problem, RejectLog
from claimsformer.claims.readers.tabular import Parsed, csv_claims, parquet_claims, parquet_header
from claimsformer.errors import FormatError, ReadError

__all__ = ["FORMATS", "ClaimReader", "check_regular", "read_claims", "detect_format"]

_COMMA = re.compile(r"[0-9],[0-9]{1,2}(?![0-9,])")
FORMATS = ("csv", "parquet", "ndjson", "fhir", "x12", "synthea", "synpuf", "synpuf_cms", "provider_fraud", "plain")


class ClaimReader(Iterator[pl.DataFrame]):
    """Batches of accepted claims (columns of `claims_schema()`, then those of `keep`), with counts as it goes.

    `read`, `accepted` and `rejected` count records (claims, or lines of the file that are no claim); read = accepted
    + rejected after every batch. `cleaning` says what was changed, `reasons` counts (field, reason), `first_rejects`
    shows the first hundred.
    """

    def __init__(self, source: Iterator[Parsed], rejects: str | Path | None) -> None:
        self._source = source
        self._log = RejectLog(rejects)
        self.cleaning = CleaningReport()

    read = property(lambda self: self._log.read, doc="Records seen so far.")
    accepted = property(lambda self: self._log.accepted, doc="Claims that follow the schema.")
    rejected = property(lambda self: self._log.rejected, doc="Records that do not; see the rejects file.")
    reasons = property(lambda self: self._log.reasons, doc="How often each (field, reason) occurred.")
    first_rejects = property(lambda self: self._log.first, doc="The first hundred (row, field, masked value, reason).")

    def __next__(self) -> pl.DataFrame:
        while True:
            try:
                parsed = next(self._source)
            except StopIteration:
                self._log.close()
                raise
            except BaseException:
                self._log.close()
                raise
            accepted = self._judge(parsed)
            if accepted.height:
                return accepted

    def _judge(self, parsed: Parsed) -> pl.DataFrame:
        broken = check_frame(parsed.frame.select(list(claims_schema())))
        known = {(row, field) for row, field, _, _ in parsed.problems}
        problems: list[Problem] = list(parsed.problems)
        for index, field, reason in broken.iter_rows():
            row = parsed.rows[index]
            if (row, field) not in known:
                problems.append((row, field, _value(parsed.frame, index, field), reason))
        problems = [
            (row, field, value, reason + _likely_cause(value, reason)) for row, field, value, reason in problems
        ]
        bad = parsed.bad | pl.int_range(parsed.frame.height, eager=True).is_in(broken["row"].unique().implode())
        accepted = parsed.frame.filter(~bad)
        n_bad = parsed.frame.height - accepted.height
        self._log.add(accepted.height, n_bad + parsed.n_broken, sorted(problems, key=lambda problem: problem[0]))
        self.cleaning = self.cleaning + parsed.cleaning
        return accepted

    def close(self) -> None:
        """Finish the rejects file; the end of the data does so by itself."""
        self._log.close()

    def __enter__(self) -> "ClaimReader":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def all(self) -> pl.DataFrame:
        """Every remaining batch as one table; for files that fit into memory."""
        batches = list(self)
        return pl.concat(batches) if batches else pl.DataFrame(schema=claims_schema())


def _likely_cause(value: str | None, reason: str) -> str:
    """What a mapping may lack, where a refused value shows it."""
    if value is None:
        return ""
    if "\N{REPLACEMENT CHARACTER}" in value:
        return " (the file is not UTF-8: name its encoding in a mapping)"
    if reason in ("is not a number", "is not an amount in US dollars", "is not a whole number") and _COMMA.search(
        value
    ):
        return " (a decimal comma? then say so in a mapping)"
    return ""


def _value(frame: pl.DataFrame, index: int, field: str) -> str | None:
    """The value to show, if it is a single one; a date is left out, since Python may not even be able to hold it."""
    name = field.split(".")[0]
    if name not in frame.columns or isinstance(frame.schema[name], pl.List | pl.Date):
        return None
    value = frame[name][index]
    return None if value is None else str(value)


def read_claims(
    path: str | Path,
    format: str | None = None,
    mapping: str | Path | Mapping[str, Any] | Layout | None = None,
    batch_size: int = 50_000,
    *,
    rejects: str | Path | None = None,
    keep: Sequence[str] = (),
) -> ClaimReader:
    """Batches of claims from a file (or a folder with the provider_fraud set), at constant memory.

    `format` is one of FORMATS (found out from the content if None); `mapping` names the columns of a table of your
    own; `rejects` is where to write (row, field, masked value, reason) of what was refused; `keep` carries further
    columns of a table along. Raises ReadError when the file as a whole cannot be read.
    """
    file = _file_of(Path(path))
    if format is not None and format not in FORMATS:
        raise FormatError(f"unknown format {format!r}", hint=f"Known formats: {', '.join(FORMATS)}.")
    if batch_size < 1:
        raise ReadError(f"batch_size must be at least 1, got {batch_size}")
    container = _container(file) if format in (None, "plain", *LAYOUTS) or mapping is not None else format
    if container in ("csv", "parquet"):
        return ClaimReader(_tabular(file, container, format, mapping, keep, batch_size), rejects)
    if mapping is not None:
        raise FormatError(f"a mapping names the columns of CSV or Parquet, but {file.name!r} is {container}")
    return ClaimReader(record_batches(file, container or "fhir", batch_size), rejects)


def _tabular(
    file: Path, container: str, format: str | None, mapping: Any, keep: Sequence[str], batch_size: int
) -> Iterator[Parsed]:
    header = parquet_header(file) if container == "parquet" else _csv_header(file)
    read: Callable[..., Iterator[Parsed]] = parquet_claims if container == "parquet" else csv_claims
    return read(file, _layout(file, header, format, mapping), keep, batch_size)


def _layout(file: Path, header: list[str], format: str | None, mapping: Any) -> Layout:
    if mapping is not None:
        return mapping.check() if isinstance(mapping, Layout) else load_mapping(mapping)
    if format in LAYOUTS:
        return LAYOUTS[format]
    layout = plain_layout(header) if format == "plain" else layout_of_header(header)
    if layout is None:
        hint = "Name its columns in a mapping file (docs/claims.md shows one), and give it: --mapping FILE, or mapping=FILE."
        raise FormatError(f"the columns of {file.name!r} belong to no known layout: {shown_columns(header)}", hint=hint)
    return layout


def _csv_header(file: Path) -> list[str]:
    with open_bytes(file) as stream:
        try:
            return csv_header(stream.readline(1 << 20))[0]
        except (EOFError, OSError, zlib.error, gzip.BadGzipFile) as error:
            raise ReadError(f"{file.name!r} cannot be read: {error}") from None


def check_regular(path: Path) -> None:
    """Raise ReadError for a pipe or a device, which cannot be read more than once."""
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise ReadError(
            f"{path.name!r} is no regular file, and claims are read more than once",
            hint="Write it to a file first, and name that.",
        )


def _file_of(path: Path) -> Path:
    check_regular(path)
    if not path.is_dir():
        return path
    for pattern in ("inpatient_claims.csv*", "*npatientdata*.csv*"):
        with contextlib.suppress(StopIteration):
            return next(iter(sorted(path.glob(pattern))))
    raise ReadError(f"{path.name!r} is a folder without a file of claims that is known", hint="Name the file itself.")


def detect_format(path: str | Path) -> str:
    """The format of a file by its content: csv, parquet, ndjson, fhir, x12 or synthea; raises FormatError."""
    return _container(_file_of(Path(path)))


def _container(file: Path) -> str:
    with open_bytes(file) as stream:
        try:
            head = stream.read(1 << 16)
        except (EOFError, OSError, zlib.error, gzip.BadGzipFile) as error:
            raise ReadError(f"{file.name!r} cannot be read: {error}") from None
    if not head.strip():
        raise FormatError(f"{file.name!r} is empty")
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if head[:4] == b"PAR1":
        return "parquet"
    if start[:3].upper() == b"ISA":
        return "x12"
    if start[:1] in (b"{", b"["):
        return _json_kind(file, head)
    if b"\n" in head or b"," in head:
        return "csv"
    raise FormatError(f"{file.name!r} is not CSV, Parquet, JSON or X12", hint=f"Name its format: {', '.join(FORMATS)}.")


def _json_kind(file: Path, head: bytes) -> str:
    if b'"resourceType"' in head:
        return "fhir"
    if b'"claim_id"' in head:
        return "ndjson"
    if b'"items"' in head and b'"dx"' in head:
        return "synthea"
    raise FormatError(
        f"{file.name!r} is JSON, but neither FHIR nor claims of the schema", hint="Name its format, if you know it."
    )
