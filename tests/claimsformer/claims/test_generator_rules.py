"""Every planted claim breaks the rule of its type and no other rule, and genuine claims break none.

The rules are written over the tables alone, apart from the code that plants the anomalies.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest

from claimsformer.claims.generator import GENERATED_TYPES, GeneratedBatch, generate
from claimsformer.claims.generator.catalogue import BUNDLES, DRGS, DRUGS, OFFICE_LEVELS, PROCEDURES
from claimsformer.claims.generator.conditions import CONDITIONS, Condition
from claimsformer.claims.generator.world import STATES

CONDITION_OF: dict[str, Condition] = {code: c for c in CONDITIONS for code in c.codes}
DRUG_OF = {drug.ndc: drug for drug in DRUGS.values()}
REGION = {row[0]: row[4] for row in STATES}
MILLIGRAMS = {"MCG": 0.001, "MG": 1.0, "G": 1000.0}
FREE_GROUPS = {"office", "ambulance"}

Row = dict[str, Any]


def services_of(condition: Condition) -> set[str]:
    listed = {entry.split(":")[0] for entry in condition.services.split()}
    return listed | {part for panel in listed for part in BUNDLES.get(panel, ())}


def broken_within(claim: Row) -> Iterator[str]:
    """Types whose rule one claim breaks by itself."""
    conditions = [CONDITION_OF[code] for code in claim["diagnoses"]]
    codes = [line["procedure_code"] for line in claim["lines"] if line["procedure_code"]]
    levels = [OFFICE_LEVELS.index(code) + 1 for code in codes if code in OFFICE_LEVELS]
    if levels and max(levels) > min(5, conditions[0].complexity + 1 + (len(conditions) >= 4)):
        yield "upcoding"
    if claim["drg"] and conditions[0].drg:
        family = DRGS[conditions[0].drg]
        numbers = [family.plain, family.with_cc, family.with_mcc]
        supported = max(("", "CC", "MCC").index(c.grade) for c in [*conditions[1:], CONDITION_OF["I10"]])
        if claim["drg"] not in numbers[: supported + 1]:
            yield "upcoding_drg"
    if any(
        len(set(parts) & set(codes)) >= 2 or (panel in codes and set(parts) & set(codes))
        for panel, parts in BUNDLES.items()
    ):
        yield "unbundling"
    if (
        claim["covered_days"] is not None
        and claim["covered_days"] > (claim["service_thru"] - claim["service_from"]).days
    ):
        yield "impossible_days"
    supported_codes = set().union(*(services_of(c) for c in conditions)) | {"X2001"}
    if any(PROCEDURES[code].group not in FREE_GROUPS and code not in supported_codes for code in codes):
        yield "dx_procedure_mismatch"
    if any(c.sex not in ("", claim["member_sex"]) for c in conditions):
        yield "sex_conflict"
    age = (claim["service_from"] - claim["member_birth_date"]).days / 365.25
    if any(not c.ages[0] <= age < c.ages[1] + 1 for c in conditions):
        yield "age_conflict"
    if claim["member_death_date"] and claim["service_from"] > claim["member_death_date"]:
        yield "after_death"
    if (claim["submitted_date"] - claim["service_thru"]).days > 365:
        yield "timely_filing"
    yield from {kind for line in claim["lines"] for kind in broken_on_line(claim, line)}


def broken_on_line(claim: Row, line: Row) -> Iterator[str]:
    if line["ndc"]:
        drug = DRUG_OF[line["ndc"]]
        strength, unit = line["strength"].split()
        scale = MILLIGRAMS[unit] / MILLIGRAMS[drug.unit] if drug.unit in MILLIGRAMS else 1.0
        if float(strength) * scale * line["quantity"] / line["days_supply"] > drug.max_daily_dose:
            yield "impossible_dose"
    elif line["procedure_code"]:
        procedure = PROCEDURES[line["procedure_code"]]
        if line["units"] > procedure.max_units:
            yield "impossible_units"
        # Prices differ by at most 1.6, markups by 1.8, the line's own noise by 1.1.
        if (
            float(line["charge_amount"])
            > 1.6 * 1.8 * 1.1 * procedure.fee * line["units"] * REGION[claim["provider_state"]] + 0.01
        ):
            yield "cost_outlier"


def kilometres(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Great-circle distance by the spherical law of cosines, another formula than the generator's."""
    (lat_a, lon_a), (lat_b, lon_b) = np.radians(a), np.radians(b)
    cosine = np.sin(lat_a) * np.sin(lat_b) + np.cos(lat_a) * np.cos(lat_b) * np.cos(lon_a - lon_b)
    return float(6371 * np.arccos(np.clip(cosine, -1, 1)))


def broken(batch: GeneratedBatch) -> dict[str, list[set[str]]]:
    """By type, groups of claims that break its rule; within a group at least one claim must be the planted one."""
    claims = batch.claims.to_dicts()
    providers = {row["provider_id"]: row for row in batch.providers.to_dicts()}
    members = {row["member_id"]: row for row in batch.members.to_dicts()}
    found: dict[str, list[set[str]]] = defaultdict(list)
    visits = [c for c in claims if c["claim_type"] == "professional" and c["provider_specialty"] != "ambulance"]
    stays: dict[str, list[Row]] = defaultdict(list)
    for claim in claims:
        for kind in broken_within(claim):
            found[kind].append({claim["claim_id"]})
        if claim["claim_type"] == "institutional":
            stays[claim["member_id"]].append(claim)
    for claim in visits:
        provider, member = providers[claim["billing_provider_id"]], members[claim["member_id"]]
        where = (provider["latitude"], provider["longitude"])
        away = kilometres((member["latitude"], member["longitude"]), where) > 800
        if away and not provider["referral_center"] and not member["winter_state"]:
            found["geography"].append({claim["claim_id"]})
        if provider["excluded_from"] and claim["service_from"] >= provider["excluded_from"]:
            found["excluded_provider"].append({claim["claim_id"]})
        if any(s["service_from"] <= claim["service_from"] <= s["service_thru"] for s in stays[claim["member_id"]]):
            found["phantom"].append({claim["claim_id"]})
    found["impossible_travel"] = list(_travel(visits, providers))
    found["impossible_day"] = list(_long_days(visits))
    found["duplicate"], found["near_duplicate"] = _copies(claims)
    return found


def _travel(visits: list[Row], providers: dict[str, Row]) -> Iterator[set[str]]:
    days = defaultdict(list)
    for claim in visits:
        days[claim["member_id"], claim["service_from"]].append(claim)
    for group in days.values():
        for a in group:
            for b in group:
                ends = [
                    (providers[c["billing_provider_id"]]["latitude"], providers[c["billing_provider_id"]]["longitude"])
                    for c in (a, b)
                ]
                if a["claim_id"] < b["claim_id"] and kilometres(*ends) > 500:
                    yield {a["claim_id"], b["claim_id"]}


def _long_days(visits: list[Row]) -> Iterator[set[str]]:
    days = defaultdict(list)
    for claim in visits:
        days[claim["billing_provider_id"], claim["service_from"]].append(claim)
    for group in days.values():
        minutes = sum(PROCEDURES[line["procedure_code"]].minutes * line["units"] for c in group for line in c["lines"])
        if minutes > 24 * 60:
            yield {c["claim_id"] for c in group}


def _copies(claims: list[Row]) -> tuple[list[set[str]], list[set[str]]]:
    alike = defaultdict(list)
    for claim in claims:
        if claim["claim_type"] != "institutional" and not any("76" in line["modifiers"] for line in claim["lines"]):
            services = tuple((line["procedure_code"], line["ndc"], line["units"]) for line in claim["lines"])
            alike[claim["member_id"], claim["diagnoses"][0], services].append(claim)
    exact, near = [], []
    for group in alike.values():
        for a in group:
            for b in group:
                gap = (b["service_from"] - a["service_from"]).days
                same = a["billing_provider_id"] == b["billing_provider_id"]
                ids = {a["claim_id"], b["claim_id"]}
                if gap == 0 and same and a["claim_id"] < b["claim_id"]:
                    exact.append(ids)
                elif (gap == 1 and same) or (gap == 0 and not same and a["claim_id"] < b["claim_id"]):
                    near.append(ids)
    return exact, near


@cache
def world(seed: int) -> tuple[GeneratedBatch, dict[str, list[set[str]]]]:
    batch = next(generate(12_000, seed, 12_000, rate=0.005))
    return batch, broken(batch)


@cache
def claims_by_number() -> dict[str, Row]:
    return {claim["claim_id"]: claim for claim in world(1)[0].claims.to_dicts()}


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("kind", GENERATED_TYPES)
def test_planted_claims_and_no_others_break_the_rule(kind: str, seed: int) -> None:
    batch, found = world(seed)
    planted = set(batch.truth.filter(type=kind)["claim_id"])
    assert planted
    assert planted <= set().union(*found[kind])
    # A group is a claim, a pair of claims or a provider's day; each must hold a claim that was planted as this type.
    assert [group for group in found[kind] if not group & planted] == []


@pytest.mark.parametrize("seed", [1, 2])
def test_no_claim_is_planted_twice(seed: int) -> None:
    truth = world(seed)[0].truth
    assert truth["claim_id"].is_unique().all()
    assert set(truth["scope"]) == {"line", "claim", "cross_claim", "history", "provider"}


RESTORED = {
    "upcoding", "upcoding_drg", "impossible_units", "impossible_dose", "impossible_days", "dx_procedure_mismatch",
    "sex_conflict", "age_conflict", "timely_filing", "after_death",
}  # fmt: skip


def restored(claim: Row, field: str, old: str) -> Iterator[Row]:
    """The claim with the original value put back; for a line's field, one claim per line that it may belong to."""
    if not field.startswith("lines."):
        value: Any = {"covered_days": int, "diagnoses": lambda v: [*claim["diagnoses"][:-1], v]}.get(field, str)(old)
        if field.endswith("_date") or field == "service_from":
            value = dt.date.fromisoformat(old)
        yield claim | {field: value}
        return
    name = field.removeprefix("lines.")
    for k, line in enumerate(claim["lines"]):
        value = float(old) if name in ("units", "quantity") else old
        yield claim | {"lines": [*claim["lines"][:k], line | {name: value}, *claim["lines"][k + 1 :]]}


@pytest.mark.parametrize("kind", sorted(RESTORED))
def test_putting_the_original_value_back_heals_the_claim(kind: str) -> None:
    batch, _ = world(1)
    for truth in batch.truth.filter(type=kind).to_dicts():
        claim = claims_by_number()[truth["claim_id"]]
        healed = restored(claim, truth["field"], truth["original_values"][0])
        assert any(kind not in broken_within(candidate) for candidate in healed)
