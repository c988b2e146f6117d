"""`ClaimsProcessor`: fit on a payer's own history, then a decision with reasons for every claim."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from claimsformer.assessment import persistence
from claimsformer.assessment.costs import Costs
from claimsformer.assessment.decision import Assessment
from claimsformer.assessment.edits import EDITS, Directory, EditTables, run_edits
from claimsformer.assessment.explain import Judged, assessments
from claimsformer.assessment.fitting import Fitted, Settings, Tell, amounts, answers_to, fired, fit, silent
from claimsformer.assessment.masked_model import MaskedClaimModel, MaskedModelConfig
from claimsformer.assessment.masked_training import MaskedTraining
from claimsformer.assessment.reading import Reader
from claimsformer.assessment.streaming_screen import screen_scores
from claimsformer.assessment.surprise import benjamini_hochberg
from claimsformer.assessment.verdicts import mixed, thin_because, top_fields, values_held, verdict_table
from claimsformer.claims.frames import checked, conform
from claimsformer.errors import ConfigError, NotFittedError
from claimsformer.tokenizer.fields import ClaimBatch, FieldTokenizer

__all__ = ["ClaimsProcessor"]


class ClaimsProcessor:
    """Edits, the masked claim-field transformer and, where there are labels, a supervised head, fused and calibrated.

    Members are split three ways by a hash of their number: 60 % train the masked model, 20 % the head, 20 % calibrate
    p-values and probabilities. Without labels both latter parts calibrate p-values.
    """

    def __init__(
        self,
        *,
        tables: EditTables | None = None,
        model: MaskedModelConfig | None = None,
        training: MaskedTraining | None = None,
        costs: Costs | None = None,
        prior: float = 0.05,
        n_examples: int = 500,
        head: Literal["logistic", "neural"] = "logistic",
    ) -> None:
        if not 0 < prior < 1:
            raise ConfigError(f"prior must be between 0 and 1, got {prior}")
        if head not in ("logistic", "neural"):
            raise ConfigError(f"head must be 'logistic' or 'neural', got {head!r}")
        if n_examples < 0:
            raise ConfigError(f"n_examples must not be negative, got {n_examples}")
        self.costs = costs or Costs.load()
        self._tables = tables or EditTables()
        self.settings = Settings(model or MaskedModelConfig(), training or MaskedTraining(), prior, n_examples, head)
        self._parts: Fitted | None = None
        self._version = ""

    def fit(
        self,
        history: pl.DataFrame,
        labels: pl.DataFrame | None = None,
        *,
        directory: Directory | None = None,
        on_progress: Tell = silent,
        checkpoints: str | Path | None = None,
    ) -> Self:
        """Learn from claims in the layout of `claims_schema()`.

        `labels` has `claim_id` and `suspicious` (true and false, 1 and 0, or yes and no); without the second column every
        claim listed is suspicious. Claims without a label are ordinary. Raises ConfigError for a history too small, and for
        labels of one kind only, that contradict each other, or that are no labels.
        """
        self._parts = fit(checked(history), labels, directory, self.tables, self.settings, on_progress, checkpoints)
        self._version = persistence.fingerprint(self._parts, self.settings, self.costs)
        return self

    def score(
        self,
        claims: pl.DataFrame,
        *,
        history: pl.DataFrame | None = None,
        directory: Directory | None = None,
        on_progress: Tell = silent,
    ) -> pl.DataFrame:
        """One row a claim, without explanations: claim_id, probability, rank, p_value, surprise, top_field, decision, action,
        amount_at_risk, expected_value, abstained, queued (Benjamini and Hochberg at 10 %)."""
        return self._judge(checked(claims), history, directory, on_progress).table

    def assess(
        self,
        claims: pl.DataFrame,
        *,
        history: pl.DataFrame | None = None,
        directory: Directory | None = None,
        explain: Literal["suspicious", "all", "none"] = "suspicious",
        on_progress: Tell = silent,
        findings: pl.DataFrame | None = None,
    ) -> list[Assessment]:
        """The verdict on each claim, in the order given; `history` holds earlier claims, for duplicates and the like.

        `explain` says which claims get expected values, hints and similar claims, which cost a pass of the model each.
        `findings` are those of `run_edits` on these claims, where the edits ran before, over more claims than these.
        Raises NotFittedError before `fit`.
        """
        parts, claims = self._fitted, checked(claims)
        judged = self._judge(claims, history, directory, on_progress, findings)
        return assessments(
            claims, judged, parts.reader, parts.examples, explain, parts.fusion.calibrated, self._version
        )

    def _judge(
        self,
        claims: pl.DataFrame,
        history: pl.DataFrame | None,
        directory: Directory | None,
        on_progress: Tell,
        findings: pl.DataFrame | None = None,
    ) -> Judged:
        parts = self._fitted
        reader, batch = parts.reader, parts.reader.encode(claims)
        # Details are for the head alone.
        answers = answers_to(reader, batch, on_progress, "assessing", details=parts.fusion.calibrated)
        if findings is None:
            earlier = None if history is None else checked(history)
            findings = run_edits(claims, parts.tables, history=earlier, directory=directory)
        known = (tuple(EDITS), fired(findings, claims), amounts(claims))
        thin = thin_because(reader.tokenizer, batch)
        # What the model makes of a claim that it cannot judge means nothing.
        nothing = reader.silent(*known)
        evidence = mixed(reader.evidence(answers, *known), nothing, thin != "")
        # The fewer values a claim has, the less sure the model is, and the more surprised: where there are fewer than it has
        # learned from, its surprises are shown and do not count.
        scanty = (thin != "") | (values_held(batch) < parts.least_values)
        counted = mixed(evidence, nothing, scanty)
        table = verdict_table(claims, evidence, counted, findings, parts.fusion, self.costs, scanty).with_columns(
            top_field=pl.Series(top_fields(evidence, reader.reading.about), dtype=pl.String),
            abstained=thin != "",
            abstained_because=pl.Series(thin, dtype=pl.String),
            queued=benjamini_hochberg(evidence.claim_p),
        )
        return Judged(table, evidence, answers.found, findings, batch)

    def score_by_edits(self, claims: pl.DataFrame, findings: pl.DataFrame) -> pl.DataFrame:
        """Verdicts (claim_id, probability, decision, action, amount_at_risk, expected_value) without the model, as if
        nothing about the claims were surprising; `findings` are those of `run_edits` on these claims."""
        parts = self._fitted
        evidence = parts.reader.silent(tuple(EDITS), fired(findings, claims), amounts(claims))
        scanty = np.ones(claims.height, dtype=np.bool_)
        table = verdict_table(claims, evidence, evidence, findings, parts.fusion, self.costs, scanty)
        return table.drop("rank", "p_value", "surprise")

    def screen(self, claims: pl.DataFrame) -> npt.NDArray[np.float32]:
        """How surprising each claim is by one pass of the model, (N,), as -log10 of a p-value; see `streaming_screen`."""
        reader = self._fitted.reader
        return screen_scores(reader, reader.encode(conform(claims)))

    def encode(self, claims: pl.DataFrame) -> ClaimBatch:
        """Claims as the model reads them."""
        return self._fitted.reader.encode(conform(claims))

    def save(self, folder: str | Path) -> Path:
        """Write config.json, model.safetensors and tokenizer.json into `folder`; returns it."""
        path = Path(folder)
        persistence.save(path, self._fitted, self.settings, self.costs, self._version)
        return path

    @classmethod
    def load(cls, folder: str | Path) -> ClaimsProcessor:
        """The processor that `save` wrote; raises ReadError where the folder does not hold one."""
        parts, settings, costs, version = persistence.load(Path(folder))
        self = cls(costs=costs)
        self._parts, self.settings, self._version = parts, settings, version
        return self

    @property
    def tables(self) -> EditTables:
        """The edits' tables: those given, and once fitted what was learned with them."""
        return self._tables if self._parts is None else self._parts.tables

    @property
    def model_version(self) -> str:
        """Changes with every weight and setting; assessments carry it."""
        return self._version

    @property
    def calibrated(self) -> bool:
        """Whether probabilities were calibrated on labels."""
        return self._fitted.fusion.calibrated

    @property
    def model(self) -> MaskedClaimModel:
        """The masked claim-field transformer."""
        return self._fitted.reader.model

    @property
    def tokenizer(self) -> FieldTokenizer:
        """The tokenizer that was fitted with the model."""
        return self._fitted.reader.tokenizer

    @property
    def reader(self) -> Reader:
        """What was fitted to read claims: tokenizer, model, frequencies and calibration."""
        return self._fitted.reader

    @property
    def losses_(self) -> list[float]:
        """Training losses in nats per hidden field; of a loaded model every few steps."""
        return [] if self._parts is None else self._parts.reader.losses

    @property
    def n_history_(self) -> int:
        """How many claims the history had."""
        return 0 if self._parts is None else self._parts.n_history

    @property
    def _fitted(self) -> Fitted:
        if self._parts is None:
            raise NotFittedError("this ClaimsProcessor was not fitted yet", hint="Call fit(history) or load(folder).")
        return self._parts
