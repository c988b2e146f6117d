"""The experiment on SynPUF claims, as small as it goes; the full one is `claimsformer evaluate --synpuf`."""

from __future__ import annotations

import polars as pl
import pytest

from claimsformer.assessment.stays import STAY_QUESTIONS, STAY_SPEC, prepare_stays
from claimsformer.assessment.synpuf import FIELD_OF, TYPES, load, run
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


def test_the_questions_are_about_fields_of_the_specification() -> None:
    names = {field.name for field in STAY_SPEC.fields}
    assert {question.field for question in STAY_QUESTIONS} <= names
    assert set(FIELD_OF.values()) <= {question.field for question in STAY_QUESTIONS}


def test_conditions_are_those_that_the_member_has() -> None:
    some = data().head(300)
    prepared = prepare_stays(some)
    for name in ("chf", "diab"):
        assert (prepared[name] == name).fill_null(False).to_list() == (some[name].cast(pl.String) == "1").to_list()


def test_covered_days_exceed_the_dates_only_where_the_file_caps_them() -> None:
    prepared = prepare_stays(data().filter(pl.col("sample") <= 3))
    stay = (prepared["thru"] - prepared["from"]).dt.total_days()
    assert stay.max() == 35  # dates of longer stays are cut, covered days are not
    assert (stay.filter(prepared["days_beyond_stay"] > 1) == 35).all()
    assert (prepared["util"] - stay == prepared["days_beyond_stay"]).all()


@pytest.mark.slow
def test_the_smallest_run() -> None:
    pytest.importorskip("lightgbm")
    data()
    found = run(epochs=1, d_model=16, samples=1, n_bootstrap=20, test=13, tell=lambda line: None)
    assert set(found["types"]) == set(TYPES)
    assert found["types"]["impossible_days"]["claimsformer with labels, neural head"] > 0.95
    assert found["types"]["duplicate"]["claimsformer without labels"] > 0.9
    assert found["fingerprints"] == []
    for counts in found["first_200"].values():
        assert sum(counts.values()) == 200
        assert set(counts) == {*TYPES, "ordinary"}
