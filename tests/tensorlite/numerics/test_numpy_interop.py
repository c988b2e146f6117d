"""NumPy functions on tensors, memory shared with NumPy and torch, pickling, and the one device."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import tensorlite as tl
from tensorlite.autograd import gradcheck

A = np.array([[1.0, 2.0, -0.5], [3.0, 5.5, 0.25], [0.7, -1.1, 2.2]])
S = A @ A.T + np.eye(3)  # symmetric, positive definite

#: name -> a function of one square array, written with np alone
CALLS: dict[str, Any] = {
    "exp": np.exp,
    "add": lambda x: np.add(x, A),
    "array on the left": lambda x: A * x - x / 2,
    "power": lambda x: np.power(x, 2),
    "maximum": lambda x: np.maximum(x, 0.9),
    "logaddexp": lambda x: np.logaddexp(x, A.T),
    "where": lambda x: np.where(A > 0, x, 0),
    "clip": lambda x: np.clip(x, -0.9, 1.9),
    "clip by name": lambda x: np.clip(x, a_min=-0.9, a_max=1.9),
    "sum": lambda x: np.sum(x, axis=1, keepdims=True),
    "mean": lambda x: np.mean(x, axis=0),
    "prod": np.prod,
    "var": lambda x: np.var(x, axis=0),
    "std": lambda x: np.std(x, ddof=1),
    "max": lambda x: np.max(x, axis=0),
    "amin": np.min,
    "ptp": lambda x: np.ptp(x, axis=1),
    "median": lambda x: np.median(x[:2], axis=0),
    "cumsum": np.cumsum,
    "cumsum along": lambda x: np.cumsum(x, axis=1),
    "cumprod": lambda x: np.cumprod(x, axis=0),
    "diff": np.diff,
    "sort": np.sort,
    "take": lambda x: np.take(x, [4, 0, 4]),
    "take along": lambda x: np.take_along_axis(x, np.array([[2, 0, 1]]), 0),
    "matmul": lambda x: np.matmul(x, A),
    "matmul of an array with a tensor": lambda x: A @ x,
    "dot": lambda x: np.dot(x, x),
    "inner": lambda x: np.inner(x, A),
    "vdot": lambda x: np.vdot(x, A),
    "outer": lambda x: np.outer(x[0], x[1]),
    "kron": lambda x: np.kron(x, A),
    "tensordot": lambda x: np.tensordot(x, A, axes=((0,), (1,))),
    "einsum": lambda x: np.einsum("ij,kj->ik", x, A),
    "cross": lambda x: np.cross(x, A),
    "norm": np.linalg.norm,
    "norm along": lambda x: np.linalg.norm(x, axis=1),
    "inv": lambda x: np.linalg.inv(x @ x.T + np.eye(3)),
    "det": np.linalg.det,
    "solve": lambda x: np.linalg.solve(S, x),
    "cholesky": lambda x: np.linalg.cholesky(x @ x.T + np.eye(3)),
    "eigenvalues": lambda x: np.linalg.eigh(x + x.T).eigenvalues,
    "singular values": lambda x: np.linalg.svd(x).S,
    "pinv": np.linalg.pinv,
    "matrix_power": lambda x: np.linalg.matrix_power(x, 3),
    "trace": np.trace,
    "diag": np.diag,
    "diagonal": lambda x: np.diagonal(x, 1),
    "tril": np.tril,
    "triu": lambda x: np.triu(x, 1),
    "reshape": lambda x: np.reshape(x, (9,)),
    "ravel": np.ravel,
    "transpose": np.transpose,
    "swapaxes": lambda x: np.swapaxes(x, 0, 1),
    "moveaxis": lambda x: np.moveaxis(x, 0, 1),
    "expand_dims": lambda x: np.expand_dims(x, 0),
    "squeeze": lambda x: np.squeeze(x[:1]),
    "broadcast_to": lambda x: np.broadcast_to(x, (2, 3, 3)),
    "flip": np.flip,
    "flip along": lambda x: np.flip(x, 0),
    "roll": lambda x: np.roll(x, 1, 0),
    "tile": lambda x: np.tile(x, 2),
    "repeat": lambda x: np.repeat(x, 2),
    "repeat along": lambda x: np.repeat(x, 2, axis=0),
    "concatenate": lambda x: np.concatenate([x, x], axis=1),
    "concatenate flattened": lambda x: np.concatenate([x, x], axis=None),
    "expand_dims at two places": lambda x: np.expand_dims(x, (0, -1)),
    "trace off the diagonal": lambda x: np.trace(x, offset=1),
    "stack": lambda x: np.stack([x, x], axis=1),
    "vstack": lambda x: np.vstack([x, A]),
    "hstack": lambda x: np.hstack([x, x]),
    "split": lambda x: np.split(x, 3)[1],
    "array_split": lambda x: np.array_split(x, 2)[1],
    "pad": lambda x: np.pad(x, ((1, 0), (0, 2)), constant_values=7),
}


@pytest.mark.parametrize("function", CALLS.values(), ids=CALLS)
def test_numpy_functions_work_on_tensors_and_differentiate(function: Any) -> None:
    expected = function(A)
    plain = function(tl.tensor(A))
    x = tl.tensor(A, requires_grad=True)
    recorded = function(x)
    assert isinstance(plain, tl.Tensor)
    assert recorded.requires_grad
    np.testing.assert_allclose(plain.numpy(), expected, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(recorded.detach().numpy(), expected, rtol=1e-12, atol=1e-14)
    assert gradcheck(function, x)


def test_a_function_without_a_gradient_says_so() -> None:
    x = tl.tensor(A)
    counts, edges = np.histogram(x)
    assert int(counts.sum()) == 9
    assert isinstance(edges, tl.Tensor)
    with pytest.raises(TypeError, match=r"np\.histogram has no gradient in tensorlite.*detach"):
        np.histogram(x.requires_grad_())


def test_where_with_a_condition_alone_and_the_functions_that_give_lists() -> None:
    x = tl.tensor(A, requires_grad=True)
    rows, columns = np.where(x > 2)
    assert rows.tolist() == [1, 1, 2]
    assert columns.tolist() == [0, 1, 2]
    assert all(isinstance(p, tl.Tensor) for p in np.split(tl.tensor(A), 3))


def test_what_the_op_does_not_take_numpy_computes_on_the_memory() -> None:
    x = tl.tensor(A)
    np.testing.assert_allclose(np.sum(x, where=A > 0).numpy(), A[A > 0].sum())
    np.testing.assert_allclose(np.max(x, initial=10.0).numpy(), 10.0)
    assert np.reshape(x, (9,), order="F").tolist() == A.ravel("F").tolist()
    assert np.zeros_like(x, shape=(2,)).shape == (2,)
    with pytest.raises(TypeError, match=r"np\.sum with where has no gradient"):
        np.sum(x.requires_grad_(), where=A > 0)


def test_a_tensor_as_target_is_written_counted_and_recorded() -> None:
    x, target = tl.tensor(A, requires_grad=True), tl.zeros(3, dtype=tl.float64)
    assert np.sum(x, axis=0, out=target) is target
    assert target._version > 0
    target.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == np.ones((3, 3)).tolist()


def test_questions_may_be_asked_of_tensors_that_require_grad() -> None:
    x = tl.tensor(A, requires_grad=True)
    assert np.allclose(x, x)
    assert np.array_equal(x, x)
    assert np.result_type(x, np.float32) == np.float64
    assert [i.tolist() for i in np.nonzero(x > 5)] == [[1], [1]]
    assert np.full_like(x, 2.0).tolist() == np.full_like(A, 2.0).tolist()
    assert not np.zeros_like(x).requires_grad


def test_ufunc_keywords() -> None:
    x = tl.ones(2)
    target, array = tl.zeros(2), np.zeros(2)
    assert np.add(x, 1, out=target) is target
    assert target.tolist() == [2.0, 2.0]
    assert np.add(x, 1, out=array) is array
    assert array.tolist() == [2.0, 2.0]
    assert np.add(x, 1, dtype=np.float64).dtype == tl.float64
    assert np.add.reduce(x).item() == 2.0
    array += x
    assert type(array) is np.ndarray
    assert array.tolist() == [3.0, 3.0]


def test_an_array_beside_a_tensor_gives_a_tensor_whichever_comes_first() -> None:
    for value in (np.ones(2) + tl.ones(2), tl.ones(2) + np.ones(2)):
        assert isinstance(value, tl.Tensor)
        assert value.dtype == tl.float64


def test_the_array_protocol_shares_memory_unless_told_otherwise() -> None:
    x = tl.ones(3)
    assert np.shares_memory(np.asarray(x), x._data)
    assert np.shares_memory(np.array(x, copy=False), x._data)
    assert not np.shares_memory(np.array(x), x._data)
    assert np.asarray(x, dtype=np.float64).dtype == np.float64
    with pytest.raises(ValueError, match="without a copy"):
        np.asarray(x, dtype=np.float64, copy=False)
    with pytest.raises(RuntimeError, match=r"Can't call numpy\(\) on Tensor that requires grad"):
        np.asarray(x.requires_grad_())


def test_tensors_index_arrays() -> None:
    assert np.arange(5)[tl.tensor([3, 0])].tolist() == [3, 0]
    assert list(range(5))[tl.tensor(2)] == 2


def test_dlpack_with_numpy() -> None:
    x, a = tl.arange(6.0).reshape(2, 3), np.arange(3.0)
    assert np.shares_memory(np.from_dlpack(x), x._data)
    assert np.shares_memory(tl.from_dlpack(a)._data, a)
    with pytest.raises(BufferError, match="require gradient"):
        np.from_dlpack(tl.ones(1, requires_grad=True))


@pytest.mark.parametrize("name", ["float16", "float32", "float64", "int8", "int64", "uint8", "bool", "complex64"])
def test_dlpack_with_torch_shares_memory_both_ways(name: str) -> None:
    torch = pytest.importorskip("torch")
    ours = tl.ones(2, 3, dtype=getattr(tl, name)).t()
    theirs = torch.from_dlpack(ours)
    assert str(theirs.dtype) == f"torch.{name}"
    assert tuple(theirs.stride()) == ours.stride()
    ours[0, 0] = 0
    assert theirs[0, 0] == 0
    source = torch.ones(4, dtype=getattr(torch, name))[::2]
    back = tl.from_dlpack(source)
    assert str(back.dtype) == f"tensorlite.{name}"
    source[1] = 0
    assert back.tolist()[1] == 0


@pytest.mark.parametrize("name", ["float16", "float32", "float64", "int8", "int64", "uint8", "bool", "complex128"])
@pytest.mark.parametrize("shape", [(), (0,), (2, 3)])
def test_pickle_and_deepcopy_keep_values_types_and_flags(name: str, shape: tuple[int, ...]) -> None:
    x = tl.ones(shape, dtype=getattr(tl, name))
    x.requires_grad = x.dtype.is_floating_point
    for twin in (pickle.loads(pickle.dumps(x)), copy.deepcopy(x)):
        assert (twin.dtype, twin.shape, twin.requires_grad) == (x.dtype, x.shape, x.requires_grad)
        assert twin.tolist() == x.tolist()
        assert not np.shares_memory(twin._data, x._data)
    assert pickle.loads(pickle.dumps(x.dtype)) is x.dtype
    assert pickle.loads(pickle.dumps(x.device)) == x.device


def test_strides_survive_a_pickle_and_histories_are_refused() -> None:
    assert pickle.loads(pickle.dumps(tl.arange(6).reshape(2, 3).t())).stride() == (1, 3)
    y = tl.ones(1, requires_grad=True)
    for _ in range(5_000):
        y = y * 1
    with pytest.raises(RuntimeError, match="only leaf tensors can be pickled"):
        pickle.dumps(y)


@pytest.mark.parametrize(
    "call",
    [
        lambda: tl.device("cuda"),
        lambda: tl.ones(2, device="cuda:0"),
        lambda: tl.tensor([1.0], device="mps"),
        lambda: tl.ones(2).to("cuda"),
        lambda: tl.ones(2).cuda(),
        lambda: tl.nn.Linear(2, 2).cuda(),
        lambda: tl.nn.Linear(2, 2).to("cuda"),
    ],
)
def test_any_device_but_the_cpu_is_refused_with_the_way_out(call: Any) -> None:
    with pytest.raises(RuntimeError, match=r"tensorlite computes on the CPU only.*(cpu|drop)"):
        call()


def test_the_cpu_by_every_name() -> None:
    assert tl.ones(1).device == tl.device("cpu") == tl.device(tl.device("cpu"))
    assert str(tl.ones(1, device="cpu").to("cpu").cpu().device) == "cpu"
    assert tl.device("cpu", 0) == tl.device("cpu:0")
