"""Losses of numbers and of distributions.

One thing differs on purpose: where torch warns that a prediction and a target of different sizes will be broadcast, and goes on,
`mse_loss`, `l1_loss`, `smooth_l1_loss` and `huber_loss` raise.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...autograd.graph import wrap
from ...autograd.record import apply
from ...ops import loss as ops
from ...ops.table import OPS
from ...tensor import Tensor
from ._reduction import check_same_size, chosen_reduction, reduced, weighted

__all__ = [
    "gaussian_nll_loss",
    "huber_loss",
    "kl_div",
    "l1_loss",
    "mse_loss",
    "poisson_nll_loss",
    "smooth_l1_loss",
]


def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """`(x - t)²`. Raises RuntimeError for different sizes, where torch broadcasts with a warning."""
    reduction = chosen_reduction(size_average, reduce, reduction)
    check_same_size(input, target, "mse_loss")
    d: Any = input - target
    return weighted(d * d, weight, reduction)


def l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """`|x - t|`. Raises RuntimeError for different sizes, where torch broadcasts with a warning."""
    reduction = chosen_reduction(size_average, reduce, reduction)
    check_same_size(input, target, "l1_loss")
    return weighted(abs(input - target), weight, reduction)


def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    """Squared below `beta`, linear above (Girshick 2015). Raises RuntimeError for different sizes."""
    if beta < 0:
        raise RuntimeError(f"smooth_l1_loss does not support negative values for beta, got {beta}")
    check_same_size(input, target, "smooth_l1_loss")
    return reduced(apply(ops.smooth_l1, (input, target, beta)), reduction, size_average, reduce)


def huber_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0, weight: Tensor | None = None
) -> Tensor:
    """Squared below `delta`, linear above (Huber 1964). Raises RuntimeError for different sizes."""
    ops.check_reduction(reduction)
    if delta <= 0:
        raise RuntimeError(f"huber_loss does not support non-positive values for delta, got {delta}")
    check_same_size(input, target, "huber_loss")
    return weighted(apply(ops.huber, (input, target, delta)), weight, reduction)


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
    reduction = chosen_reduction(size_average, reduce, "sum" if batchmean else reduction)
    if log_target:
        loss: Any = target.exp() * (target - input)
    else:
        loss = OPS["xlogy"](target, target) - target * input
    result = reduced(loss, reduction)
    return result / input._data.shape[0] if batchmean and input.ndim else result


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
    x: Any = input
    loss = x.exp() - target * x if log_input else x - target * (x + eps).log()
    if full:
        t: Any = target
        stirling = t * t.log() - t + 0.5 * (2 * math.pi * t).log()
        loss = loss + stirling.masked_fill(t <= 1, 0)
    return reduced(loss, reduction, size_average, reduce)


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
    return reduced(loss, reduction)
