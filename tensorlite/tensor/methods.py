"""Tensor methods that only call an op, derived from the op table; and the functions of the `tensorlite` namespace, derived the same way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..autograd.inplace import apply_inplace, check_castable, check_no_self_overlap
from ..autograd.record import apply
from ..ops.table import OPS, Op
from .tensor import Tensor


def method_of(op: Op) -> Callable[..., Any]:
    """`x.op(...)`."""

    def method(self: Tensor, *args: Any, **kwargs: Any) -> Any:
        return apply(op, (self, *args), kwargs)

    return _named(method, op, op.name)


def inplace_method_of(op: Op) -> Callable[..., Any]:
    """`x.op_(...)`."""

    def method(self: Tensor, *args: Any, **kwargs: Any) -> Any:
        return apply_inplace(op, self, args, kwargs)

    return _named(method, op, op.name + "_")


def function_of(op: Op) -> Callable[..., Any]:
    """`tensorlite.op(...)`, with torch's `out=`."""

    def function(*args: Any, out: Any = None, **kwargs: Any) -> Any:
        result = apply(op, args, kwargs)
        return result if out is None else write_out(op.name, result, out, args)

    return _named(function, op, op.name)


def write_out(name: str, result: Any, out: Any, args: Sequence[Any] = ()) -> Any:
    """Put a result into the tensor the caller gave as `out`.

    Raises RuntimeError if either requires grad, if `out` has another size or a lower kind of dtype, or if its memory overlaps an argument's.
    """
    if isinstance(out, tuple | list):
        return tuple(write_out(name, r, o, args) for r, o in zip(result, out, strict=True))
    if result._rg or out._rg:
        raise RuntimeError(
            f"{name}(): functions with out=... arguments don't support automatic differentiation, but one of the arguments requires grad."
        )
    check_castable(result._data.dtype, out._data.dtype)
    if out._data.shape != result._data.shape:
        if out._data.size:
            raise RuntimeError(f"{name}(): out has shape {list(out._data.shape)}, expected {list(result._data.shape)}")
        out._data = result._data.astype(out._data.dtype)
        return out
    check_no_self_overlap(out._data)
    for a in args:
        for t in a if isinstance(a, list | tuple) else (a,):
            same = (
                isinstance(t, Tensor)
                and t._data.shape == out._data.shape
                and t._data.ctypes.data == out._data.ctypes.data
            )
            if isinstance(t, Tensor) and not same and out._data.size and np.shares_memory(t._data, out._data):
                raise RuntimeError(
                    f"{name}(): unsupported operation: some elements of the input tensor and the written-to tensor refer to a single memory "
                    "location. Please clone() the tensor before performing the operation."
                )
    out._data[...] = result._data
    out.counter()[0] += 1
    return out


def _named(function: Any, op: Op, name: str) -> Callable[..., Any]:
    function.__name__ = name
    function.__qualname__ = name
    function.__doc__ = op.__doc__
    function.__module__ = "tensorlite"
    function.op = op
    named: Callable[..., Any] = function
    return named


def attach() -> dict[str, Callable[..., Any]]:
    """Give Tensor its derived methods; returns the functions of the `tensorlite` namespace by name."""
    functions: dict[str, Callable[..., Any]] = {}
    for op in OPS.values():
        if "torch" in op.namespaces:
            functions[op.name] = function_of(op)
        if "Tensor" in op.namespaces and not op.variadic and op.name not in Tensor.__dict__:
            setattr(Tensor, op.name, method_of(op))
        if op.inplace and op.name + "_" not in Tensor.__dict__:
            setattr(Tensor, op.name + "_", inplace_method_of(op))
    return functions
