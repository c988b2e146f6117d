"""Inverses, determinants and linear systems, by LAPACK through NumPy, with gradients of every order.

In the rules ᴴ is the conjugate transpose. References: Giles, "An extended collection of matrix derivative results" (2008).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .analytic import conj
from .complex import imag
from .table import op


class SignLog(NamedTuple):
    """The sign of a determinant, and the logarithm of its modulus."""

    sign: Any
    logabsdet: Any


def adjoint(x: Any) -> Any:
    """Conjugate transpose of the last two dims."""
    return np.swapaxes(conj(x), -1, -2)


def square(x: Any, name: str) -> None:
    """Raises RuntimeError in torch's words unless `x` holds square matrices of floats."""
    if x.ndim < 2:
        raise RuntimeError(f"linalg.{name}: The input tensor A must have at least 2 dimensions.")
    if x.shape[-1] != x.shape[-2]:
        raise RuntimeError(
            f"linalg.{name}: A must be batches of square matrices, but they are {x.shape[-2]} by {x.shape[-1]} matrices"
        )
    floating(x, name)


def floating(x: Any, name: str) -> None:
    if x.dtype.kind not in "fc" or x.dtype == np.float16:
        raise RuntimeError(f"linalg.{name}: Expected a floating point or complex tensor as input. Got {x.dtype}")


def identity_like(x: Any) -> Any:
    return np.eye(x.shape[-1])


# -- inverse and determinant -----------------------------------------------------------------------------------------------


@op(namespaces=(), numpy=np.linalg.inv)
def inv(x: Any) -> Any:
    """The inverse of each matrix. Raises RuntimeError if one is singular."""
    square(x, "inv")
    try:
        return np.linalg.inv(x)
    except np.linalg.LinAlgError:
        raise RuntimeError(
            "linalg.inv: The diagonal element is zero, the inversion could not be completed because the input matrix is singular."
        ) from None


inv.grad(x=lambda g, out: -(adjoint(out) @ g @ adjoint(out)))


@op(namespaces=(), numpy=np.linalg.det)
def det(x: Any) -> Any:
    """The determinant of each matrix; its gradient, the cofactors, is right for singular matrices too."""
    square(x, "det")
    return np.asarray(np.linalg.det(x)).astype(x.dtype, copy=False)


def _det_grad(g: Any, x: Any) -> Any:
    return g.reshape((*g.shape, 1, 1)) * np.swapaxes(conj(_adjugate(x)), -1, -2)


def _adjugate(x: Any) -> Any:
    """The matrix of cofactors, transposed: det(x)·x⁻¹, and its limit for singular `x`."""
    n = x.shape[-1]
    if isinstance(x, np.ndarray):
        u, s, vh = np.linalg.svd(x)
        others = np.ones_like(s)
        for i in range(n):
            others[..., i] = np.prod(np.delete(s, i, -1), -1)
        unit = np.linalg.det(u) * np.linalg.det(vh)
        return adjoint(vh) * (others * unit[..., None])[..., None, :] @ adjoint(u)
    data = x.detach().numpy()
    if n and np.all(np.linalg.cond(data) < 1e10):
        return inv(x) * det(x).reshape((*x.shape[:-2], 1, 1))
    # Faddeev and LeVerrier: products, traces and divisions by whole numbers alone, so it differentiates where x⁻¹ does not exist
    eye = np.broadcast_to(np.eye(n), x.shape)
    m = x * 0 + eye
    for k in range(1, n):
        product = x @ m
        m = product + (product * eye).sum((-2, -1)).reshape((*x.shape[:-2], 1, 1)) * eye * (-1 / k)
    return m * (-1) ** (n - 1)


det.grad(x=_det_grad)


@op(namespaces=(), n_outputs=2, outputs=SignLog, numpy=np.linalg.slogdet, quiet=True, aux=True)
def slogdet(x: Any) -> Any:
    """(sign, log |det|) of each matrix; (0, -inf) for a singular one."""
    square(x, "slogdet")
    sign, log = np.linalg.slogdet(x)
    return (np.asarray(sign, x.dtype), np.asarray(log, x.real.dtype)), x.dtype.kind == "c"


def _slogdet_grad(g: Any, x: Any, out: Any, aux: Any) -> Any:
    h = g[1]
    if aux:  # the phase turns as well
        h = h - 1j * imag(conj(g[0]) * out[0])
    return h.reshape((*h.shape, 1, 1)) * adjoint(inv(x))


slogdet.grad(x=_slogdet_grad)


# -- systems ---------------------------------------------------------------------------------------------------------------


@op(namespaces=(), broadcasts=True)
def solve(a: Any, b: Any) -> Any:
    """X with A X = B, for matrices (…, n, n) and (…, n, k)."""
    square(a, "solve")
    if a.shape[-1] != b.shape[-2]:
        raise RuntimeError(
            f"linalg.solve: Incompatible shapes of A and B for the equation AX = B ({a.shape[-2]}x{a.shape[-1]} and {b.shape[-2]}x{b.shape[-1]})"
        )
    if a.dtype != b.dtype:
        raise RuntimeError(
            f"linalg.solve: Expected A and B to have the same dtype, but found A of type {a.dtype} and B of type {b.dtype} instead"
        )
    try:
        return np.linalg.solve(a, b)
    except np.linalg.LinAlgError:
        raise RuntimeError("linalg.solve: The solver failed because the input matrix is singular.") from None


solve.grad(a=lambda g, a, out: -(solve(adjoint(a), g) @ adjoint(out)), b=lambda g, a: solve(adjoint(a), g))


@op(namespaces=(), broadcasts=True)
def solve_triangular(a: Any, b: Any, upper: Any, unitriangular: Any = False) -> Any:
    """X with A X = B, of A only the upper or lower triangle (with a diagonal of ones if `unitriangular`)."""
    square(a, "solve_triangular")
    if a.shape[-1] != b.shape[-2]:
        raise RuntimeError(
            f"linalg.solve_triangular: Incompatible shapes of A and B for the equation AX = B ({a.shape[-2]}x{a.shape[-1]} and {b.shape[-2]}x{b.shape[-1]})"
        )
    t = np.triu(a) if upper else np.tril(a)
    if unitriangular:
        t = t * (1 - np.eye(a.shape[-1], dtype=t.dtype)) + np.eye(a.shape[-1], dtype=t.dtype)
    return np.linalg.solve(t, b)


def _triangle(x: Any, upper: Any, unitriangular: Any) -> Any:
    n = x.shape[-1]
    mask = np.tri(n, dtype=bool) if not upper else np.tri(n, dtype=bool).T
    return np.where(mask & ~np.eye(n, dtype=bool) if unitriangular else mask, x, 0)


solve_triangular.grad(
    a=lambda g, a, out, upper, unitriangular: (
        -_triangle(solve_triangular(adjoint(a), g, not upper, unitriangular) @ adjoint(out), upper, unitriangular)
    ),
    b=lambda g, a, upper, unitriangular: solve_triangular(adjoint(a), g, not upper, unitriangular),
)


@op(broadcasts=True)
def cholesky_solve(x: Any, L: Any, upper: Any = False) -> Any:
    """X with A X = B, from the Cholesky factor of A."""
    first, second = (adjoint(L), L) if upper else (L, adjoint(L))
    return solve_triangular.forward(second, solve_triangular.forward(first, x, False), True)


def _cholesky_solve_grad(g: Any, L: Any, out: Any, upper: Any) -> Any:
    """The factor counts as a whole matrix here, as in torch: the gradient is not cut to the triangle."""
    common = cholesky_solve(g, L, upper) @ adjoint(out)
    common = common + adjoint(common)
    return -(L @ common) if upper else -(common @ L)


cholesky_solve.grad(x=lambda g, L, upper: cholesky_solve(g, L, upper), L=_cholesky_solve_grad)


# -- pseudo-inverse and exponential ------------------------------------------------------------------------------------------


@op(namespaces=())
def pinv(x: Any, rtol: Any = None, atol: Any = None, hermitian: Any = False) -> Any:
    """Moore-Penrose inverse of each matrix: singular values not above max(atol, rtol·σ₁) count as zero."""
    if x.ndim < 2:
        raise RuntimeError("linalg.pinv(): The input tensor input must have at least 2 dimensions.")
    if x.size == 0:
        return np.swapaxes(conj(x), -1, -2).copy()
    if hermitian:
        w, v = np.linalg.eigh(x)
        size = np.abs(w)
        return (
            v
            * np.divide(1, w, out=np.zeros_like(w), where=size > cutoff(size, x, rtol, atol)[..., None])[..., None, :]
            @ adjoint(v)
        )
    u, s, vh = np.linalg.svd(x, full_matrices=False)
    keep = s > cutoff(s, x, rtol, atol)[..., None]
    inverse = np.divide(1, s, out=np.zeros_like(s), where=keep)
    return adjoint(vh) * inverse[..., None, :] @ adjoint(u)


def cutoff(s: Any, x: Any, rtol: Any, atol: Any) -> Any:
    """Below which a singular value counts as zero: max(atol, rtol·σ₁); `rtol` is eps·max(m, n) unless it or `atol` is given."""
    atol = np.asarray(0.0 if atol is None else atol)
    if rtol is None:
        rtol = np.where(atol > 0, 0.0, np.finfo(x.dtype).eps * max(x.shape[-2:]))
    return np.maximum(atol, np.asarray(rtol) * s.max(-1))


def _pinv_grad(g: Any, x: Any, out: Any) -> Any:
    """Golub and Pereyra (1973)."""
    p, ph, gh = out, adjoint(out), adjoint(g)
    if x.shape[-2] <= x.shape[-1]:
        k = gh @ p
        kp = k @ ph
        return -adjoint(p @ k) + kp - (x @ p) @ kp + (ph @ p) @ (gh - k @ x)
    k = p @ gh
    pk = ph @ k
    return -adjoint(k @ p) + (gh - x @ k) @ p @ ph + pk - (pk @ p) @ x


pinv.grad(x=_pinv_grad)


@op()
def matrix_exp(x: Any) -> Any:
    """`Σ Aᵏ/k!` of each square matrix, by scaling and squaring of the Taylor series of degree 18."""
    if x.dtype.kind == "f" and x.dtype.itemsize < 8:
        return matrix_exp.forward(x.astype(np.float64)).astype(x.dtype)
    square(x, "matrix_exp")
    norm = np.abs(x).sum(-2).max(-1, initial=0)
    power = max(0, int(np.ceil(np.log2(norm.max(initial=1e-300)))) + 2)
    scaled = x / 2.0**power
    eye = np.eye(x.shape[-1], dtype=x.dtype)
    total = term = np.broadcast_to(eye, x.shape)
    for k in range(1, 19):
        term = term @ scaled / k
        total = total + term
    for _ in range(power):
        total = total @ total
    return np.asarray(total, x.dtype)


def _matrix_exp_grad(g: Any, x: Any) -> Any:
    """The derivative in direction G is the upper right block of exp [[A, G], [0, A]]; its adjoint the same with Aᴴ."""
    n, a = x.shape[-1], adjoint(x)
    top = np.concatenate([a, g], -1)
    bottom = np.concatenate([a * 0, a], -1)
    return matrix_exp(np.concatenate([top, bottom], -2))[..., :n, n:]


matrix_exp.grad(x=_matrix_exp_grad)
