"""Matrix products."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..kernels import matmul as kernel
from .analytic import conj
from .table import op


def _same_dtype(x: Any, y: Any) -> None:
    if x.dtype != y.dtype:
        from ..dtypes import from_numpy_dtype

        a, b = from_numpy_dtype(x.dtype).name, from_numpy_dtype(y.dtype).name
        raise RuntimeError(f"expected m1 and m2 to have the same dtype, but got: {a} != {b}")


@op(broadcasts=True, numpy=np.matmul)
def matmul(x: Any, y: Any) -> Any:
    """Matrix product; 1-d operands are vectors, leading dims are batches and broadcast. Operands must have one dtype."""
    if x.ndim == 0 or y.ndim == 0:
        raise RuntimeError(f"both arguments to matmul need to be at least 1D, but they are {x.ndim}D and {y.ndim}D")
    _same_dtype(x, y)
    k = y.shape[-2] if y.ndim > 1 else y.shape[0]
    if x.shape[-1] != k:
        if x.ndim == 1 and y.ndim == 1:
            raise RuntimeError(
                f"inconsistent tensor size, expected tensor [{x.shape[0]}] and src [{k}] to have the same number of elements, but got {x.shape[0]} and {k} elements respectively"
            )
        if x.ndim <= 2 and y.ndim <= 2:
            if x.ndim == 2 and y.ndim == 1:
                raise RuntimeError(
                    f"size mismatch, got input ({x.shape[0]}), mat ({x.shape[0]}x{x.shape[1]}), vec ({k})"
                )
            raise RuntimeError(f"mat1 and mat2 shapes cannot be multiplied ({_by(x)} and {_by(y)})")
        raise RuntimeError(
            f"Expected size for first two dimensions of batch2 tensor to be: [{x.shape[0]}, {x.shape[-1]}] but got: [{y.shape[0]}, {k}]."
        )
    return product(x, y)


def product(x: Any, y: Any) -> Any:
    """x @ y; of floating arrays by the kernel, which knows the routine and the number of threads for each shape."""
    if type(x) is np.ndarray and type(y) is np.ndarray and x.dtype.kind == "f":
        return kernel.matmul(x, y)
    return x @ y


def _by(x: Any) -> str:
    return "x".join(map(str, x.shape if x.ndim > 1 else (1, *x.shape)))


def _swap(x: Any) -> Any:
    return np.swapaxes(x, -1, -2)


def _grad_x(g: Any, y: Any, x_shape: Any) -> Any:
    y = conj(y)
    if y.ndim == 1:
        return g.reshape((*g.shape, 1)) * y
    if len(x_shape) == 1:  # (..., k, n) with g (..., n): a matrix-vector product, summed over the batch by the engine
        return (y * g.reshape((*g.shape[:-1], 1, g.shape[-1]))).sum(-1)
    return product(g, _swap(y))


def _leading(x: Any) -> int:
    return math.prod(x.shape[:-1])


def _rows(x: Any) -> Any:
    """`x` as a matrix: all dims but the last as one."""
    return x.reshape((_leading(x), x.shape[-1]))


def _grad_y(g: Any, x: Any, y_shape: Any) -> Any:
    x = conj(x)
    if x.ndim == 1:
        if len(y_shape) == 1:
            return g * x
        return x.reshape((-1, 1)) * g.reshape((*g.shape[:-1], 1, g.shape[-1]))
    if len(y_shape) == 1:
        return _rows(x).swapaxes(0, 1) @ g.reshape((_leading(x),))
    if len(y_shape) == 2 and x.ndim > 2:  # one large product instead of a batch of them and a sum
        return product(_rows(x).swapaxes(0, 1), _rows(g))
    return product(_swap(x), g)


matmul.grad(x=_grad_x, y=_grad_y)
