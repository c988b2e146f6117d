"""Filling, selecting and writing where a mask is true."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import check_fits
from .gather import check_same_dtype
from .table import op


@op(inplace=True, broadcasts=True)
def masked_fill(x: Any, mask: Any, value: Any) -> Any:
    """`x` with `value`, a number or a 0-d tensor, where `mask` is true; broadcast."""
    if mask.dtype != np.bool_:
        raise RuntimeError(f"masked_fill_ only supports boolean masks, but got mask with dtype {mask.dtype}")
    if getattr(value, "ndim", 0):
        raise RuntimeError(
            f"masked_fill_ only supports a 0-dimensional value tensor, but got tensor with {value.ndim} dimension(s)."
        )
    if isinstance(value, np.ndarray):
        value = value.astype(x.dtype, copy=False) if value.dtype.kind != "c" or x.dtype.kind == "c" else _no_complex()
    elif isinstance(value, float) and x.dtype.kind in "iu" and not value.is_integer():
        raise RuntimeError(f"value cannot be converted to type {x.dtype} without overflow")
    else:
        check_fits(value, x.dtype)
    return np.where(mask, np.asarray(value).astype(x.dtype), x)


def _no_complex() -> Any:
    raise RuntimeError("value cannot be converted to a real type without losing its imaginary part")


masked_fill.grad(x=lambda g, mask: np.where(mask, 0, g), value=lambda g, mask: np.where(mask, g, 0).sum())


@op()
def masked_select(x: Any, mask: Any) -> Any:
    """The elements of `x` where `mask` is true, as one row; both are broadcast."""
    if mask.dtype != np.bool_:
        raise RuntimeError("masked_select: expected BoolTensor for mask")
    x, mask = np.broadcast_arrays(x, mask)
    return x[mask]


def _masked_select_grad(g: Any, mask: Any, x_shape: Any) -> Any:
    from .basic import sum_to_shape
    from .index import put

    shape = np.broadcast_shapes(mask.shape, x_shape)
    spread = put(g, np.broadcast_to(mask, shape), shape)
    return sum_to_shape(spread, tuple(x_shape)) if shape != tuple(x_shape) else spread


masked_select.grad(x=_masked_select_grad)


@op(inplace=True, broadcasts=True)
def masked_scatter(x: Any, mask: Any, source: Any) -> Any:
    """`x` with the elements of `source`, in order, where `mask` is true."""
    if mask.dtype != np.bool_:
        raise RuntimeError("masked_scatter_ only supports boolean masks")
    check_same_dtype(x, source, "masked_scatter")
    x, mask = np.broadcast_arrays(x, mask)
    n = int(np.count_nonzero(mask))
    if source.size < n:
        raise RuntimeError(
            f"masked_scatter: expected self and source to have enough elements: source has {source.size}, the mask selects {n}"
        )
    out = x.copy()
    out[mask] = source.reshape(-1)[:n]
    return out


def _masked_source(g: Any, mask: Any, source_shape: Any) -> Any:
    from .index import put

    taken = masked_select(g, mask)
    return put(taken, (slice(0, taken.shape[0]),), (int(np.prod(source_shape)),)).reshape(source_shape)


masked_scatter.grad(x=lambda g, mask: np.where(mask, 0, g), source=_masked_source)
