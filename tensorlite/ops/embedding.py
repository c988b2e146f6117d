"""Rows of a table by index, and sums, means and maxima of bags of rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..kernels import embedding as kernel
from .index import put
from .table import op


@op(namespaces=(), name="embedding")
def embedding(x: Any, weight: Any, padding_idx: Any = None) -> Any:
    """Rows `(*x.shape, D)` of `weight (V, D)`; the row `padding_idx` gets no gradient, repeated rows get the sum."""
    if x.dtype.kind not in "iu":
        raise RuntimeError(
            f"Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; but got {x.dtype}"
        )
    if x.size and (x.min() < 0 or x.max() >= weight.shape[0]):
        wrong = x.min() if x.min() < 0 else x.max()
        raise IndexError(f"index out of range in self: index {wrong} in a table of {weight.shape[0]} rows")
    return kernel.embedding(weight, x)


def _embedding_grad(g: Any, x: Any, weight_shape: Any, padding_idx: Any) -> Any:
    if isinstance(g, np.ndarray):
        return kernel.embedding_backward(g, x, weight_shape[0], padding_idx)
    if padding_idx is not None:
        g = g * (x != padding_idx).reshape((*x.shape, 1))
    return put(g, x, weight_shape)


embedding.grad(weight=_embedding_grad)
