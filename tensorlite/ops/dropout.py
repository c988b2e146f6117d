"""Dropout: masks from a counter-based stream, so that the backward draws the same mask again instead of keeping it."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..kernels import dropout as kernel
from ..random import source
from .table import op


def next_seed() -> int:
    """A fresh seed for one call, from the default generator."""
    return int(source().integers(0, 2**63))


@op(namespaces=(), name="dropout")
def seeded_dropout(x: Any, p: Any, seed: Any) -> Any:
    """`x` with each element zeroed with probability `p` and the others scaled by 1 / (1 - p); the mask belongs to `seed`."""
    if x.dtype.kind == "f":
        return kernel.dropout(x, p, seed)
    if x.dtype.kind != "c":
        raise RuntimeError(
            f"result type Float can't be cast to the desired output type {x.dtype}: dropout scales what it keeps"
        )
    mask = kernel.dropout_mask(x.shape, p, seed)
    return (x * mask * (1 / (1 - p) if p < 1 else 0)).astype(x.dtype)


seeded_dropout.grad(x=lambda g, p, seed: seeded_dropout(g, p, seed))


def bernoulli_mask(shape: tuple[int, ...], p: float) -> Any:
    """Booleans that are true with probability `1 - p`."""
    return kernel.dropout_mask(shape, p, next_seed()) if np.prod(shape) else np.ones(shape, bool)
