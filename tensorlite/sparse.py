"""torch.sparse: products and sums of sparse tensors. The tensors themselves are made by `sparse_coo_tensor` and `Tensor.to_sparse`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .tensor import Tensor
from .tensor import functions_linalg as dense
from .tensor.sparse import SparseTensor, sparse_coo_tensor


def _expect_sparse(name: str, x: Any) -> None:
    if not isinstance(x, SparseTensor):
        raise TypeError(f"sparse.{name}() expected a sparse tensor, got {type(x).__name__}; make one with to_sparse()")


def mm(mat1: Tensor, mat2: Tensor) -> Tensor:
    """Product of two matrices of which one is sparse, `(n, k)` and `(k, m)`; sparse if both are."""
    if not isinstance(mat2, SparseTensor):
        _expect_sparse("mm", mat1)
    return dense.mm(mat1, mat2)  # type: ignore[no-any-return]


def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """`beta * input + alpha * (mat1 @ mat2)` with a sparse `mat1`."""
    _expect_sparse("addmm", mat1)
    return dense.addmm(input, mat1, mat2, beta=beta, alpha=alpha)  # type: ignore[no-any-return]


def sum(input: Tensor, dim: Any = None, dtype: Any = None) -> Tensor:
    """Sum over all elements, a dense tensor, or over some dims, a sparse one."""
    _expect_sparse("sum", input)
    return (input if dtype is None else input.to(dtype)).sum() if dim is None else input.sum(dim, False, dtype)  # type: ignore[no-any-return]


def FloatTensor(indices: Any, values: Any, size: Any = None) -> SparseTensor:
    """The legacy constructor of a sparse float32 tensor."""
    return sparse_coo_tensor(indices, values, size, dtype="float32")


__all__ = ["FloatTensor", "addmm", "mm", "sum"]


if not TYPE_CHECKING:  # a checker should not take any name for one that is here

    def __getattr__(name: str) -> Any:
        from .absent import error

        raise error(__name__, name)
