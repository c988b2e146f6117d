"""The one-pass screen: how surprising a claim is, by one pass of the masked model in place of one pass a field.

What was billed and why (services, drugs, DRG, diagnoses) stays visible; everything else that the model scores is hidden at
once and predicted: prices, units, quantities, days, places, sex and age. Fields that do not fit each other are seen as
they would be one by one; services that do not fit the diagnoses are not, which is why the screen only ranks.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from claimsformer.assessment.fields import PASSES
from claimsformer.assessment.surprise import Calibration, Predictor, Surprises
from claimsformer.tokenizer.fields import ClaimBatch, FieldTokenizer, choose_field, closure, hide

__all__ = ["SHOWN", "screen_scores", "screen_surprises"]

SHOWN: Final = ("diagnosis", "item", "drug", "drg")

Floats = npt.NDArray[np.float64]


def screen_surprises(
    model: Predictor, tokenizer: FieldTokenizer, claims: ClaimBatch, *, batch_size: int = 512
) -> Surprises:
    """The surprise of each hidden field in nats (see `Surprises`), NaN for `SHOWN` fields and those a claim lacks."""
    names = tuple(PASSES)
    hidden_names = [name for name in names if name not in SHOWN]
    values = np.full((len(claims), len(names)), np.nan)
    ranks = np.zeros((len(claims), len(names)), dtype=np.int64)
    order = np.argsort(claims.lengths, kind="stable")
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        batch = claims[rows].compact()
        wanted = np.zeros(batch.shape, dtype=np.bool_)
        for name in hidden_names:
            wanted |= choose_field(tokenizer, batch, name)
        some = np.flatnonzero(wanted.any(axis=1))
        if not len(some):
            continue
        part, wanted = batch[some], wanted[some]
        for guess in model.predict(hide(tokenizer, part, closure(tokenizer, part, wanted)), part, wanted):
            surprise = -guess.log_p[np.arange(len(guess.truth)), guess.truth].astype(np.float64)
            np.fmax.at(values[:, names.index(guess.field)], rows[some[guess.rows]], surprise)
    return Surprises(names, values, ranks)


def screen_scores(
    model: Predictor, tokenizer: FieldTokenizer, calibration: Calibration, claims: ClaimBatch
) -> npt.NDArray[np.float32]:
    """The largest evidence of a hidden field, as -log10 of its p-value, (N,)."""
    found = calibration.evidence(screen_surprises(model, tokenizer, claims))
    largest: npt.NDArray[np.float32] = found.max(axis=1).astype(np.float32)
    return largest
