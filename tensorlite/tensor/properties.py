"""Questions about tensors and dtypes: sizes, kinds, limits, promotion."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..dtypes import dtype, from_numpy_dtype, promote, result_dtype, to_numpy_dtype
from .device import strided
from .size import Size
from .tensor import Tensor


def is_tensor(obj: Any) -> bool:
    """Whether `obj` is a Tensor."""
    return isinstance(obj, Tensor)


def is_floating_point(input: Tensor) -> bool:
    """Whether the dtype is a real floating type."""
    return input._data.dtype.kind == "f"


def is_complex(input: Tensor) -> bool:
    """Whether the dtype is complex."""
    return input.dtype.is_complex


def is_nonzero(input: Tensor) -> bool:
    """Whether the one element is not zero."""
    return bool(input)


def numel(input: Tensor) -> int:
    """The number of elements."""
    return int(input._data.size)


def promote_types(type1: dtype, type2: dtype) -> dtype:
    """The dtype that two dtypes of equal standing have in common."""
    return from_numpy_dtype(promote(to_numpy_dtype(type1), to_numpy_dtype(type2)))


def result_type(tensor1: Any, tensor2: Any) -> dtype:
    """The dtype an arithmetic op of the two would have."""
    return from_numpy_dtype(result_dtype([v._data if isinstance(v, Tensor) else v for v in (tensor1, tensor2)]))


def can_cast(from_: dtype, to: dtype) -> bool:
    """Whether torch's casting rules let values of one dtype be written into another in place."""
    order = {"b": 0, "u": 1, "i": 1, "f": 2, "c": 3}
    a, b = to_numpy_dtype(from_), to_numpy_dtype(to)
    return order[a.kind] <= order[b.kind]


class finfo:
    """The limits of a floating dtype: `eps`, `max`, `min`, `tiny`, `resolution`, `bits`."""

    def __init__(self, type: Any = None) -> None:
        from ..dtypes import get_default_dtype

        d = get_default_dtype().dtype if type is None else to_numpy_dtype(type)
        if d.kind not in "fc":
            raise TypeError(f"torch.finfo() requires a floating point input type. Use torch.iinfo to handle '{d}'")
        info = np.finfo(d)
        self.bits = info.bits
        self.eps, self.max, self.min = float(info.eps), float(info.max), float(info.min)
        self.tiny = self.smallest_normal = float(info.smallest_normal)
        self.resolution = 10.0**-info.precision
        self.dtype = str(np.empty(0, d).real.dtype)

    def __repr__(self) -> str:
        return f"finfo(resolution={self.resolution:g}, min={self.min:g}, max={self.max:g}, eps={self.eps:g}, smallest_normal={self.tiny:g}, tiny={self.tiny:g}, dtype={self.dtype})"


class iinfo:
    """The limits of an integer dtype: `max`, `min`, `bits`."""

    def __init__(self, type: Any) -> None:
        d = to_numpy_dtype(type)
        if d.kind not in "iu":
            raise TypeError(f"torch.iinfo() requires an integer input type. Use torch.finfo to handle '{d}'")
        info = np.iinfo(d)
        self.bits, self.max, self.min, self.dtype = info.bits, int(info.max), int(info.min), str(d)

    def __repr__(self) -> str:
        return f"iinfo(min={self.min}, max={self.max}, dtype={self.dtype})"


# -- methods ----------------------------------------------------------------------------------------------------------


def _size(self: Tensor, dim: int | None = None) -> Any:
    """The shape, or one size of it."""
    from ..errors import check_dim

    return Size(self._data.shape) if dim is None else self._data.shape[check_dim(dim, self._data.ndim)]


def _stride(self: Tensor, dim: int | None = None) -> Any:
    """How many elements apart neighbours along each dim (or one of them) lie in memory."""
    from ..errors import check_dim

    data = self._data
    if data.size:
        steps = tuple(s // data.itemsize for s in data.strides)
    else:  # NumPy counts no steps where there is no element
        steps = tuple(math.prod(max(n, 1) for n in data.shape[d + 1 :]) for d in range(data.ndim))
    return steps if dim is None else steps[check_dim(dim, data.ndim)]


def _type(self: Tensor, dtype: Any = None, non_blocking: bool = False) -> Any:
    """The legacy name of the tensor's type, or the tensor converted to another."""
    from ..autograd.graph import type_name

    return type_name(self._data) if dtype is None else self.to(legacy_dtype(dtype))


def legacy_dtype(name: Any) -> Any:
    """The dtype of a legacy type, given by its class or its name ("torch.FloatTensor"); anything else is a dtype already."""
    if isinstance(name, str):
        from .legacy import DTYPES

        short = name.rpartition(".")[2]
        return DTYPES.get(short) or np.dtype(short)
    return getattr(name, "legacy_dtype", name)


def _cast_to(name: str) -> Any:
    def method(self: Tensor, memory_format: Any = None) -> Tensor:
        return self.to(name_dtype)

    name_dtype = np.dtype(name)
    method.__doc__ = f"The tensor as {name}."
    return method


def _new(self: Tensor, *args: Any, device: Any = None) -> Tensor:
    """The legacy constructor in the dtype of this tensor: sizes, or data."""
    from .creation import legacy_tensor

    return legacy_tensor(*args, dtype=self.dtype, device=device)


_METHODS: dict[str, Any] = {
    "new": _new,
    "size": _size,
    "stride": _stride,
    "dim": lambda self: self._data.ndim,
    "ndimension": lambda self: self._data.ndim,
    "numel": numel,
    "nelement": numel,
    "element_size": lambda self: self._data.itemsize,
    "data_ptr": lambda self: self._data.ctypes.data,
    "storage_offset": lambda self: (
        0
        if self._base is None
        else (self._data.ctypes.data - self._base._data.ctypes.data) // max(self._data.itemsize, 1)
    ),
    "is_contiguous": lambda self, memory_format=None: bool(self._data.flags.c_contiguous),
    "is_floating_point": is_floating_point,
    "is_complex": is_complex,
    "is_nonzero": is_nonzero,
    "is_signed": lambda self: self._data.dtype.kind in "ifc",
    "is_inference": lambda self: self._inference,
    "is_same_size": lambda self, other: self._data.shape == other._data.shape,
    "get_device": lambda self: -1,
    "cpu": lambda self, memory_format=None: self,
    "type": _type,
    "type_as": lambda self, other: self.to(other._data.dtype),
    "float": _cast_to("float32"),
    "double": _cast_to("float64"),
    "half": _cast_to("float16"),
    "long": _cast_to("int64"),
    "int": _cast_to("int32"),
    "short": _cast_to("int16"),
    "char": _cast_to("int8"),
    "byte": _cast_to("uint8"),
    "bool": _cast_to("bool"),
    "cfloat": _cast_to("complex64"),
    "cdouble": _cast_to("complex128"),
    "pin_memory": lambda self: self,
    "is_pinned": lambda self: False,
    "share_memory_": lambda self: self,
}
_DOCS = {
    "dim": "The number of dims.",
    "ndimension": "The number of dims.",
    "element_size": "The bytes of one element.",
    "data_ptr": "The address of the first element.",
    "storage_offset": "How many elements after the start of the base's memory the first element lies.",
    "is_signed": "Whether the dtype has negative numbers.",
    "is_inference": "Whether the tensor was made in inference mode.",
    "is_same_size": "Whether the shapes are equal.",
    "get_device": "-1: the CPU.",
    "cpu": "The tensor itself.",
    "type_as": "The tensor with the dtype of another.",
    "pin_memory": "The tensor itself: there is no GPU to pin memory for.",
    "is_pinned": "False: there is no pinned memory.",
    "share_memory_": "The tensor itself: memory is not moved between processes.",
}
for _name, _method in _METHODS.items():
    if _method.__name__ == "<lambda>":
        _method.__name__, _method.__doc__ = _name, _DOCS.get(_name)
    setattr(Tensor, _name, _method)


def _no_cuda(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """There is no CUDA here: always raises RuntimeError."""
    raise RuntimeError(
        "tensorlite computes on the CPU only: .cuda() is not available; drop the call, or use .to('cpu')"
    )


Tensor.cuda = _no_cuda  # type: ignore[attr-defined]
for _flag in ("is_cuda", "is_mps", "is_sparse", "is_quantized", "is_meta"):
    setattr(Tensor, _flag, property(lambda self: False))
Tensor.is_cpu = property(lambda self: True)  # type: ignore[attr-defined]
Tensor.layout = property(lambda self: strided)  # type: ignore[attr-defined]
Tensor.output_nr = property(lambda self: self._out)  # type: ignore[attr-defined]
Tensor.is_view = property(lambda self: self._base is not None)  # type: ignore[attr-defined]
