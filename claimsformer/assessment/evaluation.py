"""How good a processor is on claims with known truth, next to other methods on the same claims in the same run.

A split that leaks is refused: no member, and no claim, may be on both sides.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from claimsformer.assessment import baselines
from claimsformer.assessment.curves import precision_by_recall, roc
from claimsformer.assessment.edits import EDITS, Directory, flags, run_edits
from claimsformer.assessment.fields import CLAIM_FIELDS, prepare
from claimsformer.assessment.labels import check_both_kinds, tidy_labels
from claimsformer.assessment.metrics import (
    Interval,
    auprc,
    auroc,
    bootstrap,
    brier,
    by_group,
    ece,
    net_dollars,
    precision_at,
    reliability,
)
from claimsformer.assessment.processor import ClaimsProcessor
from claimsformer.assessment.splits import check_disjoint
from claimsformer.errors import MissingExtraError

__all__ = ["Evaluation", "Method", "evaluate"]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Tell = Callable[[str, float], None]


@dataclass(frozen=True)
class Method:
    """One method's figures; `labels` says whether it was trained on labels."""

    name: str
    labels: bool
    auroc: Interval
    auprc: Interval
    precision_at_50: float


@dataclass(frozen=True)
class Evaluation:
    """`types` holds AUROC by type of anomaly for the processor and for surprise alone; `dollars` the net dollars of
    reviewing by expected value, at the best fixed threshold, of everything and of nothing; `left_out` the methods that
    could not run, and why; `curves` for each method the true positive rate by false positive rate ("roc", at `curves.GRID`)
    and the precision by recall ("precision", at the same without 0)."""

    n_claims: int
    n_suspicious: int
    methods: tuple[Method, ...]
    brier: float
    ece: float
    reliability: tuple[tuple[float, float, int], ...]
    types: dict[str, dict[str, float]]
    localisation: dict[str, float]
    dollars: dict[str, float]
    subgroups: dict[str, dict[str, float]]
    left_out: tuple[str, ...]
    curves: dict[str, dict[str, tuple[float, ...]]]

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)


def evaluate(
    processor: ClaimsProcessor,
    train: pl.DataFrame,
    test: pl.DataFrame,
    truth: pl.DataFrame,
    *,
    directory: Directory | None = None,
    seed: int = 0,
    n_bootstrap: int = 200,
    on_progress: Tell | None = None,
) -> Evaluation:
    """Judge a fitted processor on `test`; `train` is the history it was fitted on, `truth` as the generator makes it.

    A `truth` with a column `suspicious` lists ordinary claims as well, as labels do. Intervals come from resampled
    members. Raises LeakageError where the split leaks, and ConfigError where all or none of `test` is suspicious.
    """
    check_disjoint(train, test)
    known = tidy_labels(truth.select(name for name in ("claim_id", "suspicious") if name in truth.columns))
    check_both_kinds(test, known, "to evaluate on")
    truth = truth.join(known.filter("suspicious"), on="claim_id", how="semi", maintain_order="left")
    tell: Tell = on_progress or (lambda what, share: None)
    labels = _labelled(test, truth)
    members = test["member_id"].rank("dense").cast(pl.Int64).to_numpy()
    tell("scoring", 0.1)
    table = processor.score(test, directory=directory)
    scores, left_out = _method_scores(processor, train, test, truth, table, directory, seed, tell)
    methods = tuple(
        Method(
            name,
            supervised,
            bootstrap(auroc, labels, values, groups=members, n=n_bootstrap, seed=seed),
            bootstrap(auprc, labels, values, groups=members, n=n_bootstrap, seed=seed),
            precision_at(labels, values, 50),
        )
        for name, (supervised, values) in scores.items()
    )
    probability = table["probability"].to_numpy()
    tell("explaining", 0.9)
    return Evaluation(
        n_claims=test.height,
        n_suspicious=int(labels.sum()),
        methods=methods,
        brier=brier(labels, probability),
        ece=ece(labels, probability),
        reliability=tuple(reliability(labels, probability)),
        types=_by_type(test, truth, labels, scores),
        localisation=_localisation(processor, test, truth, table, directory),
        dollars=_dollars(processor, labels, table),
        subgroups=_subgroups(test, labels, scores["claimsformer"][1]),
        left_out=tuple(left_out),
        curves={
            "roc": {name: tuple(roc(labels, values).round(4).tolist()) for name, (_, values) in scores.items()},
            "precision": {
                name: tuple(precision_by_recall(labels, values).round(4).tolist())
                for name, (_, values) in scores.items()
            },
        },
    )


def _labelled(claims: pl.DataFrame, truth: pl.DataFrame) -> Bools:
    return claims["claim_id"].is_in(truth["claim_id"].implode()).to_numpy()


Scores = dict[str, tuple[bool, Floats]]


def _method_scores(
    processor: ClaimsProcessor,
    train: pl.DataFrame,
    test: pl.DataFrame,
    truth: pl.DataFrame,
    table: pl.DataFrame,
    directory: Directory | None,
    seed: int,
    tell: Tell,
) -> tuple[Scores, list[str]]:
    findings = run_edits(test, processor.tables, directory=directory)
    weights = np.array([rule.weight for rule in EDITS.values()])
    fired = flags(findings, test.height).to_numpy() @ weights
    scores: Scores = {
        "claimsformer": (processor.calibrated, table["rank"].to_numpy()),
        "edits alone": (False, fired),
        "surprise alone": (False, table["surprise"].to_numpy()),
    }
    left_out: list[str] = []
    prepared = prepare(train), prepare(test)
    raw = baselines.raw_table(*prepared)
    known = _labelled(train, truth)
    tokenizer = processor.tokenizer
    others: dict[str, tuple[bool, Callable[[], Floats]]] = {
        "isolation forest": (False, lambda: baselines.isolation_forest(*raw, seed)),
        "ECOD": (False, lambda: baselines.ecod(*raw)),
        "naive Bayes by field": (
            False,
            lambda: baselines.naive_bayes(tokenizer, tokenizer.encode(prepared[0]), tokenizer.encode(prepared[1])),
        ),
        "LightGBM on the raw table": (True, lambda: baselines.lightgbm_scores(raw[0], known, raw[1], seed)),
    }
    for k, (name, (supervised, run)) in enumerate(others.items()):
        tell(name, 0.3 + 0.15 * k)
        try:
            scores[name] = (supervised, run())
        except MissingExtraError as error:
            left_out.append(f"{name}: {error.message}; {error.hint}")
    return scores, left_out


def _by_type(test: pl.DataFrame, truth: pl.DataFrame, labels: Bools, scores: Scores) -> dict[str, dict[str, float]]:
    types = test.select("claim_id").join(
        truth.select("claim_id", "type").unique("claim_id"), on="claim_id", how="left", maintain_order="left"
    )["type"]
    found = {}
    for kind in sorted(types.drop_nulls().unique()):
        mine = (types == kind).fill_null(False).to_numpy()
        chosen = mine | ~labels
        found[kind] = {"n": float(mine.sum())} | {
            name: round(auroc(mine[chosen], scores[name][1][chosen]), 4) for name in ("claimsformer", "surprise alone")
        }
    return found


def _localisation(
    processor: ClaimsProcessor,
    test: pl.DataFrame,
    truth: pl.DataFrame,
    table: pl.DataFrame,
    directory: Directory | None,
) -> dict[str, float]:
    """How often the first field named is a field that was changed: for the processor, and for surprise alone."""
    listed = test.with_row_index("row").join(
        truth.select("claim_id", "field", "fields", "scope").unique("claim_id"), on="claim_id"
    )
    listed = listed.filter(pl.col("scope").is_in(["line", "claim"])).sort("row")
    if listed.is_empty():
        return {}
    rows = listed["row"].to_list()
    found = processor.assess(test[rows], history=test, directory=directory, explain="all")
    wanted = [{row["field"], *row["fields"]} for row in listed.select("field", "fields").iter_rows(named=True)]
    first = [a.reasons[0].field if a.reasons else "" for a in found]
    names = table["top_field"].to_list()
    surprising = [CLAIM_FIELDS.get(names[row], names[row]) for row in rows]
    return {
        "n": float(len(rows)),
        "claimsformer": float(np.mean([f in w for f, w in zip(first, wanted, strict=True)])),
        "surprise alone": float(np.mean([f in w for f, w in zip(surprising, wanted, strict=True)])),
    }


def _dollars(processor: ClaimsProcessor, labels: Bools, table: pl.DataFrame) -> dict[str, float]:
    amount, probability = table["amount_at_risk"].to_numpy(), table["probability"].to_numpy()

    def net(reviewed: Bools) -> float:
        return round(net_dollars(labels, reviewed, amount, processor.costs), 2)

    thresholds = np.unique(np.round(probability, 3))
    return {
        "by expected value": net((table["action"] == "review").to_numpy()),
        "best fixed threshold (chosen with hindsight)": max(net(probability >= t) for t in thresholds),
        "everything reviewed": net(np.ones(len(labels), dtype=np.bool_)),
        "nothing reviewed": 0.0,
        "every anomaly and nothing else": net(labels),
    }


def _subgroups(test: pl.DataFrame, labels: Bools, scores: Floats) -> dict[str, dict[str, float]]:
    age = (pl.col("service_from") - pl.col("member_birth_date")).dt.total_days() / 365.25
    bands = test.select(
        sex=pl.col("member_sex").fill_null("unknown"),
        age=pl.when(age < 18)
        .then(pl.lit("under 18"))
        .when(age < 65)
        .then(pl.lit("18 to 64"))
        .otherwise(pl.lit("65 on")),
        claim_type=pl.col("claim_type"),
    )
    return {name: by_group(labels, scores, bands[name].to_numpy().astype(object)) for name in bands.columns}
