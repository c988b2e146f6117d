"""`grad(..., is_grads_batched=True)`: one backward pass per cotangent of a batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..ops.join import stack
from .graph import Variable
from .record import apply

Gradients = tuple[Any, ...]


def batched(
    gradients: Callable[[list[Any], bool], Gradients], outputs: Sequence[Variable], batch: Sequence[Any]
) -> Gradients:
    """The gradients for each cotangent along the first dim of `batch`, stacked along a new first dim; `gradients` is told which is the last.

    Raises:
        RuntimeError: if a cotangent is missing, or its shape is not that of its output behind the batch dim.
    """
    sizes = set()
    for i, (t, g) in enumerate(zip(outputs, batch, strict=True)):
        if g is None or g._data.shape[1:] != t._data.shape or not g._data.ndim:
            got = None if g is None else list(g._data.shape)
            raise RuntimeError(
                "If `is_grads_batched=True`, we interpret the first dimension of each grad_output as the batch dimension. The sizes of the "
                "remaining dimensions are expected to match the shape of corresponding output, but a mismatch was detected: "
                f"grad_output[{i}] has a shape of {got} and output[{i}] has a shape of {list(t._data.shape)}."
            )
        sizes.add(g._data.shape[0])
    if len(sizes) != 1 or 0 in sizes:
        raise RuntimeError(f"is_grads_batched=True needs batches of one size, at least 1, got sizes {sorted(sizes)}")
    n = sizes.pop()
    rows = [gradients([None if g is None else g[b] for g in batch], b == n - 1) for b in range(n)]
    return tuple(
        None if any(g is None for g in column) else apply(stack, (list(column), 0))
        for column in zip(*rows, strict=True)
    )
