"""A claim planted into the training data is no likelier afterwards than claims that were never there."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from claimsformer.assessment.fields import CLAIM_SPEC, prepare
from claimsformer.assessment.generated import generated_history
from claimsformer.assessment.masked_model import MaskedClaimModel, MaskedModelConfig
from claimsformer.assessment.masked_training import MaskedTraining, train_masked
from claimsformer.assessment.memorisation import SECRET, draw_secrets, exposure, ranks_of_canaries
from claimsformer.assessment.streaming_inference import HiddenTokenModel
from claimsformer.claims.generator import generate
from claimsformer.cli.train import QUICK_CLAIMS, QUICK_EPOCHS
from claimsformer.errors import ConfigError
from claimsformer.tokenizer.fields import FieldTokenizer

SIBLINGS = 255


def ranks_after_training(prepared: pl.DataFrame, epochs: int, n_quiet: int, loud: int) -> tuple[np.ndarray, np.ndarray]:
    """Ranks of canaries that were planted once, and of one that was planted `loud` times, after the same training."""
    rng = np.random.default_rng(0)
    base = prepared.filter((pl.col("claim_type") == "professional") & pl.col("submit_lag").is_not_null())
    base = base[: n_quiet + 1]
    canaries = draw_secrets(prepared, base, 1, rng)
    siblings = draw_secrets(prepared, base, SIBLINGS, rng)
    planted = pl.concat([prepared, canaries[1:], canaries[[0] * loud]])
    tokenizer = FieldTokenizer(CLAIM_SPEC).fit(planted)
    model = MaskedClaimModel(tokenizer, MaskedModelConfig(), 0)
    train_masked(model, tokenizer, tokenizer.encode(planted), MaskedTraining(epochs=epochs))
    ranks = ranks_of_canaries(HiddenTokenModel(model), tokenizer, canaries, siblings)
    return ranks[1:], ranks[:1]


def check(quiet: np.ndarray, loud: np.ndarray) -> None:
    """Nothing remembered of what was there once: ranks are uniform, so -ln(rank / candidates) has mean 1 and variance 1.
    And the test would have noticed: what was there often is the likeliest."""
    candidates = SIBLINGS + 1
    n = len(quiet)
    assert loud.tolist() == [1]
    assert exposure(loud, candidates).tolist() == [np.log2(candidates)]
    surplus = (np.log(2) * exposure(quiet, candidates).mean() - 1) * np.sqrt(n)
    assert surplus < 3.1, f"mean exposure {exposure(quiet, candidates).mean():.2f} bits, 1.44 are expected by chance"


def test_a_planted_claim_is_not_remembered() -> None:
    prepared = prepare(next(generate(1500, 5, 1500)).claims)
    check(*ranks_after_training(prepared, epochs=MaskedTraining().epochs, n_quiet=24, loud=150))


@pytest.mark.slow
def test_a_planted_claim_is_not_remembered_with_the_settings_of_the_packaged_model() -> None:
    prepared = prepare(generated_history(QUICK_CLAIMS, seed=0).history)
    quiet, loud = ranks_after_training(prepared, epochs=QUICK_EPOCHS, n_quiet=100, loud=400)
    print(
        f"mean exposure {exposure(quiet, SIBLINGS + 1).mean():.2f} bits of 8 (1.44 by chance), smallest rank {quiet.min()}"
    )
    check(quiet, loud)


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
