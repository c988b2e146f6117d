"""Dropout (Srivastava et al. 2014) whose mask is a function of a seed alone, so that the backward draws it again."""

from __future__ import annotations

from typing import cast

import numpy as np

from tensorlite.kernels.blocks import Array, delivered, destination, float16_by_float32, scratch
from tensorlite.kernels.threads import parallel_for

# Elements that share one random stream: large against the 15 µs that a stream costs to set up.
DROPOUT_BLOCK_ELEMENTS = 64 * 1024


def dropout_definition(x: Array, mask: Array, p: float) -> Array:
    """x · mask / (1 − p)."""
    return np.asarray(x * mask / (1 - p)) if p < 1 else np.zeros_like(x)


def keep_mask(size: int, p: float, seed: int, stream: int = 0) -> Array:
    """`size` independent booleans, True with probability 1 − p to 32 bits, from stream `stream` of `seed`."""
    words = np.random.Philox(key=seed & (2**128 - 1), counter=[0, 0, 0, stream]).random_raw((size + 1) // 2)
    threshold = min(round(p * 2**32), 2**32)
    if threshold == 2**32:
        return np.zeros(size, np.bool_)
    return cast(Array, words.view(np.uint32)[:size] >= np.uint32(threshold))


def dropout_mask(shape: tuple[int, ...], p: float, seed: int) -> Array:
    """The mask that `dropout` uses for an array of this shape."""
    size = int(np.prod(shape))
    step = DROPOUT_BLOCK_ELEMENTS
    pieces = [keep_mask(min(step, size - i), p, seed, i // step) for i in range(0, size, step)]
    return np.concatenate(pieces).reshape(shape) if pieces else np.empty(shape, np.bool_)


@float16_by_float32
def dropout(x: Array, p: float, seed: int, *, out: Array | None = None) -> Array:
    """Zero each element with probability `p` and scale the others by 1 / (1 − p).

    Linear in x: its backward is `dropout(g, p, seed)`, the same mask drawn again.

    Raises:
        ValueError: if `p` is not in [0, 1].
    """
    if not 0 <= p <= 1:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    result = destination(out, x.shape, x.dtype)
    source, target = x.reshape(-1), result.reshape(-1)
    scale = 1 / (1 - p) if p < 1 else 0.0

    def block(start: int, stop: int) -> None:
        mask = keep_mask(stop - start, p, seed, start // DROPOUT_BLOCK_ELEMENTS)
        factor = np.multiply(mask, scale, out=scratch("dropout", mask.shape, x.dtype), casting="unsafe")
        np.multiply(source[start:stop], factor, out=target[start:stop])

    step = DROPOUT_BLOCK_ELEMENTS
    parallel_for(block, [(i, min(i + step, x.size)) for i in range(0, x.size, step)])
    return delivered(result, out)
