"""The fields that the masked model reads of a claim, and where each stands on the claim itself.

Fewer than the tokenizer's full specification, so that a claim is some twenty to forty tokens: everything here can be
read off one claim alone, because a claim that arrives by itself must be assessable. What lives across claims is the
edits' work. What a claim leaves out is no token at all, and training leaves tokens out at random, so that a claim of
five fields is judged by five fields.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from claimsformer.tokenizer.fields import ClaimSpec, FieldSpec

__all__ = ["CLAIM_FIELDS", "CLAIM_SPEC", "prepare"]

N_DIAGNOSES, N_LINES, N_DRUGS, N_PROCEDURES = 6, 6, 2, 6
NO_PROCEDURE: Final = "NONE"

AGE_EDGES = (1, *range(5, 95, 5))
LAG_EDGES = (0, 1, 3, 7, 14, 21, 30, 45, 60, 90, 120, 180, 270, 366, 540, 800)
DAY_EDGES = (0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 25, 30, 45, 60)
UNIT_EDGES = (1, 1.001, 2.001, 3.001, 4.001, 5.001, 6.001, 8.001, 10, 12, 16, 20, 30, 50, 100, 200, 400, 1000, 3000)
QUANTITY_EDGES = (1, 5, 10, 15, 20, 25, 29, 31, 45, 59, 61, 80, 91, 120, 170, 181, 270, 361, 540, 1000, 2000, 5000)
SUPPLY_EDGES = (1, 4, 6, 8, 11, 16, 25, 29, 31, 34, 45, 61, 85, 91, 120, 181, 366)
RATIO_EDGES = (
    *(0.01, 0.1, 0.25, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.35, 1.5, 1.7),
    *(2.0, 2.5, 3.0, 4.0, 6.0, 10.0, 20.0),
)


def _ranks(name: str, count: int) -> tuple[str, ...]:
    return tuple(f"{name}{rank}" for rank in range(1, count + 1))


CLAIM_SPEC: Final = ClaimSpec(
    name="assessment",
    identifiers=("claim_id", "member_id", "billing_provider_id", "member_zip", "member_birth_date"),
    fields=(
        FieldSpec("member_sex", "category", absent="pad"),
        FieldSpec("member_age", "number", edges=AGE_EDGES, absent="pad"),
        FieldSpec("member_state", "category", absent="pad"),
        FieldSpec("provider_state", "category", absent="pad"),
        FieldSpec("provider_specialty", "category", absent="pad"),
        FieldSpec("claim_type", "category", absent="pad"),
        FieldSpec("place_of_service", "category", absent="pad"),
        FieldSpec("submit_lag", "number", edges=LAG_EDGES, absent="pad"),
        # Not hidden together: that covered days follow from the dates of the stay is what makes them checkable.
        FieldSpec("stay_days", "number", edges=DAY_EDGES, absent="pad"),
        FieldSpec("covered_days", "number", edges=DAY_EDGES, absent="pad"),
        FieldSpec("drg", "code", hierarchy="drg", hides=("stay_ratio",), absent="pad"),
        FieldSpec("stay_charge", "money", bins=24, mask_group="stay_charge", absent="pad"),
        # A charge and its ratio tell the DRG, a ratio and the DRG tell the charge.
        FieldSpec(
            "stay_ratio",
            "ratio",
            columns=("stay_charge",),
            by="drg",
            mask_group="stay_charge",
            edges=RATIO_EDGES,
            absent="pad",
        ),
        FieldSpec("diagnosis", "code", columns=_ranks("diagnosis", N_DIAGNOSES), hierarchy="diagnosis", absent="pad"),
        FieldSpec("procedure", "code", columns=_ranks("procedure", N_PROCEDURES), hierarchy="procedure", absent="pad"),
        FieldSpec("item", "code", columns=_ranks("item", N_LINES), hierarchy="procedure", absent="pad"),
        FieldSpec("units", "number", columns=_ranks("units", N_LINES), edges=UNIT_EDGES, absent="pad"),
        FieldSpec(
            "price_ratio", "ratio", columns=_ranks("price", N_LINES), by="billed{rank}", edges=RATIO_EDGES, absent="pad"
        ),
        FieldSpec("drug", "category", columns=_ranks("drug", N_DRUGS), absent="pad", hides=("strength",)),
        FieldSpec("strength", "category", columns=_ranks("strength", N_DRUGS), absent="pad"),
        FieldSpec("days_supply", "number", columns=_ranks("days_supply", N_DRUGS), edges=SUPPLY_EDGES, absent="pad"),
        FieldSpec("quantity", "number", columns=_ranks("quantity", N_DRUGS), edges=QUANTITY_EDGES, absent="pad"),
    ),
)

# The field of the claim that a reviewer is shown.
CLAIM_FIELDS: Final[dict[str, str]] = {
    "member_age": "member_birth_date",
    "provider_state": "billing_provider_id",
    "submit_lag": "submitted_date",
    "stay_days": "service_thru",
    "stay_charge": "charge_amount",
    "stay_ratio": "charge_amount",
    "diagnosis": "diagnoses",
    "procedure": "procedures",
    "item": "lines.procedure_code",
    "units": "lines.units",
    "price_ratio": "lines.charge_amount",
    "drug": "lines.drug_name",
    "strength": "lines.strength",
    "days_supply": "lines.days_supply",
    "quantity": "lines.quantity",
}


def prepare(claims: pl.DataFrame) -> pl.DataFrame:
    """The columns that `CLAIM_SPEC` reads, of claims in the layout of `claims_schema()`; no identifier among them."""
    stay = pl.col("drg").is_not_null()
    frame = claims.select(
        "member_sex",
        "member_state",
        "provider_state",
        "provider_specialty",
        "claim_type",
        "place_of_service",
        "covered_days",
        "drg",
        "lines",
        member_age=(pl.col("service_from") - pl.col("member_birth_date")).dt.total_days() / 365.25,
        submit_lag=(pl.col("submitted_date") - pl.col("service_thru")).dt.total_days(),
        stay_days=(
            pl.coalesce("discharge_date", "service_thru") - pl.coalesce("admission_date", "service_from")
        ).dt.total_days(),
        stay_charge=pl.when(stay).then(pl.coalesce("charge_amount", "paid_amount").cast(pl.Float64)),
        **{f"diagnosis{k}": _coded(pl.col("diagnoses").list.get(k - 1, null_on_oob=True))
           for k in range(1, N_DIAGNOSES + 1)},
        # That a stay has no further procedure is a value: how many are billed is itself to be predicted.
        **{f"procedure{k}": pl.coalesce(pl.col("procedures").list.get(k - 1, null_on_oob=True),
                                        pl.when(stay).then(pl.lit(NO_PROCEDURE)))
           for k in range(1, N_PROCEDURES + 1)},
    )  # fmt: skip
    return frame.with_columns(_line_columns()).drop("lines")


def _coded(code: pl.Expr) -> pl.Expr:
    """The code with its system in front where that is not ICD-10, whose letters ICD-9's supplementary codes share."""
    prefix = pl.col("code_system").replace_strict(
        {"icd9": "ICD9:", "snomed": "SCT:"}, default="", return_dtype=pl.String
    )
    return pl.when(code.is_not_null()).then(pl.concat_str([prefix.fill_null(""), code]))


def _line_columns() -> list[pl.Expr]:
    columns: list[pl.Expr] = []
    for k in range(1, N_LINES + 1):
        line = pl.col("lines").list.get(k - 1, null_on_oob=True).struct
        code, drug = line.field("procedure_code"), line.field("drug_name")
        count = pl.when(code.is_null() & drug.is_not_null()).then(line.field("quantity")).otherwise(line.field("units"))
        price = line.field("charge_amount").cast(pl.Float64) / pl.when(count > 0).then(count).otherwise(1.0)
        columns += [
            code.alias(f"item{k}"),
            pl.when(code.is_not_null()).then(line.field("units")).alias(f"units{k}"),
            # A stay's lines are shares of the DRG's payment; their prices are judged as a whole, by `stay_ratio`.
            pl.when(pl.col("drg").is_null()).then(price).alias(f"price{k}"),
            pl.coalesce(code, drug).alias(f"billed{k}"),
        ]
        if k <= N_DRUGS:
            columns += [
                drug.alias(f"drug{k}"),
                line.field("strength").alias(f"strength{k}"),
                line.field("days_supply").alias(f"days_supply{k}"),
                line.field("quantity").alias(f"quantity{k}"),
            ]
    return columns
