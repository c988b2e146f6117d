"""Losses that need a rule of their own; the others are compositions in `nn.functional`.

Each has torch's reductions: "none", "mean" and "sum".
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..kernels import loss as kernel
from .analytic import branch, ordered, state
from .gather import gather
from .softmax import log_softmax, plain_dtype
from .table import op


def check_reduction(reduction: Any) -> None:
    """Raise ValueError for anything but "none", "mean" and "sum"."""
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not a valid value for reduction")


def _one_hot_weights(target: Any, weight: Any, ignore_index: Any, classes: int) -> tuple[Any, Any]:
    """(kept rows, safe index) of integer targets."""
    kept = target != ignore_index
    index = np.where(kept, target, 0)
    wrong = (index < 0) | (index >= classes)
    if wrong.any():
        raise IndexError(f"Target {index[wrong].flat[0]} is out of bounds.")
    return kept, index


# -- negative log likelihood ----------------------------------------------------------------------------------------------


@op(namespaces=(), quiet=True)
def nll(x: Any, target: Any, weight: Any = None, ignore_index: Any = -100, reduction: Any = "mean") -> Any:
    """`-weight[target] * x[target]` of rows `(N, C)` of log probabilities; the mean divides by the sum of the weights that count."""
    kept, index = _one_hot_weights(target, weight, ignore_index, x.shape[1])
    w = _row_weights(kept, index, weight, x.dtype)
    losses = -np.take_along_axis(x, index[:, None], 1)[:, 0]
    losses = np.where(kept, losses * w, 0)
    if reduction == "none":
        return losses
    total = losses.sum(dtype=np.float64 if x.dtype.kind == "f" else None)
    if reduction == "mean":
        total = total / np.float64(w.real.sum(dtype=np.float64))
    return np.asarray(total, x.dtype)


def _row_weights(kept: Any, index: Any, weight: Any, dtype: Any) -> Any:
    return kept.astype(dtype) if weight is None else np.where(kept, weight[index], 0).astype(dtype)


def _nll_grad(g: Any, target: Any, weight: Any, ignore_index: Any, reduction: Any, x_shape: Any) -> Any:
    kept = target != ignore_index
    index = np.where(kept, target, 0)
    w = weight._data if hasattr(weight, "_data") else weight
    rows = _row_weights(kept, index, w, plain_dtype(g))
    if reduction == "mean":
        with np.errstate(divide="ignore", invalid="ignore"):
            rows = np.where(kept, rows / rows.real.sum(), 0)  # zeros where nothing counts, although the loss is NaN
    selected = np.zeros(x_shape, rows.dtype)
    np.put_along_axis(selected, index[:, None], -rows[:, None], 1)
    return (g.reshape((-1, 1)) if reduction == "none" else g) * selected


nll.grad(x=_nll_grad)


# -- cross entropy --------------------------------------------------------------------------------------------------------


def cross_entropy_definition(
    x: Any,
    target: Any,
    weight: Any = None,
    ignore_index: Any = -100,
    label_smoothing: Any = 0.0,
    reduction: Any = "mean",
) -> Any:
    """-Σ_c q_c w_c log softmax(x)_c with q the smoothed one-hot target, in ordinary ops; the mean divides by Σ w[target]."""
    classes = x.shape[1]
    kept = target != ignore_index
    index = np.where(kept, target, 0)
    w = np.ones(classes) if weight is None else weight._data if hasattr(weight, "_data") else weight
    log_p = log_softmax(x, 1)
    hit = kept * w[index]
    picked = -gather(log_p, 1, index.reshape((-1, 1))).reshape((-1,)) * hit.astype(plain_dtype(x))
    if label_smoothing:
        spread = -(log_p * w.astype(plain_dtype(x))).sum(1)
        picked = picked * (1 - label_smoothing) + spread * (label_smoothing / classes)
    picked = np.where(kept, picked, 0)
    if reduction == "none":
        return picked
    total = picked.sum()
    if reduction == "sum":
        return total
    if not kept.any():
        return total + float("nan")  # which gives no gradient to the rows, as in torch
    return total / float(hit.sum()) if hit.sum() else total * float("nan")


@op(namespaces=(), aux=True, quiet=True, definition=cross_entropy_definition, name="cross_entropy")
def cross_entropy_rows(
    x: Any,
    target: Any,
    weight: Any = None,
    ignore_index: Any = -100,
    label_smoothing: Any = 0.0,
    reduction: Any = "mean",
) -> Any:
    """Cross entropy of logits `(N, C)` and integer targets `(N,)`: log softmax and negative log likelihood in one pass."""
    _one_hot_weights(target, weight, ignore_index, x.shape[1])
    if x.dtype.kind != "f" or not x.size:
        return _analytic_cross_entropy(x, target, weight, ignore_index, label_smoothing, reduction), None
    return kernel.cross_entropy(x, target, weight, ignore_index, label_smoothing, reduction)


def _analytic_cross_entropy(
    x: Any, target: Any, weight: Any, ignore_index: Any, label_smoothing: Any, reduction: Any
) -> Any:
    ordered(x, "cross_entropy")
    return np.asarray(
        kernel.cross_entropy_definition(x, target, weight, ignore_index, label_smoothing, reduction)
        if x.size
        else np.full((), np.nan if reduction == "mean" else 0, x.dtype)
        if reduction != "none"
        else np.zeros(target.shape, x.dtype)
    )


def _cross_entropy_grad(
    g: Any, x: Any, target: Any, aux: Any, weight: Any, ignore_index: Any, label_smoothing: Any, reduction: Any
) -> Any:
    if aux is None:
        return np.zeros(x.shape, x.dtype)
    return kernel.cross_entropy_backward(
        np.asarray(g), x, target, aux, weight, ignore_index, label_smoothing, reduction
    )


cross_entropy_rows.grad(x=_cross_entropy_grad)


# -- binary cross entropy -------------------------------------------------------------------------------------------------


@op(namespaces=(), quiet=True, broadcasts=True)
def bce(x: Any, target: Any) -> Any:
    """`-(t log x + (1 - t) log(1 - x))` of probabilities, with logarithms no lower than -100."""
    r = ordered(x, "binary_cross_entropy")
    if r.size and not ((r >= 0) & (r <= 1)).all():
        raise RuntimeError("all elements of input should be between 0 and 1")
    return -(target * _bounded_log(x) + (1 - target) * _bounded_log(1 - x))


def _bounded_log(x: Any) -> Any:
    y = np.log(x)
    return np.where(branch(y.real < -100), -100, y) if state.on else np.maximum(y, -100)


def _logit_with_bound(x: Any) -> Any:
    return np.maximum(np.log(1 - x), -100) - np.maximum(np.log(x), -100)


bce.grad(
    x=lambda g, x, target: g * (x - target) / np.maximum(x * (1 - x), 1e-12),
    target=lambda g, x: g * _logit_with_bound(x),
)


@op(namespaces=(), quiet=True)
def bce_logits(x: Any, target: Any, pos_weight: Any = None) -> Any:
    """`-(p t log σ(x) + (1 - t) log(1 - σ(x)))` of logits, stable at any size; `p` weighs the positive answers."""
    from .activation import softplus_of

    ordered(x, "binary_cross_entropy_with_logits")
    if pos_weight is None:
        return (1 - target) * x + softplus_of(-x)
    return (1 - target) * x + (1 + (pos_weight - 1) * target) * softplus_of(-x)


def _bce_logits_grad(g: Any, x: Any, target: Any, pos_weight: Any) -> Any:
    from .table import OPS

    s = OPS["sigmoid"](x)
    if pos_weight is None:
        return g * (s - target)
    weighted = pos_weight * target
    return g * ((weighted + 1 - target) * s - weighted)


def _bce_logits_target_grad(g: Any, x: Any, pos_weight: Any) -> Any:
    from .activation import softplus

    return -g * x if pos_weight is None else g * ((pos_weight - 1) * softplus(-x) - x)


def _bce_pos_weight_grad(g: Any, x: Any, target: Any) -> Any:
    from .activation import softplus

    return g * target * softplus(-x)


bce_logits.broadcasts = True
bce_logits.grad(x=_bce_logits_grad, target=_bce_logits_target_grad, pos_weight=_bce_pos_weight_grad)


# -- distances ------------------------------------------------------------------------------------------------------------


@op(namespaces=())
def huber(x: Any, y: Any, delta: Any = 1.0) -> Any:
    """Half the squared difference where it is below `delta`, else `delta (|x - y| - delta / 2)`."""
    d = x - y
    r = ordered(d, "huber_loss")
    near = branch(np.abs(r) < delta)
    return np.where(near, 0.5 * d * d, delta * (np.where(r < 0, -d, d) - 0.5 * delta)).astype(d.dtype, copy=False)


def _huber_slope(g: Any, x: Any, y: Any, delta: Any) -> Any:
    d = x - y
    return g * np.where((d < delta) & (d > -delta), d, np.where(d < 0, -delta, delta))


huber.grad(x=_huber_slope, y=lambda g, x, y, delta: -_huber_slope(g, x, y, delta))


@op(namespaces=())
def smooth_l1(x: Any, y: Any, beta: Any = 1.0) -> Any:
    """`(x - y)² / (2 beta)` where `|x - y|` is below `beta`, else `|x - y| - beta / 2`."""
    d = x - y
    r = ordered(d, "smooth_l1_loss")
    near = branch(np.abs(r) < beta)
    size = np.where(r < 0, -d, d)
    return np.where(near, 0.5 * d * d / (beta or 1.0), size - 0.5 * beta).astype(d.dtype, copy=False)


def _smooth_l1_slope(g: Any, x: Any, y: Any, beta: Any) -> Any:
    d = x - y
    return g * np.where((d < beta) & (d > -beta), d / (beta or 1.0), np.sign(d))


smooth_l1.grad(x=_smooth_l1_slope, y=lambda g, x, y, beta: -_smooth_l1_slope(g, x, y, beta))
