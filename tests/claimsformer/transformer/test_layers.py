"""Blocks and stacks against torch.nn.Transformer and its layers: same weights, outputs and all gradients."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch

import tensorlite as tl
from claimsformer.transformer import (
    DecoderLayer,
    EncoderLayer,
    Transformer,
    TransformerConfig,
    Visibility,
    causal_mask,
    merge_masks,
)

from .reference import close, compare, layer_weights, ours, shake, stack_weights, state

B, T, S, D, H = 2, 5, 7, 16, 4
DTYPES = [torch.float32, torch.float64]


@pytest.fixture(autouse=True)
def _quiet() -> Any:
    with warnings.catch_warnings():  # torch recommends its nested tensors
        warnings.simplefilter("ignore")
        yield


def config(pre: bool, activation: str = "gelu", **more: Any) -> TransformerConfig:
    return TransformerConfig(
        **{
            "vocab_size": 11,
            "d_model": D,
            "n_heads": H,
            "d_ff": 24,
            "activation": activation,
            "norm_position": "pre" if pre else "post",
            "architecture": "encoder-decoder",
            "position": "sinusoidal",
            **more,
        }  # type: ignore[arg-type]
    )


def random(*shape: int, dtype: torch.dtype, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def padding(length: int) -> torch.Tensor:
    real = torch.ones(B, length, dtype=torch.bool)
    real[0, -2:] = False
    return real


def own_dtype(dtype: torch.dtype) -> Any:
    return tl.float64 if dtype == torch.float64 else tl.float32


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("pre", [True, False])
@pytest.mark.parametrize(("activation", "bias"), [("relu", True), ("gelu", True), ("gelu", False)])
@pytest.mark.parametrize("masks", ["none", "causal", "padding", "both"])
def test_encoder_layer(dtype: torch.dtype, pre: bool, activation: str, bias: bool, masks: str) -> None:
    theirs = torch.nn.TransformerEncoderLayer(
        D, H, 24, 0.0, activation, batch_first=True, norm_first=pre, dtype=dtype, bias=bias
    )
    shake(theirs, 0)
    no_bias: dict[str, Any] = {"attention_bias": bias, "feed_forward_bias": bias, "norm_bias": bias}
    mine = EncoderLayer(config(pre, activation, **no_bias)).to(own_dtype(dtype))
    mine.load_state_dict(layer_weights(state(theirs)))
    x = random(B, T, D, dtype=dtype, seed=1).requires_grad_()
    own = ours(x, requires_grad=True)
    causal, real = masks in ("causal", "both"), padding(T) if masks in ("padding", "both") else None
    expected = theirs(
        x,
        src_mask=None if not causal else torch.ones(T, T, dtype=torch.bool).triu(1),
        src_key_padding_mask=None if real is None else ~real,
    )
    visible = Visibility(*merge_masks(T, T, None, None if real is None else real.numpy(), causal))
    compare(mine, layer_weights, theirs, mine(own, visible), expected, [own], [x], dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("pre", [True, False])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_decoder_layer(dtype: torch.dtype, pre: bool, activation: str) -> None:
    theirs = torch.nn.TransformerDecoderLayer(D, H, 24, 0.0, activation, batch_first=True, norm_first=pre, dtype=dtype)
    shake(theirs, 0)
    mine = DecoderLayer(config(pre, activation)).to(own_dtype(dtype))
    mine.load_state_dict(layer_weights(state(theirs)))
    x, memory = (random(B, n, D, dtype=dtype, seed=n).requires_grad_() for n in (T, S))
    inputs = [ours(x, requires_grad=True), ours(memory, requires_grad=True)]
    expected = theirs(
        x,
        memory,
        tgt_mask=torch.ones(T, T, dtype=torch.bool).triu(1),
        memory_key_padding_mask=~padding(S),
    )
    visible = Visibility(*merge_masks(T, T, causal=True))
    memory_visible = Visibility(*merge_masks(T, S, None, padding(S).numpy()))
    out = mine(*inputs, visible, memory_visible)
    compare(mine, layer_weights, theirs, out, expected, inputs, [x, memory], dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("pre", [True, False])
def test_whole_encoder_decoder(dtype: torch.dtype, pre: bool) -> None:
    theirs = torch.nn.Transformer(D, H, 2, 3, 24, 0.0, "gelu", batch_first=True, norm_first=pre, dtype=dtype)
    shake(theirs, 0, by=0.1)  # with 0.3, torch's float32 gradients are 1.7e-5 away from its own float64 ones
    model = Transformer(config(pre, n_decoder_layers=3, final_norm=True, head=False)).to(own_dtype(dtype))
    stacks = tl.nn.ModuleDict({"encoder": model.encoder, "decoder": model.decoder})

    def weights(theirs_: Any) -> Any:
        return {
            f"{side}.{name}": value
            for side in ("encoder", "decoder")
            for name, value in stack_weights(theirs_, f"{side}.").items()
        }

    stacks.load_state_dict(weights(state(theirs)))
    source, target = (random(B, n, D, dtype=dtype, seed=n).requires_grad_() for n in (S, T))
    inputs = [ours(source, requires_grad=True), ours(target, requires_grad=True)]
    real = padding(S)
    expected = theirs(
        source,
        target,
        tgt_mask=torch.ones(T, T, dtype=torch.bool).triu(1),
        src_key_padding_mask=~real,
        memory_key_padding_mask=~real,
    )
    assert model.encoder is not None
    assert model.decoder is not None
    memory = model.encoder(inputs[0], visible=Visibility(*merge_masks(S, S, None, real.numpy())))
    out = model.decoder(
        inputs[1],
        memory,
        Visibility(*merge_masks(T, T, causal=True)),
        Visibility(*merge_masks(T, S, None, real.numpy())),
    )
    compare(stacks, weights, theirs, out, expected, inputs, [source, target], dtype)


def test_parallel_residual_is_the_formula() -> None:
    layer = EncoderLayer(config(True, parallel_residual=True, architecture="decoder")).double()
    x = tl.tensor(random(B, T, D, dtype=torch.float64, seed=0).numpy())
    y = layer.attention_norm(x)
    expected = x + layer.self_attention(y, mask=tl.tensor(causal_mask(T, T))) + layer.feed_forward(y)
    close(layer(x, Visibility(None, True)), expected, torch.float64)


def test_dropout_of_a_residual_branch_keeps_the_stream() -> None:
    """In training the block adds only to about half of the numbers; what came in is always there."""
    layer = EncoderLayer(config(True, dropout=0.5, architecture="encoder"))
    layer.self_attention.out_proj.weight.data.mul_(0)  # attention adds exactly its bias, 0
    layer.self_attention.out_proj.bias.data.mul_(0)
    x = tl.randn(1, 200, D, generator=tl.Generator().manual_seed(0))
    tl.manual_seed(1)
    unchanged = (layer(x).detach().numpy() == x.numpy()).mean()
    assert 0.45 < unchanged < 0.55
    assert (layer.eval()(x).detach().numpy() == x.numpy()).mean() < 0.01
