"""Making tensors: from data, filled, ranges, and like another."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np

from ..autograd.graph import wrap
from ..autograd.mode import mode
from ..dtypes import ALL, check_fits, default_complex, get_default_dtype, promote, to_numpy_dtype
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
    if isinstance(data, list | tuple):
        kinds = _kinds(data)
        wanted = wanted or _common_dtype(kinds)
        if any(issubclass(k, Tensor) for k in kinds if isinstance(k, type)):
            data = _unwrapped(data)
    try:
        array = np.asarray(data)
    except ValueError as error:
        raise ValueError(_ragged(data) or f"expected a sequence of equal length at every level: {error}") from None
    if array.dtype == np.uint64 or (array.dtype.kind == "O" and _all_ints(array)):
        if wanted is None or wanted.kind not in "fc":
            raise RuntimeError(f"Overflow when unpacking long long: an integer of {data!r:.60} does not fit into int64")
        array = array.astype(np.float64)
    if array.dtype.kind == "O":
        raise TypeError(
            f"new(): cannot make a tensor from {type(data).__name__}; expected numbers, sequences of numbers or an ndarray"
        )
    if array.dtype.kind in "USM":
        raise TypeError(f"new(): invalid data type 'str': cannot make a tensor from {data!r:.60}")
    if wanted is None:
        if array.dtype.kind == "f":
            wanted = get_default_dtype().dtype
        elif array.dtype.kind == "c":
            wanted = default_complex()
        elif array.dtype.kind in "iu":
            wanted = np.dtype(np.int64)
        else:
            wanted = array.dtype
    elif wanted != array.dtype:
        check_fits(array, wanted)
    return array.astype(wanted, copy=False)


def _all_ints(array: Any) -> bool:
    return all(isinstance(v, int) for v in array.flat)


def _kinds(data: Sequence[Any]) -> set[Any]:
    """What nested sequences hold: the types of numbers, tensors and arrays in them, and the dtypes of the latter two."""
    kinds: set[Any] = set(map(type, data))
    if kinds <= _PYTHON_NUMBERS:
        return kinds
    found: set[Any] = set()
    for d in data:
        if isinstance(d, list | tuple):
            found |= _kinds(d)
        else:
            found.add(type(d))
            if isinstance(d, np.ndarray | np.generic | Tensor):
                found.add(np.asarray(d._data if isinstance(d, Tensor) else d).dtype)
    return found


_PYTHON_NUMBERS = {bool, int, float, complex}


def _common_dtype(kinds: set[Any]) -> np.dtype[Any] | None:
    """torch's dtype of a sequence with tensors or NumPy values in it, which keep their own; None for Python numbers alone."""
    own = [k for k in kinds if isinstance(k, np.dtype)]
    if not own or any(k.newbyteorder("=") not in _HELD for k in own):
        return None
    python = {
        bool: np.dtype(np.bool_),
        int: np.dtype(np.int64),
        float: get_default_dtype().dtype,
        complex: default_complex(),
    }
    return reduce(promote, [*(k.newbyteorder("=") for k in own), *(d for k, d in python.items() if k in kinds)])


_HELD = frozenset(t.dtype for t in ALL)


def _is_sequence(data: Any) -> bool:
    return isinstance(data, list | tuple) or (isinstance(data, np.ndarray) and data.ndim > 0)


def _ragged(data: Any) -> str | None:
    """Where nested sequences are of unequal length, in torch's words; None where they hold numbers beside sequences."""
    lengths, first = [], data
    while _is_sequence(first):
        lengths.append(len(first))
        if not len(first):
            break
        first = first[0]
    level = [data]
    for dim, n in enumerate(lengths):
        if not all(map(_is_sequence, level)):
            return None
        wrong = next((len(s) for s in level if len(s) != n), None)
        if wrong is not None:
            return f"expected sequence of length {n} at dim {dim} (got {wrong})"
        level = [item for s in level for item in s]
    return None


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
    try:
        if len(args) == 1 and not hasattr(args[0], "__index__"):
            args = tuple(args[0])
        shape = tuple(a.__index__() for a in args)
    except (AttributeError, TypeError):
        got = ", ".join(type(a).__name__ for a in args)
        raise TypeError(f"a size must be given as ints or as one sequence of ints, got {got}") from None
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
        check_fits(value, d)
    return _finish(np.full(sizes((size,)), np.asarray(value).astype(d)), requires_grad)


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
    d = _like(input, dtype)
    value = fill_value.item() if isinstance(fill_value, Tensor) else fill_value
    check_fits(value, d)
    return _finish(np.full_like(input._data, np.asarray(value).astype(d), d), requires_grad)


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
