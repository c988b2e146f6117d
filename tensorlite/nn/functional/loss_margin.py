"""Losses with a margin: of classes, pairs and triplets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...autograd.graph import wrap
from ...ops import loss as ops
from ...ops.table import OPS
from ...tensor import Tensor
from ._reduction import chosen_reduction, reduced
from .activation import softplus
from .distance import pairwise_distance

__all__ = [
    "cosine_embedding_loss",
    "hinge_embedding_loss",
    "margin_ranking_loss",
    "multi_margin_loss",
    "multilabel_margin_loss",
    "soft_margin_loss",
    "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
]


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
    reduction = chosen_reduction(size_average, reduce, reduction)
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
    return reduced(per_row.reshape(()) if input.ndim < 2 and reduction == "none" else per_row, reduction)


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
    reduction = chosen_reduction(size_average, reduce, reduction)
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
    return reduced(per_row.reshape(()) if single and reduction == "none" else per_row, reduction)


# -- pairs and triplets ---------------------------------------------------------------------------------------------------


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
    if not input1.ndim == input2.ndim == target.ndim:
        raise RuntimeError(
            f"margin_ranking_loss : All input tensors should have same dimension but got sizes: input1: {list(input1._data.shape)}, input2: {list(input2._data.shape)}, target: {list(target._data.shape)} "
        )
    return reduced(above_zero(-target * (input1 - input2) + margin), reduction, size_average, reduce)


def above_zero(x: Any) -> Any:
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
    x: Any = input
    y = target._data
    loss = above_zero(margin - x).masked_fill(wrap(y == 1), 0) + x.masked_fill(wrap(y == -1), 0)
    return reduced(loss, reduction, size_average, reduce)


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
    loss = (1 - cosine).masked_fill(wrap(y != 1), 0) + above_zero(cosine - margin).masked_fill(wrap(y != -1), 0)
    return reduced(loss, reduction, size_average, reduce)


def soft_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """`log(1 + exp(-t x))`, `t` being 1 or -1."""
    z: Any = -target * input
    return reduced(softplus(z, 1.0, float("inf")), reduction, size_average, reduce)


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
    reduction = chosen_reduction(size_average, reduce, reduction)
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
    return reduced(above_zero(near - far + margin), reduction)
