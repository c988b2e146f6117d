"""Matrix products: the quickest routine of one thread for the shape at hand, shared out over Python threads if large.

BLAS threads of its own spin while they wait: against another busy process they can make a product thirty times
slower. Pieces taken from a queue only lose what the other process uses.
"""

from __future__ import annotations

import itertools

import numpy as np

from tensorlite.kernels.blocks import AVX512, Array, delivered, destination, float16_by_float32
from tensorlite.kernels.threads import parallel_for, single_threaded_blas, threads_here

Product = tuple[Array, Array, Array]  # a, b, and the array that receives a @ b

# Multiply-adds below which a product is done before a second thread has started: about 0.1 ms at 50 per ns. With a
# vector they take 0.5 ms, but two threads gain nothing from a weight of fewer: one core reads all that the memory gives.
SMALLEST_SHARED = 4_000_000
# Each piece of a matrix packs its operands anew: with one piece for each of two threads the linear layers of a
# transformer take 2.5 % more CPU time than whole, with two 5.5 %. Splitting rows packs less, unless columns are many.
COLUMNS_SPLIT = 4
BATCHES_PER_THREAD = 2

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
        if max(a.size, b.size) <= ALONE_WITH_VECTOR:
            return np.asarray(np.matmul(a, b)) if out is None else np.matmul(a, b, out=out)
        with single_threaded_blas:
            return np.asarray(np.matmul(a, b)) if out is None else np.matmul(a, b, out=out)
    m, n = a.shape[-2], b.shape[-1]
    if a.ndim > 2 == b.ndim and out is None and a.flags.c_contiguous and a.size and a.shape[-1] == b.shape[0]:
        # one product in place of a batch of them: 0.38 ms instead of 2.3 for (64, 4, 128) by a transposed (512, 128)
        return matmul(a.reshape(-1, a.shape[-1]), b).reshape(*a.shape[:-1], n)
    threads = threads_here()
    work = max(a.size * n, b.size * m)  # fewer than there are only where the batches of both are broadcast
    if threads == 1 or work <= (ALONE if m > 1 and n > 1 else ALONE_WITH_VECTOR):
        return _product(a, b, out)
    if work < SMALLEST_SHARED or a.shape[-1] != b.shape[-2]:
        with single_threaded_blas:
            return _product(a, b, out)
    shape = (*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), m, n)
    result = destination(out, shape, np.result_type(a, b))
    _side_by_side(_pieces(a, b, result, threads))
    return delivered(result, out)


_of_float16 = float16_by_float32(matmul)


def two_matmuls(first: tuple[Array, Array], second: tuple[Array, Array]) -> tuple[Array, Array]:
    """Two products of matrices, the pieces of large ones in one queue: threads wait for each other once, not twice."""
    threads = threads_here()
    if threads == 1 or any(a.size * b.shape[1] < SMALLEST_SHARED for a, b in (first, second)):
        return matmul(*first), matmul(*second)
    x, y = (np.empty((len(a), b.shape[1]), a.dtype) for a, b in (first, second))
    _side_by_side([*_pieces(*first, x, threads), *_pieces(*second, y, threads)])
    return x, y


def _side_by_side(products: list[Product]) -> None:
    def one(start: int, _: int) -> None:
        _product(*products[start])

    parallel_for(one, [(i, i + 1) for i in range(len(products))])


def _product(a: Array, b: Array, out: Array | None) -> Array:
    """a @ b on this thread."""
    if a.ndim == 2 and b.ndim == 2:
        m, k = a.shape
        if 0 < m <= FEW_ROWS and b.size >= LARGE_WEIGHT and b.strides[0] == b.itemsize and k == b.shape[0] and AVX512:
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


def _pieces(a: Array, b: Array, out: Array, threads: int) -> list[Product]:
    """A product as several: of some of its batches, else of a part of the rows or columns for each thread."""
    batches = out.ndim > 2 and out.shape[0] >= threads
    axis = 0 if batches else -1 if out.shape[-1] >= COLUMNS_SPLIT * out.shape[-2] else -2
    length = out.shape[axis]
    count = min(threads * BATCHES_PER_THREAD if batches else threads, length)
    bounds = [length * i // count for i in range(count + 1)]
    wheres = [slice(*ends) for ends in itertools.pairwise(bounds)]
    if batches:
        return [(_some(a, out.ndim, where), _some(b, out.ndim, where), out[where]) for where in wheres]
    if axis == -1:
        return [(a, b[..., where], out[..., where]) for where in wheres]
    return [(a[..., where, :], b, out[..., where, :]) for where in wheres]


def _some(x: Array, ndim: int, where: slice) -> Array:
    """Batches of an operand along the first axis of the result, all where that axis is broadcast."""
    return x if x.ndim < ndim or x.shape[0] == 1 else x[where]
