"""Sorting, unique values and positions: functions over the ops of `ops.sort`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.graph import wrap
from ..autograd.record import apply
from ..ops import sort as ops
from .compose import Exports, composed
from .tensor import Tensor

EXPORTS: Exports = {}
_export = composed(EXPORTS)


@_export
def msort(input: Tensor) -> Any:
    """`input` sorted along its first dim."""
    return apply(ops.sort, (input, 0))[0]


def _asked(found: Any, return_inverse: bool, return_counts: bool) -> Any:
    values, inverse, counts = found
    result = [values, *([inverse] if return_inverse else []), *([counts] if return_counts else [])]
    return tuple(result) if len(result) > 1 else values


@_export
def unique(
    input: Tensor, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False, dim: Any = None
) -> Any:
    """The distinct elements in order (or slices along `dim`), with the index of each element among them and their counts if asked for."""
    return _asked(apply(ops.unique_values, (input, dim)), return_inverse, return_counts)


@_export
def unique_consecutive(
    input: Tensor, return_inverse: bool = False, return_counts: bool = False, dim: Any = None
) -> Any:
    """`input` with each run of equal neighbours reduced to one."""
    return _asked(apply(ops.unique_runs, (input, dim)), return_inverse, return_counts)


@_export
def nonzero(input: Tensor, *, as_tuple: bool = False) -> Any:
    """The positions of what is not zero: a row of indices each, or with `as_tuple` one index tensor for each dim."""
    data = input._data
    if as_tuple:
        return tuple(wrap(i) for i in np.nonzero(data if data.ndim else data.reshape(1)))
    return wrap(np.argwhere(data))


@_export
def argwhere(input: Tensor) -> Any:
    """The positions of what is not zero, one row of indices each."""
    return wrap(np.argwhere(input._data))
