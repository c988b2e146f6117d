"""Packaged tables, loaded when first asked for."""

import gzip
from dataclasses import dataclass
from functools import cache
from importlib import resources

from claimsformer.errors import CodeError

__all__ = ["Entry", "load"]


@dataclass(frozen=True)
class Entry:
    """One row of a table: its group (AHRQ's CCS for ICD-9-CM, else empty) and its title (empty for codes of older
    versions)."""

    group: str
    title: str


@cache
def load(name: str) -> dict[str, Entry]:
    """The table of this name (icd9_diagnosis, icd9_procedure, their `_groups`, hcpcs_level2); raises CodeError."""
    file = resources.files(__package__) / "data" / f"{name}.tsv.gz"
    if not file.is_file():
        raise CodeError(f"there is no code table {name!r}")
    rows = (line.split("\t") for line in gzip.decompress(file.read_bytes()).decode().splitlines())
    return {row[0]: Entry(row[1] if len(row) > 2 else "", row[-1]) for row in rows}
