"""Empty and 0-d tensors, and the sentences that torch users know by heart."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import tensorlite as tl
import tensorlite.nn.functional as F
from tensorlite import nn


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda e: e.sum(), 0.0),
        (lambda e: e.prod(), 1.0),
        (lambda e: e.mean(), math.nan),
        (lambda e: e.std(), math.nan),
        (lambda e: e.logsumexp(0), -math.inf),
        (lambda e: e.norm(), 0.0),
        (lambda e: e.all(), True),
        (lambda e: e.any(), False),
    ],
)
def test_reductions_of_nothing(function: Any, expected: Any) -> None:
    found = function(tl.zeros(0)).item()
    assert found == expected or (math.isnan(found) and math.isnan(expected))


@pytest.mark.parametrize(
    ("call", "shape"),
    [
        (lambda: tl.softmax(tl.zeros(0), 0), (0,)),
        (lambda: tl.log_softmax(tl.zeros(2, 0), 1), (2, 0)),
        (lambda: nn.Linear(3, 2)(tl.zeros(0, 3)), (0, 2)),
        (lambda: nn.LayerNorm(3)(tl.zeros(0, 3)), (0, 3)),
        (lambda: nn.Embedding(3, 2)(tl.zeros(0, dtype=tl.int64)), (0, 2)),
        (lambda: tl.zeros(2, 0) @ tl.zeros(0, 3), (2, 3)),
        (lambda: tl.cat([tl.zeros(0), tl.ones(2, 3)], 1), (2, 3)),
        (lambda: tl.zeros(0, 3).max(1).values, (0,)),
        (lambda: tl.zeros(0).cumsum(0), (0,)),
        (lambda: tl.zeros(0).sort().values, (0,)),
        (lambda: tl.ones(3)[tl.zeros(0, dtype=tl.int64)], (0,)),
        (lambda: F.scaled_dot_product_attention(tl.zeros(0, 2, 4), tl.zeros(0, 2, 4), tl.zeros(0, 2, 4)), (0, 2, 4)),
    ],
)
def test_ops_on_nothing(call: Any, shape: tuple[int, ...]) -> None:
    result = call()
    assert result.shape == shape
    assert not result.isnan().any()


def test_a_product_over_nothing_is_zeros_with_gradients_of_no_elements() -> None:
    x = tl.zeros(2, 0, requires_grad=True)
    y = x @ tl.zeros(0, 3)
    assert y.tolist() == [[0.0] * 3] * 2
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.shape == (2, 0)


@pytest.mark.parametrize("dim", [0, -1, None, (), (0,)])
def test_zero_dimensional_tensors_reduce_over_their_one_dim(dim: Any) -> None:
    x = tl.tensor(3.0, requires_grad=True)
    x.sum(dim).backward()
    assert x.grad is not None
    assert x.grad.item() == 1.0
    assert tl.softmax(tl.tensor(3.0), 0).item() == 1.0
    assert tl.tensor(3.0).max(0).indices.item() == 0


LINEAR = nn.Linear(2, 3)

REFUSED: dict[str, tuple[Any, type[Exception], str]] = {
    "len() of 0-d": (lambda: len(tl.tensor(1.0)), TypeError, "len() of a 0-d tensor"),
    "iteration over 0-d": (lambda: list(tl.tensor(1.0)), TypeError, "iteration over a 0-d tensor"),
    "matmul of 0-d": (lambda: tl.tensor(1.0) @ tl.ones(2), RuntimeError, "at least 1D"),
    "broadcasting": (
        lambda: tl.ones(2, 3) + tl.ones(2, 4),
        RuntimeError,
        "The size of tensor a (3) must match the size of tensor b (4) at non-singleton dimension 1",
    ),
    "matmul": (
        lambda: tl.ones(2, 3) @ tl.ones(2, 3),
        RuntimeError,
        "mat1 and mat2 shapes cannot be multiplied (2x3 and 2x3)",
    ),
    "reshape": (lambda: tl.ones(6).reshape(4, 2), RuntimeError, "shape '[4, 2]' is invalid for input of size 6"),
    "reshape(-1, 0)": (lambda: tl.zeros(0).reshape(-1, 0), RuntimeError, "cannot reshape tensor of 0 elements"),
    "dim": (
        lambda: tl.ones(2, 2).sum(2),
        IndexError,
        "Dimension out of range (expected to be in range of [-2, 1], but got 2)",
    ),
    "cat": (
        lambda: tl.cat([tl.ones(1, 3), tl.ones(1, 4)]),
        RuntimeError,
        "Sizes of tensors must match except in dimension 0. Expected size 3 but got size 4 for tensor number 1 in the list.",
    ),
    "a list where a tensor belongs": (
        lambda: LINEAR([1.0, 2.0, 3.0]),
        TypeError,
        "linear(): argument 'input' (position 1) must be Tensor, not list",
    ),
    "None where a tensor belongs": (
        lambda: tl.exp(None),
        TypeError,
        "exp(): argument 'input' (position 1) must be Tensor, not NoneType",
    ),
    "a ragged list": (
        lambda: tl.tensor([[[1], [2]], [[1]]]),
        ValueError,
        "expected sequence of length 2 at dim 1 (got 1)",
    ),
    "ragged arrays": (
        lambda: tl.tensor([np.ones(2), np.ones(3)]),
        ValueError,
        "expected sequence of length 2 at dim 1 (got 3)",
    ),
    "a row that does not fit": (
        lambda: tl.zeros(2, 2).__setitem__(0, tl.ones(3)),
        RuntimeError,
        "The expanded size of the tensor (2) must match the existing size (3) at non-singleton dimension 0.  Target sizes: [2].  Tensor sizes: [3]",
    ),
    "rows that do not fit": (
        lambda: tl.zeros(4, 2).__setitem__(tl.tensor([0, 1]), tl.ones(3)),
        RuntimeError,
        "shape mismatch: value tensor of shape [3] cannot be broadcast to indexing result of shape [2, 2]",
    ),
    "floats as class indices": (
        lambda: F.cross_entropy(tl.ones(2, 3), tl.tensor([0.0, 1.0])),
        RuntimeError,
        "expected target dtype to be Long or Byte, but got",
    ),
    "a kernel larger than the image": (
        lambda: F.conv2d(tl.ones(1, 1, 8, 8), tl.ones(1, 1, 3, 9)),
        RuntimeError,
        "Calculated padded input size per channel: (8 x 8). Kernel size: (3 x 9). Kernel size can't be greater than actual input size",
    ),
    "max of nothing": (lambda: tl.zeros(0).max(), RuntimeError, "Expected reduction dim to be specified"),
    "max of nothing along a dim": (lambda: tl.zeros(0).max(0), IndexError, "Expected reduction dim 0"),
    "argmax of nothing": (lambda: tl.zeros(0).argmax(), IndexError, "Expected reduction dim"),
    "numpy() with grad": (
        lambda: LINEAR.weight.numpy(),
        RuntimeError,
        "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.",
    ),
    "masked_fill": (
        lambda: tl.ones(2).masked_fill_(tl.ones(2), 0.0),
        RuntimeError,
        "masked_fill_ only supports boolean masks",
    ),
    "a wrong name in a module": (lambda: LINEAR.foo, AttributeError, "'Linear' object has no attribute 'foo'"),
    "a tensor where a parameter belongs": (
        lambda: setattr(LINEAR, "weight", tl.ones(3, 2)),
        TypeError,
        "nn.Parameter or None expected)",
    ),
    "a state_dict that does not fit": (
        lambda: LINEAR.load_state_dict({"weight": tl.ones(2, 2), "extra": tl.ones(1)}),
        RuntimeError,
        'Missing key(s) in state_dict: "bias"',
    ),
    "no parameters": (lambda: tl.optim.SGD([], lr=0.1), ValueError, "optimizer got an empty parameter list"),
    "a result as a parameter": (
        lambda: tl.optim.SGD([LINEAR.weight * 2], lr=0.1),
        ValueError,
        "can't optimize a non-leaf Tensor",
    ),
    "a parameter twice": (
        lambda: tl.optim.SGD([{"params": [LINEAR.weight]}, {"params": [LINEAR.weight]}], lr=0.1),
        ValueError,
        "some parameters appear in more than one parameter group",
    ),
    "a negative rate": (lambda: tl.optim.SGD([LINEAR.weight], lr=-1), ValueError, "Invalid learning rate: -1"),
    "item() of several": (
        lambda: tl.ones(2).item(),
        RuntimeError,
        "a Tensor with 2 elements cannot be converted to Scalar",
    ),
    "truth of several": (
        lambda: bool(tl.ones(2)),
        RuntimeError,
        "Boolean value of Tensor with more than one value is ambiguous",
    ),
    "an index beyond the end": (
        lambda: tl.ones(2)[5],
        IndexError,
        "index 5 is out of bounds for dimension 0 with size 2",
    ),
    "a class beyond the last": (
        lambda: F.cross_entropy(tl.zeros(1, 3), tl.tensor([3])),
        IndexError,
        "Target 3 is out of bounds.",
    ),
    "a loss that would broadcast": (lambda: F.mse_loss(tl.ones(2, 1), tl.ones(2)), RuntimeError, "[2, 1]"),
}


@pytest.mark.parametrize(("call", "kind", "message"), REFUSED.values(), ids=REFUSED)
def test_message(call: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind) as caught:
        call()
    assert message in str(caught.value)


@pytest.mark.parametrize("name", [name for name in REFUSED if name != "a loss that would broadcast"])
def test_torch_says_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same call with torch in the place of tensorlite."""
    torch = pytest.importorskip("torch")
    call, kind, message = REFUSED[name]
    monkeypatch.setitem(globals(), "tl", torch)
    monkeypatch.setitem(globals(), "F", torch.nn.functional)
    monkeypatch.setitem(globals(), "LINEAR", torch.nn.Linear(2, 3))
    with pytest.raises(kind) as caught:
        call()
    assert message in str(caught.value)


def test_parameters_before_the_constructor_of_module() -> None:
    class Bad(nn.Module):
        def __init__(self) -> None:
            self.weight = nn.Parameter(tl.ones(1))

    with pytest.raises(AttributeError, match=r"cannot assign parameters before Module\.__init__\(\) call"):
        Bad()


def test_clipping_returns_the_norm_before_and_divides_by_a_little_more() -> None:
    p = nn.Parameter(tl.zeros(6, dtype=tl.float64))
    p.grad = tl.ones(6, dtype=tl.float64)
    assert nn.utils.clip_grad_norm_([p], 1.0).item() == pytest.approx(6**0.5)
    assert p.grad.norm().item() == pytest.approx(6**0.5 / (6**0.5 + 1e-6), rel=1e-12)


def test_an_error_names_the_op_and_what_it_was_given() -> None:
    with pytest.raises(RuntimeError) as caught:
        tl.ones(2, 3) + tl.ones(2, 4)
    assert "add" in str(caught.value) + "".join(getattr(caught.value, "__notes__", []))
    assert "float32[2, 3]" in str(caught.value) + "".join(getattr(caught.value, "__notes__", []))


@pytest.mark.parametrize("loss", [F.cross_entropy, lambda x, t: F.nll_loss(x.log_softmax(1), t)])
@pytest.mark.parametrize("create_graph", [False, True])
def test_a_batch_that_is_wholly_ignored_moves_nothing(loss: Any, create_graph: bool) -> None:
    x = tl.randn(2, 3, requires_grad=True)
    found = loss(x, tl.tensor([-100, -100]))
    (gradient,) = tl.autograd.grad(found, x, create_graph=create_graph)
    assert math.isnan(found.item())
    assert gradient.tolist() == [[0.0] * 3] * 2


@pytest.mark.parametrize("shape", [(0,), (2, 0)])
def test_gradients_of_a_linear_map_of_no_features(shape: tuple[int, ...]) -> None:
    x, w = tl.zeros(shape, requires_grad=True), tl.ones(3, 0, requires_grad=True)
    F.linear(x, w).sum().backward()
    assert x.grad is not None
    assert w.grad is not None
    assert (x.grad.shape, w.grad.shape) == (shape, (3, 0))


def test_the_running_maximum_of_nothing_has_a_gradient() -> None:
    x = tl.zeros(0, 2, requires_grad=True)
    x.cummax(0)[0].sum().backward()
    assert x.grad is not None
    assert x.grad.shape == (0, 2)


def test_a_0d_tensor_in_a_format_string_is_its_number() -> None:
    loss = tl.tensor(2.0, requires_grad=True) * 1
    assert f"{loss} {loss:.3f} {tl.tensor(3)}" == "2.0 2.000 3"


def test_a_dim_that_is_no_number_is_named() -> None:
    with pytest.raises(TypeError, match="dim must be an int, got str"):
        tl.zeros(2, 3).sum(dim="a")
