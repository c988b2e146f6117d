"""Sparse tensors against torch: values, gradients, printing, refusals, and a graph network that trains on them."""

from __future__ import annotations

import copy
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import tensorlite as tl

warnings.filterwarnings("ignore", message="Sparse invariant checks")
LIBRARIES = (tl, torch)


def dense(value: Any) -> np.ndarray:
    """The numbers of a tensor of either library and layout."""
    value = value.detach()
    return (value.to_dense() if value.is_sparse else value).numpy()


def assert_same(ours: Any, theirs: Any) -> None:
    assert ours.is_sparse == theirs.is_sparse
    assert tuple(ours.shape) == tuple(theirs.shape)
    assert str(ours.dtype).split(".")[1] == str(theirs.dtype).split(".")[1]
    np.testing.assert_allclose(dense(ours), dense(theirs), rtol=1e-6, atol=1e-12)
    if ours.is_sparse and theirs.is_coalesced():
        np.testing.assert_array_equal(ours.coalesce().indices().numpy(), theirs.indices().numpy())


INDICES = [[1, 0, 1, 2, 1], [2, 0, 2, 3, 0]]  # (1, 2) twice, not in order
VALUES = [3.0, 4.0, 5.0, -1.5, 2.0]

#: What is computed of a sparse (3, 4) matrix `s`, a dense (4, 2) matrix `d`, a dense (3, 4) matrix `e` and another sparse one `r`, in either library `m`.
COMPUTED: dict[str, Callable[..., Any]] = {
    "to_dense": lambda m, s, d, e, r: s.to_dense(),
    "coalesce": lambda m, s, d, e, r: s.coalesce(),
    "values": lambda m, s, d, e, r: s.coalesce().values(),
    "s @ d": lambda m, s, d, e, r: s @ d,
    "mm": lambda m, s, d, e, r: m.mm(s, d),
    "matmul": lambda m, s, d, e, r: m.matmul(s, d),
    "spmm": lambda m, s, d, e, r: m.spmm(s, d),
    "sparse.mm": lambda m, s, d, e, r: m.sparse.mm(s, d),
    "method mm": lambda m, s, d, e, r: s.mm(d),
    "coalesced mm": lambda m, s, d, e, r: s.coalesce() @ d,
    "mv": lambda m, s, d, e, r: s @ d[:, 0],
    "d @ s": lambda m, s, d, e, r: e.t()[:, :3] @ s,
    "vector @ s": lambda m, s, d, e, r: e[:, 0] @ s,
    "addmm": lambda m, s, d, e, r: m.sparse.addmm(e[:, :2], s, d, beta=2, alpha=3),
    "add alpha": lambda m, s, d, e, r: m.add(s, r, alpha=2),
    "dense add alpha": lambda m, s, d, e, r: m.sub(e, s, alpha=3),
    "power": lambda m, s, d, e, r: s**2,
    "pow": lambda m, s, d, e, r: s.pow(3.0),
    "square": lambda m, s, d, e, r: s.square(),
    "to_sparse": lambda m, s, d, e, r: s.to_sparse(),
    "torch.addmm": lambda m, s, d, e, r: m.addmm(e[:, :2], s, d),
    "linear": lambda m, s, d, e, r: m.nn.functional.linear(s, d.t()),
    "s @ s": lambda m, s, d, e, r: s @ r.t(),
    "sparse.mm of two": lambda m, s, d, e, r: m.sparse.mm(s, r.t()),
    "t": lambda m, s, d, e, r: s.t(),
    "T": lambda m, s, d, e, r: s.T,
    "transpose": lambda m, s, d, e, r: m.transpose(s, 0, -1),
    "e + s": lambda m, s, d, e, r: e + s,
    "e - s": lambda m, s, d, e, r: e - s,
    "add": lambda m, s, d, e, r: m.add(e, s),
    "e.add_(s)": lambda m, s, d, e, r: (e * 1).add_(s),
    "s + r": lambda m, s, d, e, r: s + r,
    "s - r": lambda m, s, d, e, r: s - r,
    "coalesced s + r": lambda m, s, d, e, r: s.coalesce() + r.coalesce(),
    "s * 2": lambda m, s, d, e, r: s * 2,
    "2 * s": lambda m, s, d, e, r: 2.5 * s,
    "s * 0-d": lambda m, s, d, e, r: s * m.tensor(1.5),
    "s / 2": lambda m, s, d, e, r: s / 2,
    "s * e": lambda m, s, d, e, r: s * e,
    "e * s": lambda m, s, d, e, r: e * s,
    "s * row": lambda m, s, d, e, r: s * e[0],
    "s * r": lambda m, s, d, e, r: s * r,
    "-s": lambda m, s, d, e, r: -s,
    "sum": lambda m, s, d, e, r: s.sum(),
    "torch.sum": lambda m, s, d, e, r: m.sum(s, dim=1),
    "sum 0": lambda m, s, d, e, r: s.sum(0),
    "sum keepdim": lambda m, s, d, e, r: s.sum(-1, keepdim=True),
    "sum (0, 1)": lambda m, s, d, e, r: s.sum((0, 1)),
    "sparse.sum": lambda m, s, d, e, r: m.sparse.sum(s, 0),
    "abs": lambda m, s, d, e, r: s.abs(),
    "relu": lambda m, s, d, e, r: s.relu(),
    "tanh": lambda m, s, d, e, r: m.tanh(s),
    "clone": lambda m, s, d, e, r: s.clone(),
    "double": lambda m, s, d, e, r: s.double(),
    "to": lambda m, s, d, e, r: s.to(m.float32).to("cpu"),
}


def operands(m: Any) -> tuple[Any, ...]:
    rng = np.random.default_rng(0)
    v = m.tensor(VALUES, dtype=m.float64, requires_grad=True)
    d, e = (m.from_numpy(rng.standard_normal(size)).requires_grad_() for size in ((4, 2), (3, 4)))
    w = m.tensor([7.0, -2.0], dtype=m.float64, requires_grad=True)
    s = m.sparse_coo_tensor(m.tensor(INDICES), v, (3, 4))
    return (v, d, e, w), (s, d, e, m.sparse_coo_tensor([[0, 1], [1, 2]], w, (3, 4)))


def gradients(m: Any, name: str, as_dense: bool = False) -> tuple[Any, tuple[Any, ...]]:
    """The result, and the gradients of all leaves for a random cotangent."""
    leaves, arguments = operands(m)
    if as_dense:
        arguments = tuple(a.to_dense() for a in arguments)
    result = COMPUTED[name](m, *arguments)
    full = result.to_dense()
    cotangent = m.from_numpy(np.random.default_rng(1).standard_normal(tuple(full.shape))).to(full.dtype)
    return result, m.autograd.grad((full * cotangent).sum(), leaves, allow_unused=True)


#: torch computes these, but has no gradient of them: the gradient is that of the dense computation.
WITHOUT_GRADIENT_IN_TORCH = ("s * row", "torch.sum", "sum 0", "sum keepdim", "tanh")


@pytest.mark.parametrize("name", COMPUTED)
def test_values_and_gradients(name: str) -> None:
    ours, our_gradients = gradients(tl, name)
    assert_same(ours, COMPUTED[name](torch, *operands(torch)[1]))
    _, their_gradients = gradients(torch, name, as_dense=name in WITHOUT_GRADIENT_IN_TORCH)
    for mine, other in zip(our_gradients, their_gradients, strict=True):
        assert (mine is None) == (other is None)
        if mine is not None:
            np.testing.assert_allclose(mine.numpy(), dense(other), rtol=1e-6, atol=1e-12)


@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 12), st.integers(0, 3), st.integers(0, 2**32 - 1))
def test_products_of_random_matrices(n: int, k: int, nnz: int, m: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    indices = np.stack((rng.integers(0, n, nnz), rng.integers(0, k, nnz)))
    values, d = rng.standard_normal(nnz), rng.standard_normal((k, m))
    expected = np.zeros((n, k))
    np.add.at(expected, tuple(indices), values)
    s = tl.sparse_coo_tensor(indices, values, (n, k))
    np.testing.assert_allclose((s @ tl.from_numpy(d)).numpy(), expected @ d, atol=1e-12)
    np.testing.assert_allclose((s.t() @ s).to_dense().numpy(), expected.T @ expected, atol=1e-12)
    np.testing.assert_allclose(s.coalesce().to_dense().numpy(), expected, atol=1e-12)


def test_product_of_many_entries_is_summed_in_float64() -> None:
    n = 400_000
    ones = tl.sparse_coo_tensor(np.stack((np.zeros(n, int), np.arange(n))), np.full(n, 0.1, np.float32), (1, n))
    assert (ones @ tl.ones(n, 1)).item() == pytest.approx(n * float(np.float32(0.1)), rel=1e-7)


def test_second_derivatives() -> None:
    v = tl.tensor([1.0, -2.0, 0.5], dtype=tl.float64, requires_grad=True)
    d = tl.randn(3, 2, dtype=tl.float64, requires_grad=True)

    def product(values: Any, matrix: Any) -> Any:
        return tl.sparse_coo_tensor([[0, 1, 1], [2, 0, 0]], values, (2, 3)) @ matrix

    assert tl.autograd.gradcheck(product, (v, d))
    assert tl.autograd.gradgradcheck(product, (v, d))


MADE: dict[str, Callable[[Any], Any]] = {
    "duplicates": lambda m: m.sparse_coo_tensor(m.tensor(INDICES), m.tensor(VALUES), (3, 4)),
    "arrays": lambda m: m.sparse_coo_tensor(np.array(INDICES, np.int32), np.array(VALUES), (3, 4)),
    "as integers": lambda m: m.sparse_coo_tensor(INDICES, m.ones(5), (3, 4), dtype=m.int64),
    "without a size": lambda m: m.sparse_coo_tensor([[0, 1], [1, 5]], [1.0, 2.0]),
    "hybrid": lambda m: m.sparse_coo_tensor([[0, 2]], [[1.0, 2.0], [3.0, 4.0]], (3, 2)),
    "of a size": lambda m: m.sparse_coo_tensor((2, 3)),
    "no entries": lambda m: m.sparse_coo_tensor(m.empty(2, 0, dtype=m.int64), [], (2, 3)),
    "leaf": lambda m: m.sparse_coo_tensor([[0, 1], [1, 0]], [1.0, 2.0], (2, 2), requires_grad=True),
    "coalesced": lambda m: m.sparse_coo_tensor([[0, 1], [1, 0]], [1.0, 2.0], (2, 2), is_coalesced=True),
    "eye": lambda m: m.eye(20).to_sparse(),
    "float64": lambda m: m.eye(2, dtype=m.float64).to_sparse(),
    "rows": lambda m: m.eye(2).to_sparse(1),
    "three dims": lambda m: m.eye(2).reshape(1, 2, 2).to_sparse(),
    "0-d": lambda m: m.tensor(2.0).to_sparse(),
    "no rows": lambda m: m.zeros(0, 3).to_sparse(),
    "whole numbers": lambda m: m.eye(2, requires_grad=True).to_sparse().long(),
    "zeros": lambda m: m.zeros(2, 2).to_sparse(),
    "diagonal": lambda m: m.diag(m.tensor([1.0, 0.0, 2.0])).to_sparse(layout=m.sparse_coo),
    "legacy": lambda m: m.sparse.FloatTensor(m.tensor(INDICES), m.tensor(VALUES), m.Size([3, 4])),
    "copied": lambda m: copy.deepcopy(m.eye(3).to_sparse()),
    "pickled": lambda m: pickle.loads(pickle.dumps(m.eye(3).to_sparse())),
}


@pytest.mark.parametrize("name", MADE)
def test_made_and_printed_as_in_torch(name: str) -> None:
    ours, theirs = (MADE[name](m) for m in LIBRARIES)
    assert_same(ours, theirs)
    assert (
        repr(ours).split() == repr(theirs).replace("torch.", "tensorlite.").split()
    )  # our names are longer, so lines may break earlier
    for about in ("is_sparse", "requires_grad", "is_leaf", "ndim"):
        assert getattr(ours, about) == getattr(theirs, about), about
    for about in ("sparse_dim", "dense_dim", "_nnz", "is_coalesced", "numel", "dim", "is_floating_point"):
        assert getattr(ours, about)() == getattr(theirs, about)(), about
    assert repr(ours.layout) == "tensorlite.sparse_coo"
    assert isinstance(ours, tl.Tensor)
    assert ours.layout == tl.sparse_coo != tl.ones(1).layout == tl.strided


REFUSED: dict[str, Callable[[Any, Any], Any]] = {
    "indices": lambda m, s: s.indices(),
    "values": lambda m, s: s.values(),
    "numbers": lambda m, s: m.sparse_coo_tensor([[0, 1], [1, 1]], [1.0, 2, 3], (2, 2)),
    "dims": lambda m, s: m.sparse_coo_tensor([[0, 1], [1, 1]], [1.0, 2], (2, 2, 2)),
    "s + e": lambda m, s: s + m.ones(3, 4),
    "s + 1": lambda m, s: s + 1,
    "sizes": lambda m, s: s + m.sparse_coo_tensor([[0], [0]], [1.0], (1, 1)),
    "numpy": lambda m, s: s.numpy(),
    "asarray": lambda m, s: np.asarray(s),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_torchs_words(name: str) -> None:
    messages = []
    for m in LIBRARIES:
        with pytest.raises((RuntimeError, TypeError)) as caught:
            REFUSED[name](m, MADE["duplicates"](m))
        messages.append((caught.type, str(caught.value).splitlines()[0]))
    assert messages[0] == messages[1]


@pytest.mark.parametrize(
    "use", [lambda s: s.exp(), lambda s: s == 1, lambda s: s[0], lambda s: s.mean(), lambda s: tl.cat([s, s]), lambda s: s.reshape(-1), lambda s: 2 / s, lambda s: s @ tl.ones(5, 4, 2)]
)  # fmt: skip
def test_all_else_says_what_to_do(use: Callable[[Any], Any]) -> None:
    with pytest.raises(NotImplementedError, match=r"\w+\(\) is not implemented for a sparse tensor .*call to_dense"):
        use(MADE["duplicates"](tl))


def test_what_needs_the_array_says_so() -> None:
    s = MADE["duplicates"](tl)
    for use in (s.tolist, s.item, s.data_ptr, lambda: list(s), lambda: s.add_(1), lambda: s.stride()):
        with pytest.raises(NotImplementedError, match=r"this one is sparse \(size=\(3, 4\), nnz=5\); call to_dense"):
            use()
    with pytest.raises(RuntimeError, match="no history of its own"):
        tl.autograd.grad(s.to_dense().sum(), s)


@pytest.mark.parametrize(
    ("indices", "message"), [([[0, 3], [1, 1]], "found index 3"), ([[0, -1], [1, 1]], "negative index -1")]
)
def test_indices_are_always_checked(indices: Any, message: str) -> None:
    with pytest.raises(RuntimeError, match=message):
        tl.sparse_coo_tensor(indices, [1.0, 2.0], (2, 2))


def test_gradient_of_a_sparse_leaf() -> None:
    d, c = np.random.default_rng(0).standard_normal((2, 4, 2)).astype(np.float32)
    grads = []
    for m in LIBRARIES:
        s = m.sparse_coo_tensor(INDICES, VALUES, (3, 4), requires_grad=True)
        (m.sparse.mm(s, m.from_numpy(d)) * m.from_numpy(c[:3])).sum().backward()
        grads.append(s.grad)
    assert_same(*grads)


def graph_network(m: Any) -> list[float]:
    """Two graph convolutions (Kipf & Welling, 2017) on a ring with chords; the losses of a few steps, the normalised adjacency sparse."""
    rng = np.random.default_rng(0)
    n = 12
    edges = np.array([[i, (i + step) % n] for i in range(n) for step in (1, 3)])
    adjacency = m.eye(n) + m.sparse_coo_tensor(edges.T, m.ones(len(edges)), (n, n), dtype=m.int64)
    degree = m.diag(m.sqrt(1 / m.sum(adjacency, dim=1))).to_sparse()
    adjacency = (degree @ adjacency @ degree).to_sparse().to("cpu")
    features = m.from_numpy((rng.random((n, 6)) < 0.4).astype(np.float32)).to_sparse()
    labels = m.tensor(np.arange(n) % 3)
    first, second = (m.nn.Parameter(m.from_numpy(rng.standard_normal(s).astype(np.float32))) for s in ((6, 8), (8, 3)))
    optimizer = m.optim.Adam([first, second], lr=0.05)
    losses = []
    for _ in range(5):
        optimizer.zero_grad()
        hidden = m.nn.functional.relu(m.spmm(adjacency, m.mm(features, first)))
        out = m.spmm(adjacency, m.mm(hidden, second))
        loss = m.nn.functional.nll_loss(m.nn.functional.log_softmax(out, dim=1), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def test_a_graph_network_trains_as_in_torch() -> None:
    ours, theirs = (graph_network(m) for m in LIBRARIES)
    assert ours == pytest.approx(theirs, rel=1e-4)
    assert ours[-1] < ours[0]
