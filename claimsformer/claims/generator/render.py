"""From arrays to tables: a block of claims in the schema's layout, its truth, and who took part."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from claimsformer.claims.frames import MONEY, claims_schema, line_schema
from claimsformer.claims.generator.catalogue import DRGS, DRUGS, PROCEDURES
from claimsformer.claims.generator.conditions import CONDITIONS
from claimsformer.claims.generator.ledger import AMBULANCE, HARD, MODIFIERS, OFFICE, PHARMACY, STAY, Ledger
from claimsformer.claims.generator.planter import Planted
from claimsformer.claims.generator.pricing import Amounts
from claimsformer.claims.generator.tables import Tables
from claimsformer.claims.generator.world import DAYS, KINDS, STATES, Members, Providers
from claimsformer.claims.truth import Truth, truth_frame

__all__ = ["FIRST_DAY", "render_claims", "render_hard_negatives", "render_members", "render_providers", "render_truth"]

Ints = npt.NDArray[np.int64]
FIRST_DAY: Final = dt.date(2024, 1, 1)
_EPOCH_DAY: Final = (FIRST_DAY - dt.date(1970, 1, 1)).days
_LARGER_UNIT: Final = {"MCG": "MG", "MG": "G"}


def render_claims(
    ledger: Ledger, amounts: Amounts, members: Members, providers: Providers, tables: Tables, block: int
) -> pl.DataFrame:
    """The claims of a block in the layout of `claims_schema()`, numbered in their order."""
    rows = _claim_columns(ledger, members, providers, tables, block)
    rows |= {name: _money(cents) for name, cents in _totals(ledger, amounts).items()}
    frame = pl.DataFrame(rows).with_columns(lines=_line_lists(ledger, amounts, providers, tables, block))
    missing = [
        pl.lit([] if isinstance(d, pl.List) else None, dtype=d).alias(n)
        for n, d in claims_schema().items()
        if n not in frame.columns
    ]
    return frame.with_columns(missing).select(claims_schema().names())


def claim_ids(count: int, block: int) -> pl.Series:
    """The numbers of the claims of a block."""
    return _numbered(f"C{block:05d}", np.arange(count), 7)


def _numbered(prefix: str, numbers: Ints, digits: int) -> pl.Series:
    text = pl.Series(numbers).cast(pl.String).str.zfill(digits)
    return pl.select(pl.lit(prefix) + text).to_series()


def provider_id(block: int, index: int) -> str:
    """The number of a provider; not in the form of a national provider identifier, which could be somebody's."""
    return f"P{block:05d}{index:04d}"


def _dates(days: Ints, where: npt.NDArray[np.bool_] | None = None) -> pl.Series:
    dates = pl.Series(days + _EPOCH_DAY).cast(pl.Int32).cast(pl.Date)
    return dates if where is None else dates.set(pl.Series(~where), None)


def _pick(words: list[str | None], index: Ints) -> pl.Series:
    """Words by index; -1 gives null."""
    return pl.Series([*words, None], dtype=pl.String).gather(pl.Series(np.where(index < 0, len(words), index)))


def _claim_columns(
    ledger: Ledger, members: Members, providers: Providers, tables: Tables, block: int
) -> dict[str, pl.Series]:
    claims = ledger.claims
    who, provider, kind = claims.member, claims.provider, claims.kind
    stay, end = kind == STAY, claims.start + claims.days
    drg = [number for family in DRGS.values() for number in (family.plain, family.with_cc, family.with_mcc)]
    group = tables.drg_of[claims.condition]
    states: list[str | None] = [row[0] for row in STATES]
    zips: list[str | None] = [f"{zip3}{k:02d}" for row in STATES for zip3 in row[3] for k in range(10, 100)]
    zip_index = (members.state[who] * 4 + members.zip3[who]) * 90 + who % 90
    ids: list[str | None] = [provider_id(block, i) for i in range(len(providers))]
    rendering = np.where((kind == OFFICE) & (claims.missing != 2), provider, -1)
    return {
        "claim_id": claim_ids(len(claims), block),
        "claim_type": _pick(["professional", "institutional", "pharmacy", "professional"], kind),
        "member_id": _numbered(f"M{block:05d}", who, 5),
        "member_sex": _pick(["M", "F"], members.female[who].astype(np.int64)),
        "member_birth_date": _dates(members.birth[who]),
        "member_death_date": _dates(members.death[who], members.death[who] < DAYS),
        "member_state": _pick(states, members.state[who]),
        "member_zip": _pick(zips, np.where(claims.missing == 1, -1, zip_index)),
        "payer_id": pl.repeat("GENERATED", len(claims), eager=True),
        "billing_provider_id": _pick(ids, provider),
        "provider_state": _pick(states, providers.state[provider]),
        "provider_specialty": _pick(list(KINDS), providers.kind[provider]),
        "rendering_provider_id": _pick(ids, rendering),
        "service_from": _dates(claims.start),
        "service_thru": _dates(end),
        "admission_date": _dates(claims.start, stay),
        "discharge_date": _dates(end, stay),
        "submitted_date": _dates(end + claims.lag),
        "paid_date": _dates(end + claims.lag + 14 + claims.lag % 9),
        "place_of_service": _pick(["11", "21", "01", "41"], np.where(claims.missing == 4, -1, kind)),
        "bill_type": _pick(["111"], np.where(stay, 0, -1)),
        "frequency_code": pl.repeat("1", len(claims), eager=True),
        "discharge_status": _pick(["01"], np.where(stay, 0, -1)),
        "drg": _pick(list(drg), np.where(stay, group * 3 + claims.drg_level, -1)),
        "code_system": pl.repeat("icd10", len(claims), eager=True),
        "admit_diagnosis": _pick(list(tables.codes), np.where(stay, claims.dx[:, 0], -1)),
        "diagnoses": _lists([_pick(list(tables.codes), claims.dx[:, k]) for k in range(6)]),
        "procedures": _stay_procedures(np.where(stay, group, -1)),
        "covered_days": pl.Series(np.where(stay, claims.covered, 0)).cast(pl.Int32).set(pl.Series(~stay), None),
    }


def _lists(columns: list[pl.Series]) -> pl.Series:
    named = [column.alias(str(k)) for k, column in enumerate(columns)]
    return pl.select(pl.concat_list(named).list.drop_nulls()).to_series()


def _stay_procedures(group: Ints) -> pl.Series:
    options: list[list[str]] = [list(family.procedures) for family in DRGS.values()]
    table = pl.Series([*options, []], dtype=pl.List(pl.String))
    return table.gather(pl.Series(np.where(group < 0, len(options), group)))


def _money(cents: Ints) -> pl.Series:
    return (pl.Series(cents) / 100.0).cast(MONEY)


def _totals(ledger: Ledger, amounts: Amounts) -> dict[str, Ints]:
    claim, n = ledger.lines.claim, len(ledger.claims)

    def total(cents: Ints) -> Ints:
        return np.bincount(claim, weights=cents, minlength=n).round().astype(np.int64)

    return {
        "charge_amount": total(amounts.charge),
        "allowed_amount": total(amounts.allowed),
        "paid_amount": total(amounts.paid),
        "deductible_amount": amounts.deductible,
        "coinsurance_amount": amounts.coinsurance,
    }


def _line_lists(ledger: Ledger, amounts: Amounts, providers: Providers, tables: Tables, block: int) -> pl.Series:
    """The lines as one list of structs per claim."""
    claims, lines = ledger.claims, ledger.lines
    first, _ = ledger.line_range()
    kind, item = claims.kind[lines.claim], lines.item
    drug = item - tables.first_drug
    pharmacy, stay = kind == PHARMACY, kind == STAY
    codes = [None if code.startswith("R") else code for code in PROCEDURES]
    revenue = [code[1:] if code.startswith("R") else None for code in PROCEDURES]
    procedure = np.where(pharmacy | stay, -1, item)
    drugs = list(DRUGS.values())
    slipped = np.where(pharmacy, drug * 2 + (lines.strength_slip > 1), -1)
    strengths: list[str | None] = [
        f"{d.strength:g} {unit}" for d in drugs for unit in (d.unit, _LARGER_UNIT.get(d.unit, d.unit))
    ]
    start = claims.start[lines.claim]
    n = len(lines)
    pointers = pl.Series([[1], []], dtype=pl.List(pl.Int32)).gather(pl.Series((pharmacy | stay).astype(np.int64)))
    modifiers = pl.Series([[m] if m else [] for m in MODIFIERS], dtype=pl.List(pl.String)).gather(
        pl.Series(lines.modifier)
    )
    columns: dict[str, Any] = {
        "line_number": pl.Series(np.arange(n) - first[lines.claim] + 1).cast(pl.Int32),
        "service_from": _dates(start),
        "service_thru": _dates(start + claims.days[lines.claim]),
        "procedure_code": _pick(codes, procedure),
        "procedure_system": _pick(["hcpcs"], np.where(procedure < 0, -1, 0)),
        "modifiers": modifiers,
        "revenue_code": _pick(revenue, np.where(stay, item, -1)),
        "units": pl.Series(np.where(pharmacy, 1.0, lines.units)),
        "unit_code": pl.repeat("UN", n, eager=True),
        "charge_amount": _money(amounts.charge),
        "allowed_amount": _money(amounts.allowed),
        "paid_amount": _money(amounts.paid),
        "diagnosis_pointers": pointers,
        "ndc": _pick([d.ndc for d in drugs], np.where(pharmacy, drug, -1)),
        "drug_name": _pick([f"{d.name} {d.form}" for d in drugs], np.where(pharmacy, drug, -1)),
        "strength": _pick(strengths, slipped),
        "days_supply": pl.Series(lines.days_supply).cast(pl.Int32).set(pl.Series(~pharmacy), None),
        "quantity": pl.Series(lines.units).set(pl.Series(~pharmacy), None),
    }
    schema = line_schema()
    rest = [
        pl.lit([] if isinstance(d, pl.List) else None, dtype=d).alias(name)
        for name, d in schema.items()
        if name not in columns
    ]
    table = pl.DataFrame(columns).with_columns(rest, _claim=pl.Series(lines.claim))
    packed = table.group_by("_claim", maintain_order=True).agg(pl.struct(list(schema)).alias("lines"))
    return packed["lines"]


def render_truth(planted: list[Planted], ledger: Ledger, block: int) -> pl.DataFrame:
    """The truth with claim numbers, dates and provider numbers in place of indices."""
    ids = claim_ids(len(ledger.claims), block)

    def resolved(original: str | None) -> str | None:
        what, _, number = (original or "").partition(":")
        if what == "day":
            return str(FIRST_DAY + dt.timedelta(days=int(number)))
        if what == "provider":
            return provider_id(block, int(number))
        return str(ids[int(number)]) if what == "claim" else original

    rows = (
        Truth(ids[p.claim], p.type, p.field, list(p.fields), [resolved(o) for o in p.originals], p.severity, p.scope)
        for p in planted
    )
    return truth_frame(rows).sort("claim_id")


def render_hard_negatives(
    ledger: Ledger, planted: list[Planted], members: Members, providers: Providers, tables: Tables, block: int
) -> pl.DataFrame:
    """Genuine claims that look odd, and why: one row per claim and reason."""
    claims, lines = ledger.claims, ledger.lines
    ids = claim_ids(len(ledger.claims), block)
    genuine = ~np.isin(np.arange(len(claims)), [p.claim for p in planted])
    rare = np.array([c.rare for c in CONDITIONS])
    away = providers.state[claims.provider] != members.state[claims.member]
    new = np.bincount(lines.claim, lines.item == tables.item("X9001"), len(claims)) > 0
    reasons = {
        "rare_condition": rare[claims.condition],
        "winter_home": (members.winter_state[claims.member] >= 0) & away & ~providers.referral_center[claims.provider],
        "referral_center": providers.referral_center[claims.provider] & away,
        "new_technology": new,
        "transplant_cost": (claims.kind == STAY)
        & (tables.drg_of[claims.condition] == tables.drg_keys.index("transplant")),
        "ambulance_distance": (claims.kind == AMBULANCE) & (np.bincount(lines.claim, lines.units, len(claims)) > 16),
    } | {name: claims.hard == k for k, name in enumerate(HARD) if k}
    parts = [
        pl.DataFrame({"claim_id": ids.filter(pl.Series(mask & genuine))}).with_columns(reason=pl.lit(name))
        for name, mask in reasons.items()
    ]
    return pl.concat(parts).sort("claim_id", "reason")


def render_providers(providers: Providers, block: int) -> pl.DataFrame:
    """What a payer knows about its providers: kind, place, and the first day of exclusion where there is one."""
    return pl.DataFrame(
        {
            "provider_id": [provider_id(block, i) for i in range(len(providers))],
            "specialty": _pick(list(KINDS), providers.kind),
            "state": _pick([row[0] for row in STATES], providers.state),
            "latitude": providers.latitude,
            "longitude": providers.longitude,
            "referral_center": providers.referral_center,
            "excluded_from": _dates(providers.excluded, providers.excluded < DAYS),
        }
    )


def render_members(members: Members, block: int) -> pl.DataFrame:
    """What a payer knows about its members: home, winter home, first day of cover."""
    return pl.DataFrame(
        {
            "member_id": _numbered(f"M{block:05d}", np.arange(len(members)), 5),
            "latitude": members.latitude,
            "longitude": members.longitude,
            "winter_state": _pick([row[0] for row in STATES], members.winter_state),
            "enrolled_from": _dates(members.enrolled),
        }
    )
