"""The provider transformer: a set of claims in, one score for their provider out.

Every claim is a vector: what the masked claim-field transformer makes of it, and its measurements (days, amounts, gaps)
in piecewise-linear encoding. An encoder without positions lets the claims of one provider look at each other, beside a
token that stands for the provider. What comes out is read in three ways: that token; attention pooling with several
learned questions, which finds the few claims that matter; and a sum over claims on a logarithmic scale, which counts.
Lee et al. 2019 (set transformer), Zaheer et al. 2017 (sums over sets), Gorishniy et al. 2022 (encoding of numbers).
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

import tensorlite as tl
from claimsformer.transformer.config import TransformerConfig
from claimsformer.transformer.layers import EncoderLayer, LayerStack, Visibility
from tensorlite import Tensor, nn
from tensorlite.nn import functional as F

__all__ = ["PiecewiseLinear", "ProviderModelConfig", "ProviderTransformer"]

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class ProviderModelConfig:
    """The shape of the model; `counts` adds the sum over claims, without which the size of the set stays unknown."""

    d_model: int = 48
    n_layers: int = 1
    n_heads: int = 4
    n_questions: int = 4
    dropout: float = 0.2
    counts: bool = True

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)


class PiecewiseLinear:
    """Numbers (N, F) as (N, F * bins): how far each bin between quantiles is filled, 0 to 1; zeros where missing."""

    QUANTILES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.995, 1.0)

    def __init__(self, edges: list[npt.NDArray[np.float64]]) -> None:
        self.edges = edges

    @classmethod
    def fit(cls, numbers: npt.NDArray[np.float64]) -> PiecewiseLinear:
        """Learn the edges of each column; NaN is left out."""
        edges = []
        for column in numbers.T:
            known = column[~np.isnan(column)]
            found = np.unique(np.quantile(known, cls.QUANTILES)) if len(known) else np.zeros(1)
            edges.append(found if len(found) > 1 else np.array([found[0], found[0] + 1.0]))
        return cls(edges)

    def __call__(self, numbers: npt.NDArray[np.float64]) -> Floats:
        """(N, sum of bins), and one column per number that says it is missing."""
        parts = []
        for column, edges in zip(numbers.T, self.edges, strict=True):
            filled = np.clip((column[:, None] - edges[:-1]) / np.diff(edges), 0.0, 1.0)
            parts += [np.nan_to_num(filled, nan=0.0), np.isnan(column)[:, None]]
        return np.concatenate(parts, axis=1).astype(np.float32)


class ProviderTransformer(nn.Module):
    """Claims (B, T, C) of B providers, and what is known of each provider (B, S), to logits (B,)."""

    def __init__(self, claim_size: int, statistics_size: int, config: ProviderModelConfig, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        with tl.random.fork_rng():
            tl.manual_seed(seed)
            self._build(claim_size, statistics_size, config)

    def _build(self, claim_size: int, statistics_size: int, config: ProviderModelConfig) -> None:
        d = config.d_model
        stack = TransformerConfig(
            vocab_size=1, architecture="encoder", d_model=d, n_layers=config.n_layers, n_heads=config.n_heads,
            d_ff=2 * d, position="none", dropout=config.dropout,
        )  # fmt: skip
        self.claim = nn.Linear(claim_size, d)
        self.provider = nn.Parameter(tl.zeros(d))
        self.statistics = nn.Linear(statistics_size, d) if statistics_size else None
        self.encoder = LayerStack(stack, [EncoderLayer(stack) for _ in range(config.n_layers)])
        self.questions = nn.Linear(d, config.n_questions)
        self.count = nn.Linear(d, d) if config.counts else None
        read = d * (1 + config.n_questions + config.counts) + (d if statistics_size else 0)
        self.norm = nn.LayerNorm(read)
        self.hidden = nn.Linear(read, d)
        self.out = nn.Linear(d, 1)

    def forward(self, claims: Tensor, mask: Bools, share: Tensor, statistics: Tensor | None = None) -> Tensor:
        """Logits (B,). `mask` (B, T) is True for claims, `share` (B, 1) the part of the provider's claims that is
        given: sums are divided by it."""
        b = claims.shape[0]
        drop, d = self.config.dropout, self.config.d_model
        given = None if statistics is None or self.statistics is None else self.statistics(statistics)
        token = self.provider.reshape(1, 1, d).expand(b, 1, d)
        if given is not None:
            token = token + given.reshape(b, 1, d)
        x = tl.cat([token, F.dropout(self.claim(claims), drop, self.training)], dim=1)  # (B, 1 + T, D)
        seen = np.concatenate([np.ones((b, 1), dtype=np.bool_), mask], axis=1)
        x = self.encoder(x, visible=Visibility(tl.from_numpy(np.ascontiguousarray(seen[:, None, None, :]))))
        whole, members = x[:, 0], x[:, 1:]
        hidden = tl.from_numpy(np.ascontiguousarray(~mask[:, :, None]))
        scores = self.questions(members).masked_fill(hidden, -math.inf)  # (B, T, Q)
        pooled = F.softmax(scores, 1).transpose(1, 2) @ members  # (B, Q, D)
        parts = [whole, pooled.reshape(b, -1)]
        if self.count is not None:
            amounts = F.softplus(self.count(members)).masked_fill(hidden, 0.0).sum(1)  # (B, D)
            parts.append(tl.log1p(amounts / share))
        if given is not None:
            parts.append(given)
        y = F.gelu(self.hidden(F.dropout(self.norm(tl.cat(parts, dim=1)), drop, self.training)))
        return self.out(F.dropout(y, drop, self.training)).reshape(b)  # type: ignore[no-any-return]
