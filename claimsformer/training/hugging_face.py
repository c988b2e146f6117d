"""LoRA adapters under transformers' names of layers: what peft writes for a Phi is read for ours, and the reverse.

`adapters.py` writes peft's format with this library's names; here the names of layers are those of the model that
transformers would build.
"""

from __future__ import annotations

import dataclasses
import json
import tempfile
from pathlib import Path
from typing import Any

from tensorlite.utils.safetensors import SafetensorError, load_file, save_file

from ..errors import ConfigError, ReadError
from ..transformer import Transformer
from ..transformer.hugging_face_names import targets_from_hugging_face, targets_to_hugging_face, to_hugging_face
from .adapters import load_adapter, save_adapter
from .lora import ALL_LINEAR, LoraConfig, lora_layers, target_names

__all__ = ["load_peft_adapter", "lora_config", "save_peft_adapter"]

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_PREFIX = "base_model.model."


def lora_config(targets: tuple[str, ...] | str, model_type: str, **options: Any) -> LoraConfig:
    """A LoraConfig from today's names of transformers ("q_proj", "dense", "fc1"); see `LoraConfig` for the options."""
    if isinstance(targets, str):
        if targets != ALL_LINEAR:
            raise ConfigError(f"a regular expression cannot be translated; give names of layers, got {targets!r}")
        return LoraConfig(target_modules=targets, **options)
    return LoraConfig(target_modules=targets_from_hugging_face(targets, model_type), **options)


def save_peft_adapter(model: Transformer, config: LoraConfig, folder: str | Path, model_type: str) -> Path:
    """Write the adapters as peft would for transformers' model of this type."""
    folder = save_adapter(model, config, folder, task_type="CAUSAL_LM" if model.config.head else None)
    renamed = {_renamed(name, model_type): value for name, value in load_file(folder / WEIGHTS).items()}
    save_file(renamed, folder / WEIGHTS, {"format": "pt"})
    values = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    ends = sorted({name.rpartition(".")[2] for name in lora_layers(model)})
    values["target_modules"] = list(targets_to_hugging_face(ends, model_type))
    (folder / CONFIG).write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    return folder


def load_peft_adapter(model: Transformer, folder: str | Path, model_type: str) -> LoraConfig:
    """Inject the adapters that peft trained for transformers' model of this type. Raises ReadError or ConfigError."""
    folder = Path(folder)
    try:
        values = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        tensors = load_file(folder / WEIGHTS)
    except (OSError, SafetensorError, json.JSONDecodeError) as error:
        raise ReadError(f"cannot read the adapter in {folder}: {error}") from error
    targets = values.get("target_modules") or ()
    if isinstance(targets, list):
        values["target_modules"] = list(targets_from_hugging_face(sorted(targets), model_type))
    config = LoraConfig(target_modules=values["target_modules"])
    layers = target_names(model, config)
    theirs = {f"{_PREFIX}{to_hugging_face(name, model_type)}.lora_{part}.weight": f"{_PREFIX}{name}.lora_{part}.weight" for name in layers for part in "AB"}  # fmt: skip
    unknown = sorted(set(tensors) - set(theirs))
    if unknown:
        raise ReadError(f"{folder / WEIGHTS} does not fit the model: {unknown[0]} is not one of its adapters")
    with tempfile.TemporaryDirectory() as own:
        save_file({theirs[name]: value for name, value in tensors.items()}, Path(own) / WEIGHTS, {"format": "pt"})
        (Path(own) / CONFIG).write_text(json.dumps(values), encoding="utf-8")
        return dataclasses.replace(load_adapter(model, own))


def _renamed(name: str, model_type: str) -> str:
    inner = name.removeprefix(_PREFIX)
    layer, dot, rest = inner.partition(".lora_")
    return _PREFIX + to_hugging_face(layer, model_type) + dot + rest
