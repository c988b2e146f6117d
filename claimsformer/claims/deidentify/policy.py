"""What happens to each column of a table of claims: the schema's own, and others by the usual words of their names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

from claimsformer.claims.deidentify.identifiers import Identifier
from claimsformer.claims.schema import Claim, ClaimLine

__all__ = ["Action", "FieldPolicy", "policy_of"]


class Action(Enum):
    """What is done to the values of a column."""

    KEEP = "keep"
    DROP = "drop"
    CODE = "code"  # replaced by a pseudonym
    DATE = "date"
    BIRTH_DATE = "birth_date"
    AGE = "age"
    ZIP = "zip"
    TEXT = "text"  # free text: scrubbed by patterns and by the names in the same row
    NAME = "name"  # dropped, after its words have been removed from the free text of the same row
    LINES = "lines"


@dataclass(frozen=True)
class FieldPolicy:
    """The action for one column, the identifier it holds if any, and the prefix of its pseudonyms."""

    action: Action
    identifier: Identifier | None = None
    prefix: str = "ID"


_KEEP = FieldPolicy(Action.KEEP)
_DATE = FieldPolicy(Action.DATE, Identifier.DATE_OR_AGE)
_PROVIDER = FieldPolicy(Action.CODE, Identifier.LICENCE, "PRV")


def _schema_policy(name: str) -> FieldPolicy:
    special = {
        "claim_id": FieldPolicy(Action.CODE, Identifier.ACCOUNT, "CLM"),
        "member_id": FieldPolicy(Action.CODE, Identifier.HEALTH_PLAN, "MEM"),
        "member_birth_date": FieldPolicy(Action.BIRTH_DATE, Identifier.DATE_OR_AGE),
        "member_zip": FieldPolicy(Action.ZIP, Identifier.GEOGRAPHY),
        "lines": FieldPolicy(Action.LINES),
        "drug_name": FieldPolicy(Action.TEXT),
        "provider_specialty": FieldPolicy(Action.TEXT),
    }
    if name in special:
        return special[name]
    if name.endswith("_provider_id"):
        return _PROVIDER
    return _DATE if name.endswith("_date") or name in {"service_from", "service_thru"} else _KEEP


_SCHEMA: Final = {name: _schema_policy(name) for name in (*Claim.model_fields, *ClaimLine.model_fields)}

# Columns outside the schema, by the words of their names; the first match holds. What matches nothing is dropped.
_BY_NAME: Final[tuple[tuple[str, FieldPolicy], ...]] = (
    (r"photo|image|picture|face", FieldPolicy(Action.DROP, Identifier.PHOTO)),
    (r"finger_?print|retina|iris|voice|biometric", FieldPolicy(Action.DROP, Identifier.BIOMETRIC)),
    (r"e_?mail", FieldPolicy(Action.DROP, Identifier.EMAIL)),
    (r"fax", FieldPolicy(Action.DROP, Identifier.FAX)),
    (r"phone|tel|mobile|cell|pager", FieldPolicy(Action.DROP, Identifier.PHONE)),
    (r"ssn|social_?security", FieldPolicy(Action.DROP, Identifier.SSN)),
    (r"ip|ip_?address", FieldPolicy(Action.DROP, Identifier.IP_ADDRESS)),
    (r"url|website|web|link", FieldPolicy(Action.DROP, Identifier.URL)),
    (r"vin|plate|vehicle", FieldPolicy(Action.DROP, Identifier.VEHICLE)),
    (r"device|serial|udi|imei|mac", FieldPolicy(Action.DROP, Identifier.DEVICE)),
    (r"licen[cs]e|dea|npi|upin|certificate|passport", FieldPolicy(Action.DROP, Identifier.LICENCE)),
    (r"mrn|medical_?record|chart", FieldPolicy(Action.DROP, Identifier.MEDICAL_RECORD)),
    (r"account|acct|iban|card", FieldPolicy(Action.DROP, Identifier.ACCOUNT)),
    (r"beneficiary|subscriber|policy|hicn|mbi", FieldPolicy(Action.DROP, Identifier.HEALTH_PLAN)),
    (r"zip|zip_?code|postal_?code", FieldPolicy(Action.ZIP, Identifier.GEOGRAPHY)),
    (
        r"street|address\d?|city|town|county|precinct|parish|latitude|longitude|lat|lon|lng|geocode",
        FieldPolicy(Action.DROP, Identifier.GEOGRAPHY),
    ),
    (r"birth|dob|birth_?date", FieldPolicy(Action.BIRTH_DATE, Identifier.DATE_OR_AGE)),
    (r"age", FieldPolicy(Action.AGE, Identifier.DATE_OR_AGE)),
    (r"name|surname|forename|first|last|middle", FieldPolicy(Action.NAME, Identifier.NAME)),
    (r"note|notes|text|comment|comments|narrative|remarks?|description", FieldPolicy(Action.TEXT)),
)


def policy_of(column: str) -> FieldPolicy:
    """The policy of a column: the schema's for its own, by the words of the name for others, else DROP."""
    known = _SCHEMA.get(column)
    if known is not None:
        return known
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", column).lower().replace(" ", "_")
    for words, policy in _BY_NAME:
        if re.search(rf"(?:^|_)(?:{words})(?:_|$|\d)", name):
            return policy
    return FieldPolicy(Action.DROP, Identifier.OTHER_UNIQUE)
