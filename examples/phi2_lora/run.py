"""One engine from a folder of weights to a report: evaluate, adapt, train, evaluate, save, merge, evaluate the merged model.

`both` runs each engine in a process of its own, so that the peak memory of one is not the other's, and prints the table.
"""

from __future__ import annotations

import dataclasses
import json
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .checkpoint import begin, finish, folder_of, identity, refuse_unfinished, write_json
from .evaluation import Evaluation, evaluate
from .formatting import encode_all, prompt
from .pairs import held_out, near_duplicates, training
from .recipe import SAVE_EVERY, Engine, Recipe

__all__ = ["SHOWN", "both", "make_engine", "run"]

#: Each in a folder of its own when both run.
ENGINES = ("torch", "tensorlite")

#: Questions whose answers are shown before and after.
SHOWN = (
    "What does denial code 29 mean on a remittance?",
    "A line came back with CO-197. What should I do first?",
    "Please explain to a new biller in one sentence why adjustment reason 50 was used.",
    "What is the capital of France?",
)


def make_engine(name: str, folder: Path) -> Engine:
    """The engine of that name on the model of that folder; the other one's packages are not imported."""
    if name == "tensorlite":
        from .tensorlite_engine import TensorliteEngine

        return TensorliteEngine(folder)
    from .torch_engine import TorchEngine

    return TorchEngine(folder)


def run(
    name: str, folder: Path, recipe: Recipe, out: Path, *, adapter: Path | None = None, questions: int = 24,
    resume: bool = False, every: int = SAVE_EVERY,
) -> dict[str, Any]:  # fmt: skip
    """Everything one engine does; the adapter and `report.json` are written to `out`.

    `adapter` holds the first values of the adapters (default: fresh ones). `questions` of the held-out ones are answered.
    Until the report is written `out` holds a checkpoint of each `every` updates; `resume` goes on from it, to the same result.
    Raises CheckpointError for a checkpoint of another run, or for one that would be overwritten.
    """
    if not resume:
        refuse_unfinished(out)
    train_pairs, other_pairs = training(), held_out()
    if near_duplicates(other_pairs, train_pairs):
        raise ValueError("a held-out question is nearly one of the training questions")
    engine = make_engine(name, folder)
    train, other = (
        encode_all(pairs, engine.tokenizer, engine.eos_id, recipe.max_length) for pairs in (train_pairs, other_pairs)
    )
    asked = other_pairs[:: max(1, len(other_pairs) // questions)][:questions]
    made_of = identity(name, folder, recipe, train, adapter, questions)
    finished = begin(out, made_of, resume=resume)
    if finished is not None:
        return finished
    before = evaluate(engine, other, asked, SHOWN)
    if adapter is None:
        engine.new_adapters(recipe)
    else:
        engine.adapt(adapter)
    curve = engine.train(train, recipe, folder_of(out), every)
    after = evaluate(engine, other, asked, SHOWN)
    counts = engine.counts()
    engine.save_adapter(out / "adapter")
    engine.merge()
    merged = engine.loss(other)
    start = time.perf_counter()
    text = engine.answer([prompt(SHOWN[0])] * 3, 32)
    decoding = time.perf_counter() - start
    report = {
        "engine": name,
        "run": made_of,
        "parameters": counts.total,
        "trainable": counts.trainable,
        "losses": curve.losses,
        "grad_norms": curve.grad_norms,
        "seconds": curve.seconds,
        "processor_seconds": curve.processor_seconds,
        "tokens_per_second": curve.tokens / curve.seconds,
        "decoded_per_second": sum(map(len, engine.tokenizer(text)["input_ids"])) / decoding,
        "before": before._asdict(),
        "after": after._asdict(),
        "merged_loss": merged,
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        / (1024 if sys.platform != "darwin" else 2**20),
    }
    write_json(out / "report.json", report)
    finish(out)
    return report


def both(
    folder: Path, recipe: Recipe, out: Path, questions: int = 24, *, resume: bool = False, every: int = SAVE_EVERY
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The reports of torch and tensorlite, from the same weights, first adapters and batches. Adapters' dropout is 0 here.

    Raises CheckpointError, before either trains, if one holds an interrupted run that would be overwritten.
    """
    for name in () if resume else ENGINES:
        refuse_unfinished(out / name)
    from .tensorlite_engine import TensorliteEngine

    recipe = dataclasses.replace(recipe, dropout=0.0)
    first = TensorliteEngine(folder)
    first.new_adapters(recipe)
    first.save_adapter(out / "first_adapter")
    del first
    reports = []
    for name in ENGINES:
        command = [
            *(
                sys.executable,
                "-m",
                "examples.phi2_lora",
                "--model",
                str(folder),
                "--engine",
                name,
                "--quiet",
                "--of-both",
            ),
            *("--out", str(out / name), "--adapter", str(out / "first_adapter"), "--questions", str(questions)),
            *("--recipe", json.dumps(dataclasses.asdict(recipe)), "--save-every", str(every)),
            *(("--resume",) if resume else ()),
        ]
        _wait_for(subprocess.Popen(command))
        reports.append(json.loads((out / name / "report.json").read_text(encoding="utf-8")))
    return reports[0], reports[1]


def _wait_for(process: subprocess.Popen[bytes]) -> None:
    """Ctrl-C reaches the engine's process too: it is given the time to save."""
    interrupted = False
    while True:
        try:
            code = process.wait()
            break
        except KeyboardInterrupt:
            interrupted = True
    if interrupted or code in (-signal.SIGINT, 128 + signal.SIGINT):
        raise KeyboardInterrupt
    if code:
        raise subprocess.CalledProcessError(code, process.args)


def describe(evaluation: dict[str, Any] | Evaluation) -> str:
    """One line of what an evaluation found."""
    e = evaluation if isinstance(evaluation, Evaluation) else Evaluation(**evaluation)
    return f"held-out loss {e.loss:.4f} · facts {e.facts}/{e.asked} · general loss {e.general_loss:.4f} · general facts {e.general_right}"


def answers(questions: Sequence[str], before: Sequence[str], after: Sequence[str]) -> str:
    """Questions with the answers before and after, as text."""
    blocks = [
        f"? {q}\n  before: {b.strip() or '(nothing)'}\n  after:  {a.strip() or '(nothing)'}"
        for q, b, a in zip(questions, before, after, strict=True)
    ]
    return "\n".join(blocks)
