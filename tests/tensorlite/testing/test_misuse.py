"""Modules, optimizers, comparisons, invariants and programs that are out of the ordinary or misused: what is given stays as it was, and errors say what to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hypothesis
import numpy as np
import pytest
import torch

import tensorlite as tl
from tensorlite import nn, optim
from tensorlite.testing import (
    Program,
    assert_grad_invariants,
    check_module,
    check_op,
    check_optimizer,
    differential,
    random_programs,
    spec_of,
)

assert hypothesis.__version__
X = np.random.default_rng(0).standard_normal((3, 4))


# -- modules ----------------------------------------------------------------------------------------------------------


class Raises(nn.Module):
    """Works while its gradient is checked, and fails afterwards."""

    def __init__(self, calls: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(tl.ones(4))
        self.left = calls

    def forward(self, x: Any) -> Any:
        self.left -= 1
        if self.left < 0:
            raise RuntimeError("no more")
        return x * self.weight


def test_a_module_stays_as_it_was() -> None:
    module = nn.Sequential(nn.Linear(4, 5), nn.Dropout(0.5), nn.BatchNorm1d(5), nn.Linear(5, 2))
    module[2].eval()
    module(tl.tensor(X, dtype=tl.float32)).sum().backward()
    modes = [m.training for m in module.modules()]
    values = {k: (v.dtype, v.numpy().copy()) for k, v in module.state_dict().items()}
    grads = [None if p.grad is None else p.grad.numpy().copy() for p in module.parameters()]
    assert check_module(module, X).verdict == "pass"
    assert [m.training for m in module.modules()] == modes
    assert all(
        v.dtype == values[k][0] and np.array_equal(v.numpy(), values[k][1]) for k, v in module.state_dict().items()
    )
    assert all(np.array_equal(p.grad.numpy(), g) for p, g in zip(module.parameters(), grads, strict=True))


@pytest.mark.parametrize("calls", [0, 3, 8, 20])
def test_a_module_that_raises_stays_as_it_was(calls: int) -> None:
    module = Raises(calls)
    with pytest.raises(RuntimeError, match="no more"):
        check_module(module, X)
    assert module.training
    assert np.array_equal(module.weight.detach().numpy(), np.ones(4))


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False)
        self.b.weight = self.a.weight

    def forward(self, x: Any) -> Any:
        return {"y": self.b(self.a(x).tanh()), "rest": (x, None, 3)}


@pytest.mark.parametrize(
    ("make", "x"),
    [
        (Tied, X),
        (lambda: nn.Embedding(5, 3), np.array([0, 1, 1])),
        (nn.ReLU, X),
        (lambda: nn.LSTM(4, 3), X[None]),
        (lambda: nn.Linear(4, 2).requires_grad_(False), tl.tensor(X, dtype=tl.float32)),
    ],
)
def test_modules_out_of_the_ordinary(make: Callable[[], Any], x: Any) -> None:
    assert check_module(make(), x).verdict == "pass"


def test_a_buffer_that_is_not_saved_is_noticed() -> None:
    class NotSaved(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("scale", tl.ones(4))

        def forward(self, x: Any) -> Any:
            return x * self.scale

        def state_dict(self, *args: Any, **kwargs: Any) -> Any:
            found = super().state_dict(*args, **kwargs)
            found.pop("scale", None)
            return found

        def load_state_dict(self, state: Any, *args: Any, **kwargs: Any) -> Any:
            return super().load_state_dict(state, strict=False)

    with pytest.raises(AssertionError, match="state_dict was saved and loaded"):
        check_module(NotSaved(), X)


@pytest.mark.parametrize(("module", "says"), [(nn.Linear, "the class Linear; make one"), (lambda x: x, "got function")])
def test_what_is_no_module(module: Any, says: str) -> None:
    with pytest.raises(TypeError, match=says):
        check_module(module, X)


# -- optimizers -------------------------------------------------------------------------------------------------------

NAMES = sorted(k for k, v in vars(optim).items() if isinstance(v, type) and issubclass(v, optim.Optimizer))


@pytest.mark.parametrize("name", [n for n in NAMES if n != "Optimizer"])
def test_every_optimizer(name: str) -> None:
    check_optimizer(name)


@pytest.mark.parametrize(
    ("make", "options", "error", "says"),
    [
        ("Foo", {}, ValueError, "it has ASGD, .*SGD"),
        (optim.SGD([tl.ones(2, requires_grad=True)], lr=0.1), {}, TypeError, "an object of type SGD"),
        ("SGD", {"steps": 0}, ValueError, "at least one step"),
    ],
)
def test_what_is_no_optimizer(make: Any, options: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        check_optimizer(make, **options)


# -- comparisons ------------------------------------------------------------------------------------------------------


def mine_or(lib: Any, a: Any, b: Any) -> Any:
    return a if lib is tl else b


@pytest.mark.parametrize(
    ("f", "says"),
    [
        (lambda lib, a: mine_or(lib, a.float(), a), "output 0 is float32"),
        (lambda lib, a: mine_or(lib, 3, 4), "output 0 is 3"),
        (lambda lib, a: mine_or(lib, (a,), (a, a)), "1 outputs"),
        (lambda lib, a: mine_or(lib, a.detach(), a * 1), "requires_grad is False"),
        (lambda lib, a: a * mine_or(lib, 2, 3), "output 0 differs"),
        (lambda lib, a: mine_or(lib, a.detach() + a * 0, a * 1), "gradient of input 0"),
        (lambda lib, a: 1 / mine_or(lib, 0, 1) * a, "tensorlite raises.*ZeroDivision"),
        (lambda lib, a: (a.detach().mul_(mine_or(lib, 2, 1)), a.sum() * 0)[1], "after the call, input 0"),
    ],
)
def test_differences(f: Any, says: str) -> None:
    with pytest.raises(AssertionError, match=says):
        differential(f, [X])


def test_comparisons_say_what_they_compared() -> None:
    assert "both raise" in differential(lambda lib, a: a.reshape(7), [X]).reason
    assert differential(lambda lib, a: a.shape[0], [X]).reason == "no output is a tensor"
    assert differential(lambda lib, a: a * a.conj(), X + 1j * X).verdict == "equal"
    assert differential(lambda lib, a: a * 2, tl.tensor(X)).verdict == "equal"
    assert differential(lambda lib, a: a * 2, [torch.tensor(X)]).verdict == "equal"
    with pytest.raises(TypeError, match="argument"):
        differential(lambda a: a, [X])
    with pytest.raises(AttributeError, match="nope"):
        differential(lambda lib, a: lib.nope(a), [X])


# -- invariants -------------------------------------------------------------------------------------------------------


def test_invariants_of_functions_out_of_the_ordinary() -> None:
    x = tl.tensor(X, requires_grad=True)
    for f, inputs in (
        (lambda x: x, [X]),
        (lambda x: (x, x), [X]),
        (lambda a, b: a * b, [x, x]),
        (tl.sin, X),
        (lambda z: z * z.conj(), [X + 1j * X]),
        (lambda x, i: x.gather(0, i), [X, np.array([[0, 1, 0, 2]])]),
        (tl.sqrt, [np.array([0.0, -1.0, 1.0])]),
    ):
        assert_grad_invariants(f, inputs)


@pytest.mark.parametrize(
    ("f", "inputs", "says"),
    [
        (lambda x: None, [X], "returned no tensorlite tensor"),
        (lambda x: nn.functional.dropout(x, 0.5), [X], "other values when it is called again"),
        (lambda n: n, [3], "no input is a floating-point tensor"),
        (lambda ts: ts[0] * 2, [[X]], "holds tensors"),
    ],
)
def test_invariants_are_not_passed_unseen(f: Any, inputs: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        assert_grad_invariants(f, inputs)


# -- programs ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("library", ["tensorlite", "torch"])
def test_scripts_compute_what_the_program_does(library: str) -> None:
    """Also with outputs of integers beside those of floats, with infinite constants, and with indices in tuples."""
    run = 0
    for program in random_programs(150, seed=77, max_ops=6):
        try:
            script, grads = program.to_python(library), program.run(library)[1]
        except (LookupError, RuntimeError):
            continue  # torch has no such function, or no gradient of scatter for a smaller index
        names: dict[str, Any] = {"print": lambda *a: None}
        exec(script, names)
        for i, g in enumerate(grads):
            found = names[f"x{i}"].grad
            assert (found is None) == (g is None), script
            if g is not None:
                scale = 1 + np.abs(g).max(initial=0)
                assert np.allclose(found.detach().numpy(force=True), g, rtol=1e-9, atol=1e-9 * scale, equal_nan=True), (
                    script
                )
        run += 1
    assert run > (140 if library == "tensorlite" else 80)


def test_reducing_leaves_an_op() -> None:
    program = next(p for p in random_programs(20, seed=1) if len(p.steps) > 3)
    assert len(program.reduce(lambda p: True).steps) == 1
    assert program.reduce(lambda p: False) is program


@pytest.mark.parametrize(
    ("act", "error", "says"),
    [
        (lambda: next(random_programs(1, must="matmull")), LookupError, "did you mean 'matmul'"),
        (lambda: next(random_programs(1, ops=[])), ValueError, "at least one op"),
        (lambda: next(random_programs(1, max_ops=0)), ValueError, "at least one op"),
        (lambda: check_op("argmax"), LookupError, "no gradient"),
        (lambda: spec_of("nope"), LookupError, "no op 'nope'"),
        (lambda: next(random_programs(1)).to_python("jax"), ValueError, "'tensorlite' and 'torch'"),
        (lambda: next(random_programs(1)).run("jax"), ValueError, "'tensorlite' and 'torch'"),
        (lambda: Program([], []).check(), ValueError, "no input"),
    ],
)
def test_what_no_program_can_be(act: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        act()
