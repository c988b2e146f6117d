"""gradcheck on torch's own functions: right ones pass, and the index_put of torch with duplicate indices does not."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import tensorlite as tl
from tensorlite.testing import CONVENTIONS, differential, generate, gradcheck, random_programs
from tensorlite.testing.source import RandomSource


def test_torch_function() -> None:
    x = torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda t: torch.sin(t) * torch.exp(t), x).verdict == "pass"
    assert gradcheck(lambda t: torch.sin(t) * torch.exp(t), x, order=2, method="richardson", rtol=1e-6).ok


def test_torch_index_put_gives_overwritten_values_a_gradient_and_tensorlite_does_not() -> None:
    x = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    v = torch.tensor([5.0, 6.0, 7.0], dtype=torch.float64, requires_grad=True)
    report = gradcheck(lambda x, v: x.index_put((torch.tensor([0, 0, 2]),), v), [x, v], report="return")
    assert report.verdict == "fail"
    assert report.worst is not None
    assert report.worst.place == "x1[0]"
    where = tl.tensor([0, 0, 2])
    assert gradcheck(lambda x, v: x.index_put((where,), v), [np.zeros(4), np.array([5.0, 6.0, 7.0])]).ok


#: torch computes hardsigmoid with a float32 constant, has no gradient for Bessel functions, and gives overwritten values a gradient
OTHERWISE = (
    "setitem",
    "index_put",
    "put",
    "index_copy",
    "scatter_write",
    "hardsigmoid",
    "hardswish",
    "bessel_j0",
    "bessel_j1",
    "spherical_bessel_j0",
)


def test_programs_give_the_same_in_torch() -> None:
    """Values and gradients of random programs, over the ops whose conventions at ties and for duplicates are torch's."""
    compared = 0
    for program in random_programs(150, seed=3, max_ops=5):
        try:
            theirs = program.run("torch")
        except (LookupError, ValueError, RuntimeError, TypeError, NotImplementedError, AttributeError):
            continue  # torch has no such function, or no negative step
        if any(s.op in OTHERWISE for s in program.steps):
            continue
        mine = program.run()
        for a, b in zip(mine[0] + mine[1], theirs[0] + theirs[1], strict=True):
            if a is None or b is None:
                assert a is None or not a.any()
                assert b is None or not b.any()
                continue
            scale = 1 + np.abs(b).max(initial=0.0)
            assert np.allclose(a, b, rtol=1e-8, atol=1e-9 * scale, equal_nan=True), str(program)
        compared += 1
    assert compared > 50


def test_script_for_torch_runs() -> None:
    program = next(p for p in random_programs(200, seed=1, ops=["tanh", "mul", "sum", "matmul"]) if len(p.steps) > 2)
    for library in ("torch", "tensorlite"):
        exec(program.to_python(library), {"print": lambda *a: None})


def test_differential() -> None:
    assert differential(lambda lib, a: lib.relu(a) * a, [np.array([0.0, 1.0, -1.0])]).verdict == "equal"
    assert differential(lambda lib, a: a.reshape(7), [np.zeros(3)]).verdict == "equal"  # both raise
    assert differential(lambda a: a * 2, [np.ones(2)], "numpy64").verdict == "equal"
    assert differential(lambda a: a * 2, [np.ones(2)], "complex").verdict == "equal"


@pytest.mark.parametrize("name", sorted(CONVENTIONS))
def test_conventions_at_ties_are_torchs(name: str) -> None:
    ties = 0
    for k in range(40):
        program = generate(RandomSource((2, k), "coarse"), ops=[name], max_ops=1)
        ties += program.check(directions=1).verdict == "kink"
        assert program.check(kinks="convention").ok
        mine, theirs = program.run()[1], program.run("torch")[1]
        for a, b in zip(mine, theirs, strict=True):
            assert np.allclose(0 if a is None else a, 0 if b is None else b, rtol=1e-12, atol=1e-14), str(program)
    assert ties > 0
