"""The experiment on SynPUF claims, as small as it goes; the full one is `claimsformer evaluate --synpuf`."""

from __future__ import annotations

import polars as pl
import pytest

from claimsformer.assessment.synpuf import STAY_PASSES, STAY_SPEC, TYPES, load, run
from claimsformer.errors import ReadError

pytestmark = pytest.mark.data


def data() -> pl.DataFrame:
    try:
        return load()
    except ReadError:
        pytest.skip("the SynPUF claims are not there: set CLAIMSFORMER_DATA")


def test_no_sample_shares_a_member_with_another() -> None:
    seen = data().select("bene", "sample").unique()
    assert seen["bene"].is_unique().all()


def test_the_passes_name_fields() -> None:
    assert set(STAY_PASSES) <= {field.name for field in STAY_SPEC.fields}


@pytest.mark.slow
def test_the_smallest_run() -> None:
    pytest.importorskip("lightgbm")
    data()
    found = run(epochs=1, d_model=16, samples=1, n_bootstrap=20, tell=lambda line: None)
    assert set(found["types"]) == set(TYPES)
    assert found["types"]["impossible_days"]["claimsformer with labels"] > 0.95
    assert found["types"]["duplicate"]["claimsformer without labels"] > 0.9
    assert found["fingerprints"] == []
