"""What the weights are before training. The scale matters more than the distribution: signals should neither grow nor
fade from block to block."""

from __future__ import annotations

import math

from tensorlite import nn

from .attention import MultiHeadAttention
from .config import TransformerConfig
from .embedding import InputEmbedding
from .feed_forward import FeedForward

__all__ = ["initialize"]


def initialize(model: nn.Module, config: TransformerConfig) -> None:
    """Draw all matrices anew, in order of the modules, as `config.initialization` says; biases become 0, norms stay."""
    if config.initialization == "default":
        return
    for module in model.modules():
        if isinstance(module, nn.Linear):
            _matrix(module, config)
        elif isinstance(module, InputEmbedding):
            _embedding(module, config)
    if config.initialization == "normal" and config.residual_scaling:
        _scale_residual_writers(model, config)


def _matrix(layer: nn.Linear, config: TransformerConfig) -> None:
    if config.initialization == "xavier":
        nn.init.xavier_uniform_(layer.weight)
    else:
        nn.init.normal_(layer.weight, std=config.init_std)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def _embedding(module: InputEmbedding, config: TransformerConfig) -> None:
    """With "xavier", 1/√d_model where √d_model is multiplied in again, so that tokens and sinusoids weigh the same."""
    std = 1 / math.sqrt(config.d_model) if config.initialization == "xavier" else config.init_std
    for part in (module.token, module.token_type, module.position):
        weight = getattr(part, "weight", None)
        if weight is not None:
            nn.init.normal_(weight, std=std)
    if module.token.padding_idx is not None:
        module.token.weight.data[module.token.padding_idx] = 0


def _scale_residual_writers(model: nn.Module, config: TransformerConfig) -> None:
    """N additions of variance σ² make variance N σ²; GPT-2 divides what is added by √N to keep it at σ²."""
    factor = 1 / math.sqrt(2 * config.n_layers)
    for module in model.modules():
        if isinstance(module, MultiHeadAttention):
            module.out_proj.weight.data.mul_(factor)
        elif isinstance(module, FeedForward):
            module.down.weight.data.mul_(factor)
