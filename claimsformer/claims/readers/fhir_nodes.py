"""JSON with its path: every access says where it looks, so that what is missing or of the wrong kind is named, never
guessed."""

import datetime as dt
import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Any

from claimsformer.errors import ReadError

__all__ = ["Node", "PathError", "unknown_element"]

# Every element name in the trees of Claim, ExplanationOfBenefit and Patient, R4 and STU3, with the data types they
# use. A name outside this list is refused, as the standard demands: it may be a misspelt element whose loss would
# change the claim.
_NAMES = """
resourceType id meta versionId lastUpdated source profile security tag implicitRules language text status div contained extension url
modifierExtension identifier use type subType patient billablePeriod start end created enterer insurer provider priority fundsReserve
fundsReserveRequested related claim relationship reference prescription originalPrescription payee party resourceType referral facility
careTeam careTeamSequence responsible role qualification supportingInfo information sequence category code timingDate timingPeriod
valueBoolean valueString valueQuantity valueAttachment valueReference reason diagnosis diagnosisCodeableConcept diagnosisReference
onAdmission packageCode procedure date procedureCodeableConcept procedureReference udi insurance focal coverage businessArrangement
preAuthRef claimResponse accident locationAddress locationReference item diagnosisSequence procedureSequence informationSequence
revenue productOrService service modifier programCode servicedDate servicedPeriod locationCodeableConcept quantity unitPrice factor net
bodySite subSite encounter detail subDetail total totalCost unallocDeductable totalBenefit coding system version code display
userSelected value currency unit comparator assigner period outcome disposition preAuthRefPeriod organization claimReference
claimResponse precedence noteNumber adjudication amount itemSequence addItem subDetailSequence detailSequence payment adjustment
adjustmentReason formCode form processNote number note benefitPeriod benefitBalance excluded name description network term financial
allowedUnsignedInt allowedString allowedMoney usedUnsignedInt usedMoney usedString careTeamLinkId diagnosisLinkId procedureLinkId
informationLinkId hospitalization employmentImpacted line city district state postalCode country family given prefix suffix gender
birthDate deceasedBoolean deceasedDateTime address telecom rank active maritalStatus multipleBirthBoolean multipleBirthInteger photo
contact communication generalPractitioner managingOrganization link valueCoding valueIdentifier valueMoney valueDate valueDateTime
valueCode valueInteger valueDecimal valueUri valueCodeableConcept valuePeriod valueAddress valueId valueUrl valueCanonical valueMarkdown
valuePositiveInt valueUnsignedInt valueInstant valueTime size hash title data contentType creation nonFinancial
"""
_KNOWN = frozenset(_NAMES.split())
_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})(T[0-9:.]+(Z|[+-][0-9]{2}:[0-9]{2})?)?")


class PathError(ReadError):
    """An element of a resource cannot be read; `path` names it."""

    def __init__(self, path: str, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"{path}: {reason}")


def unknown_element(value: Any, path: str) -> str | None:
    """The path of the first element with a name that FHIR does not know; what is contained may be of any kind and is
    skipped."""
    if isinstance(value, dict):
        for name, child in value.items():
            if name.lstrip("_") not in _KNOWN:
                return f"{path}.{name[:40] if re.fullmatch('[A-Za-z_]{1,40}', name) else '?'}"
            found = None if name in ("contained", "text") else unknown_element(child, f"{path}.{name}")
            if found:
                return found
    elif isinstance(value, list):
        for index, child in enumerate(value):
            found = unknown_element(child, f"{path}[{index}]")
            if found:
                return found
    return None


class Node:
    """A JSON value and the path that leads to it; a missing element is a Node that is false."""

    def __init__(self, value: Any, path: str) -> None:
        self.value, self.path = value, path

    def __bool__(self) -> bool:
        return self.value is not None

    def error(self, reason: str) -> PathError:
        """A PathError here; the reason must not repeat a value."""
        return PathError(self.path, reason)

    def __getitem__(self, name: str) -> "Node":
        if self.value is None:
            return Node(None, f"{self.path}.{name}")
        if not isinstance(self.value, dict):
            raise self.error("is not an object")
        return Node(self.value.get(name), f"{self.path}.{name}")

    def first(self, *names: str) -> "Node":
        """The first of these elements that is there."""
        return next((self[name] for name in names if self[name]), self[names[0]])

    def __iter__(self) -> Iterator["Node"]:
        """The elements of a list; a single object counts as a list of one (STU3 and R4 differ in that)."""
        if self.value is None:
            return
        if not isinstance(self.value, list):
            yield self
            return
        for index, value in enumerate(self.value):
            yield Node(value, f"{self.path}[{index}]")

    def text(self) -> str | None:
        """The text here, None when absent or empty."""
        if self.value is None:
            return None
        if not isinstance(self.value, str):
            raise self.error("is not text")
        return self.value.strip() or None

    def date(self) -> dt.date | None:
        """The day of a date or dateTime."""
        text = self.text()
        if text is None:
            return None
        match = _DATE.fullmatch(text)
        try:
            return dt.date(int(match[1]), int(match[2]), int(match[3]))  # type: ignore[index]
        except (TypeError, ValueError):
            raise self.error("is not a date YYYY-MM-DD") from None

    def number(self) -> Decimal | None:
        """The number here."""
        if self.value is None:
            return None
        if isinstance(self.value, bool) or not isinstance(self.value, int | Decimal):
            raise self.error("is not a number")
        try:
            return +Decimal(self.value)
        except InvalidOperation:
            raise self.error("is not a number") from None

    def whole(self) -> int | None:
        """The whole number here."""
        number = self.number()
        if number is not None and (number != number.to_integral_value() or abs(number) > 10**9):
            raise self.error("is not a whole number")
        return None if number is None else int(number)

    def money(self) -> Decimal | None:
        """The amount of a Money in US dollars, to the cent."""
        if not self:
            return None
        currency = self.first("currency", "code").text()
        if currency not in (None, "USD"):
            raise self.error("is not in US dollars")
        number = self["value"].number()
        if number is None:
            return None
        if abs(number) > 10**10:
            raise self["value"].error("is out of range")
        return number.quantize(Decimal("0.01"))

    def codes(self) -> list[tuple[str, str, "Node"]]:
        """(system, code, node) of each coding of a CodeableConcept."""
        found = []
        for coding in self["coding"]:
            code = coding["code"].text()
            if code is not None:
                found.append((coding["system"].text() or "", code, coding))
        return found

    def reference(self) -> str | None:
        """The last part of a reference, or the value of a logical one."""
        text = self["reference"].text()
        if text is not None:
            return text.rsplit("/", 1)[-1] or None
        return self["identifier"]["value"].text()
