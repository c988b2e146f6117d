"""Makes the packaged tables from public files: `python -m claimsformer.claims.codes.build_tables FOLDER`.

FOLDER holds CMS's ICD-9-CM titles (version 32), AHRQ's Clinical Classifications Software for ICD-9-CM and the HCPCS
level II list, all in the public domain. Five-digit HCPCS level I codes (CPT) and D codes (CDT) belong to others and
are left out, words and all.
"""

import csv
import gzip
import re
import sys
from collections.abc import Sequence
from pathlib import Path

__all__ = ["build"]

_HCPCS = re.compile(r"[A-CE-V][0-9]{4}")


def _titles(path: Path) -> list[tuple[str, str]]:
    rows = []
    for line in path.read_text(encoding="latin-1").splitlines():
        code, _, title = line.strip().partition(" ")
        if code:
            rows.append((code, " ".join(title.split())))
    return rows


def _groups(path: Path) -> dict[str, str]:
    with path.open(encoding="latin-1", newline="") as file:
        return {row["ICD-9-CM CODE"].strip(): row["CCS CATEGORY"].strip() for row in csv.DictReader(file)}


def _group_names(path: Path) -> list[tuple[str, str]]:
    with path.open(encoding="latin-1", newline="") as file:
        rows = {row["CCS CATEGORY"].strip(): row["CCS CATEGORY DESCRIPTION"].strip() for row in csv.DictReader(file)}
    return sorted(rows.items(), key=lambda row: int(row[0]))


def _write(path: Path, rows: Sequence[tuple[str, ...]]) -> None:
    text = "".join("\t".join(row) + "\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))


def build(source: Path, target: Path) -> None:
    """Write the tables; the same sources give the same bytes."""
    for name, titles, groups in (
        ("icd9_diagnosis", "CMS32_DESC_LONG_DX.txt", "ahrq_ccs_dxref_icd9_2015.csv"),
        ("icd9_procedure", "CMS32_DESC_LONG_SG.txt", "ahrq_ccs_prref_icd9_2015.csv"),
    ):
        group_of = _groups(source / groups)
        titled = _titles(source / titles)
        known = {code for code, _ in titled}
        older = sorted(
            code for code in group_of if code and code not in known
        )  # codes of earlier versions: group, no title
        _write(
            target / f"{name}.tsv.gz",
            [(code, group_of.get(code, ""), title) for code, title in titled] + [(c, group_of[c], "") for c in older],
        )
        _write(target / f"{name}_groups.tsv.gz", [*_group_names(source / groups)])
    with (source / "hcpcs_level2_2019.csv").open(encoding="utf-8", newline="") as file:
        rows = [(row["code"], row["short"]) for row in csv.DictReader(file) if _HCPCS.fullmatch(row["code"])]
    _write(target / "hcpcs_level2.tsv.gz", [*sorted(rows)])


if __name__ == "__main__":
    build(Path(sys.argv[1]), Path(__file__).parent / "data")
