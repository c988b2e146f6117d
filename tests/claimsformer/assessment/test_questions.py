"""What is asked of the masked model, against distributions that are known."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from claimsformer.assessment.masked_model import MaskedClaimModel, MaskedModelConfig, Prediction
from claimsformer.assessment.questions import Frequencies, Question, ask
from claimsformer.assessment.questions import _measured as measured
from claimsformer.errors import ConfigError
from claimsformer.tokenizer.fields import ClaimSpec, FieldSpec, FieldTokenizer

SPEC = ClaimSpec(
    "small",
    (
        FieldSpec("state", "category"),
        FieldSpec("days", "number", edges=(1, 2, 3)),
        FieldSpec("drg", "code", hierarchy="drg"),
        FieldSpec("px", "code", columns=("px1", "px2", "px3"), hierarchy="icd9_procedure"),
    ),
)


def claims(n: int = 200) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    return pl.DataFrame(
        {
            "state": rng.choice(["CA", "NY", "TX"], n),
            "days": rng.integers(0, 5, n),
            "drg": rng.choice(["470", "871", "291"], n),
            "px1": rng.choice(["8154", "3893"], n),
            "px2": [None if k % 2 else "3995" for k in range(n)],
            "px3": pl.Series([None] * n, dtype=pl.String),
        }
    )


def fitted() -> tuple[MaskedClaimModel, FieldTokenizer]:
    tokenizer = FieldTokenizer(SPEC, min_count=2).fit(claims())
    return MaskedClaimModel(tokenizer, MaskedModelConfig(d_model=8, n_layers=1, n_heads=2), seed=3), tokenizer


def guess(field: str, truth: list[int], p: list[list[float]], ranks: list[int] | None = None) -> Prediction:
    n = len(truth)
    where = np.zeros(n, np.int64) if ranks is None else np.array(ranks)
    return Prediction(field, np.arange(n), where, np.array(truth), np.log(np.array(p, np.float32)))


def test_frequencies_are_those_of_the_history() -> None:
    frame = claims()
    _, tokenizer = fitted()
    found = Frequencies.fit(tokenizer, tokenizer.encode(frame), smoothing=1e-9)
    names = tokenizer.convert_ids_to_tokens(list(range(tokenizer.vocab_size)))
    where = tokenizer.slices["state"]
    for state, n in frame["state"].value_counts().iter_rows():
        assert found.tables["state"][0, names.index(f"state={state}") - where.start] == pytest.approx(np.log(n / 200))
    missing = found.tables["px"][:, 0]
    assert np.exp(missing[1:]) == pytest.approx([0, 0.5, 1], abs=1e-6)


def test_levels_are_mean_amounts_of_codes() -> None:
    frame = claims()
    _, tokenizer = fitted()
    amounts = np.where(frame["drg"] == "470", 100.0, np.where(frame["drg"] == "871", 300.0, np.nan))
    levels = Frequencies.fit(tokenizer, tokenizer.encode(frame), amounts).levels
    names = tokenizer.convert_ids_to_tokens(list(range(tokenizer.vocab_size)))[tokenizer.slices["drg"]]
    assert levels["drg"][names.index("drg=470")] == pytest.approx(100)
    assert levels["drg"][names.index("drg=871")] == pytest.approx(300)
    assert levels["drg"][names.index("drg=291")] == pytest.approx(np.nanmean(amounts))
    assert set(levels) == {"drg"}


def test_contrast_is_the_log_likelihood_ratio() -> None:
    frequencies = Frequencies({"px": np.log([[0.5, 0.3, 0.2], [0.1, 0.7, 0.2]])})
    found = measured("contrast", guess("px", [1, 2], [[0.2, 0.4, 0.4], [0.6, 0.3, 0.1]], [1, 0]), frequencies)
    assert found == pytest.approx([np.log(0.7 / 0.4), np.log(0.2 / 0.1)], rel=1e-5)


def test_a_value_as_likely_as_ever_has_no_contrast() -> None:
    q = np.array([0.5, 0.3, 0.2])
    found = measured("contrast", guess("drg", [0, 1, 2], [list(q)] * 3), Frequencies({"drg": np.log([q])}))
    assert found == pytest.approx([0, 0, 0], abs=1e-6)


def test_tail_is_the_mass_above_with_half_of_the_own() -> None:
    nothing = Frequencies({})
    found = measured("tail", guess("days", [0, 2], [[0.1, 0.2, 0.7], [0.1, 0.2, 0.7]]), nothing)
    assert found == pytest.approx([-np.log(0.95), -np.log(0.35)], rel=1e-5)
    by_price = Frequencies({}, {"drg": np.array([30.0, 10.0, 20.0])})
    found = measured("tail", guess("drg", [0, 1], [[0.1, 0.2, 0.7], [0.1, 0.2, 0.7]]), by_price)
    assert found == pytest.approx([-np.log(0.05), -np.log(0.9)], rel=1e-5)


def test_presence_counts_what_is_listed() -> None:
    found = measured("presence", guess("px", [0, 2], [[0.9, 0.1, 0.0001], [0.9, 0.1, 0.0001]], [2, 3]), Frequencies({}))
    assert found == pytest.approx([0, -np.log(0.1)], rel=1e-4)


def test_answers_do_not_depend_on_the_order_or_the_batches() -> None:
    model, tokenizer = fitted()
    batch = tokenizer.encode(claims())
    frequencies = Frequencies.fit(tokenizer, batch)
    questions = (
        Question("state"),
        Question("px", "contrast"),
        Question("px", "presence", ranks=(2, 3)),
        Question("drg", "contrast", ("drg", "px")),
    )
    whole = ask(model, tokenizer, frequencies, batch, questions)
    order = np.random.default_rng(1).permutation(len(batch))
    parts = ask(model, tokenizer, frequencies, batch[order], questions, batch_size=33)
    assert parts.values == pytest.approx(whole.values[order], abs=1e-4)
    assert whole.fields == tuple(q.name for q in questions)


def test_what_is_hidden_does_not_reach_the_answer() -> None:
    model, tokenizer = fitted()
    frame = claims(50)
    frequencies = Frequencies.fit(tokenizer, tokenizer.encode(claims()))
    asked = (Question("drg", "surprise", ("drg", "px")),)
    other = frame.with_columns(px1=pl.lit("8154"), px2=pl.lit("3995"))
    one, two = (ask(model, tokenizer, frequencies, tokenizer.encode(f), asked).values for f in (frame, other))
    assert one == pytest.approx(two, abs=1e-5)


def test_a_question_asked_twice_is_refused() -> None:
    model, tokenizer = fitted()
    batch = tokenizer.encode(claims(10))
    with pytest.raises(ConfigError, match="twice"):
        ask(model, tokenizer, Frequencies.fit(tokenizer, batch), batch, [Question("drg"), Question("drg")])
