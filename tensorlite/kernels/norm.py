"""Layer normalisation (Ba et al. 2016) and RMS normalisation (Zhang and Sennrich 2019) over the last axis."""

from __future__ import annotations

import numpy as np

from tensorlite.kernels.blocks import (
    Array,
    delivered,
    destination,
    float16_by_float32,
    ones,
    row_blocks,
    rows_contiguous,
    scratch,
)
from tensorlite.kernels.threads import parallel_for

# Measured at 128 to 512 columns: three arrays of 16 Ki float32 (192 KiB) beat 8 Ki (call overhead) and 64 Ki (L2
# misses).
NORM_BLOCK_ELEMENTS = 16 * 1024


def layer_norm_definition(x: Array, weight: Array | None = None, bias: Array | None = None, eps: float = 1e-5) -> Array:
    """(x − mean) / sqrt(var + eps) · weight + bias, with the biased variance."""
    centred = x - x.mean(-1, keepdims=True)
    y = centred / np.sqrt((centred * centred).mean(-1, keepdims=True) + eps)
    y = y if weight is None else y * weight
    return np.asarray(y if bias is None else y + bias)


def rms_norm_definition(x: Array, weight: Array | None = None, eps: float = 1e-5) -> Array:
    """x / sqrt(mean(x²) + eps) · weight."""
    y = x / np.sqrt((x * x).mean(-1, keepdims=True) + eps)
    return np.asarray(y if weight is None else y * weight)


@float16_by_float32
def layer_norm(
    x: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    eps: float = 1e-5,
    *,
    out: Array | None = None,
) -> tuple[Array, Array, Array]:
    """Layer norm of x (..., C): out (..., C), and mean and 1/σ, both x.shape[:-1], which the backward needs."""
    result = destination(out, x.shape, x.dtype)
    source, target = rows_contiguous(x), result.reshape(-1, x.shape[-1]) if x.size else result
    rows, columns = source.shape
    mean, rstd = np.empty(rows, x.dtype), np.empty(rows, x.dtype)
    average = _average(columns, x)

    def block(start: int, stop: int) -> None:
        xb, yb = source[start:stop], target[start:stop]
        mb = np.matmul(xb, average, out=mean[start:stop])
        np.subtract(xb, mb[:, None], out=yb)
        rb = _inverse_deviation(yb, average, eps, rstd[start:stop])
        np.multiply(yb, rb[:, None], out=yb)
        if weight is not None:
            np.multiply(yb, weight, out=yb)
        if bias is not None:
            np.add(yb, bias, out=yb)

    if x.size:
        parallel_for(block, row_blocks(rows, columns, NORM_BLOCK_ELEMENTS))
    return delivered(result, out), mean.reshape(x.shape[:-1]), rstd.reshape(x.shape[:-1])


def _inverse_deviation(centred: Array, average: Array, eps: float, out: Array) -> Array:
    """1 / sqrt(var + eps) of rows centred on a mean that is itself rounded, hence the correction by the drift."""
    np.vecdot(centred, centred, out=out)
    np.multiply(out, average[0], out=out)
    drift = centred @ average
    np.subtract(out, np.multiply(drift, drift, out=drift), out=out)
    np.add(out, out.dtype.type(eps), out=out)
    np.sqrt(out, out=out)
    return np.divide(1, out, out=out)


@float16_by_float32
def layer_norm_backward(
    g: Array,
    x: Array,
    mean: Array,
    rstd: Array,
    weight: Array | None = None,
    *,
    out: Array | None = None,
) -> tuple[Array, Array, Array]:
    """Cotangents of x (..., C), of the weight (C,) and of the bias (C,) of `layer_norm`."""
    return _norm_backward(g, x, mean, rstd, weight, out)


@float16_by_float32
def rms_norm(
    x: Array, weight: Array | None = None, eps: float = 1e-5, *, out: Array | None = None
) -> tuple[Array, Array]:
    """RMS norm of x (..., C): out (..., C), and 1/rms, of shape x.shape[:-1], which the backward needs."""
    result = destination(out, x.shape, x.dtype)
    source, target = rows_contiguous(x), result.reshape(-1, x.shape[-1]) if x.size else result
    rows, columns = source.shape
    rstd = np.empty(rows, x.dtype)
    average = _average(columns, x)

    def block(start: int, stop: int) -> None:
        xb, yb, rb = source[start:stop], target[start:stop], rstd[start:stop]
        np.vecdot(xb, xb, out=rb)
        np.multiply(rb, average[0], out=rb)
        np.add(rb, x.dtype.type(eps), out=rb)
        np.divide(1, np.sqrt(rb, out=rb), out=rb)
        np.multiply(xb, rb[:, None], out=yb)
        if weight is not None:
            np.multiply(yb, weight, out=yb)

    if x.size:
        parallel_for(block, row_blocks(rows, columns, NORM_BLOCK_ELEMENTS))
    return delivered(result, out), rstd.reshape(x.shape[:-1])


@float16_by_float32
def rms_norm_backward(
    g: Array, x: Array, rstd: Array, weight: Array | None = None, *, out: Array | None = None
) -> tuple[Array, Array]:
    """Cotangents of x (..., C) and of the weight (C,) of `rms_norm`."""
    dx, dweight, _ = _norm_backward(g, x, None, rstd, weight, out)
    return dx, dweight


def _norm_backward(
    g: Array, x: Array, mean: Array | None, rstd: Array, weight: Array | None, out: Array | None
) -> tuple[Array, Array, Array]:
    """dx = rstd (g w − mean(g w) − x̂ mean(g w x̂)), where the middle term is absent without a mean."""
    result = destination(out, x.shape, x.dtype)
    columns = x.shape[-1]
    if not x.size:
        return delivered(result, out), np.zeros(columns, x.dtype), np.zeros(columns, x.dtype)
    cotangent, source, target = rows_contiguous(g), rows_contiguous(x), result.reshape(-1, columns)
    rows = source.shape[0]
    mean_rows, rstd_rows = None if mean is None else mean.reshape(-1), rstd.reshape(-1)
    average = _average(columns, x) if weight is None else weight * x.dtype.type(1 / columns)
    blocks = row_blocks(rows, columns, NORM_BLOCK_ELEMENTS)
    # One partial sum a block, added up in float64 in the order of blocks: the same for any number of threads.
    partial = np.empty((2, len(blocks), columns), x.dtype)
    step = blocks[0][1]

    def block(start: int, stop: int) -> None:
        gb, db, rb = cotangent[start:stop], target[start:stop], rstd_rows[start:stop, None]
        vector = ones(stop - start, x.dtype)
        normal = scratch("norm.normal", db.shape, db.dtype)
        if mean_rows is None:
            np.multiply(source[start:stop], rb, out=normal)
        else:
            np.subtract(source[start:stop], mean_rows[start:stop, None], out=normal)
            np.multiply(normal, rb, out=normal)
        product = np.multiply(gb, normal, out=scratch("norm.product", db.shape, db.dtype))
        np.matmul(vector, product, out=partial[0, start // step])
        np.multiply(normal, (product @ average)[:, None], out=normal)
        if mean_rows is not None:
            np.matmul(vector, gb, out=partial[1, start // step])
            np.add(normal, (gb @ average)[:, None], out=normal)
        scaled = gb if weight is None else np.multiply(gb, weight, out=product)
        np.subtract(scaled, normal, out=db)
        np.multiply(db, rb, out=db)

    parallel_for(block, blocks)
    dweight, dbias = partial[0].sum(0, dtype=np.float64), partial[1].sum(0, dtype=np.float64) if mean is not None else 0
    return delivered(result, out), dweight.astype(x.dtype), np.asarray(dbias).astype(x.dtype)


def _average(columns: int, like: Array) -> Array:
    """The vector whose product with a row is the row's mean."""
    return np.full(columns, 1 / max(columns, 1), like.dtype)
