"""FHIR: R4 and STU3, single, Bundle, list, NDJSON and gzip; errors that name the path; elements that FHIR does not know."""

import contextlib
import copy
import gzip
import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from claimsformer.claims.frames import from_frame
from claimsformer.claims.readers import read_claims
from claimsformer.claims.schema import Claim
from claimsformer.errors import ReadError

PATIENT = {
    "resourceType": "Patient",
    "id": "p1",
    "gender": "female",
    "birthDate": "1950-01-02",
    "address": [{"state": "Texas", "postalCode": "77001-1234"}],
}
CLAIM: dict[str, Any] = {
    "resourceType": "Claim",
    "id": "c1",
    "status": "active",
    "use": "claim",
    "type": {"coding": [{"code": "professional"}]},
    "patient": {"reference": "Patient/p1"},
    "provider": {"reference": "Organization/o1"},
    "created": "2024-01-10T08:00:00+01:00",
    "diagnosis": [
        {
            "sequence": 2,
            "diagnosisCodeableConcept": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "I10"}]},
        },
        {
            "sequence": 1,
            "diagnosisCodeableConcept": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "E11.9"}]},
        },
    ],
    "item": [
        {
            "sequence": 1,
            "diagnosisSequence": [2],
            "productOrService": {"coding": [{"system": "http://www.ama-assn.org/go/cpt", "code": "99213"}]},
            "servicedDate": "2024-01-02",
            "quantity": {"value": 2},
            "unitPrice": {"value": 10.25, "currency": "USD"},
            "net": {"value": 20.50, "currency": "USD"},
        }
    ],
    "total": {"value": 20.50, "currency": "USD"},
}


def read(path: Path, content: Any, name: str = "c.json") -> tuple[list[Claim], list[tuple[int, str, str, str]]]:
    file = path / name
    file.write_bytes(content if isinstance(content, bytes) else json.dumps(content, indent=1).encode())
    reader = read_claims(file, format="fhir")
    claims = from_frame(reader.all())
    assert reader.read == reader.accepted + reader.rejected
    return claims, reader.first_rejects


def test_one_claim(tmp_path: Path) -> None:
    (claim,), rejects = read(tmp_path, CLAIM)
    assert rejects == []
    assert (claim.claim_id, claim.member_id, claim.billing_provider_id) == ("c1", "p1", "o1")
    assert (claim.diagnoses, claim.lines[0].diagnosis_pointers) == (("E119", "I10"), (2,))
    assert (claim.service_from, claim.submitted_date, claim.charge_amount) == (
        date(2024, 1, 2),
        date(2024, 1, 10),
        Decimal("20.50"),
    )


def test_containers_give_the_same_claim(tmp_path: Path) -> None:
    (alone,), _ = read(tmp_path, CLAIM)
    line = json.dumps(CLAIM).encode()
    for content, name in (
        ([CLAIM, CLAIM], "c.json"),
        (line + b"\n\n" + line + b"\n", "c.ndjson"),
        (gzip.compress(line + b"\n" + line), "c.gz"),
    ):
        assert read(tmp_path, content, name)[0] == [alone, alone]
    bundle = {"resourceType": "Bundle", "entry": [{"fullUrl": "Patient/p1", "resource": PATIENT}, {"resource": CLAIM}]}
    (with_patient,), _ = read(tmp_path, bundle)
    assert (with_patient.member_sex, with_patient.member_birth_date) == ("F", date(1950, 1, 2))
    assert (with_patient.member_state, with_patient.member_zip) == ("TX", "77001")


def change(path: list[Any], value: Any) -> dict[str, Any]:
    document = copy.deepcopy(CLAIM)
    target = document
    for step in path[:-1]:
        target = target[step]
    if value is None:
        del target[path[-1]]
    else:
        target[path[-1]] = value
    return document


@pytest.mark.parametrize(
    ("path", "value", "where", "sentence"),
    [
        (["type"], {"coding": [{"code": "oral"}]}, "Claim.type", "not an institutional"),
        (["use"], "preauthorization", "Claim.use", "not read"),
        (["status"], "cancelled", "Claim.status", "active"),
        (["patient"], None, "Claim.patient", "no patient"),
        (["patient"], "p1", "Claim.patient", "not an object"),
        (
            ["diagnosis", 1, "diagnosisCodeableConcept", "coding", 0, "system"],
            None,
            "coding[0].system",
            "ICD-9, ICD-10",
        ),
        (["diagnosis", 1, "sequence"], 2, "Claim.diagnosis", "one sequence"),
        (["item", 0, "net", "value"], 20.51, "Claim.item[0].net", "quantity × unitPrice"),
        (["item", 0, "net", "currency"], "EUR", "Claim.item[0].net", "US dollars"),
        (["item", 0, "servicedDate"], "2024-02-30", "Claim.item[0].servicedDate", "YYYY-MM-DD"),
        (["item", 0, "diagnosisSequence"], [7], "diagnosisSequence[0]", "not there"),
        (["item", 0, "quantity", "value"], True, "quantity.value", "not a number"),
        (["total", "value"], 21, "charge_amount", "sum of the charges"),
        (["diagnosys"], [], "Claim.diagnosys", "not an element"),
        (["resourceType"], "ClaimResponse", "resourceType", "ClaimResponse is not read"),
        (["id"], None, "Claim.id", "missing"),
    ],
)
def test_errors_name_the_path(tmp_path: Path, path: list[Any], value: Any, where: str, sentence: str) -> None:
    claims, rejects = read(tmp_path, change(path, value))
    assert claims == []
    assert len(rejects) == 1
    assert where in rejects[0][1]
    assert sentence in rejects[0][3]


@pytest.mark.parametrize(
    "content", [b'{"resourceType": "Claim", ', b"[" * 100_000, b'{"resourceType": NaN}', b"\xff\xfe{}", b"{}"]
)
def test_what_is_not_fhir(tmp_path: Path, content: bytes) -> None:
    with contextlib.suppress(ReadError):
        claims, rejects = read(tmp_path, content)
        assert claims == []
        assert rejects


def test_blue_button(public_data: Path) -> None:
    reader = read_claims(public_data / "fhir" / "eob_100.ndjson.gz")
    frame = reader.all()
    assert (reader.read, reader.accepted) == (100, 100)
    kinds = dict(frame.group_by("claim_type").len().iter_rows())
    assert kinds == {
        "institutional": 66,
        "professional": 23,
        "pharmacy": 11,
    }  # 2 inpatient, 64 outpatient; 22 carrier, 1 DME; 11 PDE
    inpatient = from_frame(frame)[0]
    assert (inpatient.admit_diagnosis, inpatient.procedures, inpatient.coinsurance_amount) == (
        "J208",
        ("BW03ZZZ",),
        Decimal("4468.03"),
    )
    drug = next(claim for claim in from_frame(frame) if claim.claim_type == "pharmacy")
    assert (drug.lines[0].ndc, drug.lines[0].days_supply, drug.lines[0].quantity) == ("68071071630", 365, 365.0)


def test_every_public_file_reads_or_says_where_not(public_data: Path) -> None:
    refused = {}
    for path in sorted((public_data / "fhir").iterdir()):
        reader = read_claims(path)
        reader.all()
        if reader.rejected:
            refused[path.stem] = reader.first_rejects[0][1]
    dental = {f"Claim-10015{i}": "Claim.type" for i in range(7)}
    assert refused == {**dental, "ClaimResponse-R3500": "document.resourceType"}


def test_synthea(public_data: Path, tmp_path: Path) -> None:
    with gzip.open(public_data / "synthea" / "claims.ndjson.gz") as file:
        lines = file.read().splitlines()[:2500]
    (tmp_path / "some.ndjson").write_bytes(b"\n".join(lines))
    reader = read_claims(tmp_path / "some.ndjson")
    frame = reader.all()
    assert (reader.read, reader.accepted) == (2500, frame.height)
    assert frame["claim_id"].n_unique() == frame.height
    loinc = sum(b"34552-0" in line for line in lines)  # a LOINC code that the file calls SNOMED
    assert reader.rejected >= loinc
    total = sum(
        Decimal(str(json.loads(line)["total"][0][1])).quantize(Decimal("0.01"))
        for line in lines
        if b"34552-0" not in line
    )
    if reader.rejected == loinc:
        assert frame["charge_amount"].sum() == total
