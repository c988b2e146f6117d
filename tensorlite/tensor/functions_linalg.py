"""Products of matrices and vectors by torch's names, each a form of matmul."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..autograd.record import apply
from ..errors import check_dim, check_dims
from ..ops import linalg, reduce, solve
from . import functions_matrix as matrix
from .compose import Exports, composed
from .einsum import einsum as _einsum
from .tensor import Tensor

EXPORTS: Exports = {}
_export = composed(EXPORTS)
_function = composed(EXPORTS, method=False)
einsum = _function(_einsum)


def _matmul(x: Any, y: Any) -> Any:
    return apply(linalg.matmul, (x, y))


def _expect(name: str, condition: bool, message: str) -> None:
    if not condition:
        raise RuntimeError(f"{name}: {message}")


# -- products ----------------------------------------------------------------------------------------------------------


@_export
def mm(input: Tensor, mat2: Tensor) -> Any:
    """Product of two matrices."""
    if input.ndim != 2:
        raise RuntimeError("self must be a matrix")
    if mat2.ndim != 2:
        raise RuntimeError("mat2 must be a matrix")
    return _matmul(input, mat2)


@_export
def bmm(input: Tensor, mat2: Tensor) -> Any:
    """Products of two equally long batches of matrices, (B, n, k) and (B, k, m)."""
    for name, t in (("batch1", input), ("batch2", mat2)):
        if t.ndim != 3:
            raise RuntimeError(f"{name} must be a 3D tensor")
    if input.shape[0] != mat2.shape[0] or input.shape[2] != mat2.shape[1]:
        raise RuntimeError(
            f"Expected size for first two dimensions of batch2 tensor to be: [{input.shape[0]}, {input.shape[2]}] but got: [{mat2.shape[0]}, {mat2.shape[1]}]."
        )
    return _matmul(input, mat2)


@_export
def mv(input: Tensor, vec: Tensor) -> Any:
    """Product of a matrix and a vector."""
    _expect("vector + matrix @ vector expected, got", input.ndim == 2 and vec.ndim == 1, f"{input.ndim}, {vec.ndim}")
    return _matmul(input, vec)


@_export
def dot(input: Tensor, tensor: Tensor) -> Any:
    """Inner product of two vectors, without conjugation."""
    if input.ndim != 1 or tensor.ndim != 1:
        raise RuntimeError(f"1D tensors expected, but got {input.ndim}D and {tensor.ndim}D tensors")
    return _matmul(input, tensor)


@_export
def vdot(input: Tensor, other: Tensor) -> Any:
    """Inner product of two vectors, the first conjugated."""
    return dot(input.conj() if input.is_complex() else input, other)


@_export
def inner(input: Tensor, other: Tensor) -> Any:
    """Sums of products over the last dims of both; for 0-d tensors a product."""
    if input.ndim == 0 or other.ndim == 0:
        return input * other
    if input.shape[-1] != other.shape[-1]:
        raise RuntimeError(
            f"inner() the last dimension must match on both input tensors but got shapes {list(input.shape)} and {list(other.shape)}"
        )
    return tensordot(input, other, dims=([-1], [-1]))


@_export
def outer(input: Tensor, vec2: Tensor) -> Any:
    """All products of an element of one vector with one of the other."""
    if input.ndim != 1 or vec2.ndim != 1:
        raise RuntimeError(f"outer: Expected 1-D arguments, but got {input.ndim}-D and {vec2.ndim}-D")
    return input.reshape(-1, 1) * vec2


EXPORTS["ger"] = EXPORTS["outer"]


@_function
def tensordot(a: Tensor, b: Tensor, dims: Any = 2) -> Any:
    """Sum of products over pairs of dims: the last of `a` with the first of `b`, or those that two lists name."""
    if isinstance(dims, Tensor):
        dims = dims.tolist()
    if isinstance(dims, int):
        if dims < 0:
            raise RuntimeError(f"tensordot expects dims >= 0, but got dims={dims}")
        pairs = (tuple(range(a.ndim - dims, a.ndim)), tuple(range(dims)))
    else:
        pairs = (
            tuple(dims[0]) if hasattr(dims[0], "__iter__") else (dims[0],),
            tuple(dims[1]) if hasattr(dims[1], "__iter__") else (dims[1],),
        )
    if len(pairs[0]) != len(pairs[1]):
        raise RuntimeError("both dimension lists should have same length")
    da, db = check_dims(pairs[0], a.ndim), check_dims(pairs[1], b.ndim)
    for i, j in zip(da, db, strict=True):
        if a.shape[i] != b.shape[j] and 1 not in (a.shape[i], b.shape[j]):
            raise RuntimeError(
                f"contracted dimensions need to match, but first has size {a.shape[i]} in dim {i} and second has size {b.shape[j]} in dim {j}"
            )
    for i, j in zip(da, db, strict=True):
        if a.shape[i] != b.shape[j]:
            a, b = (a, b.sum(j, True, b.dtype)) if a.shape[i] == 1 else (a.sum(i, True, a.dtype), b)
    left = [i for i in range(a.ndim) if i not in da]
    right = [j for j in range(b.ndim) if j not in db]
    k = math.prod(a.shape[i] for i in da)
    shape = (*(a.shape[i] for i in left), *(b.shape[j] for j in right))
    rows = a.permute(*left, *da).reshape(math.prod(a.shape[i] for i in left), k) if a.ndim else a.reshape(1, 1)
    columns = b.permute(*db, *right).reshape(k, math.prod(b.shape[j] for j in right)) if b.ndim else b.reshape(1, 1)
    return _matmul(rows, columns).reshape(shape)


@_export
def kron(input: Tensor, other: Tensor) -> Any:
    """Kronecker product."""
    n = max(input.ndim, other.ndim)
    a = input.reshape((1,) * (n - input.ndim) + tuple(input.shape))
    b = other.reshape((1,) * (n - other.ndim) + tuple(other.shape))
    interleaved = a.reshape([s for m in a.shape for s in (m, 1)]) * b.reshape([s for m in b.shape for s in (1, m)])
    return interleaved.reshape([p * q for p, q in zip(a.shape, b.shape, strict=True)])


# -- products added to something ---------------------------------------------------------------------------------------


def _combine(input: Any, product: Any, beta: Any, alpha: Any) -> Any:
    if input._data.dtype.kind in "biu":
        beta, alpha = int(beta), int(alpha)
    scaled = product if alpha == 1 else product * alpha
    if beta == 0:  # NaN and inf in what is not used do not count
        return scaled.expand(np.broadcast_shapes(tuple(scaled.shape), tuple(input.shape)))
    out = (input if beta == 1 else input * beta) + scaled
    if out.shape != product.shape:
        raise RuntimeError(
            f"The expanded size of the tensor ({list(product.shape)}) must match the existing size ({list(input.shape)})"
        )
    return out.to(input.dtype) if input._data.dtype.kind in "biu" else out


@_export
def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Any:
    """`beta * input + alpha * (mat1 @ mat2)`."""
    return _combine(input, mm(mat1, mat2), beta, alpha)


@_export
def addmv(input: Tensor, mat: Tensor, vec: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Any:
    """`beta * input + alpha * (mat @ vec)`."""
    return _combine(input, mv(mat, vec), beta, alpha)


@_export
def addr(input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Any:
    """`beta * input + alpha * outer(vec1, vec2)`."""
    return _combine(input, outer(vec1, vec2), beta, alpha)


@_export
def baddbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Any:
    """`beta * input + alpha * bmm(batch1, batch2)`."""
    return _combine(input, bmm(batch1, batch2), beta, alpha)


@_export
def addbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Any:
    """`beta * input + alpha * bmm(batch1, batch2).sum(0)`."""
    return _combine(input, tensordot(batch1, batch2, dims=([0, 2], [0, 1])), beta, alpha)


# -- powers and chains -------------------------------------------------------------------------------------------------


@_export
def matrix_power(input: Tensor, n: int) -> Any:
    """Product of `n` copies of a square matrix, by repeated squaring; of its inverse if `n` is negative."""
    if input.ndim < 2:
        raise RuntimeError("linalg.matrix_power: The input tensor A must have at least 2 dimensions.")
    solve.square(input._data, "matrix_power")
    if n == 0:
        return (input * 0) + np.eye(input.shape[-1], dtype=input._data.dtype)
    base, n = (apply(solve.inv, (input,)), -n) if n < 0 else (input, n)
    result: Any = None
    while n:
        if n & 1:
            result = base if result is None else _matmul(result, base)
        n >>= 1
        base = _matmul(base, base) if n else base
    return result if result is not input else input.clone()


def multi_dot(tensors: Any) -> Any:
    """Product of a chain of matrices, in the order that takes the fewest multiplications; the ends may be vectors."""
    chain = list(tensors)
    if len(chain) < 2:
        raise RuntimeError("multi_dot(): expected at least 2 tensors but got " + str(len(chain)))
    first, last = chain[0].ndim == 1, chain[-1].ndim == 1
    if first:
        chain[0] = chain[0].unsqueeze(0)
    if last:
        chain[-1] = chain[-1].unsqueeze(1)
    out = _in_best_order(chain)
    if first:
        out = out.squeeze(0)
    return out.squeeze(-1) if last else out


def _in_best_order(chain: list[Any]) -> Any:
    """The dynamic programme over where to split (Cormen et al., Introduction to Algorithms, 15.2)."""
    sizes = [chain[0].shape[0], *(c.shape[1] for c in chain)]
    n = len(chain)
    cost = {(i, i): 0 for i in range(n)}
    split: dict[tuple[int, int], int] = {}
    for width in range(1, n):
        for i in range(n - width):
            j = i + width
            best = min((cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1], k) for k in range(i, j))
            cost[i, j], split[i, j] = best

    def product(i: int, j: int) -> Any:
        return chain[i] if i == j else mm(product(i, split[i, j]), product(split[i, j] + 1, j))

    return product(0, n - 1)


@_function
def chain_matmul(*matrices: Any) -> Any:
    """`linalg.multi_dot` of the arguments."""
    return multi_dot(matrices[0] if len(matrices) == 1 and isinstance(matrices[0], list | tuple) else matrices)


# -- distances and products of vectors ---------------------------------------------------------------------------------


@_export
def dist(input: Tensor, other: Tensor, p: Any = 2) -> Any:
    """The p-norm of the difference."""
    return apply(reduce.vector_norm, (input - other, float(p)))


@_function
def cdist(x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: Any = None) -> Any:
    """p-norm distances between the rows of (…, P, M) and of (…, R, M), as (…, P, R)."""
    _expect(
        "cdist",
        x1.ndim >= 2 and x2.ndim >= 2,
        f"X1 and X2 must have at least 2 dimensions, got {x1.ndim} and {x2.ndim}",
    )
    if x1.shape[-1] != x2.shape[-1]:
        raise RuntimeError(f"X1 and X2 must have the same number of columns. X1: {x1.shape[-1]} X2: {x2.shape[-1]}")
    if p < 0:
        raise RuntimeError("cdist only supports non-negative p values")
    difference = x1.unsqueeze(-2) - x2.unsqueeze(-3)
    return apply(reduce.vector_norm, (difference, float(p), -1)) if x1.shape[-1] else difference.sum(-1)


@_export
def cross(input: Tensor, other: Tensor, dim: Any = None) -> Any:
    """Cross product of 3-vectors along `dim` (the first dim of size 3 by default)."""
    if dim is None:
        shape = np.broadcast_shapes(tuple(input.shape), tuple(other.shape))
        if 3 not in shape:
            raise RuntimeError("no dimension of size 3 in input")
        dim = shape.index(3)
    return linalg_cross(input, other, dim)


def linalg_cross(input: Tensor, other: Tensor, dim: int = -1) -> Any:
    """Cross product of 3-vectors along `dim`."""
    if input.ndim != other.ndim:
        raise RuntimeError("linalg.cross: inputs must have the same number of dimensions.")
    d = check_dim(dim, input.ndim)
    if input.shape[d] != 3 or other.shape[d] != 3:
        raise RuntimeError(
            f"linalg.cross: inputs dimension {d} must have length 3. Got {input.shape[d]} and {other.shape[d]}"
        )

    def turned(x: Any, by: int) -> Any:
        at = (slice(None),) * d
        return np.concatenate([x[(*at, slice(by, None))], x[(*at, slice(None, by))]], d)

    return turned(input, 1) * turned(other, 2) - turned(input, 2) * turned(other, 1)


# -- the older names of what `linalg` has ------------------------------------------------------------------------------

_OLDER: dict[str, Any] = {
    "cholesky": matrix.torch_cholesky, "cholesky_inverse": matrix.cholesky_inverse, "det": matrix.det,
    "inverse": matrix.inv, "logdet": matrix.logdet, "lu_solve": matrix.torch_lu_solve, "norm": matrix.torch_norm, "pinverse": matrix.pinv,
    "qr": matrix.torch_qr, "slogdet": matrix.slogdet, "svd": matrix.torch_svd, "triangular_solve": matrix.triangular_solve,
}  # fmt: skip
for _name, _old in _OLDER.items():
    composed(EXPORTS, _name)(_old)
composed(EXPORTS, "lu_unpack", method=False)(matrix.lu_unpack)
