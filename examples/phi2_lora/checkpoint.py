"""What lies in the out folder between two commands: a run that was interrupted, of which settings, or a result.

The engines' Trainers write and read the checkpoints themselves, below `out/checkpoint`, and only what learns. `run.json` beside
them says what they are of. When the report is written the folder goes.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from claimsformer.errors import CheckpointError
from tensorlite.utils.safetensors import write_atomically

from .formatting import Example
from .recipe import Recipe

__all__ = ["begin", "finish", "folder_of", "identity", "newest", "refuse_unfinished", "write_json"]

FORMAT = "examples.phi2_lora"
#: What a digest in run.json is of.
_DIGESTS = {
    "model": "its weights, configuration or tokenizer",
    "adapter": "the first adapters",
    "examples": "the training examples",
}


def identity(name: str, folder: Path, recipe: Recipe, examples: Sequence[Example], adapter: Path | None, questions: int) -> dict[str, Any]:  # fmt: skip
    """All that a run's result depends on, as plain values; files and examples by their SHA-256."""
    texts = json.dumps([[list(map(int, e.ids)), list(map(int, e.labels))] for e in examples])
    values = {
        "format": FORMAT,
        "engine": name,
        "model": _digest(folder, ("config.json", "tokenizer.json", "*.safetensors", "*.bin")),
        "adapter": None if adapter is None else _digest(adapter, ("adapter_config.json", "adapter_model.*")),
        "examples": hashlib.sha256(texts.encode()).hexdigest(),
        "questions": questions,
        "recipe": asdict(recipe),
    }
    return dict(json.loads(json.dumps(values)))  # tuples are lists, as they come back from a file


def folder_of(out: Path) -> Path:
    """Where the Trainers write the checkpoints of the run in `out`."""
    return out / "checkpoint"


def newest(folder: Path) -> Path | None:
    """The last complete checkpoint of either engine in the folder `folder_of` names, if there is one."""
    mine = folder / "checkpoints" / "last.safetensors"
    if mine.exists():
        return mine
    theirs = folder.glob("checkpoint-*/trainer_state.json")  # transformers writes it last
    complete = [path.parent for path in theirs if _is_json(path)]
    return max(complete, key=lambda path: int(path.name.rpartition("-")[2]), default=None)


def refuse_unfinished(out: Path) -> None:
    """Raise CheckpointError if a new run in `out` would overwrite one that was interrupted."""
    found = newest(folder_of(out))
    if found is not None:
        raise CheckpointError(
            f"{out} holds a run that was interrupted ({found}), which is not overwritten",
            hint=f"--resume goes on with it; otherwise choose another --out or delete {folder_of(out)}",
        )


def begin(out: Path, wanted: dict[str, Any], *, resume: bool) -> dict[str, Any] | None:
    """Prepare `out` for the run `wanted`, new or resumed, and say which. Returns the report of a run that `resume` finds finished.

    Raises CheckpointError for a checkpoint of another run, or one that would be overwritten.
    """
    if not resume:
        refuse_unfinished(out)
    found, report = newest(folder_of(out)), _read(out / "report.json")
    if resume and found is not None:
        _check(out, wanted)
        _say(f"resuming from {found}")
        _remove_all_but(found)
        return None
    if resume and report.get("run") == wanted and (out / "adapter" / "adapter_config.json").exists():
        _say(f"{out} holds the finished run; there is nothing to resume")
        return report
    if resume:
        _say(f"no checkpoint in {out}: starting anew")
    if report:
        _say(f"{out} holds a result, which this run overwrites when it ends")
    finish(out)
    folder_of(out).mkdir(parents=True, exist_ok=True)
    write_json(folder_of(out) / "run.json", wanted)
    return None


def finish(out: Path) -> None:
    """Delete the checkpoints of the run in `out`, and no folder that somebody else made."""
    if _read(folder_of(out) / "run.json").get("format") == FORMAT:
        shutil.rmtree(folder_of(out))


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write a JSON file complete or not at all."""
    text = json.dumps(value, indent=1) + "\n"
    write_atomically(path, lambda file: file.writelines([text.encode()]))


def _check(out: Path, wanted: dict[str, Any]) -> None:
    there = _read(folder_of(out) / "run.json")
    for name, a, b in _differences(there, wanted):
        what = f"{_DIGESTS[name]} differ" if name in _DIGESTS else f"{name} is {a!r} there and {b!r} here"
        raise CheckpointError(
            f"the checkpoint in {folder_of(out)} is of another run: {what}",
            hint="repeat the options of that run, or choose another --out; nothing was changed",
        )


def _differences(there: dict[str, Any], here: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    for name, value in here.items():
        if isinstance(value, dict):
            yield from _differences(there.get(name) or {}, value)
        elif there.get(name) != value:
            yield name, there.get(name), value


def _remove_all_but(found: Path) -> None:
    """Drop what a kill left of a checkpoint of transformers that was being written or deleted."""
    for path in found.parent.glob("checkpoint-*"):
        if path != found:
            shutil.rmtree(path)


def _digest(folder: Path, patterns: Iterable[str]) -> str:
    """Of the files' names, sizes and contents; of the contents of large ones 64 samples, as gigabytes take their time."""
    found = hashlib.sha256()
    for path in sorted(path for pattern in patterns for path in folder.glob(pattern)):
        size, part = path.stat().st_size, 1 << 16
        found.update(f"{path.name} {size}\n".encode())
        with path.open("rb") as file:
            for start in range(0, size, max(part, size // 64)):
                file.seek(start)
                found.update(file.read(part))
    return found.hexdigest()


def _read(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _is_json(path: Path) -> bool:
    return bool(_read(path))


def _say(text: str) -> None:
    print(f"phi2_lora: {text}", file=sys.stderr)
