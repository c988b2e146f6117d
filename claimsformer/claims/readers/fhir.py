"""FHIR files: one resource, a Bundle, or NDJSON (a resource or Bundle a line); gzip or not.

NDJSON streams. A single document must be read whole and may have at most 256 MiB; a Bundle's Patients give sex, birth
date and state.
"""

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from claimsformer.claims.readers.csv_source import open_bytes, read_block
from claimsformer.claims.readers.fhir_claim import claim_fields
from claimsformer.claims.readers.fhir_nodes import PathError
from claimsformer.claims.readers.records import Record, Refused, lines_of
from claimsformer.claims.schema import Claim
from claimsformer.errors import ClaimError, ReadError

__all__ = ["fhir_records", "parse_json"]

_LIMIT = 1 << 28
_ALONGSIDE = {
    "Patient",
    "Coverage",
    "Organization",
    "Practitioner",
    "Location",
    "PractitionerRole",
    "RelatedPerson",
    "OperationOutcome",
}


def parse_json(data: bytes) -> Any:
    """JSON with exact decimals; raises ValueError for what is no JSON, NaN and infinities included."""
    try:
        return json.loads(data.decode("utf-8-sig"), parse_float=Decimal, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("is nested too deeply") from None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def fhir_records(path: Path) -> Iterator[Record]:
    """Each Claim and ExplanationOfBenefit of a file, or why it is none; the place is the line, or the entry in a
    Bundle."""
    if _is_ndjson(path):
        for number, line in lines_of(path):
            if line is None:
                yield number, Refused([("", None, "the line is longer than 64 MiB")])
                continue
            try:
                document = parse_json(line)
            except ValueError as error:
                yield number, Refused([("", None, f"the line is not JSON: {_where(error)}")])
                continue
            for _, record in _records(document):
                yield number, record
        return
    with open_bytes(path) as file:
        data = read_block(file, _LIMIT + 1)
    if len(data) > _LIMIT:
        raise ReadError(
            f"{path.name!r} is one JSON document of more than 256 MiB", hint="Write it as NDJSON, one resource a line."
        )
    try:
        document = parse_json(data)
    except ValueError as error:
        raise ReadError(f"{path.name!r} is not JSON: {_where(error)}") from None
    yield from _records(document)


def _where(error: ValueError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at line {error.lineno}, column {error.colno}"
    return "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)[:60]


def _is_ndjson(path: Path) -> bool:
    """Whether the first line is a whole JSON value; a document on one line is read the same either way."""
    with open_bytes(path) as file:
        first = read_block(file, 1 << 26).lstrip(b"\xef\xbb\xbf \t\r\n").split(b"\n", 1)
    try:
        parse_json(first[0])
    except ValueError:
        return len(first) > 1 and first[1].lstrip()[:1] == b"{" and first[0].rstrip().endswith(b"}")
    return True


def _records(document: Any) -> Iterator[Record]:
    if isinstance(document, dict) and document.get("resourceType") == "Bundle":
        entries = document.get("entry", [])
        if not isinstance(entries, list):
            yield 1, Refused([("Bundle.entry", None, "is not a list")])
            return
        resources = [entry.get("resource") if isinstance(entry, dict) else None for entry in entries]
        patients = _patients(entries, resources)
        for place, resource in enumerate(resources, start=1):
            kind = resource.get("resourceType") if isinstance(resource, dict) else None
            if kind not in _ALONGSIDE:
                yield place, _record(resource, f"Bundle.entry[{place - 1}].resource", patients)
        return
    documents = document if isinstance(document, list) else [document]
    for place, resource in enumerate(documents, start=1):
        yield place, _record(resource, "document", {})


def _patients(entries: list[Any], resources: list[Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for entry, resource in zip(entries, resources, strict=True):
        if isinstance(resource, dict) and resource.get("resourceType") == "Patient":
            found[f"Patient/{resource.get('id')}"] = resource
            if isinstance(entry.get("fullUrl"), str):
                found[entry["fullUrl"]] = resource
    return found


def _record(resource: Any, path: str, patients: dict[str, Any]) -> Claim | Refused:
    if not isinstance(resource, dict) or not isinstance(resource.get("resourceType"), str):
        return Refused([(path, None, "is not a resource: it has no resourceType")])
    kind = resource["resourceType"]
    if kind not in ("Claim", "ExplanationOfBenefit"):
        known = kind if kind.isascii() and kind.isalpha() and len(kind) < 40 else "this resource"
        return Refused([(f"{path}.resourceType", None, f"{known} is not read; Claim and ExplanationOfBenefit are")])
    try:
        return Claim.parse(claim_fields(resource, patients))
    except PathError as error:
        return Refused([(error.path, None, error.reason)])
    except ClaimError as error:
        return Refused([(f"{kind}: {name}", None, reason) for name, reason in error.problems])
