"""Affine and bilinear maps."""

from __future__ import annotations

from typing import Any

from ...autograd.record import apply
from ...ops import linear as ops
from ...ops.table import OPS
from ...tensor import Tensor


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`x wᵀ + b` for `input (*, in)`, `weight (out, in)` and `bias (out,)`."""
    return apply(ops.linear, (input, weight, bias))  # type: ignore[no-any-return]


def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`x1 w x2ᵀ + b` for `input1 (*, in1)`, `input2 (*, in2)` and `weight (out, in1, in2)`."""
    o, n, m = weight._data.shape
    for name, x, size in (("input1", input1, n), ("input2", input2, m)):
        if x._data.shape[-1] != size:
            raise RuntimeError(
                f"bilinear(): {name} size does not match weight size: got {x._data.shape[-1]} but expected {size}"
            )
    if input1._data.shape[:-1] != input2._data.shape[:-1]:
        raise RuntimeError(
            f"bilinear(): input batch dimensions do not match: got {list(input1._data.shape)} and {list(input2._data.shape)}"
        )
    a: Any = input1
    flat = weight.permute(1, 0, 2).reshape(n, o * m)
    left = OPS["matmul"](a, flat).reshape(*input1._data.shape[:-1], o, m)
    out = (left * input2.unsqueeze(-2)).sum(-1)
    return out if bias is None else out + bias  # type: ignore[no-any-return]
