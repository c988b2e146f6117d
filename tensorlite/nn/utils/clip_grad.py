"""Keeping gradients within bounds, in place."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from ...autograd.graph import wrap
from ...autograd.inplace import bump
from ...kernels.matmul import matmul
from ...tensor import Tensor

Tensors = Tensor | Iterable[Tensor]


def get_total_norm(
    tensors: Tensors, norm_type: float = 2.0, error_if_nonfinite: bool = False, foreach: bool | None = None
) -> Tensor:
    """The norm of all elements of all tensors as one vector, as a 0-d tensor of their dtype."""
    items = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    p = float(norm_type)
    if not items:
        return wrap(np.asarray(0.0, np.float32))  # type: ignore[no-any-return]
    norms = np.array([_norm(t._data, p) for t in items])
    total = float(_norm(norms, p))
    if error_if_nonfinite and not math.isfinite(total):
        raise RuntimeError(
            f"The total norm of order {p} for gradients from `parameters` is non-finite, so it cannot be clipped. To disable this error and scale "
            "the gradients by the non-finite norm anyway, set `error_if_nonfinite=False`"
        )
    return wrap(np.asarray(total, items[0]._data.real.dtype))  # type: ignore[no-any-return]


def _norm(a: Any, p: float) -> float:
    """In float64, so that float32 gradients of any size keep their digits."""
    if not a.size:
        return 0.0
    x = np.abs(a.reshape(-1)).astype(np.float64, copy=False)
    if p == math.inf:
        return float(x.max())
    if p == -math.inf:
        return float(x.min())
    if p == 0:
        return float(np.count_nonzero(x))
    if p == 2:
        return math.sqrt(float(matmul(x, x)))
    return float((x**p).sum() ** (1 / p))


def clip_grads_with_norm_(
    parameters: Tensors, max_norm: float, total_norm: Tensor, foreach: bool | None = None
) -> None:
    """Scale the gradients by `max_norm / (total_norm + 1e-6)` where that is below 1."""
    scale = min(1.0, float(max_norm) / (float(total_norm) + 1e-6))
    if scale == 1.0:
        return
    for grad in _grads(parameters):
        grad._data *= scale
        bump(grad)


def clip_grad_norm_(
    parameters: Tensors,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scale the gradients so that their common norm is at most `max_norm`. Returns the norm before."""
    items = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    total = get_total_norm(_grads(items), norm_type, error_if_nonfinite)
    clip_grads_with_norm_(items, max_norm, total)
    return total


clip_grad_norm = clip_grad_norm_


def clip_grad_value_(parameters: Tensors, clip_value: float, foreach: bool | None = None) -> None:
    """Clamp every element of the gradients to ±`clip_value`."""
    for grad in _grads(parameters):
        np.clip(grad._data, -float(clip_value), float(clip_value), out=grad._data)
        bump(grad)


def _grads(parameters: Tensors) -> list[Any]:
    items = [parameters] if isinstance(parameters, Tensor) else parameters
    return [p._grad for p in items if p._grad is not None]
