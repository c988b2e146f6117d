"""What 837 and 835 share: composite procedure codes, adjustments, names of segments and qualifiers that are known."""

from decimal import Decimal
from typing import Any

from claimsformer.claims.readers.x12_segments import Segment

__all__ = [
    "KNOWN_SEGMENTS",
    "ENTITIES",
    "HI_QUALIFIERS",
    "procedure_fields",
    "adjustments_of",
    "total_adjusted",
    "ICD_QUALIFIERS",
]

_ENVELOPE = "ISA TA1 GS ST SE GE IEA"
_BILLING = """BHT NM1 PER N3 N4 REF PRV CUR HL SBR PAT DMG CLM DTP CL1 PWK CN1 AMT K3 NTE CR1 CR2 CR3 CR5 CR6 CRC HI HCP LX SV1 SV2 SV3
SV4 SV5 PS1 MEA LIN CTP QTY SVD CAS LQ FRM MIA MOA OI HSD TOO DN1 DN2"""
_PAYMENT = "BPR NTE TRN CUR REF DTM N1 N2 N3 N4 PER RDM LX TS3 TS2 CLP CAS NM1 MIA MOA AMT QTY SVC LQ PLB"
_BILLED = "40 41 45 71 72 73 74 77 82 85 87 98 DD DK DN DQ FA GB GS IL P2 P3 PE PR PW QB QC QD QV SJ TT TTP ZZ"
_PAID = "03 1 2 74 82 GB IL PE PR QC TT"

KNOWN_SEGMENTS = {"837": {*_ENVELOPE.split(), *_BILLING.split()}, "835": {*_ENVELOPE.split(), *_PAYMENT.split()}}
ENTITIES = {"837": set(_BILLED.split()), "835": set(_PAID.split())}
# Qualifiers of diagnoses and procedures: (system, what it is); the other ones are known, but carry nothing that a
# claim here holds.
ICD_QUALIFIERS = {
    "ABK": ("icd10", "principal"),
    "BK": ("icd9", "principal"),
    "ABF": ("icd10", "other"),
    "BF": ("icd9", "other"),
    "ABJ": ("icd10", "admitting"),
    "BJ": ("icd9", "admitting"),
    "BBR": ("icd10", "procedure"),
    "BR": ("icd9", "procedure"),
    "BBQ": ("icd10", "procedure"),
    "BQ": ("icd9", "procedure"),
}
_CARRY_NOTHING = "DR APR PR ABN BN BE BG BH BI BP BO TC ABU ABV ADD CAH"
HI_QUALIFIERS = {*ICD_QUALIFIERS, *_CARRY_NOTHING.split()}


def procedure_fields(segment: Segment, element: int) -> dict[str, Any]:
    """Fields of a line from a composite such as `HC:99213:25` or `N4:00004196501`."""
    qualifier, *rest = segment.parts(element)
    code, modifiers = (rest or [""])[0], [part for part in rest[1:5] if part]
    if not qualifier and not code:
        return {}
    if not code:
        raise segment.error(element, "is not a qualifier and a code, such as HC:99213")
    if qualifier == "HC":
        return {
            "procedure_code": code.upper(),
            "procedure_system": "hcpcs",
            "modifiers": [m.upper() for m in modifiers],
        }
    if qualifier == "HP":
        return {
            "procedure_code": code.upper(),
            "procedure_system": "hipps",
            "modifiers": [m.upper() for m in modifiers],
        }
    if qualifier == "N4":
        return {"ndc": code}
    if qualifier == "NU":
        return {"revenue_code": code.zfill(4)}
    if qualifier in ("ER", "IV", "WK", "AD"):
        return {
            "procedure_code": code.upper(),
            "procedure_system": "other",
            "modifiers": [m.upper() for m in modifiers],
        }
    raise segment.error(element, "begins with a qualifier that is not known (HC, HP, N4, NU, ER, IV, WK, AD)")


def adjustments_of(segment: Segment) -> list[dict[str, Any]]:
    """The up to six adjustments of a CAS segment."""
    group, found = segment.need(1, "a group code such as CO"), []
    for element in range(2, max(len(segment.elements), 3), 3):
        if not segment[element] and element > 2:
            if segment[element + 1]:
                raise segment.error(element, "is empty, but an amount follows")
            continue
        amount = segment.money(element + 1)
        if amount is None:
            raise segment.error(element + 1, "is empty, expected an amount")
        found.append({"group_code": group, "reason_code": segment.need(element, "a reason code"), "amount": amount})
    return found


def total_adjusted(adjustments: list[dict[str, Any]]) -> Decimal:
    """The sum of their amounts."""
    return sum((adjustment["amount"] for adjustment in adjustments), Decimal(0))
