"""Edits over several claims: exact and near duplicates, and visits during a stay in hospital."""

from __future__ import annotations

import polars as pl

from claimsformer.assessment.edits.rule import Context, edit, finding, nothing

__all__: list[str] = []

# Modifiers that say: this is a repeat, and meant.
_REPEATS = ["50", "59", "76", "77", "91"]


def _signed(frame: pl.DataFrame) -> pl.DataFrame:
    """The claims with `services`, a text that equal claims share, and `order`, by which the later one is told."""
    line = pl.element().struct
    item = pl.concat_str(
        [
            pl.coalesce(line.field("procedure_code"), line.field("ndc"), line.field("revenue_code")).fill_null(""),
            line.field("units").fill_null(0.0).cast(pl.String),
            line.field("quantity").fill_null(0.0).cast(pl.String),
        ],
        separator="x",
    )
    marked = line.field("modifiers").list.eval(pl.element().is_in(_REPEATS)).list.any().fill_null(False)
    signed = frame.with_columns(
        services=pl.concat_str(
            [
                pl.col("claim_type"),
                pl.col("diagnoses").list.first().fill_null(""),
                pl.col("lines").list.eval(item).list.sort().list.join(","),
                pl.col("procedures").list.join(","),
                pl.col("drg").fill_null(""),
                pl.when(pl.col("lines").list.len() == 0).then(pl.col("diagnoses").list.join(",")).fill_null(""),
            ],
            separator="|",
        ),
        repeat=pl.col("lines").list.eval(marked).list.any().fill_null(False),
        order=pl.coalesce("submitted_date", "service_thru"),
    )
    return signed.filter(~pl.col("repeat")).select(
        "row",
        "claim_id",
        "claim_type",
        "member_id",
        "billing_provider_id",
        "service_from",
        "services",
        "order",
        "value",
    )


def _later() -> pl.Expr:
    """Of two alike, the one that came in later; by place in the table where dates do not tell."""
    return (pl.col("order") > pl.col("order_b")) | (
        (pl.col("order") == pl.col("order_b")) & (pl.col("row_b").is_null() | (pl.col("row") > pl.col("row_b")))
    )


def _pairs(c: Context) -> pl.DataFrame:
    signed = _signed(c.with_history)
    here = signed.filter(pl.col("row").is_not_null())
    pairs = here.join(signed, on=["member_id", "services"], suffix="_b", maintain_order="left").filter(
        pl.col("claim_id") != pl.col("claim_id_b")
    )
    gap = (pl.col("service_from") - pl.col("service_from_b")).dt.total_days().abs()
    same = (pl.col("billing_provider_id") == pl.col("billing_provider_id_b")).fill_null(True)
    return pairs.filter(_later()).with_columns(gap=gap, same=same)


@edit("DUPLICATE", "exact duplicate of another claim", field="claim_id", carc="18", weight=5.0)
def duplicate(c: Context) -> pl.DataFrame:
    exact = _pairs(c).filter((pl.col("gap") == 0) & pl.col("same"))
    exact = exact.group_by("row", maintain_order=True).agg(pl.col("value").first(), pl.len().alias("n"))
    words = pl.format(
        "same member, provider, day, diagnosis and services as {} earlier {}",
        "n",
        pl.when(pl.col("n") == 1).then(pl.lit("claim")).otherwise(pl.lit("claims")),
    )
    return finding(exact, words, field="claim_id")


@edit("NEAR-DUPLICATE", "near duplicate of another claim", field="claim_id", carc="18", rarc="M86", weight=2.5)
def near_duplicate(c: Context) -> pl.DataFrame:
    near = _pairs(c).filter(((pl.col("gap") == 1) & pl.col("same")) | ((pl.col("gap") == 0) & ~pl.col("same")))
    near = near.group_by("row", maintain_order=True).agg(pl.col("value", "gap", "same").first())
    other = pl.when(pl.col("same")).then(pl.lit("one day apart")).otherwise(pl.lit("of another provider, same day"))
    words = pl.format("same member, diagnosis and services as an earlier claim {}", other)
    return finding(near, words, field="claim_id")


@edit("IN-STAY", "visit during a stay in hospital", field="service_from", carc="234", weight=3.0)
def in_stay(c: Context) -> pl.DataFrame:
    stays = c.with_history.filter(
        (pl.col("claim_type") == "institutional") & pl.col("admission_date").is_not_null()
    ).select(
        "member_id",
        pl.col("admission_date").alias("first"),
        pl.coalesce("discharge_date", "service_thru").alias("last"),
    )
    if stays.is_empty():
        return nothing()
    specialty = pl.col("provider_specialty").fill_null("")
    outside = ~pl.col("place_of_service").fill_null("11").is_in(["21", "23", "41", "42", "51", "61"])
    visits = c.numbered.filter((pl.col("claim_type") == "professional") & (specialty != "ambulance") & outside)
    inside = visits.join(stays, on="member_id", maintain_order="left").filter(
        pl.col("service_from").is_between("first", "last")
    )
    inside = inside.group_by("row", maintain_order=True).agg(pl.col("value", "service_from", "first", "last").first())
    day = (pl.col("service_from") - pl.col("first")).dt.total_days() + 1
    words = pl.format("an office visit on day {} of a stay in hospital", day)
    return finding(inside, words, field="service_from")
