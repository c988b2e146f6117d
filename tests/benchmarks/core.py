"""The core: small operations against torch, the length of a chain, and the time an import takes."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch

import tensorlite as tl

from .harness import Ratio, compare


def chain(module: Any, grad: bool) -> Callable[[], None]:
    """1,000 additions of 3-element tensors; with gradients, forward and backward."""
    x, y = module.ones(3), module.ones(3)
    if grad:
        y.requires_grad_()

    def run() -> None:
        t = x
        for _ in range(1000):
            t = t + y
        if grad:
            t.sum().backward()

    return run


def mlp(module: Any) -> Callable[[], None]:
    """A step of SGD on a two-layer perceptron of width 16 and a batch of 4."""
    nn, optim = module.nn, module.optim
    module.manual_seed(0)
    net = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 16))
    step = optim.SGD(net.parameters(), lr=0.01)
    x, y = module.randn(4, 16), module.randn(4, 16)

    def run() -> None:
        step.zero_grad()
        loss = ((net(x) - y) ** 2).mean()
        loss.backward()
        step.step()

    return run


def rows() -> Iterator[Ratio]:
    torch.set_num_threads(1)
    tl.set_num_threads(1)
    yield compare(
        "1,000 additions, 3 elements, forward and backward", chain(tl, True), chain(torch, True), 1.0, pairs=31
    )
    yield compare(
        "1,000 additions, 3 elements, without gradients", chain(tl, False), chain(torch, False), 1.3, pairs=31
    )
    yield compare("MLP 16-16-16, batch 4: forward, backward, SGD step", mlp(tl), mlp(torch), 1.0, pairs=31)
    yield million()
    yield importing()


def long_chain(n: int) -> float:
    """Seconds for a chain of n additions, forward and backward."""
    x = tl.ones(1, requires_grad=True)
    start = time.perf_counter()
    t = x
    for _ in range(n):
        t = t + x
    t.backward()
    del t
    return time.perf_counter() - start


def million() -> Ratio:
    """A chain of one million ops against one of half a million: at most 2.4 if time is linear in the length."""
    pairs = [(long_chain(1_000_000), long_chain(500_000)) for _ in range(3)]
    ratios = sorted(a / b for a, b in pairs)
    return Ratio(
        "chain of 1,000,000 ops against 500,000",
        ratios[1],
        ratios[0],
        ratios[2],
        statistics.median(p[0] for p in pairs),
        statistics.median(p[1] for p in pairs),
        2.4,
        0.0,
    )


def importing(runs: int = 15) -> Ratio:
    """`import tensorlite` against `import numpy` alone, whole processes in turn."""

    def seconds(package: str) -> float:
        code = f"import time; t = time.perf_counter(); import {package}; print(time.perf_counter() - t)"
        return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)

    seconds("tensorlite")
    pairs = [(seconds("tensorlite"), seconds("numpy")) for _ in range(runs)]
    ratios = sorted(a / b for a, b in pairs)
    q = runs // 4
    return Ratio(
        "import tensorlite against import numpy",
        statistics.median(ratios),
        ratios[q],
        ratios[-1 - q],
        statistics.median(p[0] for p in pairs),
        statistics.median(p[1] for p in pairs),
        1.3,
        0.0,
    )
