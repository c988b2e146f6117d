"""Attention: each token asks a question, every token offers an answer, and the answers are mixed by how well they fit.

`scaled_dot_product_attention` below is the definition, which also gives the weights. The function of that name in
`tensorlite.nn.functional` computes the same output without ever keeping the (T, S) matrix of weights; layers use it unless the weights are asked for.
What this module does not do: local or sparse attention, relative biases other than those a caller adds as a mask.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

import tensorlite as tl
from tensorlite import Tensor, nn
from tensorlite.nn import functional as F

from .cache import KeyValueCache
from .positional_encoding import apply_rotary

__all__ = ["MultiHeadAttention", "causal_mask", "merge_masks", "scaled_dot_product_attention"]

Bools = npt.NDArray[np.bool_]


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None = None,
    scale: float | None = None,
    dropout: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """softmax(query keyᵀ / √d) value and its weights, for `(B, H, T, d)`, `(B, H, S, d)`, `(B, H, S, dv)` (Vaswani et al. 2017).

    `mask` broadcasts to `(B, H, T, S)`: True where a query may look, or numbers added to the scores. A query that may
    look nowhere gets weights 0 and output 0. Fewer key heads than query heads are shared by consecutive query heads.
    """
    groups, rest = divmod(query.shape[-3], key.shape[-3]) if query.ndim > 2 else (1, 0)
    if rest:
        raise ValueError(f"{query.shape[-3]} query heads cannot share {key.shape[-3]} key heads: not a multiple")
    if groups > 1:
        key, value = key.repeat_interleave(groups, -3), value.repeat_interleave(groups, -3)
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = query @ key.transpose(-2, -1) * scale  # (B, H, T, S): how well each key fits each query
    if mask is None:
        weights = F.softmax(scores, -1)  # (B, H, T, S): each row sums to 1
    else:
        weights = _masked_softmax(scores, mask)
    mixed = F.dropout(weights, dropout) if dropout else weights
    return mixed @ value, weights  # (B, H, T, dv)


def _masked_softmax(scores: Tensor, mask: Tensor) -> Tensor:
    allowed = mask.detach().numpy()
    if allowed.dtype not in (np.bool_, scores.detach().numpy().dtype):
        raise ValueError(f"a mask must be boolean or of the scores' dtype {scores.dtype}, got {mask.dtype}")
    if allowed.dtype != np.bool_:
        scores, allowed = scores + mask, allowed > -np.inf
    allowed = np.broadcast_to(allowed, scores.shape)
    blind = ~allowed.any(-1, keepdims=True)  # softmax of a row of −inf would be 0/0
    scores = scores.masked_fill(tl.from_numpy(~allowed), -math.inf).masked_fill(tl.from_numpy(blind), 0.0)
    return F.softmax(scores, -1).masked_fill(tl.from_numpy(blind), 0.0)  # type: ignore[no-any-return]


def causal_mask(n_queries: int, n_keys: int) -> Bools:
    """(T, S), True where query i may look: at keys up to its own position, the last query standing at the last key."""
    return np.tri(n_queries, n_keys, n_keys - n_queries, dtype=np.bool_)


def merge_masks(
    n_queries: int, n_keys: int, mask: Tensor | None = None, key_mask: Bools | None = None, causal: bool = False
) -> tuple[Tensor | None, bool]:
    """One mask for `mask` (see above), `key_mask (B, S)` with True for real tokens, and causality; and `is_causal`.

    What forbids nothing is dropped, and causality without anything else is left to the fused kernel, which skips the
    forbidden half of the work.
    """
    allowed: Bools | None = None
    if key_mask is not None and not key_mask.all():
        allowed = key_mask[:, None, None, :]  # (B, 1, 1, S)
    if causal and n_queries == n_keys and mask is None and allowed is None:
        return None, True
    if causal and n_queries > 1:
        triangle = causal_mask(n_queries, n_keys)
        allowed = triangle if allowed is None else allowed & triangle  # (B, 1, T, S)
    if allowed is None or mask is None:
        return (mask if allowed is None else tl.from_numpy(np.ascontiguousarray(allowed))), False
    if mask.dtype == tl.bool:
        return mask & tl.from_numpy(allowed), False
    return tl.where(tl.from_numpy(allowed), mask, -math.inf), False


class MultiHeadAttention(nn.Module):
    """H attentions side by side, each on its own projection of the tokens; their outputs are joined and mixed.

    `n_kv_heads` shares each head of keys and values between n_heads / n_kv_heads query heads; `head_dim` is d_model /
    n_heads unless given; `kv_dim` is the width of keys and values where it is not d_model. Raises ValueError when heads
    do not divide.
    """

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        *,
        n_kv_heads: int | None = None,
        head_dim: int | None = None,
        kv_dim: int | None = None,
        bias: bool = True,
        out_bias: bool | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        n_kv_heads = n_heads if n_kv_heads is None else n_kv_heads
        if min(d_model, n_heads, n_kv_heads, 1 if head_dim is None else head_dim) < 1:
            raise ValueError(
                f"widths and heads must be positive, got {d_model=}, {n_heads=}, {n_kv_heads=}, {head_dim=}"
            )
        if head_dim is None and d_model % n_heads:
            raise ValueError(f"d_model={d_model} must be a multiple of n_heads={n_heads}; or give head_dim")
        self.n_heads, self.n_kv_heads = n_heads, n_kv_heads
        if n_heads % self.n_kv_heads:
            raise ValueError(f"n_heads={n_heads} must be a multiple of n_kv_heads={self.n_kv_heads}")
        self.head_dim = d_model // n_heads if head_dim is None else head_dim
        self.dropout = dropout
        width, kv_width = n_heads * self.head_dim, self.n_kv_heads * self.head_dim
        kv_dim = d_model if kv_dim is None else kv_dim
        self.q_proj = nn.Linear(d_model, width, bias=bias)
        self.k_proj = nn.Linear(kv_dim, kv_width, bias=bias)
        self.v_proj = nn.Linear(kv_dim, kv_width, bias=bias)
        self.out_proj = nn.Linear(width, d_model, bias=bias if out_bias is None else out_bias)
        #: Called with the weights (B, H, T, S) of every forward pass while it is set; `inspection.capture` sets it.
        self.on_weights: Callable[[Tensor], None] | None = None

    def forward(
        self,
        query: Tensor,
        key: Tensor | None = None,
        value: Tensor | None = None,
        *,
        mask: Tensor | None = None,
        key_mask: Tensor | None = None,
        is_causal: bool = False,
        rotary: tuple[Tensor, Tensor] | None = None,
        cache: KeyValueCache | None = None,
        need_weights: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """`query (B, T, D)` looks at `key (B, S, D)` (default: itself) and mixes `value` (default: `key`) into `(B, T, D)`.

        `mask` broadcasts to `(B, H, T, S)`, `key_mask (B, S)` is True (or 1) for real tokens, `is_causal` forbids keys after
        the query. `rotary` holds the cosines and sines of the tokens' positions. With `need_weights` the weights
        `(B, H, T, S)` come too; they are those before dropout.
        """
        key = query if key is None else key
        q = self._heads(self.q_proj(query), self.n_heads)  # (B, H, T, d)
        if rotary is not None:
            q = apply_rotary(q, *rotary)
        k, v = self._keys_and_values(key, key if value is None else value, rotary, cache)  # (B, Hk, S, d)
        if key_mask is not None or is_causal:
            real = None if key_mask is None else key_mask.numpy().astype(np.bool_)  # 0 and 1 will do
            mask, is_causal = merge_masks(q.shape[2], k.shape[2], mask, real, is_causal)
        dropout = self.dropout if self.training else 0.0
        weights: Tensor | None = None
        if need_weights or self.on_weights is not None:
            if is_causal:
                mask = tl.from_numpy(causal_mask(q.shape[2], k.shape[2]))
            mixed, weights = scaled_dot_product_attention(q, k, v, mask, dropout=dropout)
            if self.on_weights is not None:
                self.on_weights(weights)
        else:
            mixed = F.scaled_dot_product_attention(
                q, k, v, mask, dropout, is_causal, enable_gqa=self.n_kv_heads != self.n_heads
            )
        b, h, t, d = mixed.shape
        out = self.out_proj(mixed.transpose(1, 2).reshape(b, t, h * d))  # (B, T, D)
        return (out, weights) if need_weights and weights is not None else out

    def _heads(self, x: Tensor, n: int) -> Tensor:
        b, t, _ = x.shape
        heads: Tensor = x.reshape(b, t, n, self.head_dim).transpose(1, 2)  # (B, n, T, d)
        return heads

    def _keys_and_values(
        self, key: Tensor, value: Tensor, rotary: tuple[Tensor, Tensor] | None, cache: KeyValueCache | None
    ) -> tuple[Tensor, Tensor]:
        if cache is not None and cache.static and cache.length:
            return cache.read()
        k = self._heads(self.k_proj(key), self.n_kv_heads)
        v = self._heads(self.v_proj(value), self.n_kv_heads)
        if rotary is not None:
            k = apply_rotary(k, *rotary)
        return (k, v) if cache is None else cache.append(k, v)

    def extra_repr(self) -> str:
        return f"n_heads={self.n_heads}, n_kv_heads={self.n_kv_heads}, head_dim={self.head_dim}, dropout={self.dropout}"
