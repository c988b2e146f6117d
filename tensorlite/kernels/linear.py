"""The linear layer x wᵀ + b with an activation behind it, and its gradients by one matrix product each."""

from __future__ import annotations

import itertools
import math
from typing import Literal

import numpy as np

from tensorlite.kernels.blocks import (
    BLOCK_ELEMENTS,
    Array,
    delivered,
    destination,
    float16_by_float32,
    ones,
    row_blocks,
)
from tensorlite.kernels.gelu import Approximation, gelu, gelu_backward, gelu_definition
from tensorlite.kernels.matmul import ALONE_WITH_VECTOR, COLUMNS_SPLIT, SMALLEST_SHARED, matmul, two_matmuls
from tensorlite.kernels.threads import parallel_for, threads_here

Activation = Literal["relu", "gelu", "gelu_tanh"]

# Rows of one partial sum of a bias gradient: float32 inside, float64 between, for an error near 1e-6 of Σ|g|.
SUM_ROWS = 256


def linear_definition(
    x: Array, weight: Array, bias: Array | None = None, activation: Activation | None = None
) -> Array:
    """activation(x wᵀ + b)."""
    z = x @ weight.T
    z = z if bias is None else z + bias
    if activation is None:
        return np.asarray(z)
    if activation == "relu":
        return np.where(z.real > 0, z, z * 0)
    return gelu_definition(z, _approximation(activation))


@float16_by_float32
def linear(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    activation: Activation | None = None,
    *,
    out: Array | None = None,
    preactivation: Array | None = None,
) -> Array:
    """activation(x wᵀ + b) for x (..., in), weight (out, in), bias (out,).

    `preactivation`, if given, receives x wᵀ + b, which the backward of a GELU needs (that of ReLU needs the output
    alone).

    Raises:
        ValueError: if the last axis of x is not the weight's last axis.
    """
    if x.ndim == 0 or weight.ndim != 2 or x.shape[-1] != weight.shape[1]:
        raise ValueError(f"linear expects x (..., in) and weight (out, in), got {x.shape} and {weight.shape}")
    shape = (*x.shape[:-1], weight.shape[0])
    result = destination(out, shape, x.dtype)
    rows = math.prod(x.shape[:-1])
    source, target = x.reshape(rows, x.shape[-1]), result.reshape(rows, shape[-1])
    kept = None if preactivation is None else destination(preactivation, shape, x.dtype)
    held = None if kept is None else kept.reshape(rows, shape[-1])

    def finish(start: int, stop: int) -> None:
        _finish(target[start:stop], bias, activation, None if held is None else held[start:stop])

    def multiply_and_finish(start: int, stop: int) -> None:
        matmul(source[start:stop], weight.T, out=target[start:stop])
        finish(start, stop)

    threads = threads_here()
    if threads > 1 and target.size * x.shape[-1] >= SMALLEST_SHARED and shape[-1] < COLUMNS_SPLIT * rows:
        bounds = [rows * i // threads for i in range(threads + 1)]
        parallel_for(multiply_and_finish, list(itertools.pairwise(bounds)))
    else:
        matmul(source, weight.T, out=target)
        if target.size <= BLOCK_ELEMENTS:
            finish(0, rows)
        elif bias is not None or activation is not None or held is not None:
            parallel_for(finish, row_blocks(rows, shape[-1]))
    if kept is not None:
        delivered(kept, preactivation)
    return delivered(result, out)


def _finish(z: Array, bias: Array | None, activation: Activation | None, held: Array | None) -> None:
    if bias is not None:
        np.add(z, bias, out=z)
    if held is not None:
        np.copyto(held, z)
    if activation == "relu":
        np.maximum(z, 0, out=z)
    elif activation is not None:
        np.copyto(z, gelu(z, _approximation(activation)))


@float16_by_float32
def linear_backward(
    g: Array,
    x: Array,
    weight: Array,
    activation: Activation | None = None,
    saved: Array | None = None,
    *,
    needs: tuple[bool, bool, bool] = (True, True, True),
) -> tuple[Array | None, Array | None, Array | None]:
    """Cotangents (dx, dweight, dbias) of `linear`; an entry that `needs` leaves out is None.

    `saved` is the output for "relu" and the preactivation for the forms of GELU.
    """
    rows = math.prod(g.shape[:-1])
    g2 = (g if activation is None else activation_backward(g, activation, saved)).reshape(rows, g.shape[-1])
    x2 = x.reshape(rows, x.shape[-1])
    dx: Array | None
    dweight: Array | None
    if needs[0] and needs[1]:
        dx, dweight = two_matmuls((g2, weight), (g2.T, x2))
    else:
        dx, dweight = matmul(g2, weight) if needs[0] else None, matmul(g2.T, x2) if needs[1] else None
    dbias = sum_rows(g2) if needs[2] else None
    return None if dx is None else dx.reshape(x.shape), dweight, dbias


def activation_backward(g: Array, activation: Activation, saved: Array | None) -> Array:
    """Cotangent before the activation, from that behind it."""
    if saved is None:
        raise ValueError(f"the backward of activation {activation!r} needs the array saved by the forward, got None")
    if activation == "relu":
        return np.multiply(g, saved > 0, dtype=g.dtype)
    return gelu_backward(g, saved, _approximation(activation))


def sum_rows(g: Array, *, out: Array | None = None) -> Array:
    """Sum over the rows of a 2-D array by products with a vector of ones, partial sums added in float64."""
    rows, columns = g.shape
    result = destination(out, (columns,), g.dtype)
    if not g.size:
        result[...] = 0
        return delivered(result, out)
    if g.size <= ALONE_WITH_VECTOR and rows <= SUM_ROWS:
        np.matmul(ones(rows, g.dtype), g, out=result)
        return delivered(result, out)
    blocks = row_blocks(rows, columns, SUM_ROWS * columns)
    step = blocks[0][1]
    partial = result[None] if len(blocks) == 1 else np.empty((len(blocks), columns), g.dtype)

    def several(start: int, stop: int) -> None:
        for first, last in blocks[start:stop]:
            np.matmul(ones(last - first, g.dtype), g[first:last], out=partial[first // step])

    parallel_for(several, row_blocks(len(blocks), step * columns))
    if len(blocks) > 1:
        result[...] = partial.sum(0, dtype=np.float64)
    return delivered(result, out)


def _approximation(activation: Activation) -> Approximation:
    if activation not in ("gelu", "gelu_tanh"):
        raise ValueError(f"activation must be 'relu', 'gelu' or 'gelu_tanh', got {activation!r}")
    return "tanh" if activation == "gelu_tanh" else "none"
