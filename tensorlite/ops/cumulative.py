"""Running sums, products, extrema and log-sums along one dim."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import check_dim
from .along import put_along
from .analytic import branch, conj, ordered
from .extrema import Picked
from .table import Op, op


def _typed(x: Any, dtype: Any) -> Any:
    from ..dtypes import to_numpy_dtype

    if dtype is not None:
        return x.astype(to_numpy_dtype(dtype))
    return x.astype(np.int64) if x.dtype.kind in "bui" else x


@op(inplace=True, numpy=np.cumsum)
def cumsum(x: Any, dim: Any, dtype: Any = None) -> Any:
    """Running sum along `dim`; narrow floats are added up in float64."""
    x, d = _typed(x, dtype), check_dim(dim, x.ndim)
    if x.ndim == 0:
        return x.copy()
    wide = np.float64 if x.dtype.kind == "f" else None
    return np.cumsum(x, axis=d, dtype=wide).astype(x.dtype, copy=False)


def _from_the_end(g: Any, dim: Any) -> Any:
    """Running sum that starts at the end."""
    return backwards(cumsum(backwards(g, dim), dim), dim) if g.ndim else g


def backwards(x: Any, dim: Any) -> Any:
    """`x` in reverse order along `dim`."""
    return x[(slice(None),) * (dim % x.ndim) + (slice(None, None, -1),)]


cumsum.grad(x=lambda g, dim: _from_the_end(g, dim))


@op(inplace=True, numpy=np.cumprod)
def cumprod(x: Any, dim: Any, dtype: Any = None) -> Any:
    """Running product along `dim`; its gradient is right where factors are zero."""
    x, d = _typed(x, dtype), check_dim(dim, x.ndim)
    return np.cumprod(x, axis=d) if x.ndim else x.copy()


def _cumprod_grad(g: Any, x: Any, out: Any, dim: Any) -> Any:
    """∂/∂xₖ = Σ_{j≥k} gⱼ Π_{i≤j, i≠k} xᵢ; with zeros among the factors by a recurrence from the end that never divides."""
    if x.ndim == 0:
        return g
    if not (x == 0).any():
        return _from_the_end(g * conj(out), dim) / conj(x)
    d = dim % x.ndim
    x, n = conj(x), x.shape[d]

    def at(a: Any, k: int) -> Any:
        return a[(slice(None),) * d + (slice(k, k + 1),)]

    after, parts = at(g, n - 1), []
    for k in range(n - 1, -1, -1):
        if k < n - 1:
            after = at(g, k) + at(x, k + 1) * after  # Σ_{j≥k} gⱼ Π_{k<i≤j} xᵢ
        parts.append(at(conj(out), k - 1) * after if k else after)
    return np.concatenate(parts[::-1], d)


cumprod.grad(x=_cumprod_grad)


@op(promote="float", quiet=True)
def logcumsumexp(x: Any, dim: Any) -> Any:
    """`log` of the running sum of `eˣ` along `dim`, without overflow."""
    d = check_dim(dim, x.ndim)
    if x.ndim == 0 or x.size == 0:
        return x.copy()
    if x.dtype.kind == "c":
        peak = x.real.max(axis=d, keepdims=True)
        return np.log(np.cumsum(np.exp(x - peak), axis=d)) + peak
    return np.logaddexp.accumulate(x, axis=d)


def _logcumsumexp_grad(g: Any, x: Any, out: Any, dim: Any) -> Any:
    if x.ndim == 0 or x.shape[dim] == 0:
        return g
    d, n = dim % x.ndim, x.shape[dim]
    if isinstance(x, np.ndarray) and x.dtype.kind == "f":
        # in logarithms, the positive and the negative cotangents apart: e^(xₖ - outⱼ) may overflow where the sum does not
        def side(part: Any) -> Any:
            terms = np.where(part > 0, np.log(part) - out, -np.inf)
            total = backwards(np.logaddexp.accumulate(backwards(terms, d), axis=d), d)
            return np.exp(total + x)

        return side(g) - side(-g)
    later = x.reshape((*x.shape[: d + 1], 1, *x.shape[d + 1 :])) - out.reshape(
        (*x.shape[:d], 1, *x.shape[d:])
    )  # [k, j]
    causal = np.triu(np.ones((n, n), bool)).reshape((n, n) + (1,) * (x.ndim - d - 1))
    weights = np.where(causal, np.exp(np.where(causal, later, 0)), 0)
    return (conj(weights) * g.reshape((*x.shape[:d], 1, *x.shape[d:]))).sum(d + 1)


logcumsumexp.grad(x=_logcumsumexp_grad)


def _running(name: str, accumulate: Callable[..., Any], doc: str) -> Op:
    def forward(x: Any, dim: Any) -> Any:
        d = check_dim(dim, x.ndim)
        if x.ndim == 0:
            return (x.copy(), np.zeros((), np.int64)), None
        r = ordered(x, name)
        best = accumulate(r, axis=d)
        places = np.arange(x.shape[d]).reshape((-1,) + (1,) * (x.ndim - d - 1))
        indices = branch(
            np.maximum.accumulate(np.where((r == best) | (r != r), places, 0), axis=d)
        )  # of equals the latest
        return (np.take_along_axis(x, indices, d), indices), indices

    forward.__name__, forward.__doc__ = name, doc
    return op(n_outputs=2, nondiff_outputs=(1,), outputs=Picked, aux=True)(forward).grad(x=_running_grad)


def _running_grad(g: Any, aux: Any, dim: Any, x_shape: Any) -> Any:
    if not x_shape:
        return g[0]
    return put_along(g[0], aux, dim % len(x_shape), x_shape[dim], False)


cummax = _running("cummax", np.maximum.accumulate, "(values, indices) of the running maximum along `dim`.")
cummin = _running("cummin", np.minimum.accumulate, "(values, indices) of the running minimum along `dim`.")
