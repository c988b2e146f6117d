"""Questions to the masked model: what to hide of a claim, and how to read what it then expects.

A negative log-likelihood alone mistakes the rare for the wrong: an uncommon diagnosis surprises on any claim. The other
measures compare with something. `contrast` is log q(x) - log p(x | rest) with q the frequency of x among all claims of
the history: how much better the value is explained as one from some other claim than as one of this claim, which is the
likelihood ratio for a value that was mixed up (Neyman and Pearson 1933). `tail` is -log P(X >= x | rest), for numbers
where too much is what one looks for, and for codes in the order of what the history paid for them: is this group dearer
than the rest of the claim supports? `presence` is -log P(something is listed here | rest).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from claimsformer.assessment.masked_model import MaskedClaimModel, Prediction
from claimsformer.assessment.surprise import Surprises
from claimsformer.errors import ConfigError
from claimsformer.tokenizer.fields import ClaimBatch, FieldTokenizer, choose_field, closure, hide

__all__ = ["Frequencies", "Question", "ask"]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Measure = Literal["surprise", "contrast", "tail", "presence"]


@dataclass(frozen=True)
class Question:
    """Hide the fields `hidden` (by default `field` alone; of a list the `ranks`, by default all) and read `field` by
    `measure`, added up over its hidden tokens."""

    field: str
    measure: Measure = "surprise"
    hidden: tuple[str, ...] = ()
    ranks: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """A name that no other question has."""
        ranks = f"[{','.join(map(str, self.ranks))}]" if self.ranks else ""
        beside = f" without {'+'.join(h for h in self.hidden if h != self.field)}" if len(self.hidden) > 1 else ""
        return f"{self.field}{ranks} {self.measure}{beside}"


class Frequencies:
    """Of the history's claims: log-frequencies of each field's values by rank, and mean amounts of the values of the
    fields with one code."""

    def __init__(self, tables: Mapping[str, Floats], levels: Mapping[str, Floats] | None = None) -> None:
        self.tables = dict(tables)
        self.levels = dict(levels or {})

    @classmethod
    def fit(
        cls, tokenizer: FieldTokenizer, claims: ClaimBatch, amounts: Floats | None = None, smoothing: float = 0.1
    ) -> Frequencies:
        """Count the values of encoded claims; row k of a table is rank k, row 0 a field with one value.

        `amounts` (N,) in US dollars, NaN where missing, are averaged by code; a code without any has the mean of all.
        """
        tables, levels = {}, {}
        for field in tokenizer.spec.fields:
            where = tokenizer.slices[field.name]
            at = claims.mask & (claims.field_ids == tokenizer.field_id(field.name))
            counts = np.full((len(field.columns) + 1, where.stop - where.start), smoothing)
            np.add.at(counts, (claims.position_ids[at], claims.value_ids[at] - where.start), 1.0)
            tables[field.name] = np.log(counts / counts.sum(axis=1, keepdims=True))
            if amounts is not None and field.kind == "code" and len(field.columns) == 1:
                levels[field.name] = _mean_by_value(at, claims.value_ids - where.start, amounts, counts.shape[1])
        return cls(tables, levels)


def _mean_by_value(at: Bools, offsets: npt.NDArray[np.int32], amounts: Floats, size: int) -> Floats:
    rows, columns = np.nonzero(at & np.isfinite(amounts)[:, None])
    values = offsets[rows, columns]
    total, n = np.bincount(values, weights=amounts[rows], minlength=size), np.bincount(values, minlength=size)
    return np.where(n > 0, total / np.maximum(n, 1), np.nanmean(amounts))


def ask(
    model: MaskedClaimModel,
    tokenizer: FieldTokenizer,
    frequencies: Frequencies,
    claims: ClaimBatch,
    questions: Sequence[Question],
    *,
    batch_size: int = 512,
    on_batch: Callable[[int], None] | None = None,
) -> Surprises:
    """The answers as `Surprises`, one column a question under its name, NaN where a claim lacks the field.

    Questions that hide the same are answered by one pass. Raises ConfigError for a question asked twice.
    """
    names = [question.name for question in questions]
    if len(set(names)) != len(names):
        raise ConfigError(f"a question is asked twice: {sorted(n for n in set(names) if names.count(n) > 1)}")
    passes: dict[tuple[tuple[str, ...], tuple[int, ...]], list[int]] = {}
    for k, question in enumerate(questions):
        passes.setdefault((question.hidden or (question.field,), question.ranks), []).append(k)
    values = np.full((len(claims), len(questions)), np.nan)
    order = np.argsort(claims.lengths, kind="stable")
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        batch = claims[rows].compact()
        for (hidden, ranks), asked in passes.items():
            for guess, local in _guesses(model, tokenizer, batch, hidden, ranks):
                for k in asked:
                    if questions[k].field == guess.field:
                        values[rows, k] = _added(_measured(questions[k].measure, guess, frequencies), local, len(rows))
        if on_batch is not None:
            on_batch(len(rows))
    return Surprises(tuple(names), values, np.zeros(values.shape, dtype=np.int64))


def _guesses(
    model: MaskedClaimModel,
    tokenizer: FieldTokenizer,
    batch: ClaimBatch,
    hidden: tuple[str, ...],
    ranks: tuple[int, ...],
) -> list[tuple[Prediction, npt.NDArray[np.int64]]]:
    """Predictions with the batch's row of each hidden token."""
    chosen = np.zeros(batch.shape, dtype=np.bool_)
    for name in hidden:
        chosen |= choose_field(tokenizer, batch, name)
    if ranks:
        chosen &= np.isin(batch.position_ids, ranks)
    rows = np.flatnonzero(chosen.any(axis=1))
    if not len(rows):
        return []
    part = batch[rows]
    wanted = closure(tokenizer, part, chosen[rows])
    return [(guess, rows[guess.rows]) for guess in model.predict(hide(tokenizer, part, wanted), part, wanted)]


def _measured(measure: Measure, guess: Prediction, frequencies: Frequencies) -> Floats:
    at = np.arange(len(guess.truth))
    log_p: Floats = guess.log_p[at, guess.truth].astype(np.float64)
    if measure == "surprise":
        return -log_p
    if measure == "contrast":
        found: Floats = frequencies.tables[guess.field][guess.ranks, guess.truth] - log_p
        return found
    p = np.exp(guess.log_p.astype(np.float64))
    if measure == "tail":
        level = frequencies.levels.get(guess.field, np.arange(p.shape[1]))
        # Half of the value's own mass, so that the middle of a distribution is no surprise.
        above = np.where(level > level[guess.truth][:, None], p, 0.0).sum(axis=1) + 0.5 * p[at, guess.truth]
        tail: Floats = -np.log(np.maximum(above, 1e-12))
        return tail
    listed: Floats = np.where(guess.truth > 0, -np.log(np.maximum(1 - p[:, 0], 1e-12)), 0.0)
    return listed


def _added(values: Floats, rows: npt.NDArray[np.int64], n: int) -> Floats:
    total = np.bincount(rows, weights=values, minlength=n)
    seen = np.bincount(rows, minlength=n) > 0
    return np.where(seen, total, np.nan)
