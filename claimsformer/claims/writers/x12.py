"""Claims as X12 837P and 837I (005010X222A1, 005010X223A2), one transaction a claim.

An 837 carries what a provider bills: no payment, no adjudication, nothing of the member beyond sex, birth date, state
and ZIP code. `x12_carried` is the claim with exactly the fields that an 837 brings across. Names are not known here
and are written as UNKNOWN.
"""

from collections.abc import Iterator
from datetime import date
from typing import Any

from claimsformer.claims.readers.x12_fields import ICD_QUALIFIERS
from claimsformer.claims.schema import Claim, ClaimLine
from claimsformer.errors import WriteError

__all__ = ["x12_carried", "x12_transaction", "x12_envelope"]

_NAMES = """member_race member_death_date member_conditions discharge_date paid_date claim_status covered_days allowed_amount
paid_amount deductible_amount coinsurance_amount primary_payer_amount adjustments remark_codes"""
_NOT_CARRIED = frozenset(_NAMES.split())
_NOT_CARRIED_LINE = ("allowed_amount", "paid_amount", "drug_name", "strength", "days_supply", "adjustments")
_QUALIFIERS = {value: key for key, value in ICD_QUALIFIERS.items() if key not in ("BBQ", "BQ")}
_PROVIDERS = {"71": "attending_provider_id", "72": "operating_provider_id", "DN": "referring_provider_id"}
_PROVIDERS |= {"82": "rendering_provider_id", "ZZ": "other_provider_id"}


def x12_carried(claim: Claim) -> Claim:
    """The claim with the fields that an 837 carries; raises WriteError when it cannot be an 837 at all."""
    if claim.claim_type == "pharmacy":
        raise WriteError(
            "a pharmacy claim cannot be an 837; pharmacies bill by NCPDP", hint="Write it as FHIR, CSV or NDJSON."
        )
    if claim.code_system == "snomed":
        raise WriteError("SNOMED codes cannot be written in an 837", hint="Write the claim as FHIR, CSV or NDJSON.")
    for name, present in (
        ("billing_provider_id", claim.billing_provider_id),
        ("charge_amount", claim.charge_amount is not None),
    ):
        if not present:
            raise WriteError(f"a claim without {name} cannot be an 837")
    if not claim.lines or any(line.charge_amount is None for line in claim.lines):
        raise WriteError("a claim without lines, or with a line without charge_amount, cannot be an 837")
    fields: dict[str, Any] = {name: getattr(claim, name) for name in Claim.model_fields if name not in _NOT_CARRIED}
    institutional = claim.claim_type == "institutional"
    if institutional:
        fields["place_of_service"] = None
        fields["frequency_code"] = claim.bill_type[-1] if claim.bill_type else None
    else:
        fields["bill_type"] = None
    if not (claim.diagnoses or claim.procedures or claim.admit_diagnosis):
        fields["code_system"] = None
    fields["lines"] = [_line_carried(line, institutional) for line in claim.lines]
    return Claim.parse({name: value for name, value in fields.items() if value is not None})


def _line_carried(line: ClaimLine, institutional: bool) -> ClaimLine:
    fields = {name: getattr(line, name) for name in ClaimLine.model_fields if name not in _NOT_CARRIED_LINE}
    fields["service_from"] = line.service_from or line.service_thru
    fields["service_thru"] = line.service_thru or line.service_from
    if line.procedure_code is None:
        fields |= {"procedure_system": None, "modifiers": ()}
    elif line.procedure_system not in ("hcpcs", "hipps"):
        fields["procedure_system"] = "other"
    if institutional:
        fields |= {"place_of_service": None, "diagnosis_pointers": (), "revenue_code": line.revenue_code or "0000"}
    else:
        fields["revenue_code"] = None
    return ClaimLine.model_validate(fields)


def _element(value: Any, name: str) -> str:
    text = "" if value is None else str(value)
    if any(mark in text for mark in "*~:^"):
        raise WriteError(f"{name} holds one of * ~ : ^, which separate the parts of an 837")
    return text


def _day(day: date) -> str:
    return f"{day:%Y%m%d}"


def _decimal(value: float | None, name: str) -> str:
    if value is None:
        return ""
    text = f"{value:.6f}".rstrip("0").rstrip(".")
    if float(text) != value or value >= 1e9:
        raise WriteError(
            f"{name} has more than nine digits before or six after the decimal point, which an 837 cannot carry"
        )
    return text


def _dates(qualifier: str, start: date, end: date) -> str:
    return f"DTP*{qualifier}*D8*{_day(start)}" if start == end else f"DTP*{qualifier}*RD8*{_day(start)}-{_day(end)}"


def x12_transaction(claim: Claim, number: int) -> str:
    """The claim as one transaction ST to SE; `number` is its control number."""
    carried = x12_carried(claim)
    institutional = carried.claim_type == "institutional"
    guide = "005010X223A2" if institutional else "005010X222A1"
    submitted = _day(carried.submitted_date) if carried.submitted_date else ""
    segments = [f"ST*837*{number:09d}*{guide}", f"BHT*0019*00*{number}*{submitted}*0000*CH"]
    segments += [
        *_parties(carried),
        *_claim(carried),
        *(s for line in carried.lines for s in _line(line, institutional)),
    ]
    return "".join(f"{segment}~\n" for segment in [*segments, f"SE*{len(segments) + 1}*{number:09d}"])


def _parties(claim: Claim) -> Iterator[str]:
    yield from ("NM1*41*2*UNKNOWN*****46*0", "NM1*40*2*UNKNOWN*****46*0", "HL*1**20*1")
    if claim.provider_specialty:
        yield f"PRV*BI*PXC*{_element(claim.provider_specialty, 'provider_specialty')}"
    yield f"NM1*85*2*UNKNOWN*****XX*{_element(claim.billing_provider_id, 'billing_provider_id')}"
    if claim.provider_state:
        yield f"N4**{claim.provider_state}"
    yield from ("HL*2*1*22*0", "SBR*P*18*******CI")
    yield f"NM1*IL*1*UNKNOWN*****MI*{_element(claim.member_id, 'member_id')}"
    if claim.member_state or claim.member_zip:
        yield f"N4**{claim.member_state or ''}*{claim.member_zip or ''}"
    if claim.member_birth_date or claim.member_sex:
        birth = _day(claim.member_birth_date) if claim.member_birth_date else ""
        yield f"DMG*D8*{birth}*{claim.member_sex or ''}"
    if claim.payer_id:
        yield f"NM1*PR*2*UNKNOWN*****PI*{_element(claim.payer_id, 'payer_id')}"


def _claim(claim: Claim) -> Iterator[str]:
    institutional = claim.claim_type == "institutional"
    place = (claim.bill_type or "")[:2] if institutional else claim.place_of_service or ""
    kind = "A" if institutional else "B"
    facility = f"{place}:{kind}:{_element(claim.frequency_code, 'frequency_code')}"
    yield f"CLM*{_element(claim.claim_id, 'claim_id')}*{claim.charge_amount}***{facility}*Y*A*Y*Y"
    if institutional:
        yield _dates("434", claim.service_from, claim.service_thru)
    else:
        yield _dates("472", claim.service_from, claim.service_thru)
    if claim.admission_date:
        yield f"DTP*435*D8*{_day(claim.admission_date)}"
    if claim.discharge_status:
        yield f"CL1***{claim.discharge_status}"
    yield from _codes(claim)
    for entity, name in _PROVIDERS.items():
        if getattr(claim, name):
            yield f"NM1*{entity}*1*UNKNOWN*****XX*{_element(getattr(claim, name), name)}"


def _codes(claim: Claim) -> Iterator[str]:
    system = claim.code_system or ""
    if claim.diagnoses:
        yield f"HI*{_QUALIFIERS[system, 'principal']}:{claim.diagnoses[0]}"
    if claim.admit_diagnosis:
        yield f"HI*{_QUALIFIERS[system, 'admitting']}:{claim.admit_diagnosis}"
    if claim.drg:
        yield f"HI*DR:{claim.drg}"
    others = [f"{_QUALIFIERS[system, 'other']}:{code}" for code in claim.diagnoses[1:]]
    procedures = [f"{_QUALIFIERS[system, 'procedure']}:{code}" for code in claim.procedures]
    for composites in (others, procedures):
        for start in range(0, len(composites), 12):
            yield "*".join(["HI", *composites[start : start + 12]])


def _line(line: ClaimLine, institutional: bool) -> Iterator[str]:
    qualifier = {"hcpcs": "HC", "hipps": "HP"}.get(line.procedure_system or "", "WK")
    service = ":".join([qualifier, line.procedure_code, *line.modifiers]) if line.procedure_code else ""
    amounts = f"{line.charge_amount}*{line.unit_code or ''}*{_decimal(line.units, 'units')}"
    yield f"LX*{line.line_number}"
    if institutional:
        yield f"SV2*{line.revenue_code}*{service}*{amounts}"
    else:
        yield f"SV1*{service}*{amounts}*{line.place_of_service or ''}**{':'.join(map(str, line.diagnosis_pointers))}"
    if line.service_from and line.service_thru:
        yield _dates("472", line.service_from, line.service_thru)
    if line.ndc:
        yield f"LIN**N4*{line.ndc}"
    if line.quantity is not None:
        yield f"CTP****{_decimal(line.quantity, 'quantity')}*UN"
    if line.rendering_provider_id:
        yield f"NM1*82*1*UNKNOWN*****XX*{_element(line.rendering_provider_id, 'rendering_provider_id')}"


def x12_envelope(n_transactions: int | None) -> str:
    """The head of an interchange (ISA, GS) when None, else its end (GE, IEA)."""
    if n_transactions is not None:
        return f"GE*{n_transactions}*1~\nIEA*1*000000001~\n"
    blank = " " * 10
    identifiers = f"ZZ*{'SENDER':<15}*ZZ*{'RECEIVER':<15}"
    isa = f"ISA*00*{blank}*00*{blank}*{identifiers}*000101*0000*^*00501*000000001*0*P*:~\n"
    return isa + "GS*HC*SENDER*RECEIVER*20000101*0000*1*X*005010X222A1~\n"
