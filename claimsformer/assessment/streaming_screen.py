"""The one-pass screen: how surprising a claim is, by one pass of the masked model in place of one pass a question.

What was billed and why (services, drugs, DRG, diagnoses) stays visible; everything else that the model is asked about is
hidden at once and predicted: prices, units, quantities, days, places, sex and age. Fields that do not fit each other are
seen as they would be one by one; services that do not fit the diagnoses are not, which is why the screen only ranks.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from claimsformer.assessment.questions import answer
from claimsformer.assessment.reading import Reader
from claimsformer.assessment.surprise import Surprises
from claimsformer.tokenizer.fields import ClaimBatch, choose_field

__all__ = ["SHOWN", "screen_answers", "screen_scores"]

SHOWN: Final = ("diagnosis", "item", "drug", "drg")


def screen_answers(reader: Reader, claims: ClaimBatch, *, batch_size: int = 512) -> Surprises:
    """The answers to the questions about fields that are hidden, NaN for those about `SHOWN` fields."""
    questions = reader.reading.questions
    names = tuple(question.name for question in questions)
    asked = {k: question for k, question in enumerate(questions) if question.field not in SHOWN}
    found = Surprises(
        names, np.full((len(claims), len(names)), np.nan), np.zeros((len(claims), len(names)), dtype=np.int64)
    )
    order = np.argsort(claims.lengths, kind="stable")
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        batch = claims[rows].compact()
        hidden = np.zeros(batch.shape, dtype=np.bool_)
        for name in {question.field for question in asked.values()}:
            hidden |= choose_field(reader.tokenizer, batch, name)
        answer(reader.predictor, reader.tokenizer, reader.frequencies, batch, hidden, asked, found, rows)
    return found


def screen_scores(reader: Reader, claims: ClaimBatch) -> npt.NDArray[np.float32]:
    """The largest evidence of an answer, as -log10 of its p-value, (N,)."""
    evidence = reader.calibration.evidence(screen_answers(reader, claims))
    largest: npt.NDArray[np.float32] = evidence.max(axis=1, initial=0.0).astype(np.float32)
    return largest
