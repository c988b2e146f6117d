"""LoRA adapters under transformers' names of layers: what peft writes for a Phi is read for ours, and the reverse.

`adapters.py` writes peft's format with this library's names; here the names of layers are those of the model that
transformers would build.
"""

from __future__ import annotations

import dataclasses
import re
import warnings
from pathlib import Path
from typing import Any

from tensorlite import nn

from ..errors import ConfigError, ReadError
from ..transformer import Transformer
from ..transformer.hugging_face_names import targets_from_hugging_face, to_hugging_face
from .adapters import apply_adapter, read_adapter, write_adapter
from .lora import ALL_LINEAR, LoraConfig, lora_layers

__all__ = ["load_peft_adapter", "lora_config", "save_peft_adapter"]

WEIGHTS = "adapter_model.safetensors"
_PREFIX = "base_model.model."
_OUTPUT = "lm_head"


def lora_config(targets: tuple[str, ...] | str, model_type: str, **options: Any) -> LoraConfig:
    """A LoraConfig from today's names of transformers ("q_proj", "dense", "fc1"); see `LoraConfig` for the options."""
    if isinstance(targets, str):
        if targets != ALL_LINEAR:
            raise ConfigError(f"a regular expression cannot be translated; give names of layers, got {targets!r}")
        return LoraConfig(target_modules=targets, **options)
    return LoraConfig(target_modules=targets_from_hugging_face(targets, model_type), **options)


def save_peft_adapter(model: Transformer, config: LoraConfig, folder: str | Path, model_type: str) -> Path:
    """Write the adapters, and the biases that learn, as peft would for transformers' model of this type."""
    names = _linear(model, model_type)
    adapted = {theirs for theirs, ours in names.items() if ours in lora_layers(model)}
    ends = sorted({name.rpartition(".")[2] for name in adapted})
    alike = {name for name in names if name.rpartition(".")[2] in ends}
    # the ends of names are enough unless they mean other layers as well: a BERT has four kinds of "dense"
    targets = ends if alike == adapted else sorted(adapted)
    task = "CAUSAL_LM" if model.config.head else "FEATURE_EXTRACTION"
    return write_adapter(model, config, folder, targets, task, lambda name: to_hugging_face(name, model_type))


def load_peft_adapter(model: Transformer, folder: str | Path, model_type: str) -> LoraConfig:
    """Inject the adapters that peft trained for transformers' model of this type. Raises ReadError or ConfigError.

    A target in the file that names no layer, as peft lets pass, is ignored with a UserWarning as long as others do.
    """
    file = Path(folder) / WEIGHTS
    config, found = read_adapter(folder)
    names = _linear(model, model_type)
    layers = tuple(names[theirs] for theirs in _targeted(list(names), config.target_modules, model_type))
    known = {f"{_PREFIX}{to_hugging_face(n, model_type)}": n for n, _ in model.named_parameters() if n.endswith("bias")}
    for theirs, ours in names.items():
        known |= {f"{_PREFIX}{theirs}.lora_{part}.weight": f"{ours}.lora_{part}.weight" for part in "AB"}
        known[f"{_PREFIX}{theirs}.base_layer.bias"] = f"{ours}.bias"
    for name in sorted(found):
        if name not in known:
            raise ReadError(f"{file} does not fit the model: {name} is not one of its adapters")
    config = dataclasses.replace(config, target_modules=layers)
    apply_adapter(model, config, {known[name]: value for name, value in found.items()}, file)
    return config


def _linear(model: Transformer, model_type: str) -> dict[str, str]:
    """Our names of linear layers by transformers'."""
    names = (name for name, module in model.named_modules() if isinstance(module, nn.Linear))
    own = [name for name in names if not name.endswith((".lora_A", ".lora_B"))]
    return {to_hugging_face(name, model_type): name for name in own}


def _targeted(names: list[str], targets: tuple[str, ...] | str, model_type: str) -> list[str]:
    """The layers, by transformers' names, that peft would adapt."""
    if targets == ALL_LINEAR:
        return [name for name in names if name != _OUTPUT]
    if isinstance(targets, str):
        try:
            found = [name for name in names if re.fullmatch(targets, name)]
        except re.error as error:
            raise ConfigError(f"target_modules={targets!r} is not a regular expression: {error}") from None
        idle: list[str] = []
    else:
        meant = {target: [n for n in names if n == target or n.endswith(f".{target}")] for target in targets}
        found = [name for name in names if any(name in matches for matches in meant.values())]
        idle = [target for target, matches in meant.items() if not matches]
    if not found:
        raise ConfigError(f"the adapter is for {targets!r}, which names no linear layer of a {model_type}")
    if idle:
        warnings.warn(
            f"the adapter names {', '.join(idle)}, which a {model_type} does not have", UserWarning, stacklevel=3
        )
    return found
