"""The operators of Tensor: `x + y`, `x @ y`, `x < y`, `x += y`, and the parts of complex tensors."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd.graph import Node, next_ticket
from ..autograd.inplace import apply_inplace
from ..autograd.mode import mode
from ..autograd.record import apply, observers, record
from ..dtypes import F32, F64
from ..kernels.elementwise import LARGE, binary
from ..ops import basic, compare, linalg
from ..ops.table import OPS, Op
from .tensor import Tensor


def _operator(op: Op, swap: bool = False, *rest: Any) -> Callable[[Tensor, Any], Any]:
    """A binary operator in its general form; `rest` are further arguments of the op."""

    def method(self: Tensor, other: Any) -> Any:
        if not isinstance(other, _OPERANDS):
            return NotImplemented
        return apply(op, (other, self, *rest) if swap else (self, other, *rest))

    method.__name__ = f"__{'r' if swap else ''}{op.name}__"
    method.__doc__ = op.__doc__
    return method


_OPERANDS = (Tensor, int, float, complex, np.ndarray, np.generic)
_new = object.__new__


def _fast_operator(
    op: Op, compute: Callable[[Any, Any], Any], compute_large: Callable[[Any, Any], Any]
) -> Callable[[Tensor, Any], Any]:
    """An operator whose most common case, two float tensors of one dtype, is written out for speed; all else takes the general path.

    What is written out is `apply` for this case: nothing to bind, nothing to promote, no view to bring up to date.
    """
    rest = op.defaults
    fast_plans = op.fast_plans

    def method(self: Tensor, other: Any) -> Any:
        if not isinstance(other, Tensor):
            return apply(op, (self, other)) if isinstance(other, _OPERANDS) else NotImplemented
        a, b = self._data, other._data
        kind = a.dtype
        if (
            kind is not b.dtype
            or not (kind is F32 or kind is F64)
            or self._base is not None
            or other._base is not None
            or observers
        ):
            return apply(op, (self, other))
        try:
            out = compute(a, b) if a.size < LARGE else compute_large(a, b)
        except ValueError:
            return apply(op, (self, other))  # raises, in torch's words
        if type(out) is not np.ndarray:
            out = np.asarray(out)
        t = _new(Tensor)
        t._data = out
        if not mode.grad:
            t._inference = mode.inference
            return t
        mask = 1 if self._rg else 0
        if other._rg:
            mask += 2
        if not mask:
            return t
        if mode.careful or self._inference or other._inference or self._out or other._out:
            return record(op, mask, (self, other, *rest), [a, b, *rest], out, None)
        found = fast_plans[mask]
        if found is None:
            plan = op.plan(mask)
            found = fast_plans[mask] = (plan, tuple(s if isinstance(s, int) else s[0] - 2 for s in plan.saves))
        plan, saves = found
        left = self if self._node is None else self._node
        right = other if other._node is None else other._node
        node = _new(Node)
        node.plan = plan
        node.parents = (left, right) if mask == 3 else (left,) if mask == 1 else (right,)
        node.slots = None
        node.versions = None
        if saves:
            _fast_save(node, saves, self, other, rest)
        else:
            node.saved = ()
        node.shape = out.shape
        node.dtype = out.dtype
        node.seq = next_ticket()
        node.extras = None
        t._rg = True
        t._node = node
        return t

    method.__name__ = f"__{op.name}__"
    method.__doc__ = op.__doc__
    return method


def _fast_save(node: Node, saves: tuple[int, ...], left: Tensor, right: Tensor, rest: tuple[Any, ...]) -> None:
    """Fill `saved` and `versions`: sources 0 and 1 are the operands, -2 and -1 their shapes, more are the defaults."""
    values: list[Any] = []
    versions: list[tuple[int, list[int], int]] = []
    for i, s in enumerate(saves):
        if s > 1:
            values.append(rest[s - 2])
            continue
        v = left if s in (0, -2) else right
        if s < 0:
            values.append(v._data.shape)
            continue
        values.append(v._data)
        counter = v._vc or v.counter()
        versions.append((i, counter, counter[0]))
    node.saved = tuple(values)
    node.versions = versions or None


def _inplace_operator(op: Op, *rest: Any) -> Callable[[Tensor, Any], Any]:
    def method(self: Tensor, other: Any) -> Any:
        if not isinstance(other, _OPERANDS):
            return NotImplemented
        return apply_inplace(op, self, (other, *rest))

    return method


def _part(name: str) -> property:
    def get(self: Tensor) -> Any:
        return self if name == "real" and self._data.dtype.kind != "c" else apply(OPS[name], (self,))

    def put(self: Tensor, value: Any) -> None:
        get(self)[...] = value

    return property(get, put, doc=f"The {name} part of a complex tensor; a view.")


Tensor.real, Tensor.imag = _part("real"), _part("imag")  # type: ignore[attr-defined]

for _name, _op, _rest in (
    ("add", basic.add, ()),
    ("sub", basic.sub, ()),
    ("mul", basic.mul, ()),
    ("truediv", basic.div, ()),
    ("floordiv", basic.div, ("floor",)),
    ("mod", OPS["remainder"], ()),
    ("pow", basic.pow, ()),
    ("matmul", linalg.matmul, ()),
):
    setattr(Tensor, f"__{_name}__", _operator(_op, False, *_rest))
    setattr(Tensor, f"__r{_name}__", _operator(_op, True, *_rest))
    setattr(Tensor, f"__i{_name}__", _inplace_operator(_op, *_rest))
for _op, _compute, _compute_large in (
    (basic.add, operator.add, functools.partial(binary, np.add)),
    (basic.sub, operator.sub, functools.partial(binary, np.subtract)),
    (basic.mul, operator.mul, functools.partial(binary, np.multiply)),
    (linalg.matmul, linalg.product, linalg.product),
):
    setattr(Tensor, f"__{_op.name}__", _fast_operator(_op, _compute, _compute_large))
for _name, _op in {"eq": compare.eq, "ne": compare.ne, "lt": compare.lt, "le": compare.le, "gt": compare.gt, "ge": compare.ge,
                   "and": compare.bitwise_and, "or": compare.bitwise_or, "xor": compare.bitwise_xor,
                   "lshift": compare.bitwise_left_shift, "rshift": compare.bitwise_right_shift}.items():  # fmt: skip
    setattr(Tensor, f"__{_name}__", _operator(_op))
for _name in ("and", "or", "xor"):
    setattr(Tensor, f"__r{_name}__", _operator(OPS[f"bitwise_{_name}"], swap=True))
    setattr(Tensor, f"__i{_name}__", _inplace_operator(OPS[f"bitwise_{_name}"]))
for _name, _op in {"invert": compare.bitwise_not, "abs": OPS["abs"], "neg": basic.neg}.items():
    setattr(Tensor, f"__{_name}__", lambda self, _op=_op: apply(_op, (self,)))
