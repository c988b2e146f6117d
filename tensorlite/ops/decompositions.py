"""Cholesky, QR, LU, eigenvalue and singular value decompositions, by LAPACK through NumPy, differentiable where they are unique.

Where columns are free up to a sign or phase, only functions that do not depend on it have a meaningful gradient. References: Giles (2008);
Murray, "Differentiation of the Cholesky decomposition" (2016); Walter and Lehmann, "Algorithmic differentiation of linear algebra
functions with application in optimum experimental design" (2010, QR); Townsend, "Differentiating the singular value decomposition" (2016).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from .analytic import conj
from .complex import imag, real
from .solve import adjoint, floating, inv, solve_triangular, square
from .table import op


class QR(NamedTuple):
    Q: Any
    R: Any


class Eigh(NamedTuple):
    eigenvalues: Any
    eigenvectors: Any


class Eig(NamedTuple):
    eigenvalues: Any
    eigenvectors: Any


class SVD(NamedTuple):
    U: Any
    S: Any
    Vh: Any


class PLU(NamedTuple):
    P: Any
    L: Any
    U: Any


def _eye(n: int) -> Any:
    return np.eye(n)


def _lower(x: Any, k: int = 0) -> Any:
    return np.where(np.tri(x.shape[-2], x.shape[-1], k, dtype=bool), x, 0)


def _upper(x: Any, k: int = 0) -> Any:
    return np.where(np.tri(x.shape[-2], x.shape[-1], k - 1, dtype=bool), 0, x)


def _column(x: Any) -> Any:
    return x.reshape((*x.shape, 1))


def _row(x: Any) -> Any:
    return x.reshape((*x.shape[:-1], 1, x.shape[-1]))


def _complex(x: Any) -> bool:
    return conj(x) is not x


# -- Cholesky --------------------------------------------------------------------------------------------------------------


@op(namespaces=())
def cholesky(x: Any, upper: Any = False) -> Any:
    """The lower triangular L with L Lᴴ = A of each Hermitian positive definite matrix; Lᴴ if `upper`."""
    square(x, "cholesky")
    try:
        factor = np.linalg.cholesky(adjoint(x) if upper else x)
    except np.linalg.LinAlgError:
        raise RuntimeError(
            "linalg.cholesky: The factorization could not be completed because the input is not positive-definite."
        ) from None
    return adjoint(factor) if upper else factor


def _cholesky_grad(g: Any, out: Any, upper: Any) -> Any:
    l, g = (adjoint(out), adjoint(g)) if upper else (out, g)
    middle = _lower(adjoint(l) @ g)
    middle = middle - middle * (_eye(l.shape[-1]) / 2)
    li = inv(l)
    s = adjoint(li) @ middle @ li
    return (s + adjoint(s)) / 2


cholesky.grad(x=_cholesky_grad)


# -- QR --------------------------------------------------------------------------------------------------------------------


@op(namespaces=(), n_outputs=2, outputs=QR)
def qr(x: Any, mode: Any = "reduced") -> Any:
    """Q with orthonormal columns and upper triangular R, Q R = A."""
    floating(x, "qr")
    if x.ndim < 2:
        raise RuntimeError("linalg.qr: The input tensor A must have at least 2 dimensions.")
    if mode == "r":
        return np.zeros(0, x.dtype), np.linalg.qr(x, "r")
    if mode not in ("reduced", "complete"):
        raise RuntimeError(
            f"qr received unrecognized mode '{mode}' but expected one of 'reduced' (default), 'r', or 'complete'"
        )
    return tuple(np.linalg.qr(x, mode))


def _qr_grad(g: Any, out: Any, mode: Any) -> Any:
    q, r = out
    if mode == "r":
        raise RuntimeError(
            "The derivative of linalg.qr depends on Q, which is not computed when mode='r'. Please use linalg.qr(A, mode='reduced') if you are going to require gradients."
        )
    if q.shape[-1] != r.shape[-1]:
        raise RuntimeError("The QR decomposition is not differentiable when mode='complete' and nrows > ncols.")
    gq, gr = g
    m = r @ adjoint(gr) - adjoint(gq) @ q
    if _complex(m):
        m = _lower(m) + adjoint(_lower(m, -1)) - 1j * imag(m) * _eye(m.shape[-1])
    else:
        m = _lower(m) + adjoint(_lower(m, -1))
    rhs = gq + q @ m
    return adjoint(solve_triangular(r, adjoint(rhs), True))


qr.grad(x=_qr_grad)


# -- eigenvalues -----------------------------------------------------------------------------------------------------------


@op(namespaces=(), n_outputs=2, outputs=Eigh)
def eigh(x: Any, uplo: Any = "L") -> Any:
    """Eigenvalues in rising order, and eigenvectors, of each Hermitian matrix, of which one triangle is read."""
    square(x, "eigh")
    return tuple(np.linalg.eigh(x, uplo))


def _eigh_grad(g: Any, out: Any) -> Any:
    (w, v), (gw, gv) = out, g
    n = w.shape[-1]
    gaps = _row(w) - _column(w) + _eye(n)
    inner = adjoint(v) @ gv
    inner = (inner - adjoint(inner)) / 2  # eigenvectors stay orthonormal: they can only turn
    inner = np.where(_eye(n) == 1, 0, inner / gaps) + _column(gw) * _eye(n)
    return v @ inner @ adjoint(v)


eigh.grad(x=_eigh_grad)


@op(namespaces=(), n_outputs=2, outputs=Eig)
def eig(x: Any) -> Any:
    """Complex eigenvalues and right eigenvectors of norm 1 of each square matrix."""
    square(x, "eig")
    w, v = np.linalg.eig(x)
    dtype = np.result_type(x.dtype, np.complex64)
    return w.astype(dtype), v.astype(dtype)


def _eig_grad(g: Any, out: Any) -> Any:
    (w, v), (gw, gv) = out, g
    n, vh = w.shape[-1], adjoint(v)
    inner = vh @ gv
    diagonal = real((inner * _eye(n)).sum(-1))
    inner = inner - vh @ v * _row(diagonal)
    gaps = conj(_row(w) - _column(w)) + _eye(n)
    inner = np.where(_eye(n) == 1, 0, inner / gaps) + _column(gw) * _eye(n)
    return inv(vh) @ inner @ vh


eig.grad(x=_eig_grad)


# -- singular values -------------------------------------------------------------------------------------------------------


@op(namespaces=(), n_outputs=3, outputs=SVD)
def svd(x: Any, full_matrices: Any = True) -> Any:
    """U, the singular values in falling order, and Vᴴ, of each matrix."""
    floating(x, "svd")
    if x.ndim < 2:
        raise RuntimeError("linalg.svd: The input tensor A must have at least 2 dimensions.")
    return tuple(np.linalg.svd(x, full_matrices=bool(full_matrices)))


def _svd_grad(g: Any, out: Any) -> Any:
    u, s, vh = out
    gu, gs, gvh = g
    m, n, k = u.shape[-2], vh.shape[-1], s.shape[-1]
    u, gu, vh, gvh = u[..., :k], gu[..., :k], vh[..., :k, :], gvh[..., :k, :]
    v, gv = adjoint(vh), adjoint(gvh)
    on_diagonal = _eye(k) == 1
    gaps = np.where(on_diagonal, 1, _row(s * s) - _column(s * s))
    ugu, vgv = adjoint(u) @ gu, vh @ gv
    inner = np.where(on_diagonal, 0, (ugu - adjoint(ugu)) / gaps) * _row(s) + _column(s) * np.where(
        on_diagonal, 0, (vgv - adjoint(vgv)) / gaps
    )
    inner = inner + _column(gs) * _eye(k)
    if _complex(u):  # the phases of U and V turn together
        inner = inner + 1j * imag(ugu) * _eye(k) / _row(s)
    core = u @ inner @ vh
    if m > k:
        rest = gu / _row(s)
        core = core + (rest - u @ (adjoint(u) @ rest)) @ vh
    if n > k:
        rest = adjoint(gv / _row(s))
        core = core + u @ (rest - (rest @ v) @ vh)
    return core


svd.grad(x=_svd_grad)


# -- LU --------------------------------------------------------------------------------------------------------------------


def factor_with_pivots(x: Any) -> tuple[Any, Any]:
    """(LU packed in one matrix, the row each step swapped with), Gaussian elimination with partial pivoting on the whole batch at once."""
    lu = np.array(x, copy=True, order="C").reshape((math.prod(x.shape[:-2]), *x.shape[-2:]))
    batch, m, n = lu.shape
    pivots = np.zeros((batch, min(m, n)), np.int64)
    rows = np.arange(batch)
    for k in range(min(m, n)):
        p = k + np.argmax(np.abs(lu[:, k:, k]), axis=1)
        pivots[:, k] = p
        lu[rows, k], lu[rows, p] = lu[rows, p], lu[rows, k].copy()
        pivot = lu[:, k, k]
        below = lu[:, k + 1 :, k]
        below[...] = np.divide(below, pivot[:, None], out=np.zeros_like(below), where=pivot[:, None] != 0)
        lu[:, k + 1 :, k + 1 :] -= below[:, :, None] * lu[:, k : k + 1, k + 1 :]
    return lu.reshape(x.shape), pivots.reshape((*x.shape[:-2], min(m, n)))


def permutation_of(pivots: Any, m: int) -> Any:
    """The matrix P of the row swaps, A = P L U."""
    flat = pivots.reshape(math.prod(pivots.shape[:-1]), pivots.shape[-1])
    order = np.tile(np.arange(m), (len(flat), 1))
    rows = np.arange(len(flat))
    for k in range(flat.shape[1]):
        p = flat[:, k]
        order[rows, k], order[rows, p] = order[rows, p], order[rows, k].copy()
    return np.swapaxes(np.eye(m)[order], -1, -2).reshape((*pivots.shape[:-1], m, m))


@op(namespaces=(), n_outputs=3, nondiff_outputs=(0,), outputs=PLU)
def lu(x: Any) -> Any:
    """P, unit lower triangular L and upper triangular U with P L U = A, by partial pivoting."""
    floating(x, "lu")
    packed, pivots = factor_with_pivots(x)
    m, n = x.shape[-2:]
    k = min(m, n)
    return (
        permutation_of(pivots, m).astype(x.dtype),
        np.tril(packed[..., :, :k], -1) + np.eye(m, k, dtype=x.dtype),
        np.triu(packed[..., :k, :]),
    )


def _lu_grad(g: Any, out: Any) -> Any:
    """∂A = P L⁻ᴴ [tril(Lᴴ ∂L, -1) + triu(∂U Uᴴ)] U⁻ᴴ for a square matrix; a long side adds what its other rows or columns carry."""
    p, l, u = out
    _, gl, gu = g
    k = u.shape[-2]
    m, n = l.shape[-2], u.shape[-1]
    l1, gl1, u1, gu1 = l[..., :k, :], gl[..., :k, :], u[..., :, :k], gu[..., :, :k]
    if m > k:  # L2 = A2 U1⁻¹
        g_a2 = adjoint(solve_triangular(u1, adjoint(gl[..., k:, :]), True))
        gu1 = gu1 - _upper(adjoint(l[..., k:, :]) @ g_a2)
    if n > k:  # U2 = L1⁻¹ A2
        g_a2 = solve_triangular(adjoint(l1), gu[..., :, k:], True, True)
        gl1 = gl1 - _lower(g_a2 @ adjoint(u[..., :, k:]), -1)
    middle = _lower(adjoint(l1) @ gl1, -1) + _upper(gu1 @ adjoint(u1))
    left = solve_triangular(adjoint(l1), middle, True, True)
    ga = adjoint(solve_triangular(u1, adjoint(left), True))
    if m > k:
        ga = np.concatenate([ga, g_a2], -2)
    if n > k:
        ga = np.concatenate([ga, g_a2], -1)
    return p @ ga


lu.grad(x=_lu_grad)


# -- values alone: their gradients stay defined where vectors are not unique -------------------------------------------------


@op(namespaces=())
def eigvalsh(x: Any, uplo: Any = "L") -> Any:
    """Eigenvalues in rising order of each Hermitian matrix."""
    square(x, "eigvalsh")
    return np.linalg.eigvalsh(x, uplo)


@op(namespaces=())
def svdvals(x: Any) -> Any:
    """Singular values in falling order of each matrix."""
    floating(x, "svdvals")
    return np.linalg.svd(x, compute_uv=False)


def _eigvalsh_grad(g: Any, x: Any, uplo: Any) -> Any:
    v = eigh(x, uplo)[1]
    return (v * _row(g)) @ adjoint(v)


def _svdvals_grad(g: Any, x: Any) -> Any:
    u, _, vh = svd(x, False)
    return (u * _row(g)) @ vh


eigvalsh.grad(x=_eigvalsh_grad)
svdvals.grad(x=_svdvals_grad)
