"""Rows of a table by index, and sums, means and maxima of bags of rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..kernels import embedding as kernel
from .index import put
from .softmax import plain_dtype
from .table import op


def check_index(x: Any, rows: int) -> None:
    """Raise torch's errors for an index into a table of so many rows that is no integer, or outside it."""
    if x.dtype.kind not in "iu":
        raise RuntimeError(
            f"Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; but got {x.dtype}"
        )
    if x.size and (x.min() < 0 or x.max() >= rows):
        wrong = x.min() if x.min() < 0 else x.max()
        raise IndexError(f"index out of range in self: index {wrong} in a table of {rows} rows")


@op(namespaces=(), name="embedding")
def embedding(x: Any, weight: Any, padding_idx: Any = None, scale_grad_by_freq: Any = False) -> Any:
    """Rows `(*x.shape, D)` of `weight (V, D)`.

    The row `padding_idx` gets no gradient, a repeated row the sum, or with `scale_grad_by_freq` the mean.
    """
    check_index(x, weight.shape[0])
    return kernel.embedding(weight, x)


def _embedding_grad(g: Any, x: Any, weight_shape: Any, padding_idx: Any, scale_grad_by_freq: Any) -> Any:
    if scale_grad_by_freq:
        g = g / np.bincount(x.ravel(), minlength=weight_shape[0])[x][..., None].astype(plain_dtype(g))
    if isinstance(g, np.ndarray):
        return kernel.embedding_backward(g, x, weight_shape[0], padding_idx)
    if padding_idx is not None:
        g = g * (x != padding_idx).reshape((*x.shape, 1))
    return put(g, x, weight_shape)


embedding.grad(weight=_embedding_grad)
