"""Normalisations: layer_norm and rms_norm by kernel, and `standardize`, on which batch, group and instance norm stand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..kernels import norm as kernel
from .analytic import ordered
from .table import op


def _rows(x: Any, count: int) -> Any:
    """`x` with its last `count` dims as one."""
    return x.reshape((*x.shape[: x.ndim - count], math.prod(x.shape[x.ndim - count :])))


def _flat(w: Any) -> Any:
    return None if w is None else w.reshape(-1)


# -- layer norm -----------------------------------------------------------------------------------------------------------


def layer_norm_definition(x: Any, weight: Any, bias: Any, eps: Any, count: Any) -> Any:
    """(x - mean) / sqrt(var + eps) * weight + bias over the last `count` dims, in ordinary ops."""
    dims = tuple(range(len(x.shape) - count, len(x.shape)))
    y = standardized(x, dims, eps)
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


def standardized(x: Any, dims: Any, eps: Any) -> Any:
    """(x - mean) / sqrt(var + eps) in ordinary ops."""
    centred = x - x.mean(dims, True)
    return centred / np.sqrt((centred * np.conj(centred)).mean(dims, True) + eps)


@op(namespaces=(), aux=True, quiet=True, definition=layer_norm_definition, name="layer_norm")
def layer_norm(x: Any, weight: Any, bias: Any, eps: Any, count: Any) -> Any:
    """Each slice over the last `count` dims brought to mean 0 and variance 1, then scaled and shifted."""
    _same_dtype(x, weight, bias)
    if x.dtype.kind != "f" or not x.size:
        return _analytic(layer_norm_definition, x, weight, bias, eps, count), None
    y, mean, rstd = kernel.layer_norm(_rows(x, count), _flat(weight), _flat(bias), eps)
    return y.reshape(x.shape), (mean, rstd)


def _same_dtype(x: Any, *parameters: Any) -> None:
    for p in parameters:
        if p is not None and p.dtype != x.dtype:
            raise RuntimeError(f"expected input and its weight and bias to have one dtype, got {x.dtype} and {p.dtype}")


def _analytic(definition: Any, x: Any, *arguments: Any) -> Any:
    if not x.size:
        return x.copy()
    if x.dtype.kind not in "fc":
        raise RuntimeError(f'"LayerNormKernelImpl" not implemented for {x.dtype}')
    dims = tuple(range(x.ndim - arguments[-1], x.ndim))
    if definition is layer_norm_definition:
        ordered(x, "layer_norm")
        centred = x - x.mean(dims, keepdims=True)
        y = centred / np.sqrt((centred * centred).mean(dims, keepdims=True) + arguments[2])
        return (y if arguments[0] is None else y * arguments[0]) + (0 if arguments[1] is None else arguments[1])
    y = x / np.sqrt((x * x).mean(dims, keepdims=True) + arguments[1])
    return y if arguments[0] is None else y * arguments[0]


def _layer_norm_grad(g: Any, needs: Any, x: Any, weight: Any, bias: Any, eps: Any, count: Any, aux: Any) -> Any:
    shape = x.shape[x.ndim - count :]
    if aux is None:
        return [np.zeros(x.shape, x.dtype), np.zeros(shape), np.zeros(shape)]
    mean, rstd = aux
    dx, dw, db = kernel.layer_norm_backward(_rows(g, count), _rows(x, count), mean, rstd, _flat(weight))
    return [dx.reshape(x.shape), dw.reshape(shape), db.reshape(shape)]


layer_norm.grad(_layer_norm_grad, wrt=("x", "weight", "bias"))


# -- rms norm -------------------------------------------------------------------------------------------------------------


def rms_norm_definition(x: Any, weight: Any, eps: Any, count: Any) -> Any:
    """x / sqrt(mean(x²) + eps) * weight over the last `count` dims, in ordinary ops."""
    dims = tuple(range(len(x.shape) - count, len(x.shape)))
    y = x / np.sqrt((x * x).mean(dims, True) + eps)
    return y if weight is None else y * weight


@op(namespaces=(), aux=True, quiet=True, definition=rms_norm_definition, name="rms_norm")
def rms_norm(x: Any, weight: Any, eps: Any, count: Any) -> Any:
    """Each slice over the last `count` dims divided by its root mean square (Zhang and Sennrich 2019), then scaled."""
    if x.dtype.kind != "f" or not x.size:
        return _analytic(rms_norm_definition, x, weight, eps, count), None
    y, rstd = kernel.rms_norm(_rows(x, count), _flat(weight), eps)
    return y.reshape(x.shape), (rstd,)


def _rms_norm_grad(g: Any, needs: Any, x: Any, weight: Any, eps: Any, count: Any, aux: Any) -> Any:
    shape = x.shape[x.ndim - count :]
    if aux is None and x.size:
        return _complex_rms_norm_grad(g, x, weight, eps, count)
    if aux is None:
        return [np.zeros(x.shape, x.dtype), np.zeros(shape)]
    dx, dw = kernel.rms_norm_backward(_rows(g, count), _rows(x, count), aux[0], _flat(weight))
    return [dx.reshape(x.shape), dw.reshape(shape)]


def _complex_rms_norm_grad(g: Any, x: Any, weight: Any, eps: Any, count: Any) -> Any:
    dims = tuple(range(x.ndim - count, x.ndim))
    r = np.conj(1 / np.sqrt((x * x).mean(dims, keepdims=True) + eps))
    xc = np.conj(x)
    gw = g if weight is None else g * np.conj(weight)
    dx = r * (gw - r * r * xc * (gw * xc).mean(dims, keepdims=True))
    return [dx, (g * xc * r).sum(tuple(range(x.ndim - count)))]


rms_norm.grad(_rms_norm_grad, wrt=("x", "weight"))


# -- over any dims --------------------------------------------------------------------------------------------------------


def moments(x: Any, dims: Any) -> tuple[Any, Any]:
    """Mean and biased variance over `dims`, kept as dims of size 1, in two passes with float64 sums."""
    wide = np.float64 if x.dtype.kind == "f" else None
    mean = x.mean(dims, keepdims=True, dtype=wide)
    centred = x - mean.astype(x.dtype, copy=False)
    variance = (centred * centred).mean(dims, keepdims=True, dtype=wide)
    return mean.astype(x.dtype), variance.astype(x.dtype)


@op(namespaces=(), aux=True, quiet=True, n_outputs=3, nondiff_outputs=(1, 2))
def standardize(x: Any, dims: Any, eps: Any) -> Any:
    """`(x - mean) / sqrt(var + eps)` over `dims`, and the mean and biased variance themselves, which pass no gradient."""
    mean, variance = moments(x, dims)
    rstd = 1 / np.sqrt(variance + eps)
    y = (x - mean) * rstd
    return (y, mean, variance), (y, rstd)


def _standardize_grad(g: Any, x: Any, dims: Any, eps: Any, aux: Any) -> Any:
    g = g[0]
    if isinstance(x, np.ndarray):
        y, rstd = aux
        wide = np.float64 if x.dtype.kind == "f" else None
        a = g.mean(dims, keepdims=True, dtype=wide).astype(x.dtype)
        b = (g * y).mean(dims, keepdims=True, dtype=wide).astype(x.dtype)
        return rstd * (g - a - y * b)
    centred = x - x.mean(dims, True)
    rstd = 1 / np.sqrt((centred * centred).mean(dims, True) + eps)
    y = centred * rstd
    return rstd * (g - g.mean(dims, True) - y * (g * y).mean(dims, True))


standardize.grad(x=_standardize_grad)
