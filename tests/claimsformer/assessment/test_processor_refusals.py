"""What the processor is given in another form than it expects: read rightly, or refused, never judged wrongly."""

from __future__ import annotations

import json
import random
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from claimsformer.assessment import ClaimsProcessor, Costs, MaskedModelConfig, MaskedTraining
from claimsformer.assessment.generated import GeneratedHistory, generated_history, reference_edit_tables
from claimsformer.errors import ClaimError, ConfigError, ReadError

NAN = float("nan")


@cache
def made() -> GeneratedHistory:
    return generated_history(900, seed=1, worlds=1, later=0.3, rate=0.03)


def unfitted(**settings: Any) -> ClaimsProcessor:
    training = MaskedTraining(epochs=1, batch_size=64)
    model = MaskedModelConfig(d_model=16, n_layers=1, n_heads=2)
    return ClaimsProcessor(tables=reference_edit_tables(), model=model, training=training, **settings)


@cache
def fitted() -> ClaimsProcessor:
    return unfitted().fit(made().history, made().truth, directory=made().directory)


def test_labels_of_zero_and_one_train_the_same_model_as_false_and_true() -> None:
    known = made().truth["claim_id"].implode()
    labels = made().history.select("claim_id", suspicious=pl.col("claim_id").is_in(known).cast(pl.Int64))
    numbers = unfitted().fit(made().history, labels, directory=made().directory)
    assert numbers.model_version == fitted().model_version


def test_labels_that_nothing_can_be_learned_from_are_refused_before_training() -> None:
    def told(what: str, share: float) -> None:
        raise AssertionError(what)

    with pytest.raises(ConfigError, match="both kinds are needed"):
        unfitted().fit(made().history, pl.DataFrame({"claim_id": ["nobody's"]}), on_progress=told)


@pytest.mark.parametrize("settings", [{"head": "tree"}, {"n_examples": -1}, {"prior": NAN}])
def test_settings_out_of_range_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(settings))):
        unfitted(**settings)


@pytest.mark.parametrize("name", ["units", "quantity"])
def test_nan_is_a_missing_number(name: str) -> None:
    """pandas writes it so; it is no reason to be suspicious of a claim."""

    def with_value(value: float | None) -> pl.DataFrame:
        number = pl.lit(value, dtype=pl.Float64).alias(name)
        lines = pl.col("lines").list.eval(pl.element().struct.with_fields(number))
        return made().later.head(40).with_columns(lines)

    assert fitted().score(with_value(NAN)).equals(fitted().score(with_value(None)))
    with pytest.raises(ClaimError, match=f"lines.{name}: is infinite"):
        fitted().score(with_value(float("inf")))


def test_columns_of_another_kind_are_named_and_no_value_is() -> None:
    claims = made().later.head(3).with_columns(charge_amount=pl.lit("Jane Miller"))
    with pytest.raises(ClaimError, match="charge_amount: is not of the kind Decimal") as refused:
        fitted().assess(claims)
    assert "Jane" not in str(refused.value)
    earlier = made().history.select("claim_id", "member_id", "service_from")
    assert fitted().score(made().later.head(3), history=earlier).height == 3


def test_a_model_with_one_file_of_another_is_refused(tmp_path: Path) -> None:
    """Same shapes, so nothing but the fingerprint tells."""
    folder = fitted().save(tmp_path / "one")
    other = unfitted(costs=Costs(review_cost=1)).fit(made().history, made().truth).save(tmp_path / "other")
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        kept = (folder / name).read_bytes()
        if (other / name).read_bytes() != kept:
            (folder / name).write_bytes((other / name).read_bytes())
            with pytest.raises(ReadError, match="not as they were saved"):
                ClaimsProcessor.load(folder)
            (folder / name).write_bytes(kept)
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["learned"]["member_age"]["centre"] += 1
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(ReadError):
        ClaimsProcessor.load(folder)


def test_a_damaged_config_is_refused_and_never_read_as_something_else(tmp_path: Path) -> None:
    folder = fitted().save(tmp_path / "model")
    whole = json.loads((folder / "config.json").read_text())
    rng = random.Random(0)
    for _ in range(60):
        config = json.loads(json.dumps(whole))
        at = config
        while isinstance(at[key := rng.choice(sorted(at))], dict) and at[key] and rng.random() < 0.8:
            at = at[key]
        at[key] = rng.choice([None, "x", [], {}, -1, 1e300])
        (folder / "config.json").write_text(json.dumps(config))
        if config != whole:
            with pytest.raises(ReadError):
                ClaimsProcessor.load(folder)
    (folder / "config.json").write_text("[]")
    with pytest.raises(ReadError):
        ClaimsProcessor.load(folder)


@pytest.mark.parametrize("text", ['{"review_cost": "much"}', '{"review_cost": NaN}', "[]", "", '{"tea": 1}', "\xff"])
def test_a_file_of_costs_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "costs.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError, match="costs"):
        Costs.load(tmp_path / "costs.json")
