"""Functions composed of ops that read and write at indices, and fill."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autograd.graph import wrap
from ..autograd.inplace import apply_inplace
from ..autograd.record import apply
from ..errors import check_dim
from ..ops import gather, masked, scatter_reduce
from ..ops import index as ix
from ..ops.compare import where as where_op
from .functions_shape import select
from .tensor import Tensor


def _scatter_arguments(
    dim: int, index: Any, src: Any, value: Any, reduce: Any, x: Tensor
) -> tuple[Any, tuple[Any, ...]]:
    source = value if src is None else src
    if reduce is None:
        return gather.scatter_write, (dim, index, source)
    if reduce not in ("add", "multiply"):
        raise RuntimeError("reduce argument must be either add or multiply.")
    if not isinstance(source, Tensor):
        source = wrap(np.full(index._data.shape, source, x._data.dtype))
    return scatter_reduce.scatter_reduce, (dim, index, source, "sum" if reduce == "add" else "prod", True)


def scatter(
    input: Tensor, dim: int, index: Tensor, src: Any = None, value: Any = None, *, reduce: str | None = None
) -> Tensor:
    """`input` with `src` (a tensor, or one number) written at `index` along `dim`; `reduce` is None, "add" or "multiply"."""
    op, args = _scatter_arguments(dim, index, src, value, reduce, input)
    return apply(op, (input, *args))  # type: ignore[no-any-return]


def scatter_(
    self: Tensor, dim: int, index: Tensor, src: Any = None, value: Any = None, *, reduce: str | None = None
) -> Tensor:
    """`scatter` in place."""
    op, args = _scatter_arguments(dim, index, src, value, reduce, self)
    return apply_inplace(op, self, args)  # type: ignore[no-any-return]


def _index_arrays(indices: Sequence[Any]) -> tuple[Any, ...]:
    arrays = tuple(i._data if isinstance(i, Tensor) else i for i in indices)
    for a in arrays:
        if a is not None and (a.dtype.kind not in "biu" or a.dtype in (np.int8, np.int16)):
            raise IndexError("tensors used as indices must be long, int, byte or bool tensors")
    return tuple(a.astype(bool) if a is not None and a.dtype == np.uint8 else a for a in arrays)


def index_put(input: Tensor, indices: Sequence[Any], values: Tensor, accumulate: bool = False) -> Tensor:
    """`input` with `values` written, or added, at the positions that a tuple of index tensors names."""
    return apply(ix.index_put, (input, _index_arrays(indices), _like(values, input), accumulate))  # type: ignore[no-any-return]


def index_put_(self: Tensor, indices: Sequence[Any], values: Tensor, accumulate: bool = False) -> Tensor:
    """`index_put` in place."""
    return apply_inplace(ix.index_put, self, (_index_arrays(indices), _like(values, self), accumulate))  # type: ignore[no-any-return]


def _like(values: Tensor, x: Tensor) -> Tensor:
    if values._data.dtype != x._data.dtype:
        raise RuntimeError(
            f"Index put requires the source and destination dtypes match, got {x.dtype} for the destination and {values.dtype} for the source."
        )
    return values


def index_reduce(
    input: Tensor, dim: int, index: Tensor, source: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """Slices of `source` reduced into those of `input` that a 1-d index names: "prod", "mean", "amax" or "amin"."""
    if reduce not in ("prod", "mean", "amax", "amin"):
        raise RuntimeError(f"reduce argument must be either prod, mean, amax or amin, got {reduce}.")
    if not input.ndim:
        return apply(scatter_reduce.scatter_reduce, (input, 0, index, source, reduce, include_self))  # type: ignore[no-any-return]
    d = check_dim(dim, input.ndim)
    spread = index._data.reshape((-1,) + (1,) * (input.ndim - d - 1))
    return apply(  # type: ignore[no-any-return]
        scatter_reduce.scatter_reduce,
        (input, d, np.broadcast_to(spread, source._data.shape), source, reduce, include_self),
    )


def select_scatter(input: Tensor, src: Tensor, dim: int, index: int) -> Tensor:
    """`input` with the slice at one position along `dim` replaced by `src`."""
    d = check_dim(dim, input.ndim)
    target = select(input, dim, index)
    return _with_region(input, src, (*(slice(None),) * d, int(index)), target._data.shape)


def slice_scatter(
    input: Tensor, src: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Tensor:
    """`input` with the slice `start:end:step` along `dim` replaced by `src`."""
    region = (*(slice(None),) * check_dim(dim, input.ndim), slice(start, end, step))
    return _with_region(input, src, region, input._data[region].shape)


def _with_region(input: Tensor, src: Tensor, region: Any, sizes: tuple[int, ...]) -> Tensor:
    if src._data.shape != sizes:
        raise RuntimeError(
            f"expected src to have a size equal to the slice of self. src size = {list(src._data.shape)}, slice size = {list(sizes)}"
        )
    return apply(ix.setitem, (input, region, src))  # type: ignore[no-any-return]


def where(condition: Tensor, input: Any = None, other: Any = None) -> Any:
    """`input` where `condition` holds, else `other`; with `condition` alone, the indices of its nonzero elements."""
    if input is None and other is None:
        return tuple(wrap(i.astype(np.int64)) for i in np.nonzero(np.atleast_1d(condition._data)))
    return apply(where_op, (condition, input, other))


def where_method(self: Any, *args: Any, **kwargs: Any) -> Any:
    """`self` where `condition` holds, else `other`."""
    condition = args[0] if args else kwargs["condition"]
    other = args[1] if len(args) > 1 else kwargs["other"]
    return where(condition, self, other)


def fill(input: Tensor, value: Any) -> Tensor:
    """A tensor like `input` with every element `value`, a number or a 0-d tensor."""
    return apply(masked.masked_fill, (input, np.ones((), bool), _zero_dim(value)))  # type: ignore[no-any-return]


def _zero_dim(value: Any) -> Any:
    if isinstance(value, Tensor) and value.ndim:
        raise RuntimeError(f"fill_ only supports 0-dimension value tensor but got tensor with {value.ndim} dimensions.")
    return value


def fill_(self: Tensor, value: Any) -> Tensor:
    """Set every element to `value`."""
    return apply_inplace(ix.setitem, self, (..., _zero_dim(value)))  # type: ignore[no-any-return]


def zero_(self: Tensor) -> Tensor:
    """Set every element to 0."""
    return apply_inplace(ix.setitem, self, (..., 0))  # type: ignore[no-any-return]


def copy_(self: Tensor, src: Any, non_blocking: bool = False) -> Tensor:
    """Write the values of `src`, broadcast and cast, into this tensor."""
    source = src if isinstance(src, Tensor | int | float | complex) else wrap(np.asarray(src))
    if isinstance(source, Tensor) and source._data.dtype != self._data.dtype:
        source = source.to(dtype=self._data.dtype)
    return apply_inplace(ix.setitem, self, (..., source))  # type: ignore[no-any-return]


def fill_diagonal_(self: Tensor, fill_value: float, wrap: bool = False) -> Tensor:
    """Set the main diagonal to one number; with `wrap`, again below the last row of a tall matrix."""
    if self.ndim < 2:
        raise RuntimeError("dimensions must larger than 1")
    sizes = self._data.shape
    if self.ndim > 2 and len(set(sizes)) != 1:
        raise RuntimeError("all dimensions of input must be of equal length")
    mask = np.zeros(sizes, bool)
    np.fill_diagonal(mask, True, wrap=wrap and self.ndim == 2)
    return apply_inplace(masked.masked_fill, self, (mask, fill_value))  # type: ignore[no-any-return]


def argwhere(input: Tensor) -> Tensor:
    """The indices of the nonzero elements, one a row."""
    return wrap(np.argwhere(input._data).astype(np.int64))  # type: ignore[no-any-return]
