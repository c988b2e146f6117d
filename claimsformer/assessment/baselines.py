"""Other methods on the same table of fields: ECOD and naive Bayes by hand, isolation forest and LightGBM from `eval`."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from claimsformer.assessment.fields import CLAIM_SPEC
from claimsformer.errors import MissingExtraError
from claimsformer.tokenizer.fields import ClaimBatch, ClaimSpec, FieldSpec, FieldTokenizer

__all__ = ["ecod", "isolation_forest", "lightgbm_scores", "naive_bayes", "raw_table"]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


def _extra(name: str) -> Any:
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError:
        raise MissingExtraError(
            f"{name.split('.')[0]} is not installed, which this baseline needs", hint='pip install "claimsformer[eval]"'
        ) from None


def raw_table(train: pl.DataFrame, test: pl.DataFrame, spec: ClaimSpec = CLAIM_SPEC) -> tuple[Floats, Floats]:
    """Prepared claims as numbers: numbers as they are, days between two dates, ratios over the medians of `train`; codes
    and categories by their place in the sorted values of their kind, so that neighbours in a hierarchy are neighbours
    here, -1 for values that `train` lacks; NaN for missing ones; and whether member and provider are of one state, which
    no tree finds out from two columns."""
    kinds: dict[str, set[str]] = {}
    for field in spec.fields:
        if not _is_number(field, train):
            values = kinds.setdefault(_kind(field), set())
            for name in field.columns:
                values |= set(train[name].cast(pl.String).drop_nulls().unique())
    codes = {kind: {value: k for k, value in enumerate(sorted(values))} for kind, values in kinds.items()}
    return _numbers(train, train, spec, codes), _numbers(test, train, spec, codes)


def _is_number(field: FieldSpec, frame: pl.DataFrame) -> bool:
    return field.kind == "days" or (field.numeric and frame.schema[field.columns[0]].is_numeric())


def _kind(field: FieldSpec) -> str:
    return "state" if field.name.endswith("state") else field.hierarchy or field.name


def _numbers(frame: pl.DataFrame, train: pl.DataFrame, spec: ClaimSpec, codes: dict[str, dict[str, int]]) -> Floats:
    columns = []
    for field in spec.fields:
        for rank, name in enumerate(field.columns, start=1):
            if _is_number(field, frame):
                columns.append(_number(frame, train, field, rank, name))
                continue
            known = codes.get(_kind(field), {})
            text = frame[name].cast(pl.String).to_list()
            columns.append(np.array([np.nan if v is None else known.get(v, -1) for v in text], dtype=np.float64))
    home = next(name for name in ("member_state", "state") if name in frame.columns)
    same = frame.select((pl.col(home) == pl.col("provider_state")).fill_null(True)).to_series()
    return np.column_stack([*columns, same.cast(pl.Float64).to_numpy()])


def _number(frame: pl.DataFrame, train: pl.DataFrame, field: FieldSpec, rank: int, name: str) -> Floats:
    if field.kind == "days":
        days = pl.col(name).cast(pl.Date) - pl.col(field.since or "").cast(pl.Date)
        return frame.select(days.dt.total_days().cast(pl.Float64)).to_series().to_numpy()
    value = pl.col(name).cast(pl.Float64)
    if field.kind == "ratio":
        group = field.group_column(rank)
        medians = train.group_by(group).agg(value.median().alias("__median")).filter(pl.col("__median") > 0)
        frame = frame.select(name, group).join(medians, on=group, how="left", maintain_order="left")
        value = value / pl.col("__median").fill_null(pl.lit(train[name].cast(pl.Float64).median(), pl.Float64))
    return frame.select(value).to_series().to_numpy()


def ecod(train: Floats, test: Floats) -> Floats:
    """Empirical-cumulative-distribution outlier scores (Li et al. 2022): the largest of the sums of -log tail
    probabilities over left tails, right tails, and the tail that each column's skewness points to."""
    left, right, skewed = (np.zeros(len(test)) for _ in range(3))
    for k in range(train.shape[1]):
        known = np.sort(train[~np.isnan(train[:, k]), k])
        if not len(known) or known[0] == known[-1]:
            continue
        x = test[:, k]
        low = np.searchsorted(known, x, side="right") / len(known)
        high = 1 - np.searchsorted(known, x, side="left") / len(known)
        floor = 1 / (len(known) + 1)
        tail_left, tail_right = (np.where(np.isnan(x), 0, -np.log(np.maximum(t, floor))) for t in (low, high))
        centred = known - known.mean()
        left, right = left + tail_left, right + tail_right
        skewed += tail_left if (centred**3).mean() < 0 else tail_right
    return np.maximum(np.maximum(left, right), skewed)


def isolation_forest(train: Floats, test: Floats, seed: int = 0) -> Floats:
    """scikit-learn's isolation forest, missing values as -2."""
    ensemble = _extra("sklearn.ensemble")
    model = ensemble.IsolationForest(n_estimators=200, random_state=seed, n_jobs=1).fit(np.nan_to_num(train, nan=-2.0))
    scores: Floats = -model.score_samples(np.nan_to_num(test, nan=-2.0))
    return scores


def lightgbm_scores(train: Floats, labels: Bools, test: Floats, seed: int = 0) -> Floats:
    """LightGBM on the raw table, with the classes weighted alike."""
    lightgbm = _extra("lightgbm")
    model = lightgbm.LGBMClassifier(
        n_estimators=300, learning_rate=0.05, num_leaves=31, min_child_samples=20, class_weight="balanced",
        random_state=seed, n_jobs=1, deterministic=True, verbose=-1,
    )  # fmt: skip
    names = [f"c{k}" for k in range(train.shape[1])]
    model.fit(pl.DataFrame(train, schema=names).to_numpy(), labels)
    probabilities: Floats = model.predict_proba(pl.DataFrame(test, schema=names).to_numpy())[:, 1]
    return probabilities


def naive_bayes(tokenizer: FieldTokenizer, train: ClaimBatch, test: ClaimBatch, smoothing: float = 1.0) -> Floats:
    """The masked idea without a network: each field from the others by naive Bayes, of lists of codes the first; the
    largest surprise, each field's on the scale of its quantiles among claims that were not learned from (one in five, at
    most 3,000)."""
    columns = [
        name
        for name in tokenizer.field_names
        if len(_spec(tokenizer, name).columns) == 1 or _spec(tokenizer, name).kind == "code"
    ]
    given, judged = (np.stack([_offsets(tokenizer, b, name) for name in columns], axis=1) for b in (train, test))
    shuffled = given[np.random.default_rng(0).permutation(len(given))]
    kept, learned = np.split(shuffled, [min(3000, len(given) // 5)])
    sizes = [tokenizer.slices[name].stop - tokenizer.slices[name].start for name in columns]
    scores = np.zeros(len(judged))
    for k, size in enumerate(sizes):
        kept_nll = _field_nll(learned, kept, k, size, sizes, smoothing)
        test_nll = _field_nll(learned, judged, k, size, sizes, smoothing)
        ordered = np.sort(kept_nll)
        p = (1 + len(ordered) - np.searchsorted(ordered, test_nll, side="left")) / (len(ordered) + 1)
        scores = np.maximum(scores, -np.log10(p))
    return scores


def _spec(tokenizer: FieldTokenizer, name: str) -> Any:
    return next(field for field in tokenizer.spec.fields if field.name == name)


def _offsets(tokenizer: FieldTokenizer, batch: ClaimBatch, name: str) -> npt.NDArray[np.int64]:
    at = batch.mask & (batch.field_ids == tokenizer.field_id(name))
    first = at.argmax(axis=1)
    rows = np.arange(len(batch))
    offsets = batch.value_ids[rows, first] - tokenizer.slices[name].start
    return np.where(at[rows, first], offsets, 0).astype(np.int64)


def _field_nll(
    learned: npt.NDArray[np.int64],
    judged: npt.NDArray[np.int64],
    k: int,
    size: int,
    sizes: list[int],
    smoothing: float,
) -> Floats:
    prior = np.bincount(learned[:, k], minlength=size) + smoothing
    log_p = np.tile(np.log(prior / prior.sum()), (len(judged), 1))
    for j, other in enumerate(sizes):
        if j != k:
            counts = np.bincount(learned[:, k] * other + learned[:, j], minlength=size * other).reshape(size, other)
            likelihood = np.log((counts + smoothing) / (counts.sum(1, keepdims=True) + smoothing * other))
            log_p += likelihood[:, judged[:, j]].T
    log_p -= np.logaddexp.reduce(log_p, axis=1, keepdims=True)
    nll: Floats = -log_p[np.arange(len(judged)), judged[:, k]]
    return nll
