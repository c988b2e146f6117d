"""Softmax and log-softmax with their gradients, over the last axis in blocks of rows; other axes are moved there."""

from __future__ import annotations

import numpy as np

from tensorlite.kernels.blocks import (
    Array,
    as_rows,
    delivered,
    destination,
    float16_by_float32,
    ones,
    row_blocks,
    rows_contiguous,
    rows_unbuffered,
    scratch,
)
from tensorlite.kernels.threads import parallel_for

# Where the sum of a row's exponentials lies between these, no maximum need be subtracted: nothing overflowed, and every
# entry that matters is far above the subnormal range. A row maximum costs as much as exp on rows of 64 to 256 columns.
SMALLEST_UNSHIFTED_SUM = 1e-3
LARGEST_UNSHIFTED_SUM = 1e30


def softmax_definition(x: Array, axis: int = -1) -> Array:
    """exp(x − max) / Σ exp(x − max)."""
    e = np.exp(x - x.max(axis, keepdims=True))
    return np.asarray(e / e.sum(axis, keepdims=True))


def softmax_backward_definition(g: Array, y: Array, axis: int = -1) -> Array:
    """y (g − Σ g y)."""
    return np.asarray(y * (g - (g * y).sum(axis, keepdims=True)))


def log_softmax_definition(x: Array, axis: int = -1) -> Array:
    """x − max − log Σ exp(x − max)."""
    shifted = x - x.max(axis, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis, keepdims=True)))


def log_softmax_backward_definition(g: Array, y: Array, axis: int = -1) -> Array:
    """g − exp(y) Σ g."""
    return np.asarray(g - np.exp(y) * g.sum(axis, keepdims=True))


@float16_by_float32
def softmax(x: Array, axis: int = -1, *, out: Array | None = None) -> Array:
    """Softmax of `x` along `axis`; a row of −inf alone gives NaN, as in torch."""
    if not _is_last(x, axis):
        return _moved_back(softmax(np.moveaxis(x, axis, -1)), axis, out)
    result = destination(out, x.shape, x.dtype)
    source, target = as_rows(x), as_rows(result)

    def block(start: int, stop: int) -> None:
        exponentials(source[start:stop], target[start:stop])

    if x.size:
        with np.errstate(invalid="ignore", over="ignore"), rows_unbuffered(source.shape[1]):
            parallel_for(block, row_blocks(*source.shape))
    return delivered(result, out)


def exponentials(x: Array, out: Array) -> None:
    """Write the softmax of a block of rows into `out`."""
    vector = ones(x.shape[1], x.dtype)
    total = np.exp(x, out=out) @ vector
    if sums_are_safe(total):
        np.multiply(out, np.divide(1, total, out=total)[:, None], out=out)
        return
    np.subtract(x, np.maximum.reduce(x, axis=1)[:, None], out=out)
    np.exp(out, out=out)
    np.divide(out, (out @ vector)[:, None], out=out)


def sums_are_safe(total: Array) -> bool:
    """Whether exponentials that add up to these may stand without their maximum subtracted; False for NaN."""
    return bool(((total >= SMALLEST_UNSHIFTED_SUM) & (total <= LARGEST_UNSHIFTED_SUM)).all())


@float16_by_float32
def softmax_backward(g: Array, y: Array, axis: int = -1, *, out: Array | None = None) -> Array:
    """Cotangent of softmax's input, from that of its output and the output itself."""
    if not _is_last(y, axis):
        return _moved_back(softmax_backward(np.moveaxis(g, axis, -1), np.moveaxis(y, axis, -1)), axis, out)
    result = destination(out, y.shape, y.dtype)
    cotangent, output, target = as_rows(g), as_rows(y), as_rows(result)

    def block(start: int, stop: int) -> None:
        gb, yb, db = cotangent[start:stop], output[start:stop], target[start:stop]
        inner = np.vecdot(gb, yb)
        centred = np.subtract(gb, inner[:, None], out=scratch("softmax", db.shape, db.dtype))
        np.multiply(centred, yb, out=db)

    with rows_unbuffered(output.shape[1]):
        parallel_for(block, row_blocks(*output.shape))
    return delivered(result, out)


@float16_by_float32
def log_softmax(x: Array, axis: int = -1, *, out: Array | None = None) -> Array:
    """Logarithm of the softmax of `x` along `axis`, exact also where the softmax itself is 0 or 1 in rounding."""
    if not _is_last(x, axis):
        return _moved_back(log_softmax(np.moveaxis(x, axis, -1)), axis, out)
    result = destination(out, x.shape, x.dtype)
    source, target = as_rows(x), as_rows(result)
    vector = ones(source.shape[1], x.dtype)

    def block(start: int, stop: int) -> None:
        xb, yb = source[start:stop], target[start:stop]
        np.subtract(xb, np.maximum.reduce(xb, axis=1)[:, None], out=yb)
        total = np.exp(yb, out=scratch("softmax", yb.shape, yb.dtype)) @ vector
        np.subtract(yb, np.log(total, out=total)[:, None], out=yb)

    if x.size:
        with np.errstate(invalid="ignore", over="ignore"), rows_unbuffered(source.shape[1]):
            parallel_for(block, row_blocks(*source.shape))
    return delivered(result, out)


@float16_by_float32
def log_softmax_backward(g: Array, y: Array, axis: int = -1, *, out: Array | None = None) -> Array:
    """Cotangent of log-softmax's input, from that of its output and the output itself."""
    if not _is_last(y, axis):
        return _moved_back(log_softmax_backward(np.moveaxis(g, axis, -1), np.moveaxis(y, axis, -1)), axis, out)
    result = destination(out, y.shape, y.dtype)
    cotangent, output, target = rows_contiguous(g), as_rows(y), as_rows(result)
    vector = ones(output.shape[1], y.dtype)

    def block(start: int, stop: int) -> None:
        gb, yb, db = cotangent[start:stop], output[start:stop], target[start:stop]
        probabilities = np.exp(yb, out=scratch("softmax", db.shape, db.dtype))
        np.multiply(probabilities, (gb @ vector)[:, None], out=probabilities)
        np.subtract(gb, probabilities, out=db)

    with rows_unbuffered(output.shape[1]):
        parallel_for(block, row_blocks(*output.shape))
    return delivered(result, out)


def _is_last(x: Array, axis: int) -> bool:
    return x.ndim == 1 or axis in (-1, x.ndim - 1)


def _moved_back(result: Array, axis: int, out: Array | None) -> Array:
    moved = np.moveaxis(result, -1, axis)
    return np.ascontiguousarray(moved) if out is None else delivered(moved, out)
