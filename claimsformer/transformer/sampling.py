"""From scores to a token: the most likely, or one drawn from a distribution that was sharpened and cut.

All functions take logits `(B, V)` as float64 arrays and are deterministic but for `draw`, which takes its randomness.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

__all__ = ["adjusted", "draw", "keep_top_k", "keep_top_p", "log_softmax"]

Floats = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int64]


def log_softmax(logits: Floats) -> Floats:
    """Log-probabilities `(B, V)`."""
    shifted = logits - logits.max(-1, keepdims=True)
    result: Floats = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    return result


def keep_top_k(logits: Floats, k: int) -> Floats:
    """All but the k highest scores become −inf; scores equal to the k-th stay."""
    if k >= logits.shape[-1]:
        return logits
    kth = np.partition(logits, -k, axis=-1)[:, -k, None]
    return np.where(logits < kth, -np.inf, logits)


def keep_top_p(logits: Floats, p: float) -> Floats:
    """All but the fewest tokens that together have probability p or more become −inf (Holtzman et al. 2020)."""
    order = np.argsort(-logits, axis=-1, kind="stable")
    probabilities = np.exp(log_softmax(np.take_along_axis(logits, order, -1)))
    before = np.cumsum(probabilities, axis=-1) - probabilities  # what the more likely tokens have already
    keep = np.empty(logits.shape, np.bool_)
    np.put_along_axis(keep, order, before < p, -1)
    return np.where(keep, logits, -np.inf)


def adjusted(adjust: Callable[[Ids, Floats], Floats], ids: Ids, logits: Floats, alive: npt.NDArray[np.bool_]) -> Floats:
    """Logits after a caller's rule. Raises ValueError where it leaves a row that goes on without any token."""
    found = np.asarray(adjust(ids, logits), np.float64)
    if found.shape != logits.shape:
        raise ValueError(f"adjust must return logits {logits.shape}, got {found.shape}")
    stuck = np.flatnonzero(alive & ~(found > -np.inf).any(-1))
    if len(stuck):
        raise ValueError(
            f"adjust forbids every token of row {stuck[0]} after {ids.shape[1]} tokens; allow one that ends it"
        )
    return np.where(alive[:, None], found, logits)


def draw(logits: Floats, streams: list[np.random.Generator]) -> Ids:
    """One token a row, row i drawn from stream i, so that a row does not depend on its neighbours."""
    cumulative = np.cumsum(np.exp(log_softmax(logits)), axis=-1)
    thresholds = np.array([stream.random() for stream in streams]) * cumulative[:, -1]
    chosen: Ids = (cumulative <= thresholds[:, None]).sum(-1)
    return chosen
