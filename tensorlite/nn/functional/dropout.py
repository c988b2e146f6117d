"""Dropout and its relatives. Masks come from tensorlite's default generator: the same seed gives the same masks."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...autograd.graph import wrap
from ...autograd.inplace import apply_inplace
from ...autograd.record import apply
from ...ops import dropout as ops
from ...ops.table import OPS
from ...tensor import Tensor

_ALPHA_PRIME = -1.7580993408473766  # where SELU saturates: -scale * alpha


def _check(p: float) -> None:
    if not 0 <= p <= 1:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Each element zeroed with probability `p`, the others scaled by 1 / (1 - p); the input itself when not training."""
    _check(p)
    if not training or (p == 0 and not inplace):
        return input
    args = (p, ops.next_seed())
    return apply_inplace(ops.seeded_dropout, input, args) if inplace else apply(ops.seeded_dropout, (input, *args))  # type: ignore[no-any-return]


def _channels(input: Tensor, p: float, training: bool, inplace: bool) -> Tensor:
    """Whole channels zeroed: dims 0 and 1 of the mask."""
    _check(p)
    if not training:
        return input
    shape = input._data.shape
    mask = ops.bernoulli_mask((*shape[:2], *(1,) * (input.ndim - 2)), p)
    scale = mask.astype(input._data.dtype) * (1 / (1 - p) if p < 1 else 0.0)
    factor = wrap(np.asarray(scale, input._data.dtype))
    return apply_inplace(OPS["mul"], input, (factor,)) if inplace else input * factor  # type: ignore[no-any-return]


def dropout1d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Whole channels of `(C, L)` or `(N, C, L)` zeroed with probability `p`."""
    if input.ndim not in (2, 3):
        raise RuntimeError(f"dropout1d: Expected 2D or 3D input, but received a {input.ndim}D input.")
    return _maybe_batched(input, 2, p, training, inplace)


def dropout2d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Whole channels of `(N, C, H, W)` zeroed with probability `p`."""
    return _channels(input, p, training, inplace)


def dropout3d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Whole channels of `(C, D, H, W)` or `(N, C, D, H, W)` zeroed with probability `p`."""
    return _maybe_batched(input, 4, p, training, inplace)


def _maybe_batched(input: Tensor, unbatched: int, p: float, training: bool, inplace: bool) -> Tensor:
    if input.ndim != unbatched or inplace:
        return _channels(input, p, training, inplace)
    return _channels(input.unsqueeze(0), p, training, False).squeeze(0)  # type: ignore[no-any-return]


feature_dropout = dropout2d


def _saturating(input: Tensor, p: float, training: bool, shape: tuple[int, ...], inplace: bool) -> Tensor:
    """Dropped elements take SELU's negative limit; the affine map after it restores mean 0 and variance 1 (Klambauer et al. 2017)."""
    _check(p)
    if not training or p == 0:
        return input
    mask: Any = ops.bernoulli_mask(shape, p).astype(input._data.dtype)
    scale = 0.0 if p == 1 else ((1 - p) * (1 + p * _ALPHA_PRIME**2)) ** -0.5
    shift = -scale * p * _ALPHA_PRIME
    factor = wrap(np.asarray(mask * scale, input._data.dtype))
    offset = wrap(np.asarray((1 - mask) * (scale * _ALPHA_PRIME) + shift, input._data.dtype))
    if inplace:
        return apply_inplace(OPS["add"], apply_inplace(OPS["mul"], input, (factor,)), (offset,))  # type: ignore[no-any-return]
    return input * factor + offset  # type: ignore[no-any-return]


def alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """Dropout that keeps the mean and variance of a SELU network."""
    return _saturating(input, p, training, input._data.shape, inplace)


def feature_alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """`alpha_dropout` of whole channels."""
    shape = (*input._data.shape[:2], *(1,) * (input.ndim - 2))
    return _saturating(input, p, training, shape, inplace)
