"""Matrix products: the quickest routine of one thread for the shape at hand, shared out over Python threads if large.

BLAS threads of its own spin while they wait: against another busy process they can make a product thirty times
slower. Pieces taken from a queue only lose what the other process uses.
"""

from __future__ import annotations

import itertools

import numpy as np

from tensorlite.kernels.blocks import AVX512, Array, delivered, destination, float16_by_float32
from tensorlite.kernels.threads import Range, get_num_threads, parallel_for, single_threaded_blas

# Multiply-adds below which a product is done before a second thread has started: about 0.1 ms at 50 per ns, or, where
# one operand is a vector, at the rate at which the other is read.
SMALLEST_SHARED = 4_000_000
SMALLEST_SHARED_WITH_VECTOR = 250_000
# Pieces for each thread: more even out a busy core, but each packs its operands anew.
PIECES_PER_THREAD = 2

# Multiply-adds up to which OpenBLAS takes one thread by itself, for two matrices and for a matrix and a vector.
ALONE = 262_144
ALONE_WITH_VECTOR = 9_000

# x wᵀ with few rows in x, of a weight that is no longer in the L2 cache. One row: OpenBLAS's sgemv reads such a weight
# at 12 GB/s, a dot product for each of its rows at 20 (0.21 ms instead of 0.34 for 2,048 x 512; 20 % slower from L3).
# More: results of up to 1,024 elements and 10⁶ multiply-adds go through kernels that need not pack the weight first
# (0.53 ms instead of 0.99 for 8 rows, 0.72 instead of 1.14 for 16, 1.09 instead of 1.50 for 32).
FEW_ROWS = 32
LARGE_WEIGHT = 64 * 1024
SMALL_RESULT = 1024
SMALL_WORK = 1_000_000


def matmul_definition(a: Array, b: Array) -> Array:
    """a @ b."""
    return np.asarray(a @ b)


def matmul(a: Array, b: Array, *, out: Array | None = None) -> Array:
    """a @ b by NumPy's rules, of one floating dtype; large products are split over batches, rows or columns."""
    if a.dtype.char == "e" or b.dtype.char == "e":
        return _of_float16(a, b, out=out)
    if a.ndim < 2 or b.ndim < 2:
        with single_threaded_blas:
            return np.asarray(np.matmul(a, b)) if out is None else np.matmul(a, b, out=out)
    m, n = a.shape[-2], b.shape[-1]
    if a.ndim > 2 == b.ndim and out is None and a.flags.c_contiguous and a.size and a.shape[-1] == b.shape[0]:
        # one product in place of a batch of them: 0.38 ms instead of 2.3 for (64, 4, 128) by a transposed (512, 128)
        return matmul(a.reshape(-1, a.shape[-1]), b).reshape(*a.shape[:-1], n)
    work = max(a.size * n, b.size * m)  # fewer than there are only where the batches of both are broadcast
    vector = m == 1 or n == 1
    if get_num_threads() == 1 or work <= (ALONE_WITH_VECTOR if vector else ALONE):
        return _product(a, b, out)
    shape = (*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), m, n)
    pieces = _pieces(shape, work / (SMALLEST_SHARED_WITH_VECTOR if vector else SMALLEST_SHARED))
    if len(pieces) == 1 or a.shape[-1] != b.shape[-2]:
        with single_threaded_blas:
            return _product(a, b, out)
    result = destination(out, shape, np.result_type(a, b))
    axis = _split_axis(shape)

    def piece(start: int, stop: int) -> None:
        where = slice(start, stop)
        if axis == -2:
            _product(a[..., where, :], b, result[..., where, :])
        elif axis == -1:
            _product(a, b[..., where], result[..., where])
        else:
            _product(_part(a, len(shape), where), _part(b, len(shape), where), result[where])

    parallel_for(piece, pieces)
    return delivered(result, out)


_of_float16 = float16_by_float32(matmul)


def _product(a: Array, b: Array, out: Array | None) -> Array:
    """a @ b on this thread."""
    if a.ndim == 2 and b.ndim == 2:
        m, k = a.shape
        if m <= FEW_ROWS and b.size >= LARGE_WEIGHT and b.strides[0] == b.itemsize and k == b.shape[0] and AVX512:
            return _few_rows(a, b, np.empty((m, b.shape[1]), a.dtype) if out is None else out)
        if k == 1 == b.shape[0]:
            return np.multiply(a, b, out=out)  # np.matmul takes four times as long for it
    return np.matmul(a, b, out=out)


def _few_rows(a: Array, b: Array, out: Array) -> Array:
    m, k = a.shape
    if m == 1:
        np.vecdot(b.T, a[0], out=out[0])
        return out
    step = min(SMALL_RESULT // m, SMALL_WORK // (m * k)) or b.shape[1]
    for start in range(0, b.shape[1], step):
        np.matmul(a, b[:, start : start + step], out=out[:, start : start + step])
    return out


def _split_axis(shape: tuple[int, ...]) -> int:
    """The first batch axis if it is long enough for all threads, else the longer axis of the matrices."""
    if len(shape) > 2 and shape[0] >= get_num_threads():
        return 0
    return -2 if shape[-2] >= shape[-1] else -1


def _pieces(shape: tuple[int, ...], shares: float) -> list[Range]:
    """Ranges along the axis to split, one where the work is not worth a share."""
    length = shape[_split_axis(shape)]
    count = min(PIECES_PER_THREAD * get_num_threads(), length) if shares >= 1 else 1
    bounds = [length * i // max(count, 1) for i in range(count + 1)]
    return list(itertools.pairwise(bounds)) if count > 1 else [(0, length)]


def _part(x: Array, ndim: int, where: slice) -> Array:
    """The slice of an operand along the first axis of the result, whole where that axis is broadcast."""
    return x if x.ndim < ndim or x.shape[0] == 1 else x[where]
