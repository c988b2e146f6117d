"""What the masked model reads of a claim and what it is asked about it, said in data, and the parts fitted to a history.

A `Reading` is the description: one for claims in the layout of the schema (`fields.CLAIM_READING`), one for SynPUF stays
(`stays.STAY_READING`). A `Reader` is what was fitted to it: tokenizer, masked model, frequencies and calibration.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from claimsformer.assessment.fusion import CLIP, Evidence
from claimsformer.assessment.masked_model import MaskedClaimModel, MaskedModelConfig
from claimsformer.assessment.masked_training import MaskedTraining, Progress, train_masked
from claimsformer.assessment.questions import Frequencies, Question, ask
from claimsformer.assessment.streaming_inference import HiddenTokenModel
from claimsformer.assessment.surprise import Calibration, Surprises
from claimsformer.tokenizer.fields import ClaimBatch, ClaimSpec, FieldTokenizer

__all__ = ["Answers", "Reader", "Reading"]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Reading:
    """`prepare` makes the columns that `spec` reads; `paid` names the column of amounts in US dollars by which codes are
    ordered. The answers to `questions` make the score; those to `details` only the supervised head reads, or each would
    add its own chance to be odd. With `bounded` no number counts as rarer than the model itself thinks it."""

    spec: ClaimSpec
    prepare: Callable[[pl.DataFrame], pl.DataFrame]
    paid: Callable[[pl.DataFrame], Floats]
    questions: tuple[Question, ...]
    details: tuple[Question, ...] = ()
    training: MaskedTraining = field(default_factory=MaskedTraining)
    bounded: bool = False

    @property
    def about(self) -> dict[str, Question]:
        """The question of each name."""
        return {question.name: question for question in (*self.questions, *self.details)}


@dataclass(frozen=True)
class Answers:
    """What the model said: `found` to the questions, `details` to those that only the head reads."""

    found: Surprises
    details: Surprises

    def __len__(self) -> int:
        return len(self.found)

    def take(self, rows: Any) -> Answers:
        """Those of some of the claims."""
        return Answers(*(Surprises(s.fields, s.values[rows], s.ranks[rows]) for s in (self.found, self.details)))


class Reader:
    """Tokenizer, masked model, frequencies and, once `calibrate` was called, calibrations, fitted to a `Reading`."""

    def __init__(
        self,
        reading: Reading,
        tokenizer: FieldTokenizer,
        model: MaskedClaimModel,
        frequencies: Frequencies,
        calibration: Calibration | None = None,
        details: Calibration | None = None,
        losses: list[float] | None = None,
    ) -> None:
        self.reading, self.tokenizer, self.model, self.frequencies = reading, tokenizer, model, frequencies
        self.predictor = HiddenTokenModel(model)
        self.losses = losses or []
        if calibration is not None and details is not None:
            self.calibration, self.details = calibration, details

    @classmethod
    def fit(
        cls,
        reading: Reading,
        train: pl.DataFrame,
        config: MaskedModelConfig,
        training: MaskedTraining,
        *,
        on_step: Callable[[Progress], None] | None = None,
        checkpoints: str | Path | None = None,
    ) -> Reader:
        """Learn vocabulary, weights and frequencies from claims that are as they are."""
        prepared = reading.prepare(train)
        tokenizer = FieldTokenizer(reading.spec).fit(prepared)
        model = MaskedClaimModel(tokenizer, config, training.seed)
        encoded = tokenizer.encode(prepared)
        losses = train_masked(model, tokenizer, encoded, training, on_step=on_step, checkpoints=checkpoints)
        model.eval()
        frequencies = Frequencies.fit(tokenizer, encoded, reading.paid(train))
        return cls(reading, tokenizer, model, frequencies, losses=losses)

    def encode(self, claims: pl.DataFrame) -> ClaimBatch:
        """Claims as arrays."""
        return self.tokenizer.encode(self.reading.prepare(claims))

    def ask(
        self, claims: ClaimBatch, on_batch: Callable[[int], None] | None = None, *, details: bool = True
    ) -> Answers:
        """The model's answers to all questions, without `details` to those that make the score alone."""
        asked = (*self.reading.questions, *(self.reading.details if details else ()))
        found = ask(self.predictor, self.tokenizer, self.frequencies, claims, asked, on_batch=on_batch)
        n = len(self.reading.questions)
        return Answers(
            Surprises(found.fields[:n], found.values[:, :n], found.ranks[:, :n]),
            Surprises(found.fields[n:], found.values[:, n:], found.ranks[:, n:]),
        )

    def calibrate(self, answers: Answers) -> None:
        """Learn how rare answers are from claims that the model was not trained on."""
        asked = (*self.reading.questions, *self.reading.details)
        bounded = tuple(q.name for q in asked if q.measure == "tail") if self.reading.bounded else ()
        self.calibration = Calibration.fit(answers.found, bounded)
        self.details = Calibration.fit(answers.details, bounded)

    def evidence(self, answers: Answers, edits: tuple[str, ...], fired: Bools, amount: Floats) -> Evidence:
        """What `edits`, of which `fired` (N, E) says which did, and the model say of each claim."""
        fields = self.calibration.evidence(answers.found)
        details = None
        if answers.details.fields:
            values = np.column_stack([answers.found.values, answers.details.values])
            # What a claim leaves out counts neither way: it gets the answer of a middling ordinary claim.
            values = np.where(np.isnan(values), self._middling(), values)
            rare = np.minimum(self.details.evidence(answers.details), CLIP)
            details = np.column_stack([rare / 3, np.clip(values, -10, 30) / 5])
        p = self.calibration.claim_p(fields.max(axis=1))
        return Evidence(edits, fired, answers.found.fields, fields, p, amount, details)

    def silent(self, edits: tuple[str, ...], fired: Bools, amount: Floats) -> Evidence:
        """Evidence as if the model had not been asked anything."""
        shape = len(fired), len(self.reading.questions)
        found = Surprises(self.calibration.fields, np.full(shape, np.nan), np.zeros(shape, dtype=np.int64))
        shape = len(fired), len(self.reading.details)
        details = Surprises(self.details.fields, np.full(shape, np.nan), np.zeros(shape, dtype=np.int64))
        evidence = self.evidence(Answers(found, details), edits, fired, amount)
        return replace(evidence, claim_p=np.ones(len(fired)))

    def _middling(self) -> Floats:
        columns = (*self.calibration.surprises, *self.details.surprises)
        return np.array([np.median(column) if len(column) else 0.0 for column in columns])
