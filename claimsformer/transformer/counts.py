"""Parameters, floating-point operations and cache memory of a configuration, by formula: no model is built.

A matrix of n_in × n_out costs 2 n_in n_out operations a token (one multiplication, one addition); scores and the mixing
of values cost 2 T S d each a head. Norms, activations and softmax are left out, as everybody does: about 1 %.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from .config import TransformerConfig

__all__ = [
    "Matrix",
    "count_flops",
    "count_lora_parameters",
    "count_parameters",
    "key_value_cache_bytes",
    "matrices",
    "training_flops",
]


@dataclass(frozen=True, slots=True)
class Matrix:
    """A linear layer: its name within a block, its sizes, whether it adds a bias, and how often the model has it."""

    name: str
    n_in: int
    n_out: int
    bias: bool
    copies: int
    side: str  # "encoder", "decoder", "memory" (keys and values of cross-attention) or "head"

    @property
    def parameters(self) -> int:
        return self.copies * (self.n_in * self.n_out + self.bias * self.n_out)


def matrices(config: TransformerConfig) -> list[Matrix]:
    """All linear layers, the head included even where its matrix is the embedding's."""
    found = []
    for side, layers in _sides(config):
        found += _attention(config, "self_attention", side, side, layers)
        if config.architecture == "encoder-decoder" and side == "decoder":
            found += _attention(config, "cross_attention", side, "memory", layers)
        d, ff, bias = config.d_model, config.feed_forward_width, config.feed_forward_bias
        for name in ("up", "gate") if config.is_gated else ("up",):
            found.append(Matrix(f"feed_forward.{name}", d, ff, bias, layers, side))
        found.append(Matrix("feed_forward.down", ff, d, bias, layers, side))
    if config.pooler:
        found.append(Matrix("pooler", config.d_model, config.d_model, True, 1, "pooler"))
    if config.head:
        found.append(Matrix("lm_head", config.d_model, config.decoder_vocab_size, config.head_bias, 1, "head"))
    return found


def count_parameters(config: TransformerConfig) -> dict[str, int]:
    """Parameters by part: embeddings, attention, feed_forward, norms, pooler, head, and their total. Shared ones count once."""
    parts = dict.fromkeys(("embeddings", "attention", "feed_forward", "norms", "pooler", "head"), 0)
    parts["embeddings"] = _embeddings(config)
    parts["norms"] = _norms(config)
    for m in matrices(config):
        part = {"lm_head": "head", "pooler": "pooler"}.get(m.name) or (
            "feed_forward" if m.name.startswith("feed_forward") else "attention"
        )
        shared = m.n_in * m.n_out if m.name == "lm_head" and config.tie_weights else 0
        parts[part] += m.parameters - shared
    parts["total"] = sum(parts.values())
    return parts


def count_lora_parameters(config: TransformerConfig, rank: int, targets: Collection[str]) -> int:
    """Trainable numbers of LoRA adapters of `rank` on the layers named `targets` (Hu et al. 2021): rank (n_in + n_out) each.

    A target is the last part of a layer's name, such as "q_proj" or "up". Raises ValueError for one that no layer has.
    """
    layers = matrices(config)
    unknown = set(targets) - {m.name.rpartition(".")[2] for m in layers}
    if unknown:
        raise ValueError(
            f"no layer is named {', '.join(sorted(unknown))}; there are {sorted({m.name for m in layers})}"
        )
    return sum(rank * (m.n_in + m.n_out) * m.copies for m in layers if m.name.rpartition(".")[2] in targets)


def count_flops(
    config: TransformerConfig, length: int, batch: int = 1, *, cached: int = 0, source_length: int | None = None
) -> int:
    """Operations of one forward pass over `length` tokens, of which each also sees `cached` tokens of a key-value cache.

    Scores are counted for all pairs, masked or not. `source_length` (default: `length`) is what an encoder-decoder reads.
    The pooler is left out: it acts on one token.
    """
    source = length if source_length is None else source_length
    tokens = {"encoder": source if config.decoder_side else length, "decoder": length, "memory": source, "head": length}
    total = sum(2 * m.n_in * m.n_out * m.copies * tokens[m.side] for m in matrices(config) if m.side in tokens)
    width = 2 * 2 * config.n_heads * config.width_of_head  # scores, and values, of one query and one key in all heads
    for side, layers in _sides(config):
        if side == "encoder":
            total += layers * width * tokens["encoder"] ** 2
        else:
            total += layers * width * length * (length + cached)
            if config.architecture == "encoder-decoder":
                total += layers * width * length * source
    return batch * total


def training_flops(config: TransformerConfig, length: int, batch: int = 1) -> int:
    """Forward and backward: every product has two gradients, hence three times the forward pass."""
    return 3 * count_flops(config, length, batch)


def key_value_cache_bytes(config: TransformerConfig, length: int, batch: int = 1, bytes_per_number: int = 4) -> int:
    """Memory of the self-attention cache: keys and values of every layer, key-value head, token and dim."""
    layers = config.decoder_layers if config.architecture == "encoder-decoder" else config.n_layers
    return 2 * layers * config.kv_heads * config.width_of_head * length * batch * bytes_per_number


def _sides(config: TransformerConfig) -> list[tuple[str, int]]:
    sides = []
    if config.architecture != "decoder":
        sides.append(("encoder", config.n_layers))
    if config.decoder_side:
        sides.append(
            ("decoder", config.decoder_layers if config.architecture == "encoder-decoder" else config.n_layers)
        )
    return sides


def _attention(config: TransformerConfig, name: str, side: str, keys: str, layers: int) -> list[Matrix]:
    d, width, kv = config.d_model, config.n_heads * config.width_of_head, config.kv_heads * config.width_of_head
    bias = config.attention_bias
    return [
        Matrix(f"{name}.q_proj", d, width, bias, layers, side),
        Matrix(f"{name}.k_proj", d, kv, bias, layers, keys),
        Matrix(f"{name}.v_proj", d, kv, bias, layers, keys),
        Matrix(f"{name}.out_proj", width, d, config.has_out_bias, layers, side),
    ]


def _embeddings(config: TransformerConfig) -> int:
    both = config.architecture == "encoder-decoder"
    rows = config.vocab_size
    if both and not config.tie_embeddings:
        rows += config.decoder_vocab_size
    tables = config.n_types + (config.max_length if config.position == "learned" else 0)
    return (rows + tables * (2 if both else 1)) * config.d_model


def _norms(config: TransformerConfig) -> int:
    one = config.d_model * (2 if config.norm == "layer_norm" and config.norm_bias else 1)
    count = 0
    for side, layers in _sides(config):
        crossed = config.architecture == "encoder-decoder" and side == "decoder"
        count += layers * (1 if config.parallel_residual else 3 if crossed else 2)
        count += config.has_final_norm + config.embedding_norm
    return count * one
