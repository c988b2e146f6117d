"""FHIR Claim and ExplanationOfBenefit, R4 and STU3 (Blue Button), as the fields of a claim."""

import re
from decimal import Decimal
from typing import Any

from claimsformer.claims.frames import claims_schema
from claimsformer.claims.readers.fhir_items import EXTENSION, extension_fields, in_order, items
from claimsformer.claims.readers.fhir_nodes import Node, PathError, unknown_element
from claimsformer.claims.states import STATE_NAMES

__all__ = ["claim_fields", "EXTENSION"]

_TYPES = {
    **dict.fromkeys(("INPATIENT", "OUTPATIENT", "SNF", "HOSPICE", "HHA"), "institutional"),
    **dict.fromkeys(("CARRIER", "DME"), "professional"),
    "PDE": "pharmacy",
}
_PLAIN_TYPES = {"institutional": "institutional", "professional": "professional", "pharmacy": "pharmacy"}
_TOTALS = {
    "submitted": "charge_amount",
    "eligible": "allowed_amount",
    "benefit": "paid_amount",
    "deductible": "deductible_amount",
    "coinsurance": "coinsurance_amount",
    "priorpayerpaid": "primary_payer_amount",
    "nch_bene_ip_ddctbl_amt": "deductible_amount",
    "nch_bene_pta_coinsrnc_lblty_amt": "coinsurance_amount",
    "prpayamt": "primary_payer_amount",
}
_ROLES = {
    "attending": "attending_provider_id",
    "operating": "operating_provider_id",
    "performing": "rendering_provider_id",
    "rendering": "rendering_provider_id",
    "referring": "referring_provider_id",
    "prescribing": "referring_provider_id",
    "assist": "other_provider_id",
    "other": "other_provider_id",
    "otheroperating": "other_provider_id",
}
_SEX = {"male": "M", "female": "F", "other": "U", "unknown": "U"}


def claim_fields(resource: Any, patients: dict[str, Any]) -> dict[str, Any]:
    """Fields of the claim in a Claim or ExplanationOfBenefit; raises PathError with the path of what cannot be read."""
    name = str(resource.get("resourceType"))
    strange = unknown_element(resource, name)
    if strange:
        raise PathError(strange, "is not an element of FHIR")
    node = Node(resource, name)
    fields: dict[str, Any] = {"claim_type": _claim_type(node), **_identity(node)}
    _refuse_other_uses(node)
    fields |= _member(node, patients)
    sequences = _diagnoses(node, fields)
    _procedures(node, fields)
    _providers(node, fields)
    _supporting(node, fields)
    own = any(item["system"].text() == EXTENSION + "claim_id" for item in node["identifier"])
    total_line = items(node, fields, sequences)
    _amounts(node, fields, total_line, own)
    _dates(node, fields)
    extension_fields(node, fields, claims_schema())
    return {key: value for key, value in fields.items() if value is not None}


def _claim_type(node: Node) -> str:
    codes = node["type"].codes()
    for table in (_TYPES, _PLAIN_TYPES):
        for _, code, _ in codes:
            if code in table:
                return table[code]
    raise node["type"].error("is not an institutional, professional or pharmacy claim; other kinds are not read")


def _refuse_other_uses(node: Node) -> None:
    if node["use"].text() not in (None, "claim", "complete"):
        raise node["use"].error("is not 'claim': preauthorizations and predeterminations are not read")
    if node["status"].text() not in (None, "active"):
        raise node["status"].error("is not 'active'")


def _identity(node: Node) -> dict[str, Any]:
    own = [item["value"].text() for item in node["identifier"] if item["system"].text() == EXTENSION + "claim_id"]
    other = [item["value"].text() for item in node["identifier"]]
    claim_id = next((value for value in [*own, node["id"].text(), *other] if value), None)
    if claim_id is None:
        raise node["id"].error("is missing, and there is no identifier")
    return {"claim_id": claim_id}


def _member(node: Node, patients: dict[str, Any]) -> dict[str, Any]:
    reference = node["patient"]["reference"].text()
    contained = {
        f"#{item['id'].text()}": item for item in node["contained"] if item["resourceType"].text() == "Patient"
    }
    member_id = node["patient"].reference()
    if member_id is None:
        raise node["patient"].error("names no patient")
    patient = contained.get(reference or "") or Node(patients.get(reference or ""), "Patient")
    if reference and reference.startswith("#"):
        own = next((item["value"].text() for item in patient["identifier"] if item["value"]), None)
        member_id = own or reference[1:]
    fields: dict[str, Any] = {"member_id": member_id}
    if not patient:
        return fields
    gender = patient["gender"].text()
    if gender is not None and gender not in _SEX:
        raise patient["gender"].error("is not male, female, other or unknown")
    fields |= {"member_sex": _SEX.get(gender or ""), "member_birth_date": patient["birthDate"].date()}
    fields["member_death_date"] = patient["deceasedDateTime"].date()
    for address in patient["address"]:
        state, zip_code = address["state"].text(), address["postalCode"].text()
        fields["member_state"] = STATE_NAMES.get((state or "").upper(), state) if state else None
        fields["member_zip"] = zip_code[:5] if zip_code and re.fullmatch("[0-9]{5}(-?[0-9]{4})?", zip_code) else None
        break
    return fields


def _system(uri: str, node: Node) -> str:
    for sign, system in (
        ("icd-10", "icd10"),
        ("icd10", "icd10"),
        ("icd-9", "icd9"),
        ("icd9", "icd9"),
        ("snomed", "snomed"),
    ):
        if sign in uri.lower():
            return system
    raise node["system"].error("is missing or is not ICD-9, ICD-10 or SNOMED CT")


def _icd(entry: Node, name: str, fields: dict[str, Any]) -> str:
    codes = entry[name].codes()
    if not codes:
        raise entry[name].error("holds no code")
    uri, code, coding = codes[0]
    system = _system(uri, coding)
    if fields.setdefault("code_system", system) != system:
        raise coding["system"].error("mixes code systems in one claim")
    return code.replace(".", "").upper()


def _diagnoses(node: Node, fields: dict[str, Any]) -> dict[int, int]:
    """Fill in the diagnoses; gives the position in the list of each sequence number."""
    places: dict[int, int] = {}
    diagnoses: list[str] = []
    for sequence, entry in in_order(node["diagnosis"]):
        code = _icd(entry, "diagnosisCodeableConcept", fields)
        roles = {code for concept in entry["type"] for _, code, _ in concept.codes()}
        if "admitting" in roles:
            fields["admit_diagnosis"] = code
        if roles != {"admitting"}:
            diagnoses.append(code)
            places[sequence] = len(diagnoses)
        drg = entry["packageCode"].codes()
        if drg:
            fields["drg"] = drg[0][1]
    fields["diagnoses"] = diagnoses
    return places


def _procedures(node: Node, fields: dict[str, Any]) -> None:
    fields["procedures"] = [_icd(entry, "procedureCodeableConcept", fields) for _, entry in in_order(node["procedure"])]


def _providers(node: Node, fields: dict[str, Any]) -> None:
    primary = None
    for member in node["careTeam"]:
        identifier = member["provider"].reference()
        if identifier is None:
            continue
        roles = [code for _, code, _ in member["role"].codes()] or ["primary"]
        if "primary" in roles:
            primary = primary or identifier
            role = "attending_provider_id" if fields["claim_type"] == "institutional" else "rendering_provider_id"
            fields.setdefault(role, identifier)
        for role in roles:
            if role in _ROLES:
                fields.setdefault(_ROLES[role], identifier)
    organization = node["organization"].reference()
    fields["billing_provider_id"] = node["provider"].reference() or organization or primary
    fields["payer_id"] = node["insurer"].reference()


def _supporting(node: Node, fields: dict[str, Any]) -> None:
    for entry in node.first("supportingInfo", "information"):
        kinds = {code.rsplit("/", 1)[-1] for _, code, _ in entry["category"].codes()}
        codes = entry["code"].codes()
        if codes and kinds & {"clm_drg_cd", "drg"}:
            fields["drg"] = codes[0][1].zfill(3)
        elif codes and kinds & {"ptnt_dschrg_stus_cd", "discharge", "dischargestatus"}:
            fields["discharge_status"] = codes[0][1]
        elif codes and kinds & {"clm_freq_cd"}:
            fields["frequency_code"] = codes[0][1]
        elif codes and kinds & {"typeofbill"}:
            fields["bill_type"] = codes[0][1].removeprefix("0") if len(codes[0][1]) == 4 else codes[0][1]
        elif kinds & {"hospitalized", "admissionperiod"} and entry["timingPeriod"]:
            fields["admission_date"] = entry["timingPeriod"]["start"].date()
            fields["discharge_date"] = entry["timingPeriod"]["end"].date()
    stay = node["hospitalization"]
    if stay:
        fields["admission_date"], fields["discharge_date"] = stay["start"].date(), stay["end"].date()


def _amounts(node: Node, fields: dict[str, Any], total_line: dict[str, Any] | None, own: bool) -> None:
    for entry in node["total"]:
        kinds = {code for _, code, _ in entry["category"].codes()}
        if entry["amount"]:
            for kind in kinds & set(_TOTALS):
                fields[_TOTALS[kind]] = entry["amount"].money()
        elif entry["value"]:
            fields["charge_amount"] = entry.money()
    if node["totalCost"]:
        fields["charge_amount"] = node["totalCost"].money()
    for extension in node["extension"]:
        name = _TOTALS.get((extension["url"].text() or "").rsplit("/", 1)[-1])
        if name and extension["valueMoney"]:
            fields[name] = extension["valueMoney"].money()
    paid = node["payment"]["amount"].money()
    fields["paid_amount"] = fields.get("paid_amount") if paid is None else paid
    charges = [line.get("charge_amount") for line in fields["lines"]]
    if fields.get("charge_amount") is None and not own:
        if total_line is not None:
            fields["charge_amount"] = total_line.get("charge_amount")
        elif charges and None not in charges:
            fields["charge_amount"] = sum(charges, Decimal(0))


def _dates(node: Node, fields: dict[str, Any]) -> None:
    start, end = node["billablePeriod"]["start"].date(), node["billablePeriod"]["end"].date()
    days = [line[name] for line in fields["lines"] for name in ("service_from", "service_thru") if line.get(name)]
    days += [
        day for day in (fields.get("admission_date"), fields.get("discharge_date")) if day is not None and not days
    ]
    if start is None and not days:
        raise node["billablePeriod"].error("is missing, and no item has a date")
    fields["service_from"] = start or min(days)
    fields["service_thru"] = end or (max(days) if days else start)
    fields["submitted_date"] = node["created"].date()
    fields["paid_date"] = node["payment"]["date"].date()
