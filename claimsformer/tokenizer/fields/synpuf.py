"""The specification for CMS DE-SynPUF inpatient claims joined with their beneficiaries (ICD-9, MS-DRG)."""

from __future__ import annotations

import polars as pl

from claimsformer.tokenizer.fields.history import with_history
from claimsformer.tokenizer.fields.spec import ClaimSpec, FieldSpec

__all__ = ["SYNPUF_SPEC", "prepare_synpuf"]

IDENTIFIERS = ("bene", "claim", "prov", "att", "op", "ot", "county", "birth", "death")
CONDITIONS = ("alz", "chf", "ckd", "cncr", "copd", "depr", "diab", "ihd", "osteo", "ra", "stroke")
# Days since the last claim, as in CEHR-BERT: 0-3 days, the rest of week 1, weeks 1-3, months 1-11, longer.
SINCE_EDGES = (4.0, 8.0, 15.0, 22.0, 31.0, 61.0, 91.0, 121.0, 151.0, 181.0, 211.0, 241.0, 271.0, 301.0, 331.0, 361.0)


def _ranks(prefix: str, count: int) -> tuple[str, ...]:
    return tuple(f"{prefix}{rank}" for rank in range(1, count + 1))


SYNPUF_SPEC = ClaimSpec(
    name="synpuf-inpatient",
    identifiers=IDENTIFIERS,
    fields=(
        FieldSpec("sex", "category"),
        FieldSpec("race", "category"),
        FieldSpec("age", "number", edges=tuple(range(30, 100, 5))),
        FieldSpec("esrd", "category"),
        FieldSpec("state", "category"),
        *(FieldSpec(name, "category") for name in CONDITIONS),
        FieldSpec("provider_state", "category"),
        FieldSpec("has_operating", "category"),
        FieldSpec("has_other", "category"),
        FieldSpec("days_since_last_claim", "number", edges=SINCE_EDGES, mask_group="member_history"),
        FieldSpec("member_claims_90d", "number", bins=8, mask_group="member_history"),
        FieldSpec("provider_claims_90d", "number"),
        FieldSpec("admission_month", "date", columns=("admit",)),
        # How long: the stay, the claim's period and the days Medicare counted nearly determine each other.
        FieldSpec("length_of_stay", "days", columns=("disch",), since="admit", mask_group="stay"),
        FieldSpec("claim_days", "days", columns=("thru",), since="from", mask_group="stay"),
        FieldSpec("utilization_days", "number", columns=("util",), mask_group="stay"),
        # A payment and its ratio tell the DRG, a ratio and the DRG tell the payment.
        FieldSpec("drg", "code", hierarchy="drg", hides=("amount_ratio",)),
        FieldSpec("amount", "money", columns=("amt",), bins=24, mask_group="amount"),
        FieldSpec("amount_ratio", "ratio", columns=("amt",), by="drg", mask_group="amount"),
        FieldSpec("primary_payer_amount", "money", columns=("ppay",), bins=8),
        FieldSpec("deductible", "money", columns=("ded",), bins=8),
        FieldSpec("coinsurance", "money", columns=("coins",), bins=8),
        FieldSpec("admit_dx", "code", hierarchy="icd9"),
        FieldSpec("dx", "code", columns=_ranks("dx", 10), hierarchy="icd9", absent="pad"),
        FieldSpec("px", "code", columns=_ranks("px", 6), hierarchy="icd9_procedure", absent="pad"),
    ),
)


def prepare_synpuf(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with the columns that `SYNPUF_SPEC` derives: history, the provider's state, which physicians are named.

    The first two characters of a SynPUF provider id are its state; nothing else of an identifier is used, and all are
    dropped.
    """
    derived = with_history(frame, member="bene", provider="prov", date="from").with_columns(
        provider_state=pl.col("prov").cast(pl.String).str.slice(0, 2),
        has_operating=pl.col("op").is_not_null(),
        has_other=pl.col("ot").is_not_null(),
    )
    return derived.drop([column for column in IDENTIFIERS if column in derived.columns])
