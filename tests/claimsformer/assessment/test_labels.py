"""Labels in the forms that people's files have them, and what cannot be learned from."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from claimsformer.assessment.labels import check_both_kinds, flags_of, tidy_labels
from claimsformer.errors import ConfigError

CLAIMS = pl.DataFrame({"claim_id": ["1", "2", "3", "4"]})


@pytest.mark.parametrize(
    "written",
    [
        [True, False, None], [1, 0, None], [1.0, 0.0, None], ["true", "false", None], ["Yes", " no ", None],
        ["1", "0", None], ["T", "F", None],
    ],
)  # fmt: skip
@pytest.mark.parametrize("ids", [["1", "2", "3"], [1, 2, 3]])
def test_a_label_is_read_in_every_usual_form(written: list[Any], ids: list[Any]) -> None:
    labels = tidy_labels(pl.DataFrame({"claim_id": ids, "suspicious": written}))
    assert flags_of(CLAIMS, labels).dtype == bool  # so that `~` means "not"
    assert flags_of(CLAIMS, labels).tolist() == [True, False, False, False]


def test_without_a_second_column_those_listed_are_suspicious() -> None:
    assert flags_of(CLAIMS, tidy_labels(pl.DataFrame({"claim_id": ["4", "4"]}))).tolist() == [False, False, False, True]


def test_what_is_no_label_is_refused() -> None:
    with pytest.raises(ConfigError, match="1 labels are neither true nor false"):
        tidy_labels(pl.DataFrame({"claim_id": ["1", "2"], "suspicious": ["yes", "perhaps"]}))
    with pytest.raises(ConfigError, match="1 claims are labelled both"):
        tidy_labels(pl.DataFrame({"claim_id": ["1", "1", "2"], "suspicious": [True, False, True]}))
    with pytest.raises(ConfigError, match="need the column claim_id"):
        tidy_labels(pl.DataFrame({"claim": ["1"]}))


@pytest.mark.parametrize("listed", [[], ["1", "2", "3", "4"], ["unknown"]])
def test_labels_of_one_kind_are_refused(listed: list[str]) -> None:
    labels = tidy_labels(pl.DataFrame({"claim_id": listed}, schema={"claim_id": pl.String}))
    with pytest.raises(ConfigError, match="both kinds are needed"):
        check_both_kinds(CLAIMS, labels, "to calibrate")
