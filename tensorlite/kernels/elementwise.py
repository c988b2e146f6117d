"""Ufuncs of two large arrays, and arrays put side by side, shared out over threads.

They do nothing but move memory, which one core cannot do as fast as several. Small arrays, or such as do not lie side by
side in memory, take NumPy's own way.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tensorlite.kernels.blocks import BLOCK_ELEMENTS, Array, row_blocks
from tensorlite.kernels.threads import parallel_for, threads_here

# Elements from which two threads are worth waking: 0.2 ms of one.
LARGE = 2 * BLOCK_ELEMENTS


def binary(ufunc: np.ufunc, x: Array, y: Array, out: Array | None = None) -> Array:
    """ufunc(x, y), for a ufunc whose result has the dtype of its two operands."""
    if (
        x.size < LARGE
        or threads_here() == 1
        or x.shape != y.shape
        or x.dtype != y.dtype
        or x.dtype.kind != "f"
        or not (x.flags.c_contiguous and y.flags.c_contiguous)
        or not (out is None or (out.flags.c_contiguous and out.shape == x.shape and out.dtype == x.dtype))
    ):
        result: Array = ufunc(x, y, out=out)
        return result
    result = np.empty(x.shape, x.dtype) if out is None else out
    a, b, c = x.reshape(-1), y.reshape(-1), result.reshape(-1)

    def block(start: int, stop: int) -> None:
        ufunc(a[start:stop], b[start:stop], out=c[start:stop])

    parallel_for(block, row_blocks(x.size, 1))
    return result


def concatenate(arrays: Sequence[Array], axis: int) -> Array:
    """np.concatenate along an axis counted from the front."""
    first = arrays[0]
    size = sum(a.size for a in arrays)
    alike = all(a.dtype == first.dtype and len(a) == len(first) for a in arrays)
    if size < LARGE or threads_here() == 1 or axis == 0 or not alike:
        return np.concatenate(arrays, axis)
    shape = (*first.shape[:axis], sum(a.shape[axis] for a in arrays), *first.shape[axis + 1 :])
    result = np.empty(shape, first.dtype)

    def block(start: int, stop: int) -> None:
        np.concatenate([a[start:stop] for a in arrays], axis, out=result[start:stop])

    parallel_for(block, row_blocks(shape[0], size // shape[0]))
    return result
