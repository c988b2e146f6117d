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

from ._models import LARGE, SETTINGS, Setting, attention_step, build, decode, train_step
from .harness import Ratio, compare

TARGETS = {1: (0.9, 0.9, 1.0), 2: (1.0, 1.0, 1.0)}


def rows() -> Iterator[Ratio]:
    for threads in (1, 2) if len(os.sched_getaffinity(0)) > 1 else (1,):
        yield from timings(threads)
    tl.set_num_threads(1)
    for s in SETTINGS:
        yield peak_memory(s)


def timings(threads: int, only: str = "") -> Iterator[Ratio]:
    """The rows for one number of threads; `only` keeps those whose name contains it."""
    torch.set_num_threads(threads)
    tl.set_num_threads(threads)
    label = f", {threads} thread{'s' if threads > 1 else ''}"
    for s, target in zip(SETTINGS, TARGETS[threads], strict=True):
        if only in s.name:
            pairs = 41 if s.d_model < 200 else 15
            yield compare(f"train {s.name}{label}", train_step(tl, s), train_step(torch, s), target, pairs, 0.05)
    if only in "attention":
        ours, theirs = attention_step(tl, 2048), attention_step(torch, 2048)
        yield compare(f"attention, T 2048, 8x64, causal{label}", ours, theirs, 1.2 if threads == 1 else 1.1, 15)
    if only in "decode":
        yield compare(f"decode, GPT 6x512, batch 1{label}", decode(tl, LARGE), decode(torch, LARGE), 1.0, 11)


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
