"""Damaged files: a clear error or a reject, never a traceback, and every accepted claim still follows the schema and adds up."""

import gzip
import random
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from claimsformer.claims.frames import from_frame, to_frame
from claimsformer.claims.readers import read_claims
from claimsformer.claims.schema import Claim
from claimsformer.claims.writers import write_claims
from claimsformer.errors import ClaimsformerError

from .damage import damaged

N_QUICK, N_LONG = 25, 1000
PUBLIC = {
    "kaggle.csv": ("provider_fraud/inpatient_claims.csv.gz", 20),
    "professional.837": ("x12/837_0.txt", 0),
    "institutional.837": ("x12/institutional/institutional-claim.837i", 0),
    "drugs.837": ("x12/professional/demo.drug.example10.3.837", 0),
    "remittance.835": ("x12/remittance/medicare-part-a.835", 0),
    "r4.json": ("fhir/Claim-MED-00050.json", 0),
    "bluebutton.ndjson": ("fhir/eob_100.ndjson.gz", 5),
    "bluebutton.gz": ("fhir/eob_100.ndjson.gz", -1),
    "synthea.ndjson": ("synthea/claims.ndjson.gz", 10),
}
OWN = {"own.csv": None, "own.parquet": None, "own.ndjson": None, "own.fhir.ndjson": "fhir", "own.837": None}


def some_claims(n: int = 6) -> list[Claim]:
    rng = random.Random(5)
    found = []
    for number in range(1, n + 1):
        charges = [Decimal(rng.randrange(100, 99999)) / 100 for _ in range(rng.randrange(1, 4))]
        lines = [
            {"line_number": i, "procedure_code": f"J{1000 + i}", "procedure_system": "hcpcs", "units": float(i), "charge_amount": charge,
             "diagnosis_pointers": [1]}
            for i, charge in enumerate(charges, start=1)
        ]  # fmt: skip
        fields = {
            "claim_id": f"C{number:05d}", "claim_type": "professional", "member_id": f"M{number:05d}", "billing_provider_id": "1234567893",
            "member_sex": "F", "code_system": "icd10", "diagnoses": ["E119", "I10"], "charge_amount": sum(charges, Decimal(0)),
            "lines": lines, "place_of_service": "11",
        }  # fmt: skip
        day = {"service_from": "2024-03-05", "service_thru": "2024-03-09"}
        found.append(Claim.model_validate_json(Claim.model_construct(**fields, **day).model_dump_json(warnings=False)))
    return found


def sample(name: str, folder: Path, public: Path | None) -> bytes:
    if name in OWN:
        write_claims(to_frame(some_claims()), folder / name, format=OWN[name])
        return (folder / name).read_bytes()
    assert public is not None
    source, n_lines = PUBLIC[name]
    data = (public / source).read_bytes()
    if n_lines >= 0 and source.endswith(".gz"):
        data = gzip.decompress(data)
    return b"\n".join(data.split(b"\n")[:n_lines]) if n_lines > 0 else data


def judge(path: Path) -> Iterator[Claim]:
    try:
        reader = read_claims(path)
        frame = reader.all()
    except ClaimsformerError:
        return
    assert reader.read == reader.accepted + reader.rejected
    assert reader.accepted == frame.height
    assert (reader.rejected > 0) == bool(reader.first_rejects)
    yield from from_frame(frame)  # raises if any of them breaks the schema


def check(name: str, folder: Path, public: Path | None, seeds: range) -> None:
    data = sample(name, folder, public)
    path = folder / f"damaged-{name}"
    for seed in seeds:
        path.write_bytes(damaged(data, seed))
        for claim in judge(path):
            charges = [line.charge_amount for line in claim.lines]
            if claim.charge_amount is not None and charges and None not in charges:
                assert sum(charges) == claim.charge_amount


@pytest.mark.parametrize("name", list(OWN))
def test_own_files(name: str, tmp_path: Path) -> None:
    check(name, tmp_path, None, range(N_QUICK))


@pytest.mark.parametrize("name", list(PUBLIC))
def test_public_files(name: str, tmp_path: Path, public_data: Path) -> None:
    check(name, tmp_path, public_data, range(N_QUICK))


@pytest.mark.slow
@pytest.mark.parametrize("name", [*OWN, *PUBLIC])
def test_a_thousand_variants(name: str, tmp_path: Path, public_data: Path) -> None:
    check(name, tmp_path, public_data, range(N_LONG))


@pytest.mark.parametrize("name", ["own.csv", "own.837", "own.fhir.ndjson", "own.ndjson"])
def test_a_lost_or_changed_charge_never_passes(name: str, tmp_path: Path) -> None:
    """Every digit of every amount, one at a time: the totals give the change away."""
    data = sample(name, tmp_path, None)
    originals = {claim.claim_id: claim for claim in some_claims()}
    amount = str(originals["C00001"].lines[0].charge_amount).encode()
    at = data.index(amount)
    path = tmp_path / f"damaged-{name}"
    for offset, byte in enumerate(amount):
        if not chr(byte).isdigit():
            continue
        other = b"7" if byte != ord("7") else b"3"
        path.write_bytes(data[: at + offset] + other + data[at + offset + 1 :])
        assert all(claim == originals[claim.claim_id] for claim in judge(path))
