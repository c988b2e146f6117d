"""Tables of claims: public layouts, mapping files, rejects and counts that add up, lines grouped into claims."""

import csv
import datetime as dt
import gzip
import json
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from claimsformer.claims.frames import from_frame
from claimsformer.claims.readers import detect_format, load_mapping, read_claims
from claimsformer.errors import FormatError, MappingError, ReadError

PLAIN = "claim_id,claim_type,member_id,service_from,service_thru,charge_amount\n"


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_synpuf(public_data: Path) -> None:
    source = public_data / "synpuf" / "inpatient_claims.parquet"
    reader = read_claims(source, keep=["sample"], batch_size=20_000)
    batches = list(reader)
    frame, raw = pl.concat(batches), pl.read_parquet(source)
    assert max(batch.height for batch in batches) == 20_000
    assert (reader.read, reader.accepted, reader.rejected) == (raw.height, raw.height, 0)
    assert frame["sample"].equals(raw["sample"])
    assert frame["paid_amount"].sum() == Decimal(str(round(raw["amt"].sum(), 2)))
    n_codes = sum(raw[f"dx{i}"].is_not_null().sum() for i in range(1, 11))
    assert frame["diagnoses"].list.len().sum() == n_codes
    assert frame["member_conditions"].list.contains("heart_failure").sum() == raw["chf"].sum()
    assert frame.filter(pl.col("member_sex") == "F").height == raw.filter(pl.col("sex") == "2").height
    assert set(frame["drg"].drop_nulls().str.len_chars()) == {3}


def test_provider_fraud_with_its_beneficiaries(public_data: Path) -> None:
    reader = read_claims(public_data / "provider_fraud")
    frame = reader.all()
    assert (reader.read, reader.rejected) == (32_556, 0)
    first = from_frame(frame.filter(pl.col("claim_id") == "CLM66048"))[0]
    assert (first.member_birth_date, first.member_sex, first.member_state) == (dt.date(1943, 1, 1), "M", "PA")
    procedures = frame["procedures"].explode().drop_nulls()
    assert set(procedures.str.len_chars()) == {4}  # a spreadsheet had removed the leading zeros
    assert "0066" in procedures.to_list()


def test_provider_fraud_without_its_beneficiaries(public_data: Path, tmp_path: Path) -> None:
    copy = tmp_path / "claims.csv"
    copy.write_bytes(
        gzip.decompress((public_data / "provider_fraud" / "inpatient_claims.csv.gz").read_bytes())[:20_000].rsplit(
            b"\n", 1
        )[0]
    )
    frame = read_claims(copy).all()
    assert frame["member_sex"].null_count() == frame.height > 50


def test_rejects_add_up_and_hide_who(tmp_path: Path) -> None:
    rows = [
        "C1,professional,M-0001,2024-01-01,2024-01-02,10.00",
        "C2,professional,M-0002,2024-01-05,2024-01-02,10.00",
        "C3,professional,M-0003,2024-13-01,2024-01-02,10.00",
        "C4,professional,M-0004,2024-01-01,2024-01-02",
        "C5,dental,M-0005,2024-01-01,2024-01-02,12x",
        ",professional,M-0006,2024-01-01,2024-01-02,1",
        'C7,professional,"M-0007,2024-01-01,2024-01-02,1',
    ]
    path = write(tmp_path / "c.csv", PLAIN + "\n".join(rows) + "\n")
    reader = read_claims(path, rejects=tmp_path / "rejects.csv")
    assert reader.all()["claim_id"].to_list() == ["C1"]
    assert (reader.read, reader.accepted, reader.rejected) == (7, 1, 6)
    with (tmp_path / "rejects.csv").open(newline="") as file:
        rejects = list(csv.DictReader(file))
    assert {int(row["row"]) for row in rejects} == {3, 4, 5, 6, 7, 8}
    by_row = {(int(row["row"]), row["field"]): row for row in rejects}
    assert by_row[3, "service_thru"]["reason"] == "is before service_from"
    assert by_row[4, "service_from"]["value"] == "9999-99-99"
    assert by_row[5, ""]["reason"] == "does not have 6 fields"
    assert by_row[6, "charge_amount"]["value"] == "99a"
    assert "M-000" not in (tmp_path / "rejects.csv").read_text()


@given(good=st.lists(st.booleans(), min_size=1, max_size=40), size=st.integers(1, 7))
def test_counts_add_up_for_any_batch_size(
    tmp_path_factory: pytest.TempPathFactory, good: list[bool], size: int
) -> None:
    rows = [f"C{i},professional,M,2024-01-01,{'2024-01-02' if ok else '2023-01-01'},1.00" for i, ok in enumerate(good)]
    path = write(tmp_path_factory.mktemp("counts") / "c.csv", PLAIN + "\n".join(rows))
    reader = read_claims(path, batch_size=size)
    seen = 0
    for batch in reader:
        seen += batch.height
        assert batch.height <= size
        assert reader.read == reader.accepted + reader.rejected
        assert seen == reader.accepted
    assert (reader.read, reader.accepted) == (len(good), sum(good))


LINES = "claim_id,claim_type,member_id,service_from,service_thru,charge_amount,line_line_number,line_charge_amount\n"


def line(claim: str, total: str, number: int, charge: str, member: str = "M") -> str:
    return f"{claim},professional,{member},2024-01-01,2024-01-02,{total},{number},{charge}\n"


def test_rows_of_lines_become_claims(tmp_path: Path) -> None:
    text = LINES + line("A", "3.00", 2, "1.00") + line("A", "3.00", 1, "2.00") + line("B", "5", 1, "5")
    claims = from_frame(read_claims(write(tmp_path / "c.csv", text)).all())
    assert [(c.claim_id, [x.charge_amount for x in c.lines]) for c in claims] == [
        ("A", [Decimal(2), Decimal(1)]),
        ("B", [Decimal(5)]),
    ]


@pytest.mark.parametrize(
    ("text", "field", "reason"),
    [
        (line("A", "3", 1, "1") + line("A", "3", 2, "1"), "charge_amount", "sum of the charges"),
        (line("A", "3", 1, "1") + line("A", "3", 2, "2", member="N"), "member_id", "differs between the rows"),
        (line("A", "", 1, "1") + line("B", "", 1, "1") + line("A", "", 2, "1"), "claim_id", "more than one place"),
        (line("A", "", 1, "1") + "A,broken\n" + line("A", "", 3, "1"), "claim", "beside them"),
        (line("A", "", 1, "1") + line("A", "", 2, "x"), "line_charge_amount", "amount in US dollars"),
    ],
)
def test_a_claim_whose_rows_do_not_fit_is_refused_whole(tmp_path: Path, text: str, field: str, reason: str) -> None:
    reader = read_claims(write(tmp_path / "c.csv", LINES + text + line("Z", "7.00", 1, "7.00")))
    accepted = reader.all()["claim_id"].to_list()
    assert "Z" in accepted
    assert accepted.count("A") == (1 if reason == "more than one place" else 0)
    assert any(name == field and reason in why for _, name, _, why in reader.first_rejects), reader.first_rejects
    assert reader.read == reader.accepted + reader.rejected


MAPPING = """
day_first = true
missing = ["n.v."]
[columns]
claim_id = "Nummer"
member_id = "Person"
member_sex = "Geschlecht"
service_from = "Von"
service_thru = "Bis"
diagnoses = ["D1", "D2"]
charge_amount = "Betrag"
[constants]
claim_type = "professional"
code_system = "icd10"
[values.member_sex]
w = "F"
m = "M"
[slices.provider_state]
column = "Praxis"
start = 0
length = 2
"""


def test_a_layout_of_ones_own(tmp_path: Path) -> None:
    header = "Nummer;Person;Geschlecht;Von;Bis;D1;D2;Betrag;Praxis"
    rows = ['1;7;w;03/04/2024;5.4.2024;e11.9;;"1,234.50";TX-99', "2;8;n.v.;03/04/2024;05/04/2024;I10;E11.9;$5;TX-1"]
    path = write(tmp_path / "own.csv", "\n".join([header, *rows]))
    mapping = write(tmp_path / "own.toml", MAPPING)
    reader = read_claims(path, mapping=mapping)
    first, second = from_frame(reader.all())
    assert (first.service_from, first.service_thru) == (dt.date(2024, 4, 3), dt.date(2024, 4, 5))
    assert (first.member_sex, first.diagnoses, first.charge_amount) == ("F", ("E119",), Decimal("1234.50"))
    assert (second.member_sex, second.diagnoses, second.charge_amount) == (None, ("I10", "E119"), Decimal(5))
    assert reader.cleaning.changes["diagnoses", "dot of a code removed"] == 2
    as_json = tmp_path / "own.json"
    as_json.write_text(json.dumps({"columns": {"claim_id": "Nummer"}}))
    assert load_mapping(as_json).columns == {"claim_id": "Nummer"}
    with pytest.raises(FormatError, match="no known layout"):
        read_claims(path)


def test_an_export_with_decimal_commas_in_a_code_page(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    rows = [
        "Nummer;Größe;Person;Geschlecht;Am;Betrag",
        "1;2,5;7;männlich;31.12.2024;1.234,50 $",
        "2;1;8;w;1.2.2024;7,00",
    ]
    path.write_bytes("\r\n".join(rows).encode("cp1252"))
    columns = {"claim_id": "Nummer", "member_id": "Person", "member_sex": "Geschlecht", "line_units": "Größe"}
    columns |= {"service_from": "Am", "service_thru": "Am", "line_charge_amount": "Betrag"}
    mapping = {
        "columns": columns, "constants": {"claim_type": "professional", "code_system": "icd10"},
        "values": {"member_sex": {"männlich": "M", "w": "F"}},
        "day_first": True, "decimal_comma": True, "encoding": "cp1252",
    }  # fmt: skip
    first, second = from_frame(read_claims(path, mapping=mapping).all())
    assert (first.member_sex, first.service_from) == ("M", dt.date(2024, 12, 31))
    assert (first.lines[0].units, first.lines[0].charge_amount) == (2.5, Decimal("1234.50"))
    as_utf8 = read_claims(path, mapping=mapping | {"encoding": "utf-8", "columns": columns | {"line_units": "Person"}})
    assert as_utf8.all().height == 1
    assert any(field == "member_sex" and "encoding" in reason for field, reason in as_utf8.reasons)
    assert (second.member_sex, second.lines[0].charge_amount) == ("F", Decimal("7.00"))


@pytest.mark.parametrize(
    ("mapping", "sentence"),
    [
        ({"columns": {"claim_idd": "a"}}, "Did you mean 'claim_id'"),
        ({"columns": {"provider_id": "a"}}, "Did you mean 'billing_provider_id' or "),
        ({"columns": {"claim_id": ["a", "b"]}}, "holds one value"),
        ({"colums": {}}, "unknown key 'colums'"),
        ({"columns": {}}, "has no"),
        ({"columns": {"claim_id": "a"}, "pad": {"drg": "x"}}, "wrong kind"),
        ({"columns": {"claim_id": "gone"}}, "no column 'gone'"),
        ({"columns": {"claim_id": "a"}, "day_first": "false"}, "expected true or false"),
        ({"columns": {"claim_id": "a"}, "encoding": "utf-16"}, "not one byte"),
        ({"columns": {"claim_id": "a"}, "encoding": "klingon"}, "not known"),
    ],
)
def test_mappings_that_do_not_fit(tmp_path: Path, mapping: dict[str, object], sentence: str) -> None:
    path = write(tmp_path / "c.csv", PLAIN + "C1,professional,M,2024-01-01,2024-01-02,1\n")
    with pytest.raises(MappingError, match=sentence):
        read_claims(path, mapping=mapping).all()


def test_a_misspelt_column_is_not_lost(tmp_path: Path) -> None:
    path = write(
        tmp_path / "c.csv",
        PLAIN.replace("charge_amount", "charge_amuont") + "C1,professional,M,2024-01-01,2024-01-02,1\n",
    )
    with pytest.raises(MappingError, match="charge_amount"):
        read_claims(path)


def test_what_is_no_file_of_claims(tmp_path: Path) -> None:
    for content, error in (
        (b"", FormatError),
        (b"\x00\x01\x02", FormatError),
        (b"PAR1 and no more", ReadError),
        (b'{"a": 1}', FormatError),
    ):
        path = tmp_path / "strange"
        path.write_bytes(content)
        with pytest.raises(error):
            read_claims(path).all()
    with pytest.raises(ReadError, match="cannot be opened"):
        read_claims(tmp_path / "absent.csv")
    with pytest.raises(FormatError, match="unknown format"):
        read_claims(tmp_path / "strange", format="word")
    assert detect_format(write(tmp_path / "c.csv", PLAIN)) == "csv"


def test_constant_memory_source_is_read_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With blocks of 300 bytes every boundary falls somewhere inside a row or a claim, and nothing changes."""
    text = LINES + "".join(line(f"C{i}", "3.00", 1, "1.00") + line(f"C{i}", "3.00", 2, "2.00") for i in range(60))
    path = write(tmp_path / "c.csv", text)
    whole = read_claims(path).all()
    monkeypatch.setattr("claimsformer.claims.readers.csv_source.BLOCK", 300)
    monkeypatch.setattr("claimsformer.claims.readers.csv_source.read_block", lambda file, size=300: file.read(300))
    reader = read_claims(path)
    assert reader.all().equals(whole)
    assert reader.read == 60


def test_a_file_without_header_shows_no_data(tmp_path: Path) -> None:
    path = write(tmp_path / "c.csv", "SECRET-1,1950-02-03,E119\nSECRET-2,1951-02-03,I10\n")
    with pytest.raises(FormatError) as caught:
        read_claims(path)
    assert "SECRET" not in str(caught.value)
    with pytest.raises(MappingError) as missing:
        read_claims(path, mapping={"columns": {"claim_id": "ClaimNo"}}).all()
    assert "SECRET" not in str(missing.value)


def test_closing_early_leaves_a_finished_rejects_file(tmp_path: Path) -> None:
    path = write(
        tmp_path / "c.csv",
        PLAIN
        + "".join(
            f"C{i},dental,M,2024-01-01,2024-01-02,1\nD{i},professional,M,2024-01-01,2024-01-02,1\n" for i in range(5)
        ),
    )
    with read_claims(path, batch_size=2, rejects=tmp_path / "r.csv") as reader:
        next(reader)
    assert len((tmp_path / "r.csv").read_text().splitlines()) == 1 + reader.rejected == 2


def test_a_header_that_is_cut_off_is_refused_even_without_rows(public_data: Path, tmp_path: Path) -> None:
    header = gzip.decompress((public_data / "provider_fraud" / "inpatient_claims.csv.gz").read_bytes()).split(b"\n")[0]
    path = tmp_path / "c.csv"
    path.write_bytes(header)
    assert read_claims(path).all().is_empty()
    path.write_bytes(header[:400])
    with pytest.raises(MappingError, match="has no column"):
        read_claims(path).all()


@pytest.mark.parametrize(
    ("first", "shown"),
    [
        ("Miller,Jane,Female,Diabetes", False),
        ("Jane Miller,professional,F,Boston", False),
        ("ClaimNo,MemberNo,Sex,DOS,CPT,Charge", True),
        ("Patient,Day,Procedure,Cost", True),
        ("CLM_ID,BENE_SK,CLM_FROM_DT,DGNS_CD_1", True),
    ],
)
def test_a_first_line_of_people_is_not_repeated(tmp_path: Path, first: str, shown: bool) -> None:
    (tmp_path / "c.csv").write_text(f"{first}\n{first}\n")
    with pytest.raises(FormatError) as refused:
        read_claims(tmp_path / "c.csv")
    assert (first.split(",")[0] in str(refused.value)) is shown
