"""What kernels share: rows of an array, blocks that stay in cache, scratch buffers, float16 by way of float32."""

from __future__ import annotations

import functools
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ParamSpec, TypeAlias, TypeVar, cast

import numpy as np

from tensorlite.kernels.threads import Range

if TYPE_CHECKING:  # numpy.typing takes longer to import than it is worth
    from numpy.typing import DTypeLike

Array: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"
P = ParamSpec("P")
R = TypeVar("R")

# Elements of one block of rows, as the best for one thread and two. A NumPy call needs the interpreter's lock to begin
# and to end, and a thread that finds it taken sleeps: with blocks of 32 Ki elements two threads are slower than one
# (AdamW 2.26 ns an element against 2.07), with 256 Ki almost twice as fast (1.06 against 1.94). On one thread 256 Ki
# take 1 to 15 % less time than 128 Ki, as each block pays for a dozen calls on one number a row.
BLOCK_ELEMENTS = 256 * 1024

_local = threading.local()


def scratch(name: str, shape: Sequence[int], dtype: DTypeLike) -> Array:
    """An uninitialised array of this thread, reused by the next call of the same name: never return it to a caller."""
    size = math.prod(shape)
    dtype = np.dtype(dtype)
    buffers = _local.__dict__.setdefault("buffers", {})
    buffer = buffers.get((name, dtype))
    if buffer is None or buffer.size < size:
        buffer = buffers[name, dtype] = np.empty(size, dtype)
    return cast(Array, buffer[:size].reshape(shape))


@functools.lru_cache(maxsize=512)
def row_blocks(rows: int, columns: int, elements: int = BLOCK_ELEMENTS) -> tuple[Range, ...]:
    """Ranges of equally many rows that hold up to `elements` elements; the same whatever the number of threads."""
    blocks = math.ceil(rows / max(1, elements // max(columns, 1)))
    blocks += blocks % 2 if blocks > 1 else 0  # two threads, most often
    step = max(1, math.ceil(rows / max(1, blocks)))
    return tuple((start, min(start + step, rows)) for start in range(0, rows, step))


def as_rows(x: Array) -> Array:
    """`x` as a 2-D array (rows, last axis), copied only where no such view exists."""
    columns = x.shape[-1]
    return x.reshape(math.prod(x.shape[:-1]), columns)


def rows_contiguous(x: Array) -> Array:
    """`as_rows` with elements of a row side by side, as BLAS wants them."""
    rows = as_rows(x)
    return rows if rows.flags.c_contiguous else np.ascontiguousarray(rows)


def destination(out: Array | None, shape: tuple[int, ...], dtype: DTypeLike) -> Array:
    """A C-contiguous array to write into: `out` itself where it can serve, else a new one (see `delivered`).

    Raises:
        ValueError: if `out` has another shape.
    """
    if out is None:
        return np.empty(shape, dtype)
    if out.shape != shape:
        raise ValueError(f"out has shape {out.shape}, expected {shape}")
    return out if out.flags.c_contiguous and out.dtype == dtype else np.empty(shape, dtype)


def delivered(result: Array, out: Array | None) -> Array:
    """`result`, copied into `out` where `destination` could not use `out` itself."""
    if out is None or out is result:
        return result
    np.copyto(out, result, casting="same_kind")
    return out


def ones(n: int, dtype: DTypeLike) -> Array:
    """A read-only vector of ones: a sum along an axis is a product with it, at the speed of BLAS."""
    return _ones(n, np.dtype(dtype))


@functools.lru_cache(maxsize=64)
def _ones(n: int, dtype: np.dtype[Any]) -> Array:
    vector = np.ones(n, dtype)
    vector.flags.writeable = False
    return vector


# For exponentials whose argument is scaled anyway: POWER(x · LOG_BASE) = eˣ. With AVX-512, NumPy's 2ˣ takes 0.22 ns an
# element and its eˣ 0.47, but 2ˣ of −inf takes several; without AVX-512, 2ˣ is not vectorised.
_FEATURES = getattr(getattr(getattr(np, "_core", None), "_multiarray_umath", None), "__cpu_features__", {})
AVX512 = bool(_FEATURES.get("AVX512_SKX"))
POWER, LOG_BASE = (np.exp2, math.log2(math.e)) if AVX512 else (np.exp, 1.0)

WRITTEN = ("out", "preactivation")


def constants(dtype: DTypeLike, *values: float) -> list[Array]:
    """0-d arrays: a ufunc takes one in half the time that it needs to convert a Python float on each call."""
    return [np.asarray(value, dtype) for value in values]


@contextmanager
def rows_unbuffered(columns: int) -> Iterator[None]:
    """Spare ufuncs on (rows, columns) the copy of a broadcast operand into their buffer, which costs as much as the
    work.

    NumPy makes that copy while a row fits the buffer (8,192 elements); with a smaller buffer it starts its loop anew
    for each row, at 35 ns. Measured for x − mean[:, None]: 0.20 against 0.10 ns an element at 2,000 columns, equal at
    256.
    """
    if columns < 1024:
        yield
        return
    before = np.setbufsize(16)
    try:
        yield
    finally:
        np.setbufsize(before)


def float16_by_float32(kernel: Callable[P, R]) -> Callable[P, R]:
    """Compute in float32 what is given as float16; results are float16 again if the first array is."""
    return _by_float32(kernel, narrow_all=True)


def float16_with_statistics(kernel: Callable[P, R]) -> Callable[P, R]:
    """The same, but all results after the first, which a backward needs, stay float32.

    1 / σ of small rows is beyond float16's range, and a rounded mean or 1 / σ would spoil a whole row of gradients.
    """
    return _by_float32(kernel, narrow_all=False)


def _by_float32(kernel: Callable[P, R], narrow_all: bool) -> Callable[P, R]:
    @functools.wraps(kernel)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        # Every kernel call passes here: a loop over type codes takes a fifth of the time of comparing dtypes.
        for a in args:
            if type(a) is np.ndarray and a.dtype.char == "e":
                break
        else:
            for a in kwargs.values():
                if type(a) is np.ndarray and a.dtype.char == "e":
                    break
            else:
                return kernel(*args, **kwargs)
        arrays = [a for a in (*args, *kwargs.values()) if isinstance(a, np.ndarray)]
        wide_kwargs = {key: _widened(value) for key, value in kwargs.items()}
        result = kernel(*(_widened(a) for a in args), **wide_kwargs)  # type: ignore[arg-type]
        narrow_of = {}
        for key in WRITTEN:
            narrow, wide = kwargs.get(key), wide_kwargs.get(key)
            if isinstance(narrow, np.ndarray) and narrow is not wide:
                narrow[...] = _narrowed(wide)
                narrow_of[id(wide)] = narrow
        narrow_result = _narrowed if arrays[0].dtype == np.float16 else _unchanged
        if isinstance(result, tuple):
            kept = result if narrow_all else result[:1]
            return cast(R, (*(narrow_of.get(id(a), narrow_result(a)) for a in kept), *result[len(kept) :]))
        return cast(R, narrow_of.get(id(result), narrow_result(result)))

    return wrapper


def _widened(value: object) -> object:
    return value.astype(np.float32) if isinstance(value, np.ndarray) and value.dtype == np.float16 else value


def _unchanged(value: object) -> object:
    return value


def _narrowed(value: object) -> object:
    if isinstance(value, np.ndarray) and value.dtype == np.float32:
        with np.errstate(over="ignore"):
            return value.astype(np.float16)
    return value
