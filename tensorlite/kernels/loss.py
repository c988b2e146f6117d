"""Cross-entropy from logits and integer targets: one exponential pass each way, no array of probabilities kept."""

from __future__ import annotations

from typing import Literal

import numpy as np

from tensorlite.kernels.blocks import (
    Array,
    delivered,
    destination,
    float16_by_float32,
    ones,
    row_blocks,
    rows_unbuffered,
    scratch,
)
from tensorlite.kernels.softmax import log_softmax_definition, sums_are_safe
from tensorlite.kernels.threads import parallel_for

Reduction = Literal["none", "mean", "sum"]

# Below it exp(x) · exp(−logsumexp) neither overflows nor loses a probability above 1e-29.
LARGEST_UNSHIFTED_LOGSUMEXP = 20.0


def cross_entropy_definition(
    logits: Array,
    target: Array,
    weight: Array | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: Reduction = "mean",
) -> Array:
    """−Σ_c q_c w_c log softmax(logits)_c with q the smoothed one-hot target; the mean divides by Σ w[target]."""
    rows, classes = logits.shape
    kept = target != ignore_index
    index = np.where(kept, target, 0)
    w = np.ones(classes, logits.dtype) if weight is None else weight
    log_p = log_softmax_definition(logits)
    picked = -log_p[np.arange(rows), index] * w[index]
    smooth = -(log_p * w).sum(-1) / classes
    losses = np.where(kept, (1 - label_smoothing) * picked + label_smoothing * smooth, 0)
    if reduction == "none":
        return losses
    total = losses.sum()
    return np.asarray(total if reduction == "sum" else total / np.where(kept, w[index], 0).sum())


@float16_by_float32
def cross_entropy(
    logits: Array,
    target: Array,
    weight: Array | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: Reduction = "mean",
) -> tuple[Array, Array]:
    """Loss of logits (N, C) and integer targets (N,), and the logsumexp (2, N) of each row that the backward needs.

    The logsumexp comes in two parts, both float64: rounded to the dtype of the logits, and what the rounding left, which
    is all that tells the probabilities apart beside logits of 1e8, or of 1e3 in float16.

    Raises:
        IndexError: if a target is neither `ignore_index` nor in [0, C).
        ValueError: if shapes or the reduction do not fit.
    """
    rows, classes = _checked(logits, target, reduction)
    kept, index = _targets(target, classes, ignore_index)
    losses, logsumexp = np.empty(rows, logits.dtype), np.empty((2, rows))
    vector = ones(classes, logits.dtype)
    w = None if weight is None else weight.astype(logits.dtype, copy=False)
    each_weight = vector if w is None else w

    def block(start: int, stop: int) -> None:
        x = logits[start:stop]
        hit = index[start:stop]
        picked = x[np.arange(stop - start), hit].astype(np.float64)
        shifted = scratch("cross_entropy", x.shape, x.dtype)
        total = np.exp(x, out=shifted) @ vector
        top = np.zeros(stop - start, x.dtype)
        if sums_are_safe(total):
            smooth = x @ each_weight if label_smoothing else None
        else:
            top = np.maximum.reduce(x, axis=1)
            np.subtract(x, top[:, None], out=shifted)
            picked -= top
            smooth = shifted @ each_weight if label_smoothing else None
            total = np.exp(shifted, out=shifted) @ vector
        log_total = np.log(total, dtype=np.float64)
        loss = log_total - picked
        if w is not None:
            loss *= w[hit]
        if smooth is not None:
            loss *= 1 - label_smoothing
            loss += (log_total * each_weight.sum() - smooth) * (label_smoothing / classes)
        losses[start:stop] = loss
        rounded, left = logsumexp[:, start:stop]
        rounded[...] = (top + log_total).astype(x.dtype)
        np.add(top - rounded, log_total, out=left)

    if logits.size:
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"), rows_unbuffered(classes):
            parallel_for(block, row_blocks(rows, classes))
    if kept is not None:
        losses[~kept] = 0
    if reduction == "none":
        return losses, logsumexp
    total = losses.sum(dtype=np.float64)
    if reduction == "mean":
        total = _divide(total, _normaliser(kept, index, w, rows))
    return np.asarray(total, logits.dtype), logsumexp


@float16_by_float32
def cross_entropy_backward(
    g: Array,
    logits: Array,
    target: Array,
    logsumexp: Array,
    weight: Array | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: Reduction = "mean",
    *,
    out: Array | None = None,
) -> Array:
    """Cotangent (N, C) of the logits from that of the loss: (N,) for reduction "none", else a scalar array."""
    rows, classes = _checked(logits, target, reduction)
    kept, index = _targets(target, classes, ignore_index)
    w = None if weight is None else weight.astype(logits.dtype, copy=False)
    scale = np.broadcast_to(np.asarray(g, np.float64), (rows,))
    if reduction == "mean":
        scale = np.asarray(_divide(scale, _normaliser(kept, index, w, rows)))
    smooth = (scale * (label_smoothing / classes)).astype(logits.dtype)
    hit_scale = (scale * (1 - label_smoothing)).astype(logits.dtype)
    if w is not None:
        hit_scale *= w[index]
    total_weight = classes if w is None else float(w.sum(dtype=np.float64))
    row_scale = hit_scale + smooth * logits.dtype.type(total_weight)
    result = destination(out, logits.shape, logits.dtype)

    def block(start: int, stop: int) -> None:
        x, d = logits[start:stop], result[start:stop]
        rounded, left = logsumexp[:, start:stop]
        if (np.abs(rounded) <= LARGEST_UNSHIFTED_LOGSUMEXP).all():
            np.exp(x, out=d)
            left = rounded + left
        else:
            np.exp(np.subtract(x, rounded.astype(x.dtype)[:, None], out=d), out=d)
        factor = (row_scale[start:stop] * np.exp(-left)).astype(x.dtype)
        np.multiply(d, factor[:, None], out=d)
        if label_smoothing:
            each = smooth[start:stop, None]
            np.subtract(d, each if w is None else each * w, out=d)
        d[np.arange(stop - start), index[start:stop]] -= hit_scale[start:stop]
        if kept is not None:
            d[~kept[start:stop]] = 0

    if logits.size:
        with np.errstate(invalid="ignore"), rows_unbuffered(classes):
            parallel_for(block, row_blocks(rows, classes))
    return delivered(result, out)


def _checked(logits: Array, target: Array, reduction: str) -> tuple[int, int]:
    if logits.ndim != 2 or target.shape != logits.shape[:1]:
        raise ValueError(f"cross_entropy expects logits (N, C) and targets (N,), got {logits.shape} and {target.shape}")
    if target.dtype.kind not in "iu":
        raise ValueError(f"cross_entropy expects integer targets, got {target.dtype}")
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"reduction must be 'none', 'mean' or 'sum', got {reduction!r}")
    rows, classes = logits.shape
    return rows, classes


def _targets(target: Array, classes: int, ignore_index: int) -> tuple[Array | None, Array]:
    """Mask of the rows that count (None when all do) and targets safe to index with."""
    kept = target != ignore_index
    if kept.all():
        mask, index = None, target
    else:
        mask, index = kept, np.where(kept, target, 0)
    wrong = (index < 0) | (index >= classes)
    if mask is not None:
        wrong &= mask
    if wrong.any():
        raise IndexError(f"Target {index[wrong][0]} is out of bounds.")
    return mask, index


def _normaliser(kept: Array | None, index: Array, weight: Array | None, rows: int) -> float:
    if weight is None:
        return float(rows if kept is None else np.count_nonzero(kept))
    chosen = weight[index] if kept is None else weight[index[kept]]
    return float(chosen.sum(dtype=np.float64))


def _divide(numerator: Array, denominator: float) -> Array:
    """Division in which an empty or wholly ignored batch, or one whose targets weigh nothing, gives NaN, as in torch."""
    return np.asarray(np.divide(numerator, denominator or np.nan))
