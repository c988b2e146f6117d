"""Parameter and Buffer: tensors that a Module registers when they are assigned to one of its attributes."""

from __future__ import annotations

from typing import Any

from ..autograd.graph import wrap
from ..dtypes import get_default_dtype, to_numpy_dtype
from ..tensor import Tensor
from ..tensor.creation import empty


def _over(cls: type[Any], data: Any) -> Any:
    """An instance of `cls` that shares the memory of `data`."""
    if data is None:
        data = empty(0)
    if not isinstance(data, Tensor):
        raise TypeError(f"{cls.__name__}() expects a Tensor, got {type(data).__name__}; wrap it in tensor(...)")
    self = object.__new__(cls)
    self._data = data._data
    self._vc = data.counter()
    return self


class Parameter(Tensor):
    """A tensor to be learned: assigned to a Module's attribute it shows up in `parameters()`; it requires grad unless told otherwise."""

    def __new__(cls, data: Tensor | None = None, requires_grad: bool = True) -> Parameter:
        self: Parameter = _over(cls, data)
        if requires_grad:
            self.requires_grad = True
        return self

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        return "Parameter containing:\n" + super().__repr__()

    def __deepcopy__(self, memo: dict[int, Any]) -> Parameter:
        if id(self) not in memo:
            memo[id(self)] = _rebuild(type(self), self._data.copy(), self._rg)
        return memo[id(self)]  # type: ignore[no-any-return]

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self._data, self._rg))


class Buffer(Tensor):
    """A tensor that belongs to a Module but is not learned; `persistent=False` keeps it out of the state_dict."""

    persistent: bool

    def __new__(cls, data: Tensor | None = None, *, persistent: bool = True) -> Buffer:
        self: Buffer = _over(cls, data)
        self.persistent = persistent
        return self


def _rebuild(cls: Any, array: Any, requires_grad: bool) -> Any:
    if issubclass(cls, UninitializedParameter):
        return cls(requires_grad, dtype=array.dtype)
    return Parameter.__new__(cls, wrap(array), requires_grad)


class _Uninitialized:
    """Mixed into a tensor of a Lazy module, whose shape is not known before the first forward pass."""

    _data: Any

    def materialize(self, shape: Any, device: Any = None, dtype: Any = None) -> None:
        """Allocate memory of `shape`, and become an ordinary Parameter or Buffer."""
        kind = self._data.dtype if dtype is None else dtype
        self._data = empty(shape, dtype=kind)._data
        self.__class__ = self._becomes  # type: ignore[attr-defined]

    @property
    def shape(self) -> Any:
        raise RuntimeError(
            "Can't access the shape of an uninitialized parameter or buffer. This error usually happens in `load_state_dict` when trying to load "
            "an uninitialized parameter into an initialized one. Call `forward` to initialize the parameters before accessing their attributes."
        )


class UninitializedParameter(_Uninitialized, Parameter):
    """A Parameter whose shape is not known yet; `materialize(shape)` gives it one."""

    _becomes = Parameter

    def __new__(cls, requires_grad: bool = True, device: Any = None, dtype: Any = None) -> UninitializedParameter:
        kind = get_default_dtype().dtype if dtype is None else to_numpy_dtype(dtype)
        return super().__new__(cls, empty(0, dtype=kind), requires_grad)  # type: ignore[return-value]

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        return "<UninitializedParameter>"


class UninitializedBuffer(_Uninitialized, Buffer):
    """A Buffer whose shape is not known yet."""

    _becomes = Buffer

    def __new__(
        cls, requires_grad: bool = False, device: Any = None, dtype: Any = None, persistent: bool = True
    ) -> UninitializedBuffer:
        kind = get_default_dtype().dtype if dtype is None else to_numpy_dtype(dtype)
        return super().__new__(cls, empty(0, dtype=kind), persistent=persistent)  # type: ignore[return-value]

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        return "<UninitializedBuffer>"


def is_lazy(tensor: Any) -> bool:
    """Whether a parameter or buffer still waits for its shape."""
    return isinstance(tensor, _Uninitialized)
