"""LoRA adapters as files, in peft's format: `adapter_config.json` and `adapter_model.safetensors`."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tensorlite import nn
from tensorlite.utils.safetensors import SafetensorError, load_file, save_file, write_atomically

from ..errors import ConfigError, ReadError, WriteError
from .lora import ALL_LINEAR, LoraConfig, inject, lora_layers, target_names

__all__ = ["apply_adapter", "load_adapter", "read_adapter", "save_adapter", "write_adapter"]

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_PREFIX = "base_model.model."  # peft wraps the model twice
#: Settings of peft that say nothing about what the adapter computes.
_WITHOUT_EFFECT = {
    "peft_type", "task_type", "auto_mapping", "peft_version", "base_model_name_or_path", "revision", "inference_mode", "megatron_core",
    "runtime_config", "loftq_config", "eva_config", "corda_config", "lora_ga_config", "qalora_group_size", "ensure_weight_tying",
}  # fmt: skip
#: Those that are followed. Any other that is set, such as "use_dora" or "rank_pattern", is refused: this library lacks it.
_FOLLOWED = {"r", "lora_alpha", "lora_dropout", "target_modules", "bias", "use_rslora"}
#: First values of A and B that leave the frozen weights alone; others, such as "pissa", also take their part out of these.
_FIRST_VALUES = (True, False, None, "gaussian", "orthogonal", "eva")


def save_adapter(model: nn.Module, config: LoraConfig, folder: str | Path, *, task_type: str | None = None) -> Path:
    """Write the adapters (and the biases that learn). `task_type` is peft's, such as "CAUSAL_LM".

    Raises ConfigError for a model without adapters, WriteError where it cannot write.
    """
    targets = config.target_modules
    # peft knows "all-linear" for models of transformers alone, so the layers are named
    return write_adapter(
        model, config, folder, list(lora_layers(model)) if targets == ALL_LINEAR else targets, task_type
    )


def write_adapter(
    model: nn.Module,
    config: LoraConfig,
    folder: str | Path,
    targets: Sequence[str] | str,
    task_type: str | None,
    rename: Callable[[str], str] = str,
) -> Path:
    """`save_adapter` with the targets for the file, and `rename` from the model's names of layers to the file's."""
    layers = lora_layers(model)
    if not layers:
        raise ConfigError("the model has no LoRA adapters to save", hint="inject(model, config) adds them")
    parameters = dict(model.named_parameters(remove_duplicate=False))
    tensors = {
        f"{_PREFIX}{rename(name)}.lora_{part}.weight": parameters[f"{name}.lora_{part}.weight"]
        for name in layers
        for part in "AB"
    }
    for name, parameter in model.named_parameters():
        if name.endswith("bias") and parameter.requires_grad:
            owner, dot, last = name.rpartition(".")
            inner = (
                ".base_layer" if owner in layers else ""
            )  # peft keeps an adapted layer in the one that it puts there
            tensors[f"{_PREFIX}{rename(owner) if owner else ''}{inner}{dot}{last}"] = parameter
    text = json.dumps(_peft_config(config, targets, task_type), indent=2) + "\n"
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        save_file(tensors, folder / WEIGHTS, {"format": "pt"})
        write_atomically(folder / CONFIG, lambda file: file.writelines([text.encode()]))
    except OSError as error:
        raise WriteError(f"cannot save the adapter in {folder}: {error.strerror or error}") from error
    return folder


def load_adapter(model: nn.Module, folder: str | Path) -> LoraConfig:
    """Inject the adapters of a folder that `save_adapter` or peft wrote. Returns their configuration.

    Raises ReadError for what is missing, damaged, or of another model; ConfigError for a feature of peft that is not supported.
    """
    config, found = read_adapter(folder)
    apply_adapter(model, config, {_name_here(name): value for name, value in found.items()}, Path(folder) / WEIGHTS)
    return config


def read_adapter(folder: str | Path) -> tuple[LoraConfig, dict[str, Any]]:
    """The configuration and the tensors of a folder, by their names in the file. Raises ReadError or ConfigError."""
    config = _read_config(Path(folder) / CONFIG)
    try:
        return config, dict(load_file(Path(folder) / WEIGHTS))
    except FileNotFoundError:
        raise ReadError(
            f"{WEIGHTS} is not in {folder}", hint="expected a folder that peft or save_adapter wrote"
        ) from None
    except (SafetensorError, OSError) as error:
        raise ReadError(f"cannot read {Path(folder) / WEIGHTS}: {error}") from error


def apply_adapter(model: nn.Module, config: LoraConfig, tensors: dict[str, Any], path: Path) -> None:
    """Inject what was read from `path`, under the names of the model's own layers. Raises ReadError if it does not fit them."""
    _check_shapes(model, config, tensors, path)
    inject(model, config)
    model.load_state_dict(tensors, strict=False)


def _name_here(name: str) -> str:
    return name.removeprefix(_PREFIX).replace(".base_layer.", ".")


def _check_shapes(model: nn.Module, config: LoraConfig, tensors: dict[str, Any], path: Path) -> None:
    expected: dict[str, tuple[int, ...]] = {}
    for name in target_names(model, config):
        layer = model.get_submodule(name)
        assert isinstance(layer, nn.Linear)
        expected[f"{name}.lora_A.weight"] = (config.r, layer.in_features)
        expected[f"{name}.lora_B.weight"] = (layer.out_features, config.r)
    biases = {name: tuple(p.shape) for name, p in model.named_parameters() if name.endswith("bias")}
    for name in sorted({*expected, *tensors}):
        wanted = expected.get(name, biases.get(name))
        got = tuple(tensors[name].shape) if name in tensors else None
        if wanted != got:
            raise ReadError(
                f"{path} does not fit the model: {name} is {got or 'absent'} in the file and {wanted or 'absent'} in the model"
            )


def _peft_config(config: LoraConfig, targets: Sequence[str] | str, task_type: str | None) -> dict[str, Any]:
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
    used = [k for k, v in values.items() if v and k not in _WITHOUT_EFFECT | _FOLLOWED | {"init_lora_weights"}]
    if values.get("init_lora_weights") not in _FIRST_VALUES:
        used.append(f"init_lora_weights={values['init_lora_weights']!r}")
    if used:
        raise ConfigError(f"{path} uses {', '.join(used)}, which this library does not support")
    targets = values.get("target_modules") or ()
    if not isinstance(targets, str) and not (
        isinstance(targets, list | tuple) and all(isinstance(t, str) for t in targets)
    ):
        raise ReadError(f"{path}: target_modules must be names of layers or one regular expression, got {targets!r}")
    return LoraConfig(
        target_modules=targets if isinstance(targets, str) else tuple(sorted(targets)),
        r=values.get("r", 8),
        alpha=values.get("lora_alpha", 8),
        dropout=values.get("lora_dropout", 0.0),
        bias=values.get("bias", "none"),
        rslora=bool(values.get("use_rslora", False)),
    )
