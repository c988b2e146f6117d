"""How much of a training step passes outside NumPy: `python -m tests.benchmarks._overhead SETTING` prints it a step a line.

Every function of NumPy that a module of tensorlite calls by name (`np.matmul`, `np.exp`, `np.add.reduce`, …) is timed; all
other time counts as the interpreter's. Operators and methods of arrays (`a @ b`, `a.reshape`) are not seen and count as the
interpreter's too, as does most of what the timing itself costs, so that the share is an upper bound. The modules of
tensorlite are changed for it, which therefore runs in a process of its own.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
import types
from collections.abc import Callable
from typing import Any

import numpy as np

import tensorlite as tl

from ._models import SETTINGS, train_step
from .harness import Ratio

STEPS = 11


class TimedNumPy(types.ModuleType):
    """A stand-in for the module `numpy` whose functions add the time that they take to `spent`, in seconds."""

    def __init__(self) -> None:
        super().__init__("numpy")
        self.spent = 0.0

    def __getattr__(self, name: str) -> Any:
        found = getattr(np, name)
        if callable(found) and not isinstance(found, type):
            found = _Timed(found, self)
        setattr(self, name, found)
        return found


class _Timed:
    def __init__(self, f: Callable[..., Any], owner: TimedNumPy) -> None:
        self.f, self.owner = f, owner

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        start = time.perf_counter()
        try:
            return self.f(*args, **kwargs)
        finally:
            self.owner.spent += time.perf_counter() - start

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.f, name)
        return _Timed(found, self.owner) if callable(found) else found


def install() -> TimedNumPy:
    """Put the stand-in into every module of tensorlite that has been imported."""
    stand_in = TimedNumPy()
    for name, module in list(sys.modules.items()):
        if name.split(".")[0] == "tensorlite" and module.__dict__.get("np") is np:
            module.__dict__["np"] = stand_in
    return stand_in


def outside_numpy(index: int) -> Ratio:
    """Seconds outside NumPy's functions over the seconds of the whole step, for a setting by number."""
    command = [sys.executable, "-m", __name__, str(index)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    out = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
    pairs = [tuple(map(float, line.split())) for line in out.splitlines()]
    shares = sorted(outside / whole for outside, whole in pairs)
    quarter = len(shares) // 4
    return Ratio(
        f"outside NumPy, of a step, train {SETTINGS[index].name}",
        statistics.median(shares),
        shares[quarter],
        shares[-1 - quarter],
        statistics.median(p[0] for p in pairs),
        statistics.median(p[1] for p in pairs),
        0.1,
        os.getloadavg()[0],
    )


def main(index: int) -> None:
    tl.set_num_threads(1)
    step = train_step(tl, SETTINGS[index])
    for _ in range(2):
        step()
    stand_in = install()
    for _ in range(STEPS):
        before, start = stand_in.spent, time.perf_counter()
        step()
        whole = time.perf_counter() - start
        print(whole - (stand_in.spent - before), whole)


if __name__ == "__main__":
    main(int(sys.argv[1]))
