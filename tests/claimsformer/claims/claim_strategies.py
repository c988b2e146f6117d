"""Hypothesis strategies for claims: legal ones of each kind, with the awkward values that the schema allows."""

import datetime as dt
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from claimsformer.claims.schema import Claim

DIGITS, CAPITALS = "0123456789", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
FREE = "".join(chr(c) for c in range(0x20, 0x7F))
SAFE = FREE.translate(str.maketrans("", "", "*~:^"))  # an 837 cannot carry its own separators


def digits(n: int) -> st.SearchStrategy[str]:
    return st.text(DIGITS, min_size=n, max_size=n)


def identifiers(alphabet: str = FREE) -> st.SearchStrategy[str]:
    solid = st.text(alphabet.replace(" ", ""), min_size=1, max_size=1)
    return st.builds(lambda a, b, c: a + b + c, solid, st.text(alphabet, max_size=20), solid)


def texts() -> st.SearchStrategy[str]:
    alphabet = FREE + "éßΩ€"
    solid = st.text(alphabet.replace(" ", ""), min_size=1, max_size=1)
    return st.builds(lambda a, b, c: a + b + c, solid, st.text(alphabet, max_size=20), solid)


short_codes = st.text(DIGITS + CAPITALS, min_size=1, max_size=4)
money = st.decimals(min_value=0, max_value=10**7, places=2)
any_money = st.decimals(min_value=-(10**6), max_value=10**7, places=2)
quantities = st.floats(min_value=0, max_value=1e6, allow_nan=False) | st.sampled_from([0.0, 1.0, 0.5, 1e-3, 1e9])
simple_quantities = st.integers(0, 10**9).map(lambda n: n / 1000)
days = st.dates(dt.date(1990, 1, 1), dt.date(2030, 12, 31))
conditions = st.text(CAPITALS.lower() + "_ .-" + DIGITS, min_size=1, max_size=12).filter(
    lambda text: text == text.strip()
)
icd9 = st.one_of(
    st.text(DIGITS, min_size=3, max_size=5),
    st.text(DIGITS, min_size=2, max_size=4).map("V".__add__),
    st.text(DIGITS, min_size=3, max_size=4).map("E".__add__),
)
icd10 = st.builds(
    lambda a, b, c: a + b + c,
    st.sampled_from(CAPITALS),
    st.sampled_from(DIGITS),
    st.text(DIGITS + CAPITALS, min_size=1, max_size=5),
)
snomed = st.text(DIGITS, min_size=6, max_size=18)
DIAGNOSES = {"icd9": icd9, "icd10": icd10, "snomed": snomed}
PROCEDURES = {
    "icd9": st.text(DIGITS, min_size=3, max_size=4),
    "icd10": st.text("0123456789ABCDEFGHJKLMNPQRSTUVWXYZ", min_size=7, max_size=7),
    "snomed": snomed,
}
five = st.builds(
    lambda a, b, c: a + b + c, st.sampled_from(DIGITS + CAPITALS), digits(3), st.sampled_from(DIGITS + CAPITALS)
)
SERVICES: dict[str | None, st.SearchStrategy[str]] = {
    "hcpcs": five,
    "hipps": st.text(DIGITS + CAPITALS, min_size=5, max_size=5),
    "snomed": snomed,
    "rxnorm": st.text(DIGITS, min_size=1, max_size=8),
    "cvx": st.text(DIGITS, min_size=1, max_size=3),
    "other": st.builds(
        lambda a, b: a + b, st.sampled_from(DIGITS + CAPITALS), st.text(DIGITS + CAPITALS + ".-", max_size=10)
    ),
}
SERVICES[None] = SERVICES["other"]
adjustments = st.lists(
    st.fixed_dictionaries(
        {"group_code": st.sampled_from(["CO", "PR", "OA", "PI"]), "reason_code": short_codes, "amount": any_money}
    ),
    max_size=2,
)


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


def without_nones(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


@st.composite
def line_fields(
    draw: st.DrawFn, number: int, start: dt.date, end: dt.date, n_diagnoses: int, billable: bool, alphabet: str
) -> dict[str, Any]:
    system = draw(st.sampled_from(list(SERVICES)))
    first = draw(maybe(st.dates(start, end)))
    amounts = simple_quantities if billable else quantities
    return without_nones(
        {
            "line_number": number,
            "service_from": first,
            "service_thru": draw(maybe(st.dates(first or start, end))),
            "procedure_code": draw(maybe(SERVICES[system])),
            "procedure_system": system,
            "modifiers": draw(st.lists(st.text(DIGITS + CAPITALS, min_size=2, max_size=2), max_size=4)),
            "revenue_code": draw(maybe(digits(4))),
            "place_of_service": draw(maybe(digits(2))),
            "units": draw(maybe(amounts)),
            "unit_code": draw(maybe(st.sampled_from(["UN", "MJ", "DA"]))),
            "charge_amount": draw(money if billable else maybe(money)),
            "allowed_amount": draw(maybe(any_money)),
            "paid_amount": draw(maybe(any_money)),
            "diagnosis_pointers": draw(st.lists(st.integers(1, n_diagnoses), max_size=4)) if n_diagnoses else [],
            "rendering_provider_id": draw(maybe(identifiers(alphabet))),
            "ndc": draw(maybe(digits(11))),
            "drug_name": draw(maybe(texts())),
            "strength": draw(maybe(texts())),
            "days_supply": draw(maybe(st.integers(0, 400))),
            "quantity": draw(maybe(amounts)),
            "adjustments": draw(adjustments),
        }
    )


@st.composite
def claim_fields(
    draw: st.DrawFn, billable: bool = False, kinds: tuple[str, ...] = ("institutional", "professional", "pharmacy")
) -> Any:
    """Fields of a legal claim; `billable` ones can be written as an 837."""
    alphabet = SAFE if billable else FREE
    ident = identifiers(alphabet)
    start = draw(days)
    end = start + dt.timedelta(days=draw(st.integers(0, 60)))
    system = draw(st.sampled_from(["icd9", "icd10"] if billable else ["icd9", "icd10", "snomed"]))
    diagnoses = draw(st.lists(DIAGNOSES[system], max_size=14))
    n_lines = draw(st.integers(1 if billable else 0, 4))
    lines = [
        draw(line_fields(number, start, end, len(diagnoses), billable, alphabet))
        for number in sorted(draw(st.sets(st.integers(1, 999), min_size=n_lines, max_size=n_lines)))
    ]
    charges = [line.get("charge_amount") for line in lines]
    total = sum(charges, Decimal(0)) if charges and None not in charges else draw(maybe(money))
    if charges and None not in charges and not billable and draw(st.booleans()):
        total = None
    admission = draw(maybe(days))
    birth = draw(maybe(st.dates(dt.date(1900, 1, 1), start)))
    optional = {
        "member_race": short_codes,
        "member_state": st.sampled_from(["MA", "TX", "PR"]),
        "member_zip": digits(5),
        "payer_id": ident,
        "provider_state": st.sampled_from(["MA", "TX", "PR"]),
        "provider_specialty": identifiers(alphabet),
        "attending_provider_id": ident,
        "operating_provider_id": ident,
        "rendering_provider_id": ident,
        "referring_provider_id": ident,
        "other_provider_id": ident,
        "submitted_date": days,
        "paid_date": days,
        "place_of_service": digits(2),
        "bill_type": st.builds(lambda a, b: a + b, digits(2), st.sampled_from(DIGITS + "ABX")),
        "frequency_code": st.sampled_from(["1", "7", "8"]),
        "claim_status": st.sampled_from(["1", "4", "22"]),
        "discharge_status": digits(2),
        "drg": digits(3),
        "covered_days": st.integers(0, 400),
        "allowed_amount": any_money,
        "paid_amount": any_money,
        "deductible_amount": any_money,
        "coinsurance_amount": any_money,
        "primary_payer_amount": any_money,
        "admit_diagnosis": DIAGNOSES[system],
        "member_sex": st.sampled_from(["F", "M", "U"]),
        "member_death_date": st.dates(birth or dt.date(1990, 1, 1), dt.date(2040, 1, 1)),
    }
    fields = {name: draw(maybe(strategy)) for name, strategy in optional.items()}
    return without_nones(
        fields
        | {
            "claim_id": draw(ident),
            "claim_type": draw(st.sampled_from(kinds)),
            "member_id": draw(ident),
            "member_birth_date": birth,
            "member_conditions": draw(st.lists(conditions, max_size=3)),
            "billing_provider_id": draw(ident if billable else maybe(ident)),
            "service_from": start,
            "service_thru": end,
            "admission_date": admission,
            "discharge_date": draw(maybe(st.dates(admission or start, dt.date(2035, 1, 1)))),
            "code_system": system,
            "diagnoses": diagnoses,
            "procedures": draw(st.lists(PROCEDURES[system], max_size=3)),
            "charge_amount": total,
            "adjustments": draw(adjustments),
            "remark_codes": draw(st.lists(short_codes, max_size=2)),
            "lines": lines,
        }
    )


def claims(billable: bool = False) -> st.SearchStrategy[Claim]:
    """Legal claims."""
    kinds = ("institutional", "professional") if billable else ("institutional", "professional", "pharmacy")
    return claim_fields(billable, kinds).map(Claim.parse)
