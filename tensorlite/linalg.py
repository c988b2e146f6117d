"""torch.linalg: linear algebra by LAPACK through NumPy, differentiable twice."""

from typing import Any

from .autograd.record import apply
from .ops.linalg import matmul as _matmul
from .ops.shape import diagonal as _diagonal
from .ops.solve import matrix_exp as _matrix_exp
from .tensor.functions_linalg import linalg_cross as cross
from .tensor.functions_linalg import matrix_power, multi_dot
from .tensor.functions_matrix import (
    cholesky,
    cholesky_ex,
    cond,
    det,
    eig,
    eigh,
    eigvals,
    eigvalsh,
    inv,
    inv_ex,
    lstsq,
    lu,
    lu_factor,
    lu_factor_ex,
    lu_solve,
    matrix_norm,
    matrix_rank,
    norm,
    pinv,
    qr,
    slogdet,
    solve_ex,
    solve_triangular,
    svd,
    svdvals,
    tensorinv,
    tensorsolve,
    vander,
    vecdot,
    vector_norm,
)
from .tensor.functions_matrix import solve_ as solve
from .tensor.methods import function_of

matrix_exp = function_of(_matrix_exp)
matmul = function_of(_matmul)
LinAlgError = RuntimeError


def diagonal(A: Any, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Any:
    """The diagonal of each matrix; a view."""
    return apply(_diagonal, (A, offset, dim1, dim2))


__all__ = [
    "LinAlgError",
    "cholesky",
    "cholesky_ex",
    "cond",
    "cross",
    "det",
    "diagonal",
    "eig",
    "eigh",
    "eigvals",
    "eigvalsh",
    "inv",
    "inv_ex",
    "lstsq",
    "lu",
    "lu_factor",
    "lu_factor_ex",
    "lu_solve",
    "matmul",
    "matrix_exp",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "multi_dot",
    "norm",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "solve_ex",
    "solve_triangular",
    "svd",
    "svdvals",
    "tensorinv",
    "tensorsolve",
    "vander",
    "vecdot",
    "vector_norm",
]
