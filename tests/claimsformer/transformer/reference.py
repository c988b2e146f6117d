"""torch's weights under claimsformer's names, and the comparison of outputs and all gradients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

import tensorlite as tl
from tensorlite import nn

TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}
Weights = dict[str, np.ndarray]


def attention_weights(theirs: Mapping[str, Any], prefix: str = "") -> Weights:
    """torch.nn.MultiheadAttention stacks the three input projections in one matrix."""
    names = ("q_proj", "k_proj", "v_proj")
    out: Weights = {}
    for kind in ("weight", "bias"):
        if f"{prefix}in_proj_{kind}" in theirs:
            parts = np.split(np.asarray(theirs[f"{prefix}in_proj_{kind}"]), 3)
            out |= {f"{name}.{kind}": part for name, part in zip(names, parts, strict=True)}
        if f"{prefix}out_proj.{kind}" in theirs:
            out[f"out_proj.{kind}"] = np.asarray(theirs[f"{prefix}out_proj.{kind}"])
    for name in names:  # separate matrices where key or value have a width of their own
        if f"{prefix}{name}_weight" in theirs:
            out[f"{name}.weight"] = np.asarray(theirs[f"{prefix}{name}_weight"])
    return out


def layer_weights(theirs: Mapping[str, Any], prefix: str = "") -> Weights:
    """torch.nn.TransformerEncoderLayer or TransformerDecoderLayer."""
    decoder = f"{prefix}norm3.weight" in theirs
    out = {f"self_attention.{k}": v for k, v in attention_weights(theirs, f"{prefix}self_attn.").items()}
    if decoder:
        crossed = attention_weights(theirs, f"{prefix}multihead_attn.")
        out |= {f"cross_attention.{k}": v for k, v in crossed.items()}
    names = {"linear1": "feed_forward.up", "linear2": "feed_forward.down", "norm1": "attention_norm"}
    names |= {"norm2": "cross_norm", "norm3": "feed_forward_norm"} if decoder else {"norm2": "feed_forward_norm"}
    for torch_name, own in names.items():
        for kind in ("weight", "bias"):
            if f"{prefix}{torch_name}.{kind}" in theirs:
                out[f"{own}.{kind}"] = np.asarray(theirs[f"{prefix}{torch_name}.{kind}"])
    return out


def stack_weights(theirs: Mapping[str, Any], prefix: str = "") -> Weights:
    """torch.nn.TransformerEncoder or TransformerDecoder."""
    numbers = {k[len(prefix) :].split(".")[1] for k in theirs if k.startswith(f"{prefix}layers.")}
    out: Weights = {}
    for n in numbers:
        out |= {f"layers.{n}.{k}": v for k, v in layer_weights(theirs, f"{prefix}layers.{n}.").items()}
    for kind in ("weight", "bias"):
        if f"{prefix}norm.{kind}" in theirs:
            out[f"norm.{kind}"] = np.asarray(theirs[f"{prefix}norm.{kind}"])
    return out


def state(module: torch.nn.Module) -> Weights:
    return {name: p.detach().numpy() for name, p in module.named_parameters()}


def gradients(module: torch.nn.Module) -> Weights:
    return {name: p.grad.numpy() for name, p in module.named_parameters() if p.grad is not None}


def shake(module: torch.nn.Module, seed: int, by: float = 0.3) -> torch.nn.Module:
    """Random norms and biases too, so that no weight is neutral."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in module.parameters():
            p.add_(torch.randn(p.shape, generator=generator, dtype=p.dtype) * by)
    return module


def ours(x: torch.Tensor | None, requires_grad: bool = False) -> Any:
    if x is None:
        return None
    t = tl.from_numpy(x.detach().numpy().copy())
    return t.requires_grad_() if requires_grad else t


def close(mine: Any, theirs: Any, dtype: torch.dtype, what: str = "", scale: float = 1.0) -> None:
    a = mine.detach().numpy() if hasattr(mine, "detach") else np.asarray(mine)
    b = theirs.detach().numpy() if hasattr(theirs, "detach") else np.asarray(theirs)
    assert a.dtype == b.dtype, (what, a.dtype, b.dtype)
    assert a.shape == b.shape, (what, a.shape, b.shape)
    scale = max(scale, float(np.abs(b).max(initial=0)))
    np.testing.assert_allclose(a / scale, b / scale, rtol=0, atol=TOLERANCE[dtype], err_msg=what)


def compare(
    mine: nn.Module,
    weights_of: Any,
    theirs: torch.nn.Module,
    out: Any,
    expected: torch.Tensor,
    inputs: Sequence[Any],
    their_inputs: Sequence[torch.Tensor],
    dtype: torch.dtype,
) -> None:
    """Outputs, and with a random cotangent the gradients of all inputs and all weights."""
    close(out, expected, dtype, "output")
    cotangent = torch.randn(expected.shape, generator=torch.Generator().manual_seed(7), dtype=dtype)
    expected.backward(cotangent)
    out.backward(ours(cotangent))
    for i, (a, b) in enumerate(zip(inputs, their_inputs, strict=True)):
        if b.grad is not None:
            close(a.grad, b.grad, dtype, f"gradient of input {i}")
    expected_gradients = weights_of(gradients(theirs))
    parameters = dict(mine.named_parameters())
    assert set(expected_gradients) == set(parameters)
    for name, gradient in expected_gradients.items():
        # the gradient of a key's bias is exactly 0 (softmax ignores shifts); what is left of it is rounding of its layer
        layer = expected_gradients.get(f"{name.rpartition('.')[0]}.weight", gradient)
        close(parameters[name].grad, gradient, dtype, f"gradient of {name}", float(np.abs(layer).max()))
