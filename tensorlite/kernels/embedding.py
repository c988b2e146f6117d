"""Rows of a table by integer index, and the gradient: cotangents of equal indices added into one row of the table."""

from __future__ import annotations

import numpy as np

from tensorlite.kernels.blocks import Array, float16_by_float32
from tensorlite.kernels.matmul import matmul

# A one-hot product costs 2·V flops an element, a scattered addition about 2 ns: the product wins for small tables.
ONE_HOT_LARGEST_TABLE = 128
# Rounds of distinct indices, each some 20 µs and 1 ns an element, before the rest goes to np.add.at.
ROUNDS = 16
SMALLEST_ROUND = 32


def embedding_definition(weight: Array, index: Array) -> Array:
    """weight[index]."""
    return np.asarray(weight[index])


def embedding_backward_definition(g: Array, index: Array, num_embeddings: int) -> Array:
    """Scatter-add of the rows of g."""
    result = np.zeros((num_embeddings, g.shape[-1]), g.dtype)
    np.add.at(result, index, g)
    return result


@float16_by_float32
def embedding(weight: Array, index: Array, *, out: Array | None = None) -> Array:
    """Rows (*index.shape, D) of weight (V, D).

    Raises:
        IndexError: if an index is outside [0, V).
    """
    if index.size and (index.min() < 0 or index.max() >= weight.shape[0]):
        raise IndexError(
            f"index out of range in embedding: [{index.min()}, {index.max()}] outside [0, {weight.shape[0]})"
        )
    # mode="clip" spares a second check and the buffer that mode="raise" copies `out` through.
    return np.take(weight, index, axis=0, out=out, mode="clip")


@float16_by_float32
def embedding_backward(
    g: Array, index: Array, num_embeddings: int, padding_idx: int | None = None, *, out: Array | None = None
) -> Array:
    """Cotangent (V, D) of the table from g (*index.shape, D); the row `padding_idx` stays 0.

    `out`, if given, is added to, as gradients of parameters are.
    """
    width = g.shape[-1]
    rows, flat = g.reshape(index.size, width), index.reshape(-1)
    if padding_idx is not None:
        kept = flat != padding_idx
        rows, flat = rows[kept], flat[kept]
    if num_embeddings <= ONE_HOT_LARGEST_TABLE and g.dtype.kind == "f":
        one_hot = np.zeros((num_embeddings, flat.size), g.dtype)
        one_hot[flat, np.arange(flat.size)] = 1
        with np.errstate(invalid="ignore"):
            product = matmul(one_hot, rows)
        if np.isfinite(product).all():  # else 0 · inf has spoilt the other rows as well
            return product if out is None else np.add(out, product, out=out)
    result = np.zeros((num_embeddings, width), g.dtype) if out is None else out
    _add_rows(result, flat, rows)
    return result


def _add_rows(result: Array, index: Array, rows: Array) -> None:
    """Add each row into result[index]: the first of each index at once, then the second of each, and so on."""
    order = np.argsort(index, kind="stable")
    ordered = index[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if index.size else order
    counts = np.diff(np.r_[starts, index.size])
    for occurrence in range(ROUNDS):
        chosen = starts[counts > occurrence] + occurrence
        if chosen.size < SMALLEST_ROUND:
            break
        # No index twice here, so that plain fancy addition is right.
        result[ordered[chosen]] += rows[order[chosen]]
    else:
        occurrence = ROUNDS
    rest = np.arange(index.size) - np.repeat(starts, counts) >= occurrence
    if not rest.any():
        return
    flat, left = ordered[rest], rows[order[rest]]
    if result.flags.c_contiguous:  # one axis of scalars is NumPy's fast path
        positions = (flat.astype(np.intp) * result.shape[1])[:, None] + np.arange(result.shape[1])
        np.add.at(result.reshape(-1), positions.reshape(-1), left.reshape(-1))
    else:
        np.add.at(result, flat, left)
