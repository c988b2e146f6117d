"""Providers as sets of claims with one label each: the public provider-fraud set, its folds, and statistics of a provider.

The label belongs to the provider, so a fold holds providers, never claims: fold = first eight hexadecimal digits of
sha256("claims-v1|" + provider) modulo 5.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from claimsformer.claims.readers import read_claims
from claimsformer.errors import ReadError

__all__ = ["FOLDS", "VOLUME", "ProviderSet", "fold_of", "load_provider_set", "provider_statistics"]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

FOLDS: Final = 5
_ANNUAL: Final = ("IPAnnualReimbursementAmt", "OPAnnualReimbursementAmt", "IPAnnualDeductibleAmt")
_CONDITIONS: Final = (
    *("alzheimers", "heart_failure", "kidney_disease", "cancer", "copd", "depression", "diabetes"),
    *("ischemic_heart_disease", "osteoporosis", "arthritis", "stroke", "esrd"),
)


@dataclass(frozen=True)
class ProviderSet:
    """`claims` sorted by provider and day, one provider's claims from `starts[k]` to `starts[k + 1]`; `labels` (P,) and
    `folds` (P,) in the order of `providers`."""

    claims: pl.DataFrame
    providers: tuple[str, ...]
    starts: npt.NDArray[np.int64]
    labels: Bools
    folds: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.providers)

    @property
    def sizes(self) -> npt.NDArray[np.int64]:
        """Claims of each provider, (P,)."""
        return np.diff(self.starts)

    @property
    def owner(self) -> npt.NDArray[np.int64]:
        """The provider's index of each claim, (N,)."""
        return np.repeat(np.arange(len(self)), self.sizes)


def fold_of(provider: str) -> int:
    """The fold of a provider; see the module's docstring."""
    return int(hashlib.sha256(f"claims-v1|{provider}".encode()).hexdigest()[:8], 16) % FOLDS


def load_provider_set(folder: str | Path) -> ProviderSet:
    """The set in `folder`: claims, their beneficiaries, and providers.csv (Provider, PotentialFraud Yes or No).

    Raises ReadError where a file is missing or a provider has no label.
    """
    path = Path(folder)
    if not (path / "providers.csv").is_file():
        raise ReadError(
            "the provider-fraud set is not there",
            hint="Set CLAIMSFORMER_DATA to the folder that holds provider_fraud/.",
        )
    with read_claims(path, "provider_fraud", keep=_ANNUAL) as reader:
        claims = pl.concat(list(reader))
    labels = pl.read_csv(path / "providers.csv").select(
        pl.col("Provider").alias("billing_provider_id"), (pl.col("PotentialFraud") == "Yes").alias("label")
    )
    return provider_set(claims, labels)


def provider_set(claims: pl.DataFrame, labels: pl.DataFrame) -> ProviderSet:
    """The set of these claims; `labels` has billing_provider_id and label. Raises ReadError for one without a label."""
    ordered = claims.sort("billing_provider_id", "service_from", "claim_id")
    counted = ordered.group_by("billing_provider_id", maintain_order=True).agg(pl.len().alias("n"))
    known = counted.join(labels.unique("billing_provider_id"), on="billing_provider_id", how="left",
                         maintain_order="left")  # fmt: skip
    if missing := known["label"].null_count():
        raise ReadError(f"{missing} providers have claims but no label")
    names = tuple(known["billing_provider_id"].to_list())
    return ProviderSet(
        ordered,
        names,
        np.concatenate([[0], np.cumsum(known["n"].to_numpy())]).astype(np.int64),
        known["label"].to_numpy(),
        np.array([fold_of(name) for name in names], dtype=np.int64),
    )


# Statistics -----------------------------------------------------------------------------------------------------------

# Totals: what grows with the number of claims. All other statistics are shares, means and quantiles.
VOLUME: Final = (
    *("claims", "members", "attending", "operating", "other", "amount_total", "deductible_total", "days_total"),
    *("distinct_dx", "distinct_px", "distinct_drg", "distinct_dx_groups", "states", "months", "span_days"),
    *("most_in_a_month", "most_of_a_member", "most_of_a_physician", "procedures_total"),
)


def provider_statistics(claims: pl.DataFrame) -> pl.DataFrame:
    """One row a provider, sorted by its number: `VOLUME`, then shares, means and quantiles; null where undefined."""
    rows = _measured(claims)
    key = "billing_provider_id"
    table = rows.group_by(key).agg(*_totals(), *_rates()).sort(key)
    for column, name in (("member_id", "member"), ("attending_provider_id", "physician"), ("month", "month"),
                         ("dx_group", "dx_group"), ("drg", "drg"), ("member_state", "state"),
                         ("first_px", "procedure")):  # fmt: skip
        table = table.join(_concentration(rows, key, column, name), on=key, how="left", maintain_order="left")
    names = {
        "member_most": "most_of_a_member",
        "physician_most": "most_of_a_physician",
        "month_most": "most_in_a_month",
    }
    table = table.rename(names).drop("dx_group_most", "drg_most", "state_most", "procedure_most")
    rates = [name for name in table.columns if name not in VOLUME and name != key]
    return table.select(key, *VOLUME, *rates)


def _measured(claims: pl.DataFrame) -> pl.DataFrame:
    thru = pl.coalesce("discharge_date", "service_thru")
    amount = pl.col("paid_amount").cast(pl.Float64)
    return (
        claims.sort("billing_provider_id", "member_id", "service_from", "claim_id")
        .with_columns(
            amount=amount,
            deductible=pl.col("deductible_amount").cast(pl.Float64),
            days=(thru - pl.coalesce("admission_date", "service_from")).dt.total_days().cast(pl.Float64),
            age=(pl.col("service_from") - pl.col("member_birth_date")).dt.total_days() / 365.25,
            n_dx=pl.col("diagnoses").list.len().cast(pl.Float64),
            n_px=pl.col("procedures").list.len().cast(pl.Float64),
            n_conditions=pl.col("member_conditions").list.len().cast(pl.Float64),
            month=pl.col("service_from").dt.strftime("%Y-%m"),
            weekend=pl.col("service_from").dt.weekday() > 5,
            dx_group=pl.col("diagnoses").list.first().str.slice(0, 3),
            first_px=pl.col("procedures").list.first(),
            admit_is_first=pl.col("admit_diagnosis") == pl.col("diagnoses").list.first(),
            same_physician=pl.col("attending_provider_id") == pl.col("operating_provider_id"),
            gap=pl.col("service_from").diff().over("billing_provider_id", "member_id").dt.total_days(),
        )
        .with_columns(log_amount=pl.col("amount").clip(1).log(), per_day=pl.col("amount") / (pl.col("days") + 1))
    )


def _totals() -> list[pl.Expr]:
    day = pl.col("service_from")
    return [
        pl.len().cast(pl.Float64).alias("claims"),
        pl.col("member_id").n_unique().alias("members"),
        pl.col("attending_provider_id").drop_nulls().n_unique().alias("attending"),
        pl.col("operating_provider_id").drop_nulls().n_unique().alias("operating"),
        pl.col("other_provider_id").drop_nulls().n_unique().alias("other"),
        pl.col("amount").sum().alias("amount_total"),
        pl.col("deductible").sum().alias("deductible_total"),
        pl.col("days").sum().alias("days_total"),
        pl.col("diagnoses").explode().n_unique().alias("distinct_dx"),
        pl.col("procedures").explode().n_unique().alias("distinct_px"),
        pl.col("drg").n_unique().alias("distinct_drg"),
        pl.col("dx_group").n_unique().alias("distinct_dx_groups"),
        pl.col("member_state").n_unique().alias("states"),
        pl.col("month").n_unique().alias("months"),
        (day.max() - day.min()).dt.total_days().alias("span_days"),
        pl.col("n_px").sum().alias("procedures_total"),
    ]


def _rates() -> list[pl.Expr]:
    n = pl.len()
    found = []
    for name in ("amount", "log_amount", "days", "age", "n_dx", "n_px", "n_conditions", "per_day"):
        column = pl.col(name)
        found += [column.mean().alias(f"{name}_mean"), column.std().alias(f"{name}_std")]
    for name in ("amount", "days", "age", "n_dx", "per_day"):
        found += [pl.col(name).quantile(q).alias(f"{name}_q{round(100 * q)}") for q in (0.1, 0.5, 0.9)]
    for name in ("amount", "days", "per_day"):
        found.append(pl.col(name).max().alias(f"{name}_max"))
    for name in _ANNUAL:
        found.append(pl.col(name).cast(pl.Float64, strict=False).mean().alias(f"{name}_mean"))
    for name in _CONDITIONS:
        found.append(pl.col("member_conditions").list.contains(name).mean().alias(f"share_{name}"))
    for name in ("operating_provider_id", "other_provider_id", "attending_provider_id", "deductible", "drg"):
        found.append(pl.col(name).is_null().mean().alias(f"without_{name}"))
    return [
        *found,
        (pl.col("member_sex") == "F").mean().alias("share_female"),
        (pl.col("member_race") == "1").mean().alias("share_race_1"),
        pl.col("member_death_date").is_not_null().mean().alias("share_died"),
        (pl.col("amount") == 0).mean().alias("share_unpaid"),
        (pl.col("n_px") == 0).mean().alias("share_without_procedure"),
        pl.col("weekend").mean().alias("share_weekend"),
        pl.col("admit_is_first").mean().alias("share_admit_is_first"),
        pl.col("same_physician").mean().alias("share_same_physician"),
        (pl.col("gap") <= 30).mean().alias("share_readmitted"),
        pl.col("gap").median().alias("gap_median"),
        (n / pl.col("member_id").n_unique()).alias("claims_per_member"),
        (n / pl.col("attending_provider_id").n_unique()).alias("claims_per_attending"),
        (n / pl.col("month").n_unique()).alias("claims_per_month"),
    ]


def _concentration(rows: pl.DataFrame, key: str, column: str, name: str) -> pl.DataFrame:
    """How unevenly a provider's claims are spread over the values of a column: the largest count and share, entropy."""
    counts = rows.drop_nulls(column).group_by(key, column).agg(pl.len().alias("n")).sort(key, column)  # for equal sums
    share = pl.col("n") / pl.col("n").sum()
    return counts.group_by(key).agg(
        pl.col("n").max().alias(f"{name}_most"),
        share.max().alias(f"{name}_top_share"),
        (-(share * share.log()).sum() / pl.col("n").sum().log().clip(0.5)).alias(f"{name}_evenness"),
    )
