"""What a training run returns: its curves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tensorlite.viz import Picture, training_curves

__all__ = ["History"]

Floats = npt.NDArray[np.float64]


class History(Mapping[str, Floats]):
    """Arrays by name, one number an evaluation: `history["loss"]`, `history["val_loss"]`; NaN where there is none.

    `steps` holds the same for every update: "step" (from 1), "loss", "grad_norm" and "lr". `stopped` says why the run ended
    before its last epoch, or is empty.
    """

    def __init__(self) -> None:
        self._rows: list[dict[str, float]] = []
        self._updates: dict[str, list[float]] = {"step": [], "loss": [], "grad_norm": [], "lr": []}
        self.stopped = ""

    def add(self, row: Mapping[str, float]) -> None:
        """Enter the numbers of one evaluation."""
        self._rows.append({name: float(value) for name, value in row.items()})

    def add_update(self, step: int, loss: float, grad_norm: float, lr: float) -> None:
        """Enter the numbers of one update."""
        for name, value in zip(self._updates, (step, loss, grad_norm, lr), strict=True):
            self._updates[name].append(float(value))

    @property
    def steps(self) -> dict[str, Floats]:
        """Arrays by name, one number an update."""
        return {name: np.array(values, np.float64) for name, values in self._updates.items()}

    @property
    def evaluations(self) -> int:
        """How many rows there are."""
        return len(self._rows)

    @property
    def last(self) -> dict[str, float]:
        """The numbers of the last evaluation."""
        return dict(self._rows[-1]) if self._rows else {}

    @property
    def last_update(self) -> dict[str, float]:
        """The numbers of the last update."""
        return {name: values[-1] for name, values in self._updates.items() if values}

    def plot(self, **options: Any) -> Picture:
        """The curves of loss and metrics, drawn by `tensorlite.viz.training_curves`; `.save("curves.svg")` writes them.

        Without epochs to draw (a run of one evaluation or less), the loss of every update.
        """
        if len(self._rows) > 1:
            hidden = ("step", "epoch", "lr", "grad_norm")
            keys = [name for name in self if name not in hidden][:7]
            return training_curves(_lists(self), **{"x": "epoch", "keys": keys, **options})
        return training_curves(_lists(self.steps), **{"x": "step", "keys": ["loss"], **options})

    def state_dict(self) -> dict[str, Any]:
        """Everything, for a checkpoint."""
        return {"rows": [dict(row) for row in self._rows], "updates": self.steps}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        self._rows = [dict(row) for row in state["rows"]]
        self._updates = {name: [float(v) for v in values] for name, values in state["updates"].items()}

    def __getitem__(self, name: str) -> Floats:
        if name not in list(self):
            raise KeyError(f"{name!r} is not in the history; it has {', '.join(self)}")
        return np.array([row.get(name, np.nan) for row in self._rows], np.float64)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name for row in self._rows for name in row))

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __repr__(self) -> str:
        numbers = ", ".join(f"{name}={value:.4g}" for name, value in self.last.items())
        return f"History({len(self._rows)} evaluations; last: {numbers})"


def _lists(columns: Mapping[str, Floats]) -> dict[str, list[float]]:
    return {name: values.tolist() for name, values in columns.items()}
