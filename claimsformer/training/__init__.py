"""Training: the Trainer, losses, schedules, frozen layers and LoRA adapters.

history = Trainer(model, CrossEntropy(), lr=3e-4).fit(train, val, epochs=10)
history.plot().save("curves.svg")
"""

from .adapters import load_adapter, save_adapter
from .callbacks import Callback, Listener
from .data import PadCollate
from .history import History
from .journal import read_metrics
from .lora import LoraConfig, LoraLinear, inject, lora_layers, merge, merge_and_unload, unmerge
from .losses import CostLoss, CrossEntropy, FocalLoss, TokenCrossEntropy
from .metrics import accuracy, exact_match
from .parameters import ParameterCount, count_parameters, freeze, parameter_groups, unfreeze
from .schedules import constant, cosine, linear, make_schedule, noam
from .summary import summarize
from .trainer import Overfit, Trainer

__all__ = [
    "Callback",
    "CostLoss",
    "CrossEntropy",
    "FocalLoss",
    "History",
    "Listener",
    "LoraConfig",
    "LoraLinear",
    "Overfit",
    "PadCollate",
    "ParameterCount",
    "TokenCrossEntropy",
    "Trainer",
    "accuracy",
    "constant",
    "cosine",
    "count_parameters",
    "exact_match",
    "freeze",
    "inject",
    "linear",
    "load_adapter",
    "lora_layers",
    "make_schedule",
    "merge",
    "merge_and_unload",
    "noam",
    "parameter_groups",
    "read_metrics",
    "save_adapter",
    "summarize",
    "unfreeze",
    "unmerge",
]
