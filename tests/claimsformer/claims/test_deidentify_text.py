"""Identifiers planted in free text do not survive; codes, doses and money do."""

from __future__ import annotations

import csv
import datetime as dt
import string
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claimsformer.claims.deidentify import RESTRICTED_ZIP3, Identifier, find_identifiers, safe_zip3, scrub_text

DIGITS = "0123456789"
PROSE = "Patient with Diabetes denies pain; takes Metformin daily. Stable on exam, mild edema of the left leg in May"
WORDS = PROSE.split()
# What has the look of an identifier and is none.
HARMLESS_ITEMS = (
    *(
        "E11.9",
        "I10",
        "Z79.4",
        "250.00",
        "V45.81",
        "99213",
        "99214-25",
        "J1815",
        "A0425",
        "X2041",
        "DRG 470",
        "0SR90J9",
    ),
    *(
        "500 mg",
        "500-1000 mg",
        "0.5 mL",
        "10/325 mg",
        "40 units",
        "$1,234.56",
        "$5000",
        "1200.50 USD",
        "120/80",
        "98.6",
    ),
    *("8/10", "NDC 00093105801", "00093-1058-01", "A1c 7.2%", "89 years old", "type 2", "q12h", "65 y/o", "1/2 tablet"),
)


def digits(n: int) -> st.SearchStrategy[str]:
    return st.text(DIGITS, min_size=n, max_size=n)


def shaped(pattern: str) -> st.SearchStrategy[str]:
    """`#` is a digit, `?` a capital; the rest stands for itself."""
    parts = {"#": st.sampled_from(DIGITS), "?": st.sampled_from(string.ascii_uppercase)}
    return st.tuples(*(parts.get(c, st.just(c)) for c in pattern)).map("".join)


def any_shape(*patterns: str) -> st.SearchStrategy[str]:
    return st.one_of(*map(shaped, patterns))


DATES = st.dates(dt.date(1900, 1, 1), dt.date(2099, 12, 31)).flatmap(
    lambda d: st.sampled_from(
        [
            "%Y-%m-%d",
            "%m/%d/%Y",
            "%m/%d/%y",
            "%d.%m.%Y",
            "%B %d, %Y",
            "%d %b %Y",
            "%b %d",
            "%Y%m%d",
            "%Y-%m-%dT09:30:00Z",
        ]
    ).map(d.strftime)
)
WORD = st.text(string.ascii_lowercase, min_size=3, max_size=9).map(str.capitalize)
STREETS = st.builds(
    "{} {} {}".format, st.integers(1, 99999), WORD, st.sampled_from(["Street", "St", "Ave", "Road", "Blvd", "Dr"])
)
PLANTS: dict[Identifier, st.SearchStrategy[str]] = {
    Identifier.NAME: st.builds("{} {} {}".format, st.sampled_from(["Mr.", "Mrs.", "Dr.", "Ms"]), WORD, WORD),
    Identifier.GEOGRAPHY: st.one_of(
        STREETS,
        any_shape("Albany, NY 1####", "NY 1####", "zip 9####", "#####-####", "P.O. Box 9###", "4#.####, -7#.####"),
    ),
    Identifier.DATE_OR_AGE: st.one_of(DATES, st.integers(90, 119).map("{} years old".format), any_shape("aged 9#")),
    Identifier.PHONE: any_shape("(2##) 5##-####", "2##-5##-####", "2##.5##.####", "+1 2## 5## ####", "5##-####"),
    Identifier.FAX: any_shape("fax 2##-5##-####", "Fax: (2##) 5##-####", "fax no. 5##-####"),
    Identifier.EMAIL: st.builds("{}.{}@{}.org".format, WORD, WORD, WORD),
    Identifier.SSN: any_shape("###-##-####", "SSN #########", "### ## ####"),
    Identifier.MEDICAL_RECORD: any_shape("MRN ######", "MRN: ?-##-##", "medical record number ##-##"),
    Identifier.HEALTH_PLAN: any_shape("member id ???####", "1EG#-TE#-MK7#", "Medicare #########A", "policy no. ??-###"),
    Identifier.ACCOUNT: any_shape("acct 12##", "account no. ####-##", "#### #### #### ####", "claim id CL####"),
    Identifier.LICENCE: any_shape("NPI 1#########", "AB#######", "license no. ??####", "DEA M?#######"),
    Identifier.VEHICLE: any_shape(
        "1HGCM8263#A######", "plate ???-####", "license plate ?##-???", "VIN 1HGCM82#3#A00####"
    ),
    Identifier.DEVICE: any_shape("serial no. SN-#####", "(01)##############", "0A:1B:2C:##:##:##", "UDI ##-??-###"),
    Identifier.URL: st.one_of(
        st.builds("https://{}.org/{}?id=7".format, WORD, WORD), st.builds("www.{}.com/{}".format, WORD, WORD)
    ),
    Identifier.IP_ADDRESS: st.one_of(st.ip_addresses(v=4).map(str), st.just("fe80::1ff:fe23:4567:890a")),
    Identifier.BIOMETRIC: any_shape("fingerprint id FP###", "retina scan RS-##", "voiceprint #####"),
    Identifier.PHOTO: st.builds("{}_{}.{}".format, WORD, digits(3), st.sampled_from(["jpg", "PNG", "tiff", "dcm"])),
    Identifier.OTHER_UNIQUE: st.one_of(st.uuids().map(str), digits(12), shaped("TRK######?##")),
}
FILLER = st.lists(st.one_of(st.sampled_from(WORDS), st.sampled_from(HARMLESS_ITEMS)), max_size=6)


def test_every_kind_of_the_rule_is_planted() -> None:
    assert set(PLANTS) == set(Identifier)
    assert sorted(kind.value for kind in Identifier) == list("ABCDEFGHIJKLMNOPQR")


@pytest.mark.parametrize("kind", list(Identifier), ids=lambda kind: kind.name)
@given(data=st.data())
def test_planted_identifiers_do_not_survive(kind: Identifier, data: st.DataObject) -> None:
    plant = data.draw(PLANTS[kind])
    before, after = data.draw(FILLER), data.draw(FILLER)
    text = " ".join([*before, plant + data.draw(st.sampled_from(["", ".", ",", ";", ")"])), *after])
    scrubbed, counts = scrub_text(text)
    assert counts.total() >= 1
    assert plant not in scrubbed
    # Not even the part that is peculiar to the person: the longest run of digits, or the words of a name.
    pieces = [
        word for word in plant.split() if word not in " ".join([*before, *after]) and sum(map(str.isdigit, word)) > 2
    ]
    assert not [piece for piece in pieces if piece in scrubbed]


@given(st.lists(st.sampled_from(HARMLESS_ITEMS), min_size=1, max_size=6), st.data())
def test_codes_doses_and_money_survive(items: list[str], data: st.DataObject) -> None:
    words = [data.draw(st.sampled_from(["for", "given", "with", "and then", ",", "dx"])) for _ in items]
    text = " ".join(part for pair in zip(words, items, strict=True) for part in pair)
    assert scrub_text(text) == (text, {})


def test_harmless_text_survives_as_a_whole() -> None:
    text = ". ".join([PROSE, " ".join(HARMLESS_ITEMS)])
    assert scrub_text(text) == (text, {})


@given(FILLER, st.lists(st.one_of(*PLANTS.values()), max_size=3))
def test_scrubbing_twice_changes_nothing_more(filler: list[str], plants: list[str]) -> None:
    once, _ = scrub_text(" ".join([*filler, *plants]))
    assert scrub_text(once)[0] == once


@given(st.text(max_size=200))
def test_any_text_is_accepted_and_spans_are_ordered(text: str) -> None:
    spans = find_identifiers(text)
    assert all(a.stop <= b.start for a, b in pairwise(spans))
    assert all(0 <= span.start < span.stop <= len(text) for span in spans)


def test_a_bare_name_is_missed_unless_the_claim_carries_it() -> None:
    note = "Jane came with her sister; doe-eyed, JANE'S knee is better"
    assert "Jane" in scrub_text(note)[0]  # the limit that the docstring states
    cleaned, counts = scrub_text(note, names=["DOE, JANE A"])
    assert "jane" not in cleaned.lower()
    assert counts[Identifier.NAME] >= 2


@pytest.mark.parametrize(
    ("zip_code", "expected"),
    [
        ("12207", "122"),
        ("12207-1234", "122"),
        ("03601", "000"),
        ("893", "000"),
        ("abc", "000"),
        ("", "000"),
        (None, None),
    ],
)
def test_zip_keeps_three_digits_where_more_than_twenty_thousand_live(
    zip_code: str | None, expected: str | None
) -> None:
    assert safe_zip3(zip_code) == expected


def test_restricted_zip_areas_include_the_seventeen_of_the_guidance() -> None:
    guidance = "036 059 063 102 203 556 692 790 821 823 830 831 878 879 884 890 893"
    assert set(guidance.split()) <= RESTRICTED_ZIP3


@pytest.mark.data
@pytest.mark.parametrize(
    ("file", "column"),
    [("rxnorm_synthea_meds.csv", "display"), ("hcpcs_level2_2019.csv", "long"), ("hcpcs_level2_2019.csv", "code")],
)
def test_public_names_of_drugs_and_services_survive(public_data: Path, file: str, column: str) -> None:
    with (public_data / "codes" / file).open(encoding="utf-8") as rows:
        texts = [row[column] for row in csv.DictReader(rows)]
    changed = {text for text in texts if scrub_text(text)[0] != text}
    # Two services name days of the year ("before july 1"), and those are dates.
    assert all("july 1" in text or "june 30" in text for text in changed)
    assert len(changed) <= 2
