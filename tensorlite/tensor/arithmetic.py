"""`add` and `sub` with torch's `alpha`: the ops themselves are plain sums and differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd.inplace import apply_inplace
from ..autograd.record import apply
from ..ops import basic
from .methods import write_out
from .tensor import Tensor


def _scaled(y: Any, alpha: Any, x: Any) -> Any:
    """`alpha * y`. Raises RuntimeError for a fractional alpha between integer tensors, and a boolean alpha between others."""
    if isinstance(alpha, Tensor):
        alpha = alpha.item()
    if alpha == 1:
        return y
    kinds = [v.dtype.dtype.kind if isinstance(v, Tensor) else np.asarray(v).dtype.kind for v in (x, y)]
    if all(k in "biu" for k in kinds) and isinstance(alpha, float):
        raise RuntimeError("For integral input tensors, argument alpha must not be a floating point number.")
    if isinstance(alpha, bool) and any(k != "b" for k in kinds):
        raise RuntimeError("Boolean alpha only supported for Boolean results.")
    return apply(basic.mul, (y, alpha)) if isinstance(y, Tensor) else y * alpha


def _result(name: str, result: Any, out: Any, args: tuple[Any, ...]) -> Any:
    return result if out is None else write_out(name, result, out, args)


def add(input: Any, other: Any, *, alpha: Any = 1, out: Any = None) -> Any:
    """`input + alpha * other`, broadcast."""
    return _result("add", apply(basic.add, (input, _scaled(other, alpha, input))), out, (input, other))


def sub(input: Any, other: Any, *, alpha: Any = 1, out: Any = None) -> Any:
    """`input - alpha * other`, broadcast."""
    return _result("sub", apply(basic.sub, (input, _scaled(other, alpha, input))), out, (input, other))


def rsub(input: Any, other: Any, *, alpha: Any = 1, out: Any = None) -> Any:
    """`other - alpha * input`, broadcast."""
    return _result("rsub", apply(basic.sub, (other, _scaled(input, alpha, other))), out, (input, other))


def _inplace(op: Any) -> Callable[..., Any]:
    def method(self: Tensor, other: Any, *, alpha: Any = 1) -> Any:
        return apply_inplace(op, self, (_scaled(other, alpha, self),))

    method.__name__ = method.__qualname__ = op.name + "_"
    method.__doc__ = f"`{op.name}`, in place."
    return method


Tensor.add, Tensor.sub, Tensor.rsub = add, sub, rsub  # type: ignore[attr-defined]
Tensor.subtract = sub  # type: ignore[attr-defined]
Tensor.add_, Tensor.sub_ = _inplace(basic.add), _inplace(basic.sub)  # type: ignore[attr-defined]
Tensor.subtract_ = Tensor.sub_  # type: ignore[attr-defined]
subtract = sub
