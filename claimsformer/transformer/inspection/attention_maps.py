"""Where the heads of a model looked, and what follows when looks are chained over layers."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

import tensorlite as tl

from ..evaluation import evaluating
from ..model import Transformer
from .capture import capture

__all__ = ["AttentionMaps", "attention_maps", "attention_rollout"]

Floats = npt.NDArray[np.floating]


@dataclass(frozen=True, slots=True, eq=False)
class AttentionMaps:
    """Attention weights `(L, B, H, T, S)` of each kind that the model has; None for the others."""

    encoder: Floats | None = None
    decoder: Floats | None = None
    cross: Floats | None = None

    def __repr__(self) -> str:
        """The shapes, `(L, B, H, T, S)` each."""
        found = ((f.name, getattr(self, f.name)) for f in fields(self))
        return f"AttentionMaps({', '.join(f'{name}={maps.shape}' for name, maps in found if maps is not None)})"


def attention_maps(model: Transformer, *inputs: Any, **options: Any) -> AttentionMaps:
    """All attention weights of one pass `model(*inputs, **options)`, in evaluation mode and without gradients."""
    with evaluating(model), tl.no_grad(), capture(model, "*_attention", gradients=False) as seen:
        model(*inputs, **options)
    maps = {
        kind: [r.weights.numpy() for name, r in seen.items() if name.startswith(side) and name.endswith(end) and r.weights is not None]
        for kind, side, end in (
            ("encoder", "encoder.", ".self_attention"),
            ("decoder", "decoder.", ".self_attention"),
            ("cross", "decoder.", ".cross_attention"),
        )
    }  # fmt: skip
    return AttentionMaps(**{kind: np.stack(layers) for kind, layers in maps.items() if layers})


def attention_rollout(weights: Floats, residual: float = 0.5) -> Floats:
    """How much of each input token reaches each output token if attention were all there is (Abnar and Zuidema 2020).

    `weights (L, ..., H, T, T)` to `(..., T, T)`: heads are averaged, the share `residual` of the residual stream is added
    as the identity, and the layers are multiplied. Rows sum to 1 where a token may look somewhere.
    """
    if weights.ndim < 4 or weights.shape[-1] != weights.shape[-2]:
        raise ValueError(f"rollout needs self-attention weights (layers, ..., heads, T, T), got {weights.shape}")
    if not 0 <= residual <= 1:
        raise ValueError(f"residual must be in [0, 1], got {residual}")
    identity = np.eye(weights.shape[-1])
    result = np.broadcast_to(identity, (*weights.shape[1:-3], *identity.shape))
    for layer in weights.astype(np.float64):
        mixed = (1 - residual) * layer.mean(-3) + residual * identity  # (..., T, T)
        total = mixed.sum(-1, keepdims=True)
        result = mixed / np.where(total == 0, 1, total) @ result
    return result
