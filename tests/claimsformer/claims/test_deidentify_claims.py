"""De-identification of tables: nothing planted survives, intervals do."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from claimsformer.claims.deidentify import (
    Action,
    Deidentifier,
    FieldPolicy,
    KeyedPseudonyms,
    Mode,
    day_shift,
    policy_of,
    suppress_small_cells,
)
from claimsformer.claims.frames import claims_schema, from_frame, to_frame
from claimsformer.claims.generator import generate
from claimsformer.claims.schema import Claim
from claimsformer.errors import ConfigError

from .test_deidentify_text import PLANTS

KEY = b"0123456789abcdef0123456789abcdef"
MODES: tuple[Mode, ...] = ("shifted", "safe_harbor", "relative")


def make_claim(**changes: object) -> Claim:
    day = dt.date(2019, 3, 4)
    fields: dict[str, object] = {
        "claim_id": "CLAIM-777001",
        "claim_type": "professional",
        "member_id": "MEMBER-4711",
        "member_birth_date": dt.date(1950, 7, 9),
        "member_zip": "12207",
        "member_state": "NY",
        "billing_provider_id": "1234567893",
        "service_from": day,
        "service_thru": day + dt.timedelta(days=3),
        "submitted_date": day + dt.timedelta(days=17),
        "code_system": "icd10",
        "diagnoses": ["E119"],
        "charge_amount": Decimal("150.25"),
        "lines": [
            {
                "line_number": 1,
                "service_from": day,
                "procedure_code": "X2041",
                "procedure_system": "hcpcs",
                "units": 2.0,
                "charge_amount": Decimal("150.25"),
                "rendering_provider_id": "1999999984",
            }
        ],
    }
    return Claim.parse(fields | changes)


@pytest.mark.parametrize("mode", MODES)
def test_result_is_still_a_table_of_valid_claims_without_the_identifiers(mode: Mode) -> None:
    frame = to_frame([make_claim(), make_claim(claim_id="CLAIM-777002", lines=[])])
    released, report = Deidentifier(KEY, mode)(frame)
    assert released.schema == claims_schema()
    claims = from_frame(released)
    text = released.write_json()
    for value in ("777001", "4711", "12207", "1234567893", "1999999984", "1950-07-09", "2019-03-04", "2019-03-21"):
        assert value not in text
    for value in ("E119", "X2041", "150.25", "NY"):
        assert value in text
    assert claims[0].lines[0].units == 2.0
    assert claims[0].member_id == claims[1].member_id
    assert claims[0].member_zip == "12200"
    assert report.rows == 2
    assert report.changed["member_id"] == 2
    assert report.to_dict()["mode"] == mode


@pytest.mark.parametrize("mode", MODES)
def test_a_whole_generated_table_stays_valid(mode: Mode) -> None:
    claims = next(generate(600, 4)).claims
    released, _ = Deidentifier(KEY, mode)(claims)
    assert len(from_frame(released)) == 600
    assert released["charge_amount"].equals(claims["charge_amount"])
    identifiers = pl.concat(
        [claims[c] for c in ("claim_id", "member_id", "billing_provider_id", "rendering_provider_id")]
    )
    text = released.write_json()
    assert not [value for value in identifiers.drop_nulls().unique() if value in text]
    stays = (frame["service_thru"] - frame["service_from"] for frame in (claims, released))
    if mode != "safe_harbor":
        assert next(stays).equals(next(stays))


@given(
    st.dates(dt.date(2000, 1, 1), dt.date(2024, 1, 1)),
    st.integers(0, 90),
    st.integers(0, 1000),
    st.text("ABC0123", min_size=1, max_size=6),
)
def test_shifted_dates_keep_every_interval_of_a_person(start: dt.date, stay: int, later: int, member: str) -> None:
    days = [start, start + dt.timedelta(days=later)]
    claims = [
        make_claim(
            member_id=member,
            service_from=d,
            service_thru=d + dt.timedelta(days=stay),
            lines=[],
            member_birth_date=dt.date(1970, 1, 1),
        )
        for d in days
    ]
    frame = to_frame(claims)
    released, _ = Deidentifier(KEY)(frame)
    names = ["member_birth_date", "service_from", "service_thru"]
    moves = {(new - old).days for name in names for old, new in zip(frame[name], released[name], strict=True)}
    assert len(moves) == 1
    assert 1 <= abs(moves.pop()) <= 182


def test_shifts_cover_the_range_evenly_and_never_stand_still() -> None:
    keyed = KeyedPseudonyms(KEY)
    shifts = [day_shift(keyed, f"M{i}", 10) for i in range(20_000)]
    counts = {shift: shifts.count(shift) for shift in range(-10, 11)}
    assert counts.pop(0) == 0
    expected = 20_000 / 20
    # Pearson's chi-squared with 19 degrees of freedom; 50 is its 99.99 % point.
    assert sum((count - expected) ** 2 / expected for count in counts.values()) < 50


def test_safe_harbor_leaves_years_and_relative_leaves_days() -> None:
    day = dt.date(2020, 1, 8)
    first = make_claim()
    second = make_claim(claim_id="C2", service_from=day, service_thru=day, submitted_date=day, lines=[])
    frame = to_frame([first, second])
    years, _ = Deidentifier(KEY, "safe_harbor")(frame)
    assert years["service_from"].to_list() == [dt.date(2019, 1, 1), dt.date(2020, 1, 1)]
    relative, _ = Deidentifier(KEY, "relative")(frame)
    gap = (second.service_from - first.service_from).days
    assert relative["service_from"].to_list() == [dt.date(2000, 1, 1), dt.date(2000, 1, 1) + dt.timedelta(days=gap)]
    assert relative["member_birth_date"][0] == dt.date(2000 - (2019 - 1950), 1, 1)


@pytest.mark.parametrize("mode", MODES)
@given(age=st.integers(91, 120))
def test_nobody_is_older_than_ninety(mode: Mode, age: int) -> None:
    frame = to_frame([make_claim(member_birth_date=dt.date(2019 - age, 3, 3))]).with_columns(age=pl.lit(age))
    released, _ = Deidentifier(KEY, mode)(frame)
    row = released.row(0, named=True)
    assert row["service_from"].year - row["member_birth_date"].year == 90
    assert row["age"] == 90


def test_release_codes_are_not_a_function_of_the_identifier_and_agree_within_a_release() -> None:
    frame = to_frame([make_claim()])
    first, second = Deidentifier(KEY, "safe_harbor"), Deidentifier(KEY, "safe_harbor")
    codes = [first(frame)[0]["member_id"][0], first(frame)[0]["member_id"][0], second(frame)[0]["member_id"][0]]
    assert codes[0] == codes[1] != codes[2]
    seeded = [Deidentifier(KEY, "safe_harbor", release_seed=5)(frame)[0]["member_id"][0] for _ in range(2)]
    assert seeded[0] == seeded[1]


def test_keyed_pseudonyms_depend_on_the_key_and_the_purpose() -> None:
    one, other = KeyedPseudonyms(KEY), KeyedPseudonyms(KEY[::-1])
    assert one.code("MEM", "4711") == KeyedPseudonyms(KEY).code("MEM", "4711")
    assert len({one.code("MEM", "4711"), other.code("MEM", "4711"), one.code("CLM", "4711")[:3] + "x"}) == 3
    assert one.digest("MEM", "4711") != one.digest("CLM", "4711")
    with pytest.raises(ConfigError, match="expected at least 16"):
        KeyedPseudonyms(b"short")


PLANTED_COLUMNS = {
    "member_name": "Jane Doe",
    "street_address": "12 Elm Street",
    "city": "Albany",
    "county": "Kings",
    "homePhone": "2125551234",
    "fax_number": "2125550000",
    "e_mail": "jane@doe.org",
    "ssn": "123456789",
    "mrn": "00-17",
    "account_no": "99-1",
    "npi": "1234567893",
    "vin": "1HGCM82633A004352",
    "device_serial": "SN1",
    "profile_url": "x.org/jane",
    "ip_address": "10.0.0.1",
    "fingerprint": "FP1",
    "photo": "face",
    "something_else": "4711-0815",
}


@pytest.mark.parametrize("mode", MODES)
def test_columns_that_hold_identifiers_are_dropped_and_names_leave_the_notes(mode: Mode) -> None:
    frame = to_frame([make_claim()]).with_columns(
        *[pl.lit(value).alias(name) for name, value in PLANTED_COLUMNS.items()],
        note=pl.lit("Jane, MRN 00-17, called from 212-555-1234 about Metformin 500 mg, $150"),
    )
    released, report = Deidentifier(KEY, mode)(frame)
    assert released["note"][0] == "[NAME], [MEDICAL_RECORD], called from [PHONE] about Metformin 500 mg, $150"
    assert not set(PLANTED_COLUMNS) & set(released.columns)
    assert report.by_identifier == {"NAME": 1, "PHONE": 1, "MEDICAL_RECORD": 1}
    assert all(report.changed[name] == 1 for name in PLANTED_COLUMNS)
    assert "Jane" not in str(report.to_dict())


def test_text_on_the_lines_is_scrubbed_too() -> None:
    line = {"line_number": 1, "drug_name": "Metformin 500 MG for Jane, tel 212-555-1234", "ndc": "00093105801"}
    frame = to_frame([make_claim(lines=[line])]).with_columns(patient_name=pl.lit("DOE, JANE"))
    released, report = Deidentifier(KEY)(frame)
    assert released["lines"][0][0]["drug_name"] == "Metformin 500 MG for [NAME], [PHONE]"
    assert released["lines"][0][0]["ndc"] == "00093105801"
    assert report.changed["drug_name"] == 1


@given(
    st.text("abcdefghijklmnopqrstuvwxyzABC_ 019", min_size=1, max_size=14),
    st.sampled_from(list(PLANTS)).flatmap(lambda kind: PLANTS[kind]),
    st.sampled_from(MODES),
)
def test_a_planted_identifier_in_a_column_of_any_name_does_not_survive(column: str, plant: str, mode: Mode) -> None:
    if column in claims_schema().names() or policy_of(column).action in (Action.AGE, Action.BIRTH_DATE, Action.DATE):
        return  # those hold numbers and dates, and are tested above
    frame = to_frame([make_claim()]).with_columns(pl.lit(plant).alias(column))
    released, _ = Deidentifier(KEY, mode)(frame)
    assert plant not in str(released.row(0))


def test_every_column_of_the_schema_has_a_policy_and_no_identifier_is_kept() -> None:
    for name in claims_schema().names():
        policy = policy_of(name)
        if name.endswith(("_id", "_date", "_zip")) and name != "payer_id":
            assert policy.action is not Action.KEEP, name
    assert policy_of("a_column_nobody_knows").action is Action.DROP


def test_policy_can_be_overridden_and_refusals_say_the_way_out() -> None:
    frame = to_frame([make_claim()]).with_columns(region=pl.lit("north"))
    kept, _ = Deidentifier(KEY, policy={"region": FieldPolicy(Action.KEEP)})(frame)
    assert kept["region"][0] == "north"
    with pytest.raises(ConfigError, match="member_id"):
        Deidentifier(KEY)(frame.drop("member_id"))
    with pytest.raises(ConfigError, match="should hold dates"):
        Deidentifier(KEY)(frame.with_columns(paid_date=pl.lit("2019-03-04")))
    with pytest.raises(ConfigError, match="expected 'shifted'"):
        Deidentifier(KEY, "open")  # type: ignore[arg-type]


def test_reports_of_batches_add_up() -> None:
    frame = to_frame([make_claim()])
    deidentify = Deidentifier(KEY)
    total = deidentify(frame)[1] + deidentify(frame)[1]
    assert total.rows == 2
    assert total.changed["claim_id"] == 2
    empty, report = deidentify(frame.head(0))
    assert (empty.height, report.rows) == (0, 0)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 40)), max_size=12))
def test_no_small_count_is_left_and_none_can_be_subtracted_out(rows: list[tuple[str, int]]) -> None:
    table = pl.DataFrame(rows, schema={"group": pl.String, "n": pl.Int64}, orient="row")
    published = suppress_small_cells(table, "n", within=["group"])
    assert not published.filter((pl.col("n") > 0) & (pl.col("n") < 11)).height
    for group in table["group"].unique():
        before, after = table.filter(group=group), published.filter(group=group)
        hidden = after["n"].null_count()
        others = before.filter(pl.col("n") >= 11).height
        assert hidden != 1 or others == 0
