"""Transformers against torch eager: training steps, long attention, decoding with a cache, peak memory; one and two threads.

Then tensorlite by itself: two threads against one, memory of attention by length, the interpreter's share of a step, copies.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

import tensorlite as tl
from tensorlite.profiler import profile

from ._models import SETTINGS, Setting, attention_step, build, train_step
from ._overhead import outside_numpy
from ._worker import Worker
from .harness import Note, Ratio, ratio

TARGETS = {1: (0.9, 0.9, 1.0), 2: (1.0, 1.0, 1.0)}


SPEEDUP = 1.6  # of two threads over one

LENGTHS = (512, 1024, 2048, 4096, 8192)


def rows() -> Iterator[Ratio | Note]:
    several = len(os.sched_getaffinity(0)) > 1
    for threads in (1, 2) if several else (1,):
        yield from timings(threads)
    if several:
        yield from speedups()
    else:
        yield Note("two threads: skipped, this process may use one CPU")
    for s in SETTINGS:
        yield peak_memory(s)
    yield from attention_memory()
    yield outside_numpy(1)
    yield from copies()


def timings(threads: int, only: str = "") -> Iterator[Ratio]:
    """The rows for one number of threads; `only` keeps those whose name contains it.

    With one thread the CPU's time is compared, which other processes on the machine disturb least; with two, the clock's.
    """
    tasks = [(f"train {s.name}", "train", i, TARGETS[threads][i], (41, 15, 9)[i]) for i, s in enumerate(SETTINGS)]
    tasks.append(("attention, T 2048, 8x64, causal", "attention", 2048, 1.2 if threads == 1 else 1.1, 15))
    tasks.append(("decode, GPT 6x512, batch 1", "decode", 0, 1.0, 11))
    for name, task, index, target, pairs in tasks:
        if only in name:
            label = f"{name}, {threads} thread{'s'[: threads - 1]}"
            yield in_turn(label, task, index, target, pairs, ("tensorlite", threads), ("torch", threads))


def speedups() -> Iterator[Ratio]:
    """Two threads of tensorlite against one, by the clock: at most 1 / 1.6 of the time."""
    for i in (1, 2):
        name = f"two threads against one, train {SETTINGS[i].name}"
        yield in_turn(name, "train", i, 1 / SPEEDUP, 11, ("tensorlite", 2), ("tensorlite", 1))


def in_turn(
    name: str,
    task: str,
    index: int,
    target: float | None,
    pairs: int,
    ours: tuple[str, int],
    theirs: tuple[str, int],
) -> Ratio:
    """Two (library, threads) at the same work, each in a process of its own, in turn."""
    with Worker(*ours) as a, Worker(*theirs) as b:
        for worker in (a, b):
            worker.prepare(task, index)
            worker.run(2)
        which = 1 if ours[1] == theirs[1] == 1 else 0
        times = [(a.run()[which], b.run()[which]) for _ in range(pairs)]
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


def attention_peak(length: int, heads: int = 8, width: int = 64) -> int:
    """Bytes that NumPy holds at most while attention over a length runs forward and backward, operands included."""
    found: list[int] = []

    def run() -> None:  # in a thread of its own, as scratch memory is kept for each thread
        tracemalloc.start()
        attention_step(tl, length, heads, width)()
        found.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return found[0]


def attention_memory() -> Iterator[Ratio | Note]:
    """Memory for each token at the longest length against the shortest: 1 if it grows linearly, 16 if quadratically."""
    tl.set_num_threads(1)
    peaks = {t: attention_peak(t) for t in LENGTHS}
    each = [peaks[t] / t for t in (LENGTHS[-1], LENGTHS[0])]
    r = each[0] / each[1]
    name = f"attention, KiB a token at T {LENGTHS[-1]} against T {LENGTHS[0]}"
    yield Ratio(name, r, r, r, each[0] / 2**10 / 1e3, each[1] / 2**10 / 1e3, 1.1, os.getloadavg()[0])
    yield Note("attention, peak MiB: " + ", ".join(f"T {t}: {p / 2**20:.1f}" for t, p in peaks.items()))


# -- copies -----------------------------------------------------------------------------------------------------------


def copies() -> Iterator[Note]:
    """What a training step only copies, by the profiler."""
    tl.set_num_threads(1)
    for s in SETTINGS[:2]:
        step = train_step(tl, s)
        step()
        with profile() as prof:
            step()
        moved = sum(e.bytes for e in prof.events)
        found = prof.copies()
        total = sum(size for *_, size in found)
        yield Note(
            f"copies of one step, {s.name}: {total / 1e6:.2f} MB of {moved / 1e6:.0f} MB that ops read and write"
        )
        for name, shapes, calls, size in found:
            yield Note(f"    {name} {' '.join(map(str, shapes))}: {calls} calls, {size / 1e6:.3f} MB")


# -- memory, one process for each library -----------------------------------------------------------------------------


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
