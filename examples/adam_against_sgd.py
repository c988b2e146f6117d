"""Adam against SGD: training runs that differ in the optimizer alone, on features in their own units, and in one unit.

Run: python examples/adam_against_sgd.py [FOLDER]

A claim is described by days of stay, number of lines and amount charged in US dollars; the amount paid is to be predicted.
Left in their units the features make a loss that is some ten million times steeper in one direction than in another. Each
optimizer gets the best of many learning rates. With a folder, the curves are written there as SVG.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

import tensorlite as tl
from claimsformer.errors import NonFiniteError
from claimsformer.training import Trainer
from tensorlite import nn, optim
from tensorlite.nn import functional as F
from tensorlite.viz import training_curves

EPOCHS, BATCH, CLAIMS, NOISE = 40, 32, 512, 0.05
OPTIMIZERS = {"sgd": optim.SGD, "adam": optim.Adam}
RATES = {"sgd": np.logspace(-9, 0, 19), "adam": np.logspace(-3, 0, 7)}


def claims(seed: int = 0) -> tuple[Any, Any]:
    """Features (days, lines, US dollars charged) and the amount paid in thousands of US dollars."""
    rng = np.random.default_rng(seed)
    days, lines, charged = rng.gamma(2.0, 2.0, CLAIMS), rng.poisson(4.0, CLAIMS) + 1, rng.lognormal(7.4, 0.5, CLAIMS)
    paid = 0.4 * days + 0.1 * lines + 0.6 * charged / 1000 + NOISE * rng.normal(size=CLAIMS)
    return np.stack([days, lines, charged], axis=1).astype(np.float32), paid[:, None].astype(np.float32)


def train(optimizer: str, lr: float, features: Any, paid: Any) -> Any:
    """The loss of each update; infinite if the run diverged."""
    with tl.random.fork_rng():
        tl.manual_seed(0)
        model = nn.Linear(3, 1)
    trainer = Trainer(
        model,
        F.mse_loss,
        OPTIMIZERS[optimizer](model.parameters(), lr=lr),
        schedule="linear",
        clip=None,
        batch_size=BATCH,
        progress=False,
    )
    try:
        with np.errstate(over="ignore"):
            return trainer.fit((features, paid), epochs=EPOCHS).steps["loss"]
    except NonFiniteError:
        return np.array([np.inf])


def last_epoch(losses: Any) -> float:
    """Mean loss of the last epoch's updates."""
    return float(losses[-CLAIMS // BATCH :].mean())


def best(optimizer: str, features: Any, paid: Any) -> tuple[float, Any]:
    """The learning rate whose last epoch has the least loss, and its curve."""
    runs = {lr: train(optimizer, lr, features, paid) for lr in RATES[optimizer]}
    lr = min(runs, key=lambda rate: last_epoch(runs[rate]))
    return lr, runs[lr]


def condition(features: Any) -> float:
    """The steepest over the flattest direction of the squared error: the ratio of its Hessian's eigenvalues."""
    with_bias = np.c_[features, np.ones(len(features))].astype(np.float64)
    values = np.linalg.eigvalsh(with_bias.T @ with_bias)
    return float(values[-1] / values[0])


def main(folder: str | Path | None = None) -> dict[str, float]:
    features, paid = claims()
    standard = (features - features.mean(0)) / features.std(0)
    found = {}
    for title, x in (("in their own units", features), ("standardised", standard)):
        print(f"\nfeatures {title}: steepest over flattest direction {condition(x):,.0f}")
        curves = {}
        for optimizer in RATES:
            lr, losses = best(optimizer, x, paid)
            curves[f"{optimizer} loss"] = losses.tolist()
            found[f"{optimizer} {title}"] = last_epoch(losses)
            print(
                f"  {optimizer:<5} lr {lr:<8.2g} loss: first {losses[0]:>10,.2f}   last epoch {last_epoch(losses):.4f}"
            )
        if folder is not None:
            picture = training_curves(curves, log=True, title=f"Features {title}")
            print(f"  curves: {picture.save(Path(folder) / f'{title.split()[-1]}.svg')}")
    print(
        f"\nThe noise in the data leaves a loss of {NOISE**2:.4f}. Adam divides each coordinate by the size of its own"
    )
    print(
        "gradients and comes closer than the best SGD; but its steps are of one size too, while these weights differ a"
    )
    print("thousandfold. With standardised features both arrive: units deserve more care than the choice of optimizer.")
    return found


if __name__ == "__main__":
    main(*sys.argv[1:2])
