"""A fitted reader: answers, what stands for a claim that was not asked about, and what is kept of it in a file."""

from __future__ import annotations

import numpy as np
import pytest

from claimsformer.assessment.claim_reading import CLAIM_DETAILS, CLAIM_QUESTIONS
from claimsformer.assessment.edits import EDITS
from claimsformer.assessment.questions import Frequencies, ask
from claimsformer.assessment.reading import Answers, Reader
from claimsformer.assessment.surprise import Calibration, Surprises

from .test_processor import fitted, world

N = 120


def read() -> tuple[Reader, Answers]:
    reader = fitted().reader
    return reader, reader.ask(reader.encode(world(6).claims[:N]))


def known(n: int = N) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    return tuple(EDITS), np.zeros((n, len(EDITS)), dtype=bool), np.ones(n)


def test_the_score_does_not_depend_on_whether_details_are_asked() -> None:
    reader, answers = read()
    alone = reader.ask(reader.encode(world(6).claims[:N]), details=False)
    np.testing.assert_allclose(alone.found.values, answers.found.values, atol=1e-4)
    assert alone.details.values.shape == (N, 0)
    assert answers.found.fields == tuple(q.name for q in CLAIM_QUESTIONS)
    assert answers.details.fields == tuple(q.name for q in CLAIM_DETAILS)


def test_every_claim_answers_what_it_has_the_field_for() -> None:
    reader, answers = read()
    batch = reader.encode(world(6).claims[:N])
    for k, question in enumerate(CLAIM_QUESTIONS):
        at = batch.mask & (batch.field_ids == reader.tokenizer.field_id(question.field))
        if question.ranks:
            at &= np.isin(batch.position_ids, question.ranks)
        np.testing.assert_array_equal(~np.isnan(answers.found.values[:, k]), at.any(axis=1))
        ranks = answers.found.ranks[at.any(axis=1), k]
        for row, rank in zip(np.flatnonzero(at.any(axis=1)), ranks, strict=True):
            assert rank in batch.position_ids[row][at[row]]


def test_the_worst_of_a_list_is_no_more_than_what_surprise_adds_up_to() -> None:
    _, answers = read()
    total = answers.found.values[:, answers.found.fields.index("item surprise")]
    worst = answers.details.values[:, answers.details.fields.index("item surprise at worst")]
    seen = ~np.isnan(total)
    assert (worst[seen] <= total[seen] + 1e-4).all()
    lines = world(6).claims[:N]["lines"].list.len().to_numpy()
    np.testing.assert_allclose(worst[seen & (lines == 1)], total[seen & (lines == 1)], atol=1e-4)


def test_silence_is_no_evidence() -> None:
    reader, answers = read()
    silent = reader.silent(*known())
    assert (silent.fields == 0).all()
    assert (silent.claim_p == 1).all()
    assert silent.details is not None
    assert (silent.details == silent.details[0]).all()  # middling answers, the same for every claim
    spoken = reader.evidence(answers, *known())
    assert spoken.details is not None
    assert spoken.details.shape == silent.details.shape
    missing = np.isnan(answers.details.values)
    k = len(CLAIM_DETAILS) + len(CLAIM_QUESTIONS)  # where the answers to details begin, after rarities and the others
    np.testing.assert_array_equal(spoken.details[:, k:][missing], silent.details[:, k:][missing])


def test_p_values_of_ordinary_claims_are_uniform() -> None:
    reader, batch = fitted().reader, world(6)
    ordinary = batch.claims.filter(~batch.claims["claim_id"].is_in(batch.truth["claim_id"].implode()))
    answers = reader.ask(reader.encode(ordinary), details=False).found
    mine = np.random.default_rng(0).random(ordinary.height) < 0.5
    calibration = Calibration.fit(Surprises(answers.fields, answers.values[mine], answers.ranks[mine]))
    others = Surprises(answers.fields, answers.values[~mine], answers.ranks[~mine])
    p = calibration.claim_p(calibration.evidence(others).max(axis=1))
    for level in (0.05, 0.2, 0.5):
        assert abs((p <= level).mean() - level) < 5 * np.sqrt(level * (1 - level) * 2 / len(p))


def test_frequencies_come_back_as_they_were_saved() -> None:
    reader, answers = read()
    again = Frequencies.from_arrays(reader.frequencies.to_arrays() | {"model.x": np.zeros(2, np.float32)})
    assert set(again.tables) == set(reader.frequencies.tables)
    assert set(again.levels) == {"drg"}
    batch = reader.encode(world(6).claims[:N])
    found = ask(reader.predictor, reader.tokenizer, again, batch, CLAIM_QUESTIONS)
    assert found.values == pytest.approx(answers.found.values, abs=1e-4, nan_ok=True)
