"""Sums, means and variances over any axes that are as accurate in float32 as with a float64 accumulator.

NumPy adds along every axis but the last one element after the other in the array's own precision: 0.1 added 2²⁰ times
is wrong by one percent. Here sums are products with a vector of ones over short pieces, added up in float64; the
squares of a variance are formed in float64, block by block.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from tensorlite.kernels.blocks import BLOCK_ELEMENTS, Array, float16_by_float32, ones, row_blocks, scratch
from tensorlite.kernels.matmul import ALONE_WITH_VECTOR, matmul
from tensorlite.kernels.threads import parallel_for

Axes = int | Sequence[int] | None

# Terms added in float32 before float64 takes over. BLAS keeps 16 or more partial sums of them, so that the error
# stays near one rounding of the result: below 2e-7 of it for terms of one sign.
CHUNK = 64


def sum_definition(x: Array, axes: Axes = None, keepdims: bool = False) -> Array:
    """Σ x over `axes`, accumulated in float64."""
    wide = np.sum(x, axis=_axes(x, axes), keepdims=keepdims, dtype=np.result_type(x.dtype, np.float64))
    return np.asarray(wide).astype(x.dtype)


def mean_definition(x: Array, axes: Axes = None, keepdims: bool = False) -> Array:
    """Σ x / n."""
    wide = np.mean(x, axis=_axes(x, axes), keepdims=keepdims, dtype=np.result_type(x.dtype, np.float64))
    return np.asarray(wide).astype(x.dtype)


def var_definition(x: Array, axes: Axes = None, correction: float = 1, keepdims: bool = False) -> Array:
    """Σ (x − mean)² / max(0, n − correction)."""
    wide = x.astype(np.result_type(x.dtype, np.float64))
    kept = _axes(x, axes)
    centred = wide - wide.mean(axis=kept, keepdims=True)
    total = (centred * centred).sum(axis=kept, keepdims=keepdims)
    return np.asarray(total / max(0, _count(x, kept) - correction)).astype(x.dtype)


@float16_by_float32
def sum(x: Array, axes: Axes = None, keepdims: bool = False) -> Array:
    """Sum of `x` over `axes` (all of them for None), in the dtype of `x`; integers and booleans add up to int64."""
    if x.dtype != np.float32:
        return np.asarray(np.sum(x, axis=_axes(x, axes), keepdims=keepdims))
    return _shaped(_sum_float64(x, _axes(x, axes)), x, axes, keepdims)


@float16_by_float32
def mean(x: Array, axes: Axes = None, keepdims: bool = False) -> Array:
    """Mean of `x` over `axes` (all of them for None), NaN when they are empty."""
    if x.dtype != np.float32:
        with np.errstate(invalid="ignore", divide="ignore"):
            total = np.asarray(np.sum(x, axis=_axes(x, axes), keepdims=keepdims))
            return np.asarray(total / np.float64(_count(x, _axes(x, axes))))
    with np.errstate(invalid="ignore", divide="ignore"):
        average = _sum_float64(x, _axes(x, axes)) / np.float64(_count(x, _axes(x, axes)))
    return _shaped(average, x, axes, keepdims)


@float16_by_float32
def var(x: Array, axes: Axes = None, correction: float = 1, keepdims: bool = False) -> Array:
    """Variance of `x` over `axes` in two passes, divided by n − `correction` (1 by default, as in torch)."""
    reduced = _axes(x, axes)
    n = _count(x, reduced)
    with np.errstate(invalid="ignore", divide="ignore"):
        if x.dtype == np.float32:
            blocks = _layout(x, reduced)
            average = _reduce(blocks, _identity, None) / np.float64(n)
            total = _reduce(blocks, _centred_square, average).reshape(_kept_shape(x, reduced))
        else:
            centred = x - np.mean(x, axis=reduced, keepdims=True)
            total = (centred * centred).sum(axis=reduced)
        variance = np.asarray(total / np.float64(max(0.0, n - correction)))
    return _shaped(variance, x, axes, keepdims)


def _axes(x: Array, axes: Axes) -> tuple[int, ...]:
    if axes is None:
        return tuple(range(x.ndim))
    given = (axes,) if isinstance(axes, int) else tuple(axes)
    normal = []
    for axis in given:
        if not -max(x.ndim, 1) <= axis < max(x.ndim, 1):
            low, high = -max(x.ndim, 1), max(x.ndim, 1) - 1
            raise IndexError(f"Dimension out of range (expected to be in range of [{low}, {high}], but got {axis})")
        normal.append(axis % x.ndim if x.ndim else 0)
    if x.ndim == 0:
        return ()
    if len(set(normal)) != len(normal):
        raise ValueError(f"an axis appears more than once in {given}")
    return tuple(sorted(normal))


def _count(x: Array, axes: tuple[int, ...]) -> int:
    return math.prod(x.shape[axis] for axis in axes)


def _kept_shape(x: Array, axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(length for axis, length in enumerate(x.shape) if axis not in axes)


def _shaped(result: Array, x: Array, axes: Axes, keepdims: bool) -> Array:
    reduced = _axes(x, axes)
    narrow = np.asarray(result).astype(x.dtype)
    shape = _kept_shape(x, reduced)
    if keepdims:
        shape = tuple(1 if axis in reduced else length for axis, length in enumerate(x.shape))
    return narrow.reshape(shape)


def _sum_float64(x: Array, axes: tuple[int, ...]) -> Array:
    """Σ over `axes` of a float32 array, in float64 from partial sums of CHUNK terms on."""
    if not axes:
        return x
    blocks = _layout(x, axes)
    outer, n, inner = blocks.shape
    if n <= CHUNK:
        return _chunk_sums(blocks[:, None], outer).reshape(_kept_shape(x, axes))
    chunks = n // CHUNK
    partial = _chunk_sums(blocks[:, : chunks * CHUNK].reshape(outer, chunks, CHUNK, inner), outer)
    if inner == 1:  # a product again: NumPy's own sum over a short last axis takes longer than all that came before
        total = matmul(partial[:, :, 0].astype(np.float64), ones(chunks, np.float64)[:, None])
    else:
        total = partial.sum(axis=1, dtype=np.float64)
    if n % CHUNK:
        total += _chunk_sums(blocks[:, None, chunks * CHUNK :], outer)[:, 0]
    return total.reshape(_kept_shape(x, axes))


def _chunk_sums(x: Array, outer: int) -> Array:
    """Σ over the third of four axes as products with ones: (outer, chunks, inner) in float32."""
    chunks, n, inner = x.shape[1:]
    result = np.empty((outer, chunks, inner), x.dtype)
    vector = ones(n, x.dtype)

    def several(start: int, stop: int) -> None:
        where = (slice(start, stop),) if outer > 1 else (slice(None), slice(start, stop))
        if inner == 1:
            np.matmul(x[where][..., 0], vector, out=result[where][..., 0])
        else:
            np.matmul(vector, x[where], out=result[where])

    if x.size <= ALONE_WITH_VECTOR:
        several(0, outer if outer > 1 else chunks)
    else:
        parallel_for(several, row_blocks(outer, chunks * n * inner) if outer > 1 else row_blocks(chunks, n * inner))
    return result


def _layout(x: Array, axes: tuple[int, ...]) -> Array:
    """`x` as (outer, n, inner), to be summed over n; a copy only where the reduced axes are not neighbours."""
    if not axes:
        return x.reshape(x.size, 1, 1)
    if axes != tuple(range(axes[0], axes[-1] + 1)):
        kept = [axis for axis in range(x.ndim) if axis not in axes]
        x = x.transpose(*kept, *axes)
        axes = tuple(range(len(kept), x.ndim))
    outer, inner = math.prod(x.shape[: axes[0]]), math.prod(x.shape[axes[-1] + 1 :])
    return x.reshape(outer, _count(x, axes), inner)


def _identity(block: Array, _: Array | None) -> Array:
    return block


def _centred_square(block: Array, average: Array | None) -> Array:
    assert average is not None
    np.subtract(block, average[:, None], out=block)
    return np.multiply(block, block, out=block)


def _reduce(x: Array, term: Callable[[Array, Array | None], Array], average: Array | None) -> Array:
    """Σ over the middle axis of term(x), in float64, of shape (outer, inner)."""
    outer, n, inner = x.shape
    result = np.zeros((outer, inner), np.float64)
    if not x.size:
        return result
    if n * inner <= BLOCK_ELEMENTS:

        def several(start: int, stop: int) -> None:
            wide = _widened(x[start:stop])
            part = term(wide, None if average is None else average[start:stop])
            _add_up(part, result[start:stop])

        parallel_for(several, row_blocks(outer, n * inner))
        return result
    pieces = row_blocks(n, inner)
    step = pieces[0][1]
    partial = np.empty((len(pieces), inner), np.float64)
    for index in range(outer):

        def piece(start: int, stop: int, index: int = index) -> None:
            wide = _widened(x[index : index + 1, start:stop])
            part = term(wide, None if average is None else average[index : index + 1])
            _add_up(part, partial[start // step : start // step + 1])

        parallel_for(piece, pieces)
        result[index] = partial.sum(0)
    return result


def _widened(block: Array) -> Array:
    wide = scratch("reduce", block.shape, np.float64)
    np.copyto(wide, block)
    return wide


def _add_up(block: Array, out: Array) -> None:
    """Σ over the middle axis of a float64 block."""
    if block.shape[2] == 1:
        np.matmul(block[:, :, 0], ones(block.shape[1], np.float64), out=out[:, 0])
    else:
        np.matmul(ones(block.shape[1], np.float64), block, out=out)
