"""A process that runs one library's work when it is told to, so that two libraries share nothing but the machine.

`python -m tests.benchmarks._worker LIBRARY THREADS` reads a task per line, such as `train 0`, and then numbers of runs; it answers each
number with the seconds that those runs took: by the clock, and on the CPU (all threads, without the time that other processes held it).
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from . import _opponents
from ._models import LARGE, SETTINGS, attention_step, decode, train_step


def make(lib: Any, task: str, index: int) -> Callable[[], object]:
    """The work of a task: `train` by number of the setting, `attention` by length, `decode` of the third model."""
    if lib.__name__ in _opponents.STEPS:
        return _opponents.STEPS[lib.__name__](SETTINGS[index])
    if task == "train":
        found = train_step(lib, SETTINGS[index])
    elif task == "attention":
        found = attention_step(lib, index)
    else:
        found = decode(lib, LARGE)
    return found  # type: ignore[no-any-return]


def main(library: str, threads: str) -> None:
    lib = importlib.import_module(library)
    if library not in _opponents.STEPS:
        lib.set_num_threads(int(threads))
    elif threads == "1":
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    run: Callable[[], object] = lambda: None
    for line in sys.stdin:
        word, *rest = line.split()
        if rest:
            run = make(lib, word, int(rest[0]))
            run()
            print("ready", flush=True)
            continue
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(int(word)):
            run()
        print(time.perf_counter() - wall, time.process_time() - cpu, flush=True)


class Worker:
    """The other end: a context manager over such a process."""

    def __init__(self, library: str, threads: int) -> None:
        self.command = [sys.executable, "-m", __name__, library, str(threads)]
        # OpenBLAS and OpenMP start no more threads than this; tensorlite splits products over threads of its own
        self.environment = {
            **os.environ,
            "OMP_NUM_THREADS": str(threads),
            "OPENBLAS_NUM_THREADS": "1",
            "JAX_PLATFORMS": "cpu",
        }

    def __enter__(self) -> Worker:
        self._process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=self.environment
        )
        return self

    def __exit__(self, *exc: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def prepare(self, task: str, index: int) -> None:
        """Build the work and run it once."""
        if self._ask(f"{task} {index}") != "ready":
            raise RuntimeError(f"the worker could not make {task} {index}")

    def run(self, times: int = 1) -> tuple[float, float]:
        """Seconds by the clock and on the CPU, of one run."""
        wall, cpu = self._ask(str(times)).split()
        return float(wall) / times, float(cpu) / times

    def _ask(self, line: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()


if __name__ == "__main__":
    main(*sys.argv[1:3])
