"""Making tensors: from data, filled, ranges, and like another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autograd.graph import wrap
from ..autograd.mode import mode
from ..dtypes import default_complex, get_default_dtype, to_numpy_dtype
from .device import device as device_type
from .size import Size
from .tensor import Tensor

Shape = int | Sequence[int]


def tensor(
    data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, pin_memory: bool = False
) -> Tensor:
    """A new tensor holding a copy of `data`: a number, nested sequences of numbers or tensors, or an ndarray."""
    check_device(device)
    array = _to_array(data, dtype)
    if isinstance(data, np.ndarray | Tensor) and (
        array is data or np.shares_memory(array, data._data if isinstance(data, Tensor) else data)
    ):
        array = array.copy()
    return _finish(array, requires_grad)


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """`data` as a tensor, without a copy where its memory can be shared; a tensor of the right dtype is returned as it is."""
    check_device(device)
    if isinstance(data, Tensor):
        return data if dtype is None or data.dtype == dtype else data.to(dtype)
    return _finish(_to_array(data, dtype), False)


asarray = as_tensor


def from_numpy(array: Any) -> Tensor:
    """A tensor that shares the memory of an ndarray. Raises TypeError for anything else, and for dtypes that tensors cannot hold."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(array).__name__})")
    to_numpy_dtype(array.dtype)
    if not array.dtype.isnative:
        raise TypeError(
            "given numpy array has byte order different from the native byte order. Conversion between byte orders is currently not supported."
        )
    return _finish(array, False)


def _to_array(data: Any, dtype: Any) -> Any:
    wanted = None if dtype is None else to_numpy_dtype(dtype)
    if isinstance(data, Tensor):
        return data._data if wanted is None else data._data.astype(wanted, copy=False)
    if isinstance(data, np.ndarray | np.generic):
        array = np.asarray(data)
        to_numpy_dtype(array.dtype)
        native = array.dtype.newbyteorder("=")
        return array.astype(wanted or native, copy=False)
    if isinstance(data, list | tuple) and _holds_tensors(data):
        data = _unwrapped(data)
    try:
        array = np.asarray(data)
    except ValueError as error:
        raise ValueError(f"expected a sequence of equal length at every level: {error}") from None
    if array.dtype.kind == "O":
        raise TypeError(
            f"new(): cannot make a tensor from {type(data).__name__}; expected numbers, sequences of numbers or an ndarray"
        )
    if array.dtype.kind in "USM":
        raise TypeError(f"new(): invalid data type 'str': cannot make a tensor from {data!r:.60}")
    if wanted is None:
        if array.dtype.kind == "f":
            # np.float64(1.) and arrays of it inside a list keep torch's rule: sequences of Python floats get the default dtype
            wanted = array.dtype if array.size and _first(data).__class__ is np.float64 else get_default_dtype().dtype
        elif array.dtype.kind == "c":
            wanted = default_complex()
        elif array.dtype.kind in "iu":
            wanted = np.dtype(np.int64)
        else:
            wanted = array.dtype
    return array.astype(wanted, copy=False)


def _first(data: Any) -> Any:
    while isinstance(data, list | tuple) and data:
        data = data[0]
    return data


def _holds_tensors(data: Any) -> bool:
    return any(isinstance(d, Tensor) or (isinstance(d, list | tuple) and _holds_tensors(d)) for d in data)


def _unwrapped(data: Any) -> Any:
    if isinstance(data, Tensor):
        return data._data.tolist() if data._data.ndim else data.item()
    return [_unwrapped(d) for d in data] if isinstance(data, list | tuple) else data


def check_device(device: Any) -> None:
    if device is not None:
        device_type(device)


def _finish(array: Any, requires_grad: bool) -> Tensor:
    t: Tensor = wrap(array)
    if mode.inference:
        t._inference = True
    if requires_grad:
        if t._data.dtype.kind not in "fc":
            raise RuntimeError("Only Tensors of floating point and complex dtype can require gradients")
        t.requires_grad = True
    return t


def sizes(args: tuple[Any, ...]) -> tuple[int, ...]:
    """A shape given as several ints or as one sequence. Raises RuntimeError for a negative size."""
    if len(args) == 1 and not hasattr(args[0], "__index__"):
        args = tuple(args[0])
    shape = tuple(a.__index__() for a in args)
    if any(s < 0 for s in shape):
        raise RuntimeError(f"Trying to create tensor with negative dimension {min(shape)}: {list(shape)}")
    return shape


def _dtype_or_default(d: Any) -> np.dtype[Any]:
    return get_default_dtype().dtype if d is None else to_numpy_dtype(d)


def zeros(
    *shape: Any,
    size: Any = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    layout: Any = None,
) -> Tensor:
    """A tensor of zeros."""
    check_device(device)
    return _finish(np.zeros(sizes(shape if size is None else (size,)), _dtype_or_default(dtype)), requires_grad)


def ones(
    *shape: Any,
    size: Any = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    layout: Any = None,
) -> Tensor:
    """A tensor of ones."""
    check_device(device)
    return _finish(np.ones(sizes(shape if size is None else (size,)), _dtype_or_default(dtype)), requires_grad)


def empty(
    *shape: Any,
    size: Any = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
    layout: Any = None,
) -> Tensor:
    """A tensor whose values are whatever the memory held."""
    check_device(device)
    return _finish(np.empty(sizes(shape if size is None else (size,)), _dtype_or_default(dtype)), requires_grad)


def full(size: Any, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor of one value; its dtype follows from the value unless given."""
    check_device(device)
    value = fill_value.item() if isinstance(fill_value, Tensor) else fill_value
    if dtype is None:
        d = _to_array(value, None).dtype
    else:
        d = to_numpy_dtype(dtype)
    return _finish(np.full(sizes((size,)), value, d), requires_grad)


def eye(n: int, m: int | None = None, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """The identity matrix, or its first `m` columns."""
    check_device(device)
    if n < 0 or (m or 0) < 0:
        raise RuntimeError(f"n must be greater or equal to 0, got {min(n, m or 0)}")
    return _finish(np.eye(n, m, dtype=_dtype_or_default(dtype)), requires_grad)


def arange(
    start: Any = 0,
    end: Any = None,
    step: Any = 1,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Values from `start` (0 if only one bound is given) up to, not including, `end`. Integers unless a bound is a float."""
    check_device(device)
    if end is None:
        start, end = 0, start
    start, end, step = (v.item() if isinstance(v, Tensor) else v for v in (start, end, step))
    if step == 0:
        raise RuntimeError("step must be nonzero")
    if (end - start) * step < 0:
        raise RuntimeError("upper bound and lower bound inconsistent with step sign")
    d = (
        to_numpy_dtype(dtype)
        if dtype is not None
        else get_default_dtype().dtype
        if any(isinstance(v, float) for v in (start, end, step))
        else np.dtype(np.int64)
    )
    return _finish(np.arange(start, end, step).astype(d, copy=False), requires_grad)


def linspace(
    start: Any, end: Any, steps: int, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """`steps` values evenly spaced from `start` to `end`, both included."""
    check_device(device)
    if steps < 0:
        raise RuntimeError("number of steps must be non-negative")
    return _finish(np.linspace(float(start), float(end), steps).astype(_dtype_or_default(dtype)), requires_grad)


def logspace(
    start: Any,
    end: Any,
    steps: int,
    base: float = 10.0,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """`base` to the power of `steps` values evenly spaced from `start` to `end`."""
    check_device(device)
    return _finish(
        np.power(float(base), np.linspace(float(start), float(end), steps)).astype(_dtype_or_default(dtype)),
        requires_grad,
    )


def zeros_like(
    input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, memory_format: Any = None
) -> Tensor:
    """Zeros with the shape and dtype of `input`."""
    return _finish(np.zeros_like(input._data, _like(input, dtype)), requires_grad)


def ones_like(
    input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, memory_format: Any = None
) -> Tensor:
    """Ones with the shape and dtype of `input`."""
    return _finish(np.ones_like(input._data, _like(input, dtype)), requires_grad)


def empty_like(
    input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, memory_format: Any = None
) -> Tensor:
    """Uninitialised memory with the shape and dtype of `input`."""
    return _finish(np.empty_like(input._data, _like(input, dtype)), requires_grad)


def full_like(
    input: Tensor,
    fill_value: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """One value with the shape and dtype of `input`."""
    return _finish(np.full_like(input._data, fill_value, _like(input, dtype)), requires_grad)


def _like(input: Tensor, d: Any) -> np.dtype[Any]:
    return input._data.dtype if d is None else to_numpy_dtype(d)


def legacy_tensor(*args: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """`Tensor(2, 3)` and `Tensor([1, 2])`, the constructor of old programs: sizes of an uninitialised tensor, or data."""
    check_device(device)
    if len(args) == 1 and not isinstance(args[0], int | Size):
        source = args[0]
        return tensor(source, dtype=_default_of(dtype)) if not isinstance(source, Tensor) else source.detach()
    return empty(*args, dtype=_default_of(dtype)) if args else empty(0, dtype=_default_of(dtype))


def _default_of(d: Any) -> Any:
    return get_default_dtype() if d is None else d
