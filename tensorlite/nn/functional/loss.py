"""Losses of classification, with torch's names and reductions. Those of numbers are in `loss_regression`, those with a margin in `loss_margin`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...autograd.mode import is_grad_enabled
from ...autograd.record import apply
from ...ops import loss as ops
from ...tensor import Tensor
from ._reduction import chosen_reduction, reduced
from .activation import log_softmax

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "multilabel_soft_margin_loss",
    "nll_loss",
]


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
    reduction = chosen_reduction(size_average, reduce, reduction)
    if not 0 <= label_smoothing <= 1:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
    _check_weight(input, weight)
    if target._data.dtype.kind == "f":
        return _soft_cross_entropy(input, target, weight, reduction, label_smoothing)
    rows, labels, restore = _rows(input, target, "cross_entropy")
    w = _fixed(weight)
    loss = apply(ops.cross_entropy_rows, (rows, labels, w, ignore_index, label_smoothing, reduction))
    return restore(loss) if reduction == "none" else loss


def _check_weight(input: Tensor, weight: Tensor | None) -> None:
    classes = input._data.shape[0 if input.ndim == 1 else 1] if input.ndim else 0
    if weight is not None and weight._data.shape != (classes,):
        raise RuntimeError(
            f"weight tensor should be defined either for all {classes} classes or no classes but got weight tensor of shape: {list(weight._data.shape)}"
        )


def _fixed(weight: Tensor | None) -> Tensor | None:
    """Class weights as constants. Raises RuntimeError if a gradient is expected of them, as torch does."""
    if weight is not None and weight.requires_grad and is_grad_enabled():
        raise RuntimeError(
            "class weights with integer targets get no gradient: this weight cannot have requires_grad=True; use "
            "weight.detach(), or class probabilities as the target"
        )
    return None if weight is None else weight.detach()


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
        return input.reshape(1, -1), target.reshape(1), lambda loss: loss.reshape(())
    if len(y) != len(x) - 1 or y[0] != x[0] or y[1:] != x[2:]:
        if y[:1] != x[:1]:
            raise ValueError(f"Expected input batch_size ({x[0]}) to match target batch_size ({y[0] if y else 0}).")
        raise RuntimeError(f"Expected target size {[x[0], *x[2:]]}, got {list(y)}")
    if input.ndim == 2:
        return input, target, lambda loss: loss
    moved = input.movedim(1, -1).reshape(target.numel(), x[1])
    return moved, target.reshape(-1) if target.numel() else target.reshape(0), lambda loss: loss.reshape(y)


def _soft_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None, reduction: str, label_smoothing: float
) -> Tensor:
    if input._data.shape != target._data.shape:
        if target.ndim < input.ndim:
            raise RuntimeError(
                f"cross_entropy: expected target dtype to be Long or Byte, but got {target.dtype}: class indices are integers, "
                "target.long(); class probabilities have the shape of the input"
            )
        raise RuntimeError(
            f"Expected floating point type for target with class probabilities to have the shape of the input, got {list(target._data.shape)} and {list(input._data.shape)}"
        )
    dim = 0 if input.ndim == 1 else 1
    classes = input._data.shape[dim]
    q: Any = target if not label_smoothing else target * (1 - label_smoothing) + label_smoothing / max(classes, 1)
    log_p: Any = log_softmax(input, dim)
    if weight is not None:
        log_p = log_p * weight.reshape((-1,) + (1,) * (input.ndim - 1 - dim))
    loss = -(log_p * q).sum(dim)
    if reduction == "mean":
        return loss.sum() / max(input.numel() // max(classes, 1), 1) if input.numel() else loss.sum() / 0.0  # type: ignore[no-any-return]
    return reduced(loss, reduction)


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
    reduction = chosen_reduction(size_average, reduce, reduction)
    _check_weight(input, weight)
    rows, labels, restore = _rows(input, target, "nll_loss")
    loss = apply(ops.nll, (rows, labels, _fixed(weight), ignore_index, reduction))
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
    if input._data.shape != target._data.shape:
        raise ValueError(
            f"Using a target size ({list(target._data.shape)}) that is different to the input size ({list(input._data.shape)}) is deprecated. Please ensure they have the same size."
        )
    loss = apply(ops.bce, (input, target))
    return reduced(loss if weight is None else loss * weight, reduction, size_average, reduce)


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
    if input._data.shape != target._data.shape:
        raise ValueError(
            f"Target size ({list(target._data.shape)}) must be the same as input size ({list(input._data.shape)})"
        )
    loss = apply(ops.bce_logits, (input, target, pos_weight))
    return reduced(loss if weight is None else loss * weight, reduction, size_average, reduce)


def multilabel_soft_margin_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Binary cross entropy of each of `C` labels, averaged over the labels."""
    loss: Any = apply(ops.bce_logits, (input, target.to(input.dtype)))
    if weight is not None:
        loss = loss * weight
    return reduced(loss.mean(-1), reduction, size_average, reduce)
