"""Encoder and decoder blocks: attention, then feed-forward, each added to what came in.

Where the norm stands decides how such a block trains. "post" (Vaswani et al. 2017): x = norm(x + f(x)). "pre" (GPT-2 and
nearly everything since): x = x + f(norm(x)), so that a path without norms runs from the first block to the last. With
`parallel_residual` (GPT-J, Phi) both sub-layers read the same norm: x = x + attention(norm(x)) + feed_forward(norm(x)).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from tensorlite import Tensor, nn
from tensorlite.nn import functional as F

from .attention import MultiHeadAttention
from .cache import DecoderCache, KeyValueCache
from .config import TransformerConfig
from .feed_forward import FeedForward
from .layer_norm import make_norm

__all__ = ["DecoderLayer", "EncoderLayer", "LayerStack", "Visibility"]


class Visibility(NamedTuple):
    """Who may look where: `mask` broadcasts to `(B, H, T, S)`, and `is_causal` stands for the triangular mask."""

    mask: Tensor | None = None
    is_causal: bool = False


EVERYTHING = Visibility()
Rotary = tuple[Tensor, Tensor] | None


class EncoderLayer(nn.Module):
    """Self-attention and feed-forward on `(B, T, D)`. A decoder without an encoder is a stack of these with causal masks."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.pre = config.norm_position == "pre"
        self.parallel, self.dropout = config.parallel_residual, config.dropout
        self.attention_norm = _norm(config)
        self.self_attention = _attention(config)
        self.feed_forward_norm = None if self.parallel else _norm(config)
        self.feed_forward = FeedForward(
            config.d_model,
            config.feed_forward_width,
            config.activation,
            config.feed_forward_bias,
            config.activation_dropout,
        )

    def forward(
        self,
        x: Tensor,
        visible: Visibility = EVERYTHING,
        rotary: Rotary = None,
        cache: KeyValueCache | None = None,
    ) -> Tensor:
        """`x (B, T, D)` to the same."""
        attend = self._attend(visible, rotary, cache)
        if self.parallel:
            y = self.attention_norm(x)
            return x + self._drop(attend(y)) + self._drop(self.feed_forward(y))
        x = self._add(x, attend, self.attention_norm)
        assert self.feed_forward_norm is not None
        return self._add(x, self.feed_forward, self.feed_forward_norm)

    def _attend(self, visible: Visibility, rotary: Rotary, cache: KeyValueCache | None) -> Callable[[Tensor], Tensor]:
        return lambda y: self.self_attention(
            y, mask=visible.mask, is_causal=visible.is_causal, rotary=rotary, cache=cache
        )

    def _add(self, x: Tensor, sublayer: Callable[[Tensor], Tensor], norm: nn.Module) -> Tensor:
        if self.pre:
            return x + self._drop(sublayer(norm(x)))
        return norm(x + self._drop(sublayer(x)))  # type: ignore[no-any-return]

    def _drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout, self.training) if self.dropout else x


class DecoderLayer(EncoderLayer):
    """An encoder layer with cross-attention to the encoder's output between its two sub-layers."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__(config)
        self.cross_norm = _norm(config)
        self.cross_attention = _attention(config)

    def forward(  # type: ignore[override]
        self,
        x: Tensor,
        memory: Tensor,
        visible: Visibility = EVERYTHING,
        memory_visible: Visibility = EVERYTHING,
        rotary: Rotary = None,
        cache: KeyValueCache | None = None,
        cross_cache: KeyValueCache | None = None,
    ) -> Tensor:
        """`x (B, T, D)` to the same, looking at `memory (B, S, D)`."""

        def attend_memory(y: Tensor) -> Tensor:
            return self.cross_attention(y, memory, mask=memory_visible.mask, cache=cross_cache)  # type: ignore[no-any-return]

        x = self._add(x, self._attend(visible, rotary, cache), self.attention_norm)
        x = self._add(x, attend_memory, self.cross_norm)
        assert self.feed_forward_norm is not None
        return self._add(x, self.feed_forward, self.feed_forward_norm)


class LayerStack(nn.Module):
    """Blocks one after another, and a norm at the end where the configuration has one."""

    def __init__(self, config: TransformerConfig, layers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.norm = _norm(config) if config.has_final_norm else None

    def forward(
        self,
        x: Tensor,
        memory: Tensor | None = None,
        visible: Visibility = EVERYTHING,
        memory_visible: Visibility = EVERYTHING,
        rotary: Rotary = None,
        cache: DecoderCache | None = None,
    ) -> Tensor:
        """`x (B, T, D)` through all blocks; those that have cross-attention look at `memory (B, S, D)`."""
        for i, layer in enumerate(self.layers):
            own = None if cache is None else cache.self_attention[i]
            if memory is None:
                x = layer(x, visible, rotary, own)
            else:
                cross = None if cache is None else cache.cross_attention[i]
                x = layer(x, memory, visible, memory_visible, rotary, own, cross)
        return x if self.norm is None else self.norm(x)


def _norm(config: TransformerConfig) -> nn.Module:
    return make_norm(config.norm, config.d_model, config.norm_eps, config.norm_bias)


def _attention(config: TransformerConfig) -> MultiHeadAttention:
    return MultiHeadAttention(
        config.d_model,
        config.n_heads,
        n_kv_heads=config.n_kv_heads,
        head_dim=config.head_dim,
        bias=config.attention_bias,
        out_bias=config.attention_out_bias,
        dropout=config.attention_dropout,
    )
