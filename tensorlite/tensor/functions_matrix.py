"""Solving, factorising and measuring matrices: the functions of torch.linalg, over the ops of `ops.solve` and `ops.decompositions`."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..autograd.graph import wrap
from ..autograd.record import apply
from ..errors import check_dims
from ..ops import decompositions, reduce, solve
from ..ops.compare import where
from .tensor import Tensor

# -- norms -------------------------------------------------------------------------------------------------------------


def _as_dtype(x: Tensor, dtype: Any) -> Tensor:
    return x if dtype is None else x.to(dtype)


def vector_norm(x: Tensor, ord: Any = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """`(Σ |x|^ord)^(1/ord)` over `dim` (all elements by default)."""
    return apply(reduce.vector_norm, (_as_dtype(x, dtype), ord, dim, keepdim))


def matrix_norm(A: Tensor, ord: Any = "fro", dim: Any = (-2, -1), keepdim: bool = False, *, dtype: Any = None) -> Any:
    """Norm of the matrices in two dims: "fro", "nuc", or ±1, ±2, ±inf."""
    A = _as_dtype(A, dtype)
    if A.ndim < 2:
        raise RuntimeError(
            f"linalg.matrix_norm: The input tensor A must have at least 2 dimensions. Got a tensor with {A.ndim} dimensions."
        )
    dims = check_dims(dim, A.ndim)
    if len(dims) != 2:
        raise RuntimeError(f"linalg.matrix_norm: dim must be a 2-tuple. Got {dim}")
    if ord == "fro":
        return apply(reduce.vector_norm, (A, 2, dims, keepdim))
    if ord in ("nuc", 2, -2):
        values = svdvals(A.movedim(dims, (-2, -1)))
        result = values.sum(-1) if ord == "nuc" else values.amax(-1) if ord == 2 else values.amin(-1)
    elif ord in (1, -1, np.inf, -np.inf):
        row, column = dims if abs(ord) == 1 else dims[::-1]
        sums = apply(reduce.vector_norm, (A, 1, row))
        column -= column > row
        result = sums.amax(column) if ord > 0 else sums.amin(column)
    else:
        raise RuntimeError(f"linalg.matrix_norm: Order {ord} not supported.")
    if keepdim:
        for d in sorted(dims):
            result = result.unsqueeze(d)
    return result


def norm(A: Tensor, ord: Any = None, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """Vector norm, or matrix norm where `ord` is given and two dims are meant."""
    if ord is None:
        return vector_norm(A, 2, dim, keepdim, dtype=dtype)
    two = (dim is not None and hasattr(dim, "__len__") and len(dim) == 2) or (dim is None and A.ndim == 2)
    if dim is None and A.ndim not in (1, 2):
        raise RuntimeError(
            f"linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got {A.ndim}D."
        )
    if isinstance(ord, str) or two:
        return matrix_norm(A, ord, (-2, -1) if dim is None else dim, keepdim, dtype=dtype)
    return vector_norm(A, ord, dim, keepdim, dtype=dtype)


def torch_norm(input: Tensor, p: Any = "fro", dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Any:
    """The older `torch.norm`: a vector norm of all of `dim`, except for p "nuc"."""
    if p == "nuc":
        return matrix_norm(input, "nuc", (-2, -1) if dim is None else dim, keepdim, dtype=dtype)
    if isinstance(p, str) and p != "fro":
        raise RuntimeError(f"norm(): p must be a number, 'fro' or 'nuc', got '{p}'")
    return vector_norm(input, 2 if p in ("fro", None) else p, dim, keepdim, dtype=dtype)


def cond(A: Tensor, p: Any = None) -> Any:
    """Condition number: the norm of the matrix times that of its inverse."""
    if p in (None, 2, -2):
        values = svdvals(A)
        largest, smallest = values[..., 0], values[..., -1]
        return smallest / largest if p == -2 else largest / smallest
    return matrix_norm(A, p) * matrix_norm(inv(A), p)


# -- determinants and inverses -------------------------------------------------------------------------------------------


def inv(A: Tensor) -> Any:
    """The inverse of each square matrix. Raises RuntimeError if one is singular."""
    return apply(solve.inv, (A,))


class InvEx(NamedTuple):
    inverse: Any
    info: Any


def inv_ex(A: Tensor, *, check_errors: bool = False) -> Any:
    """(inverse, info), info being 0 where the inverse exists."""
    return InvEx(inv(A), wrap(np.zeros(A.shape[:-2], np.int32)))


def det(A: Tensor) -> Any:
    """The determinant of each square matrix."""
    return apply(solve.det, (A,))


def slogdet(A: Tensor) -> Any:
    """(sign, log |det|) of each square matrix."""
    return apply(solve.slogdet, (A,))


def logdet(A: Tensor) -> Any:
    """log det: NaN for a negative determinant, -inf for 0."""
    sign, log = slogdet(A)
    if A.is_complex():
        return sign.log() + log
    return apply(where, (wrap(sign._data < 0), float("nan"), log))


def pinv(A: Tensor, rcond: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None) -> Any:
    """Moore-Penrose inverse."""
    plain = [v._data if isinstance(v, Tensor) else v for v in (rcond if rtol is None else rtol, atol)]
    return apply(solve.pinv, (A, *plain, hermitian))


def matrix_rank(A: Tensor, tol: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None) -> Any:
    """How many singular values are above max(atol, rtol·σ₁)."""
    atol = tol if atol is None else atol
    plain = [v._data if isinstance(v, Tensor) else v for v in (rtol, atol)]
    data = A._data
    if data.size == 0:
        return wrap(np.zeros(data.shape[:-2], np.int64))
    s = np.abs(np.linalg.eigvalsh(data)) if hermitian else np.linalg.svd(data, compute_uv=False)
    return wrap((s > np.asarray(solve.cutoff(s, data, *plain))[..., None]).sum(-1))


# -- linear systems ------------------------------------------------------------------------------------------------------


def _is_vector(A: Tensor, B: Tensor) -> bool:
    return B.ndim == 1 or (B.ndim == A.ndim - 1 and tuple(B.shape) == tuple(A.shape[:-1]))


def solve_(A: Tensor, B: Tensor, *, left: bool = True) -> Any:
    """X with A X = B (X A = B if not `left`); `B` may be a batch of vectors."""
    if _is_vector(A, B):
        if not left:
            raise RuntimeError(
                "linalg.solve: Vector broadcasting of the left hand side is not supported for left=False. In this case linalg.solve is equivalent to B / A.squeeze(-1)"
            )
        return apply(solve.solve, (A, B.unsqueeze(-1))).squeeze(-1)
    if not left:
        return apply(solve.solve, (A.swapaxes(-1, -2), B.swapaxes(-1, -2))).swapaxes(-1, -2)
    return apply(solve.solve, (A, B))


class SolveEx(NamedTuple):
    result: Any
    info: Any


def solve_ex(A: Tensor, B: Tensor, *, left: bool = True, check_errors: bool = False) -> Any:
    """(solution, info), info being 0 where the system was solved."""
    return SolveEx(solve_(A, B, left=left), wrap(np.zeros(A.shape[:-2], np.int32)))


def solve_triangular(A: Tensor, B: Tensor, *, upper: bool, left: bool = True, unitriangular: bool = False) -> Any:
    """X with A X = B (X A = B if not `left`), of A only one triangle."""
    if left:
        return apply(solve.solve_triangular, (A, B, upper, unitriangular))
    return apply(solve.solve_triangular, (A.swapaxes(-1, -2), B.swapaxes(-1, -2), not upper, unitriangular)).swapaxes(
        -1, -2
    )


class TriangularSolve(NamedTuple):
    solution: Any
    cloned_coefficient: Any


def triangular_solve(
    b: Tensor, A: Tensor, upper: bool = True, transpose: bool = False, unitriangular: bool = False
) -> Any:
    """(X, A) with A X = b, or Aᵀ X = b; the older form of `solve_triangular`."""
    matrix, triangle = (A.swapaxes(-1, -2), not upper) if transpose else (A, upper)
    return TriangularSolve(apply(solve.solve_triangular, (matrix, b, triangle, unitriangular)), A.clone())


class LstSq(NamedTuple):
    solution: Any
    residuals: Any
    rank: Any
    singular_values: Any


def lstsq(A: Tensor, B: Tensor, rcond: Any = None, *, driver: Any = None) -> Any:
    """The least-squares solution of A X = B, of least norm, with residuals, rank and (for the SVD drivers) singular values."""
    vector = _is_vector(A, B)
    columns = B.unsqueeze(-1) if vector else B
    x = pinv(A, rcond) @ columns
    m, n = A.shape[-2:]
    rank = matrix_rank(A, rtol=rcond)
    empty = wrap(np.zeros(0, A._data.real.dtype))
    residuals = (x.real if A.is_complex() else x).reshape(-1)[:0]
    if m > n and bool((rank._data == n).all()) and driver != "gelsy":
        error = A @ x - columns
        residuals = (error * error.conj() if A.is_complex() else error * error).sum(-2)
        residuals = residuals.real if A.is_complex() else residuals
    values = svdvals(A.detach()) if driver in ("gelsd", "gelss") else empty
    known = rank if driver not in ("gels", None) else wrap(np.zeros(0, np.int64))
    return LstSq(x.squeeze(-1) if vector else x, residuals, known, values)


# -- decompositions ------------------------------------------------------------------------------------------------------


def cholesky(A: Tensor, *, upper: bool = False) -> Any:
    """L with L Lᴴ = A, or Lᴴ if `upper`."""
    return apply(decompositions.cholesky, (A, upper))


def torch_cholesky(input: Tensor, upper: bool = False) -> Any:
    """L with L Lᴴ = A, or Lᴴ if `upper`."""
    return apply(decompositions.cholesky, (input, upper))


class CholeskyEx(NamedTuple):
    L: Any
    info: Any


def cholesky_ex(A: Tensor, *, upper: bool = False, check_errors: bool = False) -> Any:
    """(L, info), info being 0 where the matrix is positive definite."""
    return CholeskyEx(cholesky(A, upper=upper), wrap(np.zeros(A.shape[:-2], np.int32)))


def _adjoint(x: Any) -> Any:
    return (x.conj() if x.is_complex() else x).swapaxes(-1, -2)


def cholesky_inverse(L: Tensor, upper: bool = False) -> Any:
    """The inverse of the matrix whose Cholesky factor is given."""
    eye = wrap(np.broadcast_to(np.eye(L.shape[-1], dtype=L._data.dtype), L._data.shape).copy())
    return apply(solve.cholesky_solve, (eye, L, upper))


def qr(A: Tensor, mode: str = "reduced") -> Any:
    """Q and R of each matrix; of a wide one R = [U | Qᴴ Y], where U is that of its leading square."""
    m, n = A.shape[-2:] if A.ndim > 1 else (0, 0)
    if mode == "r" or m >= n or not A.requires_grad:
        return apply(decompositions.qr, (A, mode))
    q, u = apply(decompositions.qr, (A[..., :m], mode))
    return decompositions.QR(q, np.concatenate([u, _adjoint(q) @ A[..., m:]], -1))


def torch_qr(input: Tensor, some: bool = True) -> Any:
    """Q and R; complete if not `some`."""
    return qr(input, "reduced" if some else "complete")


def eigh(A: Tensor, UPLO: str = "L") -> Any:
    """Eigenvalues in rising order and eigenvectors of each Hermitian matrix."""
    return apply(decompositions.eigh, (A, UPLO.upper()))


def eigvalsh(A: Tensor, UPLO: str = "L") -> Any:
    """Eigenvalues in rising order of each Hermitian matrix."""
    return apply(decompositions.eigvalsh, (A, UPLO.upper()))


def eig(A: Tensor) -> Any:
    """Complex eigenvalues and eigenvectors of each square matrix."""
    return apply(decompositions.eig, (A,))


def eigvals(A: Tensor) -> Any:
    """Complex eigenvalues of each square matrix."""
    return eig(A)[0]


def svd(A: Tensor, full_matrices: bool = True, *, driver: Any = None) -> Any:
    """U, singular values and Vᴴ of each matrix."""
    return apply(decompositions.svd, (A, full_matrices))


class TorchSVD(NamedTuple):
    U: Any
    S: Any
    V: Any


def torch_svd(input: Tensor, some: bool = True, compute_uv: bool = True) -> Any:
    """U, singular values and V (not Vᴴ) of each matrix."""
    if not compute_uv:
        m, n = input.shape[-2:]
        lead, dtype = input._data.shape[:-2], input._data.dtype
        return TorchSVD(wrap(np.zeros((*lead, m, m), dtype)), svdvals(input), wrap(np.zeros((*lead, n, n), dtype)))
    u, s, vh = svd(input, not some)
    return TorchSVD(u, s, _adjoint(vh))


def svdvals(A: Tensor, *, driver: Any = None) -> Any:
    """Singular values in falling order."""
    return apply(decompositions.svdvals, (A,))


def lu(A: Tensor, *, pivot: bool = True) -> Any:
    """P, L and U with P L U = A."""
    if not pivot:
        raise RuntimeError("linalg.lu: LU without pivoting is not implemented on the CPU")
    return apply(decompositions.lu, (A,))


class LUFactor(NamedTuple):
    LU: Any
    pivots: Any


def lu_factor(A: Tensor, *, pivot: bool = True) -> Any:
    """L and U packed in one matrix, and the row swaps, counted from 1."""
    if not pivot:
        raise RuntimeError("linalg.lu_factor: LU without pivoting is not implemented on the CPU")
    _, l, u = lu(A)
    pivots = decompositions.factor_with_pivots(A._data)[1]
    m, n = A.shape[-2:]
    k = min(m, n)
    strict = l * np.tri(m, k, -1, dtype=A._data.dtype)
    packed = strict + u if m == n else _packed(strict, u, m, n, k)
    return LUFactor(packed, wrap((pivots + 1).astype(np.int32)))


def _packed(strict: Any, u: Any, m: int, n: int, k: int) -> Any:
    if m > k:
        return np.concatenate([strict[..., :k, :] + u, strict[..., k:, :]], -2)
    return np.concatenate([strict + u[..., :, :k], u[..., :, k:]], -1)


class LUFactorEx(NamedTuple):
    LU: Any
    pivots: Any
    info: Any


def lu_factor_ex(A: Tensor, *, pivot: bool = True, check_errors: bool = False) -> Any:
    """(LU, pivots, info) as `lu_factor`."""
    packed, pivots = lu_factor(A, pivot=pivot)
    diagonal = np.diagonal(packed._data, axis1=-2, axis2=-1)
    zero = diagonal == 0
    info = np.where(zero.any(-1), zero.argmax(-1) + 1, 0) if diagonal.shape[-1] else np.zeros(diagonal.shape[:-1])
    return LUFactorEx(packed, pivots, wrap(np.asarray(info).astype(np.int32)))


def lu_solve(LU: Tensor, pivots: Tensor, B: Tensor, *, left: bool = True, adjoint: bool = False) -> Any:
    """X with A X = B (X A = B if not `left`, Aᴴ for A if `adjoint`), from the packed factors of A."""
    if not left:
        return _adjoint(lu_solve(LU, pivots, _adjoint(B), adjoint=not adjoint))
    p = wrap(decompositions.permutation_of(pivots._data - 1, LU.shape[-1]).astype(LU._data.dtype))
    if adjoint:
        y = apply(solve.solve_triangular, (_adjoint(LU), B, False))
        return p @ apply(solve.solve_triangular, (_adjoint(LU), y, True, True))
    y = apply(solve.solve_triangular, (LU, p.swapaxes(-1, -2) @ B, False, True))
    return apply(solve.solve_triangular, (LU, y, True))


def torch_lu_solve(b: Tensor, LU_data: Tensor, LU_pivots: Tensor) -> Any:
    """X with A X = b, from the packed factors of A."""
    return lu_solve(LU_data, LU_pivots, b)


def lu_unpack(LU_data: Tensor, LU_pivots: Tensor, unpack_data: bool = True, unpack_pivots: bool = True) -> Any:
    """P, L and U of packed factors."""
    m, n = LU_data.shape[-2:]
    k, dtype = min(m, n), LU_data._data.dtype
    none = wrap(np.zeros(0, dtype))
    p = wrap(decompositions.permutation_of(LU_pivots._data - 1, m).astype(dtype)) if unpack_pivots else none
    if not unpack_data:
        return decompositions.PLU(p, none, none)
    l = LU_data[..., :, :k] * np.tri(m, k, -1, dtype=dtype) + np.eye(m, k, dtype=dtype)
    return decompositions.PLU(p, l, LU_data[..., :k, :] * np.tri(n, k, dtype=dtype).T)


# -- others --------------------------------------------------------------------------------------------------------------


def vecdot(x: Tensor, y: Tensor, *, dim: int = -1) -> Any:
    """`Σ conj(x) y` along `dim`."""
    return ((x.conj() if x.is_complex() else x) * y).sum(dim)


def vander(x: Tensor, N: int | None = None) -> Any:
    """The matrix of powers 0 … N-1 of each element."""
    x = x if x.ndim else x.unsqueeze(0)
    if x._data.dtype.kind in "biu":
        x = x.long()
    n = x.shape[-1] if N is None else N
    powers = [x * 0 + 1]
    for _ in range(n - 1):
        powers.append(powers[-1] * x)
    return np.concatenate([p.unsqueeze(-1) for p in powers], -1)


def tensorinv(A: Tensor, ind: int = 2) -> Any:
    """The inverse for `tensordot` over the first `ind` dims."""
    if ind <= 0:
        raise RuntimeError("Expected a strictly positive integer for 'ind'")
    shape = tuple(A.shape)
    n = int(np.prod(shape[ind:]))
    if int(np.prod(shape[:ind])) != n:
        raise RuntimeError(
            f"Expected self to satisfy the requirement prod(self.shape[ind:]) == prod(self.shape[:ind]), but got {n} != {int(np.prod(shape[:ind]))}"
        )
    return inv(A.reshape(n, n)).reshape((*shape[ind:], *shape[:ind]))


def tensorsolve(A: Tensor, B: Tensor, dims: Any = None) -> Any:
    """X with `tensordot(A, X, X.ndim) = B`."""
    if dims is not None:
        moved = check_dims(dims, A.ndim)
        A = A.movedim(moved, tuple(range(A.ndim - len(moved), A.ndim)))
    shape = tuple(A.shape[B.ndim :])
    n = int(np.prod(tuple(B.shape)))
    return solve_(A.reshape(n, n), B.reshape(n)).reshape(shape)
