"""The experiment on real claims: CMS DE-SynPUF inpatient stays with anomalies injected into held-out samples.

Fit on samples 1 to 10 as they are; the supervised head learns and is calibrated on injected samples 12 and 13, crosswise
by member; everything is reported on injected 14. No sample shares a member with another. Planted values come from
samples 1 to 10. Sex conflict is left out: in this data sex tells nothing about diagnoses, by its disclosure protection.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from claimsformer.assessment import baselines
from claimsformer.assessment.edits import EDITS
from claimsformer.assessment.fusion import Evidence, Fusion, class_weights
from claimsformer.assessment.metrics import auprc, auroc, bootstrap, bootstrap_difference, brier, ece, precision_at
from claimsformer.assessment.neural_head import NeuralHead
from claimsformer.assessment.splits import check_disjoint, member_folds
from claimsformer.assessment.stays import STAY_MODEL, STAY_QUESTIONS, STAY_TRAINING, Stays
from claimsformer.claims.injector import INJECTABLE_TYPES, fingerprint_report, inject_synpuf
from claimsformer.errors import ReadError
from claimsformer.tokenizer.fields import SYNPUF_SPEC, prepare_synpuf

__all__ = ["TYPES", "load", "run"]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Tell = Callable[[str], None]

HEADS: Final[tuple[Literal["logistic", "neural"], ...]] = ("logistic", "neural")
TYPES: Final = tuple(kind for kind in INJECTABLE_TYPES if kind != "sex_conflict")
# The field that was changed, for each type that changes one. Upcoding changes two, a duplicate none.
FIELD_OF: Final = {
    "cost_outlier": "amount", "impossible_days": "days_beyond_stay", "dx_procedure_mismatch": "px",
    "geography": "provider_state", "phantom": "dx", "unbundling": "px",
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


def run(
    *,
    epochs: int | None = None,
    d_model: int = STAY_MODEL.d_model,
    samples: int = 10,
    seed: int = 0,
    rate: float = 0.01,
    n_bootstrap: int = 200,
    test: int = 14,
    tell: Tell = print,
) -> dict[str, Any]:
    """Fit, inject, score and compare; returns every figure as JSON values.

    `samples` limits the clean ones to fit on. `test` is 14; another one above 11 takes its place while choices are made,
    and the head then learns on the rest of 12 and 13.
    """
    everything, started = load(), time.perf_counter()
    clean = everything.filter(pl.col("sample") <= samples)
    known = [k for k in (12, 13) if k != test]
    injected = {
        k: inject_synpuf(_sample(everything, k), seed + k, dict.fromkeys(TYPES, rate), donors=clean)
        for k in (*known, test)
    }
    for frame, _ in injected.values():
        check_disjoint(clean.rename({"bene": "member_id"}), frame.rename({"bene": "member_id"}))
    training = replace(STAY_TRAINING, epochs=epochs or STAY_TRAINING.epochs, seed=seed)
    stays = Stays(clean, training, replace(STAY_MODEL, d_model=d_model), tell)
    tell(f"trained in {stays.cpu_seconds:.0f} s of CPU time; scoring")
    evidence = {k: stays.evidence(frame) for k, (frame, _) in injected.items()}
    labels = {k: frame["claim"].is_in(truth["claim_id"].implode()).to_numpy() for k, (frame, truth) in injected.items()}
    learned = _Labelled(
        Evidence.concatenate([evidence[k] for k in known]),
        np.concatenate([labels[k] for k in known]),
        member_folds(pl.concat([injected[k][0]["bene"] for k in known])),
    )
    scores, probability = _scores(stays, clean, injected, known, test, learned, evidence[test], seed, tell)
    ours, y = {name: value for name, value in scores.items() if name.startswith("claimsformer")}, labels[test]
    return {
        "fitted_on": clean.height,
        "cpu_seconds_to_train": round(stays.cpu_seconds, 1),
        "seconds": round(time.perf_counter() - started, 1),
        "edits_off": list(stays.tables.off),
        "test": {"sample": test, "claims": len(y), "injected": int(y.sum())},
        "methods": {name: _figures(y, value, n_bootstrap) for name, value in scores.items()},
        "margins": {
            name: {other: _margins(y, value, scores[other], n_bootstrap) for other in scores if other not in ours}
            for name, value in ours.items()
        },
        "calibration": {name: {"brier": brier(y, p), "ece": ece(y, p)} for name, p in probability.items()},
        "types": _types(injected[test], y, scores),
        "first_200": _first(injected[test], {name: value for name, value in scores.items() if name in ours}),
        "imbalance": _imbalance(learned, evidence[test], y, n_bootstrap, seed),
        "top_field": _top_field(injected[test], evidence[test]),
        "fingerprints": [
            str(finding)
            for finding in fingerprint_report(
                pl.concat([clean, _sample(everything, test)]), *injected[test], id_column="claim"
            ).findings
        ],
    }


@dataclass(frozen=True)
class _Labelled:
    evidence: Evidence
    labels: Bools
    folds: npt.NDArray[np.int64]


def _sample(everything: pl.DataFrame, k: int) -> pl.DataFrame:
    return everything.filter(pl.col("sample") == k)


def _scores(
    stays: Stays,
    clean: pl.DataFrame,
    injected: dict[int, tuple[pl.DataFrame, pl.DataFrame]],
    known: list[int],
    test: int,
    learned: _Labelled,
    judged: Evidence,
    seed: int,
    tell: Tell,
) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """Scores of all methods on the test sample, and the calibrated probabilities of those that have them."""
    weights = np.array([rule.weight for rule in EDITS.values()])
    frames = {k: prepare_synpuf(injected[k][0]) for k in (*known, test)}
    part = clean.filter(pl.col("sample") <= 2)
    raw_clean, raw_test = baselines.raw_table(
        pl.concat([prepare_synpuf(p) for p in part.partition_by("sample")]), frames[test], SYNPUF_SPEC
    )
    raw_known, raw_judged = baselines.raw_table(pl.concat([frames[k] for k in known]), frames[test], SYNPUF_SPEC)
    with_ours = np.column_stack([raw_known, learned.evidence.features()])
    tell("the supervised heads and other methods")
    heads = {kind: Fusion.fit_crossed(learned.evidence, learned.labels, learned.folds, kind=kind) for kind in HEADS}
    scores = {
        "claimsformer without labels": Fusion(0.05, edit_p=stays.edit_p).rank(judged),
        "claimsformer without labels, edits by stated weights": Fusion(0.05).rank(judged),
        **{f"claimsformer with labels, {kind} head": head.rank(judged) for kind, head in heads.items()},
        "edits alone": judged.flags @ weights,
        "surprise alone": judged.score,
        "isolation forest": baselines.isolation_forest(raw_clean, raw_test, seed),
        "ECOD": baselines.ecod(raw_clean, raw_test),
        "naive Bayes by field": baselines.naive_bayes(
            stays.tokenizer, stays.encode(clean), stays.encode(injected[test][0])
        ),
        "LightGBM on the raw table (labels)": baselines.lightgbm_scores(raw_known, learned.labels, raw_judged, seed),
        "LightGBM on raw table, edits and surprises (labels)": baselines.lightgbm_scores(
            with_ours, learned.labels, np.column_stack([raw_judged, judged.features()]), seed
        ),
    }
    return scores, {kind: head.probability(judged) for kind, head in heads.items()}


def _figures(labels: Bools, scores: Floats, n: int) -> dict[str, Any]:
    return {
        "auroc": str(bootstrap(auroc, labels, scores, n=n)),
        "auprc": str(bootstrap(auprc, labels, scores, n=n)),
        "precision_at_200": round(precision_at(labels, scores, 200), 3),
    }


def _imbalance(learned: _Labelled, judged: Evidence, y: Bools, n: int, seed: int) -> dict[str, dict[str, Any]]:
    """The neural head with different remedies for one claim in a dozen being suspicious."""
    x, labels, test = learned.evidence.features(), learned.labels, judged.features()
    alike = np.ones(len(x))
    positive = np.flatnonzero(labels)
    drawn = np.random.default_rng(seed).choice(positive, size=len(labels) - 2 * len(positive))
    more = np.concatenate([np.arange(len(x)), drawn])
    heads = {
        "plain": NeuralHead.fit(x, labels, alike, seed=seed),
        "class weights": NeuralHead.fit(x, labels, class_weights(labels), seed=seed),
        "focal loss, exponent 2": NeuralHead.fit(x, labels, alike, focus=2.0, seed=seed),
        "suspicious claims repeated": NeuralHead.fit(x[more], labels[more], np.ones(len(more)), seed=seed),
    }
    return {name: _figures(y, head(test), n) for name, head in heads.items()}


def _margins(labels: Bools, ours: Floats, theirs: Floats, n: int) -> dict[str, str]:
    """How far ahead, on the same resampled claims."""
    return {
        name: str(bootstrap_difference(figure, labels, ours, theirs, n=n))
        for name, figure in (("auroc", auroc), ("auprc", auprc))
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


def _first(
    injected: tuple[pl.DataFrame, pl.DataFrame], scores: dict[str, Floats], k: int = 200
) -> dict[str, dict[str, int]]:
    """How many of each type stand among the `k` claims with the highest scores, and how many that are ordinary."""
    kinds = _kinds(injected)
    found = {}
    for name, value in scores.items():
        first = kinds[np.argsort(-value, kind="stable")[:k]]
        found[name] = {kind or "ordinary": int((first == kind).sum()) for kind in (*TYPES, "")}
    return found


def _top_field(injected: tuple[pl.DataFrame, pl.DataFrame], evidence: Evidence) -> dict[str, float]:
    """How often the field with the most evidence is the one that was changed."""
    kinds = _kinds(injected)
    top = np.array([question.field for question in STAY_QUESTIONS])[evidence.fields.argmax(axis=1)]
    found = {kind: float(np.mean(top[kinds == kind] == field)) for kind, field in FIELD_OF.items()}
    return {k: round(v, 3) for k, v in found.items()} | {"mean": round(float(np.mean(list(found.values()))), 3)}
