"""X12 835 remittance (005010X221): what a payer paid on each claim, with adjustments of claim and line, checked to
balance."""

from decimal import Decimal
from typing import Any

from claimsformer.claims.readers.x12_837 import Draft
from claimsformer.claims.readers.x12_fields import (
    ENTITIES,
    KNOWN_SEGMENTS,
    adjustments_of,
    procedure_fields,
    total_adjusted,
)
from claimsformer.claims.readers.x12_segments import Segment
from claimsformer.errors import SegmentError

__all__ = ["Transaction835"]


class Transaction835:
    """The segments between ST and SE, one by one; `drafts` are the claims."""

    def __init__(self) -> None:
        self.drafts: list[Draft] = []
        self._draft: Draft | None = None
        self._header: dict[str, Any] = {}
        self.errors: list[SegmentError] = []  # met outside any claim; the claims that follow have them too
        self._party = ""

    def add(self, segment: Segment) -> None:
        """Take in one segment; an error stays with its claim, or with all claims when it is in the header."""
        try:
            if segment.name not in KNOWN_SEGMENTS["835"]:
                raise SegmentError("segment", 0, segment.position, "is not one that an 835 has")
            handler = getattr(self, f"_{segment.name.lower()}", None)
            if handler is not None:
                handler(segment)
        except SegmentError as error:
            (self._draft.errors if self._draft else self.errors).append(error)

    def _bpr(self, segment: Segment) -> None:
        if segment[16]:
            self._header["paid_date"] = segment.date(16)

    def _n1(self, segment: Segment) -> None:
        self._party = segment[1]
        if self._party == "PE" and segment[4]:
            self._header["billing_provider_id"] = segment[4]
        elif self._party == "PR" and segment[4]:
            self._header["payer_id"] = segment[4]

    def _n4(self, segment: Segment) -> None:
        if self._party == "PE" and segment[2]:
            self._header["provider_state"] = segment[2].upper()

    def _lx(self, segment: Segment) -> None:
        self._draft = None

    def _plb(self, segment: Segment) -> None:
        self._draft = None

    def _clp(self, segment: Segment) -> None:
        self._draft = Draft(segment.position, dict(self._header), errors=list(self.errors))
        self.drafts.append(self._draft)
        fields = self._draft.fields
        fields["claim_id"] = segment.need(1, "the identifier of the claim")
        fields["claim_status"] = segment.need(2, "the status of the claim")
        fields["charge_amount"], fields["paid_amount"] = segment.money(3), segment.money(4)
        if fields["charge_amount"] is None or fields["paid_amount"] is None:
            raise segment.error(3 if fields["charge_amount"] is None else 4, "is empty, expected an amount")
        fields["_filing"], fields["_facility"] = segment[6], segment[8]
        fields["frequency_code"] = segment[9] or None
        if segment[11]:
            fields["drg"] = segment[11].zfill(3)
        fields["adjustments"] = []

    def _cas(self, segment: Segment) -> None:
        if self._draft is None:
            raise segment.error(0, "stands before any claim")
        target = self._draft.lines[-1] if self._draft.lines else self._draft.fields
        target.setdefault("adjustments", []).extend(adjustments_of(segment))

    def _nm1(self, segment: Segment) -> None:
        if segment[1] not in ENTITIES["835"]:
            raise segment.error(1, "is not an entity that an 835 names")
        if self._draft is None or not segment[9]:
            return
        if segment[1] == "QC":
            self._draft.fields["member_id"] = segment[9]
        elif segment[1] == "IL":
            self._draft.fields.setdefault("member_id", segment[9])
        elif segment[1] == "82":
            self._draft.fields["rendering_provider_id"] = segment[9]

    def _mia(self, segment: Segment) -> None:
        if self._draft is not None:
            self._draft.fields["_inpatient"] = True
            self._remarks(segment, (5, 20, 21, 22, 23))

    def _moa(self, segment: Segment) -> None:
        if self._draft is not None:
            self._remarks(segment, (3, 4, 5, 6, 7))

    def _remarks(self, segment: Segment, elements: tuple[int, ...]) -> None:
        if self._draft is not None:
            codes = [segment[element] for element in elements if segment[element]]
            self._draft.fields.setdefault("remark_codes", []).extend(codes)

    def _lq(self, segment: Segment) -> None:
        if self._draft is not None and segment[1] == "HE" and segment[2]:
            self._draft.fields.setdefault("remark_codes", []).append(segment[2])

    def _amt(self, segment: Segment) -> None:
        if self._draft is None:
            return
        if segment[1] == "AU" and not self._draft.lines:
            self._draft.fields["allowed_amount"] = segment.money(2)
        elif segment[1] == "B6" and self._draft.lines:
            self._draft.lines[-1]["allowed_amount"] = segment.money(2)

    def _dtm(self, segment: Segment) -> None:
        if self._draft is None:
            return
        line = self._draft.lines[-1] if self._draft.lines else None
        qualifier = segment[1]
        if line is None and qualifier in ("232", "233", "050"):
            name = {"232": "service_from", "233": "service_thru", "050": "submitted_date"}[qualifier]
            self._draft.fields[name] = segment.date(2)
        elif line is not None and qualifier in ("150", "151", "472"):
            day = segment.date(2)
            if qualifier != "151":
                line["service_from"] = day
            if qualifier != "150":
                line["service_thru"] = day

    def _svc(self, segment: Segment) -> None:
        if self._draft is None:
            raise segment.error(0, "stands before any claim")
        line: dict[str, Any] = {"line_number": len(self._draft.lines) + 1, "adjustments": []}
        self._draft.lines.append(line)
        line |= {"charge_amount": segment.money(2), "paid_amount": segment.money(3), **procedure_fields(segment, 1)}
        if segment[4]:
            line["revenue_code"] = segment[4].zfill(4)
        line["units"] = segment.number(5)

    def finish(self, segment: Segment) -> None:
        """After SE: claim type, service period, and the balance of each claim."""
        for draft in self.drafts:
            if draft.errors:
                continue
            fields = draft.fields
            filing, facility = fields.pop("_filing", ""), fields.pop("_facility", "")
            inpatient = fields.pop("_inpatient", False) or "drg" in fields or filing == "MA"
            if any("ndc" in line and "procedure_code" not in line for line in draft.lines):
                fields["claim_type"] = "pharmacy"
            elif inpatient or any("revenue_code" in line for line in draft.lines):
                fields["claim_type"] = "institutional"
                if len(facility) == 2 and fields["frequency_code"]:
                    fields["bill_type"] = facility + fields["frequency_code"]
            else:
                fields["claim_type"] = "professional"
                fields["place_of_service"] = facility if len(facility) == 2 else None
            self._dates(draft)
            self._balance(draft)

    def _dates(self, draft: Draft) -> None:
        days = [line[name] for line in draft.lines for name in ("service_from", "service_thru") if line.get(name)]
        fields = draft.fields
        if "service_from" not in fields and not days:
            draft.errors.append(SegmentError("DTM", 2, draft.position, "is missing: the claim has no date of service"))
            return
        fields.setdefault("service_from", min(days) if days else None)
        fields.setdefault("service_thru", max(days) if days else fields["service_from"])

    def _balance(self, draft: Draft) -> None:
        """Charge less payment is what was adjusted, on each line and on the claim (section 1.10.2.1 of the guide)."""
        adjusted = total_adjusted(draft.fields["adjustments"])
        for line in draft.lines:
            mine = total_adjusted(line["adjustments"])
            adjusted += mine
            if (line["charge_amount"] or Decimal(0)) - (line["paid_amount"] or Decimal(0)) != mine:
                draft.errors.append(
                    SegmentError("SVC", 3, draft.position, "is not the charge less the adjustments of the line")
                )
        if draft.fields["charge_amount"] - draft.fields["paid_amount"] != adjusted:
            draft.errors.append(
                SegmentError("CLP", 4, draft.position, "is not the charge less the adjustments of the claim")
            )
