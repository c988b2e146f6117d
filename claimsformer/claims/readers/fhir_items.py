"""Items of FHIR claims as service lines, and the extensions in which this package writes what FHIR has no element for."""

import re
from decimal import Decimal
from typing import Any

import polars as pl

from claimsformer.claims.forms import PATTERNS
from claimsformer.claims.frames import line_schema
from claimsformer.claims.readers.fhir_nodes import Node
from claimsformer.claims.states import SSA_STATES

__all__ = ["EXTENSION", "items", "in_order", "extension_fields"]

EXTENSION = "urn:claimsformer:"  # fields that FHIR has no element for; written and read by this package

_AMOUNTS = {
    "charge_amount": ("submitted", "line_sbmtd_chrg_amt", "rev_cntr_tot_chrg_amt", "tot_rx_cst_amt"),
    "allowed_amount": ("eligible", "line_alowd_chrg_amt"),
    "paid_amount": ("benefit", "paidtoprovider", "line_nch_pmt_amt", "rev_cntr_pmt_amt_amt", "cvrd_d_plan_pd_amt"),
}


def in_order(node: Node) -> list[tuple[int, Node]]:
    entries = []
    for entry in node:
        sequence = entry["sequence"].whole()
        if sequence is None:
            raise entry["sequence"].error("is missing")
        entries.append((sequence, entry))
    if len({sequence for sequence, _ in entries}) < len(entries):
        raise node.error("has two entries with one sequence")
    return sorted(entries, key=lambda pair: pair[0])


def items(node: Node, fields: dict[str, Any], places: dict[int, int]) -> dict[str, Any] | None:
    """Fill in the lines; the line of revenue code 0001 is the claim's total and is given back apart."""
    lines, total = [], None
    for sequence, item in in_order(node["item"]):
        line = {"line_number": sequence, **_item(item, fields["claim_type"], places)}
        state = item["locationAddress"]["state"].text()
        if state:
            fields.setdefault("provider_state", SSA_STATES.get(state, state))
        if line.pop("_total"):
            total = line
        else:
            lines.append({key: value for key, value in line.items() if value is not None})
    fields["lines"] = lines
    return total


def _item(item: Node, claim_type: str, places: dict[int, int]) -> dict[str, Any]:
    line = _service(item.first("productOrService", "service"))
    line["modifiers"] = [code for concept in item["modifier"] for _, code, _ in concept.codes()[:1]]
    revenue = item["revenue"].codes()
    line["revenue_code"] = revenue[0][1].zfill(4) if revenue else None
    line["_total"] = bool(revenue) and "rev_cntr" in revenue[0][0] and line["revenue_code"] == "0001"
    places_of_service = [
        code for _, code, _ in item["locationCodeableConcept"].codes() if re.fullmatch("[0-9]{2}", code)
    ]
    line["place_of_service"] = places_of_service[0] if places_of_service else None
    period = item["servicedPeriod"]
    line["service_from"] = item["servicedDate"].date() or period["start"].date()
    line["service_thru"] = item["servicedDate"].date() or period["end"].date()
    quantity = item["quantity"]["value"].number()
    if quantity is not None:
        line["quantity" if claim_type == "pharmacy" else "units"] = float(quantity)
    line["unit_code"] = item["quantity"]["code"].text() or item["quantity"]["unit"].text()
    for extension in item["quantity"]["extension"]:
        if (extension["url"].text() or "").endswith("/days_suply_num"):
            line["days_supply"] = extension["valueQuantity"]["value"].whole()
    pointers = []
    for pointer in item.first("diagnosisSequence", "diagnosisLinkId"):
        number = pointer.whole()
        if number is not None and number not in places:
            raise pointer.error("points to a diagnosis that is not there")
        pointers.append(places[number] if number is not None else 0)
    line["diagnosis_pointers"] = pointers
    _item_amounts(item, line)
    extension_fields(item, line, line_schema())
    return line


def _service(service: Node) -> dict[str, Any]:
    line: dict[str, Any] = {}
    for uri, code, coding in service.codes():
        system = uri.lower()
        if "ndc" in system:
            line |= {"ndc": code.replace("-", ""), "drug_name": coding["display"].text()}
        elif "procedure_code" not in line:
            kinds = ("snomed", "rxnorm", "cvx")
            known = next((kind for kind in kinds if kind in system), None)
            if known is None:
                known = (
                    "hcpcs"
                    if "hcpcs" in system or "cpt" in system or re.search(PATTERNS["hcpcs"], code.upper())
                    else "other"
                )
            known = "hipps" if "hipps" in system else known
            if uri.startswith(EXTENSION):
                known = uri.removeprefix(EXTENSION)
            line |= {"procedure_code": code.upper(), "procedure_system": known if known != "none" else None}
    return line


def _item_amounts(item: Node, line: dict[str, Any]) -> None:
    line["charge_amount"] = item["net"].money()
    adjustments = []
    for entry in item["adjudication"]:
        kinds = {code.rsplit("/", 1)[-1] for _, code, _ in entry["category"].codes()}
        amount = entry["amount"].money()
        for name, codes in _AMOUNTS.items():
            if kinds & set(codes) and amount is not None:
                line[name] = amount
        reasons = entry["reason"].codes()
        if kinds & {"CO", "PR", "OA", "PI"} and reasons and amount is not None:
            adjustments.append({"group_code": kinds.pop(), "reason_code": reasons[0][1], "amount": amount})
    line["adjustments"] = adjustments
    price, net = item["unitPrice"].money(), item["net"].money()
    if price is not None and net is not None:
        quantity = item["quantity"]["value"].number()
        factor = item["factor"].number()
        product = price * (Decimal(1) if quantity is None else quantity) * (Decimal(1) if factor is None else factor)
        if abs(product - net) > Decimal("0.005"):  # more than rounding to the cent
            raise item["net"].error("is not quantity × unitPrice × factor")


def extension_fields(node: Node, fields: dict[str, Any], schema: Any) -> None:
    """Fields that this package wrote as extensions, because FHIR has no element for them."""
    for extension in node["extension"]:
        url = extension["url"].text() or ""
        name = url.removeprefix(EXTENSION)
        if not url.startswith(EXTENSION):
            continue
        if name not in schema:
            raise extension["url"].error("is not a field of a claim")
        dtype = schema[name]
        if name == "adjustments":
            parts = (extension["valueString"].text() or "").split(":")
            if len(parts) != 3 or not re.fullmatch(r"-?[0-9]{1,10}\.[0-9]{2}", parts[2]):
                raise extension["valueString"].error("is not group:reason:amount")
            entry = {"group_code": parts[0], "reason_code": parts[1], "amount": Decimal(parts[2])}
            fields[name] = [*fields.get(name, []), entry]
        elif dtype == pl.Date:
            fields[name] = extension["valueDate"].date()
        elif isinstance(dtype, pl.Decimal):
            fields[name] = extension["valueMoney"].money()
        elif isinstance(dtype, pl.List):
            fields[name] = [*fields.get(name, []), extension["valueString"].text()]
        elif dtype in (pl.Int32, pl.Float64):
            number = extension["valueDecimal"].number()
            fields[name] = None if number is None else int(number) if dtype == pl.Int32 else float(number)
        else:
            fields[name] = extension["valueString"].text()
