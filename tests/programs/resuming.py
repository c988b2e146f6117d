"""A training that can be stopped after any step and continued in another process.

python resuming.py FOLDER STEPS   # continues every checkpoint in FOLDER, and writes the digest of the final weights and losses beside it
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import tensorlite as tl
from tensorlite import nn, optim
from tensorlite.nn import functional as F
from tensorlite.optim import lr_scheduler as schedules
from tensorlite.utils.data import DataLoader, TensorDataset

OPTIMIZERS: dict[str, Callable[[Any], Any]] = {
    "SGD": lambda p: optim.SGD(p, 0.05, momentum=0.9, nesterov=True),
    "Adam": lambda p: optim.Adam(p, 0.01, amsgrad=True, weight_decay=0.01),
    "AdamW": lambda p: optim.AdamW(p, 0.01),
    "RMSprop": lambda p: optim.RMSprop(p, 0.01, momentum=0.9, centered=True),
    "Adagrad": lambda p: optim.Adagrad(p, 0.05, lr_decay=0.01),
    "Adadelta": lambda p: optim.Adadelta(p, 1.0),
    "NAdam": lambda p: optim.NAdam(p, 0.01),
    "RAdam": lambda p: optim.RAdam(p, 0.01),
    "Lion": lambda p: optim.Lion(p, 0.005),
    "LBFGS": lambda p: optim.LBFGS(p, 0.5, max_iter=3, history_size=4, line_search_fn="strong_wolfe"),
    "Adamax": lambda p: optim.Adamax(p, 0.01),
    "Rprop": lambda p: optim.Rprop(p, 0.01),
    "ASGD": lambda p: optim.ASGD(p, 0.01, t0=3),
    "Adafactor": lambda p: optim.Adafactor(p, 0.01),
}
SCHEDULES: dict[str, Callable[[Any], Any]] = {
    "StepLR": lambda o: schedules.StepLR(o, 3, 0.5),
    "MultiStepLR": lambda o: schedules.MultiStepLR(o, [2, 5, 6], 0.5),
    "LambdaLR": lambda o: schedules.LambdaLR(o, lambda step: 1 / (1 + step)),
    "ExponentialLR": lambda o: schedules.ExponentialLR(o, 0.9),
    "CosineAnnealingLR": lambda o: schedules.CosineAnnealingLR(o, 7),
    "CosineAnnealingWarmRestarts": lambda o: schedules.CosineAnnealingWarmRestarts(o, 3, 2),
    "OneCycleLR": lambda o: schedules.OneCycleLR(o, 0.05, total_steps=20, cycle_momentum=False),
    "LinearLR": lambda o: schedules.LinearLR(o, 0.1, total_iters=6),
    "ReduceLROnPlateau": lambda o: schedules.ReduceLROnPlateau(o, patience=1),
    "SequentialLR": lambda o: schedules.SequentialLR(
        o, [schedules.LinearLR(o, 0.1, total_iters=3), schedules.ExponentialLR(o, 0.9)], [3]
    ),
    "ChainedScheduler": lambda o: schedules.ChainedScheduler(
        [schedules.LinearLR(o, 0.1, total_iters=3), schedules.StepLR(o, 2, 0.5)]
    ),
}


class Training:
    """Dropout, a shuffling loader, an optimizer and a schedule; `state()` is all that a continuation needs."""

    def __init__(self, optimizer: str, schedule: str, seed: int = 0) -> None:
        self.names = [optimizer, schedule]
        tl.manual_seed(seed)
        rng = np.random.default_rng(1)
        x, y = rng.standard_normal((18, 4)).astype(np.float32), rng.integers(0, 3, 18)
        self.model = nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.GELU(), nn.Dropout(0.25), nn.Linear(8, 3))
        self.optimizer = OPTIMIZERS[optimizer](self.model.parameters())
        self.schedule = SCHEDULES[schedule](self.optimizer)
        self.loader = DataLoader(TensorDataset(tl.tensor(x), tl.tensor(y)), batch_size=4, shuffle=True)
        self.batches = iter(self.loader)
        self.losses: list[float] = []

    def steps(self, n: int) -> Training:
        for _ in range(n):
            batch = next(self.batches, None)
            if batch is None:
                self.batches = iter(self.loader)
                batch = next(self.batches)
            loss = self.optimizer.step(lambda batch=batch: self.loss(*batch))
            self.losses.append(float(loss))
            self.schedule.step(*([self.losses[-1]] if self.names[1] == "ReduceLROnPlateau" else []))
        return self

    def loss(self, x: Any, y: Any) -> Any:
        self.optimizer.zero_grad()
        loss = F.cross_entropy(self.model(x), y)
        loss.backward()
        return loss

    def state(self) -> dict[str, Any]:
        parts = {name: getattr(self, name).state_dict() for name in ("model", "optimizer", "schedule", "loader")}
        return {**parts, "random": tl.get_rng_state(), "losses": self.losses, "names": self.names}

    @classmethod
    def resume(cls, path: Path) -> Training:
        state = tl.load(path)
        training = cls(*state["names"], seed=99)  # other weights, another order: all must come from the checkpoint
        for name in ("model", "schedule", "optimizer", "loader"):
            getattr(training, name).load_state_dict(state[name])
        tl.set_rng_state(state["random"])
        training.losses = list(state["losses"])
        training.batches = iter(training.loader)
        return training

    def digest(self) -> str:
        """Of every bit of the weights, the optimizer's state and the losses."""
        found = hashlib.sha256(repr([loss.hex() for loss in self.losses]).encode())
        for _, tensor in sorted(self.model.state_dict().items()):
            found.update(tensor.numpy().tobytes())
        for _, state in sorted(self.optimizer.state_dict()["state"].items()):
            for name, value in sorted(state.items()):
                found.update(name.encode() + (value.numpy().tobytes() if isinstance(value, tl.Tensor) else b""))
        return found.hexdigest()


if __name__ == "__main__":
    for checkpoint in sorted(Path(sys.argv[1]).glob("*.safetensors")):
        done = Training.resume(checkpoint)
        done.steps(int(sys.argv[2]) - len(done.losses))
        checkpoint.with_suffix(".digest").write_text(done.digest())
