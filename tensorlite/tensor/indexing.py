"""What may stand between the brackets of `x[...]`, turned into what NumPy understands."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.graph import Variable
from ..dtypes import from_numpy_dtype


def plain_index(key: Any) -> Any:
    """An index with tensors and lists in it turned into what NumPy understands."""
    if isinstance(key, tuple) or (isinstance(key, list) and len(key) < 32 and any(_is_index(k) for k in key)):
        return tuple([_index_item(k) for k in key])
    return _index_item(key)


def _is_index(k: Any) -> bool:
    """Whether an element of a list makes the list an index of several dims, as if it were a tuple: `x[[[0, 1], [1, 2]]]`."""
    return k is None or k is Ellipsis or isinstance(k, slice | list | tuple | range | Variable | np.ndarray)


_INDEX_TYPES = "tensors used as indices must be long, int, byte or bool tensors"


def _bound(v: Any) -> int | None:
    return v if v is None or type(v) is int else v.__index__()


def _index_item(k: Any) -> Any:
    if type(k) is int or k is None or k is Ellipsis:
        return k
    if type(k) is slice:
        return slice(_bound(k.start), _bound(k.stop), _bound(k.step))
    if isinstance(k, Variable):
        data = k._data
        if data.dtype.kind not in "biu":
            raise IndexError(f"{_INDEX_TYPES}, got {from_numpy_dtype(data.dtype)}")
        if data.dtype == np.uint8:
            return data.astype(bool)
        if data.ndim and data.dtype in (np.int8, np.int16):
            raise IndexError(f"{_INDEX_TYPES}, got {from_numpy_dtype(data.dtype)}; convert it with long()")
        return int(data) if data.ndim == 0 and data.dtype.kind in "iu" else data
    if isinstance(k, list | range):
        return np.asarray([_index_item(i) for i in k]) if len(k) else np.zeros(0, np.int64)
    if isinstance(k, np.bool_ | bool):
        return np.asarray(k)
    if isinstance(k, np.integer):
        return int(k)
    if isinstance(k, np.ndarray) and k.dtype == np.uint8:
        return k.astype(bool)
    return k
