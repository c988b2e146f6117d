"""LoRA: a frozen matrix W learns a difference of low rank, `W + (alpha / r) B A` (Hu et al. 2022).

`inject` turns linear layers into `LoraLinear` by name; only the adapters learn from then on. Names and shapes of the
weights that were there stay as they were. `save_adapter` and `load_adapter` use peft's files, so an adapter
moves between this library and Hugging Face's. What this module does not do: DoRA, quantised weights, several
adapters at once, layers other than `nn.Linear`.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import tensorlite as tl
from tensorlite import Tensor, nn
from tensorlite.nn import functional as F

from ..errors import ConfigError

__all__ = ["ALL_LINEAR", "LoraConfig", "LoraLinear", "inject", "lora_layers", "merge", "merge_and_unload", "unmerge"]

ALL_LINEAR = "all-linear"
_OUTPUT_LAYERS = ("lm_head", "head", "output", "score", "classifier")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraConfig:
    """r: rank. alpha: the difference is scaled by alpha / r, or alpha / √r with `rslora` (Kalajdzievski 2023).

    target_modules: names of linear layers, each the end of a dotted path ("q_proj" or "layers.0.fc1"); or one regular
    expression for the whole path; or "all-linear", every linear layer but the output layer.
    dropout acts on the input of the adapter alone. bias: which biases learn too: "none", "all", or "lora_only".
    """

    target_modules: tuple[str, ...] | str
    r: int = 8
    alpha: float = 16.0
    dropout: float = 0.0
    bias: str = "none"
    rslora: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.target_modules, list):
            object.__setattr__(self, "target_modules", tuple(self.target_modules))
        if not self.target_modules:
            raise ConfigError("target_modules is empty: name the linear layers to adapt")
        if not isinstance(self.r, int) or self.r < 1:
            raise ConfigError(f"r must be a whole number, at least 1, got {self.r!r}")
        if not isinstance(self.alpha, int | float) or not math.isfinite(self.alpha):
            raise ConfigError(f"alpha must be a finite number, got {self.alpha!r}")
        if not isinstance(self.dropout, int | float) or not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout must be in [0, 1), got {self.dropout!r}")
        if self.bias not in ("none", "all", "lora_only"):
            raise ConfigError(f"bias must be 'none', 'all' or 'lora_only', got {self.bias!r}")

    @property
    def scaling(self) -> float:
        """What the product B A is multiplied by."""
        return self.alpha / (math.sqrt(self.r) if self.rslora else self.r)


class LoraLinear(nn.Linear):
    """A linear layer with an adapter: `y = x Wᵀ + b + scaling · dropout(x) Aᵀ Bᵀ`, A `(r, in)`, B `(out, r)`.

    A starts uniform within ±1/√in and B at zero, so at first the layer computes what it computed before.
    """

    def __init__(self, layer: nn.Linear, config: LoraConfig) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self.weight = layer.weight
        self.register_parameter("bias", layer.bias)
        dtype = layer.weight.dtype
        self.lora_A = nn.Linear(self.in_features, config.r, bias=False, dtype=dtype)
        self.lora_B = nn.Linear(config.r, self.out_features, bias=False, dtype=dtype)
        nn.init.zeros_(self.lora_B.weight)
        self.lora_dropout = nn.Dropout(config.dropout) if config.dropout else nn.Identity()
        self.scaling = config.scaling
        self._unmerged: Tensor | None = None
        self.train(layer.training)

    def forward(self, input: Tensor) -> Tensor:
        y = F.linear(input, self.weight, self.bias)
        if self.merged:
            return y
        return y + self.lora_B(self.lora_A(self.lora_dropout(input))) * self.scaling  # type: ignore[no-any-return]

    @property
    def merged(self) -> bool:
        """Whether the weight holds the adapter's difference."""
        return self._unmerged is not None

    def delta(self) -> Tensor:
        """The difference `scaling · B A`, `(out, in)`."""
        return (self.lora_B.weight @ self.lora_A.weight) * self.scaling

    def merge(self) -> None:
        """Add the difference to the weight; the old weight is kept, so that `unmerge` is exact."""
        if self.merged:
            return
        with tl.no_grad():
            self._unmerged = self.weight.detach().clone()
            self.weight.add_(self.delta())

    def unmerge(self) -> None:
        """Put the old weight back, to the bit."""
        if self._unmerged is None:
            return
        with tl.no_grad():
            self.weight.copy_(self._unmerged)
        self._unmerged = None

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        """The weight without the difference, which stands in A and B: loading must not add it twice."""
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if self._unmerged is not None:
            destination[f"{prefix}weight"] = self._unmerged

    def _load_from_state_dict(self, *args: Any) -> None:
        """A state holds the weight without the difference, so the layer is not merged afterwards."""
        self.unmerge()
        super()._load_from_state_dict(*args)

    def plain(self) -> nn.Linear:
        """A linear layer without adapter over the weight as it is now."""
        layer = nn.Linear.__new__(nn.Linear)
        nn.Module.__init__(layer)
        layer.in_features, layer.out_features = self.in_features, self.out_features
        layer.weight = self.weight
        layer.register_parameter("bias", self.bias)
        layer.train(self.training)
        return layer

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, r={self.lora_A.out_features}, scaling={self.scaling:g}"


def inject(model: nn.Module, config: LoraConfig, *, seed: int | None = 0) -> list[str]:
    """Give the target layers adapters and freeze all else. Returns the names of the layers.

    Raises ConfigError, before anything is changed, if a target matches no linear layer, or adapters are there already.
    """
    names = target_names(model, config)
    if lora_layers(model):
        raise ConfigError("the model has LoRA adapters already", hint="merge_and_unload(model) makes it a plain model")
    for parameter in model.parameters():
        parameter.requires_grad = False
    with tl.random.fork_rng():
        if seed is not None:
            tl.manual_seed(seed)
        for name in names:
            layer = model.get_submodule(name)
            assert isinstance(layer, nn.Linear)
            model.set_submodule(name, LoraLinear(layer, config))
    for name, parameter in model.named_parameters():
        if name.endswith("bias") and (
            config.bias == "all" or (config.bias == "lora_only" and name.removesuffix(".bias") in names)
        ):
            parameter.requires_grad = True
    return names


def target_names(model: nn.Module, config: LoraConfig) -> list[str]:
    """The linear layers that the configuration means. Raises ConfigError for a target that matches none."""
    linear = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    targets = config.target_modules
    if targets == ALL_LINEAR:
        found = [name for name in linear if name.rsplit(".", 1)[-1] not in _OUTPUT_LAYERS]
        if not found:
            raise ConfigError("the model has no linear layer to adapt besides its output layer")
        return found
    if isinstance(targets, str):
        try:
            found = [name for name in linear if re.fullmatch(targets, name)]
        except re.error as error:
            raise ConfigError(f"target_modules={targets!r} is not a regular expression: {error}") from None
        if not found:
            raise _no_match(model, targets, linear)
        return found
    for target in targets:
        if not any(_ends_with(name, target) for name in linear):
            raise _no_match(model, target, linear)
    return [name for name in linear if any(_ends_with(name, target) for target in targets)]


def _ends_with(name: str, target: str) -> bool:
    return name == target or name.endswith(f".{target}")


def _no_match(model: nn.Module, target: str, linear: Sequence[str]) -> ConfigError:
    others = {type(m).__name__ for name, m in model.named_modules() if name and _ends_with(name, target)}
    if others:
        return ConfigError(f"the target {target!r} is {', '.join(sorted(others))}: LoRA adapts linear layers only")
    ends = sorted({name.rsplit(".", 1)[-1] for name in linear})
    close = difflib.get_close_matches(target, ends, 1)
    return ConfigError(
        f"the target {target!r} matches no linear layer",
        hint=(f"did you mean {close[0]!r}? " if close else "") + f"linear layers end in {', '.join(ends)}",
    )


def lora_layers(model: nn.Module) -> dict[str, LoraLinear]:
    """The layers with adapters by name."""
    return {name: module for name, module in model.named_modules() if isinstance(module, LoraLinear)}


def merge(model: nn.Module) -> None:
    """Add every adapter to its weight: the model computes the same, as fast as before. Undone by `unmerge`.

    Raises ConfigError for a model without adapters, and for a weight that another layer shares, which would change too.
    """
    layers = lora_layers(model)
    if not layers:
        raise ConfigError("the model has no LoRA adapters to merge", hint="inject or load_adapter puts them in")
    owners: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        owners.setdefault(id(parameter), []).append(name)
    for layer in layers.values():
        shared = owners[id(layer.weight)]
        if len(shared) > 1:
            raise ConfigError(f"cannot merge into {shared[-1]}: its weight is also {shared[0]}, which would change too")
    for layer in layers.values():
        layer.merge()


def unmerge(model: nn.Module) -> None:
    """Take the adapters out of the weights again, to the bit."""
    for layer in lora_layers(model).values():
        layer.unmerge()


def merge_and_unload(model: nn.Module) -> nn.Module:
    """Merge, and turn the layers back into plain linear layers; all parameters learn again. Returns the model."""
    merge(model)
    for name, layer in lora_layers(model).items():
        model.set_submodule(name, layer.plain())
    for parameter in model.parameters():
        parameter.requires_grad = True
    return model
