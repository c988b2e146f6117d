"""Reductions: sum, mean and their kin, over all dims, one dim or several."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import check_dims
from .basic import _accumulator
from .table import op


def dims_of(dim: Any, ndim: int) -> tuple[int, ...]:
    """The dims a reduction runs over: `()` and None mean all of them, as in torch (NumPy's `axis=()` means none)."""
    return tuple(range(ndim)) if dim is None or (isinstance(dim, list | tuple) and not dim) else check_dims(dim, ndim)


def spread(g: Any, shape: Any, dim: Any, keepdim: Any) -> Any:
    """A reduction's cotangent, broadcast back over the dims that were reduced."""
    if not keepdim and shape:
        dims = dims_of(dim, len(shape))
        g = g.reshape(tuple(1 if i in dims else n for i, n in enumerate(shape)))
    return np.broadcast_to(g, shape)


@op(numpy=np.sum)
def sum(x: Any, dim: Any = None, keepdim: Any = False, dtype: Any = None) -> Any:
    """Sum over `dim` (all dims by default). Integers and booleans are summed as int64."""
    from ..dtypes import to_numpy_dtype

    if dtype is not None:
        x = x.astype(to_numpy_dtype(dtype))
    target = np.int64 if x.dtype.kind in "bui" and dtype is None else x.dtype
    return np.sum(x, axis=dims_of(dim, x.ndim), keepdims=bool(keepdim), dtype=_accumulator(x) or target).astype(target, copy=False)


sum.grad(x=lambda g, x_shape, dim, keepdim: spread(g, x_shape, dim, keepdim))


@op(numpy=np.mean, quiet=True)
def mean(x: Any, dim: Any = None, keepdim: Any = False, dtype: Any = None) -> Any:
    """Mean over `dim` (all dims by default). Raises RuntimeError for integers: say which float is meant with `dtype`."""
    from ..dtypes import from_numpy_dtype, to_numpy_dtype

    if dtype is not None:
        x = x.astype(to_numpy_dtype(dtype))
    if x.dtype.kind in "bui":
        raise RuntimeError(f"mean(): could not infer output dtype. Input dtype must be either a floating point or complex dtype. Got: {from_numpy_dtype(x.dtype).name}")
    dims = dims_of(dim, x.ndim)
    total = np.sum(x, axis=dims, keepdims=bool(keepdim), dtype=np.float64 if x.dtype.kind == "f" else None)
    return (total / np.float64(count(x.shape, dims))).astype(x.dtype)


def count(shape: Any, dims: Any) -> int:
    """How many elements one result of a reduction is made of."""
    n = 1
    for d in dims:
        n *= shape[d]
    return n


mean.grad(x=lambda g, x_shape, dim, keepdim: spread(g / max(count(x_shape, dims_of(dim, len(x_shape))), 1), x_shape, dim, keepdim))
