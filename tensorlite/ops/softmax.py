"""softmax and log_softmax: fused kernels. Their rules need the result alone, and are written in ordinary ops for double backward.

`softmax_definition` and `log_softmax_definition` say in ordinary ops what the kernels compute; the tests hold the two together.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import to_numpy_dtype
from ..errors import check_dim
from ..kernels import softmax as kernel
from .analytic import conj, real
from .table import op


@op(namespaces=(), name="constant_max")
def constant_max(x: Any, dim: Any) -> Any:
    """The maximum along `dim`, kept as a dim of size 1, for shifting only: it passes no gradient."""
    return (
        np.max(real(x), axis=dim, keepdims=True)
        if x.shape[dim]
        else np.zeros((*x.shape[:dim], 1, *x.shape[dim + 1 :]), real(x).dtype)
    )


def plain_dtype(x: Any) -> Any:
    """The NumPy dtype of an array or a tensor."""
    return x.dtype if isinstance(x, np.ndarray) else x.dtype.dtype


def _prepared(x: Any, dim: Any, dtype: Any, name: str) -> tuple[Any, int]:
    if dtype is not None:
        x = x.astype(to_numpy_dtype(dtype), copy=False)
    if x.dtype.kind not in "fc":
        raise RuntimeError(
            f'"{name}_lastdim_kernel_impl" not implemented for {x.dtype}; give dtype=, or a floating-point tensor'
        )
    return x, check_dim(dim, x.ndim)


def _as_given(x: Any, dtype: Any) -> Any:
    return x if dtype is None else x.to(dtype=dtype)


def softmax_definition(x: Any, dim: Any, dtype: Any = None) -> Any:
    """exp(x - max) / Σ exp(x - max)."""
    x = _as_given(x, dtype)
    if not x.shape:
        return np.exp(x - x)
    e = np.exp(x - constant_max(x, dim % len(x.shape)))
    return e / e.sum(dim, True)


def log_softmax_definition(x: Any, dim: Any, dtype: Any = None) -> Any:
    """x - max - log Σ exp(x - max)."""
    x = _as_given(x, dtype)
    if not x.shape:
        return x - x
    shifted = x - constant_max(x, dim % len(x.shape))
    return shifted - np.log(np.exp(shifted).sum(dim, True))


def _by_kernel(function: Any, analytic: Any, x: Any, d: int) -> Any:
    if x.ndim == 0:
        return function(x.reshape(1), 0).reshape(()) if x.dtype.kind == "f" else analytic(x.reshape(1), 0).reshape(())
    if x.shape[d] == 0:
        return x.copy()
    return function(x, d) if x.dtype.kind == "f" else analytic(x, d)


@op(quiet=True)
def softmax(x: Any, dim: Any, dtype: Any = None) -> Any:
    """`exp(x) / Σ exp(x)` along `dim`; a slice of -inf alone gives NaN."""
    x, d = _prepared(x, dim, dtype, "softmax")
    return _by_kernel(kernel.softmax, kernel.softmax_definition, x, d)


@op(quiet=True)
def log_softmax(x: Any, dim: Any, dtype: Any = None) -> Any:
    """`log(softmax(x))` along `dim`, exact also where the softmax is 0 or 1 in rounding."""
    x, d = _prepared(x, dim, dtype, "log_softmax")
    return _by_kernel(kernel.log_softmax, kernel.log_softmax_definition, x, d)


def _softmax_grad(g: Any, out: Any, dim: Any) -> Any:
    if not out.shape:
        return g * 0
    if isinstance(out, np.ndarray) and out.dtype.kind == "f" and out.size:
        return kernel.softmax_backward(np.asarray(g), out, dim % out.ndim)
    y = conj(out)
    return y * (g - np.sum(g * y, dim, keepdims=True))


def _log_softmax_grad(g: Any, out: Any, dim: Any) -> Any:
    if not out.shape:
        return g * 0
    if isinstance(out, np.ndarray) and out.dtype.kind == "f" and out.size:
        return kernel.log_softmax_backward(np.asarray(g), out, dim % out.ndim)
    return g - np.exp(conj(out)) * np.sum(g, dim, keepdims=True)


softmax.grad(x=_softmax_grad)
log_softmax.grad(x=_log_softmax_grad)
