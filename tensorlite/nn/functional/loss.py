"""Losses, with torch's names and reductions.

One thing differs on purpose: where torch warns that a prediction and a target of different sizes will be broadcast, and goes on,
`mse_loss`, `l1_loss`, `smooth_l1_loss` and `huber_loss` raise.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ...autograd.graph import wrap
from ...autograd.record import apply
from ...ops import loss as ops
from ...ops.table import OPS
from ...tensor import Tensor
from .activation import log_softmax, softplus
from .distance import pairwise_distance

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cosine_embedding_loss",
    "cross_entropy",
    "gaussian_nll_loss",
    "hinge_embedding_loss",
    "huber_loss",
    "kl_div",
    "l1_loss",
    "margin_ranking_loss",
    "mse_loss",
    "multi_margin_loss",
    "multilabel_margin_loss",
    "multilabel_soft_margin_loss",
    "nll_loss",
    "poisson_nll_loss",
    "smooth_l1_loss",
    "soft_margin_loss",
    "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
]


def _legacy(size_average: bool | None, reduce: bool | None, reduction: str) -> str:
    """The reduction that torch's two deprecated flags stand for."""
    if size_average is None and reduce is None:
        ops.check_reduction(reduction)
        return reduction
    if reduce is False:
        return "none"
    return "sum" if size_average is False else "mean"


def _reduced(loss: Any, reduction: str) -> Any:
    return loss if reduction == "none" else loss.mean() if reduction == "mean" else loss.sum()


def _same_size(input: Tensor, target: Tensor, name: str) -> None:
    if input._data.shape != target._data.shape:
        raise RuntimeError(
            f"{name}: the input has size {list(input._data.shape)} and the target {list(target._data.shape)}; "
            "broadcasting them would give a wrong loss without notice. Reshape one, for example with squeeze(-1)"
        )


# -- classification -------------------------------------------------------------------------------------------------------


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Cross entropy of logits `(C,)`, `(N, C)` or `(N, C, d1, ...)` and targets: class indices, or probabilities shaped like the logits.

    Raises:
        IndexError: if a target is neither `ignore_index` nor in `[0, C)`.
        RuntimeError: if label_smoothing is not in [0, 1].
    """
    reduction = _legacy(size_average, reduce, reduction)
    if not 0 <= label_smoothing <= 1:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
    _check_weight(input, weight)
    if target._data.dtype.kind == "f":
        return _soft_cross_entropy(input, target, weight, reduction, label_smoothing)
    rows, labels, restore = _rows(input, target, "cross_entropy")
    w = None if weight is None else weight.detach()
    loss = apply(ops.cross_entropy_rows, (rows, labels, w, ignore_index, label_smoothing, reduction))
    return restore(loss) if reduction == "none" else loss


def _check_weight(input: Tensor, weight: Tensor | None) -> None:
    classes = input._data.shape[0 if input.ndim == 1 else 1] if input.ndim else 0
    if weight is not None and weight._data.shape != (classes,):
        raise RuntimeError(
            f"weight tensor should be defined either for all {classes} classes or no classes but got weight tensor of shape: {list(weight._data.shape)}"
        )


def _rows(input: Tensor, target: Tensor, name: str) -> tuple[Tensor, Tensor, Callable[[Tensor], Tensor]]:
    """Logits as `(rows, C)`, targets as `(rows,)`, and how to give a loss per row the shape of the target."""
    if target._data.dtype.kind not in "iu" or target._data.dtype == np.bool_:
        raise RuntimeError(f"expected scalar type Long but found {target.dtype} for the target of {name}")
    x, y = input._data.shape, target._data.shape
    if input.ndim == 0:
        raise ValueError(f"Expected 1 or more dimensions (got 0) for the input of {name}")
    if input.ndim == 1:
        if y not in ((), (1,)):
            raise ValueError(f"Expected target size [], got {list(y)}")
        return input.reshape(1, -1), target.reshape(1), lambda loss: loss.reshape(y)
    if len(y) != len(x) - 1 or y[0] != x[0] or y[1:] != x[2:]:
        if y and y[0] != x[0]:
            raise ValueError(f"Expected input batch_size ({x[0]}) to match target batch_size ({y[0]}).")
        raise RuntimeError(f"Expected target size {[x[0], *x[2:]]}, got {list(y)}")
    if input.ndim == 2:
        return input, target, lambda loss: loss
    moved = input.movedim(1, -1).reshape(target.numel(), x[1])
    return moved, target.reshape(-1) if target.numel() else target.reshape(0), lambda loss: loss.reshape(y)


def _soft_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None, reduction: str, label_smoothing: float
) -> Tensor:
    if input._data.shape != target._data.shape:
        raise RuntimeError(
            f"Expected floating point type for target with class probabilities to have the shape of the input, got {list(target._data.shape)} and {list(input._data.shape)}"
        )
    dim = 0 if input.ndim == 1 else 1
    classes = input._data.shape[dim]
    q: Any = target if not label_smoothing else target * (1 - label_smoothing) + label_smoothing / classes
    log_p: Any = log_softmax(input, dim)
    if weight is not None:
        log_p = log_p * weight.reshape((-1,) + (1,) * (input.ndim - 1 - dim))
    loss = -(log_p * q).sum(dim)
    if reduction == "mean":
        return loss.sum() / max(input.numel() // max(classes, 1), 1) if input.numel() else loss.sum() / 0.0  # type: ignore[no-any-return]
    return _reduced(loss, reduction)  # type: ignore[no-any-return]


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Negative log likelihood of log probabilities `(C,)`, `(N, C)` or `(N, C, d1, ...)` at class indices."""
    reduction = _legacy(size_average, reduce, reduction)
    _check_weight(input, weight)
    rows, labels, restore = _rows(input, target, "nll_loss")
    loss = apply(ops.nll, (rows, labels, None if weight is None else weight.detach(), ignore_index, reduction))
    return restore(loss) if reduction == "none" else loss


def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """`-(t log p + (1 - t) log(1 - p))` of probabilities; logarithms are no lower than -100. Raises ValueError for different sizes."""
    reduction = _legacy(size_average, reduce, reduction)
    if input._data.shape != target._data.shape:
        raise ValueError(
            f"Using a target size ({list(target._data.shape)}) that is different to the input size ({list(input._data.shape)}) is deprecated. Please ensure they have the same size."
        )
    loss = apply(ops.bce, (input, target))
    return _reduced(loss if weight is None else loss * weight, reduction)  # type: ignore[no-any-return]


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """Binary cross entropy of logits, stable at any size; `pos_weight` weighs the positive answers."""
    reduction = _legacy(size_average, reduce, reduction)
    if input._data.shape != target._data.shape:
        raise ValueError(
            f"Target size ({list(target._data.shape)}) must be the same as input size ({list(input._data.shape)})"
        )
    loss = apply(ops.bce_logits, (input, target, pos_weight))
    return _reduced(loss if weight is None else loss * weight, reduction)  # type: ignore[no-any-return]


def multilabel_soft_margin_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Binary cross entropy of each of `C` labels, averaged over the labels."""
    reduction = _legacy(size_average, reduce, reduction)
    loss: Any = apply(ops.bce_logits, (input, target.to(input.dtype)))
    if weight is not None:
        loss = loss * weight
    return _reduced(loss.mean(-1), reduction)  # type: ignore[no-any-return]


def multi_margin_loss(
    input: Tensor,
    target: Tensor,
    p: int = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """`Σ max(0, margin - x[y] + x[i])^p / C` over the wrong classes `i`."""
    reduction = _legacy(size_average, reduce, reduction)
    if p not in (1, 2):
        raise ValueError("only p == 1 and p == 2 supported")
    x: Any = input if input.ndim == 2 else input.reshape(1, -1)
    y = target._data.reshape(-1)
    rows, classes = x._data.shape
    _check_classes(y, classes)
    right = x.gather(1, wrap(y.reshape(-1, 1)))
    violation = (x - right + margin).relu()
    loss = violation if p == 1 else violation * violation
    if weight is not None:
        loss = loss * wrap(weight._data[y].reshape(-1, 1))
    wrong = np.ones((rows, classes), x._data.dtype)
    wrong[np.arange(rows), y] = 0
    per_row = (loss * wrap(wrong)).sum(1) / classes
    return _reduced(per_row.reshape(()) if input.ndim < 2 and reduction == "none" else per_row, reduction)  # type: ignore[no-any-return]


def _check_classes(target: Any, classes: int) -> None:
    wrong = target[(target < 0) | (target >= classes)]
    if wrong.size:
        raise RuntimeError(f"target out of range: class {wrong.flat[0]} of {classes}")


def multilabel_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """`Σ max(0, 1 - x[y_j] + x[i]) / C` over the target classes `y_j` (those before the first -1) and the other classes `i`."""
    reduction = _legacy(size_average, reduce, reduction)
    if input._data.shape != target._data.shape:
        raise RuntimeError(
            f"inconsistent target size: {list(target._data.shape)} for input of size: {list(input._data.shape)}"
        )
    single = input.ndim < 2
    x: Any = input.reshape(1, -1) if single else input
    y = target._data.reshape(x._data.shape)
    rows, classes = x._data.shape
    listed = np.cumsum(y < 0, axis=1) == 0
    is_target = np.zeros((rows, classes), bool)
    r, c = np.nonzero(listed)
    is_target[r, y[r, c]] = True
    chosen = x.gather(1, wrap(np.where(listed, y, 0)))  # (N, C): the target classes' scores
    violation = (x.unsqueeze(1) - chosen.unsqueeze(2) + 1).relu()  # (N, j, i)
    counts = (listed[:, :, None] & ~is_target[:, None, :]).astype(x._data.dtype)
    per_row = (violation * wrap(counts)).sum((1, 2)) / classes
    return _reduced(per_row.reshape(()) if single and reduction == "none" else per_row, reduction)  # type: ignore[no-any-return]


# -- regression -----------------------------------------------------------------------------------------------------------


def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """`(x - t)²`. Raises RuntimeError for different sizes, where torch broadcasts with a warning."""
    reduction = _legacy(size_average, reduce, reduction)
    _same_size(input, target, "mse_loss")
    d: Any = input - target
    return _weighted(d * d, weight, reduction)


def _weighted(loss: Any, weight: Tensor | None, reduction: str) -> Tensor:
    if weight is None:
        return _reduced(loss, reduction)  # type: ignore[no-any-return]
    if weight._data.shape != loss._data.shape:
        raise ValueError("Weights and input must have the same size.")
    loss = loss * weight
    return loss.sum() / weight.sum() if reduction == "mean" else _reduced(loss, reduction)  # type: ignore[no-any-return]


def l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """`|x - t|`. Raises RuntimeError for different sizes, where torch broadcasts with a warning."""
    reduction = _legacy(size_average, reduce, reduction)
    _same_size(input, target, "l1_loss")
    return _weighted(abs(input - target), weight, reduction)


def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    """Squared below `beta`, linear above (Girshick 2015). Raises RuntimeError for different sizes."""
    reduction = _legacy(size_average, reduce, reduction)
    if beta < 0:
        raise RuntimeError(f"smooth_l1_loss does not support negative values for beta, got {beta}")
    _same_size(input, target, "smooth_l1_loss")
    return _reduced(apply(ops.smooth_l1, (input, target, beta)), reduction)  # type: ignore[no-any-return]


def huber_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0, weight: Tensor | None = None
) -> Tensor:
    """Squared below `delta`, linear above (Huber 1964). Raises RuntimeError for different sizes."""
    ops.check_reduction(reduction)
    if delta <= 0:
        raise RuntimeError(f"huber_loss does not support non-positive values for delta, got {delta}")
    _same_size(input, target, "huber_loss")
    return _weighted(apply(ops.huber, (input, target, delta)), weight, reduction)


# -- distributions --------------------------------------------------------------------------------------------------------


def kl_div(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """`t (log t - x)` for `x` in log space; 0 where `t` is 0. `reduction="batchmean"` divides by the batch size."""
    batchmean = reduction == "batchmean"
    reduction = _legacy(size_average, reduce, "sum" if batchmean else reduction)
    if log_target:
        loss: Any = target.exp() * (target - input)
    else:
        loss = OPS["xlogy"](target, target) - target * input
    result = _reduced(loss, reduction)
    return result / input._data.shape[0] if batchmean and input.ndim else result  # type: ignore[no-any-return]


def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    size_average: bool | None = None,
    eps: float = 1e-8,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Negative log likelihood of counts under a Poisson distribution, with Stirling's term if `full`."""
    reduction = _legacy(size_average, reduce, reduction)
    x: Any = input
    loss = x.exp() - target * x if log_input else x - target * (x + eps).log()
    if full:
        t: Any = target
        stirling = t * t.log() - t + 0.5 * (2 * math.pi * t).log()
        loss = loss + stirling.masked_fill(t <= 1, 0)
    return _reduced(loss, reduction)  # type: ignore[no-any-return]


def gaussian_nll_loss(
    input: Tensor, target: Tensor, var: Tensor | float, full: bool = False, eps: float = 1e-6, reduction: str = "mean"
) -> Tensor:
    """Negative log likelihood under a normal distribution of the given variance, no smaller than `eps`.

    Raises:
        ValueError: if a variance is negative, or its size does not fit.
    """
    if isinstance(var, int | float):
        if var < 0:
            raise ValueError("var has negative entry/entries")
        var = input.new_full(input._data.shape, var)
    if (var._data < 0).any():  # type: ignore[union-attr]
        raise ValueError("var has negative entry/entries")
    ops.check_reduction(reduction)
    sizes, shape = var._data.shape, input._data.shape  # type: ignore[union-attr]
    if sizes != shape:
        if shape[:-1] == sizes:
            var = var.unsqueeze(-1)  # type: ignore[union-attr]
        elif not (shape[:-1] == sizes[:-1] and sizes[-1:] == (1,)) and not (
            len(sizes) == len(shape) and all(m in (1, n) for m, n in zip(sizes, shape, strict=True))
        ):
            raise ValueError("var is of incorrect size")
    v: Any = var
    bounded = v + wrap(np.maximum(v._data, eps) - v._data)  # clamped, with the gradient passed on
    d: Any = input - target
    loss = 0.5 * (bounded.log() + d * d / bounded)
    if full:
        loss = loss + 0.5 * math.log(2 * math.pi)
    return _reduced(loss, reduction)  # type: ignore[no-any-return]


# -- margins --------------------------------------------------------------------------------------------------------------


def margin_ranking_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """`max(0, -t (x1 - x2) + margin)`, `t` being 1 or -1."""
    reduction = _legacy(size_average, reduce, reduction)
    if not input1.ndim == input2.ndim == target.ndim:
        raise RuntimeError(
            f"margin_ranking_loss : All input tensors should have same dimension but got sizes: input1: {list(input1._data.shape)}, input2: {list(input2._data.shape)}, target: {list(target._data.shape)} "
        )
    return _reduced(_above_zero(-target * (input1 - input2) + margin), reduction)  # type: ignore[no-any-return]


def _above_zero(x: Any) -> Any:
    """`clamp(min=0)`: the gradient at 0 is 1, unlike that of relu."""
    return x.clamp(min=0)


def hinge_embedding_loss(
    input: Tensor,
    target: Tensor,
    margin: float = 1.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """`x` where the target is 1, `max(0, margin - x)` where it is -1."""
    reduction = _legacy(size_average, reduce, reduction)
    x: Any = input
    y = target._data
    loss = _above_zero(margin - x).masked_fill(wrap(y == 1), 0) + x.masked_fill(wrap(y == -1), 0)
    return _reduced(loss, reduction)  # type: ignore[no-any-return]


def cosine_embedding_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """`1 - cos(x1, x2)` where the target is 1, `max(0, cos(x1, x2) - margin)` where it is -1."""
    reduction = _legacy(size_average, reduce, reduction)
    a: Any = input1
    b: Any = input2
    if target.ndim not in (0, 1):
        raise RuntimeError(f"0D or 1D target tensor expected, multi-target not supported; got {target.ndim}D")
    if input1.ndim != target.ndim + 1 or input2.ndim != target.ndim + 1:
        raise RuntimeError(
            f"{target.ndim}D target tensor expects {target.ndim + 1}D input tensors, but found inputs with sizes {list(input1._data.shape)} and {list(input2._data.shape)}."
        )
    tiny = 1e-12
    cosine = (a * b).sum(-1) / (((a * a).sum(-1) + tiny) * ((b * b).sum(-1) + tiny)).sqrt()
    y = target._data
    loss = (1 - cosine).masked_fill(wrap(y != 1), 0) + _above_zero(cosine - margin).masked_fill(wrap(y != -1), 0)
    return _reduced(loss, reduction)  # type: ignore[no-any-return]


def soft_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """`log(1 + exp(-t x))`, `t` being 1 or -1."""
    reduction = _legacy(size_average, reduce, reduction)
    z: Any = -target * input
    return _reduced(softplus(z, 1.0, float("inf")), reduction)  # type: ignore[no-any-return]


def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """`max(0, d(a, p) - d(a, n) + margin)` with the p-norm distance; `swap` also takes d(p, n) for the negative (Balntas et al. 2016)."""
    reduction = _legacy(size_average, reduce, reduction)
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    return triplet_margin_with_distance_loss(
        anchor,
        positive,
        negative,
        distance_function=lambda a, b: pairwise_distance(a, b, p, eps),
        margin=margin,
        swap=swap,
        reduction=reduction,
    )


def triplet_margin_with_distance_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """`max(0, d(a, p) - d(a, n) + margin)` with any distance; the Euclidean one by default."""
    ops.check_reduction(reduction)
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    if not anchor.ndim == positive.ndim == negative.ndim:
        raise RuntimeError(
            f"The anchor, positive, and negative tensors are expected to have the same number of dimensions, but got: anchor {anchor.ndim}D, positive {positive.ndim}D, and negative {negative.ndim}D inputs"
        )
    distance = distance_function or pairwise_distance
    near: Any = distance(anchor, positive)
    far: Any = distance(anchor, negative)
    if swap:
        far = OPS["minimum"](far, distance(positive, negative))
    return _reduced(_above_zero(near - far + margin), reduction)  # type: ignore[no-any-return]
