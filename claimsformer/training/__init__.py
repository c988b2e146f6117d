"""Training: the Trainer, losses, schedules, frozen layers and LoRA adapters.

history = Trainer(model, CrossEntropy(), lr=3e-4).fit(train, val, epochs=10)
history.plot().save("curves.svg")
"""

from .callbacks import Callback, Listener
from .data import PadCollate
from .history import History
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
    "linear",
    "make_schedule",
    "noam",
    "parameter_groups",
    "summarize",
    "unfreeze",
]
