"""X12: the public examples, what each segment gives, envelopes and balances, and errors that say where."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from claimsformer.claims.frames import from_frame
from claimsformer.claims.readers import read_claims
from claimsformer.claims.readers.x12_segments import Segment
from claimsformer.claims.schema import Claim
from claimsformer.errors import SegmentError

HEAD = "ISA*00*          *00*          *ZZ*A              *ZZ*B              *240101*0000*^*00501*000000001*0*P*:~GS*HC*A*B*20240101*0000*1*X*0~"
PROVIDER = [
    "BHT*0019*00*1*20240110*0000*CH",
    "HL*1**20*1",
    "NM1*85*2*UNKNOWN*****XX*1234567893",
    "HL*2*1*22*0",
    "NM1*IL*1*DOE*JANE****MI*M0001",
]
PROVIDER.append("DMG*D8*19500101*F")
CLAIM = ["CLM*C1*30***11:B:1*Y*A*Y*Y", "HI*ABK:E119*ABF:I10"]
LINES = [
    "LX*1",
    "SV1*HC:99213:25*10*UN*1***1:2",
    "DTP*472*D8*20240102",
    "LX*2",
    "SV1*HC:J1885*20*UN*2***2",
    "DTP*472*RD8*20240102-20240105",
]


def interchange(segments: list[str], guide: str = "005010X222A1", count: int | None = None, kind: str = "837") -> str:
    body = [f"ST*{kind}*0001*{guide}", *segments]
    body.append(f"SE*{len(body) + 1 if count is None else count}*0001")
    return HEAD + "".join(f"{segment}~" for segment in body) + "GE*1*1~IEA*1*000000001~"


def read(path: Path, text: str) -> tuple[list[Claim], list[tuple[int, str, str, str]]]:
    file = path / "x.837"
    file.write_text(text)
    reader = read_claims(file)
    claims = from_frame(reader.all())
    assert reader.read == reader.accepted + reader.rejected
    return claims, reader.first_rejects


def test_a_professional_claim(tmp_path: Path) -> None:
    (claim,), rejects = read(tmp_path, interchange([*PROVIDER, *CLAIM, *LINES]))
    assert rejects == []
    assert (claim.claim_id, claim.member_id, claim.member_sex, claim.member_birth_date) == (
        "C1",
        "M0001",
        "F",
        date(1950, 1, 1),
    )
    assert (claim.service_from, claim.service_thru, claim.submitted_date) == (
        date(2024, 1, 2),
        date(2024, 1, 5),
        date(2024, 1, 10),
    )
    assert (claim.place_of_service, claim.code_system, claim.diagnoses) == ("11", "icd10", ("E119", "I10"))
    first, second = claim.lines
    assert (first.procedure_code, first.modifiers, first.charge_amount, first.diagnosis_pointers) == (
        "99213",
        ("25",),
        Decimal(10),
        (1, 2),
    )
    assert (second.units, second.unit_code, second.service_thru) == (2.0, "UN", date(2024, 1, 5))


@pytest.mark.parametrize(
    ("before", "after", "field", "sentence"),
    [
        ("CLM*C1*30*", "CLM*C1*31*", "charge_amount", "sum of the charges"),
        ("CLM*C1*30*", "CLM**30*", "CLM01", "identifier of the claim"),
        ("CLM*C1*30*", "CLM*C1*3x*", "CLM02", "amount in US dollars"),
        ("11:B:1", "11:Q:1", "CLM05", "institutional"),
        ("CLM*", "CLN*", "segment", "is not one that an 837 has"),
        ("DMG*D8*19500101", "DMG*D8*19501301", "DMG02", "CCYYMMDD"),
        ("RD8*20240102-20240105", "RD8*20240102_20240105", "DTP03", "range"),
        ("D8*20240102", "D9*20240102", "DTP02", "forms D8"),
        ("ABK:E119", "QQQ:E119", "HI01", "known qualifier"),
        ("ABF:I10", "BF:4019", "HI02", "mixes"),
        ("HC:99213", "XX:99213", "SV101", "qualifier"),
        ("***2~", "***9~", "lines", "not there"),
        ("NM1*85*", "NM1*8X*", "NM101", "entity"),
        ("*MI*M0001", "*MI*", "CLM", "no member"),
        ("LX*2~", "NTE*ADD*X~", "SV1", "second service"),
        ("HL*2*1*22", "HL*2*1*29", "HL03", "level"),
    ],
)
def test_errors_name_segment_element_and_place(
    tmp_path: Path, before: str, after: str, field: str, sentence: str
) -> None:
    text = interchange([*PROVIDER, *CLAIM, *LINES])
    assert before in text
    claims, rejects = read(tmp_path, text.replace(before, after, 1))
    assert claims == []
    assert any(name == field and sentence in reason for _, name, _, reason in rejects), rejects
    assert all("M0001" not in reason and "JANE" not in reason for *_, reason in rejects)
    if field[0].isupper():
        assert all("segment" in reason for *_, reason in rejects)


def test_a_transaction_that_lost_a_segment_gives_no_claim(tmp_path: Path) -> None:
    whole = [*PROVIDER, *CLAIM, *LINES]
    for lost in range(len(whole)):
        claims, rejects = read(tmp_path, interchange(whole[:lost] + whole[lost + 1 :], count=len(whole) + 2))
        assert claims == []
        assert rejects


def test_a_file_cut_between_transactions_says_so(tmp_path: Path) -> None:
    text = interchange([*PROVIDER, *CLAIM, *LINES])
    claims, rejects = read(tmp_path, text[: text.index("GE*1")])
    assert len(claims) == 1
    assert [field for _, field, _, _ in rejects] == ["IEA"]


def test_one_bad_claim_leaves_its_neighbours(tmp_path: Path) -> None:
    other = [segment.replace("C1", "C2").replace("*30*", "*99*") for segment in CLAIM]
    claims, rejects = read(tmp_path, interchange([*PROVIDER, *other, *LINES, *CLAIM, *LINES]))
    assert [claim.claim_id for claim in claims] == ["C1"]
    assert {field for _, field, _, _ in rejects} == {"charge_amount"}


def test_members_of_a_family_are_told_apart(tmp_path: Path) -> None:
    def dependent(name: str) -> list[str]:
        return ["HL*3*2*23*0", f"NM1*QC*1*DOE*{name}", "DMG*D8*20100101*M", *CLAIM, *LINES]

    claims, _ = read(tmp_path, interchange([*PROVIDER, *dependent("TOM"), *dependent("TIM"), *dependent("TOM")]))
    ids = [claim.member_id for claim in claims]
    assert ids[0] == ids[2] != ids[1]
    assert all(member.startswith("M0001-") and "T" not in member for member in ids)
    assert claims[0].member_sex == "M"


REMITTANCE = [
    "BPR*I*80*C*ACH************20240120",
    "N1*PE*X*XX*1234567893",
    "LX*1",
    "CLP*C1*1*100*80*5*12*77*11*1",
    "CAS*CO*45*10",
    "NM1*QC*1*DOE*J****MI*M1",
]
REMITTANCE += ["SVC*HC:99213*100*90**1", "DTM*472*20240102", "CAS*PR*1*5**2*5", "LQ*HE*N130"]


def test_a_remittance(tmp_path: Path) -> None:
    (claim,), rejects = read(tmp_path, interchange(REMITTANCE, "", kind="835"))
    assert rejects == []
    assert (claim.charge_amount, claim.paid_amount, claim.paid_date) == (Decimal(100), Decimal(80), date(2024, 1, 20))
    assert [(a.group_code, a.reason_code, a.amount) for a in claim.adjustments] == [("CO", "45", Decimal(10))]
    assert [(a.group_code, a.reason_code, a.amount) for a in claim.lines[0].adjustments] == [
        ("PR", "1", Decimal(5)),
        ("PR", "2", Decimal(5)),
    ]
    assert claim.remark_codes == ("N130",)
    for wrong in ("CLP*C1*1*100*81*", "CLP*C1*1*101*80*"):
        claims, rejects = read(tmp_path, interchange(REMITTANCE, "", kind="835").replace("CLP*C1*1*100*80*", wrong))
        assert claims == []
        assert any(field == "CLP04" for _, field, _, _ in rejects)


def test_a_claim_that_lost_its_first_segment_is_not_passed_over(tmp_path: Path) -> None:
    second = [segment.replace("CLP*C1", "CLQ*C2") for segment in REMITTANCE[2:]]
    claims, rejects = read(tmp_path, interchange([*REMITTANCE, *second], "", kind="835"))
    assert [claim.claim_id for claim in claims] == ["C1"]
    assert any("not one that an 835 has" in reason for *_, reason in rejects)


@pytest.mark.parametrize("text", ["", "ISA", "ISA*00", HEAD[:60], HEAD.replace("*", "A"), HEAD.replace(":~", "~~")])
def test_no_envelope_no_claims(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.837"
    path.write_text(text)
    with pytest.raises(SegmentError, match="ISA"):
        read_claims(path, format="x12").all() if text else Segment(["ISA"], 1).need(16, "x")


def test_every_public_file_reads_or_says_where_not(public_data: Path) -> None:
    refused = {}
    for path in sorted((public_data / "x12").rglob("*.*")):
        reader = read_claims(path)
        for claim in from_frame(reader.all()):
            if claim.claim_status is None:
                assert claim.charge_amount == sum(
                    (line.charge_amount or Decimal(0) for line in claim.lines), Decimal(0)
                )
        assert reader.read > 0
        if reader.rejected:
            refused[path.name] = {(field, reason.split(": ")[1]) for _, field, _, reason in reader.first_rejects}
    assert refused == {"managed-care.835": {("BPR16", "is not a date CCYYMMDD")}}  # it says 20002316


def test_known_values_of_a_public_file(public_data: Path) -> None:
    claims = from_frame(read_claims(public_data / "x12" / "professional" / "demo.drug.example10.3.837").all())
    line = claims[0].lines[1]
    assert (line.procedure_code, line.ndc, line.quantity, line.units) == ("J0696", "00004196501", 7.0, 56.0)
