"""Matrix products shared out over Python threads, each with single-threaded BLAS.

BLAS threads of its own spin while they wait: against another busy process they can make a product thirty times
slower. Pieces taken from a queue only lose what the other process uses.
"""

from __future__ import annotations

import itertools

import numpy as np

from tensorlite.kernels.blocks import Array, delivered, destination, float16_by_float32
from tensorlite.kernels.threads import Range, get_num_threads, parallel_for, single_threaded_blas

# Multiply-adds below which a product is done before a second thread has started: about 0.1 ms at 50 per ns.
SMALLEST_SHARED = 4_000_000
# Pieces for each thread: more even out a busy core, but each packs its operands anew.
PIECES_PER_THREAD = 2


def matmul_definition(a: Array, b: Array) -> Array:
    """a @ b."""
    return np.asarray(a @ b)


@float16_by_float32
def matmul(a: Array, b: Array, *, out: Array | None = None) -> Array:
    """a @ b by NumPy's rules, of one floating dtype; large products are split over batches, rows or columns."""
    if a.ndim < 2 or b.ndim < 2 or get_num_threads() == 1:
        return np.asarray(np.matmul(a, b)) if out is None else np.matmul(a, b, out=out)
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    shape = (*batch, a.shape[-2], b.shape[-1])
    pieces = _pieces(shape, a.shape[-1])
    if len(pieces) == 1 or a.shape[-1] != b.shape[-2]:
        with single_threaded_blas():
            return np.matmul(a, b, out=out)
    result = destination(out, shape, np.result_type(a, b))
    axis = _split_axis(shape)

    def piece(start: int, stop: int) -> None:
        where = slice(start, stop)
        if axis == -2:
            np.matmul(a[..., where, :], b, out=result[..., where, :])
        elif axis == -1:
            np.matmul(a, b[..., where], out=result[..., where])
        else:
            np.matmul(_part(a, len(shape), where), _part(b, len(shape), where), out=result[where])

    parallel_for(piece, pieces)
    return delivered(result, out)


def _split_axis(shape: tuple[int, ...]) -> int:
    """The first batch axis if it is long enough for all threads, else the longer axis of the matrices."""
    if len(shape) > 2 and shape[0] >= get_num_threads():
        return 0
    return -2 if shape[-2] >= shape[-1] else -1


def _pieces(shape: tuple[int, ...], inner: int) -> list[Range]:
    length, work = shape[_split_axis(shape)], inner
    for axis in shape:
        work *= axis
    count = min(PIECES_PER_THREAD * get_num_threads(), length) if work >= SMALLEST_SHARED else 1
    bounds = [length * i // max(count, 1) for i in range(count + 1)]
    return list(itertools.pairwise(bounds)) if count > 1 else [(0, length)]


def _part(x: Array, ndim: int, where: slice) -> Array:
    """The slice of an operand along the first axis of the result, whole where that axis is broadcast."""
    return x if x.ndim < ndim or x.shape[0] == 1 else x[where]
