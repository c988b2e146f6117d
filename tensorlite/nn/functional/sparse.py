"""Embeddings, and one-hot vectors."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...autograd.graph import wrap
from ...autograd.mode import no_grad
from ...autograd.record import apply
from ...ops import embedding as ops
from ...tensor import Tensor


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """Zeros with a 1 at each class index, int64, shape `(*, num_classes)`; as many classes as there are by default.

    Raises:
        RuntimeError: if an index is negative, or not below `num_classes`.
    """
    index = tensor._data
    if index.dtype != np.int64:
        raise RuntimeError(f"one_hot is only applicable to index tensor of type LongTensor, got {tensor.dtype}")
    if not index.size:
        if num_classes <= 0:
            raise RuntimeError("Can not infer total number of classes from empty tensor.")
        return wrap(np.zeros((*index.shape, num_classes), np.int64))  # type: ignore[no-any-return]
    if index.min() < 0:
        raise RuntimeError("Class values must be non-negative.")
    largest = int(index.max())
    if num_classes == -1:
        num_classes = largest + 1
    elif num_classes < 1:
        raise RuntimeError("num_classes should be positive")
    elif largest >= num_classes:
        raise RuntimeError(f"Class values must be smaller than num_classes, got class {largest} of {num_classes}")
    out = np.zeros((*index.shape, num_classes), np.int64)
    np.put_along_axis(out, index[..., None], 1, -1)
    return wrap(out)  # type: ignore[no-any-return]


def _row(padding_idx: int | None, rows: int) -> int | None:
    """`padding_idx` counted from the front."""
    if padding_idx is None:
        return None
    if not -rows <= padding_idx < rows:
        raise AssertionError(f"Padding_idx must be within num_embeddings, got {padding_idx} for {rows} rows")
    return padding_idx % rows if rows else None


def _renormalized(weight: Tensor, index: Any, max_norm: float, norm_type: float) -> None:
    """Rows that are looked up and longer than `max_norm` are shortened to it, in place."""
    from ...autograd.inplace import bump

    with no_grad():
        used = np.unique(index)
        rows = weight._data[used]
        length = np.linalg.norm(rows.astype(np.float64), norm_type, axis=-1, keepdims=True)
        weight._data[used] = np.where(length > max_norm, rows * (max_norm / (length + 1e-7)), rows)
        bump(weight)


def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """Rows `(*, D)` of `weight (V, D)` at the indices `input (*)`.

    The row `padding_idx` gets no gradient. With `max_norm`, rows that are too long are shortened in place first.

    Raises:
        IndexError: if an index is not in `[0, V)`.
        NotImplementedError: for `sparse=True`; gradients are dense here.
    """
    if sparse:
        raise NotImplementedError("embedding: sparse gradients are not available in tensorlite; use sparse=False")
    if weight.ndim != 2:
        raise RuntimeError(f"'weight' must be 2-D, got {weight.ndim}-D")
    row = _row(padding_idx, weight._data.shape[0])
    if max_norm is not None:
        ops.check_index(input._data, weight._data.shape[0])
        _renormalized(weight, input._data, max_norm, norm_type)
    return apply(ops.embedding, (input, weight, row, scale_grad_by_freq))  # type: ignore[no-any-return]


def embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """The sum, mean or maximum of the rows in each bag: `input (B, n)`, or `(N,)` with the start of each bag in `offsets`.

    Rows at `padding_idx` do not count. `per_sample_weights` scale the rows of a sum. An empty bag gives zeros.
    """
    if mode not in ("sum", "mean", "max"):
        raise ValueError("mode has to be one of sum, mean or max")
    if per_sample_weights is not None and mode != "sum":
        raise NotImplementedError(
            f"embedding_bag: per_sample_weights was not None. per_sample_weights is only supported for mode='sum' (got mode='{mode}')."
        )
    if input.ndim == 2:
        if offsets is not None:
            raise ValueError(
                "if input is 2D, then offsets has to be None, as input is treated is a mini-batch of fixed length sequences"
            )
        starts = np.arange(input._data.shape[0]) * input._data.shape[1]
    elif input.ndim == 1:
        if offsets is None:
            raise ValueError("offsets has to be a 1D Tensor but got None")
        starts = offsets._data[:-1] if include_last_offset else offsets._data
        if starts.size and starts[0] != 0:
            raise ValueError(
                f"offsets[0] has to be 0, i.e., the first sequence in the mini-batch has to start from position 0. However, got {starts[0]}"
            )
    else:
        raise ValueError(f"input has to be 1D or 2D Tensor, but got Tensor of dimension {input.ndim}")
    index = input._data.reshape(-1)
    last = int(offsets._data[-1]) if include_last_offset and offsets is not None else index.size
    bag = np.searchsorted(starts, np.arange(last), side="right") - 1
    row = _row(padding_idx, weight._data.shape[0])
    kept = np.ones(last, bool) if row is None else index[:last] != row
    chosen, bag = np.flatnonzero(kept), bag[kept]
    rows: Any = embedding(wrap(index[:last][kept]), weight, None, max_norm, norm_type, scale_grad_by_freq, sparse)
    if per_sample_weights is not None:
        rows = rows * per_sample_weights.reshape(-1)[chosen].unsqueeze(1)
    bags, width = len(starts), weight._data.shape[1]
    zeros: Any = wrap(np.zeros((bags, width), weight._data.dtype))
    if mode == "max":
        return _largest(rows, bag, bags, zeros)  # type: ignore[no-any-return]
    total = zeros.index_add(0, wrap(bag), rows)
    if mode == "sum":
        return total  # type: ignore[no-any-return]
    count = np.maximum(np.bincount(bag, minlength=bags), 1).astype(weight._data.dtype)
    return total / wrap(count[:, None])  # type: ignore[no-any-return]


def _largest(rows: Any, bag: Any, bags: int, zeros: Any) -> Any:
    """The elementwise maximum of each bag's rows; the first of equal ones gets the gradient."""
    values = rows._data
    best = np.full((bags, values.shape[1]), -1)
    for i, b in enumerate(bag):
        first = best[b] < 0
        better = first | (values[i] > values[np.maximum(best[b], 0), np.arange(values.shape[1])])
        best[b] = np.where(better, i, best[b])
    if not len(values):
        return zeros
    picked = rows.gather(0, wrap(np.maximum(best, 0)))
    return picked.masked_fill(wrap(best < 0), 0)
