"""Claims flattened from Synthea bundles, one JSON object a line: patient, sex, birth, state, type, start, end,
provider, total, payment, dx (SNOMED code, display) and items. They have no identifier; a digest of the line serves as
one."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from claimsformer.claims.readers.fhir import parse_json
from claimsformer.claims.readers.fhir_nodes import Node, PathError
from claimsformer.claims.readers.records import Record, Refused, lines_of
from claimsformer.claims.schema import Claim
from claimsformer.claims.states import STATE_NAMES
from claimsformer.errors import ClaimError

__all__ = ["synthea_records"]

_SYSTEMS = {"http://snomed.info/sct": "snomed", "http://hl7.org/fhir/sid/cvx": "cvx"}
_SYSTEMS["http://www.nlm.nih.gov/research/umls/rxnorm"] = "rxnorm"
_SEX = {"male": "M", "female": "F", "other": "U", "unknown": "U"}
_KEYS = {"patient", "sex", "birth", "state", "type", "start", "end", "provider", "total", "payment", "dx", "items"}
_ITEM_KEYS = {"seq", "system", "code", "display", "net", "adj", "dx"}
_AMOUNTS = {"paid_amount": "Line Provider Payment Amount", "allowed_amount": "Line Allowed Charge Amount"}


def synthea_records(path: Path) -> Iterator[Record]:
    """Each line of the file as a claim, or why it is none."""
    for number, line in lines_of(path):
        yield number, _record(line)


def _record(line: bytes | None) -> Claim | Refused:
    if line is None:
        return Refused([("", None, "the line is longer than 64 MiB")])
    try:
        document = parse_json(line)
        return Claim.parse(_fields(Node(document, "claim"), hashlib.sha256(line.strip()).hexdigest()[:20]))
    except PathError as error:
        return Refused([(error.path, None, error.reason)])
    except ClaimError as error:
        return Refused([(name, None, reason) for name, reason in error.problems])
    except ValueError:
        return Refused([("", None, "the line is not JSON")])


def _fields(node: Node, claim_id: str) -> dict[str, Any]:
    _only(node, _KEYS)
    sex = node["sex"].text()
    if sex is not None and sex not in _SEX:
        raise node["sex"].error("is not male, female, other or unknown")
    kind, state = node["type"].text(), (node["state"].text() or "").upper()
    diagnoses = [_pair(entry) for entry in node["dx"]]
    fields: dict[str, Any] = {
        "claim_id": claim_id,
        "claim_type": kind,
        "member_id": node["patient"].text(),
        "member_sex": _SEX.get(sex or ""),
        "member_birth_date": node["birth"].date(),
        "member_state": STATE_NAMES.get(state, state) or None,
        "billing_provider_id": (node["provider"].text() or "").removeprefix("urn:uuid:") or None,
        "service_from": node["start"].date(),
        "service_thru": node["end"].date(),
        "code_system": "snomed" if diagnoses else None,
        "diagnoses": diagnoses,
        "charge_amount": _submitted(node["total"]),
        "paid_amount": _amount(node["payment"]),
        "lines": [_line(item) for item in node["items"]],
    }
    return {name: value for name, value in fields.items() if value is not None}


def _only(node: Node, keys: set[str]) -> None:
    if not isinstance(node.value, dict):
        raise node.error("is not an object")
    if set(node.value) != keys:
        raise node.error(f"does not have exactly the keys {', '.join(sorted(keys))}")


def _pair(node: Node) -> str:
    if not isinstance(node.value, list) or len(node.value) != 2 or not isinstance(node.value[0], str):
        raise node.error("is not a code and its display")
    return node.value[0]


def _submitted(node: Node) -> Any:
    for entry in node:
        if not isinstance(entry.value, list) or len(entry.value) != 2:
            raise entry.error("is not a category and an amount")
        if entry.value[0] == "submitted":
            return _amount(Node(entry.value[1], f"{entry.path}[1]"))
    return None


def _amount(node: Node) -> Any:
    return Node({"value": node.value}, node.path).money() if node else None


def _line(item: Node) -> dict[str, Any]:
    _only(item, _ITEM_KEYS)
    system = item["system"].text()
    if system not in _SYSTEMS:
        raise item["system"].error("is not SNOMED CT, CVX or RxNorm")
    line: dict[str, Any] = {
        "line_number": item["seq"].whole(),
        "procedure_code": item["code"].text(),
        "procedure_system": _SYSTEMS[system],
        "charge_amount": _amount(item["net"]),
        "diagnosis_pointers": [pointer.whole() for pointer in item["dx"]],
        **{field: _amount(item["adj"][name]) for field, name in _AMOUNTS.items()},
    }
    return {name: value for name, value in line.items() if value is not None}
