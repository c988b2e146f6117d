"""Scaled dot-product attention, fused: the matrix of scores is never kept."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..kernels import attention as kernel
from ..kernels.attention_tiles import default_scale
from .softmax import constant_max, plain_dtype
from .table import op


def _scale(query: Any, scale: Any) -> Any:
    return default_scale(query.shape[-1]) if scale is None else scale


def _shared_heads(x: Any, groups: int) -> Any:
    """`x (..., H, T, d)` with each head repeated `groups` times."""
    if groups == 1:
        return x
    *lead, heads, t, d = x.shape
    spread = np.broadcast_to(x.reshape((*lead, heads, 1, t, d)), (*lead, heads, groups, t, d))
    return spread.reshape((*lead, heads * groups, t, d))


def kept_probabilities(q_shape: Any, k_shape: Any, causal: Any, p: Any, seed: Any) -> Any:
    """Which probabilities the kernel's dropout keeps: it draws them tile by tile, so it is asked, with equal scores and the values told apart."""
    keys = k_shape[-2]
    if p >= 1 or 0 in (*q_shape, *k_shape):
        return np.zeros((*q_shape[:-1], keys), bool)
    q, k = np.zeros(q_shape, np.float32), np.zeros(k_shape, np.float32)
    v = np.broadcast_to(np.eye(keys, dtype=np.float32), (*k_shape[:-1], keys))
    return kernel.attention(q, k, v, None, causal, None, p, seed)[0] > 0


def attention_definition(
    query: Any,
    key: Any,
    value: Any,
    mask: Any = None,
    causal: Any = False,
    scale: Any = None,
    p: Any = 0.0,
    seed: Any = 0,
) -> Any:
    """softmax(q kᵀ scale + mask) v in ordinary ops; a row that may see nothing is 0."""
    groups = query.shape[-3] // key.shape[-3] if len(query.shape) > 2 and key.shape[-3] else 1
    kept = kept_probabilities(query.shape, key.shape, causal, p, seed) if p else np.ones((), bool)
    key, value = _shared_heads(key, groups), _shared_heads(value, groups)
    scores = query @ np.swapaxes(key, -1, -2) * _scale(query, scale)
    visible = np.tri(scores.shape[-2], scores.shape[-1], dtype=bool) if causal else np.ones((), bool)
    if mask is not None:
        plain = mask._data if hasattr(mask, "_data") else mask
        if plain.dtype == np.bool_:
            visible = visible & plain
        else:
            scores = scores + mask
            visible = visible & (plain > -np.inf)
    scores = np.where(visible, scores, -np.inf)
    top = constant_max(scores, len(scores.shape) - 1)
    top = top.detach().numpy() if hasattr(top, "detach") else top
    e: Any = np.where(visible, np.exp(np.where(visible, scores, 0) - np.where(np.isfinite(top), top, 0)), 0)
    total = e.sum(-1, True)
    probabilities = e / np.where(top == -np.inf, 1, total)
    if p:
        factor = np.asarray(kept * (1 / (1 - p) if p < 1 else 0.0))
        probabilities = probabilities * factor.astype(plain_dtype(query))
    return probabilities @ value


@op(namespaces=(), aux=True, quiet=True, name="scaled_dot_product_attention", definition=attention_definition)
def attention(
    query: Any,
    key: Any,
    value: Any,
    mask: Any = None,
    causal: Any = False,
    scale: Any = None,
    p: Any = 0.0,
    seed: Any = 0,
) -> Any:
    """Attention of `query (..., H, T, d)` to `key (..., Hk, S, d)` and `value (..., Hk, S, dv)`; `H` is a multiple of `Hk`."""
    if query.dtype.kind != "f":
        return _analytic(query, key, value, mask, causal, scale), None
    out, *saved = kernel.attention_with_exponentials(query, key, value, mask, causal, scale, p, seed)
    return out, tuple(saved)


def _analytic(q: Any, k: Any, v: Any, mask: Any, causal: Any, scale: Any) -> Any:
    return kernel.attention_definition(q, k, v, mask, causal, scale)


def _attention_grad(
    g: Any,
    needs: Any,
    query: Any,
    key: Any,
    value: Any,
    mask: Any,
    causal: Any,
    scale: Any,
    p: Any,
    seed: Any,
    out: Any,
    aux: Any,
) -> Any:
    logsumexp, kept = aux
    arguments = (np.asarray(g), query, key, value, out, logsumexp, mask, causal, scale, p, seed)
    return list(kernel.attention_backward(*arguments, kept=kept))


attention.grad(_attention_grad, wrt=("query", "key", "value"))
