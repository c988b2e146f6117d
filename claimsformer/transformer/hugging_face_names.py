"""Our names of modules and weights in Hugging Face's words, so that weights and adapters can be written for transformers and peft.

`hugging_face.py` reads; this module is the way back, for Phi, for Llama and its like, and for BERT.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from tensorlite.utils.safetensors import save_file, write_atomically

from ..errors import ConfigError, WriteError
from .model import Transformer

__all__ = [
    "FUSED",
    "fused_note",
    "save_hugging_face",
    "targets_from_hugging_face",
    "targets_to_hugging_face",
    "to_hugging_face",
]

#: (ours, theirs) by kind of model; `{i}` is the number of the block. The longest match of the front of a name counts.
_COMMON = (
    ("embedding.token", "model.embed_tokens"),
    ("decoder.layers.{i}.self_attention.q_proj", "model.layers.{i}.self_attn.q_proj"),
    ("decoder.layers.{i}.self_attention.k_proj", "model.layers.{i}.self_attn.k_proj"),
    ("decoder.layers.{i}.self_attention.v_proj", "model.layers.{i}.self_attn.v_proj"),
    ("decoder.layers.{i}.attention_norm", "model.layers.{i}.input_layernorm"),
    ("lm_head", "lm_head"),
)
_TABLES: dict[str, tuple[tuple[str, str], ...]] = {
    "phi": (
        *_COMMON,
        ("decoder.layers.{i}.self_attention.out_proj", "model.layers.{i}.self_attn.dense"),
        ("decoder.layers.{i}.feed_forward.up", "model.layers.{i}.mlp.fc1"),
        ("decoder.layers.{i}.feed_forward.down", "model.layers.{i}.mlp.fc2"),
        ("decoder.norm", "model.final_layernorm"),
    ),
    "llama": (
        *_COMMON,
        ("decoder.layers.{i}.self_attention.out_proj", "model.layers.{i}.self_attn.o_proj"),
        ("decoder.layers.{i}.feed_forward_norm", "model.layers.{i}.post_attention_layernorm"),
        ("decoder.layers.{i}.feed_forward.gate", "model.layers.{i}.mlp.gate_proj"),
        ("decoder.layers.{i}.feed_forward.up", "model.layers.{i}.mlp.up_proj"),
        ("decoder.layers.{i}.feed_forward.down", "model.layers.{i}.mlp.down_proj"),
        ("decoder.norm", "model.norm"),
    ),
    "bert": (
        ("embedding.token_type", "embeddings.token_type_embeddings"),
        ("embedding.token", "embeddings.word_embeddings"),
        ("embedding.position", "embeddings.position_embeddings"),
        ("embedding.norm", "embeddings.LayerNorm"),
        ("encoder.layers.{i}.self_attention.q_proj", "encoder.layer.{i}.attention.self.query"),
        ("encoder.layers.{i}.self_attention.k_proj", "encoder.layer.{i}.attention.self.key"),
        ("encoder.layers.{i}.self_attention.v_proj", "encoder.layer.{i}.attention.self.value"),
        ("encoder.layers.{i}.self_attention.out_proj", "encoder.layer.{i}.attention.output.dense"),
        ("encoder.layers.{i}.attention_norm", "encoder.layer.{i}.attention.output.LayerNorm"),
        ("encoder.layers.{i}.feed_forward.up", "encoder.layer.{i}.intermediate.dense"),
        ("encoder.layers.{i}.feed_forward.down", "encoder.layer.{i}.output.dense"),
        ("encoder.layers.{i}.feed_forward_norm", "encoder.layer.{i}.output.LayerNorm"),
        ("pooler", "pooler.dense"),
    ),
}
for _kind in ("mistral", "qwen2", "gemma"):
    _TABLES[_kind] = _TABLES["llama"]
#: Phi-2's first published code had one matrix for queries, keys and values, and another name for the output.
FUSED = {"Wqkv": ("q_proj", "k_proj", "v_proj"), "out_proj": ("dense",)}


def to_hugging_face(name: str, model_type: str) -> str:
    """The name of a module, a weight or an adapter of ours in transformers. Raises ConfigError for one that it lacks."""
    number = re.search(r"\.layers\.(\d+)\.", name)
    general = name if number is None else name.replace(number[0], ".layers.{i}.", 1)
    for ours, theirs in _table(model_type):
        if general == ours or general.startswith(f"{ours}."):
            return (theirs + general[len(ours) :]).replace("{i}", "" if number is None else number[1])
    raise ConfigError(f"{name!r} has no counterpart in a {model_type} of transformers")


def targets_from_hugging_face(targets: Sequence[str], model_type: str) -> tuple[str, ...]:
    """LoRA targets such as ("q_proj", "dense", "fc1") as the ends of our names; old fused names of Phi are taken apart.

    A fused name is translated with a UserWarning that says so. Raises ConfigError for a name that the model does not have.
    """
    ends = {theirs.rpartition(".")[2]: ours.rpartition(".")[2] for ours, theirs in _linear(model_type)}
    found: list[str] = []
    for target in targets:
        names = FUSED.get(target, (target,)) if model_type == "phi" else (target,)
        if names != (target,):
            warnings.warn(fused_note(target), UserWarning, stacklevel=2)
        for name in names:
            if name not in ends:
                raise ConfigError(f"a {model_type} has no linear layer {name!r}; it has {', '.join(ends)}")
            found.append(ends[name])
    return tuple(dict.fromkeys(found))


def fused_note(target: str) -> str:
    """What to know about a target of Phi-2's first published code."""
    return f"{target!r} is a layer of Phi-2's first published code; in today's transformers it is {', '.join(FUSED[target])}"


def targets_to_hugging_face(targets: Sequence[str], model_type: str) -> tuple[str, ...]:
    """The way back of `targets_from_hugging_face`, without fused names."""
    ends = {ours.rpartition(".")[2]: theirs.rpartition(".")[2] for ours, theirs in _linear(model_type)}
    for target in targets:
        if target not in ends:
            raise ConfigError(f"{target!r} is no linear layer of a {model_type}; it has {', '.join(ends)}")
    return tuple(dict.fromkeys(ends[target] for target in targets))


def save_hugging_face(model: Transformer, config: Mapping[str, Any], folder: str | Path) -> Path:
    """Write `model.safetensors` under transformers' names, and `config.json` from `config`, whose "model_type" decides.

    `config` is what transformers expects in the file; `config_from_hugging_face(config)` must give the model's own. Raises
    ConfigError if it does not, WriteError if nothing can be written.
    """
    from .hugging_face import config_from_hugging_face

    if config_from_hugging_face(config) != model.config:
        raise ConfigError("the Hugging Face configuration describes another model than this one")
    kind, folder = str(config["model_type"]), Path(folder)
    shared = {"lm_head.weight"} if model.config.tie_weights else set()
    tensors = {to_hugging_face(k, kind): v for k, v in model.state_dict().items() if k not in shared}
    if kind == "gemma":
        tensors = {k: np.asarray(v.numpy()) - 1 if "norm." in k else v for k, v in tensors.items()}
    text = json.dumps(dict(config), indent=2) + "\n"

    def write(file: BinaryIO) -> None:
        file.write(text.encode())

    try:
        folder.mkdir(parents=True, exist_ok=True)
        save_file(tensors, folder / "model.safetensors", {"format": "pt"})
        write_atomically(folder / "config.json", write)
    except OSError as error:
        raise WriteError(f"cannot save the model in {folder}: {error.strerror or error}") from error
    return folder


def _table(model_type: str) -> tuple[tuple[str, str], ...]:
    if model_type not in _TABLES:
        raise ConfigError(f"model_type must be one of {', '.join(_TABLES)}, got {model_type!r}")
    return _TABLES[model_type]


def _linear(model_type: str) -> list[tuple[str, str]]:
    """The rows of the linear layers in the blocks."""
    return [row for row in _table(model_type) if re.search(r"_proj$|feed_forward\.", row[0])]
