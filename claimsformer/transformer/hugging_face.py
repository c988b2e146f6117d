"""Models of other libraries: GPT-2, BERT, Llama (also Mistral, Qwen 2, SmolLM 2), Gemma and Phi, from their folders.

A checkpoint is `config.json` and `model.safetensors` (or its shards with `model.safetensors.index.json`). Only names
and layouts differ from ours; the table below says how. What is refused: rotary scaling, sliding windows shorter than
the sequence length given, mixtures of experts, quantised weights, activations that are not in the table, and every other
setting or weight that would change what is computed and has no place here.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tensorlite.nn.utils import skip_init

from ..errors import ConfigError, ReadError
from .config import TransformerConfig
from .hugging_face_files import read_config, read_tensors
from .model import Transformer

__all__ = ["config_from_hugging_face", "from_hugging_face", "weights_from_hugging_face"]

Arrays = dict[str, Any]

_ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "relu": "relu",
}


def from_hugging_face(folder: str | Path) -> Transformer:
    """The model of a folder that transformers saved, in evaluation mode. Raises ReadError or ConfigError.

    float32 weights are the pages of the files: nothing is read before it is used, processes share what they read, and a page
    that is written to becomes a copy. bfloat16 and float16 are widened to float32 when they are loaded.
    """
    folder = Path(folder)
    theirs = read_config(folder)
    config = config_from_hugging_face(theirs)
    arrays = weights_from_hugging_face(read_tensors(folder), theirs["model_type"])
    if (
        config.pooler and "pooler.weight" not in arrays
    ):  # BERT under a head that needs none, such as that of masked words
        config = dataclasses.replace(config, pooler=False)
    model = skip_init(Transformer, config, fill=False)
    try:
        fill(model, arrays)
    except RuntimeError as error:
        raise ReadError(f"the weights in {folder} do not fit its config.json: {error}") from error
    return model.eval()


def fill(model: Transformer, arrays: Arrays) -> None:
    """Make `arrays` the weights of the model, without copies where they are float32; heads for other tasks are left out.

    Raises RuntimeError for what is missing, has another shape, holds no floating-point numbers, or has no place in a block.
    """
    tied = model.lm_head is not None and model.config.tie_weights
    if tied:
        _tie(arrays)
    wanted = set(model.state_dict())
    for name in sorted(arrays):
        if name in wanted and np.asarray(arrays[name]).dtype.kind != "f":
            raise RuntimeError(f"{name} holds {arrays[name].dtype}; quantised weights are not supported")
        if name not in wanted and _OF_THE_MODEL.match(name) and not _BUFFERS.search(name):
            raise RuntimeError(f"the model has no place for {name}")
    model.load_state_dict({n: np.asarray(a, np.float32) for n, a in arrays.items() if n in wanted}, assign=True)
    if tied and model.lm_head is not None:
        model.lm_head.weight = model.output_embedding.token.weight


#: Weights that take part in every answer, unlike heads for other tasks; and what older versions stored beside them.
_OF_THE_MODEL = re.compile(r"(?:embedding|encoder|decoder|lm_head)\.")
_BUFFERS = re.compile(r"\.attn\.(?:masked_)?bias$|\.inv_freq$|\.position_ids$")


def _tie(arrays: Arrays) -> None:
    """One matrix for the embedding and the output layer."""
    token, head = arrays.get("embedding.token.weight"), arrays.get("lm_head.weight")
    if token is None:
        return  # load_state_dict says what is missing
    if head is not None and not np.array_equal(token, head):
        raise RuntimeError("tie_word_embeddings is true, but the output layer has weights of its own")
    arrays["lm_head.weight"] = token


# -- configurations ---------------------------------------------------------------------------------------------------


def config_from_hugging_face(config: Mapping[str, Any]) -> TransformerConfig:
    """Our configuration for the contents of theirs. Raises ConfigError for a model that cannot be built from these parts."""
    kind = config.get("model_type")
    if not isinstance(kind, str) or kind not in _CONFIGS:
        raise ConfigError(f"model_type must be one of {', '.join(_CONFIGS)}, got {kind!r}")
    _only(config, "quantization_config", None)
    try:
        values = _CONFIGS[kind](config)
    except KeyError as error:
        raise ConfigError(f"config.json of a {kind} must have {error}") from None
    for own in ("bos", "eos") if kind == "gpt2" else ("bos", "eos", "pad"):  # GPT-2 trains the row of its padding
        values[f"{own}_id"] = _token(config.get(f"{own}_token_id"), values["vocab_size"])
    return TransformerConfig(**values)


def _token(token: Any, vocab_size: Any) -> int | None:
    """An id, the first of several (Llama 3 names three ends), or None for what is no id of the vocabulary, such as -1."""
    if isinstance(token, list):
        token = token[0] if token else None
    known = isinstance(token, int) and not isinstance(token, bool) and isinstance(vocab_size, int)
    return token if known and 0 <= token < vocab_size else None


def _only(c: Mapping[str, Any], name: str, *allowed: Any) -> None:
    """Refuse a setting that these parts cannot follow; the first allowed value is the default."""
    if c.get(name, allowed[0]) not in allowed:
        raise ConfigError(f"{name}={c[name]!r} is not supported in a {c['model_type']}; expected {allowed[0]!r}")


def _rope(c: Mapping[str, Any]) -> dict[str, Any]:
    """What the configuration says about rotary positions, under its old name and its new one."""
    found: dict[str, Any] = {}
    for key in ("rope_parameters", "rope_scaling"):
        values = c.get(key) or {}
        if not isinstance(values, Mapping) or any(isinstance(v, Mapping) for v in values.values()):
            raise ConfigError(f"{key} must hold the settings of all layers by name, got {values!r}")
        if values.get("rope_type", values.get("type", "default")) != "default":
            raise ConfigError(f"rotary scaling is not supported, got {dict(values)}")
        found |= values
    return found


def _activation(name: str) -> str:
    if name not in _ACTIVATIONS:
        raise ConfigError(f"activation {name!r} is not supported; expected one of {', '.join(_ACTIVATIONS)}")
    return _ACTIVATIONS[name]


def _gpt2(c: Mapping[str, Any]) -> dict[str, Any]:
    _only(c, "scale_attn_weights", True)
    _only(c, "scale_attn_by_inverse_layer_idx", False, None)
    _only(c, "add_cross_attention", False, None)
    return {
        "vocab_size": c["vocab_size"],
        "d_model": c["n_embd"],
        "n_layers": c["n_layer"],
        "n_heads": c["n_head"],
        "d_ff": c.get("n_inner"),
        "activation": _activation(c.get("activation_function", "gelu_new")),
        "norm_eps": c.get("layer_norm_epsilon", 1e-5),
        "max_length": c["n_positions"],
        "tie_weights": c.get("tie_word_embeddings", True),
    }


def _bert(c: Mapping[str, Any]) -> dict[str, Any]:
    _only(c, "is_decoder", False, None)
    _only(c, "position_embedding_type", "absolute", None)
    return {
        "architecture": "encoder",
        "vocab_size": c["vocab_size"],
        "d_model": c["hidden_size"],
        "n_layers": c["num_hidden_layers"],
        "n_heads": c["num_attention_heads"],
        "d_ff": c["intermediate_size"],
        "activation": _activation(c.get("hidden_act", "gelu")),
        "norm_position": "post",
        "norm_eps": c.get("layer_norm_eps", 1e-12),
        "embedding_norm": True,
        "n_types": c.get("type_vocab_size", 2),
        "pooler": True,
        "head": False,
        "max_length": c["max_position_embeddings"],
    }


def _rotary(c: Mapping[str, Any]) -> dict[str, Any]:
    rope = _rope(c)
    return {
        "vocab_size": c["vocab_size"],
        "d_model": c["hidden_size"],
        "n_layers": c["num_hidden_layers"],
        "n_heads": c["num_attention_heads"],
        "n_kv_heads": c.get("num_key_value_heads"),
        "head_dim": c.get("head_dim"),
        "d_ff": c["intermediate_size"],
        "position": "rotary",
        "max_length": c["max_position_embeddings"],
        "rotary_base": rope.get("rope_theta", c.get("rope_theta", 10000.0)),
        "tie_weights": c.get("tie_word_embeddings", False),
    }


def _llama(c: Mapping[str, Any]) -> dict[str, Any]:
    if c.get("hidden_act", "silu") != "silu":
        raise ConfigError(f"activation {c['hidden_act']!r} is not supported in a Llama; expected 'silu'")
    if (
        c.get("sliding_window")
        and c.get("use_sliding_window", True)
        and c["sliding_window"] < c["max_position_embeddings"]
    ):
        raise ConfigError(
            f"sliding windows are not supported, got sliding_window={c['sliding_window']}; for texts no longer than that, set it to null in config.json"
        )
    qwen = c["model_type"] == "qwen2"
    return {
        **_rotary(c),
        "activation": "swiglu",
        "norm": "rms_norm",
        "norm_eps": c.get("rms_norm_eps", 1e-6),
        "attention_bias": qwen or c.get("attention_bias", False),
        "attention_out_bias": False if qwen else c.get("attention_bias", False),
        "feed_forward_bias": c.get("mlp_bias", False),
    }


def _gemma(c: Mapping[str, Any]) -> dict[str, Any]:
    # the first Gemmas say "gelu" and mean its tanh form
    if c.get("hidden_act", "gelu") != "gelu" and _ACTIVATIONS.get(c["hidden_act"]) != "gelu_tanh":
        raise ConfigError(f"activation {c['hidden_act']!r} is not supported in a Gemma; expected 'gelu_pytorch_tanh'")
    _only(c, "use_bidirectional_attention", False, None)
    values = {**_llama({**c, "hidden_act": "silu"}), "activation": "geglu", "scale_embeddings": True}
    return {**values, "tie_weights": c.get("tie_word_embeddings", True)}


def _phi(c: Mapping[str, Any]) -> dict[str, Any]:
    if c.get("qk_layernorm"):
        raise ConfigError("qk_layernorm is not supported")
    rope = _rope(c)
    return {
        **_rotary(c),
        "activation": _activation(c.get("hidden_act", "gelu_new")),
        "norm_eps": c.get("layer_norm_eps", 1e-5),
        "parallel_residual": True,
        "rotary_fraction": rope.get("partial_rotary_factor", c.get("partial_rotary_factor", 0.5)),
        "head_bias": True,
    }


_CONFIGS: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "gpt2": _gpt2,
    "bert": _bert,
    "llama": _llama,
    "mistral": _llama,
    "qwen2": _llama,
    "gemma": _gemma,
    "phi": _phi,
}

# -- names ------------------------------------------------------------------------------------------------------------

_DECODER = (
    (r"^model\.embed_tokens\.", "embedding.token."),
    (r"^model\.(?:norm|final_layernorm)\.", "decoder.norm."),
    (r"^model\.layers\.(\d+)\.", r"decoder.layers.\1."),
    (r"\.self_attn\.(?:o_proj|dense)\.", ".self_attention.out_proj."),
    (r"\.self_attn\.", ".self_attention."),
    (r"\.mlp\.(?:gate_proj)\.", ".feed_forward.gate."),
    (r"\.mlp\.(?:up_proj|fc1)\.", ".feed_forward.up."),
    (r"\.mlp\.(?:down_proj|fc2)\.", ".feed_forward.down."),
    (r"\.input_layernorm\.", ".attention_norm."),
    (r"\.post_attention_layernorm\.", ".feed_forward_norm."),
)
_GPT2 = (
    (r"^transformer\.", ""),
    (r"^wte\.", "embedding.token."),
    (r"^wpe\.", "embedding.position."),
    (r"^ln_f\.", "decoder.norm."),
    (r"^h\.(\d+)\.", r"decoder.layers.\1."),
    (r"\.ln_1\.", ".attention_norm."),
    (r"\.ln_2\.", ".feed_forward_norm."),
    (r"\.attn\.c_proj\.", ".self_attention.out_proj."),
    (r"\.attn\.c_attn\.", ".self_attention.{qkv}_proj."),
    (r"\.mlp\.c_fc\.", ".feed_forward.up."),
    (r"\.mlp\.c_proj\.", ".feed_forward.down."),
)
_BERT = (
    (r"^bert\.", ""),
    (r"LayerNorm\.gamma$", "LayerNorm.weight"),  # as TensorFlow called them, in the first checkpoints of all
    (r"LayerNorm\.beta$", "LayerNorm.bias"),
    (r"^embeddings\.word_embeddings\.", "embedding.token."),
    (r"^embeddings\.position_embeddings\.", "embedding.position."),
    (r"^embeddings\.token_type_embeddings\.", "embedding.token_type."),
    (r"^embeddings\.LayerNorm\.", "embedding.norm."),
    (r"^encoder\.layer\.", "encoder.layers."),
    (r"\.attention\.self\.(q|k|v)[a-z]+\.", r".self_attention.\1_proj."),
    (r"\.attention\.output\.dense\.", ".self_attention.out_proj."),
    (r"\.attention\.output\.LayerNorm\.", ".attention_norm."),
    (r"\.intermediate\.dense\.", ".feed_forward.up."),
    (r"\.output\.dense\.", ".feed_forward.down."),
    (r"\.output\.LayerNorm\.", ".feed_forward_norm."),
    (r"^pooler\.dense\.", "pooler."),
)
_NAMES = {"gpt2": _GPT2, "bert": _BERT}


def weights_from_hugging_face(tensors: Mapping[str, Any], model_type: str) -> Arrays:
    """Arrays under our names and in our layout (GPT-2 stores its matrices transposed, Gemma its norms minus one)."""
    out: Arrays = {}
    for name, value in tensors.items():
        array = np.asarray(value)
        for pattern, replacement in _NAMES.get(model_type, _DECODER):
            name = re.sub(pattern, replacement, name)
        if model_type == "gpt2" and array.ndim == 2 and name.startswith("decoder."):
            array = np.ascontiguousarray(array.T)
        if model_type == "gemma" and "norm." in name:
            array = array + 1
        if "{qkv}" in name:
            parts = np.split(array, 3)
            out |= {name.replace("{qkv}", letter): part for letter, part in zip("qkv", parts, strict=True)}
        else:
            out[name] = array
    return out
