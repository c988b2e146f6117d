"""Floating point operations of one op, from its name and the shapes of its tensor operands and its result.

A multiply and an add are two operations. Ops that only move data cost nothing; any other op costs one per entry of its
result, a reduction one per entry that it reads.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

Shape = tuple[int, ...]

_FREE_OPS = """
    view reshape transpose permute movedim swapaxes expand squeeze unsqueeze flatten unflatten getitem as_strided diagonal
    unfold clone detach cast cat concat stack split chunk unbind index_select gather embedding pad flip roll copy_slices
    split_with_sizes tensor_split stack movedim masked_select take take_along put_along im2col col2im constant_pad_nd
    setitem where contiguous view_as_real view_as_complex diag_embed put scatter tril triu masked_fill repeat
"""
_READING_OPS = (
    "sum mean prod max min amax amin var std norm sum_to_size argmax argmin any all vector_norm avg_pool max_pool"
)
_FREE = frozenset(_FREE_OPS.split())
_READS = frozenset(_READING_OPS.split())


def flops(op: str, operands: Sequence[Shape], result: Shape) -> int:
    """FLOPs of the forward of `op`; 0 for data movement."""
    if op in _FREE:
        return 0
    size = math.prod(result)
    if op in _TABLE and operands:
        return _TABLE[op](operands, result)
    if op in _READS and operands:
        return math.prod(operands[0])
    return size * _PER_ENTRY.get(op, 1)


_PER_ENTRY = {
    "softmax": 5,
    "log_softmax": 5,
    "layer_norm": 8,
    "rms_norm": 5,
    "standardize": 6,
    "gelu": 8,
    "silu": 4,
    "sigmoid": 3,
    "tanh": 4,
}


def _matmul(operands: Sequence[Shape], result: Shape) -> int:
    return 2 * math.prod(result) * (operands[0][-1] if operands[0] else 1)


def _linear(operands: Sequence[Shape], result: Shape) -> int:
    bias = math.prod(result) if len(operands) > 2 else 0
    return _matmul(operands, result) + bias


def _conv(operands: Sequence[Shape], result: Shape) -> int:
    taps = math.prod(operands[1][1:]) if len(operands) > 1 else 1
    bias = math.prod(result) if len(operands) > 2 else 0
    return 2 * math.prod(result) * taps + bias


def _attention(operands: Sequence[Shape], result: Shape) -> int:
    """q·kᵀ, softmax, and the mean of v: shapes (…, T, d), (…, S, d), (…, S, e)."""
    if len(operands) < 3 or min(map(len, operands[:3])) < 2:
        return math.prod(result)
    q, k, v = operands[:3]
    lead, length, source = math.prod(q[:-2]), q[-2], k[-2]
    return lead * length * source * (2 * q[-1] + 5 + 2 * v[-1])


def _loss(operands: Sequence[Shape], result: Shape) -> int:
    return 5 * math.prod(operands[0])


_TABLE: dict[str, Callable[[Sequence[Shape], Shape], int]] = {
    "matmul": _matmul,
    "mm": _matmul,
    "bmm": _matmul,
    "mv": _matmul,
    "dot": _matmul,
    "linear": _linear,
    "convolution": _conv,
    "scaled_dot_product_attention": _attention,
    "attention": _attention,
    "cross_entropy": _loss,
    "nll": _loss,
    "bce": _loss,
    "bce_logits": _loss,
    "huber": _loss,
    "smooth_l1": _loss,
}
