"""The norms as taught are the fused ones; the feed-forward layer is torch's sequence of layers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import tensorlite as tl
from claimsformer.transformer import FeedForward, LayerNorm, RMSNorm
from claimsformer.transformer.layer_norm import make_norm

from .reference import close, compare, gradients, ours, shake, state


@given(st.integers(1, 4), st.integers(1, 3), st.integers(2, 9), st.floats(0.01, 100), st.integers(0, 2**32 - 1))
@pytest.mark.parametrize("kind", ["layer_norm", "rms_norm"])
def test_the_definition_is_the_fused_norm(kind: str, b: int, t: int, d: int, scale: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    taught = (LayerNorm if kind == "layer_norm" else RMSNorm)(d).double()
    fused = make_norm(kind, d, 1e-5).double()  # type: ignore[arg-type]
    weights = {name: rng.normal(size=d) for name in taught.state_dict()}
    x = rng.normal(size=(b, t, d)) * scale
    cotangent = tl.tensor(rng.normal(size=(b, t, d)))
    results = []
    for module in (taught, fused):
        module.load_state_dict(weights)
        own = tl.tensor(x, requires_grad=True)
        out = module(own)
        out.backward(cotangent)
        results.append([out.detach(), own.grad, *(p.grad for p in module.parameters())])
    for a, c in zip(*results, strict=True):
        np.testing.assert_allclose(a.numpy(), c.numpy(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_definition_is_torch(dtype: torch.dtype) -> None:
    theirs = shake(torch.nn.LayerNorm(7, dtype=dtype), 0)
    mine = LayerNorm(7).to(tl.float64 if dtype == torch.float64 else tl.float32)
    mine.load_state_dict(state(theirs))
    x = torch.randn(3, 4, 7, dtype=dtype, generator=torch.Generator().manual_seed(0), requires_grad=True)
    own = ours(x, requires_grad=True)
    compare(mine, lambda w: w, theirs, mine(own), theirs(x), [own], [x], dtype)


class TorchFeedForward(torch.nn.Module):
    def __init__(self, activation: str, bias: bool, dtype: torch.dtype) -> None:
        super().__init__()
        self.up = torch.nn.Linear(6, 10, bias, dtype=dtype)
        if activation in ("swiglu", "geglu"):
            self.gate = torch.nn.Linear(6, 10, bias, dtype=dtype)
        self.down = torch.nn.Linear(10, 6, bias, dtype=dtype)
        self.kind = activation

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        f = torch.nn.functional
        hidden = {
            "relu": lambda: f.relu(self.up(x)),
            "gelu": lambda: f.gelu(self.up(x)),
            "gelu_tanh": lambda: f.gelu(self.up(x), approximate="tanh"),
            "swiglu": lambda: f.silu(self.gate(x)) * self.up(x),
            "geglu": lambda: f.gelu(self.gate(x), approximate="tanh") * self.up(x),
        }[self.kind]()
        return self.down(hidden)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("activation", ["relu", "gelu", "gelu_tanh", "swiglu", "geglu"])
@pytest.mark.parametrize("bias", [True, False])
def test_feed_forward_is_torch(activation: str, bias: bool, dtype: torch.dtype) -> None:
    theirs = shake(TorchFeedForward(activation, bias, dtype), 0)
    mine = FeedForward(6, 10, activation, bias).to(tl.float64 if dtype == torch.float64 else tl.float32)  # type: ignore[arg-type]
    mine.load_state_dict(state(theirs))
    x = torch.randn(2, 5, 6, dtype=dtype, generator=torch.Generator().manual_seed(0), requires_grad=True)
    own = ours(x, requires_grad=True)
    compare(mine, lambda w: w, theirs, mine(own), theirs(x), [own], [x], dtype)


def test_each_token_by_itself() -> None:
    layer = FeedForward(6, 10).double()
    x = tl.randn(2, 5, 6, dtype=tl.float64, generator=tl.Generator().manual_seed(0))
    close(layer(x)[:, 2:3], layer(x[:, 2:3]), torch.float64)


def test_unknown_activation() -> None:
    with pytest.raises(ValueError, match=r"swiglu.*got 'tanh'"):
        FeedForward(4, 8, "tanh")  # type: ignore[arg-type]


def test_gradients_helper_sees_all_parameters() -> None:
    module = torch.nn.Linear(2, 2)
    module(torch.ones(1, 2)).sum().backward()
    assert set(gradients(module)) == {"weight", "bias"}
