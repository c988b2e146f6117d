"""Modules, optimizers, invariants, and the strategies' promises."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as hs

import tensorlite as tl
from tensorlite import nn
from tensorlite.ops.table import OPS
from tensorlite.testing import assert_grad_invariants, check_module, check_optimizer, st
from tensorlite.testing.mutating import rules_replaced


@given(st.modules())
def test_modules(case: Any) -> None:
    module, inputs = case
    assert check_module(module, *inputs).ok


def test_a_module_that_hides_state_is_found() -> None:
    class Forgetful(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(tl.ones(2, dtype=tl.float64))
            self.calls = 0

        def forward(self, x: Any) -> Any:
            self.calls += 1
            return x * self.weight + self.calls % 2

    with pytest.raises((AssertionError, RuntimeError)):
        check_module(Forgetful(), np.ones(2))


@given(st.optimizers())
def test_optimizers(case: Any) -> None:
    check_optimizer(*case)


def test_an_optimizer_that_is_off_is_found() -> None:
    class SGD(tl.optim.SGD):
        def update(self, param: Any, grad: Any, state: Any, group: Any) -> None:
            param -= 0.1 * np.sign(grad) * len(state)
            state[len(state)] = 0

    with pytest.raises((AssertionError, KeyError, TypeError, ValueError)):
        check_optimizer(SGD, {"lr": 0.1})


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        (lambda g, x: g + 1, "zero cotangent"),
        (lambda g, x: np.multiply(g, 2, out=g) if isinstance(g, np.ndarray) else g, "in place"),
        (lambda g, x: g * np.abs(g), "linear"),
    ],
)
def test_invariants_that_do_not_hold(rule: Any, says: str) -> None:
    with rules_replaced(OPS["tanh"], x=rule), pytest.raises(AssertionError, match=says):
        assert_grad_invariants(tl.tanh, [np.array([0.5, -1.0])])


@given(hs.data())
def test_strategies_keep_their_promises(data: Any) -> None:
    a, b = data.draw(st.broadcastable(2))
    np.broadcast_shapes(a, b)
    x, y = data.draw(st.matmul_operands())
    np.matmul(x, y)
    perm = data.draw(st.permutations_noninvolutive(4))
    assert tuple(np.argsort(perm)) != perm
    distinct = data.draw(st.indices((2, 2), 6, duplicates=False))
    assert len(np.unique(distinct)) == 4
    assert data.draw(st.attention_masks(3, 4)).any(axis=1).all()
    array = data.draw(st.arrays((2, 3), domain="positive", layouts=st.LAYOUTS))
    assert array.shape == (2, 3)
    assert (array > 0).all()
    assert np.zeros(5)[data.draw(st.slices(5))].ndim == 1
    assert data.draw(st.dtypes("f")).kind == "f"
    assert data.draw(st.tensors((2,))).requires_grad
    assert len(data.draw(st.axes(3))) >= 1


def test_strategies_refuse_what_is_impossible() -> None:
    for wrong in (
        lambda: st.permutations_noninvolutive(2),
        lambda: st.indices((4,), 2, duplicates=False),
        lambda: st.broadcastable(2, patterns=("diagonal",)),
        lambda: st.arrays(elements="normal"),
        lambda: st.arrays(domain="complex"),
    ):
        with pytest.raises(ValueError, match=r"got|fit"):
            wrong()
