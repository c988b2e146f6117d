"""Storage of weights that are only read: int8 with a scale for each row, and bfloat16 kept as uint16.

A product widens one block of rows at a time to float32 in cache, so the weights cross the memory bus in their small
form.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from tensorlite.kernels.blocks import Array, row_blocks, scratch
from tensorlite.kernels.matmul import matmul
from tensorlite.kernels.threads import parallel_for

# Beyond it 127 · scale may overflow; below it a scale would lose digits as a subnormal number.
LARGEST_WEIGHT = 1e38
SMALLEST_SCALE = float(np.finfo(np.float32).tiny)


def quantize_int8_definition(weight: Array) -> tuple[Array, Array]:
    """round(w / s) with s = max |w| / 127 of each row."""
    scale = np.abs(weight).max(-1, initial=0) / 127
    return np.rint(weight / np.where(scale == 0, 1, scale)[:, None]).astype(np.int8), scale.astype(np.float32)


def int8_matmul_definition(x: Array, quantized: Array, scale: Array) -> Array:
    """x (q s)ᵀ."""
    return np.asarray(x @ (quantized * scale[:, None]).T)


def bf16_matmul_definition(x: Array, stored: Array) -> Array:
    """x wᵀ with w widened from its upper sixteen bits."""
    return np.asarray(x @ (stored.astype(np.uint32) << 16).view(np.float32).T)


def quantize_int8(weight: Array) -> tuple[Array, Array]:
    """int8 values (R, C) and float32 scales (R,) of a weight (R, C): each entry is within scale / 2 of its value.

    Raises:
        ValueError: if the weight is not a matrix of finite real numbers of at most 1e38.
    """
    if weight.ndim != 2 or weight.dtype.kind == "c":
        raise ValueError(f"quantize_int8 expects a real matrix (R, C), got {weight.dtype} of shape {weight.shape}")
    wide = weight if weight.dtype == np.float64 else weight.astype(np.float32, copy=False)
    largest = np.abs(wide).max(-1, initial=0)
    if not (largest <= LARGEST_WEIGHT).all():  # False for NaN
        raise ValueError(f"quantize_int8 expects finite weights up to 1e38, got inf, NaN or larger: {largest.max()}")
    scale = np.maximum(largest / 127, SMALLEST_SCALE).astype(np.float32)
    quantized = np.clip(np.rint(wide / scale[:, None]), -127, 127).astype(np.int8)
    return quantized, np.where(largest == 0, np.float32(0), scale)


def dequantize_int8(quantized: Array, scale: Array) -> Array:
    """The float32 weight (R, C) that int8 values and scales stand for."""
    return np.multiply(quantized, scale[:, None], dtype=np.float32)


def int8_matmul(x: Array, quantized: Array, scale: Array, *, out: Array | None = None) -> Array:
    """x (..., C) times the transpose of an int8 weight (R, C): (..., R) in float32."""

    def widen(start: int, stop: int, block: Array) -> None:
        np.copyto(block, quantized[start:stop])

    if scale.shape != quantized.shape[:1]:
        raise ValueError(f"expected a scale for each row of {quantized.shape}, got {scale.shape}")
    return _matmul_widened(x, quantized.shape, widen, scale, out)


def to_bf16(x: Array) -> Array:
    """Upper sixteen bits (uint16) of float32 values, rounded to nearest even; NaN stays NaN."""
    with np.errstate(over="ignore"):  # of float64
        bits = np.asarray(x, np.float32, order="C").view(np.uint32)
    rounded = (bits + (((bits >> 16) & 1) + np.uint32(0x7FFF))) >> 16
    return np.where(np.isnan(x), np.uint32(0x7FC0), rounded).astype(np.uint16)


def from_bf16(stored: Array) -> Array:
    """The float32 values that bfloat16 bits stand for, exactly."""
    wide = np.zeros(stored.shape, np.uint32)
    np.left_shift(stored, np.uint32(16), out=wide, dtype=np.uint32)
    return wide.view(np.float32)


def bf16_matmul(x: Array, stored: Array, *, out: Array | None = None) -> Array:
    """x (..., C) times the transpose of a bfloat16 weight (R, C): (..., R) in float32."""

    def widen(start: int, stop: int, block: Array) -> None:
        bits = block.view(np.uint32)
        np.copyto(bits, stored[start:stop])  # then in place: a shift that casts goes through NumPy's buffer
        np.left_shift(bits, np.uint32(16), out=bits)

    return _matmul_widened(x, stored.shape, widen, None, out)


def _matmul_widened(
    x: Array, shape: tuple[int, ...], widen: Callable[[int, int, Array], None], scale: Array | None, out: Array | None
) -> Array:
    if len(shape) != 2 or x.shape[-1:] != shape[1:]:
        raise ValueError(f"expected x (..., C) and a weight (R, C), got {x.shape} and {shape}")
    if out is not None and out.shape != (*x.shape[:-1], shape[0]):
        raise ValueError(f"out has shape {out.shape}, expected {(*x.shape[:-1], shape[0])}")
    rows = math.prod(x.shape[:-1])
    source = x.reshape(rows, x.shape[-1]).astype(np.float32, copy=False)
    result = np.empty((rows, shape[0]), np.float32)
    multiply = np.matmul if rows == 1 else matmul  # what was just widened lies in the cache, where sgemv is the fastest

    def block(start: int, stop: int) -> None:
        weight = scratch("quant", (stop - start, shape[1]), np.float32)
        widen(start, stop, weight)
        product = multiply(source, weight.T, out=result[:, start:stop])
        if scale is not None:
            np.multiply(product, scale[start:stop], out=product)

    parallel_for(block, row_blocks(*shape))
    shaped = result.reshape(*x.shape[:-1], shape[0])
    if out is None:
        return shaped
    np.copyto(out, shaped)
    return out
