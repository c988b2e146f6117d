"""Claims as FHIR R4 ExplanationOfBenefit, one a line; what FHIR has no element for goes into extensions, so nothing
is lost."""

import json
from datetime import date
from decimal import Decimal
from typing import Any

from claimsformer.claims.codes.icd_forms import dotted
from claimsformer.claims.readers.fhir_items import EXTENSION
from claimsformer.claims.schema import Adjustment, Claim, ClaimLine

__all__ = ["to_fhir", "fhir_line"]

_SYSTEMS = {
    "icd9": "http://hl7.org/fhir/sid/icd-9-cm",
    "icd10": "http://hl7.org/fhir/sid/icd-10-cm",
    "snomed": "http://snomed.info/sct",
}
_PROCEDURES = {**_SYSTEMS, "icd10": "http://www.cms.gov/Medicare/Coding/ICD10"}
_SERVICES = {
    "hcpcs": "https://bluebutton.cms.gov/resources/codesystem/hcpcs",
    "hipps": "https://www.cms.gov/hipps",
    "snomed": "http://snomed.info/sct",
    "rxnorm": "http://www.nlm.nih.gov/research/umls/rxnorm",
    "cvx": "http://hl7.org/fhir/sid/cvx",
    "other": EXTENSION + "other",
    None: EXTENSION + "none",
}
_GENDER = {"M": "male", "F": "female", "U": "unknown"}
_ROLES = {
    "attending": "attending_provider_id",
    "operating": "operating_provider_id",
    "rendering": "rendering_provider_id",
}
_ROLES |= {"referring": "referring_provider_id", "other": "other_provider_id"}
_TOTALS = {
    "submitted": "charge_amount",
    "eligible": "allowed_amount",
    "benefit": "paid_amount",
    "deductible": "deductible_amount",
}
_TOTALS |= {"coinsurance": "coinsurance_amount", "priorpayerpaid": "primary_payer_amount"}
_EXTENDED = (
    "member_race",
    "provider_state",
    "provider_specialty",
    "place_of_service",
    "frequency_code",
    "claim_status",
    "covered_days",
)
_EXTENDED_LINE = ("drug_name", "strength", "rendering_provider_id", "days_supply")


def fhir_line(claim: Claim) -> bytes:
    """The claim as one line of NDJSON."""
    return _encode(to_fhir(claim)).encode() + b"\n"


def _encode(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(name)}:{_encode(child)}" for name, child in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_encode, value)) + "]"
    return str(value) if isinstance(value, Decimal) else json.dumps(value)


def _concept(code: str, system: str | None = None) -> dict[str, Any]:
    return {"coding": [{"code": code, **({"system": system} if system else {})}]}


def _money(amount: Decimal) -> dict[str, Any]:
    return {"value": amount, "currency": "USD"}


def _period(start: date | None, end: date | None) -> dict[str, str]:
    return {**({"start": start.isoformat()} if start else {}), **({"end": end.isoformat()} if end else {})}


def _extension(name: str, value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        return {"url": EXTENSION + name, "valueString": value}
    return {"url": EXTENSION + name, "valueDecimal": Decimal(repr(value))}


def _adjustment_extensions(adjustments: tuple[Adjustment, ...]) -> list[dict[str, Any]]:
    return [
        _extension("adjustments", f"{item.group_code}:{item.reason_code}:{item.amount:.2f}") for item in adjustments
    ]


def to_fhir(claim: Claim) -> dict[str, Any]:
    """The claim as an ExplanationOfBenefit (R4) with its patient contained."""
    system = claim.code_system or ""
    resource: dict[str, Any] = {
        "resourceType": "ExplanationOfBenefit",
        "contained": [_patient(claim)],
        "extension": _extensions(claim),
        "identifier": [{"system": EXTENSION + "claim_id", "value": claim.claim_id}],
        "status": "active",
        "type": _concept(claim.claim_type, "http://terminology.hl7.org/CodeSystem/claim-type"),
        "use": "claim",
        "patient": {"reference": "#patient"},
        "billablePeriod": _period(claim.service_from, claim.service_thru),
        "created": claim.submitted_date.isoformat() if claim.submitted_date else None,
        "insurer": {"identifier": {"value": claim.payer_id}} if claim.payer_id else None,
        "provider": {"identifier": {"value": claim.billing_provider_id}} if claim.billing_provider_id else None,
        "outcome": "complete",
        "careTeam": _care_team(claim),
        "supportingInfo": _supporting(claim),
        "diagnosis": _diagnoses(claim),
        "procedure": [
            {"sequence": place, "procedureCodeableConcept": _concept(code, _PROCEDURES[system])}
            for place, code in enumerate(claim.procedures, start=1)
        ],
        "item": [_item(line, claim) for line in claim.lines],
        "total": [
            {"category": _concept(kind), "amount": _money(getattr(claim, name))}
            for kind, name in _TOTALS.items()
            if getattr(claim, name) is not None
        ],
        "payment": {"date": claim.paid_date.isoformat()} if claim.paid_date else None,
    }
    return {name: value for name, value in resource.items() if value not in (None, [])}


def _patient(claim: Claim) -> dict[str, Any]:
    address = {"state": claim.member_state, "postalCode": claim.member_zip}
    patient = {
        "resourceType": "Patient",
        "id": "patient",
        "identifier": [{"value": claim.member_id}],
        "gender": _GENDER.get(claim.member_sex or ""),
        "birthDate": claim.member_birth_date.isoformat() if claim.member_birth_date else None,
        "deceasedDateTime": claim.member_death_date.isoformat() if claim.member_death_date else None,
        "address": [{name: value for name, value in address.items() if value}] if any(address.values()) else None,
    }
    return {name: value for name, value in patient.items() if value is not None}


def _extensions(claim: Claim) -> list[dict[str, Any]]:
    found = [_extension(name, getattr(claim, name)) for name in _EXTENDED if getattr(claim, name) is not None]
    if claim.code_system and not (claim.diagnoses or claim.procedures or claim.admit_diagnosis):
        found.append(_extension("code_system", claim.code_system))
    found += [
        _extension(name, value) for name in ("member_conditions", "remark_codes") for value in getattr(claim, name)
    ]
    return found + _adjustment_extensions(claim.adjustments)


def _care_team(claim: Claim) -> list[dict[str, Any]]:
    named = [(role, getattr(claim, name)) for role, name in _ROLES.items() if getattr(claim, name)]
    return [
        {"sequence": place, "provider": {"identifier": {"value": identifier}}, "role": _concept(role)}
        for place, (role, identifier) in enumerate(named, start=1)
    ]


def _supporting(claim: Claim) -> list[dict[str, Any]]:
    coded = (("typeofbill", claim.bill_type), ("drg", claim.drg), ("discharge", claim.discharge_status))
    entries = [{"category": _concept(kind), "code": _concept(code)} for kind, code in coded if code]
    if claim.admission_date or claim.discharge_date:
        period = _period(claim.admission_date, claim.discharge_date)
        entries.append({"category": _concept("hospitalized"), "timingPeriod": period})
    return [{"sequence": place, **entry} for place, entry in enumerate(entries, start=1)]


def _diagnoses(claim: Claim) -> list[dict[str, Any]]:
    system = claim.code_system or ""
    entries = [(code, "principal" if place == 0 else None) for place, code in enumerate(claim.diagnoses)]
    if claim.admit_diagnosis is not None:
        entries.append((claim.admit_diagnosis, "admitting"))
    return [
        {
            "sequence": place,
            "diagnosisCodeableConcept": _concept(dotted(code, system), _SYSTEMS[system]),
            **({"type": [_concept(role)]} if role else {}),
        }
        for place, (code, role) in enumerate(entries, start=1)
    ]


def _item(line: ClaimLine, claim: Claim) -> dict[str, Any]:
    pharmacy = claim.claim_type == "pharmacy"
    amount, aside = (line.quantity, line.units) if pharmacy else (line.units, line.quantity)
    codings = []
    if line.procedure_code is not None:
        codings.append({"code": line.procedure_code, "system": _SERVICES[line.procedure_system]})
    if line.ndc is not None:
        codings.append({"code": line.ndc, "system": "http://hl7.org/fhir/sid/ndc"})
    quantity = {"value": None if amount is None else Decimal(repr(amount)), "code": line.unit_code}
    extensions = [_extension(name, getattr(line, name)) for name in _EXTENDED_LINE if getattr(line, name) is not None]
    if line.procedure_code is None and line.procedure_system is not None:
        extensions.append(_extension("procedure_system", line.procedure_system))
    if aside is not None:
        extensions.append(_extension("units" if pharmacy else "quantity", aside))
    amounts = {"eligible": line.allowed_amount, "benefit": line.paid_amount}
    item = {
        "sequence": line.line_number,
        "extension": extensions + _adjustment_extensions(line.adjustments),
        "diagnosisSequence": list(line.diagnosis_pointers),
        "revenue": _concept(line.revenue_code) if line.revenue_code else None,
        "productOrService": {"coding": codings} if codings else None,
        "modifier": [_concept(code) for code in line.modifiers],
        "servicedPeriod": _period(line.service_from, line.service_thru) or None,
        "locationCodeableConcept": _concept(line.place_of_service) if line.place_of_service else None,
        "quantity": {name: value for name, value in quantity.items() if value is not None} or None,
        "net": _money(line.charge_amount) if line.charge_amount is not None else None,
        "adjudication": [
            {"category": _concept(kind), "amount": _money(value)}
            for kind, value in amounts.items()
            if value is not None
        ],
    }
    return {name: value for name, value in item.items() if value not in (None, [])}
