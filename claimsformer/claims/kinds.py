"""What kind of value each field holds, for cleaning, masking and reading; the fields of a line are prefixed with
`line_`."""

from functools import cache

import polars as pl

from claimsformer.claims.frames import claims_schema, line_schema

__all__ = ["IDENTIFYING", "LIST_FIELDS", "flat_schema", "kind_of"]

LIST_FIELDS = (
    "member_conditions",
    "diagnoses",
    "procedures",
    "remark_codes",
    "line_modifiers",
    "line_diagnosis_pointers",
)

_KINDS = {
    "member_sex": "sex",
    "member_state": "state",
    "provider_state": "state",
    "member_zip": "zip",
    "claim_type": "claim_type",
    "code_system": "code_system",
    "line_procedure_system": "lower",
    "admit_diagnosis": "icd",
    "diagnoses": "icd",
    "procedures": "icd",
    "line_procedure_code": "code",
    "line_modifiers": "code",
    "place_of_service": "pad2",
    "line_place_of_service": "pad2",
    "line_revenue_code": "pad4",
    "drg": "pad3",
    "bill_type": "bill_type",
    "line_ndc": "ndc",
    "line_units": "number",
    "line_quantity": "number",
    "covered_days": "whole",
    "line_days_supply": "whole",
    "line_line_number": "whole",
    "line_diagnosis_pointers": "whole",
    "line_drug_name": "text",
    "line_strength": "strength",
    "provider_specialty": "text",
    "member_conditions": "text",
    "adjustments": "adjustments",
    "line_adjustments": "adjustments",
}
_CODES = {"member_race", "frequency_code", "claim_status", "discharge_status", "line_unit_code", "remark_codes"}

# Fields whose values identify a person, a claim or a place: never shown, in no message, log or rejects file.
IDENTIFYING = {"claim_id", "member_id", "member_birth_date", "member_death_date", "member_zip"}


@cache
def flat_schema() -> dict[str, pl.DataType]:
    """Types of a table with one row per line: the claim's fields, then `line_` and each field of the line."""
    claim = {name: dtype for name, dtype in claims_schema().items() if name != "lines"}
    return {**claim, **{f"line_{name}": dtype for name, dtype in line_schema().items()}}


@cache
def kind_of(field: str) -> str:
    """The kind of value of a field of `flat_schema()`: identifier, date, money, number, whole, icd, code, ..."""
    if field in _KINDS:
        return _KINDS[field]
    dtype = flat_schema()[field]
    if dtype == pl.Date:
        return "date"
    if isinstance(dtype, pl.Decimal):
        return "money"
    return "code" if field in _CODES else "identifier"
