"""What a Trainer tells others while it trains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import ConfigError

if TYPE_CHECKING:
    from .history import History
    from .trainer import Trainer

__all__ = ["Callback", "Listener", "checked_callbacks"]

Numbers = Mapping[str, float]
EVENTS = ("on_fit_start", "on_step_end", "on_evaluate", "on_fit_end")
STATE = ("state_dict", "load_state_dict")


class Listener(Protocol):
    """What the Trainer calls. `state_dict` and `load_state_dict` keep a callback's own numbers in the checkpoints."""

    def on_fit_start(self, trainer: Trainer) -> None: ...
    def on_step_end(self, trainer: Trainer, numbers: Numbers) -> None: ...
    def on_evaluate(self, trainer: Trainer, numbers: Numbers) -> None: ...
    def on_fit_end(self, trainer: Trainer, history: History) -> None: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class Callback:
    """A Listener that does nothing: subclass it and write the methods you need. `trainer.stop(reason)` ends the run."""

    def on_fit_start(self, trainer: Trainer) -> None:
        """Before the first update of this call of `fit`; `trainer.step` is above 0 when it resumes."""

    def on_step_end(self, trainer: Trainer, numbers: Numbers) -> None:
        """After each update: `loss`, `grad_norm`, `lr`."""

    def on_evaluate(self, trainer: Trainer, numbers: Numbers) -> None:
        """After each evaluation, and after each epoch when nothing is evaluated: a row of the history."""

    def on_fit_end(self, trainer: Trainer, history: History) -> None:
        """After the last update, also when the run was stopped."""

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps of this callback."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""


def checked_callbacks(callbacks: Any) -> list[Listener]:
    """The callbacks as a list. Raises ConfigError for what is none, and for an `on_...` method that nobody would call."""
    if hasattr(callbacks, "on_step_end") or not hasattr(callbacks, "__iter__"):
        raise ConfigError(f"callbacks must be a list of Callbacks, got {_kind(callbacks)}")
    found = list(callbacks)
    for callback in found:
        if isinstance(callback, type) or not all(hasattr(callback, name) for name in (*EVENTS, *STATE)):
            raise ConfigError(
                f"callbacks must hold instances of Callback, got {_kind(callback)}",
                hint="subclass claimsformer.training.Callback and give an instance, such as MyCallback()",
            )
        unknown = [name for name in dir(callback) if name.startswith("on_") and name not in EVENTS]
        if unknown:
            raise ConfigError(
                f"{type(callback).__name__}.{unknown[0]} would never be called",
                hint=f"the events are {', '.join(EVENTS)}",
            )
    return found


def _kind(value: Any) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__
