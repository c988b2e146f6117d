"""Fitting a `ClaimsProcessor` to a history: who trains what, and in which order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from claimsformer.assessment.claim_reading import CLAIM_READING, asked_amount
from claimsformer.assessment.edits import EDITS, Directory, EditTables, flags, run_edits, switch_off
from claimsformer.assessment.examples import Examples
from claimsformer.assessment.fusion import Evidence, Fusion, firing_chances
from claimsformer.assessment.labels import check_both_kinds, flags_of, tidy_labels
from claimsformer.assessment.masked_model import MaskedModelConfig
from claimsformer.assessment.masked_training import MaskedTraining, Progress
from claimsformer.assessment.reading import Answers, Reader
from claimsformer.assessment.splits import check_disjoint, split_by
from claimsformer.assessment.verdicts import values_held
from claimsformer.tokenizer.fields import ClaimBatch

__all__ = ["Fitted", "Settings", "Tell", "amounts", "answers_to", "fired", "fit", "silent"]

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Tell = Callable[[str, float], None]  # what is being done, and how far it is (0 to 1)

PARTS: Final = {"train": 0.6, "head": 0.2, "calibrate": 0.2}  # shares of the members
NOISY: Final = 0.1  # an edit that fires on more of the history than this cannot be right there


def silent(what: str, share: float) -> None:
    """Tell nobody."""
    del what, share


@dataclass(frozen=True)
class Settings:
    """How to fit: shape and training of the model, odds of an anomaly where no label says, kind of the head."""

    model: MaskedModelConfig
    training: MaskedTraining
    prior: float
    n_examples: int
    head: Literal["logistic", "neural"]


@dataclass(frozen=True)
class Fitted:
    """What was learned from a history of `n_history` claims, of which all but one in a hundred hold `least_values` values
    or more."""

    reader: Reader
    tables: EditTables
    fusion: Fusion
    examples: Examples
    n_history: int
    least_values: int


def fit(
    history: pl.DataFrame,
    labels: pl.DataFrame | None,
    directory: Directory | None,
    tables: EditTables,
    settings: Settings,
    tell: Tell,
    checkpoints: str | Path | None,
) -> Fitted:
    """Members are split three ways by a hash of their number: for the model, the head, and calibration. Without labels
    both latter parts calibrate. Raises ConfigError for a history too small, or labels of one kind only."""
    parts = split_by(history, "member_id", PARTS, settings.training.seed)
    for name in ("head", "calibrate"):
        check_disjoint(parts["train"], parts[name])
    if labels is not None:
        labels = tidy_labels(labels)
        check_both_kinds(parts["head"], labels, "for the head")
        check_both_kinds(parts["calibrate"], labels, "to calibrate")
    tell("learning prices and limits", 0.0)
    tables = switch_off(tables.learn(parts["train"]), parts["train"], directory, most=NOISY)

    def on_step(p: Progress) -> None:
        tell(f"training, loss {p.loss:.3f}, {p.claims_per_second:,.0f} claims/s", p.step / p.steps)

    reader = Reader.fit(
        CLAIM_READING, parts["train"], settings.model, settings.training, on_step=on_step, checkpoints=checkpoints
    )
    held_out = pl.concat([parts["head"], parts["calibrate"]])
    findings = run_edits(held_out, tables, history=history, directory=directory)
    suspicious = None if labels is None else flags_of(held_out, labels)
    in_head = np.arange(held_out.height) < parts["head"].height
    batch = reader.encode(held_out)
    answers = answers_to(reader, batch, tell, "calibrating")
    fusion = _fusion(reader, answers, fired(findings, held_out), amounts(held_out), suspicious, in_head, settings)
    vectors = np.concatenate([reader.model.summary_vectors(batch[k : k + 512].compact()) for k in _starts(len(batch))])
    examples = Examples.choose(held_out, vectors, suspicious, settings.n_examples, settings.training.seed)
    least = int(np.percentile(values_held(batch), 1))
    return Fitted(reader, tables, fusion, examples, history.height, least)


def _fusion(
    reader: Reader,
    answers: Answers,
    flagged: Bools,
    amount: Floats,
    suspicious: Bools | None,
    in_head: Bools,
    settings: Settings,
) -> Fusion:
    """Calibrates the reader on ordinary claims, and learns how to weigh what it says."""
    if suspicious is None:
        reader.calibrate(answers)
        return Fusion(settings.prior, edit_p=firing_chances(flagged))
    reader.calibrate(answers.take(~in_head & ~suspicious))
    evidence: Evidence = reader.evidence(answers, tuple(EDITS), flagged, amount)
    head, rest = np.flatnonzero(in_head), np.flatnonzero(~in_head)
    return Fusion.fit(
        evidence.take(head), suspicious[head], evidence.take(rest), suspicious[rest], kind=settings.head, monotone=True
    )


def answers_to(reader: Reader, batch: ClaimBatch, tell: Tell, what: str, *, details: bool = True) -> Answers:
    """The model's answers about encoded claims; `tell` hears how far it is."""
    done = 0

    def on_batch(n: int) -> None:
        nonlocal done
        done += n
        tell(what, done / max(1, len(batch)))

    return reader.ask(batch, on_batch, details=details)


def fired(findings: pl.DataFrame, claims: pl.DataFrame) -> Bools:
    """Which edits fired on each claim, (N, E)."""
    return flags(findings, claims.height).to_numpy().reshape(claims.height, len(EDITS))


def amounts(claims: pl.DataFrame) -> Floats:
    """US dollars (N,) that each claim asks for, 0 where it names no amount."""
    return np.nan_to_num(asked_amount(claims))


def _starts(n: int, size: int = 512) -> range:
    return range(0, n, size)
