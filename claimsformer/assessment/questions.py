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
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from claimsformer.assessment.masked_model import Prediction
from claimsformer.assessment.surprise import Predictor, Surprises
from claimsformer.errors import ConfigError
from claimsformer.tokenizer.fields import ClaimBatch, FieldTokenizer, choose_field, closure, hide

__all__ = ["Frequencies", "Question", "answer", "ask"]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Measure = Literal["surprise", "contrast", "tail", "presence"]


@dataclass(frozen=True)
class Question:
    """Hide the fields `hidden` (by default `field` alone; of a list the `ranks`, by default all) and read `field` by
    `measure`: added up over its hidden tokens, as for a list that is wrong as a whole, or with `worst` the largest of
    them, as for one line that is wrong among others."""

    field: str
    measure: Measure = "surprise"
    hidden: tuple[str, ...] = ()
    ranks: tuple[int, ...] = ()
    worst: bool = False

    @property
    def name(self) -> str:
        """A name that no other question has."""
        ranks = f"[{','.join(map(str, self.ranks))}]" if self.ranks else ""
        beside = f" without {'+'.join(h for h in self.hidden if h != self.field)}" if len(self.hidden) > 1 else ""
        return f"{self.field}{ranks} {self.measure}{beside}{' at worst' if self.worst else ''}"


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
            tables[field.name] = _as_saved(np.log(counts / counts.sum(axis=1, keepdims=True)))
            if amounts is not None and field.kind == "code" and len(field.columns) == 1:
                means = _mean_by_value(at, claims.value_ids - where.start, amounts, counts.shape[1])
                levels[field.name] = _as_saved(means)
        return cls(tables, levels)

    def to_arrays(self) -> dict[str, npt.NDArray[np.float32]]:
        """Arrays by name, to be saved beside the weights."""
        arrays = {f"frequencies.{name}": table for name, table in self.tables.items()}
        arrays |= {f"levels.{name}": level for name, level in self.levels.items()}
        return {name: array.astype(np.float32) for name, array in arrays.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> Frequencies:
        """The frequencies that `to_arrays` gave, among other arrays."""

        def named(prefix: str) -> dict[str, Floats]:
            return {k.removeprefix(prefix): v.astype(np.float64) for k, v in arrays.items() if k.startswith(prefix)}

        return cls(named("frequencies."), named("levels."))


def _as_saved(values: Floats) -> Floats:
    """To the digits of float32, so that a model gives the same answers before and after it was saved."""
    return values.astype(np.float32).astype(np.float64)


def _mean_by_value(at: Bools, offsets: npt.NDArray[np.int32], amounts: Floats, size: int) -> Floats:
    rows, columns = np.nonzero(at & np.isfinite(amounts)[:, None])
    values = offsets[rows, columns]
    total, n = np.bincount(values, weights=amounts[rows], minlength=size), np.bincount(values, minlength=size)
    known = amounts[np.isfinite(amounts)]
    return np.where(n > 0, total / np.maximum(n, 1), known.mean() if len(known) else 0.0)


def ask(
    model: Predictor,
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
    names = tuple(question.name for question in questions)
    if len(set(names)) != len(names):
        raise ConfigError(f"a question is asked twice: {sorted(n for n in set(names) if names.count(n) > 1)}")
    passes: dict[tuple[tuple[str, ...], tuple[int, ...]], list[int]] = {}
    for k, question in enumerate(questions):
        passes.setdefault((question.hidden or (question.field,), question.ranks), []).append(k)
    found = Surprises(
        names, np.full((len(claims), len(names)), np.nan), np.zeros((len(claims), len(names)), dtype=np.int64)
    )
    order = np.argsort(claims.lengths, kind="stable")
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        batch = claims[rows].compact()
        for (hidden, ranks), asked in passes.items():
            chosen = np.zeros(batch.shape, dtype=np.bool_)
            for name in hidden:
                chosen |= choose_field(tokenizer, batch, name)
            if ranks:
                chosen &= np.isin(batch.position_ids, ranks)
            part = {k: questions[k] for k in asked}
            answer(model, tokenizer, frequencies, batch, chosen, part, found, rows)
        if on_batch is not None:
            on_batch(len(rows))
    return found


def answer(
    model: Predictor,
    tokenizer: FieldTokenizer,
    frequencies: Frequencies,
    batch: ClaimBatch,
    chosen: Bools,
    questions: Mapping[int, Question],
    found: Surprises,
    places: Ints,
) -> None:
    """One pass: hide the tokens `chosen` (B, T), and what would give them away, and write the answers into `found` in the
    rows `places` (B,), in the column that each question stands under."""
    rows = np.flatnonzero(chosen.any(axis=1))
    if not len(rows):
        return
    part = batch[rows]
    hidden = closure(tokenizer, part, chosen[rows])
    read = np.isin(part.field_ids, [tokenizer.field_id(question.field) for question in questions.values()])
    if not (hidden & read).any():
        return
    for guess in model.predict(hide(tokenizer, part, hidden), part, hidden & read):
        for k, question in questions.items():
            if question.field == guess.field:
                _record(found, k, question, guess, places[rows[guess.rows]], frequencies)


def _record(
    found: Surprises, k: int, question: Question, guess: Prediction, places: Ints, frequencies: Frequencies
) -> None:
    values, ranks = _measured(question.measure, guess, frequencies), guess.ranks
    if question.ranks:
        kept = np.isin(ranks, question.ranks)
        places, values, ranks = places[kept], values[kept], ranks[kept]
    order = np.argsort(values, kind="stable")  # the largest is written last
    found.ranks[places[order], k] = ranks[order]
    if question.worst:
        found.values[places[order], k] = values[order]
    else:
        found.values[places, k] = 0.0
        np.add.at(found.values[:, k], places, values)


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
