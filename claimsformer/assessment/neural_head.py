"""A small network over the evidence, for labelled histories where evidence does not simply add up.

Several networks of one hidden layer, started differently and averaged; each stops where its loss on a tenth of the
claims, kept aside, was lowest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

import tensorlite as tl
from tensorlite import Tensor, nn
from tensorlite.nn import functional as F

__all__ = ["NeuralHead"]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


class _Network(nn.Module):
    def __init__(self, n_features: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.up = nn.Linear(n_features, hidden)
        self.middle = nn.Linear(hidden, hidden)
        self.down = nn.Linear(hidden, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Log-odds (N,) of features (N, D)."""
        x = F.dropout(F.gelu(self.up(x)), self.dropout, self.training)
        x = F.dropout(F.gelu(self.middle(x)), self.dropout, self.training)
        return self.down(x).squeeze(-1)  # type: ignore[no-any-return]


@dataclass
class NeuralHead:
    """Fitted networks with the mean and scale of their features."""

    mean: Floats
    scale: Floats
    networks: list[_Network]

    @classmethod
    def fit(
        cls,
        x: Floats,
        labels: Bools,
        weights: Floats,
        *,
        hidden: int = 32,
        members: int = 5,
        epochs: int = 40,
        batch_size: int = 256,
        seed: int = 0,
        focus: float = 0.0,
    ) -> NeuralHead:
        """Learn from features (N, D), labels (N,) and weights (N,) of the claims; `focus` is the exponent by which the
        focal loss turns from claims that are judged well already (Lin et al. 2017), 0 for plain cross-entropy."""
        mean, scale = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-3)
        inputs = np.clip((x - mean) / scale, -8, 8).astype(np.float32)
        with tl.random.fork_rng():
            networks = [
                _fit_one(inputs, labels.astype(np.float32), weights.astype(np.float32), hidden, epochs, batch_size,
                         seed + k, focus)
                for k in range(members)
            ]  # fmt: skip
        return cls(mean, scale, networks)

    def __call__(self, x: Floats) -> Floats:
        """Mean log-odds (N,) of the networks."""
        inputs = np.clip((x - self.mean) / self.scale, -8, 8).astype(np.float32)
        with tl.no_grad():
            scores = [net(tl.from_numpy(inputs)).numpy().astype(np.float64) for net in self.networks]
        found: Floats = np.mean(scores, axis=0)
        return found

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        states = [{name: value.numpy().tolist() for name, value in net.state_dict().items()} for net in self.networks]
        return {"mean": self.mean.tolist(), "scale": self.scale.tolist(), "networks": states}

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> NeuralHead:
        """The head that `to_dict` described."""
        networks = []
        for values in state["networks"]:
            up = np.array(values["up.weight"], np.float32)
            net = _Network(up.shape[1], up.shape[0], 0.0)
            net.load_state_dict({name: tl.from_numpy(np.array(v, np.float32)) for name, v in values.items()})
            net.eval()
            networks.append(net)
        return cls(np.array(state["mean"]), np.array(state["scale"]), networks)


def _fit_one(
    x: npt.NDArray[np.float32],
    y: npt.NDArray[np.float32],
    w: npt.NDArray[np.float32],
    hidden: int,
    epochs: int,
    batch_size: int,
    seed: int,
    focus: float,
) -> _Network:
    tl.manual_seed(seed)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(x))
    kept, used = order[: max(1, len(x) // 10)], order[max(1, len(x) // 10) :]
    net = _Network(x.shape[1], hidden, 0.2)
    optimizer = tl.optim.AdamW(list(net.parameters()), lr=2e-3, weight_decay=1e-2)
    best, state, patience = np.inf, net.state_dict(), 0
    for _ in range(epochs):
        net.train()
        shuffled = rng.permutation(used)
        for start in range(0, len(shuffled), batch_size):
            rows = shuffled[start : start + batch_size]
            optimizer.zero_grad()
            _loss(net, x[rows], y[rows], w[rows], focus).backward()
            optimizer.step()
        net.eval()
        with tl.no_grad():
            loss = float(_loss(net, x[kept], y[kept], w[kept], focus).item())
        if loss < best - 1e-4:
            best, patience = loss, 0
            state = {name: tl.from_numpy(value.numpy().copy()) for name, value in net.state_dict().items()}
        else:
            patience += 1
        if patience >= 6:
            break
    net.load_state_dict(state)
    net.eval()
    return net


def _loss(
    net: _Network, x: npt.NDArray[np.float32], y: npt.NDArray[np.float32], w: npt.NDArray[np.float32], focus: float
) -> Tensor:
    logits, target = net(tl.from_numpy(x)), tl.from_numpy(y)
    if not focus:
        return F.binary_cross_entropy_with_logits(logits, target, tl.from_numpy(w))
    each = F.binary_cross_entropy_with_logits(logits, target, tl.from_numpy(w), reduction="none")
    missed = tl.sigmoid(logits * (1 - 2 * target))  # 1 - p of the true class
    focused: Tensor = (missed**focus * each).mean()
    return focused
