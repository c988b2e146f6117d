"""The affine map of a fully connected layer, fused: one product over all leading dims, bias added in place."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..kernels import linear as kernel
from .analytic import conj
from .table import op


def linear_definition(x: Any, weight: Any, bias: Any = None) -> Any:
    """x wᵀ + b, in ordinary ops."""
    z = x @ (np.swapaxes(weight, 0, 1) if len(weight.shape) == 2 else weight)
    return z if bias is None else z + bias


@op(namespaces=(), definition=linear_definition, name="linear")
def linear(x: Any, weight: Any, bias: Any = None) -> Any:
    """`x wᵀ + b` for `x (..., in)`, `weight (out, in)` or `(in,)`, `bias (out,)` or `()`."""
    _check(x, weight, bias)
    if _plain(x, weight, bias):
        return kernel.linear(x, weight, bias)
    z = x @ weight.T
    return z if bias is None else z + bias


def _plain(x: Any, weight: Any, bias: Any) -> bool:
    return (
        x.dtype.kind == "f"
        and weight.ndim == 2
        and x.ndim > 1
        and x.size > 0
        and weight.size > 0
        and (bias is None or bias.ndim == 1)
    )


def _check(x: Any, weight: Any, bias: Any) -> None:
    for p in (weight, bias):
        if p is not None and p.dtype != x.dtype:
            raise RuntimeError(f"mat1 and mat2 must have the same dtype, but got {x.dtype} and {p.dtype}")
    if x.ndim == 0 or weight.ndim == 0:
        raise RuntimeError(
            f"both arguments to linear need to be at least 1D, but they are {x.ndim}D and {weight.ndim}D"
        )
    if weight.ndim > 2:
        raise RuntimeError(f"linear: expected weight (out, in), got {weight.shape}")
    if x.shape[-1] != weight.shape[-1]:
        rows = int(np.prod(x.shape[:-1]))
        columns = weight.shape[0] if weight.ndim == 2 else 1
        raise RuntimeError(
            f"mat1 and mat2 shapes cannot be multiplied ({rows}x{x.shape[-1]} and {weight.shape[-1]}x{columns})"
        )


def _linear_grad(g: Any, needs: Any, x: Any, weight: Any, bias: Any) -> Any:
    g = np.asarray(g)
    if _plain(x, weight, bias):
        return list(kernel.linear_backward(g, x, weight, needs=tuple(needs)))
    w = weight if weight.ndim == 2 else weight.reshape(1, -1)
    n = math.prod(x.shape[:-1])
    rows, inputs = g.reshape(n, w.shape[0]), x.reshape(n, x.shape[-1])
    dx = (rows @ conj(w)).reshape(x.shape) if needs[0] else None
    dw = (rows.T @ conj(inputs)).reshape(weight.shape) if needs[1] else None
    db = None
    if needs[2]:
        db = rows.sum(0) if bias.ndim else rows.sum()
        db = db.reshape(bias.shape) if db.size == bias.size else np.broadcast_to(db.sum(), bias.shape)
    return [dx, dw, db]


linear.grad(_linear_grad, wrt=("x", "weight", "bias"))
