"""Ids to vectors: the embedding of the token, of its type where there are types, and of its position."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

import tensorlite as tl
from tensorlite import Tensor, nn
from tensorlite.nn import functional as F

from .config import TransformerConfig
from .layer_norm import make_norm
from .positional_encoding import LearnedPositions, SinusoidalPositions

__all__ = ["InputEmbedding"]


class InputEmbedding(nn.Module):
    """Ids `(B, T)` to `(B, T, d_model)`, with positions added unless they are rotary."""

    def __init__(self, config: TransformerConfig, vocab_size: int) -> None:
        super().__init__()
        self.scale = math.sqrt(config.d_model) if config.scale_embeddings else 1.0
        self.dropout = config.dropout
        self.token = nn.Embedding(vocab_size, config.d_model, padding_idx=config.pad_id)
        self.token_type = nn.Embedding(config.n_types, config.d_model) if config.n_types else None
        self.position: nn.Module | None = None
        if config.position == "learned":
            self.position = LearnedPositions(config.max_length, config.d_model)
        elif config.position == "sinusoidal":
            self.position = SinusoidalPositions(config.d_model)
        self.norm = (
            make_norm(config.norm, config.d_model, config.norm_eps, config.norm_bias) if config.embedding_norm else None
        )

    def forward(
        self,
        ids: Tensor | None,
        positions: npt.NDArray[np.integer],
        embeddings: Tensor | None = None,
        type_ids: Tensor | None = None,
    ) -> Tensor:
        """Vectors of `ids`, or `embeddings (B, T, D)` in their place, at `positions` `(T,)` or `(B, T)`."""
        x = self.token(ids) if embeddings is None else embeddings
        if self.scale != 1.0:
            x = x * self.scale
        if self.token_type is None and type_ids is not None:
            raise ValueError("this model has no token types: set n_types in its configuration, or leave type_ids out")
        if self.token_type is not None:
            x = x + (self.token_type.weight[0] if type_ids is None else self.token_type(type_ids))
        if self.position is not None:
            x = self.position(x, positions)
        if self.norm is not None:
            x = self.norm(x)
        return F.dropout(x, self.dropout, self.training) if self.dropout else x

    def attend_to_ids(self, ids: npt.NDArray[np.integer]) -> Tensor:
        """Embeddings of ids alone `(B, T, D)`, without positions: what integrated gradients scales."""
        return self.token(tl.from_numpy(np.asarray(ids, np.int64)))  # type: ignore[no-any-return]
