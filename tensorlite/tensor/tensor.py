"""Tensor: thin methods over the op table.

Attributes and everything that is not an op are written out here. `operators` gives the class its operators; the methods that only call an op
are derived from the table by `methods.attach`.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..autograd.graph import Node, RemovableHandle, Variable, register_after, register_hook, wrap
from ..autograd.inplace import apply_inplace
from ..autograd.mode import mode
from ..autograd.record import apply, grad_fn, refresh
from ..dtypes import dtype, from_numpy_dtype, to_numpy_dtype
from ..ops import index
from ..ops.basic import cast
from ..ops.table import OPS, Op
from .device import cpu
from .device import device as device_type
from .indexing import plain_index
from .size import Size


class TensorType(type):
    """The class of Tensor: a method that is not there yet may be one that the remaining op families bring."""

    complete: ClassVar[Callable[[], None]] = staticmethod(lambda: None)

    def __getattr__(cls, name: str) -> Any:
        if not name.startswith("__"):
            TensorType.complete()
            with suppress(AttributeError):
                return super().__getattribute__(name)
        raise AttributeError(f"type object '{cls.__name__}' has no attribute '{name}'")

    def __dir__(cls) -> list[str]:
        TensorType.complete()
        return [*super().__dir__(), *(name for base in cls.__mro__ for name in base.__dict__)]


class Tensor(Variable, metaclass=TensorType):
    """A multi-dimensional array of one dtype that remembers how it was computed, so that gradients can be taken."""

    __array_priority__ = 1000

    def __new__(cls, *args: Any, **kwargs: Any) -> Tensor:
        if cls is Tensor:
            from .creation import legacy_tensor

            return legacy_tensor(*args, **kwargs)
        return super().__new__(cls)

    # -- what it is ---------------------------------------------------------------------------------------------------

    @property
    def shape(self) -> Size:
        """The sizes of the dims."""
        return Size(self._data.shape)

    @property
    def ndim(self) -> int:
        return self._data.ndim

    @property
    def dtype(self) -> dtype:
        return from_numpy_dtype(self._data.dtype)

    @property
    def device(self) -> device_type:
        return cpu

    @property
    def itemsize(self) -> int:
        return self._data.itemsize

    @property
    def nbytes(self) -> int:
        return self._data.nbytes

    @property
    def requires_grad(self) -> bool:
        """Whether ops on this tensor are recorded."""
        if self._base is not None:
            refresh(self)
        return self._rg

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if self._node is not None:
            if not value:
                raise RuntimeError(
                    "you can only change requires_grad flags of leaf variables. If you want to use a computed variable in a subgraph that doesn't require differentiation use var_no_grad = var.detach()."
                )
            return
        if value and self._data.dtype.kind not in "fc":
            raise RuntimeError("only Tensors of floating point dtype can require gradients")
        if value and self._inference and not mode.inference:
            raise RuntimeError("Setting requires_grad=True on inference tensor outside InferenceMode is not allowed.")
        self._rg = bool(value)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Set `requires_grad` and return the tensor."""
        self.requires_grad = requires_grad
        return self

    @property
    def is_leaf(self) -> bool:
        """Whether the user made this tensor, rather than a recorded op."""
        return grad_fn(self) is None

    @property
    def grad_fn(self) -> Node | None:
        """The node that made this tensor; None for a leaf."""
        return grad_fn(self)

    @property
    def grad(self) -> Any:
        """What backward passes have added up here; None before the first."""
        if self._grad is None and self._node is not None and not self._retained:
            import warnings

            warnings.warn(
                "The .grad attribute of a Tensor that is not a leaf Tensor is being accessed. Its .grad attribute won't be populated during "
                "autograd.backward(). If you indeed want the .grad field to be populated for a non-leaf Tensor, use .retain_grad() on the non-leaf Tensor.",
                UserWarning,
                stacklevel=2,
            )
        return self._grad

    @grad.setter
    def grad(self, value: Any) -> None:
        if value is not None:
            if not isinstance(value, Tensor):
                raise TypeError(
                    f"assigned grad expected to be a Tensor or None but got grad of type {type(value).__name__}"
                )
            if value is self:
                raise RuntimeError("can't assign Variable as its own grad")
            if value._data.shape != self._data.shape:
                raise RuntimeError(
                    f"assigned grad has data of a different size: got {list(value._data.shape)}, expected {list(self._data.shape)}"
                )
            if value._data.dtype != self._data.dtype:
                raise RuntimeError(
                    f"assigned grad has data of a different type: got {value.dtype}, expected {self.dtype}"
                )
        self._grad = value

    @grad.deleter
    def grad(self) -> None:
        self._grad = None

    @property
    def data(self) -> Tensor:
        """The same memory without history; changes made through it are not noticed by autograd."""
        t: Tensor = wrap(self._data)
        return t

    @data.setter
    def data(self, value: Tensor) -> None:
        if not isinstance(value, Tensor):
            raise TypeError(f"Variable data has to be a tensor, but got {type(value).__name__}")
        if self._rg and value._data.dtype.kind not in "fc":
            raise RuntimeError("data set to a tensor that requires gradients must be floating point or complex dtype")
        self._data = value._data

    @property
    def _version(self) -> int:
        """How often the memory was changed in place."""
        return 0 if self._vc is None else self._vc[0]

    # -- autograd -----------------------------------------------------------------------------------------------------

    def backward(
        self,
        gradient: Tensor | None = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        inputs: Sequence[Tensor] | Tensor | None = None,
    ) -> None:
        """Add the gradient of this tensor to `.grad` of the leaves it was computed from; see `autograd.backward`."""
        from ..autograd import backward

        backward(self, gradient, retain_graph, create_graph, inputs=inputs)

    def detach(self) -> Tensor:
        """The same memory, without history."""
        t: Tensor = wrap(self._data)
        t._vc = self.counter()
        if self._inference:
            t._inference = True
        return t

    def view(self, *size: Any, **named: Any) -> Tensor:
        """The same memory in another shape, or read as another dtype. Raises RuntimeError where that would need a copy."""
        given = size[0] if size else named.get("dtype")
        if isinstance(given, dtype):
            return apply(OPS["view_as_dtype"], (self, given.dtype))  # type: ignore[no-any-return]
        return apply(OPS["view"], (self, *size), named)  # type: ignore[no-any-return]

    def detach_(self) -> Tensor:
        """Forget the history."""
        if self._base is not None:
            raise RuntimeError("Can't detach views in-place. Use detach() instead.")
        self._node, self._out, self._rg = None, 0, False
        return self

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> RemovableHandle:
        """Call `hook(grad)` when the gradient of this tensor has been computed; a result other than None replaces it."""
        grad_fn(self)
        return register_hook(self, hook)

    def register_post_accumulate_grad_hook(self, hook: Callable[[Tensor], None]) -> RemovableHandle:
        """Call `hook(self)` when a backward pass has added to `.grad` of this leaf; RuntimeError for another tensor."""
        return register_after(self, hook)

    def retain_grad(self) -> None:
        """Keep `.grad` of this tensor although it is not a leaf."""
        node = grad_fn(self)
        if not self._rg:
            raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
        if node is not None and not self._retained:
            node.extra("retain", {})[self._out] = weakref.ref(self)
            self._retained = True

    @property
    def retains_grad(self) -> bool:
        return self._retained

    def to(
        self,
        *args: Any,
        dtype: Any = None,
        device: Any = None,
        non_blocking: bool = False,
        copy: bool = False,
        memory_format: Any = None,
    ) -> Tensor:
        """The tensor as another dtype, or like another tensor; itself if nothing changes. Devices other than the CPU raise RuntimeError."""
        for a in args:
            if isinstance(a, Tensor):
                dtype = a.dtype
            elif isinstance(a, str | device_type):
                device = a
            elif a is not None and not isinstance(a, bool):
                dtype = a
        if device is not None:
            device_type(device)
        target = self._data.dtype if dtype is None else to_numpy_dtype(dtype)
        if target != self._data.dtype:
            source = (
                self.detach() if target.kind not in "fc" and self.requires_grad else self
            )  # whole numbers have no gradient
            return apply(cast, (source, target))  # type: ignore[no-any-return]
        return apply(OPS["clone"], (self,)) if copy else self

    # -- values -------------------------------------------------------------------------------------------------------

    def numpy(self, *, force: bool = False) -> Any:
        """The values as an ndarray that shares the memory. Raises RuntimeError if the tensor requires grad; `force=True` detaches first."""
        if self.requires_grad and not force:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")
        return self._data

    def item(self) -> Any:
        """The value of a one-element tensor as a Python number."""
        if self._data.size != 1:
            raise RuntimeError(f"a Tensor with {self._data.size} elements cannot be converted to Scalar")
        return self._data.item()

    def tolist(self) -> Any:
        """The values as nested lists of Python numbers."""
        return self._data.tolist()

    def __bool__(self) -> bool:
        if self._data.size != 1:
            if self._data.size == 0:
                raise RuntimeError("Boolean value of Tensor with no values is ambiguous")
            raise RuntimeError("Boolean value of Tensor with more than one value is ambiguous")
        return bool(self._data.item())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __complex__(self) -> complex:
        return complex(self.item())

    def __index__(self) -> int:
        if self._data.dtype.kind not in "biu" or self._data.size != 1:
            raise TypeError("only integer tensors of a single element can be converted to an index")
        return int(self._data.item())

    def __len__(self) -> int:
        if self._data.ndim == 0:
            raise TypeError("len() of a 0-d tensor")
        return len(self._data)

    def __iter__(self) -> Iterator[Tensor]:
        if self._data.ndim == 0:
            raise TypeError("iteration over a 0-d tensor")
        return iter([self[i] for i in range(len(self._data))])

    def __contains__(self, item: Any) -> bool:
        return bool((self._data == (item._data if isinstance(item, Tensor) else item)).any())

    __hash__ = object.__hash__

    def __format__(self, spec: str) -> str:
        return (
            format(self.item(), spec)
            if self._data.ndim == 0 and (spec or type(self) is Tensor)
            else object.__format__(self, spec)
        )

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        from .printing import tensor_repr

        return tensor_repr(self)

    # -- indexing -----------------------------------------------------------------------------------------------------

    def __getitem__(self, key: Any) -> Any:
        return apply(index.getitem, (self, plain_index(key)))

    def __setitem__(self, key: Any, value: Any) -> None:
        key = plain_index(key)
        if not isinstance(value, Tensor):
            value = value if isinstance(value, int | float | complex) else self._assigned(value)
        elif value._data.dtype != self._data.dtype and value._rg:
            value = value.to(self._data.dtype)
        apply_inplace(index.setitem, self, (key, value))

    def _assigned(self, value: Any) -> Tensor:
        array = np.asarray(value)
        if array.dtype.kind not in "biufc":
            raise TypeError(
                f"can't assign a {type(value).__name__} to a {self.dtype} tensor; expected a number or a tensor"
            )
        return wrap(array)  # type: ignore[no-any-return]

    def __pos__(self) -> Tensor:
        return self

    # -- operators ----------------------------------------------------------------------------------------------------

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("__"):
            TensorType.complete()
            with suppress(AttributeError):
                return super().__getattribute__(name)
        from ..absent import reason

        why = None if name.startswith("_") else reason(f"torch.Tensor.{name}")
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'" + (f": {why}" if why else ""))

    if TYPE_CHECKING:
        # The operators, which the op table provides.
        def __add__(self, other: Any) -> Tensor: ...
        def __radd__(self, other: Any) -> Tensor: ...
        def __iadd__(self, other: Any) -> Tensor: ...
        def __sub__(self, other: Any) -> Tensor: ...
        def __rsub__(self, other: Any) -> Tensor: ...
        def __isub__(self, other: Any) -> Tensor: ...
        def __mul__(self, other: Any) -> Tensor: ...
        def __rmul__(self, other: Any) -> Tensor: ...
        def __imul__(self, other: Any) -> Tensor: ...
        def __truediv__(self, other: Any) -> Tensor: ...
        def __rtruediv__(self, other: Any) -> Tensor: ...
        def __itruediv__(self, other: Any) -> Tensor: ...
        def __floordiv__(self, other: Any) -> Tensor: ...
        def __mod__(self, other: Any) -> Tensor: ...
        def __pow__(self, other: Any) -> Tensor: ...
        def __rpow__(self, other: Any) -> Tensor: ...
        def __matmul__(self, other: Any) -> Tensor: ...
        def __rmatmul__(self, other: Any) -> Tensor: ...
        def __and__(self, other: Any) -> Tensor: ...
        def __or__(self, other: Any) -> Tensor: ...
        def __xor__(self, other: Any) -> Tensor: ...
        def __lt__(self, other: Any) -> Tensor: ...
        def __le__(self, other: Any) -> Tensor: ...
        def __gt__(self, other: Any) -> Tensor: ...
        def __ge__(self, other: Any) -> Tensor: ...
        def __eq__(self, other: object) -> Tensor: ...  # type: ignore[override]
        def __ne__(self, other: object) -> Tensor: ...  # type: ignore[override]
        def __neg__(self) -> Tensor: ...
        def __abs__(self) -> Tensor: ...
        def __invert__(self) -> Tensor: ...

    @staticmethod
    def __tensorlite_op__(op: Op, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return apply(op, args, kwargs)


Variable.tensor_type = Tensor
