"""How rare a surprise is among ordinary claims, and what the model expected instead.

A field is hidden (with whatever would give it away) and predicted; `questions` says how surprising what is there then
is. A surprise becomes a conformal p-value by its rank among held-out claims:
p = (1 + #{calibration surprises at least as large}) / (n + 1), which is uniform or larger on exchangeable ordinary
claims (Vovk et al. 2005). A claim's score is the largest -log10 p of its fields, and its own p-value that of the score
among held-out claims. A queue of claims with a bounded share of false alarms comes from Benjamini and Hochberg (1995).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from claimsformer.assessment.masked_model import Prediction
from claimsformer.errors import ConfigError
from claimsformer.tokenizer.fields import ClaimBatch, FieldTokenizer, choose_field, closure, hide

__all__ = [
    "Alternatives",
    "Blank",
    "Calibration",
    "Predictor",
    "Surprises",
    "benjamini_hochberg",
    "conformal_p",
    "expected",
]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Predictor(Protocol):
    """What is needed of a model to ask it something."""

    def predict(self, shown: ClaimBatch, truth: ClaimBatch, hidden: npt.NDArray[np.bool_]) -> list[Prediction]:
        """Log-probabilities of the hidden tokens (B, T), field by field."""


@dataclass(frozen=True)
class Surprises:
    """`values` (N, F): how surprising the claim's answer to each question is in nats, NaN where it lacks the field;
    `ranks` (N, F): the rank that says most of it, 0 for fields with one value. `fields` names the questions."""

    fields: tuple[str, ...]
    values: Floats
    ranks: Ints

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True)
class Alternatives:
    """What the model expected in place of one value: (words, probability), the likeliest first."""

    field: str
    rank: int
    found: str
    probability: float
    options: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Blank:
    """What is expected in one field of one claim: `row` of a batch, the field's name, its rank (0 for a field with one
    value); with `all_ranks` the field is hidden at every rank, else at this one."""

    row: int
    field: str
    rank: int = 0
    all_ranks: bool = False


def expected(
    model: Predictor,
    tokenizer: FieldTokenizer,
    claims: ClaimBatch,
    blanks: Sequence[Blank],
    *,
    n: int = 3,
    batch_size: int = 512,
) -> list[Alternatives]:
    """The `n` likeliest values for each blank, the rest of the claim given; raises ConfigError where the claim lacks
    the field."""
    found: dict[int, Alternatives] = {}
    together: dict[tuple[str, int | None], list[int]] = {}
    for k, blank in enumerate(blanks):
        rank = None if blank.all_ranks or blank.rank == 0 else blank.rank
        together.setdefault((blank.field, rank), []).append(k)
    for (name, rank), asked in together.items():
        for start in range(0, len(asked), batch_size):
            part = asked[start : start + batch_size]
            batch = claims[[blanks[k].row for k in part]].compact()
            wanted = choose_field(tokenizer, batch, name, rank)
            for guess in model.predict(hide(tokenizer, batch, closure(tokenizer, batch, wanted)), batch, wanted):
                if guess.field != name:
                    continue
                for i, k in enumerate(part):
                    places = np.flatnonzero((guess.rows == i) & (guess.ranks == blanks[k].rank))
                    if len(places):
                        found[k] = _alternatives(tokenizer, guess, int(places[0]), blanks[k], n)
    for k, blank in enumerate(blanks):
        if k not in found:
            raise ConfigError(f"the claim has no {blank.field!r} of rank {blank.rank}")
    return [found[k] for k in range(len(blanks))]


def _alternatives(tokenizer: FieldTokenizer, guess: Prediction, k: int, blank: Blank, n: int) -> Alternatives:
    probability = np.exp(guess.log_p[k].astype(np.float64))
    start = tokenizer.slices[blank.field].start
    likely = np.argsort(-probability, kind="stable")[:n].tolist()
    return Alternatives(
        blank.field,
        blank.rank,
        tokenizer.describe(start + int(guess.truth[k])),
        float(probability[guess.truth[k]]),
        tuple((tokenizer.describe(start + i), float(probability[i])) for i in likely),
    )


def conformal_p(scores: Floats, calibration: Floats) -> Floats:
    """(1 + #{calibration >= score}) / (n + 1) for each score; NaN stays NaN; `calibration` is sorted ascending."""
    at_least = len(calibration) - np.searchsorted(calibration, scores, side="left")
    p: Floats = (1 + at_least) / (len(calibration) + 1)
    return np.where(np.isnan(scores), np.nan, p)


TAIL = 0.98  # beyond this quantile of the calibration an exponential tail ranks what no calibration claim reached


@dataclass(frozen=True)
class Calibration:
    """Sorted surprises of held-out claims by field, and their sorted claim scores. The answers in the fields `bounded`
    are themselves -ln of a probability, beyond which their evidence does not go."""

    fields: tuple[str, ...]
    surprises: tuple[Floats, ...]
    scores: Floats
    bounded: tuple[str, ...] = ()

    @classmethod
    def fit(cls, held_out: Surprises, bounded: tuple[str, ...] = ()) -> Calibration:
        """Learn from claims that the model was not trained on."""
        columns = tuple(_rounded(np.sort(c[~np.isnan(c)])) for c in held_out.values.T)
        unscored = cls(held_out.fields, columns, np.empty(0), bounded)
        return cls(held_out.fields, columns, _rounded(np.sort(unscored.evidence(held_out).max(axis=1))), bounded)

    def p_values(self, found: Surprises) -> Floats:
        """Conformal p-values (N, F) by field, NaN where a claim lacks it."""
        columns = [conformal_p(c, s) for c, s in zip(found.values.T, self.surprises, strict=True)]
        return np.stack(columns, axis=1)

    def evidence(self, found: Surprises) -> Floats:
        """-log10 of smooth p-values (N, F), 0 where a claim lacks the field.

        Up to the 98 % quantile these are the conformal ones; beyond, an exponential tail fitted to the calibration's
        exceedances goes on where ranks would all tie. They order claims; `claim_p` is what is valid. Where nearly all
        answers are alike that tail is too short for the few that are not, and what a `bounded` answer says of itself
        keeps it from going too far.
        """
        columns = [_smooth(c, s) for c, s in zip(found.values.T, self.surprises, strict=True)]
        for k in np.flatnonzero(np.isin(self.fields, self.bounded)).tolist():
            own = np.nan_to_num(found.values[:, k], nan=0.0) / np.log(10)
            columns[k] = np.minimum(columns[k], np.maximum(own, 0.0))
        return np.stack(columns, axis=1)

    def claim_p(self, scores: Floats) -> Floats:
        """Conformal p-values (N,) of claim scores."""
        return conformal_p(_rounded(scores), self.scores)

    def to_arrays(self, prefix: str = "calibration.") -> dict[str, npt.NDArray[np.float32]]:
        """Arrays by name, to be saved beside the weights."""
        arrays = {f"{prefix}{name}": s for name, s in zip(self.fields, self.surprises, strict=True)}
        arrays |= {
            f"{prefix}#scores": self.scores,
            f"{prefix}#bounded": np.isin(self.fields, self.bounded).astype(np.float64),
        }
        return {k: v.astype(np.float32) for k, v in arrays.items()}

    @classmethod
    def from_arrays(cls, fields: Sequence[str], arrays: Mapping[str, Any], prefix: str = "calibration.") -> Calibration:
        """The calibration that `to_arrays` gave."""
        values = tuple(np.asarray(arrays[f"{prefix}{name}"], np.float64) for name in fields)
        marks = np.asarray(arrays.get(f"{prefix}#bounded", np.zeros(len(fields))))
        bounded = tuple(name for name, mark in zip(fields, marks, strict=True) if mark)
        return cls(tuple(fields), values, np.asarray(arrays[f"{prefix}#scores"], np.float64), bounded)


def _rounded(scores: Floats) -> Floats:
    """Scores as float32 holds them, as they are saved: many are equal, and equal ones must stay so."""
    return scores.astype(np.float32).astype(np.float64)


def _smooth(scores: Floats, calibration: Floats) -> Floats:
    if not len(calibration):
        return np.zeros(len(scores))
    p = conformal_p(scores, calibration)
    threshold = float(np.quantile(calibration, TAIL))
    beyond = calibration[calibration > threshold] - threshold
    scale = max(float(beyond.mean()) if len(beyond) else 0.0, 0.1)
    share = (1 + len(beyond)) / (len(calibration) + 1)
    with np.errstate(over="ignore", invalid="ignore"):
        tail = -np.log10(share) + (scores - threshold) / scale / np.log(10)
        smooth = np.where(scores > threshold, tail, -np.log10(p))
    return np.nan_to_num(smooth, nan=0.0)


def benjamini_hochberg(p: Floats, rate: float = 0.1) -> npt.NDArray[np.bool_]:
    """Which claims to queue so that the expected share of ordinary ones among them is at most `rate`."""
    if not 0 < rate < 1:
        raise ConfigError(f"rate must be between 0 and 1, got {rate}")
    order = np.argsort(p, kind="stable")
    passed = np.flatnonzero(p[order] <= rate * np.arange(1, len(p) + 1) / max(1, len(p)))
    queued = np.zeros(len(p), dtype=np.bool_)
    if len(passed):
        queued[order[: passed[-1] + 1]] = True
    return queued
