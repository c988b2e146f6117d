"""Norms, distances and similarities between vectors."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...ops.table import OPS
from ...tensor import Tensor


def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12, out: Tensor | None = None) -> Tensor:
    """Each vector along `dim` divided by its p-norm, or by `eps` if that is larger."""
    x: Any = input
    return x / x.norm(p, dim, True).clamp_min(eps)  # type: ignore[no-any-return]


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """`x1 · x2 / (|x1| |x2|)` along `dim`, with norms no smaller than `eps`."""
    a: Any = x1
    b: Any = x2
    if a.dtype.is_floating_point is False or b.dtype.is_floating_point is False:
        raise RuntimeError(f"expected common dtype to be floating point, yet common dtype is {a.dtype} and {b.dtype}")
    if a._data.dtype != b._data.dtype:
        from ...tensor.properties import result_type

        common = result_type(a, b)
        a, b = a.to(common), b.to(common)
    if a._data.shape != b._data.shape:
        from ...tensor.functions_shape import broadcast_tensors

        a, b = broadcast_tensors(a, b)
    norms = [v.norm(2, dim, True).clamp_min(eps) for v in (a, b)]
    return ((a / norms[0]) * (b / norms[1])).sum(dim)  # type: ignore[no-any-return]


def pairwise_distance(x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    """The p-norm of `x1 - x2 + eps` along the last dim."""
    d: Any = OPS["sub"](x1, x2) + eps
    return d.norm(p, -1, keepdim)  # type: ignore[no-any-return]


def pdist(input: Tensor, p: float = 2.0) -> Tensor:
    """The p-norm distance of each pair of rows of `(N, D)`, `(N (N - 1) / 2,)`: 0 with 1, 0 with 2, and so on."""
    if input.ndim != 2:
        raise RuntimeError(f"pdist only supports 2D tensors, got: {input.ndim}D")
    first, second = np.triu_indices(input._data.shape[0], 1)
    x: Any = input
    return (x[first] - x[second]).norm(p, -1)  # type: ignore[no-any-return]
