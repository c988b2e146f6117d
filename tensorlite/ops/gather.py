"""gather and scatter, and selection along one dim: the index has the shape of what is read or written."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import check_dim
from .index import last_writes
from .table import op

# -- one index for each element -------------------------------------------------------------------------------------------


def place_of(shape: Any, dim: Any, index: Any) -> Any:
    """The NumPy index that reads element index[i][j][k] along `dim` and its own position along the other dims."""
    _check_integer(index)
    d = check_dim(dim, len(shape))
    if not shape:
        return (index.reshape(-1)[: index.size],) if index.ndim else ()
    if index.ndim != len(shape):
        raise RuntimeError("Index tensor must have the same number of dimensions as input tensor")
    for i, (n, m) in enumerate(zip(shape, index.shape, strict=True)):
        if i != d and m > n:
            raise RuntimeError(
                f"Size does not match at dimension {i} expected index {list(index.shape)} to be no larger than self {list(shape)} apart from dimension {d}"
            )
    if index.size and (index.min() < 0 or index.max() >= shape[d]):
        wrong = index.min() if index.min() < 0 else index.max()
        raise RuntimeError(f"index {wrong} is out of bounds for dimension {d} with size {shape[d]}")
    return tuple(
        index if i == d else np.arange(n).reshape((-1,) + (1,) * (index.ndim - i - 1))
        for i, n in enumerate(index.shape)
    )


def is_index_type(index: Any) -> bool:
    return index.dtype in (np.int64, np.int32)


def _check_integer(index: Any) -> None:
    if not is_index_type(index):
        raise RuntimeError(f"gather(): Expected dtype int32/int64 for index, got {index.dtype}")


def read(x: Any, dim: Any, index: Any) -> Any:
    if x.ndim == 0:
        check_dim(dim, 0)
        return np.broadcast_to(x, index.shape).copy()
    if index.size == 0:
        return np.empty(index.shape, x.dtype)
    if index.ndim == 0 and x.ndim == 1:
        index = index.reshape(1)
        return x[place_of(x.shape, dim, index)].reshape(())
    return x[place_of(x.shape, dim, index)]


def cell_of(shape: Any, index: Any) -> Any:
    """Shape and index with 0-d tensors seen as tensors of one element."""
    return (shape or (1,)), (index if index.ndim else index.reshape(1))


@op()
def gather(x: Any, dim: Any, index: Any, sparse_grad: Any = False) -> Any:
    """`out[i][j][k] = x[index[i][j][k]][j][k]` for dim 0, and so on for other dims; shaped like `index`."""
    return read(x, dim, index)


def source_of(g: Any, shape: Any, dim: Any, index: Any) -> Any:
    """The cotangent of a scattered source: what landed where the index says, zero for the part of the source that was not used."""
    taken = gather(g, dim, index)
    if tuple(taken.shape) == tuple(shape):
        return taken
    from .index import put

    if not shape or not taken.shape:
        return taken.reshape(shape)
    return put(taken, tuple(slice(0, n) for n in taken.shape), shape)


def used(src: Any, index: Any) -> Any:
    """The part of a source that the index covers."""
    if not isinstance(src, np.ndarray):
        return src
    if src.ndim != index.ndim and src.ndim and index.ndim:
        raise RuntimeError("Index tensor must have the same number of dimensions as src tensor")
    if any(m > n for m, n in zip(index.shape, src.shape, strict=False)):
        raise RuntimeError(f"Expected index {list(index.shape)} to be no larger than src {list(src.shape)}")
    return src[tuple(slice(0, n) for n in index.shape)] if src.ndim == index.ndim else src.reshape(index.shape)


def check_same_dtype(x: Any, src: Any, name: str) -> None:
    if isinstance(src, np.ndarray) and src.dtype != x.dtype:
        raise RuntimeError(f"{name}(): Expected self.dtype to be equal to src.dtype, got {x.dtype} and {src.dtype}")


@op(inplace=True)
def scatter_add(x: Any, dim: Any, index: Any, src: Any) -> Any:
    """A copy of `x` with each `src[i][j][k]` added at `[index[i][j][k]][j][k]` (dim 0)."""
    check_same_dtype(x, src, "scatter")
    out = np.array(x, copy=True)
    if index.size:
        shape, index = cell_of(out.shape, index)
        np.add.at(out.reshape(shape), place_of(shape, dim, index), used(src if src.ndim else src.reshape(1), index))
    return out


gather.grad(x=lambda g, dim, index, x_shape: scatter_add(np.zeros(x_shape, g.dtype), dim, index, g))
scatter_add.grad(x=lambda g: g, src=lambda g, src_shape, dim, index: source_of(g, src_shape, dim, index))


@op(namespaces=(), inplace=True)
def scatter_write(x: Any, dim: Any, index: Any, src: Any) -> Any:
    """A copy of `x` with `src`, a tensor or a number, written at `index` along `dim`. Of two writes to one place the last stands."""
    check_same_dtype(x, src, "scatter")
    out = np.array(x, copy=True)
    if index.size:
        if isinstance(src, np.ndarray) and not src.ndim:
            src = src.reshape(1)
        shape, index = cell_of(out.shape, index)
        out.reshape(shape)[place_of(shape, dim, index)] = used(src, index)
    return out


def _written(g: Any, src_shape: Any, x_shape: Any, dim: Any, index: Any) -> Any:
    """Only the write that stands gets a gradient."""
    taken = source_of(g, src_shape, dim, index)
    if not index.size:
        return taken
    shape, cells = cell_of(x_shape, index)
    last = last_writes(np.arange(int(np.prod(shape))).reshape(shape)[place_of(shape, dim, cells)])
    if last is None:
        return taken
    mask = np.zeros(src_shape or (1,), bool)
    mask[tuple(slice(0, n) for n in last.shape)] = last
    return np.where(mask.reshape(src_shape), taken, 0)


scatter_write.grad(
    x=lambda g, dim, index: scatter_write(g, dim, index, 0),
    src=_written,
)


# -- one index for each slice ---------------------------------------------------------------------------------------------


# -- flat positions -------------------------------------------------------------------------------------------------------
