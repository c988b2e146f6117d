"""Writers of claims: plain CSV, Parquet and NDJSON, FHIR R4, X12 837; a claim written out and read again is the same
claim."""

import gzip
from collections.abc import Iterable
from pathlib import Path
from typing import IO

import polars as pl

from claimsformer.claims.frames import iter_claims
from claimsformer.claims.writers.fhir import fhir_line, to_fhir
from claimsformer.claims.writers.plain import write_csv, write_ndjson, write_parquet
from claimsformer.claims.writers.x12 import x12_carried, x12_envelope, x12_transaction
from claimsformer.errors import WriteError

__all__ = ["write_claims", "to_fhir", "x12_carried"]

_BY_SUFFIX = {
    ".csv": "csv",
    ".parquet": "parquet",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".837": "x12",
    ".edi": "x12",
    ".x12": "x12",
}


def write_claims(claims: pl.DataFrame | Iterable[pl.DataFrame], path: str | Path, format: str | None = None) -> int:
    """Write a table of claims, or a stream of such tables, and give the number of claims written.

    `format` is csv, parquet, ndjson, fhir or x12; by default what the name of the file says. A name ending in .gz is
    compressed. Raises WriteError when a claim cannot be written in the format, ClaimError when a row breaks the
    schema (all but CSV, Parquet); a file of half of the claims is not left behind.
    """
    target = Path(path)
    suffixes = [suffix for suffix in target.suffixes if suffix != ".gz"]
    chosen = format or _BY_SUFFIX.get(suffixes[-1] if suffixes else "")
    frames = [claims] if isinstance(claims, pl.DataFrame) else claims
    writers = {"csv": write_csv, "ndjson": write_ndjson, "fhir": _write_fhir, "x12": _write_x12}
    if chosen != "parquet" and chosen not in writers:
        raise WriteError(
            f"cannot write {target.name!r}: its format is not known",
            hint="Pass format='csv', 'parquet', 'ndjson', 'fhir' or 'x12'.",
        )
    try:
        if chosen == "parquet":
            return write_parquet(frames, target)
        with _open(target) as file:
            return writers[str(chosen)](frames, file)
    except BaseException:
        if target.is_file():
            target.unlink()
        raise


def _open(path: Path) -> IO[bytes]:
    if path.suffix == ".gz":
        return gzip.GzipFile(filename="", fileobj=path.open("wb"), mode="wb", mtime=0)  # type: ignore[return-value]
    return path.open("wb")


def _write_fhir(frames: Iterable[pl.DataFrame], file: IO[bytes]) -> int:
    n_claims = 0
    for frame in frames:
        for claim in iter_claims(frame):
            file.write(fhir_line(claim))
            n_claims += 1
    return n_claims


def _write_x12(frames: Iterable[pl.DataFrame], file: IO[bytes]) -> int:
    file.write(x12_envelope(None).encode("ascii"))
    n_claims = 0
    for frame in frames:
        for claim in iter_claims(frame):
            n_claims += 1
            file.write(x12_transaction(claim, n_claims).encode("ascii"))
    file.write(x12_envelope(n_claims).encode("ascii"))
    return n_claims
