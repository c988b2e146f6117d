"""Indexing by slices, integers, masks and integer arrays, and writing through an index."""

from __future__ import annotations

from typing import Any

import numpy as np

from .table import op


def is_basic(index: Any) -> bool:
    """Whether an index consists of ints, slices, None and Ellipsis alone, so that indexing gives a view."""
    items = index if isinstance(index, tuple) else (index,)
    return all(i is None or i is Ellipsis or isinstance(i, slice | int) for i in items)


@op(view=True, namespaces=())
def getitem(x: Any, index: Any) -> Any:
    """`x[index]`; a view for basic indices, a copy otherwise."""
    return x[index] if not is_basic(index) else x[(*index, ...)] if isinstance(index, tuple) and Ellipsis not in index else x[index]


@op(namespaces=())
def put(values: Any, index: Any, shape: Any) -> Any:
    """Zeros of `shape`, with `values` added in at `index`; where an index occurs twice, both are added."""
    out = np.zeros(shape, values.dtype)
    if is_basic(index):
        out[index] = values
    else:
        _add_at(out, index, values)
    return out


def _add_at(out: Any, index: Any, values: Any) -> None:
    rows = index[0] if isinstance(index, tuple) and len(index) == 1 else index
    if isinstance(rows, np.ndarray) and rows.dtype.kind in "iu" and out.ndim == 2 and rows.size > 16:
        # rows of a table: a 1-d add.at over flat positions is some five times faster than over rows
        width = out.shape[1]
        flat = (np.where(rows < 0, rows + len(out), rows).reshape(-1, 1) * width + np.arange(width)).ravel()
        np.add.at(out.reshape(-1), flat, np.ascontiguousarray(values).ravel())
        return
    np.add.at(out, index, values)


getitem.grad(x=lambda g, index, x_shape: put(g, index, x_shape))
put.grad(values=lambda g, index: getitem(g, index))


def _writes(x: Any, index: Any, value: Any) -> None:
    x[index] = value


@op(namespaces=(), broadcasts=True)
def setitem(x: Any, index: Any, value: Any) -> Any:
    """A copy of `x` with `x[index] = value`. Where an index occurs twice the last value stands, and only that one gets a gradient."""
    out = x.copy()
    _writes(out, index, value)
    return out


setitem.writes = _writes


def _cleared(g: Any, index: Any) -> Any:
    return setitem(g, index, 0)


def _value_grad(g: Any, index: Any, x_shape: Any, value_shape: Any) -> Any:
    taken = getitem(g, index)
    if is_basic(index):
        return taken
    ids = np.arange(int(np.prod(x_shape))).reshape(x_shape)[index].ravel()
    last = np.zeros(ids.shape, bool)
    _, from_end = np.unique(ids[::-1], return_index=True)
    last[len(ids) - 1 - from_end] = True
    return taken if last.all() else np.where(last.reshape(taken.shape), taken, 0)


setitem.grad(x=_cleared, value=_value_grad)
