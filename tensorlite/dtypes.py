"""The data types, and the one place where types are promoted.

A `dtype` is a thin name over a NumPy dtype: `tensorlite.float32` prints like `torch.float32`, compares equal to `np.float32`,
and NumPy accepts it wherever it accepts a dtype. bfloat16 does not exist in NumPy, so it does not exist here; checkpoints
that hold it are widened to float32 when they are read.

Promotion follows torch: Python scalars and 0-d tensors are weak, they take part only when their *kind* (bool, integer,
floating, complex) is higher than that of the tensors with dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"  # quoted: numpy.typing takes longer to import than it is worth


class dtype:
    """A data type, such as `tensorlite.float32`."""

    __slots__ = ("__weakref__", "dtype", "name")

    def __init__(self, name: str, numpy_dtype: Any) -> None:
        self.name = name
        self.dtype: np.dtype[Any] = np.dtype(
            numpy_dtype
        )  # the attribute NumPy looks for when it is handed this object as a dtype

    @property
    def is_floating_point(self) -> bool:
        return bool(self.dtype.kind == "f")

    @property
    def is_complex(self) -> bool:
        return bool(self.dtype.kind == "c")

    @property
    def is_signed(self) -> bool:
        return self.dtype.kind in "ifc"

    @property
    def itemsize(self) -> int:
        return int(self.dtype.itemsize)

    def to_real(self) -> dtype:
        return from_numpy_dtype(np.empty(0, self.dtype).real.dtype)

    def to_complex(self) -> dtype:
        return from_numpy_dtype(np.result_type(self.dtype, np.complex64))

    def __repr__(self) -> str:
        return f"tensorlite.{self.name}"

    def __eq__(self, other: object) -> bool:
        if isinstance(other, dtype):
            return self is other
        try:
            return bool(self.dtype == other)
        except TypeError:
            return NotImplemented

    def __hash__(self) -> int:
        return hash(self.dtype)

    def __reduce__(self) -> str | tuple[Any, ...]:
        return (from_numpy_dtype, (self.dtype.name,))


# The short torch names (`float`, `int`, `bool`, `long`, `half`, …) shadow builtins, so only the package namespace has them.
float16 = dtype("float16", np.float16)
float32 = dtype("float32", np.float32)
float64 = dtype("float64", np.float64)
int8 = dtype("int8", np.int8)
int16 = dtype("int16", np.int16)
int32 = dtype("int32", np.int32)
int64 = dtype("int64", np.int64)
uint8 = dtype("uint8", np.uint8)
bool_ = dtype("bool", np.bool_)
complex64 = dtype("complex64", np.complex64)
complex128 = dtype("complex128", np.complex128)

ALL = (float16, float32, float64, int8, int16, int32, int64, uint8, bool_, complex64, complex128)
_BY_NUMPY = {d.dtype: d for d in ALL}
_KIND_ORDER = {"b": 0, "u": 1, "i": 1, "f": 2, "c": 3}

F32: np.dtype[Any] = np.dtype(np.float32)
F64: np.dtype[Any] = np.dtype(np.float64)
I64: np.dtype[Any] = np.dtype(np.int64)
BOOL: np.dtype[Any] = np.dtype(np.bool_)

_default: dtype = float32


def from_numpy_dtype(d: Any) -> dtype:
    """The tensorlite dtype of a NumPy dtype. Raises TypeError for types tensors cannot hold (str, object, datetime, …)."""
    if isinstance(d, dtype):
        return d
    native = np.dtype(d).newbyteorder("=")
    try:
        return _BY_NUMPY[native]
    except KeyError:
        raise TypeError(
            f"a tensor cannot hold values of dtype {native}; expected one of {', '.join(t.name for t in ALL)}; convert it first, as in array.astype(np.int64)"
        ) from None


_SCALAR_TYPES: dict[Any, np.dtype[Any]] = {
    bool: BOOL,
    int: I64,
    float: np.dtype(np.float64),
    complex: np.dtype(np.complex128),
}


def to_numpy_dtype(d: Any) -> np.dtype[Any]:
    """The NumPy dtype of anything that names a type: a tensorlite dtype, a NumPy dtype, a Python type (`float` is float64, as in torch)."""
    if isinstance(d, dtype):
        return d.dtype
    if isinstance(d, type) and d in _SCALAR_TYPES:
        return _SCALAR_TYPES[d]
    name = getattr(d, "__module__", None)
    if name == "torch" or str(d).startswith("torch."):
        raise TypeError(f"expected a tensorlite dtype, got {d}; use tensorlite.{str(d).rpartition('.')[2]}")
    return from_numpy_dtype(d).dtype


def set_default_dtype(d: dtype) -> None:
    """Set the floating type that new tensors get when none is named. Raises TypeError unless `d` is floating."""
    global _default
    d = from_numpy_dtype(d)
    if not d.is_floating_point:
        raise TypeError(f"only floating-point types are supported as the default type, got {d}")
    _default = d


def get_default_dtype() -> dtype:
    """The floating type that new tensors get when none is named; `tensorlite.float32` unless changed."""
    return _default


def default_complex() -> np.dtype[Any]:
    return np.dtype(np.complex128 if _default is float64 else np.complex64)


def default_for(value: Any) -> np.dtype[Any]:
    """The type torch gives a bare Python scalar."""
    if isinstance(value, bool):
        return BOOL
    if isinstance(value, int):
        return I64
    if isinstance(value, complex):
        return default_complex()
    return _default.dtype


def check_fits(values: Any, d: np.dtype[Any]) -> None:
    """Raises RuntimeError for Python numbers, or an array of them, that `d` cannot hold: integers beyond its range, or a complex number in a real type."""
    values = np.asarray(values)
    if not values.size or d.kind == "b" or values.dtype.kind == "b":
        return
    if values.dtype.kind == "c":
        fits = d.kind == "c" or not values.imag.any()
    elif d.kind in "fc":
        return
    else:
        info = np.iinfo(d)
        low, high = values.min(), values.max()
        fits = bool(
            low >= (info.min or -info.max) and high <= info.max
        )  # unsigned types take negative numbers modulo their range
    if not fits:
        raise RuntimeError(f"value cannot be converted to type {from_numpy_dtype(d).name} without overflow")


def result_dtype(operands: Sequence[Any]) -> np.dtype[Any]:
    """The common type of ndarrays and Python scalars, by torch's rules: dimensioned arrays first, then 0-d arrays, then scalars."""
    dimensioned: np.dtype[Any] | None = None
    zero_dim: np.dtype[Any] | None = None
    scalar: np.dtype[Any] | None = None
    for x in operands:
        if isinstance(x, np.ndarray):
            if x.ndim:
                dimensioned = x.dtype if dimensioned is None else promote(dimensioned, x.dtype)
            else:
                zero_dim = x.dtype if zero_dim is None else promote(zero_dim, x.dtype)
        else:
            d = default_for(x)
            scalar = d if scalar is None else np.promote_types(scalar, d)
    result: np.dtype[Any] | None = None
    for weaker in (dimensioned, zero_dim, scalar):
        if weaker is not None:
            result = weaker if result is None else _weak(result, weaker)
    if result is None:
        raise TypeError("result_dtype needs at least one operand")
    return result


def _weak(strong: np.dtype[Any], weak: np.dtype[Any]) -> np.dtype[Any]:
    """`strong`, unless the weak type is of a higher kind."""
    s, w = _KIND_ORDER[strong.kind], _KIND_ORDER[weak.kind]
    if w <= s:
        return strong
    if weak.kind == "c" and strong.kind == "f":  # complex keeps the precision of the real operand
        return np.result_type(strong, np.complex64)
    return weak


def promote(a: np.dtype[Any], b: np.dtype[Any]) -> np.dtype[Any]:
    """torch.promote_types: integers never widen a floating type."""
    if _KIND_ORDER[a.kind] == _KIND_ORDER[b.kind]:
        return np.promote_types(a, b)
    high, low = (a, b) if _KIND_ORDER[a.kind] > _KIND_ORDER[b.kind] else (b, a)
    if high.kind == "c" and low.kind == "f":
        return np.promote_types(high, np.result_type(low, np.complex64))
    return high
