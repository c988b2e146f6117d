"""Reading and writing at positions in the flattened tensor, or along one dim."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import check_dim
from .gather import check_same_dtype, scatter_add
from .index import last_writes
from .table import op


def _flat(index: Any, size: int) -> Any:
    if index.dtype.kind not in "iu":
        raise RuntimeError(f"take(): Expected a long tensor for index, but got {index.dtype}")
    if index.size and (index.min() < -size or index.max() >= size):
        raise IndexError("out of range: tried to access index outside of the flattened tensor")
    return index


@op(numpy=())
def take(x: Any, index: Any) -> Any:
    """The elements at flat positions of `x`, shaped like `index`."""
    return x.reshape(-1)[_flat(index, x.size)]


def _put_flat(g: Any, index: Any, shape: Any) -> Any:
    from .index import put

    return put(g, (index,), (int(np.prod(shape)),)).reshape(shape)


take.grad(x=lambda g, index, x_shape: _put_flat(g, index, x_shape))


@op(namespaces=("torch", "Tensor"), name="put", inplace=True)
def put_flat(x: Any, index: Any, source: Any, accumulate: Any = False) -> Any:
    """A copy of `x` with `source` written, or added, at flat positions."""
    check_same_dtype(x, source, "put_")
    if index.size != source.size:
        raise RuntimeError(
            f"put_(): Expected source and index to have the same number of elements, but got {source.size} and {index.size}"
        )
    out = np.array(x, copy=True, order="C")
    flat, index = out.reshape(-1), _flat(index, x.size).reshape(-1)
    if accumulate:
        np.add.at(flat, index, source.reshape(-1))
    else:
        flat[index] = source.reshape(-1)
    return out


def _put_source(g: Any, index: Any, source_shape: Any, x_shape: Any, accumulate: Any) -> Any:
    taken = take(g, index).reshape(source_shape)
    if accumulate:
        return taken
    last = last_writes(np.arange(int(np.prod(x_shape)))[index.reshape(-1)])
    return taken if last is None else np.where(last.reshape(source_shape), taken, 0)


put_flat.grad(
    x=lambda g, index, accumulate: g if accumulate else put_flat(g, index, np.zeros(index.shape, g.dtype)),
    source=_put_source,
)


@op(numpy=())
def take_along_dim(x: Any, indices: Any, dim: Any = None) -> Any:
    """`x` read at `indices` along `dim`, both broadcast over the other dims; over the flattened `x` when no dim is named."""
    if indices.dtype.kind not in "iu":
        raise RuntimeError("torch.take_along_dim(): dtype of indices should be Long but got " + str(indices.dtype))
    x, indices, d = _along(x, indices, dim)
    return np.take_along_axis(x, indices, d)


def _along(x: Any, indices: Any, dim: Any) -> Any:
    if dim is None:
        return x.reshape(-1), indices.reshape(-1), 0
    d = check_dim(dim, x.ndim)
    if x.ndim != indices.ndim:
        raise RuntimeError(
            f"torch.take_along_dim(): input and indices should have the same number of dimensions, but got {x.ndim} dimensions for input, and {indices.ndim} dimensions for indices"
        )
    common = np.broadcast_shapes(*(tuple(1 if i == d else n for i, n in enumerate(a.shape)) for a in (x, indices)))
    shape_x = tuple(x.shape[d] if i == d else n for i, n in enumerate(common))
    shape_i = tuple(indices.shape[d] if i == d else n for i, n in enumerate(common))
    return np.broadcast_to(x, shape_x), np.broadcast_to(indices, shape_i), d


def _take_along_grad(g: Any, x_shape: Any, indices: Any, dim: Any) -> Any:
    from .basic import sum_to_shape

    x, index, d = _along(np.empty(x_shape, bool), indices, dim)
    size = x.shape[d]
    spread = scatter_add(np.zeros(x.shape, g.dtype), d, np.where(index < 0, index + size, index), g)
    return (
        spread.reshape(x_shape)
        if dim is None
        else spread
        if x.shape == tuple(x_shape)
        else sum_to_shape(spread, tuple(x_shape))
    )


take_along_dim.grad(x=_take_along_grad)
