"""Scaled dot-product attention."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...autograd.mode import mode
from ...autograd.record import apply
from ...ops import attention as ops
from ...ops.dropout import next_seed
from ...tensor import Tensor


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """`softmax(q kᵀ scale + mask) v` for `query (*, H, T, d)`, `key (*, H, S, d)`, `value (*, H, S, dv)` (Vaswani et al. 2017).

    `attn_mask`, boolean (True takes part) or added to the scores, broadcasts to `(*, H, T, S)`. A query that may see nothing gives 0.
    With `enable_gqa` keys and values may have fewer heads, each shared by consecutive query heads (Ainslie et al. 2023).

    Raises:
        RuntimeError: if `attn_mask` and `is_causal` are both given, or shapes or dtypes do not fit.
    """
    _check(query, key, value, attn_mask, dropout_p, is_causal, enable_gqa)
    q, k, v = _same_batch(query, key, value)
    mask: Any = attn_mask
    seed = next_seed() if dropout_p > 0 else 0
    if mask is not None and mask._rg and mode.grad:  # the kernel gives masks no gradient
        return ops.attention_definition(q, k, v, mask, is_causal, scale, dropout_p, seed)  # type: ignore[no-any-return]
    if mask is not None:
        mask = mask._data if mask._data.ndim <= q.ndim else mask._data.reshape(mask._data.shape[mask.ndim - q.ndim :])
    if dropout_p >= 1 or q.numel() == 0 or k.numel() == 0 or v.numel() == 0:
        return ops.attention_definition(q, k, v, mask, is_causal, scale, dropout_p, seed)  # type: ignore[no-any-return]
    return apply(ops.attention, (q, k, v, mask, is_causal, scale, dropout_p, seed))  # type: ignore[no-any-return]


def _check(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, p: float, causal: bool, gqa: bool) -> None:
    if not q._data.dtype == k._data.dtype == v._data.dtype:
        raise RuntimeError(
            f"Expected query, key, and value to have the same dtype, but got query.dtype: {q.dtype} key.dtype: {k.dtype} and value.dtype: {v.dtype} instead."
        )
    if min(q.ndim, k.ndim, v.ndim) < 2:
        raise RuntimeError(
            f"Expected query, key, and value to all be  at least 2 dimensional, but got query.dim: {q.ndim} key.dim: {k.ndim} and value.dim: {v.ndim} instead."
        )
    if not 0 <= p <= 1:
        raise RuntimeError(f"dropout probability has to be between 0 and 1, but got {p}")
    if mask is not None:
        if causal:
            raise RuntimeError(
                "_scaled_dot_product_attention: Explicit attn_mask should not be set when is_causal=True"
            )
        if mask._data.dtype != np.bool_ and mask._data.dtype != q._data.dtype:
            raise RuntimeError(
                f"Expected attn_mask dtype to be bool or to match query dtype, but got attn_mask.dtype: {mask.dtype} and  query.dtype: {q.dtype} instead."
            )
    if q._data.shape[-1] != k._data.shape[-1] or k._data.shape[-2] != v._data.shape[-2]:
        raise RuntimeError(
            f"scaled_dot_product_attention expects query (*, T, d), key (*, S, d), value (*, S, dv), got {list(q._data.shape)}, {list(k._data.shape)}, {list(v._data.shape)}"
        )
    if not gqa and q.ndim > 2 and k.ndim > 2:
        heads = (q._data.shape[-3], k._data.shape[-3], v._data.shape[-3])
        if len({h for h in heads if h != 1}) > 1:
            raise RuntimeError(
                f"scaled_dot_product_attention: query, key and value have {heads} heads; enable_gqa=True lets keys and values share heads"
            )
    if gqa and q._data.shape[-3] % max(k._data.shape[-3], 1):
        raise RuntimeError(
            f"For dense inputs, both fused kernels and the definition need the query heads ({q._data.shape[-3]}) to be a multiple of the key heads ({k._data.shape[-3]})"
        )


def _same_batch(q: Any, k: Any, v: Any) -> tuple[Any, Any, Any]:
    """Leading dims broadcast; heads are left to the kernel, which lets several query heads share one of the keys."""
    same_rank = q.ndim == k.ndim == v.ndim
    same_batch = same_rank and q._data.shape[:-3] == k._data.shape[:-3] and k._data.shape[:-2] == v._data.shape[:-2]
    if same_batch and (q.ndim == 2 or not k._data.shape[-3] or q._data.shape[-3] % k._data.shape[-3] == 0):
        return q, k, v
    lead = np.broadcast_shapes(*(x._data.shape[:-2] for x in (q, k, v)))
    return tuple(x.expand(*lead, *x._data.shape[-2:]) if x._data.shape[:-2] != lead else x for x in (q, k, v))
