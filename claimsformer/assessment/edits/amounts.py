"""Edits over quantities and money: units, doses, days, prices."""

from __future__ import annotations

import polars as pl

from claimsformer.assessment.edits.rule import Context, edit, finding, nothing
from claimsformer.assessment.edits.tables import price_ratios

__all__: list[str] = []

_MILLIGRAMS = {"MCG": 0.001, "MG": 1.0, "G": 1000.0}


@edit("UNITS", "more units than one day can hold", field="lines.units", carc="222", rarc="N362", weight=4.0)
def units(c: Context) -> pl.DataFrame:
    limits = c.tables.procedures.select(pl.col("code").alias("procedure_code"), "max_units")
    # Repeats with modifier 76 are services of their own.
    once = c.lines.filter(~pl.col("modifiers").list.contains("76"))
    day = pl.coalesce("service_from", "claim_service_from").alias("day")
    total = once.group_by("row", "procedure_code", day, maintain_order=True).agg(
        pl.col("units").sum(), pl.col("line_value").sum()
    )
    bad = total.join(limits, on="procedure_code", maintain_order="left").filter(pl.col("units") > pl.col("max_units"))
    words = pl.format(
        "{} units of {} on one day, at most {} make sense", _number("units"), "procedure_code", _number("max_units")
    )
    excess = pl.col("line_value") * (1 - pl.col("max_units") / pl.col("units"))
    return finding(bad, words, field="lines.units", amount=excess)


def _number(name: str) -> pl.Expr:
    """A number without needless decimals."""
    return pl.col(name).round(1).cast(pl.String).str.strip_suffix(".0")


def _in_milligrams(unit: pl.Expr) -> pl.Expr:
    return unit.replace_strict(_MILLIGRAMS, default=1.0, return_dtype=pl.Float64)


@edit("DOSE", "daily dose above the highest", field="lines.quantity", carc="151", weight=4.0)
def dose(c: Context) -> pl.DataFrame:
    listed = c.tables.drugs.select(
        "ndc", pl.col("strength").alias("usual"), pl.col("unit").alias("usual_unit"), "max_daily_dose"
    )
    text = pl.col("strength").str.extract_groups(r"^([0-9.]+) ?([A-Za-z%/]+)$")
    drugs = (
        c.lines.filter(pl.col("days_supply") > 0)
        .join(listed, on="ndc", maintain_order="left")
        .with_columns(
            billed=text.struct.field("1").cast(pl.Float64, strict=False),
            billed_unit=text.struct.field("2").str.to_uppercase(),
        )
        .with_columns(
            scale=pl.when(pl.col("billed_unit") == pl.col("usual_unit"))
            .then(1.0)
            .otherwise(_in_milligrams(pl.col("billed_unit")) / _in_milligrams(pl.col("usual_unit")))
        )
        .with_columns(daily=pl.col("billed") * pl.col("scale") * pl.col("quantity") / pl.col("days_supply"))
    )
    bad = drugs.filter(pl.col("daily") > pl.col("max_daily_dose") * 1.0001)
    slipped = (pl.col("billed") * pl.col("scale") - pl.col("usual")).abs() > 0.01 * pl.col("usual")
    words = pl.format(
        "{} {} a day from {} of {} over {} days, at most {} make sense",
        _number("daily"), "usual_unit", _number("quantity"), "strength", "days_supply", _number("max_daily_dose"),
    )  # fmt: skip
    where = pl.when(slipped).then(pl.lit("lines.strength")).otherwise(pl.lit("lines.quantity"))
    return finding(bad, words, field=where, amount="line_value")


@edit("COVERED-DAYS", "more covered days than the stay has", field="covered_days", carc="152", weight=4.0)
def covered_days(c: Context) -> pl.DataFrame:
    first, last = pl.coalesce("admission_date", "service_from"), pl.coalesce("discharge_date", "service_thru")
    stays = c.numbered.with_columns(days=(last - first).dt.total_days())
    bad = stays.filter(pl.col("covered_days") > pl.max_horizontal("days", 1))
    words = pl.format("{} covered days billed for a stay of {} {}", "covered_days", "days", _days("days"))
    excess = pl.col("value") * (1 - pl.max_horizontal("days", 1) / pl.col("covered_days"))
    return finding(bad, words, field="covered_days", amount=excess)


@edit("FEE", "charge far above the usual", field="lines.charge_amount", carc="45", weight=2.5)
def fee(c: Context) -> pl.DataFrame:
    """A line's charge against the fee table or the history's price, and against this provider's own level."""
    ratios = price_ratios(c.claims, c.tables)
    if ratios.is_empty():
        return nothing()
    everyone = c.tables.provider_price.filter(pl.col("provider_key") == "")["ratio"]
    usual = float(everyone[0]) if len(everyone) else 1.0
    known = c.tables.provider_price.filter((pl.col("provider_key") != "") & (pl.col("n") >= 10)).rename(
        {"ratio": "level"}
    )
    judged = ratios.join(known.drop("n"), on="provider_key", how="left", maintain_order="left").with_columns(
        # Without enough of the provider's own lines its level is unknown, so the limit is twice as far away.
        limit=pl.col("level").fill_null(2 * usual) * c.tables.price_factor
    )
    bad = judged.filter((pl.col("ratio") > pl.col("limit")) & (pl.col("charge") > 1))
    words = pl.format(
        "{} for {} is {} times the usual price; {}",
        _dollars(pl.col("charge")),
        "item",
        pl.col("ratio").round(1),
        pl.when(pl.col("level").is_null())
        .then(pl.lit(f"others charge about {usual:.1f} times"))
        .otherwise(pl.format("this provider charges about {} times", pl.col("level").round(1))),
    )
    excess = pl.col("charge") * (1 - pl.col("limit") / pl.col("ratio") / c.tables.price_factor)
    return finding(bad, words, field="lines.charge_amount", amount=excess)


FILL_DAYS = 90  # the longest ordinary fill
RETAIL = 3.0  # list prices over what plans pay


@edit("FILL-AMOUNT", "amount above any ordinary fill of the drug", field="charge_amount", carc="45", weight=4.0)
def fill_amount(c: Context) -> pl.DataFrame:
    """For drugs billed without a quantity: the charge against ninety days at the highest daily dose, at list price.

    The price of a unit is what the history charged for it, and for a drug too rare there the table's.
    """
    charged = c.tables.prices.select("item", pl.col("price").alias("charged"))
    usual = (
        c.tables.drugs.join(charged, left_on="ndc", right_on="item", how="left", maintain_order="left")
        .select(
            "ndc", pl.coalesce("charged", "price").alias("price"), pl.col("strength").alias("usual"), "max_daily_dose"
        )
        .drop_nulls("price")
    )
    asked = c.numbered.select("row", pl.col("charge_amount").cast(pl.Float64).alias("whole"))
    open_lines = c.lines.filter(pl.col("quantity").is_null() & pl.col("ndc").is_not_null())
    judged = (
        open_lines.join(usual, on="ndc", maintain_order="left")
        .join(asked, on="row", maintain_order="left")
        .with_columns(
            charge=pl.coalesce(pl.col("charge_amount").cast(pl.Float64), "whole"),
            most=RETAIL * pl.col("price") * FILL_DAYS * pl.max_horizontal(1.0, pl.col("max_daily_dose") / pl.col("usual")),
        )
    )  # fmt: skip
    bad = judged.filter(pl.col("charge") > pl.max_horizontal("most", 25.0))
    words = pl.format(
        "{} for a drug of which 90 days at the highest dose and list price come to {}",
        _dollars(pl.col("charge")),
        _dollars(pl.col("most").round(0)),
    )
    return finding(bad, words, field="charge_amount", amount=pl.col("charge") - pl.col("most"))


def _dollars(value: pl.Expr) -> pl.Expr:
    """`$1,234.50`, whole dollars without cents; of findings only, which are few."""

    def written(x: float) -> str:
        return f"${x:,.0f}" if x == round(x) else f"${x:,.2f}"

    return value.map_elements(written, return_dtype=pl.String)


def _days(name: str) -> pl.Expr:
    return pl.when(pl.col(name) == 1).then(pl.lit("day")).otherwise(pl.lit("days"))
