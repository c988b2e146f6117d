"""Small programs at the edges of the rules, run in both libraries: the same value, or the same refusal."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch

import tensorlite as tl

#: Programs that give a value `r`; `m` is the library, `a` a (2, 3) leaf, `x` a (2, 3, 4) tensor.
VALUES = [
    # numbers and dtypes
    "r = m.tensor(-1, dtype=m.uint8)",
    "r = m.zeros(2, dtype=m.uint8).fill_(-1)",
    "r = m.zeros(2, dtype=m.uint8) + 300",
    "z = m.zeros(3, dtype=m.uint8); z[0] = -1; r = z",
    "z = m.zeros(3, dtype=m.bool); z[0] = 0.5; r = z",
    "z = m.zeros(3, dtype=m.int64); z[0] = 2.7; r = z",
    "r = m.tensor([np.ones(2), np.zeros(2)])",
    "r = m.tensor(2**63, dtype=m.float32)",
    "r = m.finfo(m.float16).resolution",
    # whole numbers have no gradient
    "r = a.long().requires_grad",
    "r = a.bool().requires_grad",
    "z = m.zeros(2, 3, dtype=m.int64); z[...] = a; r = z.requires_grad",
    "z = m.zeros(2, 3, dtype=m.int64); z.copy_(a); r = z.requires_grad",
    # views of repeated elements
    "e = m.ones(3).expand(2, 3); e[0].add_(1); r = e",
    "z = a * 1; z.expand(2, 3).mul_(2); z.sum().backward(); r = a.grad",
    # layouts
    "r = m.rand_like(x.permute(0, 2, 1)).stride(), m.randn_like(x.permute(2, 0, 1)).stride(), m.randint_like(x.mT, 3).stride()",
    "r = m.ones(0, 3).stride(), m.ones(2, 0, 3).stride()",
    # memory read as another dtype
    "r = m.ones(2, 4).view(m.int32), m.ones(2, 4).view(m.float64).shape, m.ones(2, 4).view(m.uint8).shape",
    "r = m.ones(2, 4).to(m.complex64).view(dtype=m.float32), a.view(m.int32).requires_grad, a.view(size=(3, 2)).shape",
    "z = m.ones(2); y = z.view(m.int32); y.zero_(); r = z, z._version",
    "r = m.ldexp(m.tensor([1e-4], dtype=m.float16), m.tensor([20])), m.ldexp(m.tensor([1.0]), m.tensor([-3, 2]))",
    "r = m.arange(5).index_fill(0, m.tensor([0, -1]), 9)",
    "r = m.nn.functional.grid_sample(m.ones(1, 0, 2, 2), m.zeros(1, 2, 2, 2), align_corners=True).shape",
    "r = m.grid_sampler(x[None], m.zeros(1, 2, 2, 2), 1, 2, True)",
    "g = m.zeros(1, 2, 2, 2, requires_grad=True); m.grid_sampler(x[None], g, 1, 0, True).sum().backward(); r = g.grad",
    "r = tuple(m.vmap(lambda x: x.max(0))(x[0]))",
    "r = m.func.grad(lambda x, y: (x * y).sum(), argnums=-1)(x, x)",
    # autograd
    "r = m.autograd.grad(a * 2, a, m.ones(2, 2, 3), is_grads_batched=True)[0]",
]

#: Programs that are refused; the class of the error and its first words are torch's.
REFUSED = [
    "m.tensor([1, -200], dtype=m.int8)",
    "m.tensor(300, dtype=m.uint8)",
    "m.tensor(2**40, dtype=m.int32)",
    "m.tensor(float('inf'), dtype=m.int64)",
    "m.tensor(float('nan'), dtype=m.int64)",
    "m.full((2,), 300, dtype=m.uint8)",
    "m.full_like(m.ones(2), 1j)",
    "m.zeros(2, dtype=m.uint8).fill_(300)",
    "m.zeros(2, dtype=m.uint8).clamp(0, 300)",
    "m.where(m.tensor([True, False]), m.ones(2, dtype=m.uint8), 300)",
    "m.ones(2, dtype=m.uint8).masked_fill(m.tensor([True, False]), 300)",
    "m.ones(2, 3).view(m.float64)",
    "m.ones(2, 4).t().view(m.uint8)",
    "m.ones(()).view(m.float64)",
    "m.arange(5).index_fill(0, m.tensor([0, -6]), 9)",
    "x[0] = 1j",
    "x[0] = None",
    "x[0] = 'a'",
    "z = m.zeros(3, dtype=m.int64); z[0] = float('nan')",
    "x[m.zeros(0, dtype=m.bool)]",
    "m.zeros(2.0)",
    "m.zeros('a')",
    "m.normal(0.0, -1.0, (2,))",
    "m.randperm(-1)",
    "a.stride(5)",
    "m.vmap(lambda x: 5)(x)",
    "m.vmap(lambda x: x)(m.tensor(1.0))",
    "m.func.grad(lambda x: x.sum(), argnums=3)(x)",
    "a.data = m.ones(5, dtype=m.int64)",
    "m.autograd.grad(a.sum(), [])",
    "y = a**3; g = m.eye(6).reshape(6, 2, 3); m.autograd.grad(y, a, g, is_grads_batched=True); y.sum().backward()",
    "with m.inference_mode(): z = m.ones(3)\nz.add_(1)",
    "z = a * 1\nwith m.no_grad(): v = z[0]\nv.add_(1)",
    "with m.no_grad(): v = a[0]\nv.add_(1)",
]


def outcome(m: Any, program: str) -> Any:
    """What a program leaves in `r`, or the error it raises."""
    names: dict[str, Any] = {"m": m, "np": np}
    exec("x = m.arange(24.0).reshape(2, 3, 4); a = m.ones(2, 3, requires_grad=True)", names)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            exec(program, names)
        except Exception as error:
            return error
    return names.get("r")


def plain(value: Any) -> Any:
    """A value in words that both libraries share."""
    if isinstance(value, tl.Tensor | torch.Tensor):
        return str(value.dtype).split(".")[1], value.tolist()
    return tuple(map(plain, value)) if isinstance(value, tuple) else value


@pytest.mark.parametrize("program", VALUES)
def test_same_value(program: str) -> None:
    ours, theirs = (outcome(m, program) for m in (tl, torch))
    assert not isinstance(theirs, Exception), theirs
    assert plain(ours) == plain(theirs)


#: torch appends `_t` to names of C++ types, and says more of an argument's place.
@pytest.mark.parametrize("program", REFUSED)
def test_same_refusal(program: str) -> None:
    ours, theirs = (outcome(m, program) for m in (tl, torch))
    assert isinstance(theirs, Exception)
    assert type(ours) is type(theirs), ours
    if str(theirs).startswith("value cannot be converted"):
        assert "without overflow" in str(ours)


def test_whole_numbers_become_the_default_type_in_functions_of_two() -> None:
    one = tl.ones(2, dtype=tl.int8)
    assert tl.hypot(one, one).dtype == tl.nextafter(one, one).dtype == tl.float32
