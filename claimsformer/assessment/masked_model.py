"""The masked claim-field transformer: it predicts each field of a claim from all the others.

A token is the sum of what it holds, its family, its field, its rank, and for numbers the z-score along the field's own
direction. An encoder mixes the tokens; a hidden field's vector is compared with the embeddings of that field's values
alone, so the prediction is a softmax over one contiguous slice of the vocabulary, with tied weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

import tensorlite as tl
from claimsformer.tokenizer.fields import ClaimBatch, FieldTokenizer
from claimsformer.transformer.config import TransformerConfig
from claimsformer.transformer.layers import EncoderLayer, LayerStack, Visibility
from tensorlite import Tensor, nn
from tensorlite.nn import functional as F

__all__ = ["MaskedClaimModel", "MaskedModelConfig", "Prediction"]

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class MaskedModelConfig:
    """The shape of the model; sizes of the vocabulary come from the tokenizer. With `family_output` a code is predicted
    by its own embedding plus its family's, so that rare codes are told apart by what their family has learned."""

    d_model: int = 48
    n_layers: int = 2
    n_heads: int = 4
    dropout: float = 0.0
    family_output: bool = False

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class Prediction:
    """Log-probabilities of one field: `rows` (N,) and `ranks` (N,) of the hidden tokens, `truth` (N,) their offsets in
    the field's slice, `log_p` (N, V_field)."""

    field: str
    rows: npt.NDArray[np.int64]
    ranks: npt.NDArray[np.int64]
    truth: npt.NDArray[np.int64]
    log_p: Floats


class MaskedClaimModel(nn.Module):
    """Claims (B, T) to vectors (B, T, D) and, for hidden tokens, to scores of their field's values."""

    def __init__(self, tokenizer: FieldTokenizer, config: MaskedModelConfig, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        self.slices = [(name, tokenizer.slices[name]) for name in tokenizer.field_names]
        with tl.random.fork_rng():
            tl.manual_seed(seed)
            self._build(tokenizer, config)

    def _build(self, tokenizer: FieldTokenizer, config: MaskedModelConfig) -> None:
        d = config.d_model
        self.value = nn.Embedding(tokenizer.vocab_size, d)
        self.parent = nn.Embedding(tokenizer.parent_size, d)
        self.field = nn.Embedding(tokenizer.field_size, d)
        self.rank = nn.Embedding(tokenizer.position_size, d)
        self.number = nn.Embedding(tokenizer.field_size, d)
        stack = TransformerConfig(
            vocab_size=tokenizer.vocab_size, architecture="encoder", d_model=d, n_layers=config.n_layers,
            n_heads=config.n_heads, position="none", dropout=config.dropout,
        )  # fmt: skip
        self.encoder = LayerStack(stack, [EncoderLayer(stack) for _ in range(config.n_layers)])
        self.transform = nn.Linear(d, d)
        self.norm = nn.LayerNorm(d)
        self.bias = nn.Parameter(tl.zeros(tokenizer.vocab_size))
        self.families = tokenizer.families
        for table in (self.value, self.parent, self.field, self.rank, self.number):
            nn.init.normal_(table.weight, std=0.05)

    def forward(self, batch: ClaimBatch) -> Tensor:
        """The vectors of all tokens, (B, T, D)."""
        x, visible = self.embedded(batch)
        return self.encoder(x, visible=visible)  # type: ignore[no-any-return]

    def embedded(self, batch: ClaimBatch) -> tuple[Tensor, Visibility]:
        """The tokens as they enter the encoder, (B, T, D), and who may look where: at real tokens."""
        ids = (batch.value_ids, batch.parent_ids, batch.field_ids, batch.position_ids)
        value, parent, field, rank = (tl.from_numpy(np.ascontiguousarray(a, np.int64)) for a in ids)
        x = self.value(value) + self.parent(parent) + self.field(field) + self.rank(rank)
        x = x + self.number(field) * tl.from_numpy(np.ascontiguousarray(batch.scalars[..., None]))
        real: Bools = batch.mask
        mask = None if real.all() else tl.from_numpy(np.ascontiguousarray(real[:, None, None, :]))
        return x, Visibility(mask)

    def head(self, hidden: Tensor) -> Tensor:
        """Vectors (N, D) of hidden tokens, ready to be compared with value embeddings."""
        return self.norm(F.gelu(self.transform(hidden)))  # type: ignore[no-any-return]

    def logits(self, vectors: Tensor, where: slice) -> Tensor:
        """Scores (N, V_field) of a field's values for `vectors` (N, D) out of `head`."""
        weight = self.value.weight[where]
        if self.config.family_output and (families := self.families[where]).any():
            weight = weight + self.parent(tl.from_numpy(families))
        return F.linear(vectors, weight, self.bias[where])

    def loss(self, shown: ClaimBatch, truth: ClaimBatch, hidden: Bools) -> Tensor:
        """Mean negative log-likelihood in nats of the hidden tokens (B, T), over their fields' slices."""
        total: Tensor | None = None
        at, field_ids, value_ids = _flat(truth, hidden)
        vectors = self.head(self.forward(shown).reshape(-1, self.config.d_model)[tl.from_numpy(at)])
        for where, picked in self._by_field(field_ids):
            logits = self.logits(vectors[tl.from_numpy(picked)], where)
            target = tl.from_numpy(value_ids[picked] - where.start)
            part = F.cross_entropy(logits, target, reduction="sum")
            total = part if total is None else total + part
        assert total is not None
        return total / len(at)

    def _by_field(self, field_ids: npt.NDArray[np.int64]) -> Iterator[tuple[slice, npt.NDArray[np.int64]]]:
        for index in np.unique(field_ids).tolist():
            yield self.slices[index - 1][1], np.flatnonzero(field_ids == index)

    def predict(self, shown: ClaimBatch, truth: ClaimBatch, hidden: Bools) -> list[Prediction]:
        """Log-probabilities of the hidden tokens, field by field; no graph is kept."""
        at, field_ids, value_ids = _flat(truth, hidden)
        ranks = truth.position_ids[hidden].astype(np.int64)
        rows = np.broadcast_to(np.arange(len(truth))[:, None], truth.shape)[hidden]
        found = []
        with tl.no_grad():
            vectors = self.head(self.forward(shown).reshape(-1, self.config.d_model)[tl.from_numpy(at)])
            for index in np.unique(field_ids).tolist():
                name, where = self.slices[index - 1]
                picked = np.flatnonzero(field_ids == index)
                log_p = F.log_softmax(self.logits(vectors[tl.from_numpy(picked)], where), dim=-1).numpy()
                offsets = value_ids[picked] - where.start
                found.append(Prediction(name, rows[picked], ranks[picked], offsets, log_p))
        return found

    def summary_vectors(self, batch: ClaimBatch) -> Floats:
        """One vector a claim, (B, D): the mean of its tokens' vectors, scaled to length 1."""
        with tl.no_grad():
            hidden = self.forward(batch).numpy()
        weights = batch.mask[..., None].astype(np.float32)
        mean = (hidden * weights).sum(1) / weights.sum(1)
        unit: Floats = mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-12)
        return unit


def _flat(
    batch: ClaimBatch, hidden: Bools
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Flat places, field ids and value ids of the hidden tokens."""
    at = np.flatnonzero(hidden)
    return at, batch.field_ids[hidden].astype(np.int64), batch.value_ids[hidden].astype(np.int64)
