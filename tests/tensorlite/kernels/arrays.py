"""Awkward arrays for kernel tests, and the check of a gradient against differences of the kernel's definition."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

Array = NDArray[Any]

LAYOUTS = ("contiguous", "fortran", "strided", "reversed", "broadcast")
DTYPES = (np.float16, np.float32, np.float64)
TOLERANCE = {np.dtype(np.float16): 4e-3, np.dtype(np.float32): 3e-5, np.dtype(np.float64): 1e-11}

seeds = st.integers(0, 2**32 - 1)
layouts = st.sampled_from(LAYOUTS)
dtypes = st.sampled_from(DTYPES)
# Row counts around zero and one, column counts around vector widths and past one block.
row_counts = st.sampled_from([0, 1, 2, 3, 7, 33, 130])
column_counts = st.sampled_from([1, 2, 15, 16, 17, 64, 65, 300])


def laid_out(x: Array, layout: str) -> Array:
    """The same shape and dtype in another memory layout, read-only, so that a kernel that writes to its input fails."""
    x = np.asarray(x)
    if layout == "contiguous" or x.ndim == 0:
        x = x.copy()
    elif layout == "fortran":
        x = np.asfortranarray(x)
    elif layout == "strided":
        spaced = np.empty((*x.shape[:-1], 2 * x.shape[-1]), x.dtype)
        spaced[..., ::2] = x
        x = spaced[..., ::2]
    elif layout == "reversed":
        x = x[..., ::-1].copy()[..., ::-1]
    elif layout == "broadcast" and x.ndim > 1 and x.shape[0]:
        x = np.broadcast_to(x[:1], x.shape)
    else:
        x = x.copy()
    x.flags.writeable = False
    return x


def normal(seed: int, shape: tuple[int, ...], dtype: Any = np.float64, layout: str = "contiguous") -> Array:
    """Read-only normal values of a seed."""
    return laid_out(np.random.default_rng(seed).standard_normal(shape).astype(dtype), layout)


def assert_close(actual: Array, expected: Array, factor: float = 1.0) -> None:
    """Compare at a tolerance of the dtype, relative to the largest expected magnitude."""
    assert actual.shape == np.shape(expected)
    wide = np.asarray(expected, np.float64)
    size = float(np.max(np.abs(wide[np.isfinite(wide)]), initial=1.0))
    tolerance = TOLERANCE[actual.dtype] * factor
    np.testing.assert_allclose(actual.astype(np.float64), wide, rtol=tolerance, atol=tolerance * size)


def wide(*arrays: Array) -> list[Array]:
    return [np.array(a, np.float64) for a in arrays]


def assert_vjp(
    definition: Callable[..., Array], inputs: Sequence[Array], g: Array, cotangents: Sequence[Array], rtol: float = 2e-6
) -> None:
    """Each cotangent, along a random direction, equals the central difference of Σ g · definition in float64."""
    rng = np.random.default_rng(7)
    for position, (x, cotangent) in enumerate(zip(inputs, cotangents, strict=True)):
        assert cotangent.shape == x.shape
        direction = rng.standard_normal(x.shape)
        step = 1e-5

        def along(t: float, position: int = position, x: Array = x, direction: Array = direction) -> float:
            moved = [x + t * direction if i == position else a for i, a in enumerate(inputs)]
            return float((g * definition(*moved)).sum())

        difference = (along(step) - along(-step)) / (2 * step)
        size = float(np.abs(cotangent * direction).sum()) + 1
        assert abs(difference - float((cotangent * direction).sum())) <= rtol * size
