"""The processor end to end on small generated histories: splits, training, saving, verdicts."""

from __future__ import annotations

import dataclasses
import json
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from claimsformer.assessment import (
    Assessment,
    ClaimsProcessor,
    Directory,
    EditTables,
    MaskedModelConfig,
    MaskedTraining,
    check_disjoint,
    split_by,
    split_by_time,
)
from claimsformer.assessment.claim_reading import CLAIM_DETAILS, CLAIM_QUESTIONS
from claimsformer.assessment.fields import CLAIM_SPEC, prepare
from claimsformer.assessment.masked_model import MaskedClaimModel
from claimsformer.assessment.masked_training import train_masked
from claimsformer.assessment.questions import Frequencies, Question, ask
from claimsformer.assessment.splits import check_in_order
from claimsformer.assessment.surprise import Alternatives
from claimsformer.assessment.wording import surprise_reason
from claimsformer.claims.frames import claims_schema
from claimsformer.claims.generator import GeneratedBatch, generate, reference_tables
from claimsformer.errors import ConfigError, LeakageError, NotFittedError, ReadError
from claimsformer.tokenizer.fields import ClaimBatch, FieldTokenizer

SMALL = MaskedModelConfig(d_model=16, n_layers=1, n_heads=2)
LINE_FIELDS = {
    f"lines.{name}"
    for name in ("procedure_code", "units", "charge_amount", "drug_name", "strength", "quantity", "days_supply")
}


@cache
def world(seed: int, n: int = 2500) -> GeneratedBatch:
    return next(generate(n, seed, n, rate=0.006))


@cache
def fitted(labelled: bool = True) -> ClaimsProcessor:
    batch = world(5)
    processor = ClaimsProcessor(
        tables=EditTables.of_reference(reference_tables()),
        model=SMALL,
        training=MaskedTraining(epochs=2, batch_size=64),
    )
    labels = batch.truth if labelled else None
    return processor.fit(batch.claims, labels, directory=Directory(batch.providers, batch.members))


def verdicts(processor: ClaimsProcessor, seed: int = 6) -> list[Assessment]:
    batch = world(seed)
    return processor.assess(
        batch.claims[:400], history=batch.claims, directory=Directory(batch.providers, batch.members)
    )


@pytest.mark.parametrize("labelled", [True, False])
def test_planted_claims_rank_above_ordinary_ones(labelled: bool) -> None:
    batch = world(6)
    table = fitted(labelled).score(batch.claims, directory=Directory(batch.providers, batch.members))
    planted = table["claim_id"].is_in(batch.truth["claim_id"].implode())
    ranks = table["rank"].rank()
    n, m = planted.sum(), (~planted).sum()
    auroc = (ranks.filter(planted).sum() - n * (n + 1) / 2) / (n * m)
    assert auroc > 0.95
    assert table.filter(planted)["probability"].mean() > 5 * table.filter(~planted)["probability"].mean()  # type: ignore[operator]


def test_every_verdict_is_complete_and_never_a_denial() -> None:
    for assessment in verdicts(fitted()):
        assert assessment.decision in ("valid", "suspicious")
        assert assessment.action in ("approve", "review")
        assert 0 <= assessment.probability <= 1
        assert 0 < assessment.p_value <= 1
        assert assessment.calibrated
        assert len(assessment.claim_digest) == 64
        assert assessment.action == "approve" or assessment.expected_value > 0
        json.dumps(assessment.to_dict(), allow_nan=False)


def test_an_odder_answer_never_makes_a_claim_less_suspicious() -> None:
    batch = world(6)
    evidence = fitted()._judge(batch.claims[:300], None, None, lambda what, share: None).evidence
    fusion = fitted()._fitted.fusion
    before = fusion.rank(evidence)
    assert evidence.details is not None
    odder = dataclasses.replace(evidence, fields=evidence.fields + 0.5, details=evidence.details + 0.2)
    assert (fusion.rank(odder) >= before - 1e-9).all()


def test_suspicious_verdicts_name_fields_and_evidence() -> None:
    known = set(claims_schema()) | LINE_FIELDS
    found = [a for a in verdicts(fitted()) if a.decision == "suspicious"]
    assert found
    assert any(a.reasons for a in found)
    for assessment in found:
        for reason in assessment.reasons:
            assert reason.field in known
            assert reason.evidence
            assert reason.code.startswith("CO-")
            if reason.source == "surprise":
                assert sum(p for _, p in reason.expected) <= 1.001
                assert reason.hint


@pytest.mark.parametrize("labelled", [True, False])
def test_a_saved_processor_gives_the_same_verdicts(tmp_path: Path, labelled: bool) -> None:
    folder = fitted(labelled).save(tmp_path / "model")
    assert {p.name for p in folder.iterdir()} == {"config.json", "model.safetensors", "tokenizer.json"}
    again = ClaimsProcessor.load(folder)
    assert again.model_version == fitted(labelled).model_version
    for a, b in zip(verdicts(fitted(labelled)), verdicts(again), strict=True):
        assert a.probability == pytest.approx(b.probability, abs=1e-6)
        assert a.p_value == b.p_value
        assert (a.decision, [r.id for r in a.reasons]) == (b.decision, [r.id for r in b.reasons])


@pytest.mark.parametrize("labelled", [True, False])
def test_no_number_of_a_member_provider_or_claim_is_in_what_is_saved(tmp_path: Path, labelled: bool) -> None:
    folder = fitted(labelled).save(tmp_path / "model")
    saved = b"".join(p.read_bytes() for p in folder.iterdir())
    history = world(5).claims
    for name in ("member_id", "claim_id", "billing_provider_id", "rendering_provider_id", "original_claim_id"):
        if name not in history.columns:
            continue
        numbers = history[name].drop_nulls().unique().to_list()
        assert not [number for number in numbers if number.encode() in saved], name


def test_providers_are_found_again_by_the_hash_of_their_number() -> None:
    history = world(5).claims
    tables = EditTables().learn(history)
    keys = tables.provider_keys(history["billing_provider_id"])
    assert set(tables.provider_price["provider_key"]) <= {"", *keys}
    assert keys.n_unique() == history["billing_provider_id"].n_unique()
    other = EditTables().learn(world(6).claims)
    assert not set(other.provider_keys(history["billing_provider_id"])) & set(keys)
    assert EditTables.from_dict(tables.to_dict()).provider_keys(history["billing_provider_id"]).equals(keys)
    assert tables.provider_keys(pl.Series([None, "", "1"]))[:2].to_list() == ["", ""]


def test_a_model_of_an_older_format_is_refused_with_the_way_out(tmp_path: Path) -> None:
    folder = fitted().save(tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"format": 1}))
    with pytest.raises(ReadError, match=r"format 1(?s:.*)claimsformer train"):
        ClaimsProcessor.load(folder)


def test_the_same_seed_gives_the_same_model() -> None:
    batch = world(7, 900)
    made = [
        ClaimsProcessor(model=SMALL, training=MaskedTraining(epochs=1, batch_size=64)).fit(batch.claims).model_version
        for _ in range(2)
    ]
    assert made[0] == made[1]


def tokenized() -> tuple[FieldTokenizer, ClaimBatch]:
    frame = prepare(world(8, 800).claims)
    tokenizer = FieldTokenizer(CLAIM_SPEC).fit(frame)
    return tokenizer, tokenizer.encode(frame)


def test_an_interrupted_training_goes_on_as_if_nothing_had_happened(tmp_path: Path) -> None:
    tokenizer, batch = tokenized()
    settings = MaskedTraining(epochs=1, batch_size=64, checkpoint_every=5)

    class Interrupted(Exception):
        pass

    def stop(progress: object) -> None:
        if progress.step == 8:  # type: ignore[attr-defined]
            raise Interrupted

    whole = MaskedClaimModel(tokenizer, SMALL)
    straight = train_masked(whole, tokenizer, batch, settings)
    with pytest.raises(Interrupted):
        train_masked(MaskedClaimModel(tokenizer, SMALL), tokenizer, batch, settings, on_step=stop, checkpoints=tmp_path)
    resumed = MaskedClaimModel(tokenizer, SMALL, seed=99)  # its weights are replaced by the checkpoint's
    assert train_masked(resumed, tokenizer, batch, settings, checkpoints=tmp_path) == straight
    for a, b in zip(whole.parameters(), resumed.parameters(), strict=True):
        np.testing.assert_array_equal(a.detach().numpy(), b.detach().numpy())


def test_a_hidden_field_does_not_depend_on_its_own_value() -> None:
    """Surprise of the sex is -log p of what is there under one distribution: the probabilities add up to 1."""
    tokenizer, batch = tokenized()
    model = MaskedClaimModel(tokenizer, SMALL)
    row, frequencies = batch[:1], Frequencies.fit(tokenizer, batch)
    where = tokenizer.slices["member_sex"]
    at = np.flatnonzero(row.field_ids[0] == tokenizer.field_id("member_sex"))[0]
    total = 0.0
    for value in range(where.start, where.stop):
        row.value_ids[0, at] = value
        total += np.exp(-ask(model, tokenizer, frequencies, row, [Question("member_sex")]).values[0, 0])
    assert total == pytest.approx(1.0, abs=1e-5)


def test_answers_do_not_depend_on_the_other_claims_of_the_batch() -> None:
    tokenizer, batch = tokenized()
    model, frequencies = MaskedClaimModel(tokenizer, SMALL), Frequencies.fit(tokenizer, batch)
    together = ask(model, tokenizer, frequencies, batch[:40], CLAIM_QUESTIONS)
    alone = ask(model, tokenizer, frequencies, batch[[17]], CLAIM_QUESTIONS)
    np.testing.assert_allclose(together.values[17], alone.values[0], atol=1e-4)
    np.testing.assert_array_equal(together.ranks[17], alone.ranks[0])


def test_the_questions_are_about_fields_that_a_reviewer_can_be_shown() -> None:
    fields = {field.name for field in CLAIM_SPEC.fields}
    for question in (*CLAIM_QUESTIONS, *CLAIM_DETAILS):
        assert {question.field, *question.hidden} <= fields
        guess = Alternatives(question.field, 0, f"{question.field}=x", 0.001, ((f"{question.field}=y", 0.9),))
        reason = surprise_reason(guess, 0.001, 10.0)
        assert reason is not None
        assert reason.field in set(claims_schema()) | LINE_FIELDS


def test_splits_keep_members_together_and_leaks_are_refused() -> None:
    claims = world(5).claims
    parts = split_by(claims, "member_id", {"a": 0.5, "b": 0.3, "c": 0.2})
    assert sum(p.height for p in parts.values()) == claims.height
    check_disjoint(parts["a"], parts["b"])
    with pytest.raises(LeakageError, match="both sides") as error:
        check_disjoint(claims[:1500], claims[1500:])
    assert not any(value in str(error.value) for value in claims["member_id"].unique())
    day = claims["service_from"].median()
    by_time = split_by_time(claims, day)
    check_in_order(by_time["train"], by_time["test"])
    with pytest.raises(LeakageError, match="training claims reach"):
        check_in_order(by_time["test"], by_time["train"])


def test_a_claim_of_codes_never_seen_is_abstained_on() -> None:
    claim = world(6).claims.filter(pl.col("claim_type") == "professional")[:1]
    strange = claim.with_columns(
        diagnoses=pl.lit(["Q9999", "Q9998", "Q9997"]), provider_specialty=pl.lit("astrology"),
        member_state=pl.lit("GU"), provider_state=pl.lit("GU"), place_of_service=pl.lit("99"),
    )  # fmt: skip
    (found,) = fitted().assess(strange)
    assert found.abstained
    assert found.p_value == 1
    assert all(reason.source == "edit" for reason in found.reasons)


def test_errors_say_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(NotFittedError, match="fit"):
        ClaimsProcessor().assess(world(5).claims[:1])
    with pytest.raises(ReadError, match="claimsformer train"):
        ClaimsProcessor.load(tmp_path)
    with pytest.raises(ConfigError, match="fewer than one batch"):
        ClaimsProcessor(model=SMALL).fit(world(5).claims[:50])
