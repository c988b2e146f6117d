"""Comparisons, logic and bits: ops without a gradient; and `where`, which has one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..dtypes import check_fits
from .analytic import branch, real, state
from .table import Op, op

_NUMBERS = int | float | complex


def _comparison(name: str, compare: Callable[[Any, Any], Any], doc: str, ordered: bool = True) -> Op:
    def function(x: Any, y: Any) -> Any:
        if (
            ordered
            and not state.on
            and "c" in (getattr(x, "dtype", np.dtype(bool)).kind, getattr(y, "dtype", np.dtype(bool)).kind)
        ):
            raise RuntimeError(f'"{name}" not implemented for complex tensors; complex numbers have no order')
        a, b = (real(v) if isinstance(v, np.ndarray) and state.on else v for v in (x, y))
        return branch(compare(a, b))

    function.__name__ = name
    function.__doc__ = doc
    return op(promote="arith", inplace=True, numpy=compare)(function)


eq = _comparison("eq", np.equal, "Elementwise `x == y`.", ordered=False)
ne = _comparison("ne", np.not_equal, "Elementwise `x != y`.", ordered=False)
lt = _comparison("lt", np.less, "Elementwise `x < y`.")
le = _comparison("le", np.less_equal, "Elementwise `x <= y`.")
gt = _comparison("gt", np.greater, "Elementwise `x > y`.")
ge = _comparison("ge", np.greater_equal, "Elementwise `x >= y`.")


@op(promote="arith", over=("x", "y"), broadcasts=True, namespaces=())
def where(condition: Any, x: Any, y: Any) -> Any:
    """`x` where `condition` is true, else `y`; broadcast. The gradient goes only to the side that was chosen."""
    if condition.dtype != np.bool_:
        if condition.dtype != np.uint8:
            raise RuntimeError(
                f"where expected condition to be a boolean tensor, but got a tensor with dtype {condition.dtype}"
            )
        condition = condition.astype(bool)
    return np.where(condition, x, y)


where.check_number = lambda position, value, dtype: check_fits(value, dtype)
where.grad(x=lambda g, condition: np.where(condition, g, 0), y=lambda g, condition: np.where(condition, 0, g))


def _logical(name: str, function: Callable[..., Any], doc: str) -> Op:
    def binary(x: Any, y: Any) -> Any:
        return function(x, y)

    binary.__name__, binary.__doc__ = name, doc
    return op(inplace=True, numpy=function)(binary)


logical_and = _logical("logical_and", np.logical_and, "Elementwise `x and y`.")
logical_or = _logical("logical_or", np.logical_or, "Elementwise `x or y`.")
logical_xor = _logical("logical_xor", np.logical_xor, "Elementwise exclusive or.")


@op(inplace=True, numpy=np.logical_not)
def logical_not(x: Any) -> Any:
    """Elementwise `not x`."""
    return np.logical_not(x)


def _bitwise(name: str, function: Callable[..., Any], doc: str) -> Op:
    def binary(x: Any, y: Any) -> Any:
        if np.result_type(x, y).kind not in "biu":
            raise RuntimeError(f'"{name}" not implemented for floating point tensors; expected integers or booleans')
        return function(x, y)

    binary.__name__, binary.__doc__ = name, doc
    return op(promote="arith", inplace=True, numpy=function)(binary)


bitwise_and = _bitwise("bitwise_and", np.bitwise_and, "Elementwise bits of both.")
bitwise_or = _bitwise("bitwise_or", np.bitwise_or, "Elementwise bits of either.")
bitwise_xor = _bitwise("bitwise_xor", np.bitwise_xor, "Elementwise bits of one but not both.")
bitwise_left_shift = _bitwise("bitwise_left_shift", np.left_shift, "Elementwise `x << y`.")
bitwise_right_shift = _bitwise("bitwise_right_shift", np.right_shift, "Elementwise `x >> y`.")


@op(inplace=True, numpy=np.invert)
def bitwise_not(x: Any) -> Any:
    """Elementwise complement of the bits; `not` for booleans."""
    if x.dtype.kind not in "biu":
        raise RuntimeError('"bitwise_not" not implemented for floating point tensors; expected integers or booleans')
    return np.invert(x)
