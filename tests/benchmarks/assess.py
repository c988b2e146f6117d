"""Assessing a stream: claims per second of its stages, peak memory, and the model next to PyTorch and ONNX Runtime.

`python -m tests.benchmarks.assess --lines 10000000` makes that many claim lines with the generator, block by block, and
assesses them in a process of its own, whose peak memory is reported.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import tensorlite as tl
from claimsformer.assessment import ClaimsProcessor
from claimsformer.assessment.questions import ask
from claimsformer.assessment.streaming import StreamSettings, assess_stream
from claimsformer.assessment.streaming_inference import HiddenTokenModel
from claimsformer.claims.generator import generate
from claimsformer.claims.writers import write_claims
from claimsformer.cli.common import PRETRAINED

from .harness import Note

LINES, CLAIMS_COMPARED, REPEATS = 50_000, 2_048, 5


def generated(path: Path, lines: int, seed: int = 0) -> dict[str, float]:
    """At least `lines` claim lines in a file, made and written block by block."""
    started, counts = time.perf_counter(), {"claims": 0.0, "lines": 0.0}

    def frames() -> Iterator[Any]:
        for batch in generate(lines, seed):  # more claims than are needed, for a claim has more than one line
            yield batch.claims
            counts["claims"] += batch.claims.height
            counts["lines"] += float(batch.claims["lines"].list.len().sum())
            if counts["lines"] >= lines:
                return

    write_claims(frames(), path)
    return counts | {"seconds": time.perf_counter() - started, "megabytes": path.stat().st_size / 1e6}


def assess_here(path: str, folder: str, full_model: int | None, threads: int, workers: int = 1) -> None:
    """Assess a file in this process and print what it took, as JSON."""
    tl.set_num_threads(threads)
    processor = ClaimsProcessor.load(PRETRAINED)
    spent: dict[str, float] = {}
    last, said = time.perf_counter(), time.perf_counter()
    started = last

    def tell(words: str, share: float) -> None:
        nonlocal last, said
        now = time.perf_counter()
        stage = words.split()[0].strip(",")
        spent[stage] = spent.get(stage, 0.0) + now - last
        last = now
        if now - said > 30:
            said = now
            print(f"{now - started:7.0f} s  {words}, {_peak():.0f} MB", file=sys.stderr, flush=True)

    settings = StreamSettings(full_model, workers=workers)
    found = assess_stream(processor, path, Path(folder) / "work", settings=settings, on_progress=tell)
    written = found.write(Path(folder) / "verdicts.ndjson", on_progress=tell)
    summary = found.summary()
    print(json.dumps(summary | {"written": written, "seconds": time.perf_counter() - started, "stages": spent,
                                "cpu_seconds": _cpu()}))  # fmt: skip


def _peak() -> float:
    """Most memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def _together(process: int) -> float:
    """Memory of a process and those that it started, in MB; what they share counts once (proportional set size, Linux)."""
    total, waiting = 0.0, [process]
    while waiting:
        folder = Path("/proc") / str(waiting.pop())
        try:
            rollup = (folder / "smaps_rollup").read_text()
            waiting += [int(child) for task in folder.glob("task/*/children") for child in task.read_text().split()]
        except OSError:  # it has just ended
            continue
        total += next(float(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    return total / 1e3


def _cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def stream(lines: int, full_model: int | None, threads: int, workers: int = 1) -> Iterator[Note]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "claims.parquet"
        made = generated(path, lines)
        yield Note(
            f"generated {made['claims']:,.0f} claims with {made['lines']:,.0f} lines in {made['seconds']:.0f} s "
            f"({made['lines'] / made['seconds']:,.0f} lines/s), {made['megabytes']:,.0f} MB of Parquet"
        )
        limit = "None" if full_model is None else str(full_model)
        arguments = f"{str(path)!r}, {folder!r}, {limit}, {threads}, {workers}"
        call = f"from tests.benchmarks.assess import assess_here; assess_here({arguments})"
        peak = 0.0
        with subprocess.Popen([sys.executable, "-c", call], stdout=subprocess.PIPE, text=True) as process:
            while process.poll() is None:
                peak = max(peak, _together(process.pid))
                time.sleep(0.5)
            assert process.stdout is not None
            found = json.loads(process.stdout.read())
        n, seconds, cpu = found["accepted"], found["seconds"], found["cpu_seconds"]
        yield Note(
            f"assessed {n:,} claims in {seconds:.0f} s with {threads} threads and {workers} workers: {n / seconds:,.0f} "
            f"claims/s ({cpu:.0f} s of CPU: {n / cpu:,.0f} claims/s); peak memory of all processes together {peak:,.0f} MB; {found['full_model']:,} by the full model, {found['suspicious']:,} suspicious"
        )
        rates = {"reading": n, "edits": n, "full": found["full_model"], "writing": n}
        for stage, claims in rates.items():
            if spent := found["stages"].get(stage):
                yield Note(f"  {stage:<8} {spent:8.1f} s  {claims / spent:12,.0f} claims/s")


def engines(threads: int) -> Iterator[Note]:
    """The full model (every question that `assess` asks) in three engines, in turn, on the same claims."""
    tl.set_num_threads(threads)
    processor = ClaimsProcessor.load(PRETRAINED)
    claims = next(generate(CLAIMS_COMPARED, 3, CLAIMS_COMPARED)).claims
    reader = processor.reader
    batch, questions = reader.encode(claims), (*reader.reading.questions, *reader.reading.details)
    models, left_out = _models(processor, threads)

    def run(model: Any) -> np.ndarray:
        return ask(model, reader.tokenizer, reader.frequencies, batch, questions).values

    reference = run(models["tensorlite, hidden tokens only"])
    differences = {name: float(np.nanmax(np.abs(run(model) - reference))) for name, model in models.items()}
    seconds: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(REPEATS):
        for name, model in models.items():
            started = time.perf_counter()
            run(model)
            seconds[name].append(time.perf_counter() - started)
    ours = statistics.median(seconds["tensorlite, hidden tokens only"])
    for name, taken in seconds.items():
        middle = statistics.median(taken)
        yield Note(
            f"full model, {threads} threads, {name:<34} {len(batch) / middle:7,.0f} claims/s "
            f"({min(taken):.2f} to {max(taken):.2f} s; {middle / ours:.2f} x ours; differs by {differences[name]:.0e} nats)"
        )
    for line in left_out:
        yield Note(line)


def _models(processor: ClaimsProcessor, threads: int) -> tuple[dict[str, Any], list[str]]:
    model = processor.model
    found: dict[str, Any] = {"tensorlite, hidden tokens only": HiddenTokenModel(model), "tensorlite, all tokens": model}
    left_out = []
    makers: dict[str, tuple[tuple[str, ...], Callable[[Any], Any]]] = {
        "torch eager": (("torch",), lambda e: e.TorchClaims(model)),
        "torch eager, hidden tokens only": (("torch",), lambda e: e.TorchClaims(model, pruned=True)),
        "ONNX Runtime": (("torch", "onnx", "onnxscript", "onnxruntime"), lambda e: e.OnnxClaims(model, threads)),
    }
    for name, (needed, make) in makers.items():
        missing = [package for package in needed if importlib.util.find_spec(package) is None]
        if missing:
            left_out.append(f"{name}: left out, not installed: {', '.join(missing)}")
            continue
        import torch

        from . import _claims_engines

        torch.set_num_threads(threads)
        found[name] = make(_claims_engines)
    return found, left_out


def rows(lines: int = LINES, full_model: int | None = 1_000, workers: int = 1) -> Iterator[Note]:
    threads = min(2, os.cpu_count() or 1)
    for count in sorted({1, threads}):
        yield from engines(count)
    yield from stream(lines, full_model, threads, workers)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.assess", description=__doc__)
    parser.add_argument("--lines", type=int, default=1_000_000, help="claim lines to generate")
    parser.add_argument("--full-model", type=int, help="most claims for the full model (by default 5 %%)")
    parser.add_argument("--workers", type=int, default=1, help="processes that screen and assess")
    arguments = parser.parse_args()
    for row in rows(arguments.lines, arguments.full_model, arguments.workers):
        print(row.row(), flush=True)


if __name__ == "__main__":
    main()
