"""The engine's rows that the tests of `autograd` do not state: arrays that stay arrays, deep graphs, `Function`, checkpoints."""

from __future__ import annotations

import copy
import gc
import pickle
from typing import Any

import numpy as np
import pytest

import tensorlite as tl
from tensorlite import nn
from tensorlite.utils.checkpoint import checkpoint

REDUCTIONS: dict[str, Any] = {
    "sum": lambda x: x.sum(),
    "mean": lambda x: x.mean(),
    "prod": lambda x: x.prod(),
    "var": lambda x: x.var(),
    "norm": lambda x: x.norm(),
    "max": lambda x: x.max(),
    "argmax": lambda x: x.argmax(),
    "all": lambda x: (x > 0).all(),
    "logsumexp": lambda x: x.logsumexp(0),
    "element": lambda x: x[0],
    "dot": lambda x: x.dot(x),
    "0-d arithmetic": lambda x: x[0] * 2 + x[1],
    "0-d function": lambda x: x[0].exp(),
}


@pytest.mark.parametrize("function", REDUCTIONS.values(), ids=REDUCTIONS)
def test_every_result_is_an_array_even_without_dims(function: Any) -> None:
    result = function(tl.tensor([1.0, 2.0, 3.0]))
    assert type(result._data) is np.ndarray
    assert result._data.shape == ()


def test_adding_to_a_zero_dimensional_tensor_changes_it_for_all_its_names() -> None:
    z = tl.ones(3).sum()
    w = z
    w += 1
    assert w is z
    assert z.item() == 4.0
    x = tl.ones(3)
    first = x[0]
    first += 1
    assert x.tolist() == [2.0, 1.0, 1.0]


def test_a_number_of_paths_that_doubles_at_every_step_takes_one_visit_a_node() -> None:
    x = tl.ones(1, dtype=tl.float64, requires_grad=True)
    y, visits = x, []
    for _ in range(60):  # 2**60 paths
        y = y + y
        y.register_hook(lambda g: visits.append(1))
    y.sum().backward()
    assert len(visits) == 60
    assert x.grad is not None
    assert x.grad.item() == 2.0**60


@pytest.mark.parametrize("copier", [copy.deepcopy, pickle.dumps])
def test_copying_a_deep_history_does_not_recurse(copier: Any) -> None:
    y = tl.ones(1, requires_grad=True)
    for _ in range(5_000):
        y = y * 1
    with pytest.raises(RuntimeError, match=r"created explicitly by the user|only leaf tensors"):
        copier(y)


def test_a_deep_graph_is_freed_without_recursion_and_without_the_collector() -> None:
    gc.collect()
    gc.disable()
    try:
        y = tl.ones(1, requires_grad=True)
        for _ in range(30_000):
            y = y * 1
        del y
        assert gc.collect() < 100
    finally:
        gc.enable()


class Double(tl.autograd.Function):
    """2 x, and what the test wants for its gradient."""

    answer: Any = None

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        return x * 2

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return Double.answer(g)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            lambda g: (g, g),
            r"function DoubleBackward returned an incorrect number of gradients \(expected 1, got 2\)",
        ),
        (
            lambda g: g[:1],
            r"returned an invalid gradient at index 0 - got \[1\] but expected shape compatible with \[2\]",
        ),
    ],
)
def test_what_a_function_may_not_return(answer: Any, message: str) -> None:
    Double.answer = staticmethod(answer)
    with pytest.raises(RuntimeError, match=message):
        Double.apply(tl.ones(2, requires_grad=True)).sum().backward()


def test_a_function_may_return_more_nones_and_gradients_that_broadcast_are_summed() -> None:
    x = tl.ones(2, requires_grad=True)
    Double.answer = staticmethod(lambda g: (2 * g, None))
    Double.apply(x).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [2.0, 2.0]


@pytest.mark.parametrize("reentrant", [False, True])
def test_a_checkpoint_draws_the_same_random_numbers_again(reentrant: bool) -> None:
    def layer(x: Any) -> Any:
        return nn.functional.dropout(x * x, 0.5)

    def run(wrap: bool) -> tuple[Any, Any, float]:
        tl.manual_seed(3)
        x = tl.arange(1.0, 65.0).requires_grad_()
        y = checkpoint(layer, x, use_reentrant=reentrant) if wrap else layer(x)
        following = tl.rand(1).item()
        y.sum().backward()
        assert x.grad is not None
        return y.tolist(), x.grad.tolist(), following

    assert run(True) == run(False)


def test_random_numbers_after_a_checkpointed_backward_go_on_where_they_were() -> None:
    def draw(wrap: bool) -> float:
        tl.manual_seed(0)
        x = tl.ones(8, requires_grad=True)
        y = (
            checkpoint(lambda t: nn.functional.dropout(t, 0.5), x, use_reentrant=False)
            if wrap
            else nn.functional.dropout(x, 0.5)
        )
        y.sum().backward()
        return float(tl.rand(1).item())

    assert draw(True) == draw(False)


def test_zero_grad_sets_none_unless_asked_for_zeros() -> None:
    net = nn.Linear(2, 1)
    for reset in (net.zero_grad, tl.optim.SGD(net.parameters(), lr=0.1).zero_grad):
        net(tl.ones(1, 2)).sum().backward()
        reset(set_to_none=False)
        assert net.weight.grad is not None
        assert net.weight.grad.tolist() == [[0.0, 0.0]]
        reset()
        assert net.weight.grad is None


def test_a_hook_on_a_tensor_without_gradient_and_a_replaced_gradient_of_a_leaf() -> None:
    x = tl.ones(2, requires_grad=True)
    x.register_hook(lambda g: g * 3)
    (x * tl.tensor([1.0, 2.0])).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [3.0, 6.0]


def test_anomaly_mode_finds_the_nan_that_a_square_root_makes() -> None:
    x = tl.zeros(2, requires_grad=True)
    with (
        pytest.warns(UserWarning, match="Anomaly Detection has been enabled"),
        tl.autograd.detect_anomaly(),
        pytest.raises(RuntimeError, match=r"Function 'SqrtBackward0' returned nan values in its 0th output"),
    ):
        (x.sqrt() * 0).sum().backward()


def test_what_is_created_in_inference_mode_cannot_be_saved_for_a_gradient() -> None:
    with tl.inference_mode():
        x = tl.ones(2)
    assert x.is_inference()
    with pytest.raises(RuntimeError, match="Inference tensors cannot be saved for backward"):
        _ = x * tl.ones(2, requires_grad=True)
