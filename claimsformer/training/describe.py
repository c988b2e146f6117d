"""What config.json says of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

import tensorlite as tl

from .parameters import count_parameters

if TYPE_CHECKING:
    from .trainer import Trainer

__all__ = ["describe"]

_OPTIONS = (
    "schedule", "warmup", "final_lr", "clip", "accumulate", "batch_size", "by_length", "evaluate_every",
    "checkpoint_every", "log_every", "monitor", "mode", "min_delta", "patience", "seed",
)  # fmt: skip


def describe(trainer: Trainer, epochs: int | None, max_steps: int | None) -> dict[str, Any]:
    """The settings of a run as plain values; functions by their names."""
    count = count_parameters(trainer.model)
    config: Any = getattr(trainer.model, "config", None)
    return {
        "model": {
            "type": type(trainer.model).__name__,
            "parameters": count.total,
            "learning": count.trainable,
            "config": config.to_dict() if hasattr(config, "to_dict") else None,
        },
        "loss": _text(trainer.loss),
        "optimizer": trainer.optimizer_name,
        "groups": [
            {"lr": _rate(group), "weight_decay": float(group.get("weight_decay") or 0), "tensors": len(group["params"])}
            for group in trainer.optimizer.param_groups
        ],
        **{name: _text(getattr(trainer, name)) for name in _OPTIONS},
        "metrics": list(trainer.metrics),
        "epochs": epochs,
        "max_steps": max_steps,
        "versions": {"tensorlite": tl.__version__, "numpy": np.__version__},
    }


def _rate(group: dict[str, Any]) -> float:
    """The rate that a schedule scales."""
    rate: Any = group["initial_lr"] if "initial_lr" in group else group["lr"]
    return float(rate)


def _text(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    name = getattr(value, "__qualname__", None)
    return name if name is not None else repr(value)
