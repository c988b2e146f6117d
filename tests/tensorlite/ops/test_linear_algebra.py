"""Linear algebra and einsum: identities, and agreement with torch in values and two derivatives, real and complex."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import tensorlite as tl
from tensorlite.tensor.einsum import parse


def compare(call: Any, *arrays: Any, rtol: float = 1e-8) -> None:
    """Values, gradients under a random cotangent, and their derivatives, against torch."""
    rng = np.random.default_rng(5)
    xs = [tl.tensor(a, requires_grad=True) for a in arrays]
    ts = [torch.tensor(a, requires_grad=True) for a in arrays]
    y, u = call(tl, *xs), call(torch, *ts)
    assert tuple(y.shape) == tuple(u.shape)
    np.testing.assert_allclose(y.detach().numpy(), u.detach().resolve_conj().numpy(), rtol=rtol, atol=1e-10)

    def random_like(t: Any) -> Any:
        x = rng.standard_normal(tuple(t.shape))
        return x + 1j * rng.standard_normal(tuple(t.shape)) if t.is_complex() else x

    c = random_like(u)
    a = tl.autograd.grad([y], xs, [tl.tensor(c)], create_graph=True)
    b = torch.autograd.grad(u, ts, torch.tensor(c), create_graph=True)
    for p, q in zip(a, b, strict=True):
        np.testing.assert_allclose(
            p.detach().numpy(), q.detach().resolve_conj().numpy(force=True), rtol=rtol, atol=1e-9
        )
    roots = [i for i, q in enumerate(b) if q.requires_grad]
    if roots:
        w = [random_like(q) for q in b]
        second = tl.autograd.grad(
            [a[i] for i in roots], xs, [tl.tensor(w[i]) for i in roots], allow_unused=True, materialize_grads=True
        )
        expected = torch.autograd.grad(
            [b[i] for i in roots], ts, [torch.tensor(w[i]) for i in roots], allow_unused=True, materialize_grads=True
        )
        for p, q in zip(second, expected, strict=True):
            np.testing.assert_allclose(p.numpy(), q.resolve_conj().numpy(force=True), rtol=rtol * 10, atol=1e-8)


def matrices(*shape: int, seed: int = 0, complex_: bool = False) -> Any:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape)
    return x + 1j * rng.standard_normal(shape) if complex_ else x


CALLS: list[tuple[str, Any, tuple[tuple[int, ...], ...]]] = [
    ("inv", lambda m, a: m.linalg.inv(a), ((2, 3, 3),)),
    ("det", lambda m, a: m.linalg.det(a), ((2, 3, 3),)),
    ("logabsdet", lambda m, a: m.linalg.slogdet(a)[1], ((2, 3, 3),)),
    ("solve", lambda m, a, b: m.linalg.solve(a, b), ((2, 3, 3), (3, 2))),
    ("solve vector", lambda m, a, b: m.linalg.solve(a, b), ((3, 3), (3,))),
    ("solve right", lambda m, a, b: m.linalg.solve(a, b, left=False), ((3, 3), (2, 3))),
    ("solve_triangular", lambda m, a, b: m.linalg.solve_triangular(a, b, upper=True), ((3, 3), (3, 2))),
    ("pinv wide", lambda m, a: m.linalg.pinv(a), ((2, 4),)),
    ("pinv tall", lambda m, a: m.linalg.pinv(a), ((4, 2),)),
    ("cholesky", lambda m, a: m.linalg.cholesky(a @ a.mH), ((3, 3),)),
    ("eigenvalues", lambda m, a: m.linalg.eigvalsh(a + a.mH), ((3, 3),)),
    ("eigenvectors", lambda m, a: abs(m.linalg.eigh(a + a.mH)[1]), ((3, 3),)),
    ("singular values", lambda m, a: m.linalg.svdvals(a), ((2, 3, 4),)),
    (
        "singular vectors",
        lambda m, a: (lambda u, s, v: (u * s.sin()) @ v)(*m.linalg.svd(a, full_matrices=False)),
        ((4, 3),),
    ),
    ("matrix_power", lambda m, a: m.linalg.matrix_power(a, -3), ((3, 3),)),
    ("matrix_exp", lambda m, a: m.linalg.matrix_exp(a), ((2, 3, 3),)),
    ("multi_dot", lambda m, a, b, c: m.linalg.multi_dot([a, b, c]), ((2, 5), (5, 3), (3,))),
    ("kron", lambda m, a, b: m.kron(a, b), ((2, 3), (2,))),
    ("cross", lambda m, a, b: m.linalg.cross(a, b), ((4, 3), (1, 3))),
    ("tensordot", lambda m, a, b: m.tensordot(a, b, dims=([0, 2], [1, 0])), ((2, 3, 4), (4, 2, 5))),
    ("addmm", lambda m, i, a, b: m.addmm(i, a, b, beta=0.5, alpha=2), ((3,), (2, 4), (4, 3))),
    ("baddbmm", lambda m, i, a, b: m.baddbmm(i, a, b, alpha=3), ((2, 2, 3), (2, 2, 4), (2, 4, 3))),
    ("vdot", lambda m, a, b: m.vdot(a, b), ((5,), (5,))),
]


@pytest.mark.parametrize("complex_", [False, True], ids=["real", "complex"])
@pytest.mark.parametrize(("call", "shapes"), [c[1:] for c in CALLS], ids=[c[0] for c in CALLS])
def test_as_torch(call: Any, shapes: Any, complex_: bool) -> None:
    compare(call, *(matrices(*s, seed=i + 1, complex_=complex_) for i, s in enumerate(shapes)))


@pytest.mark.parametrize(("m", "n"), [(3, 3), (4, 3), (3, 5)])
def test_qr_and_lu_multiply_back_and_differentiate(m: int, n: int) -> None:
    a = matrices(2, m, n)
    q, r = tl.linalg.qr(tl.tensor(a))
    np.testing.assert_allclose((q @ r).numpy(), a, atol=1e-13)
    p, l, u = tl.linalg.lu(tl.tensor(a))
    np.testing.assert_allclose((p @ l @ u).numpy(), a, atol=1e-13)
    compare(lambda m, x: (lambda q, r: q * 2 if x.shape[-2] > x.shape[-1] else r.abs())(*m.linalg.qr(x)), a)
    compare(lambda m, x: m.linalg.lu(x)[1], a)
    compare(lambda m, x: m.linalg.lu(x)[2], a)


def test_determinant_of_singular_matrices_has_its_cofactors_as_gradient() -> None:
    a = np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [0.0, 1.0, 5.0]])
    x = tl.tensor(a, requires_grad=True)
    (g,) = tl.autograd.grad([tl.linalg.det(x)], [x], create_graph=True)
    minors = [
        [(-1) ** (i + j) * np.linalg.det(np.delete(np.delete(a, i, 0), j, 1)) for j in range(3)] for i in range(3)
    ]
    np.testing.assert_allclose(g.detach().numpy(), minors, atol=1e-12)
    w = matrices(3, 3)
    (h,) = tl.autograd.grad([g], [x], [tl.tensor(w)])
    step = 1e-6
    direction = matrices(3, 3, seed=9)

    def directional(sign: float) -> float:
        y = tl.tensor(a + sign * step * direction, requires_grad=True)
        return float((tl.autograd.grad([tl.linalg.det(y)], [y])[0].numpy() * w).sum())

    assert abs((directional(1) - directional(-1)) / (2 * step) - (h.numpy() * direction).sum()) < 1e-7


def test_repeated_eigenvalues_and_singular_values_keep_finite_gradients() -> None:
    x = tl.eye(3, dtype=tl.float64).requires_grad_()
    for function in (tl.linalg.eigvalsh, tl.linalg.svdvals):
        (g,) = tl.autograd.grad([function(x).sum()], [x])
        np.testing.assert_allclose(g.numpy(), np.eye(3), atol=1e-14)


def test_singular_systems_are_refused() -> None:
    for call in (lambda a: tl.linalg.inv(a), lambda a: tl.linalg.solve(a, tl.ones(2, 1))):
        with pytest.raises(RuntimeError, match="singular"):
            call(tl.zeros(2, 2))
    with pytest.raises(RuntimeError, match="not positive-definite"):
        tl.linalg.cholesky(-tl.eye(2))


def test_messages_of_matrix_products() -> None:
    with pytest.raises(RuntimeError, match=r"mat1 and mat2 shapes cannot be multiplied \(2x3 and 2x3\)"):
        tl.mm(tl.ones(2, 3), tl.ones(2, 3))
    with pytest.raises(RuntimeError, match="same dtype"):
        tl.matmul(tl.ones(2, 2), tl.ones(2, 2, dtype=tl.float64))


def test_empty_matrices() -> None:
    assert (tl.ones(2, 0) @ tl.ones(0, 3)).tolist() == [[0, 0, 0], [0, 0, 0]]
    assert tl.linalg.det(tl.zeros(0, 0)).item() == 1


# -- einsum ------------------------------------------------------------------------------------------------------------

EQUATIONS = [
    ("ij,jk->ik", (2, 3), (3, 4)),
    ("ij,jk", (2, 3), (3, 4)),
    ("bij,bjk->bik", (2, 3, 4), (2, 4, 2)),
    ("bhqd,bhkd->bhqk", (2, 2, 3, 4), (2, 2, 5, 4)),
    ("ii->i", (3, 3)),
    ("ii", (3, 3)),
    ("iij->ji", (2, 2, 3)),
    ("i,j->ij", (3,), (2,)),
    ("ij->", (2, 3)),
    ("...ij,...jk->...ik", (2, 1, 2, 3), (4, 3, 2)),
    ("...i,i->...", (2, 3, 4), (4,)),
    ("ba,b...->a...", (2, 3), (2, 4, 2)),
    ("ij,jk,kl->il", (2, 3), (3, 4), (4, 2)),
    ("abc,cd,bd->ad", (2, 3, 4), (4, 5), (3, 5)),
    ("ij,ij,ij->j", (2, 3), (2, 3), (2, 3)),
    ("ij,kj->ik", (2, 1), (3, 4)),
    ("i,->i", (3,), ()),
    (" i j , j -> i ", (2, 3), (3,)),
]


@pytest.mark.parametrize("case", EQUATIONS, ids=[e[0] for e in EQUATIONS])
def test_einsum_as_torch(case: Any) -> None:
    equation, *shapes = case
    compare(lambda m, *xs: m.einsum(equation, *xs), *(matrices(*s, seed=i) for i, s in enumerate(shapes)))


def test_einsum_sublists() -> None:
    x, y = matrices(2, 3, 4), matrices(2, 4, 5, seed=1)
    out = tl.einsum(tl.tensor(x), [Ellipsis, 0, 1], tl.tensor(y), [Ellipsis, 1, 2], [Ellipsis, 0, 2])
    np.testing.assert_allclose(out.numpy(), x @ y, atol=1e-14)
    np.testing.assert_allclose(
        tl.einsum(tl.tensor(x[0]), [0, 1], tl.tensor(y[0]), [1, 2]).numpy(), x[0] @ y[0], atol=1e-14
    )


@given(st.data())
def test_einsum_as_numpy(data: Any) -> None:
    labels = "abcd"
    sizes = {n: data.draw(st.integers(0, 3), label=n) for n in labels}
    terms = data.draw(st.lists(st.text(labels, min_size=0, max_size=3), min_size=1, max_size=3))
    present = sorted(set("".join(terms)))
    result = "".join(
        data.draw(st.permutations(data.draw(st.lists(st.sampled_from(present), unique=True)) if present else []))
    )
    arrays = [matrices(*(sizes[n] for n in t), seed=i) for i, t in enumerate(terms)]
    equation = ",".join(terms) + "->" + result
    ours = tl.einsum(equation, *(tl.tensor(np.asarray(a)) for a in arrays))
    np.testing.assert_allclose(ours.numpy(), np.einsum(equation, *arrays), atol=1e-12)


def test_einsum_errors() -> None:
    x = tl.ones(2, 3)
    for equation, message in {
        "ij,jk->ik": "number of operands",
        "i->i": "does not match the number of dimensions",
        "ij->ik": "does not appear in the equation",
        "ij->ii": "appears more than once in the output",
        "i1->i": "invalid subscript",
    }.items():
        with pytest.raises(RuntimeError, match=message):
            tl.einsum(equation, x)
    with pytest.raises(RuntimeError, match="does not broadcast"):
        tl.einsum("ij,jk->ik", x, x)
    assert parse("...i,i", [3, 1]) == ([(-2, -1, "i"), ("i",)], (-2, -1))
