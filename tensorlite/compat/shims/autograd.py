"""torch.autograd's `Variable`, which has been the Tensor itself since torch 0.4."""

from __future__ import annotations

from typing import Any

from ...autograd import graph as _graph
from ...autograd.function import once_differentiable
from ...tensor import Tensor

__all__ = ["Variable", "once_differentiable"]


class _VariableType(type):
    def __instancecheck__(cls, obj: Any) -> bool:
        return isinstance(obj, Tensor)

    def __call__(cls, data: Tensor, requires_grad: bool = False, volatile: bool = False) -> Tensor:
        shared: Tensor = _graph.wrap(data._data)
        return shared.requires_grad_(requires_grad)


class Variable(metaclass=_VariableType):
    """`Variable(tensor, requires_grad=…)` is a tensor on the same memory, without history."""
