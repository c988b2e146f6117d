"""Layer normalisation (Ba et al. 2016) and RMS normalisation (Zhang and Sennrich 2019) over the last axis."""

from __future__ import annotations

import numpy as np

from tensorlite.kernels.blocks import (
    Array,
    delivered,
    destination,
    float16_by_float32,
    float16_with_statistics,
    ones,
    row_blocks,
    rows_contiguous,
    scratch,
)
from tensorlite.kernels.threads import parallel_for

# Largest |mean| / σ of a row for which the one-pass variance is used: its relative error stays within five roundings.
LARGEST_MEAN = 2.0

# Mean / σ of centred rows that is left uncorrected; three corrections take that of a constant row from 1 to nothing.
NEGLIGIBLE_DRIFT = 3e-6
LARGEST_CORRECTIONS = 3

# Elements below which the calls of the one-pass form cost more than the passes that it saves.
SMALLEST_AT_ONCE = 4096


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


@float16_with_statistics
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
    per_row = None if x.size < SMALLEST_AT_ONCE else _per_row(columns, weight, bias, x)

    def block(start: int, stop: int) -> None:
        xb, yb = source[start:stop], target[start:stop]
        mb = np.matmul(xb, average, out=mean[start:stop])
        if per_row is not None and _normalise_at_once(xb, mb, rstd[start:stop], eps, per_row, yb):
            return
        np.subtract(xb, mb[:, None], out=yb)
        rb = _inverse_deviation(yb, mb, average, eps, rstd[start:stop])
        np.multiply(yb, rb[:, None], out=yb)
        if weight is not None:
            np.multiply(yb, weight, out=yb)
        if bias is not None:
            np.add(yb, bias, out=yb)

    if x.size:
        parallel_for(block, row_blocks(rows, columns))
    return delivered(result, out), mean.reshape(x.shape[:-1]), rstd.reshape(x.shape[:-1])


def _per_row(columns: int, weight: Array | None, bias: Array | None, like: Array) -> Array:
    """(w, 0) and (w, b): what the per-row numbers are multiplied with."""
    per_row = np.zeros((2, 2, columns), like.dtype)
    per_row[:, 0] = 1 if weight is None else weight
    per_row[1, 1] = 0 if bias is None else bias
    return per_row


def _normalise_at_once(x: Array, mean: Array, rstd: Array, eps: float, per_row: Array, out: Array) -> bool:
    """Write x ∘ (rstd wᵀ) + (1 bᵀ − mean rstd wᵀ), if no row's mean is so large that mean(x²) − mean² would cancel.

    Products of rank two make the two broadcast arrays in half the time that NumPy broadcasts a row or a column in.
    """
    variance = np.vecdot(x, x, out=rstd)
    np.multiply(variance, x.dtype.type(1 / x.shape[1]), out=variance)
    square = mean * mean
    np.subtract(variance, square, out=variance)
    if not (square <= variance * LARGEST_MEAN**2).all():  # False for NaN
        return False
    np.add(variance, x.dtype.type(eps), out=variance)
    np.divide(1, np.sqrt(variance, out=variance), out=rstd)
    columns = np.ones((x.shape[0], 2), x.dtype)
    columns[:, 0] = rstd
    wide = np.matmul(columns, per_row[0], out=scratch("norm.normal", x.shape, x.dtype))
    np.multiply(x, wide, out=out)
    np.multiply(rstd, -mean, out=columns[:, 0])
    np.add(out, np.matmul(columns, per_row[1], out=wide), out=out)
    return True


def _inverse_deviation(centred: Array, mean: Array, average: Array, eps: float, out: Array) -> Array:
    """1 / sqrt(var + eps) of rows centred on `mean`, both corrected where the mean's rounding shows beside the variance.

    A constant row is the extreme: without it, its rounded mean would be divided by sqrt(eps).
    """
    for _ in range(LARGEST_CORRECTIONS):
        np.multiply(np.vecdot(centred, centred, out=out), average[0], out=out)
        drift = centred @ average
        if (drift * drift <= out * NEGLIGIBLE_DRIFT**2).all():
            break
        np.subtract(centred, drift[:, None], out=centred)
        np.add(mean, drift, out=mean)
    else:
        np.multiply(np.vecdot(centred, centred, out=out), average[0], out=out)
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


@float16_with_statistics
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
        parallel_for(block, row_blocks(rows, columns))
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
    blocks = row_blocks(rows, columns)
    # One partial sum a block, added up in float64 in the order of blocks: the same for any number of threads.
    partial = np.empty((2, len(blocks), columns), x.dtype)
    step = blocks[0][1]

    scale = np.zeros((2, columns), x.dtype)
    scale[0] = 1 if weight is None else weight

    def block(start: int, stop: int) -> None:
        gb, xb, db, rb = (a[start:stop] for a in (cotangent, source, target, rstd_rows))
        index = start // step
        mb = None if mean_rows is None else mean_rows[start:stop]
        if mb is None or (np.abs(mb * rb) <= LARGEST_MEAN).all():
            _backward_at_once(gb, xb, mb, rb, average, scale, db, partial[:, index])
        else:
            _backward_centred(gb, xb, mb, rb, average, scale[0], db, partial[:, index])

    parallel_for(block, blocks)
    dweight, dbias = partial[0].sum(0, dtype=np.float64), partial[1].sum(0, dtype=np.float64) if mean is not None else 0
    return delivered(result, out), dweight.astype(x.dtype), np.asarray(dbias).astype(x.dtype)


def _backward_at_once(
    g: Array, x: Array, mean: Array | None, rstd: Array, average: Array, scale: Array, dx: Array, sums: Array
) -> None:
    """dx = g ∘ (rstd wᵀ) + x ∘ a + e, with a and e a number for each row; x̂ is never formed."""
    columns = np.ones((g.shape[0], 2), x.dtype)
    product = np.multiply(g, x, out=scratch("norm.product", x.shape, x.dtype))
    np.matmul(rstd, product, out=sums[0])
    projection = rstd * (product @ average)  # mean(g w x̂), less its mean term
    if mean is not None:
        offset, inner = mean * rstd, g @ average
        columns[:, 0] = offset
        shared = columns.T @ g  # Σ g mean rstd and Σ g
        np.subtract(sums[0], shared[0], out=sums[0])
        sums[1] = shared[1]
        projection -= offset * inner
    columns[:, 0] = rstd
    np.multiply(g, np.matmul(columns, scale, out=product), out=dx)
    slope = rstd * projection
    np.multiply(x, (-rstd * slope)[:, None], out=product)
    if mean is not None:
        np.add(product, (offset * slope - rstd * inner)[:, None], out=product)
    np.add(dx, product, out=dx)


def _backward_centred(
    g: Array, x: Array, mean: Array, rstd: Array, average: Array, weight: Array, dx: Array, sums: Array
) -> None:
    """The same by way of x̂, for rows whose mean is large against their deviation."""
    normal = np.subtract(x, mean[:, None], out=scratch("norm.normal", x.shape, x.dtype))
    np.multiply(normal, rstd[:, None], out=normal)
    product = np.multiply(g, normal, out=scratch("norm.product", x.shape, x.dtype))
    vector = ones(g.shape[0], x.dtype)
    np.matmul(vector, product, out=sums[0])
    np.matmul(vector, g, out=sums[1])
    np.multiply(normal, (product @ average)[:, None], out=normal)
    np.add(normal, (g @ average)[:, None], out=normal)
    np.subtract(np.multiply(g, weight, out=product), normal, out=dx)
    np.multiply(dx, rstd[:, None], out=dx)


def _average(columns: int, like: Array) -> Array:
    """The vector whose product with a row is the row's mean."""
    return np.full(columns, 1 / max(columns, 1), like.dtype)
