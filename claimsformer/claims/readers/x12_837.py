"""X12 837P and 837I (005010X222, 005010X223): billing provider, subscriber and patient loops, claims and their
lines."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

from claimsformer.claims.readers.x12_fields import (
    ENTITIES,
    HI_QUALIFIERS,
    ICD_QUALIFIERS,
    KNOWN_SEGMENTS,
    procedure_fields,
)
from claimsformer.claims.readers.x12_segments import Segment
from claimsformer.errors import SegmentError

__all__ = ["Draft", "Transaction837"]

_PROVIDERS = {
    "71": "attending_provider_id",
    "72": "operating_provider_id",
    "82": "rendering_provider_id",
    "DN": "referring_provider_id",
}
_PROVIDERS |= {"ZZ": "other_provider_id", "P3": "referring_provider_id"}


@dataclass
class Draft:
    """A claim being read: its fields so far, where it began, and the errors met on the way."""

    position: int
    fields: dict[str, Any]
    lines: list[dict[str, Any]] = field(default_factory=list)
    errors: list[SegmentError] = field(default_factory=list)


@dataclass
class _Person:
    fields: dict[str, Any] = field(default_factory=dict)
    name: str = ""


class Transaction837:
    """The segments between ST and SE, one by one; `drafts` are the claims."""

    def __init__(self, guide: str = "") -> None:
        self.drafts: list[Draft] = []
        self.errors: list[SegmentError] = []  # met outside any claim; the claims below their loop have them too
        self._kind = "A" if "X223" in guide else "B" if "X222" in guide else ""  # ST03, when CLM05 does not say
        self._draft: Draft | None = None
        self._composites: dict[str, str] = {}
        self._loop = ""  # entity of the last NM1: N3, N4 and DMG belong to it
        self._other_payer = False  # inside loop 2320, 2330 or 2430: another payer's view of the claim
        self._submitted: dict[str, Any] = {}
        self._provider: dict[str, Any] = {}
        self._payer: dict[str, Any] = {}
        self._people: dict[str, _Person] = {}
        self._errors: dict[str, list[SegmentError]] = {"20": [], "22": [], "23": []}
        self._level = "20"

    def add(self, segment: Segment) -> None:
        """Take in one segment; an error stays with its claim, or with all claims below its loop."""
        segment.composites.update(self._composites)
        try:
            if segment.name not in KNOWN_SEGMENTS["837"]:
                raise SegmentError("segment", 0, segment.position, "is not one that an 837 has")
            handler = getattr(self, f"_{segment.name.lower()}", None)
            if handler is not None:
                handler(segment)
        except SegmentError as error:
            (self._draft.errors if self._draft else self._errors[self._level]).append(error)
            if self._draft is None:
                self.errors.append(error)

    def _bht(self, segment: Segment) -> None:
        if segment[4]:
            self._submitted = {"submitted_date": segment.date(4)}

    def _hl(self, segment: Segment) -> None:
        self._draft, self._other_payer, self._loop = None, False, ""
        level = segment[3]
        if level not in self._errors:
            raise segment.error(3, "is not a level of an 837 (20, 22, 23)")
        self._level = level
        for lower in ("20", "22", "23"):
            if lower >= level:
                self._errors[lower] = []
        if level == "20":
            self._provider, self._people, self._payer = {}, {}, {}
        elif level == "22":
            self._people, self._payer = {"IL": _Person()}, {}
        else:
            self._people["QC"] = _Person()

    def _nm1(self, segment: Segment) -> None:
        entity = segment[1]
        if entity not in ENTITIES["837"]:
            raise segment.error(1, "is not an entity that an 837 names")
        self._loop = entity
        identifier = segment[9]
        if self._other_payer:
            return
        if self._draft is not None:
            self._claim_provider(entity, identifier)
        elif entity == "85":
            self._provider["billing_provider_id"] = segment.need(9, "the identifier of the billing provider")
        elif entity == "PR":
            self._payer = {"payer_id": identifier} if identifier else {}
        elif entity in ("IL", "QC"):
            person = self._people.setdefault(entity, _Person())
            person.name = f"{segment[3]}|{segment[4]}|{segment[5]}"
            if identifier:
                person.fields["member_id"] = identifier

    def _claim_provider(self, entity: str, identifier: str) -> None:
        if entity not in _PROVIDERS or not identifier or self._draft is None:
            return
        if not self._draft.lines:
            self._draft.fields.setdefault(_PROVIDERS[entity], identifier)
        elif entity == "82":
            self._draft.lines[-1]["rendering_provider_id"] = identifier

    def _prv(self, segment: Segment) -> None:
        if segment[1] == "BI" and segment[3]:
            self._provider["provider_specialty"] = segment[3]

    def _n4(self, segment: Segment) -> None:
        if self._draft is not None:
            return
        if self._loop == "85" and segment[2]:
            self._provider["provider_state"] = segment[2].upper()
        elif self._loop in ("IL", "QC"):
            fields = self._people.setdefault(self._loop, _Person()).fields
            if segment[2]:
                fields["member_state"] = segment[2].upper()
            if segment[3][:5].isdigit():
                fields["member_zip"] = segment[3][:5]

    def _dmg(self, segment: Segment) -> None:
        if self._draft is not None or self._loop not in ("IL", "QC"):
            return
        fields = self._people.setdefault(self._loop, _Person()).fields
        if segment[2]:
            fields["member_birth_date"] = segment.period(1, 2)[0]
        if segment[3]:
            fields["member_sex"] = segment[3]

    def _sbr(self, segment: Segment) -> None:
        self._other_payer = self._draft is not None

    def _clm(self, segment: Segment) -> None:
        self._other_payer = False
        self._loop = ""
        inherited = [error for level in ("20", "22", "23") for error in self._errors[level]]
        self._draft = Draft(segment.position, {**self._submitted, **self._provider, **self._payer}, errors=inherited)
        self.drafts.append(self._draft)
        fields = self._draft.fields
        if "billing_provider_id" not in fields and not inherited:
            raise segment.error(0, "has no billing provider above it (NM1*85)")
        fields.update(self._member(segment))
        fields["claim_id"] = segment.need(1, "the identifier of the claim")
        fields["charge_amount"] = segment.money(2)
        if fields["charge_amount"] is None:
            raise segment.error(2, "is empty, expected the total charge")
        if segment.component not in segment[5] and ">" in segment[5]:
            self._composites = {"separator": ">"}  # some senders announce one separator and use another
            segment.composites.update(self._composites)
        facility, kind, frequency = ([*segment.parts(5), "", "", ""])[:3]
        fields["frequency_code"] = frequency or None
        kind = kind or self._kind
        if kind == "A":
            fields |= {"claim_type": "institutional", "bill_type": facility + frequency or None}
        elif kind == "B":
            fields |= {"claim_type": "professional", "place_of_service": facility or None}
        else:
            raise segment.error(5, "does not say A (institutional) or B (professional) in its second component")

    def _member(self, segment: Segment) -> dict[str, Any]:
        subscriber, patient = self._people.get("IL", _Person()), self._people.get("QC")
        if "member_id" not in subscriber.fields and (patient is None or "member_id" not in patient.fields):
            raise segment.error(0, "has no member above it (NM109 of NM1*IL)")
        if patient is None:
            return subscriber.fields
        if "member_id" in patient.fields:
            return patient.fields
        # A dependent has no identifier of its own in 5010; name and birth date tell the members of a family apart.
        key = f"{patient.name}|{patient.fields.get('member_birth_date')}".encode()
        return {
            **patient.fields,
            "member_id": f"{subscriber.fields['member_id']}-{hashlib.sha256(key).hexdigest()[:8]}",
        }

    def _dtp(self, segment: Segment) -> None:
        if self._draft is None or self._other_payer:
            return
        qualifier, fields = segment[1], self._draft.fields
        if qualifier == "434" and not self._draft.lines:
            fields["_statement"] = segment.period(2, 3)
        elif qualifier == "435" and not self._draft.lines:
            fields["admission_date"] = segment.period(2, 3)[0]
        elif qualifier == "472":
            target = self._draft.lines[-1] if self._draft.lines else fields
            target["service_from"], target["service_thru"] = segment.period(2, 3)

    def _cl1(self, segment: Segment) -> None:
        if self._draft is not None and segment[3]:
            self._draft.fields["discharge_status"] = segment[3]

    def _hi(self, segment: Segment) -> None:
        if self._draft is None:
            raise segment.error(0, "stands before any claim")
        fields = self._draft.fields
        for element in range(1, len(segment.elements)):
            qualifier, code = ([*segment.parts(element), ""])[:2]
            if qualifier not in HI_QUALIFIERS or not code:
                raise segment.error(element, "is not a known qualifier and a code")
            if qualifier == "DR":
                fields["drg"] = code.zfill(3)
            elif qualifier in ICD_QUALIFIERS:
                system, role = ICD_QUALIFIERS[qualifier]
                if fields.setdefault("code_system", system) != system:
                    raise segment.error(element, "mixes ICD-9 and ICD-10 in one claim")
                if role == "admitting":
                    fields["admit_diagnosis"] = code
                else:
                    fields.setdefault("procedures" if role == "procedure" else "diagnoses", []).append(code)

    def _lx(self, segment: Segment) -> None:
        if self._draft is None:
            raise segment.error(0, "stands before any claim")
        self._other_payer = False
        if not segment[1].isdecimal():
            raise segment.error(1, "is not a line number")
        self._draft.lines.append({"line_number": int(segment[1])})

    def _line(self, segment: Segment) -> dict[str, Any]:
        if self._draft is None or not self._draft.lines:
            raise segment.error(0, "stands before the LX of its line")
        if "charge_amount" in self._draft.lines[-1]:
            raise segment.error(0, "is the second service of its line; an LX is missing")
        return self._draft.lines[-1]

    def _sv1(self, segment: Segment) -> None:
        line = self._line(segment)
        line |= {"charge_amount": segment.money(2), "unit_code": segment[3] or None, "units": segment.number(4)}
        line |= {**procedure_fields(segment, 1), "place_of_service": segment[5] or None}
        pointers = [part for part in segment.parts(7) if part]
        if not all(part.isdecimal() for part in pointers):
            raise segment.error(7, "is not a list of pointers to diagnoses")
        line["diagnosis_pointers"] = [int(part) for part in pointers]

    def _sv2(self, segment: Segment) -> None:
        line = self._line(segment)
        line |= {"charge_amount": segment.money(3), "unit_code": segment[4] or None, "units": segment.number(5)}
        line |= {**procedure_fields(segment, 2), "revenue_code": segment.need(1, "a revenue code").zfill(4)}

    def _sv3(self, segment: Segment) -> None:
        raise segment.error(0, "is a dental service; dental claims are not read")

    def _lin(self, segment: Segment) -> None:
        if self._draft is not None and self._draft.lines and segment[2] == "N4":
            self._draft.lines[-1]["ndc"] = segment[3]

    def _ctp(self, segment: Segment) -> None:
        if self._draft is not None and self._draft.lines:
            self._draft.lines[-1]["quantity"] = segment.number(4)

    def finish(self, segment: Segment) -> None:
        """After SE: the service period of each claim, from the statement (institutional) or from its lines."""
        for draft in self.drafts:
            statement = draft.fields.pop("_statement", None)
            for line in draft.lines:
                if "charge_amount" not in line:
                    draft.errors.append(SegmentError("LX", 0, draft.position, "has a line without SV1 or SV2"))
            if not draft.lines:
                draft.errors.append(SegmentError("LX", 0, draft.position, "is missing: the claim has no service line"))
            days = [line[name] for line in draft.lines for name in ("service_from", "service_thru") if line.get(name)]
            if statement and (draft.fields.get("claim_type") == "institutional" or not days):
                draft.fields["service_from"], draft.fields["service_thru"] = statement
            elif days and "service_from" not in draft.fields:
                draft.fields["service_from"], draft.fields["service_thru"] = min(days), max(days)
            elif not days and "service_from" not in draft.fields:
                draft.errors.append(
                    SegmentError("DTP", 3, draft.position, "is missing: the claim has no date of service")
                )
