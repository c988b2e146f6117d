"""The schema's rules on whole tables: vectorised, with the same words as the models, so a batch is judged in
milliseconds.

A property test holds this module and `Claim` together: a row passes here exactly when `Claim.parse` accepts it.
"""

from collections.abc import Iterator

import polars as pl

from claimsformer.claims.forms import PATTERNS
from claimsformer.claims.frames import claims_schema, line_schema
from claimsformer.claims.rules import LINE_PROCEDURE_FORM, PROCEDURE_FORM, SENTENCES
from claimsformer.claims.schema import FIRST_DATE, LAST_DATE, MAX_AMOUNT, CodeSystem, ProcedureSystem

__all__ = ["check_frame"]

FORM_REASON = "does not have the form of this field"
_FORMS = {
    **{name: "identifier" for name in claims_schema() if name.endswith("_id")},
    "member_race": "short_code",
    "member_state": "state",
    "provider_state": "state",
    "member_zip": "zip",
    "provider_specialty": "text",
    "place_of_service": "place_of_service",
    "bill_type": "bill_type",
    "frequency_code": "short_code",
    "claim_status": "short_code",
    "discharge_status": "short_code",
    "drg": "drg",
}
_LINE_FORMS = {
    "procedure_code": "other_procedure",
    "revenue_code": "revenue_code",
    "place_of_service": "place_of_service",
    "unit_code": "short_code",
    "rendering_provider_id": "identifier",
    "ndc": "ndc",
    "drug_name": "text",
    "strength": "text",
}
_CHOICES = {
    "claim_type": ("institutional", "professional", "pharmacy"),
    "member_sex": ("F", "M", "U"),
    "code_system": CodeSystem.__args__,  # type: ignore[attr-defined]
}
_REQUIRED = ("claim_id", "claim_type", "member_id", "service_from", "service_thru")


def _misfit(column: pl.Expr, kind: str) -> pl.Expr:
    return ~column.str.contains(PATTERNS[kind])


def _out_of_range(name: str, dtype: pl.DataType) -> pl.Expr | None:
    column = pl.col(name)
    if dtype == pl.Date:
        return ~column.is_between(FIRST_DATE, LAST_DATE)
    if isinstance(dtype, pl.Decimal):
        return column.abs() > MAX_AMOUNT
    if dtype == pl.Float64:
        return ~column.is_between(0, 1e9) | column.is_nan()
    if dtype == pl.Int32:
        return ~column.is_between(1 if name == "line_number" else 0, 99_999 if name == "line_number" else 100_000)
    return None


def _field_checks() -> Iterator[tuple[str, str, pl.Expr]]:
    for name in _REQUIRED:
        yield name, "is missing", pl.col(name).is_null()
    for name, kind in _FORMS.items():
        yield name, FORM_REASON, _misfit(pl.col(name), kind)
    for name, choices in _CHOICES.items():
        yield name, f"is not one of {', '.join(choices)}", ~pl.col(name).is_in(list(choices))
    for name, dtype in claims_schema().items():
        beyond = _out_of_range(name, dtype)
        if beyond is not None:
            yield name, "is out of range", beyond
    for name, kind in (("member_conditions", "condition"), ("remark_codes", "short_code")):
        yield name, FORM_REASON, pl.col(name).list.eval(_misfit(pl.element(), kind)).list.any()
    for name in ("diagnoses", "procedures"):
        yield name, "has more than 50 codes", pl.col(name).list.len() > 50
    yield "lines", "has more than 9999 lines", pl.col("lines").list.len() > 9999


def _code_misfits(name: str, forms: dict[str, str], single: bool = False) -> pl.Expr:
    column, found = pl.col(name), pl.lit(False)
    for system, kind in forms.items():
        bad = _misfit(column, kind) if single else column.list.eval(_misfit(pl.element(), kind)).list.any()
        found = found | ((pl.col("code_system") == system) & bad)
    return found


def _cross_checks() -> Iterator[tuple[str, pl.Expr]]:
    c = pl.col
    coded = (
        c("diagnoses").list.len() + c("procedures").list.len() + c("admit_diagnosis").is_not_null().cast(pl.UInt32) > 0
    )
    systems = {system: system for system in PROCEDURE_FORM}
    charges = c("lines").list.eval(pl.element().struct.field("charge_amount"))
    all_charged = (c("lines").list.len() > 0) & (charges.list.drop_nulls().list.len() == c("lines").list.len())
    negative = (c("charge_amount") < 0).fill_null(False) | charges.list.eval(pl.element() < 0).list.any().fill_null(
        False
    )
    yield "service_period", c("service_thru") < c("service_from")
    yield "admission_period", c("discharge_date") < c("admission_date")
    yield "birth", c("member_birth_date") > c("service_from")
    yield "death_before_birth", c("member_death_date") < c("member_birth_date")
    yield "code_system_missing", c("code_system").is_null() & coded
    yield "admit_diagnosis", _code_misfits("admit_diagnosis", systems, single=True)
    yield "diagnoses", _code_misfits("diagnoses", systems)
    yield "procedures", _code_misfits("procedures", PROCEDURE_FORM)
    yield "negative", c("claim_status").ne_missing("22") & negative
    yield "charge_total", all_charged & (charges.list.sum() != c("charge_amount"))


def _line_checks() -> Iterator[tuple[str, str, pl.Expr]]:
    c = pl.col
    yield "line_number", "is missing", c("line_number").is_null()
    for name, kind in _LINE_FORMS.items():
        yield name, FORM_REASON, _misfit(c(name), kind)
    systems: tuple[str, ...] = ProcedureSystem.__args__  # type: ignore[attr-defined]
    yield "procedure_system", f"is not one of {', '.join(systems)}", ~c("procedure_system").is_in(list(systems))
    yield "modifiers", FORM_REASON, c("modifiers").list.eval(_misfit(pl.element(), "modifier")).list.any()
    yield "modifiers", "has more than 4", c("modifiers").list.len() > 4
    for name, dtype in line_schema().items():
        beyond = _out_of_range(name, dtype)
        if beyond is not None:
            yield name, "is out of range", beyond
    dates = [c("service_from"), c("service_thru")]
    misformed = pl.lit(False)
    for system, kind in LINE_PROCEDURE_FORM.items():
        misformed = misformed | ((c("procedure_system") == system) & _misfit(c("procedure_code"), kind))
    outside = pl.any_horizontal(*[(day < c("claim_from")) | (day > c("claim_thru")) for day in dates])
    yield "", "line_period", c("service_thru") < c("service_from")
    yield "", "line_outside", outside
    yield "", "line_procedure", misformed
    pointer = c("diagnosis_pointers")
    yield "", "line_pointer", ((pointer.list.max() > c("n_diagnoses")) | (pointer.list.min() < 1)).fill_null(False)


def _report(frame: pl.DataFrame, checks: list[tuple[str, str, pl.Expr]]) -> pl.DataFrame:
    """(row, field, reason) of each check that is true."""
    flags = frame.select("row", *[bad.fill_null(False).alias(str(i)) for i, (_, _, bad) in enumerate(checks)])
    broken = flags.filter(pl.any_horizontal(pl.exclude("row")))
    table = broken.unpivot(index="row", variable_name="check").filter(pl.col("value")).drop("value")
    fields = {str(i): field for i, (field, _, _) in enumerate(checks)}
    reasons = {str(i): reason for i, (_, reason, _) in enumerate(checks)}
    return table.select(
        "row",
        pl.col("check").replace_strict(fields, return_dtype=pl.String).alias("field"),
        pl.col("check").replace_strict(reasons, return_dtype=pl.String).alias("reason"),
    )


def _line_problems(frame: pl.DataFrame) -> list[pl.DataFrame]:
    header = ("row", pl.col("service_from").alias("claim_from"), pl.col("service_thru").alias("claim_thru"))
    n_diagnoses = pl.col("diagnoses").list.len().alias("n_diagnoses")
    lines = (
        frame.select(*header, n_diagnoses, "lines")
        .filter(pl.col("lines").list.len() > 0)
        .explode("lines")
        .unnest("lines")
    )
    if lines.is_empty():
        return []
    checks = []
    for field, reason, bad in _line_checks():
        checks.append((f"lines.{field}", reason, bad) if field else (*SENTENCES[reason], bad))
    numbers = pl.col("lines").list.eval(pl.element().struct.field("line_number"))
    repeated = frame.filter((numbers.list.diff().list.min() <= 0).fill_null(False)).select("row")
    field, reason = SENTENCES["line_numbers"]
    sentence = repeated.with_columns(pl.lit(field).alias("field"), pl.lit(reason).alias("reason"))
    return [_report(lines, checks).unique(), sentence]


def check_frame(frame: pl.DataFrame) -> pl.DataFrame:
    """Each broken rule as (row, field, reason), row counted from 0; the frame has the columns of `claims_schema()`."""
    numbered = frame.with_row_index("row").with_columns(pl.col("row").cast(pl.Int64))
    checks = list(_field_checks()) + [(*SENTENCES[name], bad) for name, bad in _cross_checks()]
    parts = [_report(numbered, checks), *_line_problems(numbered), _adjustment_problems(numbered)]
    return pl.concat(parts).unique(maintain_order=False).sort("row", "field", "reason")


def _adjustment_problems(frame: pl.DataFrame) -> pl.DataFrame:
    code = PATTERNS["short_code"]
    element = pl.element().struct
    bad = (
        ~element.field("group_code").str.contains(code).fill_null(False)
        | ~element.field("reason_code").str.contains(code).fill_null(False)
        | element.field("amount").is_null()
        | (element.field("amount").abs() > MAX_AMOUNT)
    )
    found = frame.filter(pl.col("adjustments").list.len() > 0).filter(pl.col("adjustments").list.eval(bad).list.any())
    in_lines = frame.select("row", "lines").explode("lines").select("row", pl.col("lines").struct.field("adjustments"))
    line_found = in_lines.filter(pl.col("adjustments").list.len() > 0).filter(
        pl.col("adjustments").list.eval(bad).list.any()
    )
    rows = pl.concat([found.select("row"), line_found.select("row")])
    return rows.with_columns(
        pl.lit("adjustments").alias("field"), pl.lit("holds an incomplete or malformed one").alias("reason")
    )
