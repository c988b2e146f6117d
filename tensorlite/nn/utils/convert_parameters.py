"""All parameters as one vector, and back."""

from __future__ import annotations

from collections.abc import Iterable

from ...autograd.inplace import bump
from ...ops.table import OPS
from ...tensor import Tensor


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """The parameters, flattened, one after the other; differentiable."""
    vector: Tensor = OPS["cat"]([p.reshape(-1) for p in parameters])
    return vector


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Copy the parts of a vector into the parameters. Raises TypeError for anything but a tensor, ValueError for the wrong length."""
    if not isinstance(vec, Tensor):
        raise TypeError(f"expected Tensor, but got: {type(vec).__name__}")
    items = list(parameters)
    needed = sum(p._data.size for p in items)
    if vec._data.size != needed:
        raise ValueError(
            f"expected a vector of {needed} elements, one for each of the parameters', got {vec._data.size}"
        )
    start = 0
    for p in items:
        n = p._data.size
        p._data[...] = vec._data[start : start + n].reshape(p._data.shape)
        bump(p)
        start += n
