"""One index for each slice: selecting, adding, copying and filling slices along a dim."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import check_dim
from .gather import is_index_type
from .index import add_at, last_writes
from .table import op


def _slices(x: Any, dim: Any, index: Any, name: str) -> Any:
    """(axis, 1-d index), checked."""
    d = check_dim(dim, x.ndim)
    if not is_index_type(index):
        raise RuntimeError(f"{name}(): Expected dtype int32 or int64 for index")
    if index.ndim > 1:
        raise IndexError(f"{name}(): Index is supposed to be a vector")
    index = index.reshape(-1)
    n = x.shape[d] if x.ndim else 1
    if index.size and (index.min() < 0 or index.max() >= n):
        raise IndexError("index out of range in self")
    return d, index


def _at(d: int, index: Any) -> Any:
    return (*(slice(None),) * d, index)


@op(numpy=())
def index_select(x: Any, dim: Any, index: Any) -> Any:
    """The slices of `x` along `dim` that a 1-d index names, in its order."""
    d, index = _slices(x, dim, index, "index_select")
    if not x.ndim:
        return x.reshape(1)[index].reshape(())
    return np.take(x, index, axis=d)


@op(inplace=True)
def index_add(x: Any, dim: Any, index: Any, source: Any, alpha: Any = 1) -> Any:
    """A copy of `x` with `alpha * source` added slice by slice at `index` along `dim`."""
    d, index = _slices(x, dim, index, "index_add")
    out = np.array(x, copy=True)
    source = source if alpha == 1 else source * np.asarray(alpha).astype(source.dtype)
    if not x.ndim:
        np.add.at(out.reshape(1), index, source.reshape(-1))
        return out
    _check_source(x, d, index, source, "index_add")
    if d == 0:
        add_at(out, index, source)
    else:
        np.add.at(out, _at(d, index), source)
    return out


def _check_source(x: Any, d: int, index: Any, source: Any, name: str) -> None:
    if source.dtype != x.dtype:
        raise RuntimeError(f"{name}(): self ({x.dtype}) and source ({source.dtype}) must have the same scalar type")
    if source.ndim == 0 and index.size == 1 and x.ndim == 1:
        return
    if source.ndim != x.ndim or source.shape[d] != index.size:
        raise IndexError(
            f"{name}(): Number of indices ({index.size}) should be equal to source.size(dim): {list(source.shape)}"
        )


def _source_slices(g: Any, shape: Any, dim: Any, index: Any) -> Any:
    return index_select(g, dim, index).reshape(shape)


index_select.grad(x=lambda g, dim, index, x_shape: index_add(np.zeros(x_shape, g.dtype), dim, index, g))
index_add.grad(
    x=lambda g: g,
    source=lambda g, source_shape, dim, index, alpha: _source_slices(
        g if alpha == 1 else g * alpha, source_shape, dim, index
    ),
)


@op(inplace=True)
def index_copy(x: Any, dim: Any, index: Any, source: Any) -> Any:
    """A copy of `x` with slices at `index` along `dim` replaced by those of `source`; the last of duplicates stands."""
    d, index = _slices(x, dim, index, "index_copy")
    out = np.array(x, copy=True)
    if not x.ndim:
        out[...] = source.reshape(-1)[-1]
        return out
    _check_source(x, d, index, source, "index_copy")
    out[_at(d, index)] = source
    return out


def _copied(g: Any, source_shape: Any, dim: Any, index: Any) -> Any:
    taken = _source_slices(g, source_shape, dim, index)
    last = last_writes(index.reshape(-1))
    if last is None or not source_shape:
        return taken
    return np.where(last.reshape((-1,) + (1,) * (len(source_shape) - dim % len(source_shape) - 1)), taken, 0)


@op(inplace=True)
def index_fill(x: Any, dim: Any, index: Any, value: Any) -> Any:
    """A copy of `x` with slices at `index` along `dim` filled with one value."""
    n = x.shape[check_dim(dim, x.ndim)] if x.ndim else 1
    if is_index_type(index):
        index = np.where(
            (index < 0) & (index >= -n), index + n, index
        )  # unlike the others, this one counts from the end too
    d, index = _slices(x, dim, index, "index_fill")
    if getattr(value, "ndim", 0):
        raise RuntimeError(
            f"index_fill_ only supports a 0-dimensional value tensor, but got tensor with {value.ndim} dimension(s)."
        )
    out = np.array(x, copy=True)
    if x.ndim:
        out[_at(d, index)] = value
    elif index.size:
        out[...] = value
    return out


index_copy.grad(x=lambda g, dim, index: index_fill(g, dim, index, 0), source=_copied)
index_fill.grad(
    x=lambda g, dim, index: index_fill(g, dim, index, 0),
    value=lambda g, dim, index: index_select(g, dim, np.unique(index)).sum(),
)
