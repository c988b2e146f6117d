"""In-place methods that are not the in-place form of one op: those that change the shape of a tensor, or what memory it looks at, and those
of composed functions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd.graph import Variable
from ..autograd.inplace import apply_inplace, check_recorded, forget_views, reshape_inplace
from ..autograd.mode import mode
from ..dtypes import from_numpy_dtype
from ..errors import check_dim
from ..ops import basic, shape
from ..ops import index as ix
from . import functions_linalg, functions_reduce
from .tensor import Tensor

# -- other shapes of the same memory --------------------------------------------------------------------------------------


def unsqueeze_(self: Tensor, dim: int) -> Tensor:
    """Insert a dim of size 1, in place."""
    before = self._data.shape
    return reshape_inplace(shape.unsqueeze, self, (dim,), shape.reshape, (before,))  # type: ignore[no-any-return]


def squeeze_(self: Tensor, dim: Any = None) -> Tensor:
    """Drop the dims of size 1, or some of them, in place."""
    before = self._data.shape
    return reshape_inplace(shape.squeeze, self, (dim,), shape.reshape, (before,))  # type: ignore[no-any-return]


def transpose_(self: Tensor, dim0: int, dim1: int) -> Tensor:
    """Swap two dims, in place."""
    a, b = check_dim(dim0, self.ndim), check_dim(dim1, self.ndim)
    return reshape_inplace(shape.transpose, self, (a, b), shape.transpose, (a, b))  # type: ignore[no-any-return]


def swapaxes_(self: Tensor, axis0: int, axis1: int) -> Tensor:
    """Swap two dims, in place."""
    return transpose_(self, axis0, axis1)


def swapdims_(self: Tensor, dim0: int, dim1: int) -> Tensor:
    """Swap two dims, in place."""
    return transpose_(self, dim0, dim1)


def t_(self: Tensor) -> Tensor:
    """Transpose a matrix in place; 0-d and 1-d tensors stay as they are."""
    if self.ndim > 2:
        raise RuntimeError(f"t_() expects a tensor with <= 2 dimensions, but self is {self.ndim}D")
    return transpose_(self, 0, 1 if self.ndim == 2 else 0) if self.ndim else transpose_(self, 0, 0)


# -- other memory -----------------------------------------------------------------------------------------------------------


def set_(self: Tensor, source: Tensor | None = None) -> Tensor:
    """Let this tensor look at the memory of `source`, in its shape; without one, at none. Not for tensors that require grad."""
    if self.requires_grad and mode.grad:
        raise RuntimeError(
            "set_(): a leaf Variable that requires grad is being used in an in-place operation; detach() it"
        )
    if source is None:
        source = self.new_empty(0)
    if source._data.dtype != self._data.dtype:
        ours, theirs = (from_numpy_dtype(t._data.dtype).name for t in (self, source))
        raise RuntimeError(f"Could not set tensor of type {theirs} to a tensor of type {ours}")
    forget_views(self)
    self._data, self._vc = source._data, source.counter()
    return self


def resize_(self: Tensor, *sizes: Any, memory_format: Any = None) -> Tensor:
    """Give the tensor other sizes; the elements stay in the order in which they lie in memory.

    Where the memory suffices it is kept, and views of it go on sharing it; else the elements are copied, and new ones are undefined.

    Raises:
        RuntimeError: if the tensor requires grad.
    """
    wanted = tuple(sizes[0]) if len(sizes) == 1 and isinstance(sizes[0], list | tuple) else sizes
    if self.requires_grad:
        raise RuntimeError("cannot resize variables that require grad")
    if any(n < 0 for n in wanted):
        raise RuntimeError(f"resize_(): sizes must not be negative, got {list(wanted)}")
    if wanted == self._data.shape:
        return self
    n = math.prod(wanted)
    memory = _memory_from(self._data)
    if memory.size < n:
        memory = np.concatenate((memory, np.empty(n - memory.size, memory.dtype)))
    forget_views(self)
    self._data = memory[:n].reshape(wanted)
    return self


def _memory_from(data: Any) -> Any:
    """All memory from the first element of an array on, in one dim: to the end of the array that owns it, where it is of one piece."""
    owner = data.base
    if isinstance(owner, np.ndarray) and owner.dtype == data.dtype and owner.flags.c_contiguous:
        start = (data.ctypes.data - owner.ctypes.data) // data.itemsize
        return owner.reshape(-1)[start:]
    return data.ravel(order="K")


def resize_as_(self: Tensor, the_template: Tensor, memory_format: Any = None) -> Tensor:
    """`resize_` to the sizes of another tensor."""
    return resize_(self, tuple(the_template._data.shape))


# -- composed functions -----------------------------------------------------------------------------------------------------


def floor_divide_(self: Tensor, other: Any) -> Tensor:
    """`floor_divide`, in place."""
    return apply_inplace(basic.div, self, (other, "floor"))  # type: ignore[no-any-return]


def true_divide_(self: Tensor, other: Any) -> Tensor:
    """`div`, in place. Raises RuntimeError for integers, which would have to become fractions."""
    return apply_inplace(basic.div, self, (other,))  # type: ignore[no-any-return]


def float_power_(self: Tensor, exponent: Any) -> Tensor:
    """`float_power`, in place. Raises RuntimeError unless the tensor has the dtype of the result, float64 or complex128."""
    kinds = [v._data.dtype.kind if isinstance(v, Tensor) else np.asarray(v).dtype.kind for v in (self, exponent)]
    wanted = np.dtype(np.complex128 if "c" in kinds else np.float64)
    if self._data.dtype != wanted:
        ours, needed = (from_numpy_dtype(d).name for d in (self._data.dtype, wanted))
        raise RuntimeError(
            f"the base given to float_power_ has dtype {ours} but the operation's result requires dtype {needed}"
        )
    return apply_inplace(basic.pow, self, (exponent,))  # type: ignore[no-any-return]


def _composed(name: str, function: Callable[..., Any]) -> Callable[..., Tensor]:
    """The in-place form of a function that is composed of ops: it computes on a copy, and what comes out is written back."""

    def method(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        recorded = mode.grad and any(isinstance(a, Variable) and a._rg for a in (self, *args, *kwargs.values()))
        if recorded:
            check_recorded(self)
        result = function(self.clone() if recorded else self, *args, **kwargs)
        if result._data.shape != self._data.shape:
            raise RuntimeError(
                f"Bad in-place call: input tensor size {list(self._data.shape)} and output tensor size {list(result._data.shape)} should match"
            )
        return apply_inplace(ix.setitem, self, (..., result))  # type: ignore[no-any-return]

    method.__name__ = method.__qualname__ = name + "_"
    method.__doc__ = f"`{name}`, in place."
    return method


_COMPOSED = {
    name: getattr(module, name)
    for module, names in (
        (functions_linalg, ("addbmm", "addmm", "addmv", "addr", "baddbmm")),
        (functions_reduce, ("renorm",)),
    )
    for name in names
}
EXPORTS: dict[str, tuple[Callable[..., Any], bool]] = {
    **{
        f.__name__: (f, True)
        for f in (
            float_power_, floor_divide_, resize_, resize_as_, set_, squeeze_, swapaxes_, swapdims_, t_, transpose_, true_divide_, unsqueeze_,
        )
    },
    **{f"{name}_": (_composed(name, function), True) for name, function in _COMPOSED.items()},
}  # fmt: skip
