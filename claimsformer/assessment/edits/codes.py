"""Edits over codes: are they codes, do they fit the member, each other, and what they are billed for."""

from __future__ import annotations

from functools import cache

import polars as pl

from claimsformer.assessment.edits.rule import Context, edit, finding, nothing
from claimsformer.claims.codes import PLACES_OF_SERVICE, load

__all__: list[str] = []

_PROVIDERS = ("billing", "attending", "operating", "rendering", "referring", "other")


def _diagnoses(c: Context) -> pl.DataFrame:
    listed = c.numbered.select(
        "row", "value", "member_sex", "code_system", "diagnoses",
        ((pl.col("service_from") - pl.col("member_birth_date")).dt.total_days() / 365.25).alias("age"),
    )  # fmt: skip
    return listed.filter(pl.col("diagnoses").list.len() > 0).explode("diagnoses").rename({"diagnoses": "code"})


@cache
def _icd9_categories() -> list[str]:
    return sorted({code[: 4 if code.startswith("E") else 3] for code in load("icd9_diagnosis")})


@edit("DX-VALID", "diagnosis code unknown", field="diagnoses", carc="16", rarc="M76", weight=1.5)
def diagnosis_valid(c: Context) -> pl.DataFrame:
    """ICD-9-CM codes whose category no edition of the table has; other systems are checked by form when read."""
    icd9 = _diagnoses(c).filter(pl.col("code_system") == "icd9")
    width = pl.when(pl.col("code").str.starts_with("E")).then(4).otherwise(3)
    unknown = icd9.filter(~pl.col("code").str.slice(0, width).is_in(_icd9_categories()))
    return finding(unknown, pl.format("{} belongs to no category of ICD-9-CM", "code"), field="diagnoses")


@edit("SEX-DX", "diagnosis of the other sex", field="diagnoses", carc="10", weight=4.0)
def sex_conflict(c: Context) -> pl.DataFrame:
    known = _diagnoses(c).join(c.tables.diagnoses, on="code", maintain_order="left")
    bad = known.filter(pl.col("member_sex").is_in(["F", "M"]) & (pl.col("sex") != pl.col("member_sex")))
    words = pl.format("diagnosis {} occurs in sex {} only, the member's is {}", "code", "sex", "member_sex")
    return finding(bad, words, field="diagnoses")


@edit("AGE-DX", "diagnosis outside the ages it occurs in", field="diagnoses", carc="9", weight=4.0)
def age_conflict(c: Context) -> pl.DataFrame:
    known = _diagnoses(c).join(c.tables.diagnoses, on="code", maintain_order="left")
    age = pl.col("age")
    bad = known.filter((age < pl.col("first_age")) | (age >= pl.col("last_age") + 1))
    words = pl.format(
        "diagnosis {} occurs from {} to {} years, the member is {}",
        "code",
        pl.col("first_age").cast(pl.Int64),
        pl.col("last_age").cast(pl.Int64),
        # Ages over 89 are not told apart: they count as identifiers under the Safe Harbor rule.
        pl.when(age >= 90).then(pl.lit("90 or over")).otherwise(age.floor().cast(pl.Int64).cast(pl.String)),
    )
    return finding(bad, words, field="diagnoses")


@edit("DX-PROC", "no diagnosis supports the procedure", field="lines.procedure_code", carc="11", weight=3.0)
def diagnosis_supports_procedure(c: Context) -> pl.DataFrame:
    if c.tables.support.is_empty():
        return nothing()
    needing = c.tables.support.select(pl.col("procedure").alias("procedure_code")).unique()
    lines = c.lines.join(needing, on="procedure_code", how="semi", maintain_order="left").filter(
        pl.col("diagnoses").list.len() > 0
    )
    reasons = lines.select("row", "procedure_code", pl.col("diagnoses").alias("diagnosis")).explode("diagnosis")
    supported = reasons.join(
        c.tables.support.rename({"procedure": "procedure_code"}), on=["procedure_code", "diagnosis"], how="semi"
    ).select("row", "procedure_code")
    bad = lines.join(supported, on=["row", "procedure_code"], how="anti", maintain_order="left")
    words = pl.format(
        "none of the diagnoses ({}) explains procedure {}", pl.col("diagnoses").list.join(", "), "procedure_code"
    )
    return finding(bad, words, field="lines.procedure_code", amount="line_value")


@edit("UNBUNDLE", "parts billed beside or instead of the whole", field="lines.procedure_code", carc="97", rarc="M15")
def unbundling(c: Context) -> pl.DataFrame:
    if c.tables.bundles.is_empty():
        return nothing()
    free = ~pl.col("modifiers").list.contains("59")
    billed = c.lines.filter(free).select("row", "procedure_code", "line_value")
    parts = billed.join(c.tables.bundles, left_on="procedure_code", right_on="component")
    grouped = parts.group_by("row", "panel").agg(
        pl.col("procedure_code").unique().sort().alias("parts"), pl.col("line_value").sum()
    )
    panels = billed.select("row", pl.col("procedure_code").alias("panel")).unique().with_columns(whole=True)
    bad = grouped.join(panels, on=["row", "panel"], how="left").filter(
        (pl.col("parts").list.len() >= 2) | pl.col("whole").fill_null(False)
    )
    words = pl.format("{} are parts of {}, which is paid as one service", pl.col("parts").list.join(" and "), "panel")
    return finding(bad.sort("row", "panel"), words, field="lines.procedure_code", amount="line_value")


@edit("LEVEL-EM", "office level above what the diagnoses support", field="lines.procedure_code", carc="150", rarc="M25")
def office_level(c: Context) -> pl.DataFrame:
    office = c.tables.procedures.filter(pl.col("group") == "office").sort("fee")
    if office.is_empty():
        return nothing()
    levels = office.select(pl.col("code").alias("procedure_code"), pl.int_range(1, pl.len() + 1).alias("level"))
    grades = c.tables.diagnoses.select(pl.col("code").alias("first"), "complexity")
    billed = (
        c.lines.with_columns(first=pl.col("diagnoses").list.first())
        .join(levels, on="procedure_code", maintain_order="left")
        .join(grades, on="first", maintain_order="left")
        .with_columns(supported=pl.min_horizontal(5, pl.col("complexity") + 1 + (pl.col("diagnoses").list.len() >= 4)))
    )
    bad = billed.filter(pl.col("level") > pl.col("supported"))
    words = pl.format("level {} billed; diagnosis {} supports level {} at most", "level", "first", "supported")
    return finding(bad, words, field="lines.procedure_code", amount="line_value")


@edit("LEVEL-DRG", "severity of the DRG without a secondary diagnosis for it", field="drg", carc="150", weight=4.0)
def drg_level(c: Context) -> pl.DataFrame:
    rank = pl.col("grade").replace_strict({"CC": 1, "MCC": 2}, default=0, return_dtype=pl.Int64)
    grades = c.tables.diagnoses.select(pl.col("code").alias("other"), rank.alias("rank"))
    stays = c.numbered.filter(pl.col("drg").is_not_null()).join(c.tables.drgs, on="drg", maintain_order="left")
    if stays.is_empty():
        return nothing()
    others = stays.select("row", pl.col("diagnoses").list.slice(1).alias("other")).filter(
        pl.col("other").list.len() > 0
    )
    best = others.explode("other").join(grades, on="other").group_by("row").agg(pl.col("rank").max())
    judged = stays.join(best, on="row", how="left", maintain_order="left").with_columns(pl.col("rank").fill_null(0))
    bad = judged.filter(pl.col("level") > pl.col("rank"))
    names = {0: "none", 1: "a complication", 2: "a major complication"}
    words = pl.format(
        "DRG {} needs {}, the secondary diagnoses hold {}",
        "drg",
        pl.col("level").replace_strict(names, return_dtype=pl.String),
        pl.col("rank").replace_strict(names, return_dtype=pl.String),
    )
    plain = c.tables.drgs.group_by("family").agg(pl.col("payment").min().alias("plain"))
    worth = bad.join(plain, on="family", how="left", maintain_order="left").with_columns(
        value=pl.col("value") * (1 - pl.col("plain") / pl.col("payment")).clip(0, 1)
    )
    return finding(worth, words, field="drg")


@edit("POS", "place of service unknown or not that of the claim", field="place_of_service", carc="5", rarc="M77")
def place_of_service(c: Context) -> pl.DataFrame:
    place = pl.col("place_of_service")
    unknown = ~place.is_in(list(PLACES_OF_SERVICE))
    astray = (pl.col("claim_type") == "pharmacy") & (place != "01")
    bad = c.numbered.filter((unknown | astray).fill_null(False))
    words = pl.format("place of service {} does not belong on a {} claim", "place_of_service", "claim_type")
    return finding(bad, words, field="place_of_service")


def luhn_ok(digits: pl.Expr) -> pl.Expr:
    """Whether ten digits pass the check of the national provider identifier (ISO/IEC 7812 with the prefix 80840)."""
    total = pl.lit(24, dtype=pl.Int64)  # what the prefix 80840 adds
    for position in range(10):
        digit = digits.str.slice(position, 1).cast(pl.Int64, strict=False)
        doubled = digit * 2
        total = total + (pl.when(doubled > 9).then(doubled - 9).otherwise(doubled) if position % 2 == 0 else digit)
    return total % 10 == 0


@edit("NPI", "provider number fails its check digit", field="billing_provider_id", carc="16", weight=1.5)
def provider_number(c: Context) -> pl.DataFrame:
    found = []
    for role in _PROVIDERS:
        number = pl.col(f"{role}_provider_id")
        bad = c.numbered.filter((number.str.contains(r"^[12][0-9]{9}$") & ~luhn_ok(number)).fill_null(False))
        words = pl.lit(f"the {role} provider's number has ten digits, but its check digit is wrong")
        found.append(finding(bad, words, field=f"{role}_provider_id"))
    return pl.concat(found)
