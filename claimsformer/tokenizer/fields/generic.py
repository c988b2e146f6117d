"""The specification for `claimsformer.claims.schema`: all three types of claim in one vocabulary."""

from __future__ import annotations

import polars as pl

from claimsformer.tokenizer.fields.history import with_history
from claimsformer.tokenizer.fields.spec import ClaimSpec, FieldSpec
from claimsformer.tokenizer.fields.synpuf import SINCE_EDGES

__all__ = ["claim_spec", "prepare_claims"]

PROVIDERS = ("billing", "attending", "operating", "rendering", "referring", "other")
IDENTIFIERS = (
    *("claim_id", "member_id", "payer_id", "member_zip", "member_birth_date", "member_death_date"),
    *(f"{role}_provider_id" for role in PROVIDERS),
)
MAX_DIAGNOSES, MAX_PROCEDURES, MAX_CONDITIONS, MAX_LINES = 12, 6, 12, 8
AGE_EDGES = (1.0, *(float(age) for age in range(5, 95, 5)))
LINE_COLUMNS = (
    *("procedure_code", "revenue_code", "place_of_service", "units", "charge_amount", "allowed_amount", "paid_amount"),
    *("ndc", "drug_name", "strength", "days_supply", "quantity"),
)
_PREFIX = {"icd9": "ICD9:", "snomed": "SCT:"}


def _ranks(prefix: str, count: int) -> tuple[str, ...]:
    return tuple(f"{prefix}{rank}" for rank in range(1, count + 1))


def claim_spec(
    *,
    diagnoses: int = MAX_DIAGNOSES,
    procedures: int = MAX_PROCEDURES,
    conditions: int = MAX_CONDITIONS,
    lines: int = MAX_LINES,
) -> ClaimSpec:
    """The specification for prepared claims with at most so many diagnoses, procedures, conditions and lines."""
    return ClaimSpec(
        name="claim",
        identifiers=IDENTIFIERS,
        fields=(
            *_member_fields(conditions),
            *_claim_fields(),
            FieldSpec("admit_diagnosis", "code", hierarchy="diagnosis", absent="pad"),
            FieldSpec("diagnosis", "code", columns=_ranks("diagnosis", diagnoses), hierarchy="diagnosis", absent="pad"),
            FieldSpec(
                "procedure", "code", columns=_ranks("procedure", procedures), hierarchy="procedure", absent="pad"
            ),
            *_line_fields(lines),
        ),
    )


def _member_fields(conditions: int) -> tuple[FieldSpec, ...]:
    return (
        FieldSpec("member_sex", "category"),
        FieldSpec("member_age", "number", edges=AGE_EDGES),
        FieldSpec("member_race", "category", absent="pad"),
        FieldSpec("member_state", "category"),
        FieldSpec("condition", "category", columns=_ranks("condition", conditions), absent="pad"),
        FieldSpec("days_since_last_claim", "number", edges=SINCE_EDGES, mask_group="member_history"),
        FieldSpec("member_claims_90d", "number", bins=8, mask_group="member_history"),
    )


def _claim_fields() -> tuple[FieldSpec, ...]:
    return (
        FieldSpec("provider_state", "category"),
        FieldSpec("provider_specialty", "category"),
        FieldSpec("provider_claims_90d", "number"),
        FieldSpec("claim_type", "category"),
        FieldSpec("code_system", "category"),
        FieldSpec("place_of_service", "category"),
        FieldSpec("bill_type", "category", absent="pad"),
        FieldSpec("frequency_code", "category", absent="pad"),
        FieldSpec("discharge_status", "category", absent="pad"),
        FieldSpec("service_month", "date", columns=("service_from",)),
        FieldSpec("submit_lag", "days", columns=("submitted_date",), since="service_thru"),
        FieldSpec("service_days", "days", columns=("service_thru",), since="service_from", mask_group="stay"),
        FieldSpec(
            "length_of_stay",
            "days",
            columns=("discharge_date",),
            since="admission_date",
            mask_group="stay",
            absent="pad",
        ),
        FieldSpec("covered_days", "number", mask_group="stay", absent="pad"),
        FieldSpec("drg", "code", hierarchy="drg", hides=("allowed_ratio",), absent="pad"),
        FieldSpec("line_count", "number", bins=12),
        # The claim's amounts are sums over its lines, so hiding one hides what it could be added up from.
        FieldSpec("charge_amount", "money", bins=24, mask_group="charges"),
        FieldSpec("allowed_amount", "money", bins=24, mask_group="payments"),
        FieldSpec("allowed_ratio", "ratio", columns=("allowed_amount",), by="drg", mask_group="payments", absent="pad"),
        FieldSpec("paid_amount", "money", bins=24, mask_group="payments"),
        FieldSpec("deductible_amount", "money", bins=8, mask_group="payments"),
        FieldSpec("coinsurance_amount", "money", bins=8, mask_group="payments"),
        FieldSpec("primary_payer_amount", "money", bins=8, absent="pad"),
    )


def _line_fields(lines: int) -> tuple[FieldSpec, ...]:
    def columns(name: str) -> tuple[str, ...]:
        return tuple(f"line{rank}_{name}" for rank in range(1, lines + 1))

    return (
        FieldSpec(
            "line_procedure", "code", columns("procedure_code"), "procedure", absent="pad", hides=("line_charge_ratio",)
        ),
        FieldSpec("line_modifier", "category", columns("modifier"), absent="pad"),
        FieldSpec("line_revenue", "category", columns("revenue_code"), absent="pad"),
        FieldSpec("line_place", "category", columns("place_of_service"), absent="pad"),
        FieldSpec("line_pointer", "category", columns("pointer"), absent="pad"),
        FieldSpec("line_day", "number", columns("day"), absent="pad"),
        FieldSpec("line_units", "number", columns("units"), absent="pad"),
        FieldSpec("line_charge", "money", columns("charge_amount"), bins=24, mask_group="charges", absent="pad"),
        FieldSpec(
            "line_charge_ratio", "ratio", columns("charge_amount"),
            by="line{rank}_procedure_code", mask_group="charges", absent="pad",
        ),
        FieldSpec("line_allowed", "money", columns("allowed_amount"), bins=24, mask_group="payments", absent="pad"),
        FieldSpec("line_paid", "money", columns("paid_amount"), bins=24, mask_group="payments", absent="pad"),
        FieldSpec("line_ndc", "code", columns("ndc"), "ndc", absent="pad", mask_group="drug"),
        FieldSpec("line_drug", "category", columns("drug_name"), absent="pad", mask_group="drug"),
        FieldSpec("line_strength", "category", columns("strength"), absent="pad", mask_group="drug"),
        FieldSpec("line_days_supply", "number", columns("days_supply"), absent="pad"),
        FieldSpec("line_quantity", "number", columns("quantity"), absent="pad"),
    )  # fmt: skip


def prepare_claims(frame: pl.DataFrame) -> pl.DataFrame:
    """Claims of `claims_schema()` with lists and lines spread into columns, history derived, identifiers dropped."""
    prepared = (
        with_history(frame, member="member_id", provider="billing_provider_id", date="service_from")
        .with_columns(
            member_age=(pl.col("service_from") - pl.col("member_birth_date")).dt.total_days() / 365.25,
            line_count=pl.col("lines").list.len(),
            admit_diagnosis=_marked(pl.col("admit_diagnosis")),
            **_spread(pl.col("member_conditions"), "condition", MAX_CONDITIONS),
            **{name: _marked(code) for name, code in _spread(pl.col("diagnoses"), "diagnosis", MAX_DIAGNOSES).items()},
            **{
                name: _marked(code) for name, code in _spread(pl.col("procedures"), "procedure", MAX_PROCEDURES).items()
            },
        )
        .with_columns(**_lines())
    )
    lists = ["lines", "diagnoses", "procedures", "member_conditions", "adjustments", "remark_codes"]
    return prepared.drop([name for name in (*IDENTIFIERS, *lists) if name in prepared.columns])


def _spread(column: pl.Expr, name: str, count: int) -> dict[str, pl.Expr]:
    return {f"{name}{rank}": column.list.get(rank - 1, null_on_oob=True) for rank in range(1, count + 1)}


def _marked(code: pl.Expr) -> pl.Expr:
    """The code with its system in front where that is not ICD-10, whose letters ICD-9's supplementary codes share."""
    system = pl.col("code_system").replace_strict(_PREFIX, default="", return_dtype=pl.String).fill_null("")
    return pl.when(code.is_not_null()).then(pl.concat_str([system, code]))


def _lines() -> dict[str, pl.Expr]:
    columns: dict[str, pl.Expr] = {}
    for rank in range(1, MAX_LINES + 1):
        line = pl.col("lines").list.get(rank - 1, null_on_oob=True)
        columns.update({f"line{rank}_{name}": line.struct.field(name) for name in LINE_COLUMNS})
        columns |= {f"line{rank}_{name}": expr for name, expr in _derived(line).items()}
    return columns


def _derived(line: pl.Expr) -> dict[str, pl.Expr]:
    started = line.struct.field("service_from") - pl.col("service_from")
    return {
        "modifier": line.struct.field("modifiers").list.get(0, null_on_oob=True),
        "pointer": line.struct.field("diagnosis_pointers").list.get(0, null_on_oob=True),
        "day": started.dt.total_days(),
    }
