"""NumPy functions on tensors: `np.exp(t)`, `np.where(c, t, 0)`, `np.sum(t, axis=0)` run the tensorlite op, and differentiate.

It is also what lets a gradient rule, written in plain NumPy, run on tensors when a backward pass is itself recorded.
A function that the op table does not have runs on the arrays, unless that would lose a gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd.graph import wrap
from ..autograd.mode import mode
from ..autograd.record import apply
from ..ops import load_all, shape
from ..ops.table import ALIASES, OPS, Op
from .tensor import Tensor


def _transpose(a: Any, axes: Any = None) -> Any:
    return apply(shape.permute, (a, tuple(range(a.ndim))[::-1] if axes is None else tuple(axes)))


def _broadcast_to(array: Any, shape_: Any, subok: bool = False) -> Any:
    return apply(shape.expand, (array, tuple(shape_) if hasattr(shape_, "__iter__") else (shape_,)))


def _cast_where(condition: Any, x: Any = None, y: Any = None) -> Any:
    if x is None and y is None:
        return _on_arrays(np.nonzero, (condition.detach(),), {})
    return apply(OPS["where"], (condition, x, y))


def _concatenate(arrays: Any, axis: Any = 0, **options: Any) -> Any:
    if options:
        return _on_arrays(np.concatenate, (arrays, axis), options)
    if axis is None:
        arrays, axis = [a.reshape(-1) for a in arrays], 0
    return apply(OPS["cat"], (arrays, axis))


def _expand_dims(a: Any, axis: Any) -> Any:
    axes = (axis,) if hasattr(axis, "__index__") else tuple(axis)
    for d in sorted(d % (a.ndim + len(axes)) for d in axes):
        a = apply(shape.unsqueeze, (a, d))
    return a


def _shape(a: Any) -> tuple[int, ...]:
    return tuple(a._data.shape)


_ADAPTED: dict[Any, Callable[..., Any]] = {
    np.transpose: _transpose,
    np.broadcast_to: _broadcast_to,
    np.where: _cast_where,
    np.shape: _shape,
    np.ndim: lambda a: a._data.ndim,
    np.size: lambda a, axis=None: a._data.size if axis is None else a._data.shape[axis],
    np.concatenate: _concatenate,
    np.expand_dims: _expand_dims,
    np.zeros_like: lambda a, *args, **kwargs: wrap(np.zeros_like(a._data, *args, **kwargs)),
    np.ones_like: lambda a, *args, **kwargs: wrap(np.ones_like(a._data, *args, **kwargs)),
    np.empty_like: lambda a, *args, **kwargs: wrap(np.empty_like(a._data, *args, **kwargs)),
    np.copy: lambda a, **_: apply(OPS["clone"], (a,)),
}
_BY_FUNCTION: dict[Any, Op] = {}
#: questions, whose answers have no gradient by nature: they may be asked of any tensor
_QUESTIONS = frozenset(
    {
        np.result_type,
        np.can_cast,
        np.shares_memory,
        np.may_share_memory,
        np.iscomplexobj,
        np.isrealobj,
        np.array_equal,
        np.allclose,
        np.nonzero,
        np.flatnonzero,
        np.argwhere,
        np.searchsorted,
        np.array_repr,
        np.array_str,
    }
)
#: functions whose parameters differ from those of their op, or whose axis may be left out
_BY_SIGNATURE = frozenset({np.cumsum, np.cumprod, np.clip})


def op_for(function: Any) -> Op | None:
    """The op that stands for a NumPy function, if there is one."""
    if not _BY_FUNCTION:
        load_all()
        for op in OPS.values():
            for f in op.numpy:
                _BY_FUNCTION[f] = op
    return _BY_FUNCTION.get(function)


def array_ufunc(self: Tensor, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
    """NumPy's hook for ufuncs."""
    out = kwargs.pop("out", None)
    if method == "__call__" and not kwargs:
        op = op_for(ufunc)
        if op is not None:
            result = apply(op, inputs)
        else:
            result = _on_arrays(ufunc, inputs, {})
    else:
        result = _on_arrays(getattr(ufunc, method), inputs, kwargs)
    if out is None:
        return result
    (target,) = out
    if isinstance(target, Tensor):
        return target.copy_(result)
    np.copyto(target, result._data if isinstance(result, Tensor) else result)
    return target


def array_function(self: Tensor, function: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """NumPy's hook for everything that is no ufunc."""
    target = kwargs.get("out")
    if isinstance(target, Tensor):  # written by copy_, which counts the change and records it
        return target.copy_(
            array_function(self, function, types, args, {k: v for k, v in kwargs.items() if k != "out"})
        )
    adapted = _ADAPTED.get(function)
    if adapted is not None:
        return adapted(*args, **kwargs)
    op = op_for(function)
    if op is not None and function not in _BY_SIGNATURE and all(k in op.params or k in ALIASES for k in kwargs):
        return apply(op, args, kwargs)
    return _on_arrays(function, args, kwargs)


def array(self: Tensor, dtype: Any = None, copy: bool | None = None) -> Any:
    """`np.asarray(t)`: the memory itself. Raises RuntimeError if the tensor requires grad."""
    data = self.numpy()
    if dtype is not None and data.dtype != dtype:
        if copy is False:
            raise ValueError(f"a tensor of dtype {data.dtype} cannot become an array of dtype {dtype} without a copy")
        return data.astype(dtype)
    return data.copy() if copy else data


def _on_arrays(function: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    if (
        mode.grad
        and function not in _QUESTIONS
        and any(t._rg for t in (*_tensors(args), *_tensors(list(kwargs.values()))))
    ):
        from .numpy_functions import FUNCTIONS

        if function in FUNCTIONS:
            return FUNCTIONS[function](*args, **kwargs)
        name = getattr(getattr(function, "__self__", function), "__name__", str(function))
        options = f" with {', '.join(kwargs)}" if kwargs else ""
        raise TypeError(
            f"np.{name}{options} has no gradient in tensorlite, but a tensor that requires grad was passed to it; detach() it first, or use the tensorlite function"
        )
    result = function(*_plain(args), **{k: _plain(v) for k, v in kwargs.items()})
    return _wrapped(result)


def _tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    return [t for v in value for t in _tensors(v)] if isinstance(value, list | tuple) else []


def _plain(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value._data
    return type(value)(_plain(v) for v in value) if type(value) in (list, tuple) else value


def _wrapped(result: Any) -> Any:
    if isinstance(result, np.ndarray | np.generic) and np.asarray(result).dtype.kind in "biufc":
        return wrap(np.asarray(result))
    if isinstance(result, tuple | list):  # a named tuple, such as that of np.linalg.eigh, stays one
        items = [_wrapped(r) for r in result]
        return type(result)(*items) if hasattr(result, "_fields") else type(result)(items)
    return result


Tensor.__array_ufunc__ = array_ufunc  # type: ignore[attr-defined]
Tensor.__array_function__ = array_function  # type: ignore[attr-defined]
Tensor.__array__ = array  # type: ignore[attr-defined]
