"""Reading and writing along one dim by an index array: how the values that an order statistic picked get their gradients."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .table import op


@op(namespaces=())
def take_along(x: Any, indices: Any, dim: Any) -> Any:
    """`x[..., indices, ...]` along `dim`; the other sizes of `indices` are those of `x`."""
    return np.take_along_axis(x, indices, dim)


@op(namespaces=())
def put_along(values: Any, indices: Any, dim: Any, size: Any, distinct: Any = True) -> Any:
    """Zeros with `values` at `indices` along `dim`, which has `size` places; what falls on one place is added, unless all are `distinct`."""
    shape = tuple(size if i == dim % values.ndim else n for i, n in enumerate(values.shape))
    out = np.zeros(shape, values.dtype)
    if distinct:
        np.put_along_axis(out, indices, values, dim)
        return out
    flat = np.moveaxis(out, dim, -1)
    index, source = np.moveaxis(indices, dim, -1), np.moveaxis(values, dim, -1)
    rows = np.arange(math.prod(index.shape[:-1])).reshape((*index.shape[:-1], 1)) * size
    total = np.zeros(flat.size, out.dtype)
    np.add.at(total, (rows + index).ravel(), source.ravel())
    flat[...] = total.reshape(flat.shape)
    return out


take_along.grad(x=lambda g, indices, dim, x_shape: put_along(g, indices, dim, x_shape[dim], False))
put_along.grad(values=lambda g, indices, dim: take_along(g, indices, dim))
