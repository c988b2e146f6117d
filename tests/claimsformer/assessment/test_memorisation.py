"""A claim planted into the training data is no likelier afterwards than claims that were never there."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

from claimsformer.assessment.fields import prepare
from claimsformer.assessment.generated import generated_history
from claimsformer.assessment.memorisation import (
    CHANCE,
    SECRET,
    Exposures,
    draw_secrets,
    exposure,
    measure_exposure,
    ranks_of_canaries,
)
from claimsformer.assessment.splits import split_by
from claimsformer.claims.generator import generate
from claimsformer.cli import main
from claimsformer.cli.train import QUICK_CLAIMS
from claimsformer.errors import ConfigError


def check(found: Exposures, often: int) -> None:
    """Nothing remembered of what was there once: ranks are uniform, so the exposure has a known mean and spread. And the
    test would have noticed: what was there often is the likeliest."""
    assert found.by_times[often].tolist() == [np.log2(found.n_candidates)] * len(found.by_times[often])
    mean, error = found.mean()
    assert (mean - CHANCE) / error < 3.1, f"mean exposure {mean:.2f} bits, {CHANCE:.2f} are expected by chance"


def test_a_planted_claim_is_not_remembered() -> None:
    check(measure_exposure(next(generate(1500, 5, 1500)).claims, canaries={1: 24, 150: 1}), 150)


@pytest.mark.slow
def test_a_planted_claim_is_not_remembered_in_a_history_of_full_size() -> None:
    """With the settings of `claimsformer train FILE`."""
    history = generated_history(QUICK_CLAIMS, seed=0).history
    train = split_by(history, "member_id", {"train": 0.6, "head": 0.2, "calibrate": 0.2}, 0)["train"]
    found = measure_exposure(train, canaries={1: 300, 100: 2})
    print(found.mean(), found.by_times)
    check(found, 100)


def test_the_command_reports_exposure_beside_chance(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["evaluate", "--canaries", "15", "--claims", "900", "--epochs", "1", "--json"])
    assert not stop.value.code
    found = json.loads(capsys.readouterr().out)
    assert found["chance"] == pytest.approx(1 / np.log(2), abs=1e-3)
    assert {times: len(bits) for times, bits in found["bits"].items()} == {"1": 15, "10": 1, "100": 1}
    assert found["claims"] > 15 + 10 + 100


def test_too_few_claims_for_so_many_canaries_are_refused() -> None:
    with pytest.raises(ConfigError, match="500 canaries need as many"):
        measure_exposure(next(generate(100, 5, 100)).claims, canaries={1: 500})


def test_secrets_are_drawn_alike_and_nothing_else_changes() -> None:
    prepared = prepare(next(generate(400, 2, 400)).claims)
    drawn = draw_secrets(prepared, prepared[:3], 200, np.random.default_rng(1))
    assert drawn.drop(SECRET).equals(prepared[np.repeat([0, 1, 2], 200).tolist()].drop(SECRET))
    for name in SECRET:
        source = "diagnosis1" if name.startswith("diagnosis") else name
        assert set(drawn[name]) <= set(prepared[source].drop_nulls())
    assert drawn["diagnosis1"].n_unique() > 20


def test_exposure_is_all_bits_for_the_likeliest_and_none_for_the_last() -> None:
    assert exposure(np.array([1, 2, 256]), 256).tolist() == [8.0, 7.0, 0.0]
    ranks = np.arange(1, 4097)  # uniform ranks: -log2 of a uniform variable has mean 1 / ln 2
    assert exposure(ranks, 4096).mean() == pytest.approx(1 / np.log(2), abs=0.01)


def test_siblings_are_shared_equally() -> None:
    frame = pl.DataFrame({"a": [1, 2, 3]})
    with pytest.raises(ConfigError, match="equally"):
        ranks_of_canaries(None, None, frame[:2], frame)  # type: ignore[arg-type]
