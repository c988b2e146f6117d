"""LoRA adapters as files, in peft's format: `adapter_config.json` and `adapter_model.safetensors`."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from tensorlite import nn
from tensorlite.utils.safetensors import SafetensorError, load_file, save_file, write_atomically

from ..errors import ConfigError, ReadError, WriteError
from .lora import ALL_LINEAR, LoraConfig, inject, lora_layers, target_names

__all__ = ["load_adapter", "save_adapter"]

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_PREFIX = "base_model.model."  # peft wraps the model twice
#: What peft can do and this library cannot: an adapter that uses one of these is refused.
_UNSUPPORTED = (
    "use_dora", "rank_pattern", "alpha_pattern", "modules_to_save", "layers_to_transform", "layers_pattern", "fan_in_fan_out",
    "exclude_modules", "target_parameters", "trainable_token_indices", "layer_replication", "megatron_config", "lora_bias",
)  # fmt: skip


def save_adapter(model: nn.Module, config: LoraConfig, folder: str | Path, *, task_type: str | None = None) -> Path:
    """Write the adapters (and the biases that learn). `task_type` is peft's, such as "CAUSAL_LM".

    Raises ConfigError for a model without adapters, WriteError where it cannot write.
    """
    layers = lora_layers(model)
    if not layers:
        raise ConfigError("the model has no LoRA adapters to save", hint="inject(model, config) adds them")
    names = [f"{name}.lora_{part}.weight" for name in layers for part in "AB"]
    names += [name for name, p in model.named_parameters() if name.endswith("bias") and p.requires_grad]
    parameters = dict(model.named_parameters(remove_duplicate=False))
    text = json.dumps(_peft_config(config, list(layers), task_type), indent=2) + "\n"
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        save_file({_name_in_peft(name, layers): parameters[name] for name in names}, folder / WEIGHTS, {"format": "pt"})
        write_atomically(folder / CONFIG, lambda file: file.writelines([text.encode()]))
    except OSError as error:
        raise WriteError(f"cannot save the adapter in {folder}: {error.strerror or error}") from error
    return folder


def _name_in_peft(name: str, layers: Collection[str]) -> str:
    """peft keeps the bias of an adapted layer in the layer that it wraps."""
    owner, _, last = name.rpartition(".")
    return f"{_PREFIX}{owner}.base_layer.{last}" if owner in layers else _PREFIX + name


def load_adapter(model: nn.Module, folder: str | Path) -> LoraConfig:
    """Inject the adapters of a folder that `save_adapter` or peft wrote. Returns their configuration.

    Raises ReadError for what is missing, damaged, or of another model; ConfigError for a feature of peft that is not supported.
    """
    config = _read_config(Path(folder) / CONFIG)
    try:
        found = load_file(Path(folder) / WEIGHTS)
    except FileNotFoundError:
        raise ReadError(
            f"{WEIGHTS} is not in {folder}", hint="expected a folder that peft or save_adapter wrote"
        ) from None
    except (SafetensorError, OSError) as error:
        raise ReadError(f"cannot read {Path(folder) / WEIGHTS}: {error}") from error
    tensors = {name.removeprefix(_PREFIX).replace(".base_layer.", "."): value for name, value in found.items()}
    _check_shapes(model, config, tensors, Path(folder) / WEIGHTS)
    inject(model, config)
    model.load_state_dict(tensors, strict=False)
    return config


def _check_shapes(model: nn.Module, config: LoraConfig, tensors: dict[str, Any], path: Path) -> None:
    expected: dict[str, tuple[int, ...]] = {}
    for name in target_names(model, config):
        layer = model.get_submodule(name)
        assert isinstance(layer, nn.Linear)
        expected[f"{name}.lora_A.weight"] = (config.r, layer.in_features)
        expected[f"{name}.lora_B.weight"] = (layer.out_features, config.r)
    biases = {name: tuple(p.shape) for name, p in model.named_parameters() if name.endswith("bias")}
    for name in {*expected, *tensors}:
        wanted = expected.get(name, biases.get(name))
        got = tuple(tensors[name].shape) if name in tensors else None
        if wanted != got:
            raise ReadError(
                f"{path} does not fit the model: {name} is {got or 'absent'} in the file and {wanted or 'absent'} in the model"
            )


def _peft_config(config: LoraConfig, layers: list[str], task_type: str | None) -> dict[str, Any]:
    # peft knows "all-linear" for models of transformers alone, so the layers are named
    targets = layers if config.target_modules == ALL_LINEAR else config.target_modules
    return {
        "peft_type": "LORA",
        "task_type": task_type,
        "base_model_name_or_path": None,
        "inference_mode": True,
        "r": config.r,
        "lora_alpha": config.alpha,
        "lora_dropout": config.dropout,
        "target_modules": targets if isinstance(targets, str) else list(targets),
        "bias": config.bias,
        "use_rslora": config.rslora,
    }


def _read_config(path: Path) -> LoraConfig:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ReadError(f"{path.name} is not in {path.parent}", hint="expected a folder that peft wrote") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ReadError(f"{path} is not JSON: {error}") from None
    if not isinstance(values, dict) or values.get("peft_type") != "LORA":
        raise ReadError(f"{path} does not describe a LoRA adapter")
    used = [name for name in _UNSUPPORTED if values.get(name)]
    if used:
        raise ConfigError(f"{path} uses {', '.join(used)}, which this library does not support")
    targets = values.get("target_modules") or ()
    return LoraConfig(
        target_modules=targets if isinstance(targets, str) else tuple(sorted(targets)),
        r=values.get("r", 8),
        alpha=values.get("lora_alpha", 8),
        dropout=values.get("lora_dropout", 0.0),
        bias=values.get("bias", "none"),
        rslora=bool(values.get("use_rslora", False)),
    )
