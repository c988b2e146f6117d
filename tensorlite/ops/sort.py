"""Sorting and what rests on it: sort, topk, searching, unique values."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..errors import check_dim
from .along import put_along
from .analytic import branch, ordered
from .table import op


class Sorted(NamedTuple):
    """Values in order, and where they were."""

    values: Any
    indices: Any


def order_of(x: Any, dim: int, descending: Any = False) -> Any:
    """The stable order of `x` along `dim`: equal elements keep theirs, NaN counts as the largest."""
    if not descending:
        return np.argsort(x, axis=dim, kind="stable")
    n = x.shape[dim]
    return n - 1 - np.flip(np.argsort(np.flip(x, dim), axis=dim, kind="stable"), dim)


@op(n_outputs=2, nondiff_outputs=(1,), outputs=Sorted, aux=True)
def sort(x: Any, dim: Any = -1, descending: Any = False, stable: Any = False) -> Any:
    """(values, indices) along `dim`, always stable; NaN counts as the largest."""
    d = check_dim(dim, x.ndim)
    if x.ndim == 0:
        return (x.copy(), np.zeros((), np.int64)), None
    order = branch(order_of(ordered(x, "sort"), d, descending))
    return (np.take_along_axis(x, order, d), order), order


def _sorted_grad(g: Any, aux: Any, dim: Any, x_shape: Any) -> Any:
    if not x_shape:
        return g[0].sum()  # of one element, or of none
    return put_along(g[0], aux, dim % len(x_shape), x_shape[dim])


sort.grad(x=_sorted_grad)


@op(numpy=np.argsort)
def argsort(x: Any, dim: Any = -1, descending: Any = False, stable: Any = False) -> Any:
    """The indices that sort `x` along `dim`, always stable."""
    d = check_dim(dim, x.ndim)
    return order_of(ordered(x, "argsort"), d, descending) if x.ndim else np.zeros((), np.int64)


@op(n_outputs=2, nondiff_outputs=(1,), outputs=Sorted, aux=True)
def topk(x: Any, k: Any, dim: Any = -1, largest: Any = True, sorted: Any = True) -> Any:
    """(values, indices) of the `k` largest (or smallest) elements along `dim`, in order; of equals the first come first."""
    d = check_dim(dim, x.ndim)
    n = x.shape[d] if x.ndim else 1
    if not 0 <= k <= n:
        raise RuntimeError("selected index k out of range")
    if x.ndim == 0:
        return ((x.copy(), np.zeros((), np.int64)) if k else (x.reshape(1)[:0], np.zeros(0, np.int64))), None
    order = branch(np.ascontiguousarray(_first_k(ordered(x, "topk"), k, d, bool(largest))))
    return (np.take_along_axis(x, order, d), order), order


def _first_k(x: Any, k: int, d: int, largest: bool) -> Any:
    n = x.shape[d]
    if n < 1024 or k > n // 8 or k == 0 or x.dtype.kind != "f":
        return order_of(x, d, largest).take(np.arange(k), axis=d)
    # Of a long row only those are sorted that reach the k-th value; scanning them in order keeps the first of equals first.
    rows = np.moveaxis(x, d, -1)
    keyed = np.where(np.isnan(rows), np.inf, rows)
    keyed = -keyed if largest else keyed
    bound = np.partition(keyed, k - 1, axis=-1)[..., k - 1 : k]
    flat_keys, flat_rows = keyed.reshape(-1, n), rows.reshape(-1, n)
    result = np.empty((len(flat_keys), k), np.int64)
    for i, limit in enumerate(bound.reshape(-1)):
        candidates = np.flatnonzero(flat_keys[i] <= limit)
        result[i] = candidates[order_of(flat_rows[i][candidates], 0, largest)[:k]]
    return np.moveaxis(result.reshape((*rows.shape[:-1], k)), -1, d)


topk.grad(x=_sorted_grad)


# -- searching ----------------------------------------------------------------------------------------------------------


@op()
def searchsorted(
    sorted_sequence: Any, values: Any, out_int32: Any = False, right: Any = False, side: Any = None, sorter: Any = None
) -> Any:
    """For each value the index at which it goes into the sorted last dim of `sorted_sequence`; after equals if `right`."""
    if side is not None and side not in ("left", "right"):
        raise RuntimeError(f"torch.searchsorted(): side can only be 'left' or 'right' but got {side}")
    if side == "left" and right:
        raise RuntimeError(
            "torch.searchsorted(): side and right can't be set to opposites, got side of left while right was True"
        )
    values = np.asarray(values)
    rows = sorted_sequence if sorter is None else np.take_along_axis(sorted_sequence, sorter, -1)
    where: Any = "right" if right or side == "right" else "left"
    dtype = np.int32 if out_int32 else np.int64
    if rows.ndim == 1:
        return np.asarray(np.searchsorted(rows, values, where)).astype(dtype)
    if values.shape[:-1] != rows.shape[:-1]:
        raise RuntimeError(
            "torch.searchsorted(): boundaries tensor should be 1 dimension or the first N-1 dimensions of boundaries tensor and input value tensor must match, "
            f"but we got boundaries tensor {list(rows.shape)} and input value tensor {list(values.shape)}"
        )
    out = np.empty(values.shape, dtype)
    for index in np.ndindex(*rows.shape[:-1]):
        out[index] = np.searchsorted(rows[index], values[index], where)
    return out


@op()
def bucketize(x: Any, boundaries: Any, out_int32: Any = False, right: Any = False) -> Any:
    """For each element the index of the bucket between the sorted 1-d `boundaries` it falls into; a boundary belongs to the lower one unless `right`."""
    if boundaries.ndim != 1:
        raise RuntimeError(f"bucketize(): boundaries tensor must be 1 dimension, but got dim({boundaries.ndim})")
    return searchsorted.forward(boundaries, x, out_int32, right)


@op(numpy=np.isin)
def isin(elements: Any, test_elements: Any, assume_unique: Any = False, invert: Any = False) -> Any:
    """Whether each element occurs among `test_elements`."""
    return np.asarray(np.isin(elements, test_elements, assume_unique, invert))


# -- unique values ------------------------------------------------------------------------------------------------------


@op(namespaces=(), n_outputs=3, nondiff_outputs=(0, 1, 2))
def unique_values(x: Any, dim: Any = None) -> Any:
    """(values, inverse, counts): the distinct elements in order, or the distinct slices along `dim`."""
    values, inverse, counts = np.unique(
        x, return_inverse=True, return_counts=True, axis=None if dim is None else check_dim(dim, x.ndim)
    )
    return values, inverse.reshape(x.shape if dim is None else -1), counts


@op(namespaces=(), n_outputs=3, nondiff_outputs=(0, 1, 2))
def unique_runs(x: Any, dim: Any = None) -> Any:
    """(values, inverse, counts): each run of equal neighbours once, over the flattened tensor or along `dim`."""
    rows = x.reshape(-1, 1) if dim is None else np.moveaxis(x, check_dim(dim, x.ndim), 0)
    starts = np.ones(len(rows), bool)
    starts[1:] = (rows[1:] != rows[:-1]).any(tuple(range(1, rows.ndim)))
    inverse = np.cumsum(starts) - 1
    counts = np.bincount(inverse, minlength=int(starts.sum())) if len(rows) else np.zeros(0, np.int64)
    values = x.reshape(-1)[starts] if dim is None else np.compress(starts, x, dim)
    return values, inverse.reshape(x.shape if dim is None else -1), counts.astype(np.int64)


# -- counting -----------------------------------------------------------------------------------------------------------


@op(numpy=np.bincount)
def bincount(x: Any, weights: Any = None, minlength: Any = 0) -> Any:
    """How often each non-negative integer occurs in a 1-d tensor, or the sum of the weights at it."""
    if x.dtype.kind not in "iu":
        raise RuntimeError(f'"bincount" not implemented for {x.dtype}; expected integers')
    if x.ndim != 1 or (x.size and x.min() < 0):
        raise RuntimeError("bincount only supports 1-d non-negative integral inputs.")
    if minlength < 0:
        raise RuntimeError("minlength should be >= 0")
    if weights is not None and weights.shape != x.shape:
        raise RuntimeError("weights should be 1-d and have the same length as input")
    counted = np.bincount(x, weights, minlength)
    return (
        counted.astype(np.int64)
        if weights is None
        else counted.astype(weights.dtype if weights.dtype == np.float32 else np.float64)
    )


@op()
def histc(x: Any, bins: Any = 100, min: Any = 0, max: Any = 0) -> Any:
    """How many elements fall into each of `bins` equal intervals of [min, max] (of the data's range if both are 0)."""
    low, high = float(min), float(max)
    if low == high and x.size:
        low, high = float(x.min()), float(x.max())
    if low == high:
        low, high = low - 1, high + 1
    if not (np.isfinite(low) and np.isfinite(high)):
        raise RuntimeError(f"torch.histc: range of [{low}, {high}] is not finite")
    if low > high:
        raise RuntimeError("torch.histc: max must be larger than min")
    inside = x[(x >= low) & (x <= high)].astype(np.float64)
    places = np.minimum(((inside - low) / (high - low) * bins).astype(np.int64), bins - 1)
    return np.bincount(places, minlength=bins).astype(x.dtype)
