"""A claim written out and read again is the same claim, in every format."""

import codecs
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from claimsformer.claims.frames import claims_schema, from_frame, to_frame
from claimsformer.claims.readers import read_claims
from claimsformer.claims.schema import Claim
from claimsformer.claims.writers import write_claims, x12_carried
from claimsformer.errors import WriteError

from .claim_strategies import claims

several = st.lists(claims(), min_size=1, max_size=4, unique_by=lambda claim: claim.claim_id)
billable = st.lists(claims(billable=True), min_size=1, max_size=3)
quick = settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))


def read_back(path: Path) -> list[Claim]:
    reader = read_claims(path, batch_size=2)
    found = from_frame(reader.all())
    assert reader.rejected == 0, reader.first_rejects
    assert reader.read == reader.accepted == len(found)
    return found


@quick
@given(several)
def test_frames_hold_every_field(batch: list[Claim]) -> None:
    frame = to_frame(batch)
    assert frame.schema == claims_schema()
    assert from_frame(frame) == batch


@pytest.mark.parametrize("name", ["c.csv", "c.csv.gz", "c.parquet", "c.ndjson", "c.fhir.ndjson.gz"])
@quick
@given(batch=several)
def test_every_field_survives(tmp_path_factory: pytest.TempPathFactory, name: str, batch: list[Claim]) -> None:
    path = tmp_path_factory.mktemp("rt") / name
    assert write_claims(to_frame(batch), path, format="fhir" if "fhir" in name else None) == len(batch)
    assert read_back(path) == batch


@pytest.mark.parametrize("name", ["c.csv", "c.ndjson", "c.fhir.ndjson"])
@quick
@given(batch=several)
def test_a_byte_order_mark_costs_no_claim(
    tmp_path_factory: pytest.TempPathFactory, name: str, batch: list[Claim]
) -> None:
    path = tmp_path_factory.mktemp("bom") / name
    write_claims(to_frame(batch), path, format="fhir" if "fhir" in name else None)
    path.write_bytes(codecs.BOM_UTF8 + path.read_bytes())
    assert read_back(path) == batch


@quick
@given(batch=billable)
def test_837_carries_what_it_says(tmp_path_factory: pytest.TempPathFactory, batch: list[Claim]) -> None:
    path = tmp_path_factory.mktemp("rt") / "c.837"
    write_claims(to_frame(batch), path)
    assert read_back(path) == [x12_carried(claim) for claim in batch]


@quick
@given(batch=several)
def test_streams_of_frames_write_the_same_bytes_as_one_frame(
    tmp_path_factory: pytest.TempPathFactory, batch: list[Claim]
) -> None:
    folder = tmp_path_factory.mktemp("rt")
    frame = to_frame(batch)
    write_claims(frame, folder / "one.csv")
    write_claims((frame.slice(i, 1) for i in range(frame.height)), folder / "many.csv")
    assert (folder / "one.csv").read_bytes() == (folder / "many.csv").read_bytes()


def test_an_837_refuses_what_it_cannot_carry(tmp_path: Path) -> None:
    claim = {"claim_id": "c1", "claim_type": "pharmacy", "member_id": "m1"}
    frame = pl.DataFrame([claim]).with_columns(
        pl.lit("2020-01-01").str.to_date().alias("service_from"),
        pl.lit("2020-01-01").str.to_date().alias("service_thru"),
    )
    with pytest.raises(WriteError, match="NCPDP"):
        write_claims(frame, tmp_path / "c.837")
    with pytest.raises(WriteError, match="format is not known"):
        write_claims(frame, tmp_path / "c.xyz")
