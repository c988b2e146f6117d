"""What a Trainer tells others while it trains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from .history import History
    from .trainer import Trainer

__all__ = ["Callback", "Listener"]

Numbers = Mapping[str, float]


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
