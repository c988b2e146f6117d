"""Functions composed of ops about diagonals, triangles, and areas under curves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd.graph import wrap
from ..autograd.record import apply
from ..errors import check_dim
from ..ops import shape
from .functions_join import concat
from .functions_shape import narrow, ravel
from .tensor import Tensor


def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """The diagonal of a matrix, or the matrix with a 1-d tensor on its diagonal."""
    if input.ndim not in (1, 2):
        raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {input.ndim}D")
    if input.ndim == 1:
        return apply(shape.diag_embed, (input, diagonal))  # type: ignore[no-any-return]
    return apply(shape.clone, (apply(shape.diagonal, (input, diagonal)),))  # type: ignore[no-any-return]


def diagflat(input: Tensor, offset: int = 0) -> Tensor:
    """The matrix with the elements of `input` on a diagonal."""
    return apply(shape.diag_embed, (ravel(input), offset))  # type: ignore[no-any-return]


def diagonal_copy(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """`diagonal` with memory of its own."""
    return apply(shape.clone, (apply(shape.diagonal, (input, offset, dim1, dim2)),))  # type: ignore[no-any-return]


def _triangle(name: str, choose: Callable[..., Any]) -> Callable[..., Tensor]:
    def indices(
        row: int, col: int, offset: int = 0, *, dtype: Any = None, device: Any = None, layout: Any = None
    ) -> Tensor:
        from ..dtypes import to_numpy_dtype

        if row < 0 or col < 0:
            raise RuntimeError(f"{'row' if row < 0 else 'col'} must be non-negative, got {row if row < 0 else col}")
        found = np.array(choose(row, offset, col)).reshape(2, -1)
        return wrap(found.astype(np.int64 if dtype is None else to_numpy_dtype(dtype)))  # type: ignore[no-any-return]

    indices.__name__ = indices.__qualname__ = name
    indices.__doc__ = f"Rows and columns of the {'lower' if name[3] == 'l' else 'upper'} triangle of a `(row, col)` matrix, shape `(2, n)`."
    return indices


tril_indices = _triangle("tril_indices", np.tril_indices)
triu_indices = _triangle("triu_indices", np.triu_indices)


def vander(x: Tensor, N: int | None = None, increasing: bool = False) -> Tensor:
    """The Vandermonde matrix of a 1-d tensor: its powers as columns, falling unless `increasing`."""
    if x.ndim != 1:
        raise RuntimeError("x must be a one-dimensional tensor.")
    n = x.numel() if N is None else N
    if n < 0:
        raise RuntimeError("N must be non-negative.")
    integral = x._data.dtype.kind in "biu"
    column = apply(shape.unsqueeze, (x.to(dtype=np.int64) if integral else x, 1))
    powers = np.arange(n) if increasing else np.arange(n)[::-1]
    columns = [wrap(np.ones((x.numel(), 1), column._data.dtype)) if p == 0 else column ** int(p) for p in powers]
    return concat(columns, 1) if columns else wrap(np.empty((x.numel(), 0), column._data.dtype))


def trapezoid(y: Tensor, x: Tensor | None = None, *, dx: Any = 1, dim: int = -1) -> Tensor:
    """Integral of `y` along `dim` by the trapezoidal rule, at the points `x` or at distance `dx`."""
    return _areas(y, x, dx, dim).sum(dim)  # type: ignore[no-any-return]


def cumulative_trapezoid(y: Tensor, x: Tensor | None = None, *, dx: Any = 1, dim: int = -1) -> Tensor:
    """Running integral of `y` along `dim` by the trapezoidal rule."""
    return _areas(y, x, dx, dim).cumsum(dim)  # type: ignore[no-any-return]


def _areas(y: Tensor, x: Tensor | None, dx: Any, dim: int) -> Tensor:
    d = check_dim(dim, y.ndim)
    n = y._data.shape[d]
    heights = narrow(y, d, 0, max(n - 1, 0)) + narrow(y, d, min(n, 1), max(n - 1, 0))
    if x is None:
        return heights * (dx / 2)  # type: ignore[no-any-return]
    if x.ndim == 1:
        width = x[1:] - x[:-1]
        if width.numel() != n - 1:
            raise RuntimeError("trapezoid: There must be one `x` value for each sample point")
        return heights * apply(shape.reshape, (width, (-1,) + (1,) * (y.ndim - d - 1))) / 2  # type: ignore[no-any-return]
    e = d - y.ndim
    m = x._data.shape[e]
    widths = narrow(x, e, 1, m - 1) - narrow(x, e, 0, m - 1)
    return heights * widths / 2
