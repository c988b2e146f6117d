"""The ops of sparse tensors, one function each; `SparseTensor.run` looks them up by the name of the op.

A function returns NotImplemented for arguments that it does not serve.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd.record import apply
from ..errors import check_dim, check_dims
from ..ops import join
from ..ops.sparse import sparse_matmul
from ..ops.table import OPS, Op
from .sparse import SparseTensor, flat, sparse
from .tensor import Tensor


def _matrix(x: Any) -> bool:
    return x.ndim == 2 and not (isinstance(x, SparseTensor) and x.dense_dim())


def _matmul(x: Any, y: Any) -> Any:
    if not isinstance(x, SparseTensor):
        if x.ndim > 2 or not _matrix(y):
            return NotImplemented
        return _matmul(_swapped(y), x) if x.ndim == 1 else _matmul(_swapped(y), x.t()).t()
    if not _matrix(x) or not 1 <= y.ndim <= 2 or (isinstance(y, SparseTensor) and not _matrix(y)):
        return NotImplemented
    if x.dtype != y.dtype:
        raise RuntimeError(f"expected m1 and m2 to have the same dtype, but got: {x.dtype.name} != {y.dtype.name}")
    (n, k), k2 = x._sizes, y.shape[0]
    if k != k2:
        by = f"{k2}x{y.shape[1]}" if y.ndim == 2 else str(k2)
        raise RuntimeError(f"mat1 and mat2 shapes cannot be multiplied ({n}x{k} and {by})")
    if isinstance(y, SparseTensor):
        return _product(x, y)
    rows, columns = x._positions
    if y.ndim == 1:
        return apply(sparse_matmul, (x._entries, y.unsqueeze(1), rows, columns, n)).squeeze(1)
    return apply(sparse_matmul, (x._entries, y, rows, columns, n))


def _linear(x: Any, weight: Any, bias: Any = None) -> Any:
    product = _matmul(x, weight.t())
    return product if bias is None or product is NotImplemented else product + bias


def _product(x: SparseTensor, y: SparseTensor) -> SparseTensor:
    """Sparse times sparse: every entry (i, k) of `x` meets the entries (k, j) of row k of `y`."""
    y = y.coalesce()
    starts = np.searchsorted(y._positions[0], np.arange(y._sizes[0] + 1))
    first, count = starts[x._positions[1]], np.diff(starts)[x._positions[1]]
    left = np.repeat(np.arange(x._nnz()), count)
    right = np.arange(len(left)) - np.repeat(np.cumsum(count) - count, count) + first[left]
    positions = np.stack((x._positions[0, left], y._positions[1, right]))
    return sparse(positions, x._entries[left] * y._entries[right], (x._sizes[0], y._sizes[1]), False).coalesce()


def _swapped(x: SparseTensor, dim0: int = 0, dim1: int = 1) -> SparseTensor:
    order = list(range(x.ndim))
    a, b = check_dim(dim0, x.ndim), check_dim(dim1, x.ndim)
    order[a], order[b] = b, a
    return _permuted(x, order)  # type: ignore[no-any-return]


def _permuted(x: SparseTensor, dims: Any) -> Any:
    order = check_dims(tuple(dims), x.ndim)
    n = x.sparse_dim()
    if sorted(order[:n]) != list(range(n)) or list(order[n:]) != list(range(n, x.ndim)):
        return NotImplemented
    return sparse(x._positions[list(order[:n])], x._entries, [x._sizes[d] for d in order], False)


def _added(x: Any, y: Any, sign: int = 1) -> Any:
    if not isinstance(y, SparseTensor):
        raise RuntimeError("add(sparse, dense) is not supported. Use add(dense, sparse) instead.")
    sizes = tuple(x.shape) if isinstance(x, Tensor) else None
    if sizes is None:
        raise RuntimeError("add(sparse, dense) is not supported. Use add(dense, sparse) instead.")
    if sizes != y._sizes:
        raise RuntimeError(f"add: expected sizes of 'self' and 'other' to match, but {list(sizes)} != {list(y._sizes)}")
    if not isinstance(x, SparseTensor):
        return apply(OPS["add" if sign > 0 else "sub"], (x, y.to_dense()))
    entries = apply(join.cat, ([x._entries, y._entries if sign > 0 else -y._entries], 0))
    total = sparse(np.concatenate((x._positions, y._positions), 1), entries, sizes, False)
    return total.coalesce() if x._coalesced and y._coalesced else total


def _multiplied(x: Any, y: Any) -> Any:
    if not isinstance(x, SparseTensor):
        x, y = y, x
    if not isinstance(y, Tensor) or y.ndim == 0:
        return x._with(x._entries * y)
    if not isinstance(y, SparseTensor):
        return x._with(x._entries * y.expand(x._sizes)[tuple(x._positions)])
    if x._sizes != y._sizes or x.dense_dim() or y.dense_dim():
        return NotImplemented
    x, y = x.coalesce(), y.coalesce()
    _, left, right = np.intersect1d(flat(x), flat(y), assume_unique=True, return_indices=True)
    return sparse(x._positions[:, left], x._entries[left] * y._entries[right], x._sizes, True)


def _divided(x: Any, y: Any, rounding_mode: Any = None) -> Any:
    if not isinstance(x, SparseTensor) or (isinstance(y, Tensor) and y.ndim) or rounding_mode is not None:
        return NotImplemented
    return x._with(x._entries / y)


def _power(x: Any, exponent: Any) -> Any:
    """A power that is zero at zero: of a positive number."""
    if not isinstance(x, SparseTensor) or isinstance(exponent, Tensor | complex) or exponent <= 0:
        return NotImplemented
    x = x.coalesce()
    return x._with(x._entries**exponent)


def _summed(x: SparseTensor, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Any:
    dims = check_dims(dim if dim != () else None, x.ndim)
    entries = x._entries if dtype is None else x._entries.to(dtype)
    if dim is None or dim == ():
        return entries.sum()
    if any(d >= x.sparse_dim() for d in dims):
        return NotImplemented
    rest = [d for d in range(x.sparse_dim()) if keepdim or d not in dims]
    if not rest:
        return entries.sum(0)
    positions = np.where(np.isin(rest, dims)[:, None], 0, x._positions[rest])
    sizes = [1 if d in dims else n for d, n in enumerate(x._sizes) if keepdim or d not in dims]
    if entries._data.dtype.kind in "bui":
        entries = entries.to(np.int64)
    return sparse(positions, entries, sizes, False).coalesce()


def _on_values(op: Op) -> Callable[..., Any]:
    """A function of each element that is zero at zero."""

    def function(x: SparseTensor, *rest: Any) -> SparseTensor:
        x = x.coalesce()
        return x._with(apply(op, (x._entries, *rest)))

    return function


_ZERO_AT_ZERO = (
    "abs", "asin", "asinh", "atan", "atanh", "ceil", "erf", "expm1", "floor", "isinf", "isnan", "log1p", "relu", "round", "sign", "sin", "sinh", "sqrt",
    "square", "tan", "tanh", "trunc",
)  # fmt: skip
OF_SPARSE: dict[str, Callable[..., Any]] = {
    **{name: _on_values(OPS[name]) for name in _ZERO_AT_ZERO},
    "add": _added,
    "clone": lambda x, memory_format=None: x._with(x._entries.clone()),
    "cast": lambda x, dtype: x.to(dtype),
    "div": _divided,
    "linear": _linear,
    "matmul": _matmul,
    "mul": _multiplied,
    "neg": lambda x: x._with(-x._entries),
    "permute": _permuted,
    "pow": _power,
    "sub": lambda x, y: _added(x, y, -1),
    "sum": _summed,
    "transpose": _swapped,
}
