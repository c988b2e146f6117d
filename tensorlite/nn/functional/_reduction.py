"""What losses have in common: how a loss per element becomes one number, and sizes that must be equal."""

from __future__ import annotations

from typing import Any

from ...ops import loss as ops
from ...tensor import Tensor


def chosen_reduction(size_average: bool | None, reduce: bool | None, reduction: str) -> str:
    """The reduction that torch's two deprecated flags stand for."""
    if size_average is None and reduce is None:
        ops.check_reduction(reduction)
        return reduction
    if reduce is False:
        return "none"
    return "sum" if size_average is False else "mean"


def reduced(loss: Any, reduction: str, size_average: bool | None = None, reduce: bool | None = None) -> Tensor:
    """A loss per element as it was asked for: as it is ("none"), averaged or summed."""
    reduction = chosen_reduction(size_average, reduce, reduction)
    return loss if reduction == "none" else loss.mean() if reduction == "mean" else loss.sum()  # type: ignore[no-any-return]


def check_same_size(input: Tensor, target: Tensor, name: str) -> None:
    if input._data.shape != target._data.shape:
        raise RuntimeError(
            f"{name}: the input has size {list(input._data.shape)} and the target {list(target._data.shape)}; "
            "broadcasting them would give a wrong loss without notice. Reshape one, for example with squeeze(-1)"
        )


def weighted(loss: Any, weight: Tensor | None, reduction: str) -> Tensor:
    """A loss per element, weighed; the mean is that of the weights."""
    if weight is None:
        return reduced(loss, reduction)
    if weight._data.shape != loss._data.shape:
        raise ValueError("Weights and input must have the same size.")
    loss = loss * weight
    return loss.sum() / weight.sum() if reduction == "mean" else reduced(loss, reduction)
