"""Code tables: hierarchy by the published ranges, columns and single codes agree, unknown codes have a family, no CPT words."""

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import claimsformer.claims.codes as codes
from claimsformer.claims.codes import category_expr, chapter_expr, lookup, mdc_of, normalise_ndc
from claimsformer.errors import CodeError

from .claim_strategies import DIAGNOSES, PROCEDURES, digits, five

CODES = {
    "icd9": DIAGNOSES["icd9"],
    "icd9_procedure": PROCEDURES["icd9"],
    "icd10": DIAGNOSES["icd10"],
    "icd10_procedure": PROCEDURES["icd10"],
    "hcpcs": five,
    "drg": digits(3),
    "ndc": digits(11),
}


@pytest.mark.parametrize("system", codes.SYSTEMS)
@given(data=st.data())
def test_columns_and_single_codes_agree(system: str, data: st.DataObject) -> None:
    sample = data.draw(st.lists(CODES[system], min_size=1, max_size=5))
    frame = pl.DataFrame({"code": sample}).select(
        category=category_expr(pl.col("code"), system), chapter=chapter_expr(pl.col("code"), system)
    )
    for code, row in zip(sample, frame.iter_rows(named=True), strict=True):
        known = lookup(code, system)
        assert (known.category, known.chapter) == ((row["category"] or ""), (row["chapter"] or ""))
        assert known.category == "" or system == "drg" or code.startswith(known.category)


@pytest.mark.parametrize(
    ("code", "system", "category", "chapter"),
    [
        ("4280", "icd9", "428", "390"),  # heart failure: circulatory
        ("25000", "icd9", "250", "240"),  # diabetes: endocrine
        ("V5811", "icd9", "V58", "V01"),
        ("E8888", "icd9", "E888", "E000"),
        ("042", "icd9", "042", "001"),
        ("8154", "icd9_procedure", "81", "76"),  # knee replacement: musculoskeletal
        ("0066", "icd9_procedure", "00", "00"),
        ("E119", "icd10", "E11", "E00"),
        ("D6489", "icd10", "D64", "D50"),
        ("D123", "icd10", "D12", "C00"),  # benign neoplasms are neoplasms
        ("H903", "icd10", "H90", "H60"),
        ("T3695XA", "icd10", "T36", "S00"),
        ("Y92009", "icd10", "Y92", "V00"),
        ("J1885", "hcpcs", "J18", "J"),
        ("00004196501", "ndc", "000041965", "00004"),
    ],
)
def test_known_places(code: str, system: str, category: str, chapter: str) -> None:
    found = lookup(code, system)
    assert (found.category, found.chapter) == (category, chapter)


@pytest.mark.parametrize(
    ("drg", "mdc"),
    [("001", "PRE"), ("065", "01"), ("193", "04"), ("291", "05"), ("470", "08"), ("690", "11"), ("775", "14"), ("807", "14"),
     ("795", "15"), ("812", "16"), ("871", "18"), ("885", "19"), ("897", "20"), ("918", "21"), ("945", "23"), ("974", "25"), ("OTH", "")],
)  # fmt: skip
def test_mdc(drg: str, mdc: str) -> None:
    assert mdc_of(drg) == mdc


def test_titles_groups_and_back_off() -> None:
    known = lookup("4280", "icd9")
    assert known.known
    assert "heart failure" in known.title.lower()
    assert codes.load("icd9_diagnosis_groups")[known.group].title.lower().startswith("chf")
    invented = lookup("42899", "icd9")
    assert not invented.known
    assert invented.category == "428"
    with pytest.raises(CodeError, match="unknown code system"):
        lookup("1", "icd11")


def test_no_words_of_others_and_little_weight() -> None:
    assert all(not code[0].isdigit() and code[0] != "D" for code in codes.load("hcpcs_level2"))
    folder = Path(codes.__file__).parent / "data"
    assert sum(file.stat().st_size for file in folder.iterdir()) < 600_000


@given(digits(5), digits(4), digits(2))
def test_ndc_layouts(labeler: str, product: str, package: str) -> None:
    full = labeler + product + package
    assert normalise_ndc(f"{labeler}-{product}-{package}") == full == normalise_ndc(full)
    assert normalise_ndc(f"{labeler[1:]}-{product}-{package}") == "0" + full[1:]
    assert normalise_ndc(f"{labeler}-{product[1:]}-{package}") == f"{labeler}0{product[1:]}{package}"
    assert normalise_ndc(f"{labeler}-{product}-{package[1:]}") == f"{labeler}{product}0{package[1:]}"
    with pytest.raises(CodeError, match="three readings"):
        normalise_ndc(full[1:])


def test_every_synpuf_drg_has_a_category(public_data: Path) -> None:
    frame = pl.read_parquet(public_data / "synpuf" / "inpatient_claims.parquet", columns=["drg", "dx1"])
    drgs = frame.filter(pl.col("drg").str.contains(r"^[0-9]{3}$") & (pl.col("drg") != "000"))
    assert drgs.select(codes.mdc_expr(pl.col("drg")).null_count()).item() == 0


def test_words_of_reasons() -> None:
    assert codes.describe_reason("CO", "97").startswith("CO-97: included")
    assert "not in this table" in codes.describe_reason("CO", "9999")
