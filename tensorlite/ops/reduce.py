"""Reductions: sum, mean and their kin, over all dims, one dim or several."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import check_dims
from .analytic import conj, state
from .analytic import real as decisive
from .basic import _accumulator
from .elementwise import abs as absolute
from .elementwise import sgn
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
    return np.sum(x, axis=dims_of(dim, x.ndim), keepdims=bool(keepdim), dtype=_accumulator(x) or target).astype(
        target, copy=False
    )


sum.grad(x=lambda g, x_shape, dim, keepdim: spread(g, x_shape, dim, keepdim))


@op(numpy=np.mean, quiet=True)
def mean(x: Any, dim: Any = None, keepdim: Any = False, dtype: Any = None) -> Any:
    """Mean over `dim` (all dims by default). Raises RuntimeError for integers: say which float is meant with `dtype`."""
    from ..dtypes import from_numpy_dtype, to_numpy_dtype

    if dtype is not None:
        x = x.astype(to_numpy_dtype(dtype))
    if x.dtype.kind in "bui":
        raise RuntimeError(
            f"mean(): could not infer output dtype. Input dtype must be either a floating point or complex dtype. Got: {from_numpy_dtype(x.dtype).name}"
        )
    dims = dims_of(dim, x.ndim)
    total = np.sum(x, axis=dims, keepdims=bool(keepdim), dtype=np.float64 if x.dtype.kind == "f" else None)
    return (total / np.float64(count(x.shape, dims))).astype(x.dtype)


def count(shape: Any, dims: Any) -> int:
    """How many elements one result of a reduction is made of."""
    n = 1
    for d in dims:
        n *= shape[d]
    return n


mean.grad(
    x=lambda g, x_shape, dim, keepdim: spread(
        g / max(count(x_shape, dims_of(dim, len(x_shape))), 1), x_shape, dim, keepdim
    )
)


# -- products -----------------------------------------------------------------------------------------------------------


@op(numpy=np.prod)
def prod(x: Any, dim: Any = None, keepdim: Any = False, dtype: Any = None) -> Any:
    """Product over `dim` (all dims by default). Its gradient is right where factors are zero."""
    from ..dtypes import to_numpy_dtype

    if dtype is not None:
        x = x.astype(to_numpy_dtype(dtype))
    target = np.int64 if x.dtype.kind in "bui" and dtype is None else x.dtype
    return np.prod(x, axis=dims_of(dim, x.ndim), keepdims=bool(keepdim), dtype=target)


def _prod_grad(g: Any, x: Any, dim: Any, keepdim: Any) -> Any:
    dims = dims_of(dim, x.ndim)
    kept = tuple(i for i in range(x.ndim) if i not in dims)
    shape = tuple(x.shape)
    moved = np.transpose(x, (*kept, *dims)).reshape((*(shape[i] for i in kept), count(shape, dims)))
    others = np.transpose(
        product_of_others(moved).reshape(tuple(shape[i] for i in (*kept, *dims))), inverse_order((*kept, *dims))
    )
    return spread(g, shape, dim, keepdim) * conj(others)


def inverse_order(order: tuple[int, ...]) -> tuple[int, ...]:
    """The permutation that undoes `order`."""
    result = [0] * len(order)
    for position, axis in enumerate(order):
        result[axis] = position
    return tuple(result)


def product_of_others(x: Any) -> Any:
    """For each element the product of all others along the last dim, without dividing."""
    n = x.shape[-1]
    if isinstance(x, np.ndarray):
        before, after = np.ones_like(x), np.ones_like(x)
        before[..., 1:] = np.cumprod(x[..., :-1], axis=-1)
        after[..., :-1] = np.cumprod(x[..., :0:-1], axis=-1)[..., ::-1]
        return before * after
    if n <= 1:
        return np.ones_like(x)
    table = np.broadcast_to(x.reshape((*x.shape[:-1], 1, n)), (*x.shape[:-1], n, n))
    return prod(np.where(np.eye(n, dtype=bool), 1, table), -1)


prod.grad(x=_prod_grad)


# -- moments ------------------------------------------------------------------------------------------------------------


def _degrees(shape: Any, dim: Any, correction: Any) -> float:
    return max(0.0, count(shape, dims_of(dim, len(shape))) - (1 if correction is None else correction))


def _variance(x: Any, dim: Any, correction: Any, keepdim: Any) -> Any:
    """Two passes: the mean of squares less the square of the mean loses all digits where the mean is large."""
    dims = dims_of(dim, x.ndim)
    if x.dtype.kind not in "fc":
        raise RuntimeError("std and var only support floating point and complex dtypes")
    wide = np.float64 if x.dtype.kind == "f" else np.complex128
    centred = np.subtract(x, np.sum(x, axis=dims, keepdims=True, dtype=wide) / np.float64(count(x.shape, dims)))
    squares = centred * centred if x.dtype.kind == "f" or state.on else centred.real**2 + centred.imag**2
    total = np.sum(squares, axis=dims, keepdims=bool(keepdim))
    result = np.asarray(total / np.float64(_degrees(x.shape, dim, correction)))
    return result.astype(x.dtype if x.dtype.kind == "f" or state.on else x.real.dtype)


@op(quiet=True, namespaces=())
def var(x: Any, dim: Any = None, correction: Any = 1, keepdim: Any = False) -> Any:
    """Variance over `dim`, divided by n - `correction`."""
    return _variance(x, dim, correction, keepdim)


@op(quiet=True, namespaces=())
def std(x: Any, dim: Any = None, correction: Any = 1, keepdim: Any = False) -> Any:
    """Standard deviation over `dim`; the gradient where it is 0 is 0."""
    return np.sqrt(_variance(x, dim, correction, keepdim))


def _var_grad(g: Any, x: Any, dim: Any, correction: Any, keepdim: Any) -> Any:
    degrees = _degrees(x.shape, dim, correction)
    scale = 2 / degrees if degrees else float("inf")
    return spread(g * scale, tuple(x.shape), dim, keepdim) * (x - mean(x, None if dim is None else dim, True))


def _std_grad(g: Any, x: Any, out: Any, dim: Any, correction: Any, keepdim: Any) -> Any:
    return _var_grad(np.where(out == 0, 0, g / (2 * out)), x, dim, correction, keepdim)


var.grad(x=_var_grad)
std.grad(x=_std_grad)


# -- norms --------------------------------------------------------------------------------------------------------------


@op(quiet=True, namespaces=())
def vector_norm(x: Any, ord: Any = 2, dim: Any = None, keepdim: Any = False) -> Any:
    """`(Σ |x|^ord)^(1/ord)` over `dim`; the largest and smallest modulus for ±inf, the number of nonzeros for 0."""
    dims, keep = dims_of(dim, x.ndim), bool(keepdim)
    if x.dtype.kind not in "fc":
        raise RuntimeError(f"linalg.vector_norm: Expected a floating point or complex tensor as input. Got {x.dtype}")
    modulus = np.where(x.real < 0, -x, x) if state.on and x.dtype.kind == "c" else np.abs(x)
    dtype = modulus.dtype
    if count(x.shape, dims) == 0 and (ord < 0 or ord == np.inf):
        raise RuntimeError(
            f"linalg.vector_norm cannot compute the {ord} norm on an empty tensor because the operation does not have an identity"
        )
    wide = modulus if dtype.itemsize >= 8 else modulus.astype(np.float64)
    if ord == np.inf:
        return modulus.max(axis=dims, keepdims=keep)
    if ord == -np.inf:
        return modulus.min(axis=dims, keepdims=keep)
    if ord == 0:
        return (modulus != 0).sum(axis=dims, keepdims=keep).astype(dtype)
    if ord == 1:
        return np.asarray(wide.sum(axis=dims, keepdims=keep)).astype(dtype)
    if ord == 2:
        return np.asarray(np.sqrt((wide * wide).sum(axis=dims, keepdims=keep))).astype(dtype)
    return np.asarray((wide**ord).sum(axis=dims, keepdims=keep) ** (1.0 / ord)).astype(dtype)


def _ratio(g: Any, norm: Any) -> Any:
    return np.where(norm == 0, 0, g / norm)


def _norm_grad(g: Any, x: Any, out: Any, ord: Any, dim: Any, keepdim: Any) -> Any:
    shape = tuple(x.shape)
    g, norm = spread(g, shape, dim, keepdim), spread(out, shape, dim, keepdim)
    if ord == 0:
        return np.zeros_like(x)
    if ord == 1:
        return sgn(x) * g
    if ord == 2:
        return g * _ratio(x, norm)  # so that the second derivative at 0, which does not exist, is NaN
    modulus = absolute(x)
    if ord in (np.inf, -np.inf):
        largest = modulus == norm
        ties = spread(sum(largest, dim, keepdim), shape, dim, keepdim)
        return sgn(x) * (np.where(largest, 1, 0) * (g / ties))
    if ord < 1:
        return sgn(x) * np.where(modulus == 0, 0, modulus ** (ord - 1)) * g * norm ** (1 - ord)
    if ord < 2:
        return sgn(x) * modulus ** (ord - 1) * _ratio(g, norm ** (ord - 1))
    return x * modulus ** (ord - 2) * _ratio(g, norm ** (ord - 1))


vector_norm.grad(x=_norm_grad)


@op(promote="float", quiet=True)
def logsumexp(x: Any, dim: Any, keepdim: Any = False) -> Any:
    """`log Σ eˣ` over `dim`, without overflow; -inf over nothing."""
    dims, keep = dims_of(dim, x.ndim), bool(keepdim)
    if count(x.shape, dims) == 0:
        return np.log(np.sum(np.exp(x), axis=dims, keepdims=keep))
    largest = np.max(decisive(x), axis=dims, keepdims=True)
    largest = np.where(np.isfinite(largest), largest, 0).astype(largest.dtype)
    total = np.log(np.sum(np.exp(x - largest), axis=dims, keepdims=True)) + largest
    return (
        total.astype(x.dtype, copy=False)
        if keep
        else total.reshape(tuple(n for i, n in enumerate(x.shape) if i not in dims)).astype(x.dtype, copy=False)
    )


logsumexp.grad(
    x=lambda g, x, out, dim, keepdim: (
        spread(g, tuple(x.shape), dim, keepdim) * conj(np.exp(x - spread(out, tuple(x.shape), dim, keepdim)))
    )
)


# -- counting, all and any ----------------------------------------------------------------------------------------------


def _as_truth(result: Any, x: Any) -> Any:
    return np.asarray(result).astype(np.uint8 if x.dtype == np.uint8 else bool)


@op(numpy=np.all)
def all(x: Any, dim: Any = None, keepdim: Any = False) -> Any:
    """Whether all elements over `dim` are true."""
    return _as_truth(np.all(x, axis=dims_of(dim, x.ndim), keepdims=bool(keepdim)), x)


@op(numpy=np.any)
def any(x: Any, dim: Any = None, keepdim: Any = False) -> Any:
    """Whether one of the elements over `dim` is true."""
    return _as_truth(np.any(x, axis=dims_of(dim, x.ndim), keepdims=bool(keepdim)), x)


@op(numpy=np.count_nonzero)
def count_nonzero(x: Any, dim: Any = None) -> Any:
    """How many elements over `dim` are not zero, as int64."""
    return np.sum(x != 0, axis=dims_of(dim, x.ndim), dtype=np.int64)


@op(numpy=np.trace)
def trace(x: Any) -> Any:
    """Sum of the diagonal of a matrix."""
    if x.ndim != 2:
        raise RuntimeError(f"trace: expected a matrix, but got tensor with dim {x.ndim}")
    return np.trace(x, dtype=np.int64 if x.dtype.kind in "bui" else x.dtype)


trace.grad(x=lambda g, x_shape: g * np.eye(*x_shape))
