"""NumPy functions that are no single op, as compositions of tensor methods: `np.dot(t, u)`, `np.linalg.norm(t, axis=1)`, `np.sort(t)`.

They run when a gradient is to be recorded; without one NumPy's own function runs on the memory. Signatures and meanings are NumPy's:
`np.var` divides by n, `np.split` takes a number of pieces, `np.cumsum` without an axis flattens.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import functions_diagonal, functions_join, functions_linalg, functions_matrix, functions_shape
from .creation import as_tensor
from .einsum import einsum
from .tensor import Tensor

FUNCTIONS: dict[Any, Callable[..., Any]] = {}


def stands_for(*numpy_functions: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Enter a function as what runs for `numpy_functions` on tensors that require grad."""

    def enter(function: Callable[..., Any]) -> Callable[..., Any]:
        FUNCTIONS.update(dict.fromkeys(numpy_functions, function))
        return function

    return enter


def _alike(*values: Any) -> list[Any]:
    """The operands as tensors of one dtype: NumPy's products promote, torch's do not."""
    tensors: list[Any] = [v if isinstance(v, Tensor) else as_tensor(v) for v in values]
    common = np.result_type(*[t._data for t in tensors])
    return [t.to(common) for t in tensors]


def _flat(a: Any, axis: Any) -> tuple[Any, int]:
    """An axis of None means the flattened tensor."""
    return (a.reshape(-1), 0) if axis is None else (a, axis)


# -- products -----------------------------------------------------------------------------------------------------------


@stands_for(np.dot)
def dot(a: Any, b: Any) -> Any:
    a, b = _alike(a, b)
    if not a.ndim or not b.ndim:
        return a * b
    return functions_linalg.tensordot(a, b, ([a.ndim - 1], [max(b.ndim - 2, 0)]))


@stands_for(np.inner)
def inner(a: Any, b: Any) -> Any:
    return functions_linalg.inner(*_alike(a, b))


@stands_for(np.vdot)
def vdot(a: Any, b: Any) -> Any:
    a, b = _alike(a, b)
    return functions_linalg.vdot(a.reshape(-1), b.reshape(-1))


@stands_for(np.outer)
def outer(a: Any, b: Any) -> Any:
    a, b = _alike(a, b)
    return functions_linalg.outer(a.reshape(-1), b.reshape(-1))


@stands_for(np.kron)
def kron(a: Any, b: Any) -> Any:
    return functions_linalg.kron(*_alike(a, b))


@stands_for(np.tensordot)
def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    a, b = _alike(a, b)
    if not isinstance(axes, int):
        axes = tuple([d] if isinstance(d, int) else list(d) for d in axes)
    return functions_linalg.tensordot(a, b, axes)


@stands_for(np.einsum)
def numpy_einsum(subscripts: str, *operands: Any, optimize: Any = None) -> Any:
    return einsum(subscripts, *_alike(*operands))


@stands_for(np.cross)
def cross(a: Any, b: Any) -> Any:
    return functions_linalg.linalg_cross(*_alike(a, b))


# -- reductions ---------------------------------------------------------------------------------------------------------


@stands_for(np.var)
def var(a: Any, axis: Any = None, *, ddof: int = 0, keepdims: bool = False) -> Any:
    return a.var(axis, correction=ddof, keepdim=keepdims)


@stands_for(np.std)
def std(a: Any, axis: Any = None, *, ddof: int = 0, keepdims: bool = False) -> Any:
    return a.std(axis, correction=ddof, keepdim=keepdims)


@stands_for(np.nansum)
def nansum(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    return a.nansum(axis, keepdim=keepdims)


@stands_for(np.median)
def median(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    """The mean of the two middle values of an even number, where `Tensor.median` takes the lower."""
    return a.quantile(0.5, axis, keepdim=keepdims)


@stands_for(np.ptp)
def ptp(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    dims = tuple(range(a.ndim)) if axis is None else axis
    return a.amax(dims, keepdim=keepdims) - a.amin(dims, keepdim=keepdims)


@stands_for(np.linalg.norm)
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    return functions_matrix.norm(x, ord, axis, keepdims)


@stands_for(np.cumsum)
def cumsum(a: Any, axis: Any = None) -> Any:
    a, axis = _flat(a, axis)
    return a.cumsum(axis)


@stands_for(np.cumprod)
def cumprod(a: Any, axis: Any = None) -> Any:
    a, axis = _flat(a, axis)
    return a.cumprod(axis)


@stands_for(np.diff)
def diff(a: Any, n: int = 1, axis: int = -1) -> Any:
    return a.diff(n, axis)


# -- order and choice ---------------------------------------------------------------------------------------------------


@stands_for(np.sort)
def sort(a: Any, axis: Any = -1) -> Any:
    a, axis = _flat(a, axis)
    return a.sort(axis).values


@stands_for(np.take)
def take(a: Any, indices: Any, axis: Any = None) -> Any:
    a, axis = _flat(a, axis)
    return a[(slice(None),) * (axis % a.ndim) + (np.asarray(indices),)]


@stands_for(np.take_along_axis)
def take_along_axis(arr: Any, indices: Any, axis: Any = -1) -> Any:
    arr, axis = _flat(arr, axis)
    return arr.take_along_dim(as_tensor(indices), axis)


@stands_for(np.clip)
def clip(a: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None) -> Any:
    return a.clamp(a_min if min is None else min, a_max if max is None else max)


# -- shapes -------------------------------------------------------------------------------------------------------------


@stands_for(np.trace)
def trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    return a.diagonal(offset, axis1, axis2).sum(-1)


@stands_for(np.full_like)
def full_like(a: Any, fill_value: Any, dtype: Any = None) -> Any:
    return as_tensor(np.zeros_like(a._data, dtype=dtype)) + fill_value


@stands_for(np.ravel)
def ravel(a: Any) -> Any:
    return a.reshape(-1)


@stands_for(np.flip)
def flip(m: Any, axis: Any = None) -> Any:
    return m.flip(tuple(range(m.ndim)) if axis is None else axis)


@stands_for(np.tile)
def tile(A: Any, reps: Any) -> Any:
    return A.tile(reps)


@stands_for(np.diag)
def diag(v: Any, k: int = 0) -> Any:
    return functions_diagonal.diag(v, k)


@stands_for(np.diagonal)
def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    return a.diagonal(offset, axis1, axis2)


@stands_for(np.tril)
def tril(m: Any, k: int = 0) -> Any:
    return m.tril(k)


@stands_for(np.triu)
def triu(m: Any, k: int = 0) -> Any:
    return m.triu(k)


@stands_for(np.matrix_transpose)
def matrix_transpose(x: Any, /) -> Any:
    return x.transpose(-2, -1)


@stands_for(np.atleast_1d)
def atleast_1d(*arys: Any) -> Any:
    return functions_shape.atleast_1d(*arys)


@stands_for(np.atleast_2d)
def atleast_2d(*arys: Any) -> Any:
    return functions_shape.atleast_2d(*arys)


@stands_for(np.vstack)
def vstack(tup: Any) -> Any:
    return functions_join.vstack(_alike(*tup))


@stands_for(np.hstack)
def hstack(tup: Any) -> Any:
    return functions_join.hstack(_alike(*tup))


@stands_for(np.split, np.array_split)
def split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Into a number of pieces, or before each index."""
    return list(ary.tensor_split(indices_or_sections, axis))


@stands_for(np.pad)
def pad(array: Any, pad_width: Any, mode: str = "constant", constant_values: Any = 0) -> Any:
    """With a constant; other modes are in `nn.functional.pad`."""
    if mode != "constant" or np.ndim(constant_values):
        raise TypeError(
            f"np.pad of a tensor that requires grad takes one constant, got mode {mode!r}; use nn.functional.pad"
        )
    widths = np.broadcast_to(pad_width, (array.ndim, 2)).tolist()
    inside = tuple(slice(before, before + n) for (before, _), n in zip(widths, array.shape, strict=True))
    result = array.new_full([n + sum(w) for n, w in zip(array.shape, widths, strict=True)], constant_values)
    result[inside] = array
    return result


# -- linear algebra -----------------------------------------------------------------------------------------------------


@stands_for(np.linalg.solve)
def solve(a: Any, b: Any) -> Any:
    return functions_matrix.solve_(*_alike(a, b))


@stands_for(np.linalg.cholesky)
def cholesky(a: Any, /) -> Any:
    return functions_matrix.cholesky(a)


@stands_for(np.linalg.eigh)
def eigh(a: Any, UPLO: str = "L") -> Any:
    return functions_matrix.eigh(a, UPLO)


@stands_for(np.linalg.svd)
def svd(a: Any, full_matrices: bool = True) -> Any:
    return functions_matrix.svd(a, full_matrices)


@stands_for(np.linalg.qr)
def qr(a: Any, mode: str = "reduced") -> Any:
    return functions_matrix.qr(a, mode)


@stands_for(np.linalg.pinv)
def pinv(a: Any) -> Any:
    return functions_matrix.pinv(a)


@stands_for(np.linalg.matrix_power)
def matrix_power(a: Any, n: int) -> Any:
    return functions_linalg.matrix_power(a, n)
