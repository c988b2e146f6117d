"""The claim: what a payer receives, field by field, validated once at the door and trusted inside.

`Claim` and `ClaimLine` are strict pydantic models with the industry's field names: institutional (UB-04, 837I),
professional (CMS-1500, 837P) and pharmacy claims are one model, with the fields of the other kinds left empty. What a
real payer could receive is legal, however suspicious (service after death, a thousand units, filing three years
late): those are findings, made later by the edits. What cannot be a claim at all is refused here: malformed codes and
dates, a period that ends before it starts, a birth after the service, line charges that do not add up to the claim's.

**Money is `Decimal` US dollars with at most two decimals**, here and in frames (`pl.Decimal(18, 2)`): sums are exact,
so totals can be compared with `==`, and a value means the same in the model, in a frame, in a file and on a page.
Integer cents would be as exact and somewhat faster, but every place that reads or prints them would have to remember
the factor of one hundred.

Names of people, streets, phone numbers and the like have no field here at all; no reader carries them.
"""

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from claimsformer.claims.forms import PATTERNS
from claimsformer.claims.rules import problems_of_claim
from claimsformer.errors import ClaimError

__all__ = [
    "Claim",
    "ClaimLine",
    "Adjustment",
    "ClaimType",
    "CodeSystem",
    "ProcedureSystem",
    "FIRST_DATE",
    "LAST_DATE",
    "problems_of_error",
]

ClaimType = Literal["institutional", "professional", "pharmacy"]
CodeSystem = Literal["icd9", "icd10", "snomed"]
ProcedureSystem = Literal["hcpcs", "hipps", "snomed", "rxnorm", "cvx", "other"]

FIRST_DATE, LAST_DATE = dt.date(1850, 1, 1), dt.date(2199, 12, 31)
MAX_AMOUNT = Decimal("9999999999.99")


def _form(kind: str) -> Any:
    return Field(pattern=PATTERNS[kind])


Identifier = Annotated[str, _form("identifier")]
State = Annotated[str, _form("state")]
ShortCode = Annotated[str, _form("short_code")]
Text = Annotated[str, _form("text")]
Date = Annotated[dt.date, Field(ge=FIRST_DATE, le=LAST_DATE)]
Money = Annotated[Decimal, Field(ge=-MAX_AMOUNT, le=MAX_AMOUNT, decimal_places=2, allow_inf_nan=False)]
Quantity = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
Days = Annotated[int, Field(ge=0, le=100_000)]


class _Model(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", hide_input_in_errors=True)


class Adjustment(_Model):
    """One CAS adjustment: group (CO, PR, OA, PI), claim adjustment reason code (CARC) and amount in US dollars."""

    group_code: ShortCode
    reason_code: ShortCode
    amount: Money


class ClaimLine(_Model):
    """One service line; amounts in US dollars, `units` in `unit_code` (UN units, MJ minutes), `quantity` is what was
    dispensed."""

    line_number: Annotated[int, Field(ge=1, le=99_999)]
    service_from: Date | None = None
    service_thru: Date | None = None
    procedure_code: Annotated[str, _form("other_procedure")] | None = None
    procedure_system: ProcedureSystem | None = None
    modifiers: Annotated[tuple[Annotated[str, _form("modifier")], ...], Field(strict=False, max_length=4)] = ()
    revenue_code: Annotated[str, _form("revenue_code")] | None = None
    place_of_service: Annotated[str, _form("place_of_service")] | None = None
    units: Quantity | None = None
    unit_code: ShortCode | None = None
    charge_amount: Money | None = None
    allowed_amount: Money | None = None
    paid_amount: Money | None = None
    diagnosis_pointers: Annotated[tuple[Annotated[int, Field(ge=1, le=99)], ...], Field(strict=False)] = ()
    rendering_provider_id: Identifier | None = None
    ndc: Annotated[str, _form("ndc")] | None = None
    drug_name: Text | None = None
    strength: Text | None = None
    days_supply: Days | None = None
    quantity: Quantity | None = None
    adjustments: Annotated[tuple[Adjustment, ...], Field(strict=False)] = ()


class Claim(_Model):
    """One claim of one member; see the module's docstring for what is refused here and what is left to the edits."""

    claim_id: Identifier
    claim_type: ClaimType
    member_id: Identifier
    member_sex: Literal["F", "M", "U"] | None = None
    member_birth_date: Date | None = None
    member_death_date: Date | None = None
    member_race: ShortCode | None = None
    member_state: State | None = None
    member_zip: Annotated[str, _form("zip")] | None = None
    member_conditions: Annotated[tuple[Annotated[str, _form("condition")], ...], Field(strict=False)] = ()
    payer_id: Identifier | None = None
    billing_provider_id: Identifier | None = None
    provider_state: State | None = None
    provider_specialty: Text | None = None
    attending_provider_id: Identifier | None = None
    operating_provider_id: Identifier | None = None
    rendering_provider_id: Identifier | None = None
    referring_provider_id: Identifier | None = None
    other_provider_id: Identifier | None = None
    service_from: Date
    service_thru: Date
    admission_date: Date | None = None
    discharge_date: Date | None = None
    submitted_date: Date | None = None
    paid_date: Date | None = None
    place_of_service: Annotated[str, _form("place_of_service")] | None = None
    bill_type: Annotated[str, _form("bill_type")] | None = None
    frequency_code: ShortCode | None = None
    claim_status: ShortCode | None = None
    discharge_status: ShortCode | None = None
    drg: Annotated[str, _form("drg")] | None = None
    code_system: CodeSystem | None = None
    admit_diagnosis: str | None = None
    diagnoses: Annotated[tuple[str, ...], Field(strict=False, max_length=50)] = ()
    procedures: Annotated[tuple[str, ...], Field(strict=False, max_length=50)] = ()
    covered_days: Days | None = None
    charge_amount: Money | None = None
    allowed_amount: Money | None = None
    paid_amount: Money | None = None
    deductible_amount: Money | None = None
    coinsurance_amount: Money | None = None
    primary_payer_amount: Money | None = None
    adjustments: Annotated[tuple[Adjustment, ...], Field(strict=False)] = ()
    remark_codes: Annotated[tuple[ShortCode, ...], Field(strict=False)] = ()
    lines: Annotated[tuple[ClaimLine, ...], Field(strict=False, max_length=9999)] = ()

    @model_validator(mode="after")
    def _cross_field(self) -> Self:
        problems = problems_of_claim(self)
        if problems:
            raise ClaimError(problems)
        return self

    @classmethod
    def parse(cls, fields: Mapping[str, Any]) -> "Claim":
        """The claim of these fields, or a ClaimError that lists every broken rule without repeating any value."""
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            raise ClaimError(problems_of_error(error)) from None


def problems_of_error(error: ValidationError) -> list[tuple[str, str]]:
    """(field, reason) of each broken rule, without any value."""
    return [problem for detail in error.errors() for problem in _problems(detail)]


def _problems(detail: Any) -> list[tuple[str, str]]:
    """(field, reason) pairs of one pydantic error; the input value is left out on purpose."""
    cause = detail.get("ctx", {}).get("error")
    if isinstance(cause, ClaimError):
        return list(cause.problems)
    field = ".".join(str(part + 1) if isinstance(part, int) else part for part in detail["loc"]) or "claim"
    reason = detail["msg"]
    if detail["type"] == "string_pattern_mismatch":
        reason = "does not have the form of this field"
    elif detail["type"] == "extra_forbidden":
        field, reason = (
            ".".join(str(part) for part in detail["loc"][:-1]) or "claim",
            "has a field that the schema does not know",
        )
    return [(field, reason[0].lower() + reason[1:])]
