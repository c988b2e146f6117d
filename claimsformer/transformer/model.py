"""The transformer: embeddings, a stack of blocks, and a layer that turns the last vectors into scores of the next token.

Three shapes of one thing. An encoder reads all tokens at once; a decoder reads from left to right and can therefore
write; an encoder-decoder reads one sequence with the first and writes another with the second.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

import tensorlite as tl
from tensorlite import Tensor, nn

from . import pretrained
from .attention import merge_masks
from .cache import DecoderCache
from .config import TransformerConfig
from .embedding import InputEmbedding
from .initialization import initialize
from .layers import DecoderLayer, EncoderLayer, LayerStack, Visibility
from .positional_encoding import RotaryEmbedding

__all__ = ["Transformer"]

Ids = npt.NDArray[np.integer]
Bools = npt.NDArray[np.bool_]


class Transformer(nn.Module):
    """Encoder, decoder or encoder-decoder, as `config.architecture` says.

    Ids are integer tensors or arrays `(B, T)`; masks are boolean (or 0/1) with True for real tokens. With `seed`, the
    same seed gives the same weights and the global random state is left as it was. `fill=False` leaves the layers as
    they were made, for weights that are read from a file next.
    """

    def __init__(self, config: TransformerConfig, seed: int | None = None, *, fill: bool = True) -> None:
        super().__init__()
        self.config = config
        if seed is None:
            self._build(fill)
        else:
            with tl.random.fork_rng():
                tl.manual_seed(seed)
                self._build(fill)

    def _build(self, fill: bool) -> None:
        config = self.config
        self.rotary = RotaryEmbedding(config.rotary_dim, config.rotary_base) if config.position == "rotary" else None
        self.embedding = InputEmbedding(config, config.vocab_size)
        self.encoder: LayerStack | None = None
        self.decoder: LayerStack | None = None
        if config.architecture != "decoder":
            self.encoder = LayerStack(config, [EncoderLayer(config) for _ in range(config.n_layers)])
        if config.architecture == "decoder":
            self.decoder = LayerStack(config, [EncoderLayer(config) for _ in range(config.n_layers)])
        elif config.architecture == "encoder-decoder":
            self.target_embedding = InputEmbedding(config, config.decoder_vocab_size)
            if config.tie_embeddings:
                self.target_embedding.token.weight = self.embedding.token.weight
            self.decoder = LayerStack(config, [DecoderLayer(config) for _ in range(config.decoder_layers)])
        self.pooler = nn.Linear(config.d_model, config.d_model) if config.pooler else None
        self.lm_head: nn.Linear | None = None
        if config.head:
            self.lm_head = nn.Linear(config.d_model, config.decoder_vocab_size, bias=config.head_bias)
        if fill:
            initialize(self, config)
        if self.lm_head is not None and config.tie_weights:
            self.lm_head.weight = self.output_embedding.token.weight

    @property
    def output_embedding(self) -> InputEmbedding:
        """The embedding of the tokens that the model writes."""
        return self.target_embedding if self.config.architecture == "encoder-decoder" else self.embedding

    # -- whole passes -------------------------------------------------------------------------------------------------

    def forward(
        self,
        ids: Any = None,
        target_ids: Any = None,
        *,
        attention_mask: Any = None,
        target_mask: Any = None,
        embeddings: Tensor | None = None,
        type_ids: Any = None,
        positions: Ids | None = None,
        input_ids: Any = None,
        token_type_ids: Any = None,
    ) -> Tensor:
        """Logits `(B, T, vocabulary)`, or the last vectors `(B, T, D)` of a model without head.

        `input_ids` and `token_type_ids` are other names of `ids` and `type_ids`, so that a tokenizer's batch fits: `model(**batch)`.

        An encoder-decoder reads `ids (B, S)` and gets `target_ids (B, T)`, shifted right by the caller; its logits at t
        are about target t + 1. `embeddings (B, T, D)` stand in for `ids`; `positions (T,)` or `(B, T)` for counting real tokens.
        """
        ids = _one("ids", ids, "input_ids", input_ids)
        type_ids = _one("type_ids", type_ids, "token_type_ids", token_type_ids)
        if self.config.architecture == "encoder-decoder":
            if target_ids is None:
                raise ValueError("an encoder-decoder needs target_ids (B, T) beside ids (B, S)")
            memory = self.encode(
                ids, attention_mask=attention_mask, embeddings=embeddings, type_ids=type_ids, positions=positions
            )
            hidden = self.decode(target_ids, memory, attention_mask=target_mask, memory_mask=attention_mask)
        elif target_ids is not None:
            raise ValueError(f"target_ids are for an encoder-decoder; this model is a {self.config.architecture}")
        elif self.config.architecture == "encoder":
            hidden = self.encode(
                ids, attention_mask=attention_mask, embeddings=embeddings, type_ids=type_ids, positions=positions
            )
        else:
            hidden = self.decode(
                ids, attention_mask=attention_mask, embeddings=embeddings, type_ids=type_ids, positions=positions
            )
        return self.logits(hidden)

    def encode(
        self,
        ids: Any = None,
        *,
        attention_mask: Any = None,
        embeddings: Tensor | None = None,
        type_ids: Any = None,
        positions: Ids | None = None,
    ) -> Tensor:
        """The encoder's last vectors `(B, T, D)`."""
        if self.encoder is None:
            raise ValueError("this model has no encoder; use decode")
        tokens = _ids(ids)
        b, t = _size(tokens, embeddings)
        real = _bools(attention_mask, (b, t))
        positions = positions_of(real, t) if positions is None else _positions(positions, (b, t))
        x = self.embedding(tokens, positions, embeddings, _ids(type_ids))
        visible = Visibility(*merge_masks(t, t, None, real))
        return self.encoder(x, visible=visible, rotary=self._rotary(positions, x))  # type: ignore[no-any-return]

    def decode(
        self,
        ids: Any = None,
        memory: Tensor | None = None,
        *,
        attention_mask: Any = None,
        memory_mask: Any = None,
        embeddings: Tensor | None = None,
        type_ids: Any = None,
        positions: Ids | None = None,
        cache: DecoderCache | None = None,
    ) -> Tensor:
        """The decoder's last vectors `(B, T, D)`; with `cache`, for the tokens after those that it holds.

        With a cache, `attention_mask (B, P + T)` covers the P tokens in it too. Vectors at padding mean nothing.
        """
        if self.decoder is None:
            raise ValueError("this model has no decoder; use encode")
        tokens = _ids(ids)
        b, t = _size(tokens, embeddings)
        past = 0 if cache is None else cache.length
        real = _bools(attention_mask, (b, past + t))
        if cache is None and _ends_in_padding(real):
            real = None  # causality hides what comes later from every real token; the fused kernel needs no mask then
        positions = positions_of(real, past + t)[..., past:] if positions is None else _positions(positions, (b, t))
        x = self.output_embedding(tokens, positions, embeddings, _ids(type_ids))
        visible = Visibility(*merge_masks(t, past + t, None, real, causal=True))
        memory_visible = Visibility()
        if memory is not None:
            s = memory.shape[1]
            memory_visible = Visibility(*merge_masks(t, s, None, _bools(memory_mask, (b, s))))
        return self.decoder(x, memory, visible, memory_visible, self._rotary(positions, x), cache)  # type: ignore[no-any-return]

    def logits(self, hidden: Tensor) -> Tensor:
        """Scores of the vocabulary for vectors `(B, T, D)`; the vectors themselves if the model has no head."""
        return hidden if self.lm_head is None else self.lm_head(hidden)

    def pool(self, hidden: Tensor) -> Tensor:
        """tanh of a layer on the first token, `(B, D)`, as BERT summarises a sequence. Raises ValueError without pooler."""
        if self.pooler is None:
            raise ValueError("this model has no pooler: set pooler=True in its configuration")
        return self.pooler(hidden[:, 0]).tanh()  # type: ignore[no-any-return]

    def new_cache(self) -> DecoderCache:
        """An empty key-value cache for `decode`."""
        if self.decoder is None:
            raise ValueError("this model has no decoder to cache for")
        return DecoderCache(len(self.decoder.layers))

    def generate(self, ids: Any = None, **options: Any) -> Any:
        """Continue `ids`, or translate them; see `generation.generate` for the options."""
        from .generation import generate

        return generate(self, ids, **options)

    def _rotary(self, positions: Ids, x: Tensor) -> tuple[Tensor, Tensor] | None:
        return None if self.rotary is None else self.rotary.tables(positions, x.detach().numpy().dtype)

    # -- files --------------------------------------------------------------------------------------------------------

    def save_pretrained(self, folder: str | Path) -> Path:
        """Write `config.json` and `model.safetensors`, each complete or not at all."""
        return pretrained.save(self, self.config, folder)

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> Self:
        """The model of such a folder, in evaluation mode. Raises ReadError for what is missing, damaged or of another shape."""
        model = nn.utils.skip_init(cls, TransformerConfig.load(Path(folder) / pretrained.CONFIG), fill=False)
        pretrained.load_weights(model, folder)
        return model.eval()


def positions_of(real: Bools | None, length: int) -> Ids:
    """`(T,)`, or `(B, T)` where padding stands before or between real tokens: padding does not count."""
    if real is None or _ends_in_padding(real):
        return np.arange(length)
    positions: Ids = np.maximum(np.cumsum(real, axis=1) - 1, 0)
    return positions


def _ends_in_padding(real: Bools | None) -> bool:
    return real is not None and bool((real[:, :-1] >= real[:, 1:]).all())


def _one(name: str, value: Any, other: str, same: Any) -> Any:
    if value is not None and same is not None:
        raise ValueError(f"{name} and {other} are one argument: give one of them")
    return same if value is None else value


def _ids(ids: Any) -> Tensor | None:
    tokens: Tensor | None = ids if isinstance(ids, Tensor) else None
    if ids is None or tokens is not None:
        return tokens
    array = np.asarray(ids)
    if array.dtype.kind not in "iu":
        raise TypeError(f"ids must be integers, got {array.dtype}")
    tokens = tl.from_numpy(array.astype(np.int64))
    return tokens  # noqa: RET504 (typed above)


def _size(ids: Tensor | None, embeddings: Tensor | None) -> tuple[int, int]:
    if (ids is None) == (embeddings is None):
        raise ValueError("give either ids (B, T) or embeddings (B, T, D)")
    shape = tuple(ids.shape) if ids is not None else tuple(embeddings.shape)[:2]  # type: ignore[union-attr]
    if len(shape) != 2:
        raise ValueError(f"ids must be (B, T), got {shape}; a single sequence is ids[None]")
    return shape


def _bools(mask: Any, shape: tuple[int, int]) -> Bools | None:
    if mask is None:
        return None
    array = mask.numpy() if isinstance(mask, Tensor) else np.asarray(mask)
    if array.shape != shape:
        raise ValueError(f"a mask must be (B, T) = {shape} like the tokens it covers, got {array.shape}")
    if array.dtype != np.bool_ and not ((array == 0) | (array == 1)).all():
        raise ValueError(
            "a mask must be boolean, or 1 for real tokens and 0 for padding; numbers to add to scores are none"
        )
    return array.astype(np.bool_)


def _positions(positions: Any, shape: tuple[int, int]) -> Ids:
    array = np.asarray(positions)
    if array.shape not in (shape, shape[1:]) or array.dtype.kind not in "iu" or (array.size and array.min() < 0):
        raise ValueError(
            f"positions must be whole numbers from 0, (B, T) = {shape} or (T,), got {array.dtype} {array.shape}"
        )
    return array
