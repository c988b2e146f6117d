"""The experiment on real claims: CMS DE-SynPUF inpatient stays with anomalies injected into held-out samples.

Fit on samples 1 to 10 as they are; the supervised head learns on injected sample 12, probabilities are calibrated on
injected 13, everything is reported on injected 14. No sample shares a member with another. Sex conflict is left out:
in this data sex tells nothing about diagnoses, by its disclosure protection.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from claimsformer.assessment import baselines
from claimsformer.assessment.edits import EDITS, EditTables, flags, run_edits, switch_off
from claimsformer.assessment.fusion import Evidence, Fusion
from claimsformer.assessment.masked_model import MaskedClaimModel, MaskedModelConfig
from claimsformer.assessment.masked_training import MaskedTraining, Progress, train_masked
from claimsformer.assessment.metrics import auprc, auroc, bootstrap, brier, ece, precision_at
from claimsformer.assessment.splits import check_disjoint
from claimsformer.assessment.surprise import Calibration, surprises
from claimsformer.claims.injector import INJECTABLE_TYPES, fingerprint_report, inject_synpuf
from claimsformer.claims.readers import read_claims
from claimsformer.errors import ReadError
from claimsformer.tokenizer.fields import SYNPUF_SPEC, ClaimBatch, ClaimSpec, FieldTokenizer, prepare_synpuf

__all__ = ["STAY_PASSES", "STAY_SPEC", "run"]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Tell = Callable[[str], None]

TYPES: Final = tuple(kind for kind in INJECTABLE_TYPES if kind != "sex_conflict")
_RATIOS: Final = (0.02, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.15, 1.3, 1.5, 1.75, 2, 2.5, 3, 4, 5.5, 8)
_DAYS: Final = (*range(16), 18, 21, 25, 30, 40, 60)
_CHANGED: Final[dict[str, dict[str, Any]]] = {
    # Days follow from dates: hidden alone, or a conflict between them could not be seen.
    "utilization_days": {"mask_group": None, "edges": _DAYS},
    "length_of_stay": {"edges": _DAYS},
    "claim_days": {"edges": _DAYS},
    # Quantiles would put every large payment into one bin.
    "amount_ratio": {"edges": _RATIOS},
}
STAY_SPEC: Final = ClaimSpec(
    "synpuf-stays",
    tuple(replace(field, **_CHANGED.get(field.name, {})) for field in SYNPUF_SPEC.fields),
    SYNPUF_SPEC.identifiers,
)
STAY_PASSES: Final[dict[str, int]] = {
    "provider_state": 0, "utilization_days": 0, "length_of_stay": 0, "drg": 0, "amount": 0,
    "amount_ratio": 0, "admit_dx": 0, "dx": 4, "px": 3,
}  # fmt: skip
# The field that was changed, for each type with one.
FIELD_OF: Final = {
    "cost_outlier": {"amount", "amount_ratio"}, "impossible_days": {"utilization_days"}, "upcoding": {"drg", "amount"},
    "dx_procedure_mismatch": {"px"}, "geography": {"provider_state"}, "phantom": {"dx"}, "unbundling": {"px"},
}  # fmt: skip


def data_folder() -> Path:
    """The folder of the public data: `CLAIMSFORMER_DATA`, or ../shared/data."""
    return Path(os.environ.get("CLAIMSFORMER_DATA", "../shared/data"))


def load() -> pl.DataFrame:
    """All samples; raises ReadError where the data is not there."""
    path = data_folder() / "synpuf" / "inpatient_claims.parquet"
    if not path.is_file():
        raise ReadError(
            "the SynPUF claims are not there", hint="Set CLAIMSFORMER_DATA to the folder that holds synpuf/."
        )
    return pl.read_parquet(path)


def _prepared(frame: pl.DataFrame) -> pl.DataFrame:
    """Prepared sample by sample: a provider's claims are counted within one, or ten samples would count ten times."""
    return pl.concat([prepare_synpuf(part) for part in frame.partition_by("sample", maintain_order=True)])


def _as_claims(frame: pl.DataFrame) -> pl.DataFrame:
    """The claims in the layout of the schema, in the same order; every row must be accepted."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "stays.parquet"
        frame.write_parquet(path)
        with read_claims(path, "synpuf") as reader:
            claims = reader.all()
    kept = frame.select(pl.col("claim").alias("claim_id"))
    if claims.height != frame.height:  # refused rows come back with their number alone, so that rows stay in step
        claims = kept.join(claims, on="claim_id", how="left", maintain_order="left")
    return claims


class Stays:
    """The fitted parts: tokenizer, masked model, calibration, edit tables."""

    def __init__(self, frame: pl.DataFrame, settings: MaskedTraining, config: MaskedModelConfig, tell: Tell) -> None:
        # One member in ten calibrates; the others train.
        held = frame["bene"].hash(seed=settings.seed) % 10 == 0
        train, rest = frame.filter(~held), frame.filter(held)
        check_disjoint(train, rest, "bene")
        prepared = _prepared(train)
        self.tokenizer = FieldTokenizer(STAY_SPEC).fit(prepared)
        self.model = MaskedClaimModel(self.tokenizer, config, settings.seed)

        def on_step(p: Progress) -> None:
            if p.step % 50 == 0 or p.step == p.steps:
                tell(f"step {p.step} of {p.steps}, loss {p.loss:.3f}, {p.claims_per_second:.0f} claims/s")

        self.losses = train_masked(
            self.model, self.tokenizer, self.tokenizer.encode(prepared), settings, on_step=on_step
        )
        sample = rest[: min(rest.height, 4000)]
        self.calibration = Calibration.fit(
            surprises(self.model, self.tokenizer, self.tokenizer.encode(_prepared(sample)), STAY_PASSES)
        )
        history = _as_claims(train.filter(pl.col("sample") == train["sample"].min()))
        self.tables = switch_off(EditTables().learn(_as_claims(train)), history, None, most=0.1)

    def evidence(self, frame: pl.DataFrame) -> Evidence:
        """What edits and model say of each claim."""
        found = surprises(self.model, self.tokenizer, self.encode(frame), STAY_PASSES)
        claims = _as_claims(frame)
        fields = self.calibration.evidence(found)
        return Evidence(
            tuple(EDITS), flags(run_edits(claims, self.tables), claims.height).to_numpy(), found.fields, fields,
            self.calibration.claim_p(fields.max(axis=1)), frame["amt"].fill_null(0.0).to_numpy(),
        )  # fmt: skip

    def encode(self, frame: pl.DataFrame) -> ClaimBatch:
        """Claims as arrays."""
        return self.tokenizer.encode(_prepared(frame))


def run(
    *,
    epochs: int = 3,
    d_model: int = 64,
    samples: int = 10,
    seed: int = 0,
    rate: float = 0.01,
    n_bootstrap: int = 200,
    tell: Tell = print,
) -> dict[str, Any]:
    """Fit, inject, score and compare; returns every figure as JSON values. `samples` limits the clean ones to fit on."""
    everything, started = load(), time.perf_counter()
    clean = everything.filter(pl.col("sample") <= samples)
    injected = {
        k: inject_synpuf(everything.filter(pl.col("sample") == k), seed + k, dict.fromkeys(TYPES, rate))
        for k in (12, 13, 14)
    }
    for frame, _ in injected.values():
        check_disjoint(clean.rename({"bene": "member_id"}), frame.rename({"bene": "member_id"}))
    stays = Stays(
        clean, MaskedTraining(epochs=epochs, seed=seed, learning_rate=2e-3), MaskedModelConfig(d_model=d_model), tell
    )
    trained = time.perf_counter() - started
    tell(f"trained in {trained:.0f} s; scoring samples 12, 13 and 14")
    evidence = {k: stays.evidence(frame) for k, (frame, _) in injected.items()}
    labels = {k: frame["claim"].is_in(truth["claim_id"].implode()).to_numpy() for k, (frame, truth) in injected.items()}
    fusion = Fusion.fit(evidence[12], labels[12], evidence[13], labels[13])
    neural = Fusion.fit(evidence[12], labels[12], evidence[13], labels[13], kind="neural")
    scores = _scores(stays, fusion, neural, clean, injected, evidence, labels, seed, tell)
    probability = fusion.probability(evidence[14])
    return {
        "fitted_on": clean.height,
        "seconds_to_train": round(trained, 1),
        "seconds": round(time.perf_counter() - started, 1),
        "edits_off": list(stays.tables.off),
        "test": {"claims": len(labels[14]), "injected": int(labels[14].sum())},
        "methods": {name: _figures(labels[14], value, n_bootstrap) for name, value in scores.items()},
        "calibration": {"brier": brier(labels[14], probability), "ece": ece(labels[14], probability)},
        "types": _types(injected[14], labels[14], scores),
        "top_field": _top_field(injected[14], evidence[14]),
        "fingerprints": [
            str(finding)
            for finding in fingerprint_report(
                everything.filter(pl.col("sample") == 14), *injected[14], id_column="claim"
            ).findings
        ],
    }


def _scores(
    stays: Stays,
    fusion: Fusion,
    neural: Fusion,
    clean: pl.DataFrame,
    injected: dict[int, tuple[pl.DataFrame, pl.DataFrame]],
    evidence: dict[int, Evidence],
    labels: dict[int, Bools],
    seed: int,
    tell: Tell,
) -> dict[str, Floats]:
    test = evidence[14]
    weights = np.array([rule.weight for rule in EDITS.values()])
    frames = {k: _prepared(frame) for k, (frame, _) in injected.items()}
    part = _prepared(clean.filter(pl.col("sample") <= 2))
    raw_clean, raw_test = baselines.raw_table(part, frames[14], STAY_SPEC)
    both = pl.concat([frames[12], frames[13]])
    known = np.concatenate([labels[12], labels[13]])
    raw_known, raw_judged = baselines.raw_table(both, frames[14], STAY_SPEC)
    ours = np.concatenate([evidence[12].features(), evidence[13].features()])
    tell("other methods")
    return {
        "claimsformer without labels": Fusion(0.05).rank(test),
        "claimsformer with labels": fusion.rank(test),
        "claimsformer with labels, neural head": neural.rank(test),
        "edits alone": test.flags @ weights,
        "surprise alone": test.score,
        "isolation forest": baselines.isolation_forest(raw_clean, raw_test, seed),
        "ECOD": baselines.ecod(raw_clean, raw_test),
        "naive Bayes by field": baselines.naive_bayes(
            stays.tokenizer, stays.encode(clean.filter(pl.col("sample") <= 2)), stays.encode(injected[14][0])
        ),
        "LightGBM on the raw table (labels)": baselines.lightgbm_scores(raw_known, known, raw_judged, seed),
        "LightGBM on raw table, edits and surprises (labels)": baselines.lightgbm_scores(
            np.column_stack([raw_known, ours]), known, np.column_stack([raw_judged, test.features()]), seed
        ),
    }


def _figures(labels: Bools, scores: Floats, n: int) -> dict[str, Any]:
    return {
        "auroc": str(bootstrap(auroc, labels, scores, n=n)),
        "auprc": str(bootstrap(auprc, labels, scores, n=n)),
        "precision_at_200": round(precision_at(labels, scores, 200), 3),
    }


def _kinds(injected: tuple[pl.DataFrame, pl.DataFrame]) -> npt.NDArray[np.object_]:
    frame, truth = injected
    kinds = frame.select(pl.col("claim").alias("claim_id")).join(
        truth.select("claim_id", "type"), on="claim_id", how="left", maintain_order="left"
    )["type"]
    return np.array(kinds.fill_null("").to_list(), dtype=object)


def _types(
    injected: tuple[pl.DataFrame, pl.DataFrame], labels: Bools, scores: dict[str, Floats]
) -> dict[str, dict[str, float]]:
    kinds = _kinds(injected)
    found = {}
    for kind in TYPES:
        mine = kinds == kind
        chosen = mine | ~labels
        found[kind] = {name: round(auroc(mine[chosen], value[chosen]), 3) for name, value in scores.items()}
    return found


def _top_field(injected: tuple[pl.DataFrame, pl.DataFrame], evidence: Evidence) -> dict[str, float]:
    kinds, top = _kinds(injected), np.array(evidence.names)[evidence.fields.argmax(axis=1)]
    found = {kind: float(np.mean([t in fields for t in top[kinds == kind]])) for kind, fields in FIELD_OF.items()}
    return {k: round(v, 3) for k, v in found.items()} | {"mean": round(float(np.mean(list(found.values()))), 3)}
