"""Layouts: which column of a table of claims is which field, for the public sets, the plain layout and a mapping file.

A mapping file is TOML or JSON. Targets are the fields of `Claim`, or `line_` and a field of `ClaimLine` (then each
row of the file is one line, and the rows of a claim stand together)::

    name = "acme"
    day_first = false              # 03/04/2009 is the fourth of March
    decimal_comma = false          # 1,234.50, not 1.234,50
    encoding = "utf-8"             # of a CSV file; or cp1252, latin-1, ...
    missing = ["", "NA"]           # more words that mean "no value"
    [columns]
    claim_id = "ClaimNo"
    member_id = "MemberNo"
    service_from = "DOS"
    service_thru = "DOS"
    diagnoses = ["dx_1", "dx_2"]   # in order
    line_procedure_code = "CPT"
    [constants]
    claim_type = "professional"
    code_system = "icd10"
    [values.member_sex]            # old = "new"; "" empties the value
    1 = "M"
    2 = "F"
    [pad]
    procedures = 4                 # leading zeros that a spreadsheet removed
    [slices.provider_state]        # part of a column: start counts from 0
    column = "provider_no"
    start = 0
    length = 2
"""

import difflib
import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from claimsformer.claims.kinds import flat_schema
from claimsformer.claims.readers.layout import PLAIN, Join, Layout, Slice
from claimsformer.claims.readers.public_layouts import PROVIDER_FRAUD, SYNPUF, SYNPUF_CMS
from claimsformer.errors import MappingError

__all__ = [
    "PLAIN",
    "Layout",
    "Slice",
    "Join",
    "LAYOUTS",
    "load_mapping",
    "layout_of_header",
    "plain_layout",
    "shown_columns",
]

LAYOUTS: dict[str, Layout] = {layout.name: layout for layout in (SYNPUF, SYNPUF_CMS, PROVIDER_FRAUD)}
_SIGNS = {
    "synpuf": {"claim", "bene", "prov", "from", "thru", "admit_dx"},
    "synpuf_cms": {"CLM_ID", "DESYNPUF_ID", "CLM_FROM_DT"},
    "provider_fraud": {"ClaimID", "BeneID", "InscClaimAmtReimbursed"},
}


def layout_of_header(header: list[str]) -> Layout | None:
    """The layout that these column names belong to, the plain one for field names of the schema, or None."""
    for name, signs in _SIGNS.items():
        if signs <= set(header):
            return LAYOUTS[name]
    if {"claim_id", "member_id", "service_from"} <= set(header):
        return plain_layout(header)
    return None


_SPEAKS_OF_CLAIMS = re.compile(
    r"(?i)(?:\b|_)(?:id|nr|no|num|number|date|day|from|thru|to|dos|dob|birth|code|type|name|amt|amount|charge|paid|price|cost|sum|"
    r"total|claim|member|patient|person|bene|provider|npi|doctor|drug|ndc|rx|dx|diag|diagnosis|diagnoses|icd|proc|procedure|cpt|"
    r"hcpcs|drg|line|unit|units|qty|quantity|sex|gender|state|zip|place|pos|service|visit|status|plan|payer|insurance|specialty)"
    r"(?:s|_|\b|[0-9])|[a-z](?:Id|ID|No|Nr|Date|Code|Type|Amount|Number|Name)(?![a-z])"
)


def shown_columns(header: list[str], n: int = 10) -> str:
    """Names of columns for a message; a first line with numbers or dates in it is data, which no message repeats."""
    if any(not name.isprintable() for name in header):
        return "the first line is not text"
    if any(name.strip() == "" or name.strip()[0].isdigit() for name in header):
        return "the first line does not look like names of columns"
    # A person's name and sex would pass for names of columns: some of them must speak of claims.
    if 3 * sum(_SPEAKS_OF_CLAIMS.search(name) is not None for name in header) < len(header):
        return "the first line does not look like names of columns of claims"
    return ", ".join(header[:n]) + (", ..." if len(header) > n else "")


def plain_layout(header: list[str]) -> Layout:
    """The plain layout: columns named as the fields; lists in one cell, their items joined by `|`.

    Raises MappingError for a column that is all but named like a field: a misspelt one would be lost without a word.
    """
    fields = [*flat_schema(), "lines"]
    for name in header:
        near = (
            []
            if name in fields
            else difflib.get_close_matches(name, [f for f in fields if f not in header], n=1, cutoff=0.85)
        )
        if near:
            raise MappingError(
                f"a column is named almost as {near[0]!r}, but not quite", hint=f"Rename it to {near[0]}, or drop it."
            )
    return Layout(PLAIN, columns={name: name for name in header if name in flat_schema() or name == "lines"})


def load_mapping(source: str | Path | Mapping[str, Any]) -> Layout:
    """The layout of a mapping file (TOML or JSON) or of the same as a dict; raises MappingError."""
    if isinstance(source, Mapping):
        return _layout(dict(source), str(source.get("name", "mapping")))
    path = Path(source)
    try:
        raw = path.read_bytes().decode()
        document = json.loads(raw) if path.suffix.lower() == ".json" else tomllib.loads(raw)
    except OSError as error:
        raise MappingError(f"mapping file {path.name!r} cannot be opened: {error.strerror}") from None
    except ValueError as error:  # JSON, TOML and text decoding errors
        raise MappingError(f"mapping file {path.name!r} is neither valid TOML nor JSON: {error}") from None
    if not isinstance(document, dict):
        raise MappingError(
            f"mapping file {path.name!r} must hold tables such as [columns], got a {type(document).__name__}"
        )
    return _layout(document, str(document.get("name", path.stem)))


_KEYS = {
    "name", "columns", "constants", "values", "pad", "slices", "conditions", "missing", "day_first", "decimal_comma",
    "encoding", "optional",
}  # fmt: skip


def _flag(document: dict[str, Any], key: str) -> bool:
    value = document.get(key, False)
    if not isinstance(value, bool):
        raise ValueError(f"{key} is {value!r}, expected true or false without quotation marks")
    return value


def _layout(document: dict[str, Any], name: str) -> Layout:
    unknown = sorted(set(document) - _KEYS)
    if unknown:
        raise MappingError(
            f"mapping {name!r}: unknown key {unknown[0]!r}", hint=f"Known keys: {', '.join(sorted(_KEYS))}."
        )
    columns = document.get("columns")
    if not isinstance(columns, dict) or not columns:
        raise MappingError(
            f"mapping {name!r} has no [columns]", hint='Add for example:\n[columns]\nclaim_id = "ClaimNo"'
        )
    try:
        return Layout(
            name,
            columns={
                target: source if isinstance(source, str) else tuple(map(str, source))
                for target, source in columns.items()
            },
            constants={target: str(value) for target, value in document.get("constants", {}).items()},
            values={
                target: {str(old): str(new) or None for old, new in table.items()}
                for target, table in document.get("values", {}).items()
            },
            pad={target: int(width) for target, width in document.get("pad", {}).items()},
            slices={target: Slice(**part) for target, part in document.get("slices", {}).items()},
            conditions={
                column: (str(pair[0]), str(pair[1])) for column, pair in document.get("conditions", {}).items()
            },
            missing=tuple(map(str, document.get("missing", ()))),
            day_first=_flag(document, "day_first"),
            decimal_comma=_flag(document, "decimal_comma"),
            encoding=str(document.get("encoding", "utf-8")).lower(),
            optional=frozenset(map(str, document.get("optional", ()))),
        ).check()
    except (TypeError, ValueError, AttributeError, IndexError, KeyError) as error:
        if isinstance(error, MappingError):
            raise
        raise MappingError(f"mapping {name!r} has an entry of the wrong kind: {error}") from None
