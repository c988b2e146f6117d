"""Models of other libraries: GPT-2, BERT, Llama (also Mistral, Qwen 2, SmolLM 2), Gemma and Phi, from their folders.

A checkpoint is `config.json` and `model.safetensors` (or its shards with `model.safetensors.index.json`). Only names
and layouts differ from ours; the table below says how. What is refused: rotary scaling, sliding windows shorter than
the sequence length given, mixtures of experts, and activations that are not in the table.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tensorlite.nn.utils import skip_init
from tensorlite.utils.safetensors import SafetensorError, safe_open

from ..errors import ConfigError, ReadError
from .config import TransformerConfig
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
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise ReadError(f"cannot read config.json in {folder}: {error}") from error
    model = skip_init(Transformer, config_from_hugging_face(config), fill=False)
    try:
        fill(model, weights_from_hugging_face(_tensors(folder), config["model_type"]))
    except RuntimeError as error:
        raise ReadError(f"the weights in {folder} do not fit its config.json: {error}") from error
    return model.eval()


def fill(model: Transformer, arrays: Arrays) -> None:
    """Make `arrays` the weights of the model, without copies where they are float32; what it has no place for is left out.

    Raises RuntimeError for what is missing or has another shape.
    """
    tied = model.lm_head is not None and model.config.tie_weights
    if tied:
        arrays["lm_head.weight"] = arrays["embedding.token.weight"]
    wanted = set(model.state_dict())
    model.load_state_dict({n: np.asarray(a, np.float32) for n, a in arrays.items() if n in wanted}, assign=True)
    if tied and model.lm_head is not None:
        model.lm_head.weight = model.output_embedding.token.weight


def _tensors(folder: Path) -> Arrays:
    index = folder / "model.safetensors.index.json"
    try:
        if index.exists():
            files = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        else:
            files = ["model.safetensors"]
        arrays: Arrays = {}
        for file in files:
            opened = safe_open(folder / file)
            arrays |= {name: opened.get_array(name, copy=False, on_write=True) for name in opened.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, json.JSONDecodeError) as error:
        raise ReadError(f"cannot read the weights in {folder}: {error}") from error
    return arrays


# -- configurations ---------------------------------------------------------------------------------------------------


def config_from_hugging_face(config: Mapping[str, Any]) -> TransformerConfig:
    """Our configuration for the contents of theirs. Raises ConfigError for a model that cannot be built from these parts."""
    kind = config.get("model_type")
    if kind not in _CONFIGS:
        raise ConfigError(f"model_type must be one of {', '.join(_CONFIGS)}, got {kind!r}")
    rope = config.get("rope_scaling") or config.get("rope_parameters") or {}
    if rope.get("rope_type", rope.get("type", "default")) != "default":
        raise ConfigError(f"rotary scaling is not supported, got {dict(rope)}")
    values = _CONFIGS[str(kind)](config)
    for own in ("bos", "eos") if kind == "gpt2" else ("bos", "eos", "pad"):  # GPT-2 trains the row of its padding
        token = config.get(f"{own}_token_id")
        values[f"{own}_id"] = token if isinstance(token, int) and token < values["vocab_size"] else None
    return TransformerConfig(**values)


def _activation(name: str) -> str:
    if name not in _ACTIVATIONS:
        raise ConfigError(f"activation {name!r} is not supported; expected one of {', '.join(_ACTIVATIONS)}")
    return _ACTIVATIONS[name]


def _gpt2(c: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "vocab_size": c["vocab_size"],
        "d_model": c["n_embd"],
        "n_layers": c["n_layer"],
        "n_heads": c["n_head"],
        "d_ff": c.get("n_inner"),
        "activation": _activation(c.get("activation_function", "gelu_new")),
        "norm_eps": c.get("layer_norm_epsilon", 1e-5),
        "max_length": c["n_positions"],
    }


def _bert(c: Mapping[str, Any]) -> dict[str, Any]:
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
    rope = c.get("rope_parameters") or {}
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
    values = {**_llama({**c, "hidden_act": "silu"}), "activation": "geglu", "scale_embeddings": True}
    return {**values, "tie_weights": c.get("tie_word_embeddings", True)}


def _phi(c: Mapping[str, Any]) -> dict[str, Any]:
    if c.get("qk_layernorm"):
        raise ConfigError("qk_layernorm is not supported")
    rope = c.get("rope_parameters") or {}
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
