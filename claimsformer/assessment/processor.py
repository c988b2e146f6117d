"""`ClaimsProcessor`: fit on a payer's own history, then a decision with reasons for every claim."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final, Literal, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from claimsformer.assessment.costs import Costs
from claimsformer.assessment.decision import Assessment, Reason, SimilarClaim, digests
from claimsformer.assessment.edits import EDITS, Directory, EditTables, flags, run_edits, switch_off
from claimsformer.assessment.examples import Examples
from claimsformer.assessment.explain import edit_reasons, question, surprise_reason
from claimsformer.assessment.fields import CLAIM_SPEC, PASSES, prepare
from claimsformer.assessment.fusion import Evidence, Fusion
from claimsformer.assessment.masked_model import MaskedClaimModel, MaskedModelConfig
from claimsformer.assessment.masked_training import MaskedTraining, Progress, train_masked
from claimsformer.assessment.splits import check_disjoint, split_by
from claimsformer.assessment.streaming_inference import HiddenTokenModel
from claimsformer.assessment.streaming_screen import screen_scores
from claimsformer.assessment.surprise import Calibration, Surprises, benjamini_hochberg, expected, surprises
from claimsformer.claims.frames import conform
from claimsformer.errors import ConfigError, NotFittedError, ReadError
from claimsformer.tokenizer.fields import ClaimBatch, FieldTokenizer
from tensorlite.utils.safetensors import load_file, save_file

__all__ = ["ClaimsProcessor"]

FORMAT: Final = 1
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Tell = Callable[[str, float], None]  # what is being done, and how far it is (0 to 1)


def _silent(what: str, share: float) -> None:
    del what, share


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
        self.tables = tables or EditTables()
        self.model_config = model or MaskedModelConfig()
        self.training = training or MaskedTraining()
        self.costs = costs or Costs.load()
        self.prior = prior
        self.n_examples = n_examples
        self.head = head
        self.losses_: list[float] = []
        self.n_history_ = 0
        self._model: MaskedClaimModel | None = None
        self._version = ""

    # Fitting ----------------------------------------------------------------------------------------------------------

    def fit(
        self,
        history: pl.DataFrame,
        labels: pl.DataFrame | None = None,
        *,
        directory: Directory | None = None,
        on_progress: Tell = _silent,
        checkpoints: str | Path | None = None,
    ) -> Self:
        """Learn from claims in the layout of `claims_schema()`.

        `labels` has `claim_id` and `suspicious` (Boolean); without the second column every claim listed is suspicious
        and all others ordinary. Raises ConfigError for a history too small, or labels of one kind only.
        """
        history = conform(history)
        parts = split_by(history, "member_id", {"train": 0.6, "head": 0.2, "calibrate": 0.2}, self.training.seed)
        for name in ("head", "calibrate"):
            check_disjoint(parts["train"], parts[name])
        on_progress("learning prices and limits", 0.0)
        learned = self.tables.learn(parts["train"])
        self.tables = switch_off(learned, parts["train"], directory, most=0.1)
        self._fit_model(parts["train"], on_progress, checkpoints)
        held_out = pl.concat([parts["head"], parts["calibrate"]])
        suspicious = None if labels is None else _labels(held_out, labels)
        self._fit_fusion(held_out, parts["head"].height, suspicious, history, directory, on_progress)
        self.n_history_ = history.height
        self._version = self._fingerprint()
        return self

    def _fit_model(self, train: pl.DataFrame, on_progress: Tell, checkpoints: str | Path | None) -> None:
        prepared = prepare(train)
        self._tokenizer = FieldTokenizer(CLAIM_SPEC).fit(prepared)
        self._model = MaskedClaimModel(self._tokenizer, self.model_config, self.training.seed)

        def on_step(p: Progress) -> None:
            words = f"training, loss {p.loss:.3f}, {p.claims_per_second:,.0f} claims/s"
            on_progress(words, p.step / p.steps)

        self.losses_ = train_masked(
            self._model, self._tokenizer, self._tokenizer.encode(prepared), self.training,
            on_step=on_step, checkpoints=checkpoints,
        )  # fmt: skip
        self._model.eval()

    def _fit_fusion(
        self,
        held_out: pl.DataFrame,
        n_head: int,
        suspicious: Bools | None,
        history: pl.DataFrame,
        directory: Directory | None,
        on_progress: Tell,
    ) -> None:
        batch = self._encode(held_out)
        found = self._surprises(batch, on_progress, "calibrating")
        findings = run_edits(held_out, self.tables, history=history, directory=directory)
        n = len(found)
        in_calibration = np.arange(n) >= n_head if suspicious is not None else np.ones(n, dtype=np.bool_)
        ordinary = in_calibration if suspicious is None else in_calibration & ~suspicious
        self._calibration = Calibration.fit(Surprises(found.fields, found.values[ordinary], found.ranks[ordinary]))
        self._fusion = Fusion(self.prior)
        if suspicious is not None:
            evidence = self._evidence(held_out, found, findings)
            head, rest = np.flatnonzero(~in_calibration), np.flatnonzero(in_calibration)
            self._fusion = Fusion.fit(
                evidence.take(head), suspicious[head], evidence.take(rest), suspicious[rest], kind=self.head
            )
        assert self._model is not None
        vectors = np.concatenate([self._model.summary_vectors(batch[s].compact()) for s in _slices(n)])
        self._examples = Examples.choose(held_out, vectors, suspicious, self.n_examples, self.training.seed)

    # Scoring ----------------------------------------------------------------------------------------------------------

    def _encode(self, claims: pl.DataFrame) -> ClaimBatch:
        return self._tokenizer.encode(prepare(claims))

    def _surprises(self, batch: ClaimBatch, on_progress: Tell, what: str) -> Surprises:
        assert self._model is not None
        done = 0

        def on_batch(n: int) -> None:
            nonlocal done
            done += n
            on_progress(what, done / max(1, len(batch)))

        return surprises(
            HiddenTokenModel(self._model), self._tokenizer, batch, PASSES, batch_size=512, on_batch=on_batch
        )

    def _evidence(self, claims: pl.DataFrame, found: Surprises, findings: pl.DataFrame) -> Evidence:
        fields = self._calibration.evidence(found)
        return Evidence(
            tuple(EDITS),
            flags(findings, claims.height).to_numpy(),
            found.fields,
            fields,
            self._calibration.claim_p(fields.max(axis=1)),
            _asked(claims),
        )

    def score(
        self,
        claims: pl.DataFrame,
        *,
        history: pl.DataFrame | None = None,
        directory: Directory | None = None,
        on_progress: Tell = _silent,
    ) -> pl.DataFrame:
        """One row a claim, without explanations: claim_id, probability, rank, p_value, surprise, top_field, decision, action,
        amount_at_risk, expected_value, abstained, queued (Benjamini and Hochberg at 10 %)."""
        self._check_fitted()
        return self._judge(conform(claims), history, directory, on_progress)[0]

    def _judge(
        self,
        claims: pl.DataFrame,
        history: pl.DataFrame | None,
        directory: Directory | None,
        on_progress: Tell,
        findings: pl.DataFrame | None = None,
    ) -> tuple[pl.DataFrame, Evidence, Surprises, pl.DataFrame, ClaimBatch]:
        batch = self._encode(claims)
        found = self._surprises(batch, on_progress, "assessing")
        if findings is None:
            findings = run_edits(claims, self.tables, history=history, directory=directory)
        thin = self._thin(batch)
        evidence = _without_surprise(self._evidence(claims, found, findings), thin != "")
        table = self._verdicts(claims, evidence, findings).with_columns(
            abstained=thin != "",
            abstained_because=pl.Series(thin, dtype=pl.String),
            queued=benjamini_hochberg(evidence.claim_p),
        )
        return table, evidence, found, findings, batch

    def _verdicts(self, claims: pl.DataFrame, evidence: Evidence, findings: pl.DataFrame) -> pl.DataFrame:
        probability = self._fusion.probability(evidence)
        at_risk = _at_risk(findings, evidence)
        value = self.costs.expected_value(probability, at_risk)
        review = value > 0
        suspicious = review | (probability >= self.costs.suspicious_probability)
        return claims.select("claim_id").with_columns(
            probability=probability,
            rank=self._fusion.rank(evidence),
            p_value=evidence.claim_p,
            surprise=evidence.score,
            top_field=np.array(evidence.names)[evidence.fields.argmax(axis=1)],
            decision=pl.Series(np.where(suspicious, "suspicious", "valid")),
            action=pl.Series(np.where(review, "review", "approve")),
            amount_at_risk=at_risk,
            expected_value=value,
        )

    def score_by_edits(self, claims: pl.DataFrame, findings: pl.DataFrame) -> pl.DataFrame:
        """Verdicts (claim_id, probability, decision, action, amount_at_risk, expected_value) without the model, as if
        nothing about the claims were surprising; `findings` are those of `run_edits` on these claims."""
        self._check_fitted()
        n, names = claims.height, self._calibration.fields
        flagged = flags(findings, n).to_numpy().reshape(n, len(EDITS))
        evidence = Evidence(tuple(EDITS), flagged, names, np.zeros((n, len(names))), np.ones(n), _asked(claims))
        return self._verdicts(claims, evidence, findings).drop("rank", "p_value", "surprise", "top_field")

    def screen(self, claims: pl.DataFrame) -> npt.NDArray[np.float32]:
        """How surprising each claim is by one pass of the model, (N,), as -log10 of a p-value; see `streaming_screen`."""
        self._check_fitted()
        assert self._model is not None
        model = HiddenTokenModel(self._model)
        return screen_scores(model, self._tokenizer, self._calibration, self._encode(conform(claims)))

    def _thin(self, batch: ClaimBatch) -> npt.NDArray[np.str_]:
        """Why the evidence is too thin to judge each claim, "" where it is not; the edits alone judge such a claim."""
        starts = self._tokenizer.field_starts[batch.field_ids]
        holding = batch.mask & (batch.field_ids > 0)
        unknown = holding & (batch.value_ids == starts + 1)
        total = holding.sum(axis=1)
        services = [self._tokenizer.field_id(name) for name in ("item", "drug", "drg", "procedure")]
        billed = np.isin(batch.field_ids, services).any(axis=1)
        reasons = np.full(len(batch), "", dtype="U80")
        reasons[total < 4] = "the claim has fewer than four fields to go by"
        reasons[unknown.sum(axis=1) > 0.3 * total] = "more than 30 % of its values never occurred in the history"
        reasons[~billed] = "the claim names no service, drug or DRG"
        return reasons

    # Assessing --------------------------------------------------------------------------------------------------------

    def assess(
        self,
        claims: pl.DataFrame,
        *,
        history: pl.DataFrame | None = None,
        directory: Directory | None = None,
        explain: Literal["suspicious", "all", "none"] = "suspicious",
        on_progress: Tell = _silent,
        findings: pl.DataFrame | None = None,
    ) -> list[Assessment]:
        """The verdict on each claim, in the order given; `history` holds earlier claims, for duplicates and the like.

        `explain` says which claims get expected values, hints and similar claims, which cost a pass of the model each.
        `findings` are those of `run_edits` on these claims, where the edits ran before, over more claims than these.
        Raises NotFittedError before `fit`.
        """
        self._check_fitted()
        claims = conform(claims)
        table, evidence, found, findings, batch = self._judge(claims, history, directory, on_progress, findings)
        by_row = {k[0]: part for k, part in findings.group_by("row", maintain_order=True)}
        p_fields = self._calibration.p_values(found)
        judged = list(table.iter_rows(named=True))
        wanted = [i for i, row in enumerate(judged) if explain == "all" or (explain == row["decision"] == "suspicious")]
        surprising = self._surprise_reasons(
            batch, found, p_fields, evidence, [i for i in wanted if not judged[i]["abstained"]]
        )
        similar = self._similar(batch, wanted)
        results = []
        for i, (row, sha) in enumerate(zip(judged, digests(claims), strict=True)):
            reasons = (edit_reasons(by_row[i]) if i in by_row else []) + surprising.get(i, [])
            seen = ~np.isnan(found.values[i])
            shown = {name: round(float(e), 3) for name, e, s in
                     zip(found.fields, evidence.fields[i], seen, strict=True) if s}  # fmt: skip
            results.append(
                Assessment(
                    claim_id=row["claim_id"],
                    decision=row["decision"],
                    action=row["action"],
                    probability=round(float(row["probability"]), 6),
                    calibrated=self._fusion.calibrated,
                    p_value=round(float(row["p_value"]), 6),
                    reasons=tuple(reasons),
                    amount_at_risk=round(float(row["amount_at_risk"]), 2),
                    expected_value=round(float(row["expected_value"]), 2),
                    surprises=shown,
                    model_version=self._version,
                    claim_digest=sha,
                    abstained=row["abstained"],
                    abstained_because=row["abstained_because"],
                    similar=similar.get(i, ()),
                )
            )
        return results

    def _surprise_reasons(
        self, batch: ClaimBatch, found: Surprises, p: Floats, evidence: Evidence, rows: list[int]
    ) -> dict[int, list[Reason]]:
        """The two most surprising fields of each of these claims, where ordinary claims surprise as much in less than
        one of a hundred."""
        assert self._model is not None
        asked = []
        for i in rows:
            order = np.argsort(-evidence.fields[i], kind="stable").tolist()
            asked += [(i, k) for k in [k for k in order if p[i, k] <= 0.01][:2]]
        questions = [question(i, found.fields[k], int(found.ranks[i, k])) for i, k in asked]
        guesses = expected(HiddenTokenModel(self._model), self._tokenizer, batch, questions)
        reasons: dict[int, list[Reason]] = {}
        for (i, k), guess in zip(asked, guesses, strict=True):
            reason = surprise_reason(guess, 10 ** -float(evidence.fields[i, k]), float(evidence.amount[i]))
            if reason is not None:
                reasons.setdefault(i, []).append(reason)
        return reasons

    def _similar(self, batch: ClaimBatch, rows: list[int]) -> dict[int, tuple[SimilarClaim, ...]]:
        assert self._model is not None
        found: dict[int, tuple[SimilarClaim, ...]] = {}
        for start in range(0, len(rows), 512):
            part = rows[start : start + 512]
            vectors = self._model.summary_vectors(batch[part].compact())
            found |= {i: self._examples.nearest(vector) for i, vector in zip(part, vectors, strict=True)}
        return found

    # Saving -----------------------------------------------------------------------------------------------------------

    def save(self, folder: str | Path) -> Path:
        """Write config.json, model.safetensors and tokenizer.json into `folder`; returns it."""
        self._check_fitted()
        path = Path(folder)
        path.mkdir(parents=True, exist_ok=True)
        self._tokenizer.save_pretrained(path)
        save_file(self._arrays(), path / "model.safetensors", {"format": "claimsformer"})
        text = json.dumps(self._config() | {"model_version": self._version}, indent=1, allow_nan=False)
        temporary = path / ".config.json.tmp"
        temporary.write_text(text + "\n", encoding="utf-8")
        os.replace(temporary, path / "config.json")
        return path

    @classmethod
    def load(cls, folder: str | Path) -> ClaimsProcessor:
        """The processor that `save` wrote; raises ReadError where the folder does not hold one."""
        path = Path(folder)
        try:
            config = json.loads((path / "config.json").read_text(encoding="utf-8"))
            arrays = load_file(path / "model.safetensors")
            tokenizer = FieldTokenizer.from_pretrained(path)
        except (OSError, ValueError) as error:
            raise ReadError(
                f"{path.name!r} holds no assessment model: {type(error).__name__}",
                hint="Train one: claimsformer train --quick --out my_model",
            ) from None
        if config.get("format") != FORMAT:
            raise ReadError(f"the model has format {config.get('format')}, this release reads {FORMAT}")
        self = cls(
            tables=EditTables.from_dict(config["tables"]),
            model=MaskedModelConfig(**config["model"]),
            training=MaskedTraining(**config["training"]),
            costs=Costs.from_dict(config["costs"]),
            prior=config["fusion"]["prior"],
        )
        self._tokenizer = tokenizer
        self._model = MaskedClaimModel(tokenizer, self.model_config)
        weights = {k.removeprefix("model."): v for k, v in arrays.items() if k.startswith("model.")}
        self._model.load_state_dict(weights)
        self._model.eval()
        rest = {k: v.numpy() for k, v in arrays.items() if not k.startswith("model.")}
        self._calibration = Calibration.from_arrays(config["fields"], rest)
        self._fusion = Fusion.from_dict(config["fusion"])
        shown = config["examples"]
        self._examples = Examples(rest["examples"], tuple(shown["summaries"]), tuple(shown["outcomes"]))
        self.losses_, self.n_history_ = config["losses"], config["n_history"]
        self._version = config["model_version"]
        return self

    def _arrays(self) -> dict[str, Any]:
        assert self._model is not None
        weights = {f"model.{name}": value for name, value in self._model.state_dict().items()}
        return weights | self._calibration.to_arrays() | {"examples": self._examples.vectors}

    def _config(self) -> dict[str, Any]:
        thinned = self.losses_[:: max(1, len(self.losses_) // 200)]
        return {
            "format": FORMAT,
            "model_type": "claimsformer-assessment",
            "model": self.model_config.to_dict(),
            "training": asdict(self.training),
            "fields": list(self._calibration.fields),
            "tables": self.tables.to_dict(),
            "costs": self.costs.to_dict(),
            "fusion": self._fusion.to_dict(),
            "examples": {"summaries": list(self._examples.summaries), "outcomes": list(self._examples.outcomes)},
            "losses": [round(loss, 4) for loss in thinned],
            "n_history": self.n_history_,
        }

    def _fingerprint(self) -> str:
        sha = hashlib.sha256(json.dumps(self._config(), sort_keys=True).encode())
        for name, value in sorted(self._arrays().items()):
            array = value if isinstance(value, np.ndarray) else value.numpy()
            sha.update(name.encode() + np.ascontiguousarray(array).tobytes())
        return f"{FORMAT}-{sha.hexdigest()[:12]}"

    @property
    def model_version(self) -> str:
        """Changes with every weight and setting; assessments carry it."""
        return self._version

    @property
    def calibrated(self) -> bool:
        """Whether probabilities were calibrated on labels."""
        self._check_fitted()
        return self._fusion.calibrated

    @property
    def model(self) -> MaskedClaimModel:
        """The masked claim-field transformer."""
        self._check_fitted()
        assert self._model is not None
        return self._model

    @property
    def tokenizer(self) -> FieldTokenizer:
        """The tokenizer that was fitted with the model."""
        self._check_fitted()
        return self._tokenizer

    def _check_fitted(self) -> None:
        if self._model is None or not self._version:
            raise NotFittedError("this ClaimsProcessor was not fitted yet", hint="Call fit(history) or load(folder).")


def _without_surprise(evidence: Evidence, rows: Bools) -> Evidence:
    """The evidence with nothing but the edits for these claims: what the model makes of them means nothing."""
    fields = np.where(rows[:, None], 0.0, evidence.fields)
    return replace(evidence, fields=fields, claim_p=np.where(rows, 1.0, evidence.claim_p))


def _slices(n: int, size: int = 512) -> list[slice]:
    return [slice(start, start + size) for start in range(0, n, size)]


def _asked(claims: pl.DataFrame) -> Floats:
    asked = pl.coalesce("allowed_amount", "charge_amount", "paid_amount").cast(pl.Float64).fill_null(0.0)
    return claims.select(asked.alias("amount"))["amount"].to_numpy()


def _at_risk(findings: pl.DataFrame, evidence: Evidence) -> Floats:
    """What the edits' findings put at stake, at most the claim's amount; the whole amount where only surprise speaks."""
    per_edit = findings.group_by("row", "edit").agg(pl.col("amount").max())
    totals = per_edit.group_by("row").agg(pl.col("amount").sum())
    at_risk = evidence.amount.copy()
    rows = totals["row"].to_numpy()
    at_risk[rows] = np.minimum(np.maximum(totals["amount"].to_numpy(), 0), np.maximum(evidence.amount[rows], 0))
    return at_risk


def _labels(claims: pl.DataFrame, labels: pl.DataFrame) -> Bools:
    """Whether each claim is labelled suspicious."""
    if "claim_id" not in labels.columns:
        raise ConfigError(f"labels need the column claim_id, got {labels.columns}")
    listed = labels if "suspicious" in labels.columns else labels.with_columns(suspicious=pl.lit(True))
    joined = claims.select("claim_id").join(
        listed.select("claim_id", "suspicious").unique("claim_id"), on="claim_id", how="left", maintain_order="left"
    )
    return joined["suspicious"].fill_null(False).to_numpy()
