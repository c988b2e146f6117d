"""gather and scatter, and selection along one dim: the index has the shape of what is read or written."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import check_dim
from .analytic import branch, conj, ordered
from .index import add_at, last_writes
from .table import op

# -- one index for each element -------------------------------------------------------------------------------------------


def _place(shape: Any, dim: Any, index: Any) -> Any:
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


def _is_index_type(index: Any) -> bool:
    return index.dtype in (np.int64, np.int32)


def _check_integer(index: Any) -> None:
    if not _is_index_type(index):
        raise RuntimeError(f"gather(): Expected dtype int32/int64 for index, got {index.dtype}")


def _read(x: Any, dim: Any, index: Any) -> Any:
    if x.ndim == 0:
        check_dim(dim, 0)
        return np.broadcast_to(x, index.shape).copy()
    if index.size == 0:
        return np.empty(index.shape, x.dtype)
    if index.ndim == 0 and x.ndim == 1:
        index = index.reshape(1)
        return x[_place(x.shape, dim, index)].reshape(())
    return x[_place(x.shape, dim, index)]


def _cell(shape: Any, index: Any) -> Any:
    """Shape and index with 0-d tensors seen as tensors of one element."""
    return (shape or (1,)), (index if index.ndim else index.reshape(1))


@op()
def gather(x: Any, dim: Any, index: Any, sparse_grad: Any = False) -> Any:
    """`out[i][j][k] = x[index[i][j][k]][j][k]` for dim 0, and so on for other dims; shaped like `index`."""
    return _read(x, dim, index)


def _source(g: Any, shape: Any, dim: Any, index: Any) -> Any:
    """The cotangent of a scattered source: what landed where the index says, zero for the part of the source that was not used."""
    taken = gather(g, dim, index)
    if tuple(taken.shape) == tuple(shape):
        return taken
    from .index import put

    if not shape or not taken.shape:
        return taken.reshape(shape)
    return put(taken, tuple(slice(0, n) for n in taken.shape), shape)


def _used(src: Any, index: Any) -> Any:
    """The part of a source that the index covers."""
    if not isinstance(src, np.ndarray):
        return src
    if src.ndim != index.ndim and src.ndim and index.ndim:
        raise RuntimeError("Index tensor must have the same number of dimensions as src tensor")
    if any(m > n for m, n in zip(index.shape, src.shape, strict=False)):
        raise RuntimeError(f"Expected index {list(index.shape)} to be no larger than src {list(src.shape)}")
    return src[tuple(slice(0, n) for n in index.shape)] if src.ndim == index.ndim else src.reshape(index.shape)


def _same_dtype(x: Any, src: Any, name: str) -> None:
    if isinstance(src, np.ndarray) and src.dtype != x.dtype:
        raise RuntimeError(f"{name}(): Expected self.dtype to be equal to src.dtype, got {x.dtype} and {src.dtype}")


@op(inplace=True)
def scatter_add(x: Any, dim: Any, index: Any, src: Any) -> Any:
    """A copy of `x` with each `src[i][j][k]` added at `[index[i][j][k]][j][k]` (dim 0)."""
    _same_dtype(x, src, "scatter")
    out = np.array(x, copy=True)
    if index.size:
        shape, index = _cell(out.shape, index)
        np.add.at(out.reshape(shape), _place(shape, dim, index), _used(src if src.ndim else src.reshape(1), index))
    return out


gather.grad(x=lambda g, dim, index, x_shape: scatter_add(np.zeros(x_shape, g.dtype), dim, index, g))
scatter_add.grad(x=lambda g: g, src=lambda g, src_shape, dim, index: _source(g, src_shape, dim, index))


@op(namespaces=(), inplace=True)
def scatter_write(x: Any, dim: Any, index: Any, src: Any) -> Any:
    """A copy of `x` with `src`, a tensor or a number, written at `index` along `dim`. Of two writes to one place the last stands."""
    _same_dtype(x, src, "scatter")
    out = np.array(x, copy=True)
    if index.size:
        if isinstance(src, np.ndarray) and not src.ndim:
            src = src.reshape(1)
        shape, index = _cell(out.shape, index)
        out.reshape(shape)[_place(shape, dim, index)] = _used(src, index)
    return out


def _written(g: Any, src_shape: Any, x_shape: Any, dim: Any, index: Any) -> Any:
    """Only the write that stands gets a gradient."""
    taken = _source(g, src_shape, dim, index)
    if not index.size:
        return taken
    shape, cells = _cell(x_shape, index)
    last = last_writes(np.arange(int(np.prod(shape))).reshape(shape)[_place(shape, dim, cells)])
    if last is None:
        return taken
    mask = np.zeros(src_shape or (1,), bool)
    mask[tuple(slice(0, n) for n in last.shape)] = last
    return np.where(mask.reshape(src_shape), taken, 0)


scatter_write.grad(
    x=lambda g, dim, index: scatter_write(g, dim, index, 0),
    src=_written,
)


@op(inplace=True)
def scatter_reduce(x: Any, dim: Any, index: Any, src: Any, reduce: Any, include_self: Any = True) -> Any:
    """`src` scattered along `dim` and reduced where it meets: "sum", "prod", "mean", "amax" or "amin", with or without the old values of `x`."""
    if reduce not in _REDUCTIONS:
        raise RuntimeError(f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}.")
    _same_dtype(x, src, "scatter_reduce")
    out = np.array(x, copy=True)
    if not index.size:
        return out
    shape, index = _cell(out.shape, index)
    place = _place(shape, dim, index)
    target, values = out.reshape(shape), _used(src if src.ndim else src.reshape(1), index)
    if not include_self:
        target[place] = _identity(reduce, x.dtype)
    if reduce == "mean":
        np.add.at(target, place, values)
        count = _hits(shape, place, include_self)
        target[...] = target // count if x.dtype.kind in "iu" else target / count.astype(x.real.dtype)
    elif reduce in ("amax", "amin"):
        ordered(x, "scatter_reduce")
        _extreme_at(target, place, values, reduce)
        branch(target[place].real == values.real)
    else:
        _REDUCTIONS[reduce].at(target, place, values)
    return out


_REDUCTIONS: dict[str, Any] = {
    "sum": np.add,
    "mean": np.add,
    "prod": np.multiply,
    "amax": np.maximum,
    "amin": np.minimum,
}


def _extreme_at(target: Any, place: Any, values: Any, reduce: str) -> None:
    _REDUCTIONS[reduce].at(target, place, values)


def _identity(reduce: str, dtype: Any) -> Any:
    if reduce in ("sum", "mean"):
        return 0
    if reduce == "prod":
        return 1
    sign = -1 if reduce == "amax" else 1
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        return info.min if sign < 0 else info.max
    return bool(sign > 0) if dtype.kind == "b" else sign * np.inf


def _hits(shape: Any, place: Any, include_self: Any) -> Any:
    """How many values meet in each cell; at least 1."""
    count = np.full(shape, int(bool(include_self)))
    np.add.at(count, place, 1)
    return np.maximum(count, 1)


def _touched(shape: Any, dim: Any, index: Any) -> Any:
    """The cells that are written to."""
    hit = np.zeros(shape or (1,), bool)
    if index.size:
        cells, index = _cell(shape, index)
        hit[_place(cells, dim, index)] = True
    return hit.reshape(shape)


def _scatter_reduce_grad(
    g: Any,
    needs: Any,
    x: Any,
    src: Any,
    out: Any,
    x_shape: Any,
    src_shape: Any,
    dim: Any,
    index: Any,
    reduce: Any,
    include_self: Any,
) -> Any:
    if not index.size:
        return [g, np.zeros(src_shape)]
    untouched = ~_touched(x_shape, dim, index)

    def kept(values: Any) -> Any:
        return values if include_self else np.where(untouched, values, 0)

    if reduce == "sum":
        return [g if include_self else np.where(untouched, g, 0), _source(g, src_shape, dim, index)]
    if reduce == "mean":
        shape, cells = _cell(x_shape, index)
        count = _hits(shape, _place(shape, dim, cells), include_self).reshape(x_shape).astype(np.float32)
        gx = g / count
        return [gx if include_self else np.where(untouched, g, 0), _source(gx, src_shape, dim, index)]
    if reduce == "prod":
        return _prod_grads(g, x, src, out, dim, index, include_self, untouched)
    # amax, amin: ties share the gradient evenly
    self_wins = (x == out) if include_self else untouched
    src_wins = src == _source(out, src_shape, dim, index)
    ones = np.where(_plain(src_wins), 1.0, 0.0).astype(np.float32)
    start = np.where(_plain(self_wins), 1.0, 0.0).astype(np.float32)
    share = g / np.maximum(scatter_add.forward(start, dim, index, ones), 1)
    return [np.where(_plain(self_wins), share, 0), np.where(_plain(src_wins), _source(share, src_shape, dim, index), 0)]


def _plain(mask: Any) -> Any:
    return mask.detach().numpy() if hasattr(mask, "detach") else np.asarray(mask)


def _prod_grads(g: Any, x: Any, src: Any, out: Any, dim: Any, index: Any, include_self: Any, untouched: Any) -> Any:
    """Products of the others: the result over the value itself, and where the value is the one zero of its cell, the product of the rest."""
    x_zero, src_zero = _plain(x == 0), _plain(src == 0)
    filled = np.where(x_zero, 1, x)
    gx = (
        g * conj(scatter_reduce(filled, dim, index, src, "prod", include_self)) / conj(filled)
        if include_self
        else np.where(untouched, g, 0)
    )
    zeros = _read(
        scatter_add.forward(np.zeros(x_zero.shape, np.int64), dim, index, src_zero.astype(np.int64)), dim, index
    )
    single = src_zero.copy().reshape(src_zero.shape or (1,))
    single[tuple(slice(0, n) for n in zeros.shape)] &= (zeros == 1).reshape(zeros.shape or (1,))
    single = single.reshape(src_zero.shape)
    rest = scatter_reduce(x, dim, index, np.where(single, 1, src), "prod", include_self)
    alone = _source(g * conj(rest), src_zero.shape, dim, index)
    among = _source(g * conj(out), src_zero.shape, dim, index) / conj(np.where(src_zero, 1, src))
    return [gx, np.where(single, alone, among)]


scatter_reduce.grad(_scatter_reduce_grad, wrt=("x", "src"))


# -- one index for each slice ---------------------------------------------------------------------------------------------


def _slices(x: Any, dim: Any, index: Any, name: str) -> Any:
    """(axis, 1-d index), checked."""
    d = check_dim(dim, x.ndim)
    if not _is_index_type(index):
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


@op(inplace=True, broadcasts=True)
def masked_fill(x: Any, mask: Any, value: Any) -> Any:
    """`x` with `value`, a number or a 0-d tensor, where `mask` is true; broadcast."""
    if mask.dtype != np.bool_:
        raise RuntimeError(f"masked_fill_ only supports boolean masks, but got mask with dtype {mask.dtype}")
    if getattr(value, "ndim", 0):
        raise RuntimeError(
            f"masked_fill_ only supports a 0-dimensional value tensor, but got tensor with {value.ndim} dimension(s)."
        )
    if isinstance(value, np.ndarray):
        value = value.astype(x.dtype, copy=False) if value.dtype.kind != "c" or x.dtype.kind == "c" else _no_complex()
    elif isinstance(value, float) and x.dtype.kind in "iu" and not value.is_integer():
        raise RuntimeError(f"value cannot be converted to type {x.dtype} without overflow")
    return np.where(mask, np.asarray(value, x.dtype), x)


def _no_complex() -> Any:
    raise RuntimeError("value cannot be converted to a real type without losing its imaginary part")


masked_fill.grad(x=lambda g, mask: np.where(mask, 0, g), value=lambda g, mask: np.where(mask, g, 0).sum())


@op()
def masked_select(x: Any, mask: Any) -> Any:
    """The elements of `x` where `mask` is true, as one row; both are broadcast."""
    if mask.dtype != np.bool_:
        raise RuntimeError("masked_select: expected BoolTensor for mask")
    x, mask = np.broadcast_arrays(x, mask)
    return x[mask]


def _masked_select_grad(g: Any, mask: Any, x_shape: Any) -> Any:
    from .basic import sum_to_shape
    from .index import put

    shape = np.broadcast_shapes(mask.shape, x_shape)
    spread = put(g, np.broadcast_to(mask, shape), shape)
    return sum_to_shape(spread, tuple(x_shape)) if shape != tuple(x_shape) else spread


masked_select.grad(x=_masked_select_grad)


@op(inplace=True, broadcasts=True)
def masked_scatter(x: Any, mask: Any, source: Any) -> Any:
    """`x` with the elements of `source`, in order, where `mask` is true."""
    if mask.dtype != np.bool_:
        raise RuntimeError("masked_scatter_ only supports boolean masks")
    _same_dtype(x, source, "masked_scatter")
    x, mask = np.broadcast_arrays(x, mask)
    n = int(np.count_nonzero(mask))
    if source.size < n:
        raise RuntimeError(
            f"masked_scatter: expected self and source to have enough elements: source has {source.size}, the mask selects {n}"
        )
    out = x.copy()
    out[mask] = source.reshape(-1)[:n]
    return out


def _masked_source(g: Any, mask: Any, source_shape: Any) -> Any:
    from .index import put

    taken = masked_select(g, mask)
    return put(taken, (slice(0, taken.shape[0]),), (int(np.prod(source_shape)),)).reshape(source_shape)


masked_scatter.grad(x=lambda g, mask: np.where(mask, 0, g), source=_masked_source)


# -- flat positions -------------------------------------------------------------------------------------------------------


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
    _same_dtype(x, source, "put_")
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
