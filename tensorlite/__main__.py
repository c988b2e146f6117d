"""`python -m tensorlite`: a first look. Builds relu(x @ W + b), checks its gradient, and draws the graph in text."""

from __future__ import annotations

import numpy as np

import tensorlite as tl
from tensorlite.autograd import gradcheck


def main() -> None:
    """Print eight lines or so: a small network, its value and gradient, the check, the graph, and where to go next."""
    rng = np.random.default_rng(0)
    x, weight, bias = (tl.from_numpy(rng.standard_normal(s)).requires_grad_() for s in ((2, 3), (3, 2), (2,)))
    y = (x @ weight + bias).relu()
    y.sum().backward()
    agrees = gradcheck(lambda x, w, b: (x @ w + b).relu(), (x, weight, bias))
    print(
        f"tensorlite {tl.__version__}: y = relu(x @ W + b) for x {tuple(x.shape)}, W {tuple(weight.shape)}, b {tuple(bias.shape)}"
    )
    print("dL/db =", bias.grad.tolist(), "for L = y.sum(); all gradients agree with numerical derivatives:", agrees)
    print(tl.viz.graph(y).text())
    print("Next: python -m tensorlite.viz --help draws your own model; README.md and docs/ go on from here.")


if __name__ == "__main__":
    main()
