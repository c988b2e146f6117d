"""Copying, pickling, exchanging memory, and making tensors like another: methods that are neither ops nor attributes."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from ..autograd.graph import wrap
from ..dtypes import to_numpy_dtype
from .creation import check_device, sizes, tensor
from .tensor import Tensor


def _rebuild(cls: type[Tensor], data: Any, requires_grad: bool, attributes: dict[str, Any]) -> Tensor:
    t = object.__new__(cls)
    t._data = data
    t._rg = requires_grad
    t.__dict__.update(attributes)
    return t


_INTERNAL = frozenset(
    {
        "_data",
        "_rg",
        "_grad",
        "_node",
        "_out",
        "_vc",
        "_hooks",
        "_base",
        "_after",
        "_chain",
        "_epoch",
        "_undo",
        "_seen",
        "_view_kind",
        "_inference",
        "_retained",
    }
)


def _own(t: Tensor) -> dict[str, Any]:
    """The attributes that the user or a subclass put on the tensor."""
    return {k: v for k, v in t.__dict__.items() if k not in _INTERNAL}


def _reduce_ex(self: Tensor, protocol: Any) -> Any:
    if self._node is not None:
        raise RuntimeError(
            "only leaf tensors can be pickled: this one was computed and requires grad; detach() it first"
        )
    return _rebuild, (type(self), self._data, self._rg, _own(self))


def _copied(data: Any, memo: dict[Any, Any]) -> tuple[Any, list[int] | None]:
    """A copy of an array. Arrays that look at one memory give copies that look at one memory, with one version counter, as in torch.

    For that the whole memory is copied, if it is an array of the same dtype that is of one piece (and so not, say, a file that is mapped).
    """
    owner = data if data.base is None else data.base
    if type(owner) is not np.ndarray or owner.dtype != data.dtype or not owner.flags.forc or not owner.flags.owndata:
        return data.copy(order="K"), None
    found = memo.get(("memory", id(owner)))
    if found is None:
        found = memo["memory", id(owner)] = (
            owner.copy(order="K"),
            [0],
            owner,
        )  # holding the owner keeps its id its own
    memory, counter, _ = found
    offset = data.ctypes.data - owner.ctypes.data
    return np.ndarray(data.shape, data.dtype, memory, offset, data.strides), counter


def _deepcopy(self: Tensor, memo: dict[int, Any]) -> Tensor:
    if id(self) in memo:
        return memo[id(self)]  # type: ignore[no-any-return]
    if self.grad_fn is not None:
        raise RuntimeError(
            "Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the moment. "
            "If you were attempting to deepcopy a module, this may be because of a tensor computed in its constructor; detach() it there."
        )
    data, counter = _copied(self._data, memo)
    t = _rebuild(type(self), data, self._rg, copy.deepcopy(_own(self), memo))
    if counter is not None:
        t._vc = counter
    memo[id(self)] = t
    if self._grad is not None:
        t._grad = copy.deepcopy(self._grad, memo)
    return t


def _dlpack(self: Tensor, **kwargs: Any) -> Any:
    if self.requires_grad:
        raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
    return self._data.__dlpack__(**kwargs)


def _dlpack_device(self: Tensor) -> Any:
    return self._data.__dlpack_device__()


def from_dlpack(ext_tensor: Any) -> Tensor:
    """A tensor that shares the memory of another library's array, through the DLPack protocol."""
    array = np.from_dlpack(ext_tensor)
    to_numpy_dtype(array.dtype)
    return wrap(array)  # type: ignore[no-any-return]


def _new_filled(fill: Any) -> Any:
    def method(
        self: Tensor, *size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False, **ignored: Any
    ) -> Tensor:
        check_device(device)
        t: Tensor = wrap(fill(sizes(size), self._data.dtype if dtype is None else to_numpy_dtype(dtype)))
        return t.requires_grad_() if requires_grad else t

    method.__name__ = method.__qualname__ = f"new_{fill.__name__}"
    method.__doc__ = f"`{fill.__name__}(*size)` with this tensor's dtype."
    return method


def _new_full(
    self: Tensor, size: Any, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """A tensor of one value with this tensor's dtype."""
    check_device(device)
    t: Tensor = wrap(np.full(sizes((size,)), fill_value, self._data.dtype if dtype is None else to_numpy_dtype(dtype)))
    return t.requires_grad_() if requires_grad else t


def _new_tensor(
    self: Tensor, data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """A tensor of `data` with this tensor's dtype."""
    return tensor(data, dtype=self.dtype if dtype is None else dtype, device=device, requires_grad=requires_grad)


Tensor.__reduce_ex__ = _reduce_ex  # type: ignore[assignment]
Tensor.__deepcopy__ = _deepcopy  # type: ignore[attr-defined]
Tensor.__dlpack__ = _dlpack  # type: ignore[attr-defined]
Tensor.__dlpack_device__ = _dlpack_device  # type: ignore[attr-defined]
Tensor.new_zeros = _new_filled(np.zeros)  # type: ignore[attr-defined]
Tensor.new_ones = _new_filled(np.ones)  # type: ignore[attr-defined]
Tensor.new_empty = _new_filled(np.empty)  # type: ignore[attr-defined]
Tensor.new_full = _new_full  # type: ignore[attr-defined]
Tensor.new_tensor = _new_tensor  # type: ignore[attr-defined]
