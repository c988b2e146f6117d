"""Functions composed of ops that join tensors, split them, and spread them over grids."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..autograd.graph import wrap
from ..autograd.record import apply
from ..ops import join, rearrange, shape, take
from .functions_shape import atleast_1d, atleast_2d, atleast_3d, ravel, spread
from .tensor import Tensor


def concat(tensors: Sequence[Tensor], dim: int = 0, *, axis: int | None = None, out: Any = None) -> Tensor:
    """`cat` by another name."""
    return apply(join.cat, (tensors, dim if axis is None else axis))  # type: ignore[no-any-return]


def hstack(tensors: Sequence[Tensor]) -> Tensor:
    """The tensors one after another along dim 1 (dim 0 for 1-d ones)."""
    items = atleast_1d(*tensors) if len(tensors) != 1 else (atleast_1d(tensors[0]),)
    return apply(join.cat, (items, 0 if items[0].ndim == 1 else 1))  # type: ignore[no-any-return]


def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """The tensors one below the other."""
    return apply(join.cat, (tuple(atleast_2d(x) for x in tensors), 0))  # type: ignore[no-any-return]


def dstack(tensors: Sequence[Tensor]) -> Tensor:
    """The tensors one behind the other, along dim 2."""
    return apply(join.cat, (tuple(atleast_3d(x) for x in tensors), 2))  # type: ignore[no-any-return]


def column_stack(tensors: Sequence[Tensor]) -> Tensor:
    """1-d tensors as columns, 2-d ones as they are, side by side."""
    items = tuple(apply(shape.reshape, (x, (x.numel(), 1))) if x.ndim <= 1 else x for x in tensors)
    return hstack(items)


def _splitter(name: str, dim_of: Callable[[Tensor], int], least: int) -> Callable[..., Any]:
    def function(input: Tensor, *args: Any, **kwargs: Any) -> Any:
        if input.ndim < least:
            raise RuntimeError(
                f"torch.{name} requires a tensor with at least {least} dimension{'s' if least > 1 else ''}, but got a tensor with {input.ndim} dimensions!"
            )
        cuts = kwargs.get(
            "indices_or_sections", kwargs.get("sections", kwargs.get("indices", args[0] if len(args) == 1 else args))
        )
        d = dim_of(input)
        if isinstance(cuts, int) and (cuts <= 0 or input._data.shape[d] % cuts):
            raise RuntimeError(
                f"torch.{name} attempted to split along dimension {d}, but the size of the dimension {input._data.shape[d]} is not divisible by the split_size {cuts}!"
            )
        return apply(join.tensor_split, (input, cuts, d))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"`tensor_split` along the dim that {name} is named after."
    return function


hsplit = _splitter("hsplit", lambda x: 0 if x.ndim == 1 else 1, 1)
vsplit = _splitter("vsplit", lambda x: 0, 2)
dsplit = _splitter("dsplit", lambda x: 2, 3)


def unsafe_split(input: Tensor, split_size: int, dim: int = 0) -> Any:
    """`split`; the pieces are views here as well, and as well guarded."""
    return apply(join.split, (input, split_size, dim))


def unsafe_chunk(input: Tensor, chunks: int, dim: int = 0) -> Any:
    """`chunk`; the pieces are views here as well, and as well guarded."""
    return apply(join.chunk, (input, chunks, dim))


def block_diag(*tensors: Any) -> Tensor:
    """The matrices along the diagonal of one matrix of zeros."""
    rows = []
    matrices = [atleast_2d(x) for x in (tensors or (wrap(np.zeros((1, 0), np.float32)),))]
    for x in matrices:
        if x.ndim != 2:
            raise RuntimeError(
                f"torch.block_diag: Input tensors must have 2 or fewer dimensions. Input has {x.ndim} dimensions"
            )
    total = sum(x._data.shape[1] for x in matrices)
    start = 0
    for x in matrices:
        width = x._data.shape[1]
        rows.append(apply(rearrange.constant_pad, (x, (start, total - start - width), 0)))
        start += width
    return apply(join.cat, (rows, 0))  # type: ignore[no-any-return]


def meshgrid(*tensors: Any, indexing: str = "ij") -> tuple[Tensor, ...]:
    """Coordinates of a grid: each 1-d tensor expanded along the dims of the others. `indexing` is "ij" or "xy"."""
    items = [apply(shape.reshape, (x, (1,))) if x.ndim == 0 else x for x in spread(tensors)]
    if indexing not in ("ij", "xy"):
        raise RuntimeError(f'torch.meshgrid: indexing must be one of "xy" or "ij", but received: {indexing}')
    for x in items:
        if x.ndim != 1:
            raise RuntimeError(
                f"torch.meshgrid: Expected 0D or 1D tensor in the tensor list but got: {list(x._data.shape)}"
            )
    swap = indexing == "xy" and len(items) > 1
    if swap:
        items[0], items[1] = items[1], items[0]
    sizes = tuple(x.numel() for x in items)
    grids = []
    for i, x in enumerate(items):
        row = apply(shape.reshape, (x, (1,) * i + (sizes[i],) + (1,) * (len(sizes) - i - 1)))
        grids.append(apply(shape.expand, (row, sizes)))
    if swap:
        grids[0], grids[1] = grids[1], grids[0]
    return tuple(grids)


def cartesian_prod(*tensors: Any) -> Tensor:
    """Every combination of one element of each 1-d tensor, one a row."""
    items = spread(tensors)
    if len(items) == 1:
        return items[0]  # type: ignore[no-any-return]
    return apply(join.stack, ([ravel(x) for x in meshgrid(*items)], 1))  # type: ignore[no-any-return]


def combinations(input: Tensor, r: int = 2, with_replacement: bool = False) -> Tensor:
    """Every choice of `r` elements of a 1-d tensor, one a row."""
    if input.ndim != 1:
        raise RuntimeError(f"Expect a 1D vector, but got shape {list(input._data.shape)}")
    if r < 0:
        raise RuntimeError(f"Expect a non-negative number, but got {r}")
    if r == 0:
        return wrap(np.empty(0, input._data.dtype))  # type: ignore[no-any-return]
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    picks = np.array(list(choose(range(input.numel()), r)), np.int64).reshape(-1, r)
    return apply(take.take, (input, picks))  # type: ignore[no-any-return]
