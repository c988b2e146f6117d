"""Claims of any number on disk, in buckets by member: what lives across a member's claims is then found in one bucket.

Reading a file twice gives the same batches, so a run that is resumed reads again and writes only what is missing.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from claimsformer.assessment.edits.tables import EditTables
from claimsformer.assessment.streaming_store import WorkFolder
from claimsformer.claims.frames import claims_schema, conform

__all__ = ["ROW", "Spill", "at_most_claims"]

ROW: Final = "_row"
DAY_MINUTES: Final = 24 * 60
_GZIP = b"\x1f\x8b"


def at_most_claims(path: str | Path) -> int:
    """A number that the claims of a file will hardly exceed: rows of a table, lines of a text, or by its size."""
    file = Path(path)
    if file.is_dir():
        return max((at_most_claims(p) for p in file.iterdir() if p.is_file()), default=1)
    with file.open("rb") as stream:
        head = stream.read(4)
    if head == b"PAR1":
        try:
            return max(1, int(pl.scan_parquet(file).select(pl.len()).collect().item()))
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
            return 1  # damaged: the reader says how
    if head[:1] in (b"{", b"[") or head[:3].upper() == b"ISA":
        return max(1, file.stat().st_size // 200)
    lines = 0
    try:
        with gzip.open(file) if head[:2] == _GZIP else file.open("rb") as text:
            while block := text.read(1 << 24):
                lines += block.count(b"\n")
    except (OSError, EOFError):
        return max(1, lines)
    return max(1, lines)


@dataclass(frozen=True)
class Spill:
    """Claims under `name` in the work folder, in `n_buckets` buckets; `_row` numbers them from 0 in the file's order."""

    folder: WorkFolder
    name: str
    n_buckets: int

    def fill(self, batches: Iterable[pl.DataFrame], part_size: int, tables: EditTables | None = None) -> Iterator[int]:
        """Write batches as parts of about `part_size` claims; gives the number of claims so far after each part.

        With `tables`, the minutes that each provider works on each day are kept too.
        """
        done = 0
        for index, part in enumerate(_joined(batches, part_size)):
            name = f"{self.name}/{index:06d}"
            if not self.folder.has(name):
                numbered = part.with_columns(pl.int_range(done, done + part.height, dtype=pl.UInt32).alias(ROW))
                if tables is not None:
                    self.folder.write(f"minutes/{self.name}-{index:06d}.parquet", self._minutes(part, tables))
                self.folder.write_all(name, self._split(numbered))
            done += part.height
            yield done

    def _split(self, claims: pl.DataFrame) -> dict[str, pl.DataFrame]:
        if self.n_buckets == 1:
            return {"0000.parquet": claims}
        bucket = pl.col("member_id").hash(seed=1) % self.n_buckets
        parts = claims.with_columns(bucket.alias("_bucket")).partition_by("_bucket", as_dict=True, include_key=False)
        return {f"{key[0]:04d}.parquet": part for key, part in sorted(parts.items())}

    def _minutes(self, claims: pl.DataFrame, tables: EditTables) -> pl.DataFrame:
        codes, minutes = tables.procedures["code"].to_list(), tables.procedures["minutes"].to_list()
        lines = (
            claims.filter((pl.col("claim_type") == "professional") & (pl.col("lines").list.len() > 0))
            .select("billing_provider_id", "service_from", "lines")
            .explode("lines")
        )
        line = pl.col("lines").struct
        each = line.field("procedure_code").replace_strict(codes, minutes, default=0.0, return_dtype=pl.Float64)
        worked = (each * line.field("units").fill_null(0.0)).sum().alias("minutes")
        days = lines.group_by("billing_provider_id", "service_from").agg(worked)
        bucket = pl.col("billing_provider_id").hash(seed=2) % self.n_buckets
        return days.with_columns(bucket.alias("bucket")).sort("bucket", "billing_provider_id", "service_from")

    def bucket(self, index: int) -> pl.DataFrame:
        """The claims of one bucket in the file's order, columns of the schema and `_row`."""
        parts = [self.folder.read_part(file) for file in self.folder.parts(f"{self.name}/*/{index:04d}.parquet")]
        if not parts:
            return pl.DataFrame(schema=dict(claims_schema()) | {ROW: pl.UInt32})
        return pl.concat(parts).sort(ROW)

    def of_days(self, days: pl.DataFrame) -> pl.DataFrame:
        """All claims of these provider-days (billing_provider_id, service_from)."""
        key = ["billing_provider_id", "service_from"]
        found = [pl.DataFrame(schema=claims_schema())]
        for file in self.folder.parts(f"{self.name}/*/*.parquet") if days.height else []:
            keys = self.folder.read_part(file, key)
            if keys.join(days, on=key, how="semi").height:
                found.append(conform(self.folder.read_part(file).join(days, on=key, how="semi", maintain_order="left")))
        return pl.concat(found)


def long_days(folder: WorkFolder, n_buckets: int) -> pl.DataFrame:
    """The provider-days with more than 24 hours of work over all claims; a bucket of providers at a time."""
    key = ["billing_provider_id", "service_from"]
    files = folder.parts("minutes/*.parquet")
    found = [pl.DataFrame(schema={key[0]: pl.String, key[1]: pl.Date})]
    if files:
        table = pl.scan_parquet(files)
        for index in range(n_buckets):
            totals = table.filter(pl.col("bucket") == index).group_by(key).agg(pl.col("minutes").sum())
            found.append(totals.filter(pl.col("minutes") > DAY_MINUTES).select(key).sort(key).collect())
    return pl.concat(found)


def _joined(batches: Iterable[pl.DataFrame], size: int) -> Iterator[pl.DataFrame]:
    """Batches of at least `size` claims (the last may be smaller), whatever the reader's are."""
    waiting: list[pl.DataFrame] = []
    held = 0
    for batch in batches:
        waiting.append(conform(batch))
        held += batch.height
        if held >= size:
            yield pl.concat(waiting)
            waiting, held = [], 0
    if waiting:
        yield pl.concat(waiting)
