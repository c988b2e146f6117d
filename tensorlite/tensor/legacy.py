"""torch.FloatTensor, LongTensor, … : the constructors of old programs, which fix the dtype of `Tensor(...)`."""

from __future__ import annotations

from typing import Any

from .. import dtypes
from .creation import legacy_tensor
from .tensor import Tensor


class _LegacyType(type):
    """Calling a legacy class gives a Tensor; a tensor is an instance of it if the dtype is the same."""

    legacy_dtype: dtypes.dtype

    def __instancecheck__(cls, obj: Any) -> bool:
        return isinstance(obj, Tensor) and obj.dtype is cls.legacy_dtype

    def __call__(cls, *args: Any, device: Any = None) -> Tensor:
        made = legacy_tensor(*args, dtype=cls.legacy_dtype, device=device)
        if made.dtype is not cls.legacy_dtype:
            raise TypeError(f"expected {cls.__name__} (got {made.dtype})")
        return made


def _legacy(name: str, d: dtypes.dtype) -> _LegacyType:
    doc = f"`{name}(2, 3)` and `{name}([1, 2])`: an uninitialised tensor of {d.name} with these sizes, or with these values."
    return _LegacyType(name, (), {"legacy_dtype": d, "__doc__": doc, "__module__": "tensorlite"})


FloatTensor = _legacy("FloatTensor", dtypes.float32)
DoubleTensor = _legacy("DoubleTensor", dtypes.float64)
HalfTensor = _legacy("HalfTensor", dtypes.float16)
LongTensor = _legacy("LongTensor", dtypes.int64)
IntTensor = _legacy("IntTensor", dtypes.int32)
ShortTensor = _legacy("ShortTensor", dtypes.int16)
CharTensor = _legacy("CharTensor", dtypes.int8)
ByteTensor = _legacy("ByteTensor", dtypes.uint8)
BoolTensor = _legacy("BoolTensor", dtypes.bool_)

#: By name, for `x.type("torch.FloatTensor")`.
DTYPES = {
    t.__name__: t.legacy_dtype
    for t in (
        FloatTensor,
        DoubleTensor,
        HalfTensor,
        LongTensor,
        IntTensor,
        ShortTensor,
        CharTensor,
        ByteTensor,
        BoolTensor,
    )
}
