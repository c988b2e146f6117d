"""One dataclass that describes a transformer: what `config.json` holds, and all that is needed to build the model."""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, get_args

from ..errors import ConfigError, ReadError

__all__ = ["TransformerConfig"]

Architecture = Literal["encoder", "decoder", "encoder-decoder"]
Activation = Literal["relu", "gelu", "gelu_tanh", "swiglu", "geglu"]
Norm = Literal["layer_norm", "rms_norm"]
NormPosition = Literal["pre", "post"]
Position = Literal["sinusoidal", "learned", "rotary", "none"]
Initialization = Literal["xavier", "normal", "default"]

_CHOICES: dict[str, tuple[str, ...]] = {
    "architecture": get_args(Architecture),
    "activation": get_args(Activation),
    "norm": get_args(Norm),
    "norm_position": get_args(NormPosition),
    "position": get_args(Position),
    "initialization": get_args(Initialization),
}
_COUNTS = ("vocab_size", "d_model", "n_layers", "n_heads", "max_length")
_OPTIONAL_COUNTS = ("target_vocab_size", "n_decoder_layers", "n_kv_heads", "head_dim", "d_ff")
_POSITIVE = ("norm_eps", "rotary_base", "init_std")
_PROBABILITIES = ("dropout", "attention_dropout", "activation_dropout")


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformerConfig:
    """The shape of a transformer. Fields that are None follow from others; `resolved` properties give their values.

    architecture: "encoder" sees the whole sequence (BERT), "decoder" only what came before (GPT), "encoder-decoder" is
        the model of Vaswani et al. 2017.
    vocab_size, target_vocab_size: ids of the input, and of the decoder of an encoder-decoder (None: the same).
    d_model, n_layers, n_heads: width of a token's vector, blocks, attention heads; `n_decoder_layers` (None: n_layers).
    n_kv_heads: heads of keys and values, each shared by n_heads / n_kv_heads query heads (Ainslie et al. 2023).
    head_dim: width of a head (None: d_model / n_heads). d_ff: width inside the feed-forward layer (None: 4 d_model).
    activation: "relu", "gelu", "gelu_tanh" (GPT-2's approximation), or gated: "swiglu", "geglu" (Shazeer 2020).
    norm, norm_eps, norm_position: before each sub-layer ("pre") or after the residual sum ("post", as in 2017).
    parallel_residual: attention and feed-forward read the same normed input and are added together (GPT-J, Phi).
    final_norm: a norm after the last block (None: with "pre" only; torch.nn.Transformer always has one).
    embedding_norm, n_types, pooler: what BERT adds: a norm after the embeddings, token types, a tanh layer on token 0.
    position: "sinusoidal", "learned", "rotary" (Su et al. 2021) or "none"; `max_length` is in tokens.
    rotary_fraction, rotary_base: share of each head that is rotated (Phi-2: 0.4), and the longest wavelength / 2π.
    scale_embeddings: multiply embeddings by √d_model (2017, Gemma).
    attention_bias, attention_out_bias, feed_forward_bias, norm_bias, head_bias: which layers add a bias.
    head: with a layer from d_model to vocabulary logits; `tie_weights` shares its matrix with the (target) embedding,
        `tie_embeddings` shares the embeddings of source and target.
    dropout acts on embeddings and on what a sub-layer adds; `attention_dropout` on attention weights;
        `activation_dropout` inside the feed-forward layer.
    initialization: "xavier" (as torch.nn.Transformer), "normal" with `init_std` (GPT-2; `residual_scaling` divides what
        writes into the residual stream by √(2 n_layers)), or "default" (what each layer does by itself).
    """

    vocab_size: int
    architecture: Architecture = "decoder"
    target_vocab_size: int | None = None
    d_model: int = 64
    n_layers: int = 2
    n_decoder_layers: int | None = None
    n_heads: int = 4
    n_kv_heads: int | None = None
    head_dim: int | None = None
    d_ff: int | None = None
    activation: Activation = "gelu"
    norm: Norm = "layer_norm"
    norm_eps: float = 1e-5
    norm_position: NormPosition = "pre"
    parallel_residual: bool = False
    final_norm: bool | None = None
    embedding_norm: bool = False
    n_types: int = 0
    pooler: bool = False
    position: Position = "learned"
    max_length: int = 512
    rotary_fraction: float = 1.0
    rotary_base: float = 10000.0
    scale_embeddings: bool = False
    attention_bias: bool = True
    attention_out_bias: bool | None = None
    feed_forward_bias: bool = True
    norm_bias: bool = True
    head: bool = True
    head_bias: bool = False
    tie_weights: bool = True
    tie_embeddings: bool = False
    dropout: float = 0.0
    attention_dropout: float = 0.0
    activation_dropout: float = 0.0
    initialization: Initialization = "normal"
    init_std: float = 0.02
    residual_scaling: bool = True
    pad_id: int | None = None
    bos_id: int | None = None
    eos_id: int | None = None

    def __post_init__(self) -> None:
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                raise ConfigError(f"{name} must be one of {', '.join(allowed)}, got {getattr(self, name)!r}")
        self._check_numbers()
        self._check_heads()
        for name in ("pad_id", "bos_id", "eos_id"):
            value = getattr(self, name)
            if value is not None and not (_is_whole(value) and 0 <= value < self._ids_of(name)):
                raise ConfigError(f"{name} must be an id of the vocabulary of {self._ids_of(name)}, got {value!r}")
        if self.tie_embeddings and self.decoder_vocab_size != self.vocab_size:
            raise ConfigError(
                f"tie_embeddings needs one vocabulary, got vocab_size={self.vocab_size} and target_vocab_size={self.target_vocab_size}"
            )
        if self.parallel_residual and (self.norm_position == "post" or self.architecture == "encoder-decoder"):
            raise ConfigError("parallel_residual needs norm_position='pre' and an encoder or a decoder alone")

    def _check_numbers(self) -> None:
        for name in (*_COUNTS, *_OPTIONAL_COUNTS):
            value = getattr(self, name)
            if not (_is_whole(value) and value > 0) and not (name in _OPTIONAL_COUNTS and value is None):
                raise ConfigError(f"{name} must be a positive whole number, got {value!r}")
        if not (_is_whole(self.n_types) and self.n_types >= 0):
            raise ConfigError(f"n_types must be a whole number from 0, got {self.n_types!r}")
        for name in (*_POSITIVE, *_PROBABILITIES, "rotary_fraction"):
            if not isinstance(getattr(self, name), int | float):
                raise ConfigError(f"{name} must be a number, got {getattr(self, name)!r}")
        for name in _POSITIVE:
            if not 0 < getattr(self, name) < math.inf:
                raise ConfigError(f"{name} must be positive and finite, got {getattr(self, name)!r}")
        for name in _PROBABILITIES:
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name} must be in [0, 1), got {getattr(self, name)!r}")

    def _ids_of(self, name: str) -> int:
        """How many ids such a token may have: padding stands in the texts that are read and in those that are written."""
        both = (self.vocab_size, self.decoder_vocab_size)
        return min(both) if name == "pad_id" else max(both)

    def _check_heads(self) -> None:
        if self.head_dim is None and self.d_model % self.n_heads:
            raise ConfigError(
                f"d_model={self.d_model} must be a multiple of n_heads={self.n_heads}; or give head_dim of its own"
            )
        if self.n_heads % self.kv_heads:
            raise ConfigError(f"n_heads={self.n_heads} must be a multiple of n_kv_heads={self.kv_heads}")
        if not 0 < self.rotary_fraction <= 1:
            raise ConfigError(f"rotary_fraction must be in (0, 1], got {self.rotary_fraction}")
        if self.position == "rotary" and (self.rotary_dim % 2 or not self.rotary_dim):
            raise ConfigError(
                f"rotary pairs up dims: int(head_dim={self.width_of_head} × rotary_fraction={self.rotary_fraction}) must be even and positive, "
                f"got {self.rotary_dim}"
            )

    # -- values that follow from others -------------------------------------------------------------------------------

    @property
    def width_of_head(self) -> int:
        return self.d_model // self.n_heads if self.head_dim is None else self.head_dim

    @property
    def kv_heads(self) -> int:
        return self.n_heads if self.n_kv_heads is None else self.n_kv_heads

    @property
    def feed_forward_width(self) -> int:
        return 4 * self.d_model if self.d_ff is None else self.d_ff

    @property
    def rotary_dim(self) -> int:
        """Dims of each head that are rotated."""
        return int(self.width_of_head * self.rotary_fraction)

    @property
    def decoder_vocab_size(self) -> int:
        return self.vocab_size if self.target_vocab_size is None else self.target_vocab_size

    @property
    def decoder_layers(self) -> int:
        return self.n_layers if self.n_decoder_layers is None else self.n_decoder_layers

    @property
    def decoder_side(self) -> bool:
        """Whether there is a decoder."""
        return self.architecture != "encoder"

    @property
    def has_final_norm(self) -> bool:
        return self.norm_position == "pre" if self.final_norm is None else self.final_norm

    @property
    def has_out_bias(self) -> bool:
        return self.attention_bias if self.attention_out_bias is None else self.attention_out_bias

    @property
    def is_gated(self) -> bool:
        """Whether the feed-forward layer has a third matrix."""
        return self.activation in ("swiglu", "geglu")

    # -- files --------------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """All fields by name, as `config.json` holds them."""
        return {"model_type": "claimsformer", **dataclasses.asdict(self)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TransformerConfig:
        """The configuration of such a dict. Raises ConfigError for an unknown field or a value out of range."""
        values = {k: v for k, v in values.items() if k != "model_type"}
        known = [f.name for f in dataclasses.fields(cls)]
        for name in values:
            if name not in known:
                close = difflib.get_close_matches(name, known, 1)
                raise ConfigError(f"unknown field {name!r}" + (f"; did you mean {close[0]!r}?" if close else ""))
        if "vocab_size" not in values:
            raise ConfigError("vocab_size is missing")
        return cls(**values)

    def save(self, path: str | Path) -> None:
        """Write JSON, complete or not at all."""
        from tensorlite.utils.safetensors import write_atomically

        text = json.dumps(self.to_dict(), indent=2) + "\n"

        def write(file: BinaryIO) -> None:
            file.write(text.encode())

        write_atomically(path, write)

    @classmethod
    def load(cls, path: str | Path) -> TransformerConfig:
        """Read JSON. Raises ReadError if there is no such file or it is not JSON, ConfigError for what it says."""
        try:
            values = json.loads(Path(path).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ReadError(
                f"{Path(path).name} is not in {Path(path).parent}", hint="expected a folder that save_pretrained wrote"
            ) from None
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise ReadError(f"{path} is not JSON: {error}") from None
        if not isinstance(values, dict):
            raise ReadError(f"{path} must hold a JSON object, got {type(values).__name__}")
        return cls.from_dict(values)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
