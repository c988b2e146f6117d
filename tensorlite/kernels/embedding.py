"""Rows of a table by integer index, and the gradient: cotangents of equal indices added into one row of the table."""

from __future__ import annotations

import numpy as np

from tensorlite.kernels.blocks import Array, float16_by_float32

# A one-hot product costs 2·V flops an element, a scattered addition about 2 ns: the product wins for small tables.
ONE_HOT_LARGEST_TABLE = 128


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
        product = one_hot @ rows
        return product if out is None else np.add(out, product, out=out)
    result = np.zeros((num_embeddings, width), g.dtype) if out is None else out
    if result.flags.c_contiguous:
        positions = (flat.astype(np.intp) * width)[:, None] + np.arange(width)
        np.add.at(result.reshape(-1), positions.reshape(-1), np.ascontiguousarray(rows).reshape(-1))
    else:
        np.add.at(result, flat, rows)
    return result
