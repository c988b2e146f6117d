"""Arithmetic, and the two ops that the engine itself needs: casting, and summing a gradient back to the shape of a broadcast input."""

from __future__ import annotations

from typing import Any

import numpy as np

from .analytic import conj
from .table import op, rest_argument, unchanged

# -- for the engine ---------------------------------------------------------------------------------------------------


@op(namespaces=(), quiet=True)
def cast(x: Any, dtype: Any) -> Any:
    """The values of `x` as another dtype."""
    if x.dtype.kind == "c" and np.dtype(dtype).kind not in "c":
        x = x.real
    return x.astype(dtype)


cast.grad(x=unchanged)  # the engine casts every gradient to the dtype of its input


@op(namespaces=("torch", "Tensor"), name="sum_to_size")
@rest_argument(1)
def sum_to_shape(x: Any, size: Any) -> Any:
    """`x` summed over the dims along which `size` would have to be broadcast to give the shape of `x`."""
    size = (int(size),) if hasattr(size, "__index__") else tuple(size)
    lead = x.ndim - len(size)
    if lead < 0 or any(s not in (1, n) for s, n in zip(size, x.shape[lead:], strict=True)):
        raise RuntimeError(f"size {{{list(size)}}} is not expandable to size {{{list(x.shape)}}}.")
    dims = tuple(range(lead)) + tuple(lead + i for i, s in enumerate(size) if s == 1 and x.shape[lead + i] != 1)
    target = np.int64 if x.dtype.kind in "bui" else x.dtype
    if not dims:
        return x.astype(target)
    return np.sum(x, axis=dims, keepdims=True, dtype=_accumulator(x)).astype(target, copy=False).reshape(size)


sum_to_shape.grad(x=lambda g, x_shape: np.broadcast_to(g, x_shape))


def _accumulator(x: Any) -> Any:
    """float64 for narrow floats: NumPy adds row after row along any axis but the last, and loses digits."""
    return np.float64 if x.dtype.kind == "f" and x.dtype.itemsize < 8 and x.ndim > 1 else None


# -- arithmetic -------------------------------------------------------------------------------------------------------
# g is the cotangent of the result; gradients of broadcast inputs are summed back by the engine.


@op(promote="arith", broadcasts=True, inplace=True, numpy=np.add, namespaces=())
def add(x: Any, y: Any) -> Any:
    """`x + y`, broadcast."""
    return x + y


add.grad(x=unchanged, y=unchanged)


@op(promote="arith", broadcasts=True, inplace=True, numpy=np.subtract, namespaces=())
def sub(x: Any, y: Any) -> Any:
    """`x - y`, broadcast. Raises RuntimeError for booleans, as torch does: use `logical_xor` or `~`."""
    if getattr(x, "dtype", None) == np.bool_ and getattr(y, "dtype", np.bool_) == np.bool_:
        raise RuntimeError(
            "Subtraction, the `-` operator, with two bool tensors is not supported. Use the `^` or `logical_xor()` operator instead."
        )
    return x - y


sub.grad(x=unchanged, y=lambda g: -g)


@op(promote="arith", broadcasts=True, inplace=True, numpy=np.multiply)
def mul(x: Any, y: Any) -> Any:
    """`x * y`, broadcast."""
    return x * y


mul.grad(x=lambda g, y: g * conj(y), y=lambda g, x: g * conj(x))


@op(promote="arith", broadcasts=True, inplace=True, quiet=True, numpy=(np.divide, np.true_divide))
def div(x: Any, y: Any, rounding_mode: Any = None) -> Any:
    """`x / y`, broadcast; integers give the default float. `rounding_mode` "trunc" or "floor" rounds, and then the gradient is zero."""
    if rounding_mode is None:
        if np.result_type(x, y).kind in "biu":
            from ..dtypes import get_default_dtype

            x, y = np.asarray(x, get_default_dtype().dtype), np.asarray(y, get_default_dtype().dtype)
        return x / y
    if rounding_mode == "floor":
        return _floor_divide(x, y)
    if rounding_mode == "trunc":
        if np.result_type(x, y).kind in "iu":
            q = np.floor_divide(x, y)
            return q + ((q < 0) & (q * y != x))
        return np.trunc(x / y)
    raise RuntimeError(f"div expected rounding_mode to be one of None, 'trunc', or 'floor' but found '{rounding_mode}'")


def _floor_divide(x: Any, y: Any) -> Any:
    if np.result_type(x, y).kind in "biu":
        if np.any(np.asarray(y) == 0):
            raise RuntimeError("ZeroDivisionError")
        return np.floor_divide(x, y)
    q = np.floor_divide(x, y)
    return np.where(np.asarray(y) == 0, x / y, q)  # torch divides by zero to inf, NumPy to nan


def _zero_or(rounding_mode: Any, g: Any, value: Any) -> Any:
    return value if rounding_mode is None else g * 0


div.grad(
    x=lambda g, y, rounding_mode: g / conj(y) if rounding_mode is None else g * 0,
    y=lambda g, x, y, rounding_mode: -g * conj(x / y / y) if rounding_mode is None else g * 0,
)


@op(promote="arith", inplace=True, numpy=np.negative, over=("x",))
def neg(x: Any) -> Any:
    """`-x`. Raises RuntimeError for booleans."""
    if x.dtype == np.bool_:
        raise RuntimeError(
            "Negation, the `-` operator, on a bool tensor is not supported. If you are trying to invert a mask, use the `~` operator instead."
        )
    return -x


neg.grad(x=lambda g: -g)


@op(promote="arith", broadcasts=True, inplace=True, quiet=True, numpy=np.power)
def pow(x: Any, exponent: Any) -> Any:
    """`x ** exponent`, broadcast. Small whole exponents are products (`np.power(x, 3)` is some 250 times slower than `x * x * x`)."""
    if isinstance(exponent, int | float) and getattr(x, "dtype", np.dtype(int)).kind in "fc":
        return _power_by_scalar(x, exponent)
    if np.result_type(x, exponent).kind in "iu" and np.any(np.asarray(exponent) < 0):
        return _integer_power(x, exponent)
    return np.power(x, exponent)


def _refuse_negative(position: int, exponent: Any, dtype: Any) -> None:
    """Unlike an exponent in a tensor, one in the program is known to make no sense for integers."""
    if position == 1 and exponent < 0:
        raise RuntimeError("Integers to negative integer powers are not allowed.")


pow.check_number = _refuse_negative


def _integer_power(x: Any, exponent: Any) -> Any:
    """C's integer power: a negative exponent truncates to 0, unless the base is 1 or -1."""
    x, exponent = np.broadcast_arrays(x, exponent)
    truncated = np.where(x == 1, 1, np.where(x == -1, 1 - 2 * (exponent % 2), 0))
    return np.where(exponent < 0, truncated, np.power(x, np.maximum(exponent, 0))).astype(x.dtype)


def _power_by_scalar(x: Any, n: float) -> Any:
    if n == 0.5:
        return np.sqrt(x)
    if n == 1:
        return x.copy()
    if n == 2:
        return x * x
    if n == 3:
        return x * x * x
    if n == 4:
        square = x * x
        return square * square
    return np.power(x, n)


def _power_grad_base(g: Any, x: Any, exponent: Any) -> Any:
    if isinstance(exponent, int | float):
        return g * 0 if exponent == 0 else g * conj(exponent * x ** (exponent - 1))
    return g * np.where(exponent == 0, 0, conj(exponent * x ** (exponent - 1)))


def _power_grad_exponent(g: Any, x: Any, exponent: Any, out: Any) -> Any:
    if isinstance(x, int | float | complex):
        import cmath
        import math

        if x == 0:
            return g * 0 if isinstance(exponent, complex) else np.where(exponent >= 0, 0, g * out * float("-inf"))
        return g * conj(
            out
            * (
                math.log(x)
                if not isinstance(x, complex) and x > 0
                else cmath.log(x)
                if isinstance(x, complex)
                else math.nan
            )
        )
    usable = (x == 0) & (exponent.real >= 0 if _is_complex(exponent) else exponent >= 0)
    return g * np.where(usable, 0, conj(out * np.log(np.where(usable, 1, x))))


def _is_complex(x: Any) -> bool:
    return bool(np.dtype(x.dtype).kind == "c")


pow.grad(x=_power_grad_base, exponent=_power_grad_exponent)
