"""Edits over dates, places and providers: what cannot have been then, there, or by them."""

from __future__ import annotations

import polars as pl

from claimsformer.assessment.edits.rule import Context, edit, finding, nothing

__all__: list[str] = []

EARTH_KM = 6371.0


@edit("DATES", "dates out of order", field="submitted_date", carc="16", rarc="MA130", weight=2.0)
def dates(c: Context) -> pl.DataFrame:
    early = c.numbered.filter(pl.col("submitted_date") < pl.col("service_from"))
    days = (pl.col("service_from") - pl.col("submitted_date")).dt.total_days()
    filed = finding(early, pl.format("submitted {} days before the service", days), field="submitted_date")
    paid = c.numbered.filter(pl.col("paid_date") < pl.col("service_from"))
    before = (pl.col("service_from") - pl.col("paid_date")).dt.total_days()
    return pl.concat([filed, finding(paid, pl.format("paid {} days before the service", before), field="paid_date")])


@edit("TIMELY", "filed too late", field="submitted_date", carc="29", weight=4.0)
def timely(c: Context) -> pl.DataFrame:
    lag = (pl.col("submitted_date") - pl.col("service_thru")).dt.total_days()
    late = c.numbered.filter(lag > c.tables.timely_days)
    words = pl.format("submitted {} days after the service, the limit is {}", lag, pl.lit(c.tables.timely_days))
    return finding(late, words, field="submitted_date")


@edit("DEATH", "service after death", field="service_from", carc="13", weight=5.0)
def after_death(c: Context) -> pl.DataFrame:
    days = (pl.col("service_from") - pl.col("member_death_date")).dt.total_days()
    bad = c.numbered.filter(days > 0)
    return finding(bad, pl.format("service {} days after the recorded death", days), field="service_from")


@edit("EXCLUDED", "provider excluded on this date", field="billing_provider_id", carc="B7", weight=5.0)
def excluded(c: Context) -> pl.DataFrame:
    if c.directory.providers is None:
        return nothing()
    barred = c.directory.providers.select(pl.col("provider_id").alias("billing_provider_id"), "excluded_from")
    bad = c.numbered.join(barred.drop_nulls(), on="billing_provider_id", maintain_order="left").filter(
        (pl.col("service_from") >= pl.col("excluded_from")) & (pl.col("claim_type") != "pharmacy")
    )
    days = (pl.col("service_from") - pl.col("excluded_from")).dt.total_days()
    return finding(bad, pl.format("service {} days after the exclusion began", days), field="billing_provider_id")


def _kilometres(a: str, b: str) -> pl.Expr:
    """Great-circle distance between the points (`latitude_a`, `longitude_a`) and b; haversine formula."""
    lat_a, lat_b = pl.col(f"latitude{a}").radians(), pl.col(f"latitude{b}").radians()
    d_lon = pl.col(f"longitude{b}").radians() - pl.col(f"longitude{a}").radians()
    h = ((lat_b - lat_a) / 2).sin().pow(2) + lat_a.cos() * lat_b.cos() * (d_lon / 2).sin().pow(2)
    return 2 * EARTH_KM * h.clip(0, 1).sqrt().arcsin()


def _visits(frame: pl.DataFrame) -> pl.DataFrame:
    specialty = pl.col("provider_specialty").fill_null("")
    return frame.filter((pl.col("claim_type") == "professional") & (specialty != "ambulance"))


@edit("GEOGRAPHY", "provider too far from the member's home", field="billing_provider_id", carc="16", weight=2.5)
def geography(c: Context) -> pl.DataFrame:
    """By distance where the directory knows places, else by states that such members never go to."""
    if c.directory.providers is None or c.directory.members is None:
        return _other_state(c)
    there = c.directory.providers.select(
        pl.col("provider_id").alias("billing_provider_id"), "latitude", "longitude", "referral_center"
    )
    home = c.directory.members.select("member_id", "latitude", "longitude", "winter_state")
    placed = _visits(c.numbered).join(there, on="billing_provider_id", maintain_order="left")
    placed = placed.join(home, on="member_id", suffix="_home", maintain_order="left").with_columns(
        km=_kilometres("", "_home")
    )
    expected = pl.col("referral_center").fill_null(False) | (pl.col("provider_state") == pl.col("winter_state"))
    bad = placed.filter((pl.col("km") > c.tables.far_km) & ~expected.fill_null(False))
    words = pl.format("{} km from the member's home, and neither a winter home nor a referral centre",
                      pl.col("km").round(0).cast(pl.Int64))  # fmt: skip
    return finding(bad, words, field="billing_provider_id")


def _other_state(c: Context) -> pl.DataFrame:
    if c.tables.states.is_empty():
        return nothing()
    seen = c.numbered.filter(pl.col("member_state").is_in(c.tables.states["member_state"].unique().to_list())).join(
        c.tables.states, on=["member_state", "provider_state"], how="left", maintain_order="left"
    )
    bad = seen.filter(pl.col("provider_state").is_not_null() & (pl.col("share").fill_null(0.0) < 0.01))
    share = (
        pl.when(pl.col("share") > 0).then(pl.format("{} %", (100 * pl.col("share")).round(2))).otherwise(pl.lit("none"))
    )
    words = pl.format(
        "provider in {}, where {} of the claims of members of {} come from", "provider_state", share, "member_state"
    )
    return finding(bad, words, field="billing_provider_id")


@edit("TRAVEL", "two visits on one day too far apart", field="billing_provider_id", carc="231", weight=1.5)
def travel(c: Context) -> pl.DataFrame:
    if c.directory.providers is None:
        return nothing()
    there = c.directory.providers.select(pl.col("provider_id").alias("billing_provider_id"), "latitude", "longitude")
    visits = (
        _visits(c.with_history)
        .select("row", "claim_id", "member_id", "service_from", "billing_provider_id", "value")
        .join(there, on="billing_provider_id", maintain_order="left")
    )
    pairs = visits.filter(pl.col("row").is_not_null()).join(
        visits, on=["member_id", "service_from"], suffix="_b", maintain_order="left"
    )
    apart = pairs.filter(pl.col("claim_id") != pl.col("claim_id_b")).with_columns(km=_kilometres("", "_b"))
    far = (
        apart.filter(pl.col("km") > c.tables.same_day_km)
        .group_by("row", maintain_order=True)
        .agg(pl.col("km").max(), pl.col("value").first())
    )
    words = pl.format("{} km from another visit of the member on the same day", pl.col("km").round(0).cast(pl.Int64))
    return finding(far, words, field="billing_provider_id")


@edit("IMPOSSIBLE-DAY", "more than 24 hours of work on one day", field="service_from", carc="151", weight=2.5)
def impossible_day(c: Context) -> pl.DataFrame:
    minutes = dict(zip(c.tables.procedures["code"].to_list(), c.tables.procedures["minutes"].to_list(), strict=True))
    if not minutes:
        return nothing()
    lines = (
        _visits(c.with_history)
        .select("row", "billing_provider_id", "service_from", "value", "lines")
        .filter(pl.col("lines").list.len() > 0)
        .explode("lines")
    )
    line = pl.col("lines").struct
    code = line.field("procedure_code")
    worked = code.replace_strict(minutes, default=0.0, return_dtype=pl.Float64) * line.field("units").fill_null(0.0)
    day = ["billing_provider_id", "service_from"]
    totals = lines.group_by(day).agg(worked.sum().alias("minutes"))
    long = totals.filter(pl.col("minutes") > 24 * 60)
    bad = _visits(c.numbered).join(long, on=day, maintain_order="left")
    words = pl.format("this provider's services of that day take {} hours", (pl.col("minutes") / 60).round(1))
    return finding(bad, words, field="service_from")
