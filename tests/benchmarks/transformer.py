"""Transformers against torch eager: training steps, long attention, decoding with a cache, peak memory; one and two threads."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

import tensorlite as tl

from ._models import SETTINGS, Setting, build, train_step
from ._worker import Worker
from .harness import Ratio, ratio

TARGETS = {1: (0.9, 0.9, 1.0), 2: (1.0, 1.0, 1.0)}


def rows() -> Iterator[Ratio]:
    for threads in (1, 2) if len(os.sched_getaffinity(0)) > 1 else (1,):
        yield from timings(threads)
    for s in SETTINGS:
        yield peak_memory(s)


def timings(threads: int, only: str = "") -> Iterator[Ratio]:
    """The rows for one number of threads; `only` keeps those whose name contains it.

    With one thread the CPU's time is compared, which other processes on the machine disturb least; with two, the clock's.
    """
    tasks = [(f"train {s.name}", "train", i, TARGETS[threads][i], (41, 15, 9)[i]) for i, s in enumerate(SETTINGS)]
    tasks.append(("attention, T 2048, 8x64, causal", "attention", 2048, 1.2 if threads == 1 else 1.1, 15))
    tasks.append(("decode, GPT 6x512, batch 1", "decode", 0, 1.0, 11))
    for name, task, index, target, pairs in tasks:
        if only in name:
            yield _in_turn(f"{name}, {threads} thread{'s'[: threads - 1]}", threads, task, index, target, pairs)


def _in_turn(name: str, threads: int, task: str, index: int, target: float, pairs: int) -> Ratio:
    with Worker("tensorlite", threads) as ours, Worker("torch", threads) as theirs:
        for worker in (ours, theirs):
            worker.prepare(task, index)
            worker.run(2)
        which = 1 if threads == 1 else 0
        times = [(ours.run()[which], theirs.run()[which]) for _ in range(pairs)]
    return ratio(name, times, target)


# -- memory -----------------------------------------------------------------------------------------------------------


def peak_memory(s: Setting) -> Ratio:
    """Largest resident memory of three training steps beyond that after the imports, each library in a process of its own."""
    found = []
    for name in ("tensorlite", "torch"):
        command = [sys.executable, "-m", "tests.benchmarks.transformer", name, s.name]
        out = subprocess.run(
            command, capture_output=True, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
        )
        found.append(int(out.stdout) / 2**20)
    ratio = found[0] / found[1]
    return Ratio(
        f"peak memory in MiB, train {s.name}",
        ratio,
        ratio,
        ratio,
        found[0] / 1e3,
        found[1] / 1e3,
        1.0,
        os.getloadavg()[0],
    )


def _measure(library: str, setting: str) -> int:
    lib = torch if library == "torch" else tl
    lib.nn, lib.optim  # noqa: B018 (loaded when first named: an import)
    torch.set_num_threads(1)
    before = _resident()
    _forget_peak()
    step = train_step(lib, next(s for s in SETTINGS if s.name == setting))
    for _ in range(3):
        step()
    return _peak() - before


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def _peak() -> int:
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


# -- the same model in both libraries ---------------------------------------------------------------------------------


def same_losses(s: Setting, steps: int = 3) -> tuple[list[float], list[float]]:
    """Losses of the first steps in both libraries from one set of weights and one batch."""
    ours, theirs = build(tl, s), build(torch, s)
    ours.load_state_dict({k: tl.tensor(v.numpy()) for k, v in theirs.state_dict().items()})
    rng = np.random.default_rng(0)
    ids, target = rng.integers(0, s.vocabulary, (s.batch, s.length)), rng.integers(0, s.vocabulary, s.tokens)
    losses: tuple[list[float], list[float]] = ([], [])
    for lib, model, found in ((tl, ours, losses[0]), (torch, theirs, losses[1])):
        optimizer = lib.optim.AdamW(model.parameters(), lr=1e-3)
        for _ in range(steps):
            optimizer.zero_grad()
            logits = model(lib.tensor(ids)).view(s.tokens, s.vocabulary)
            loss = lib.nn.functional.cross_entropy(logits, lib.tensor(target))
            loss.backward()
            optimizer.step()
            found.append(loss.item())
    return losses


if __name__ == "__main__":
    print(_measure(*sys.argv[1:3]))
