"""The folder of a run: `config.json`, `metrics.jsonl` with one JSON object a line, and `checkpoints/`."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from tensorlite.utils.safetensors import write_atomically

from ..errors import CheckpointError, WriteError

__all__ = ["Journal", "read_metrics"]


class Journal:
    """Writes what happens in a run into its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.metrics = folder / "metrics.jsonl"
        self.last = folder / "checkpoints" / "last.safetensors"
        self.best = folder / "checkpoints" / "best.safetensors"

    def start(self, config: Mapping[str, Any], again: bool = False) -> None:
        """Create the folder for a new run. Raises CheckpointError if it holds one, WriteError if it cannot be written.

        `again` allows a run that was killed before its first checkpoint to begin anew.
        """
        if self.last.exists() or (self.metrics.exists() and not again):
            raise CheckpointError(
                f"{self.folder} already holds a run, which is not overwritten",
                hint='resume="auto" goes on with it; otherwise choose another name or delete the folder',
            )
        self._save(self.folder / "config.json", json.dumps(config, indent=2) + "\n")
        self._save(self.metrics, "")

    def resume(self, step: int, evaluations: int) -> None:
        """Drop what a run wrote after the checkpoint, of that step and number of evaluations, from which it now goes on."""
        kept = []
        for row in read_metrics(self.metrics):
            evaluations -= row["kind"] == "evaluation"
            if row["step"] <= step and (row["kind"] != "evaluation" or evaluations >= 0):
                kept.append(json.dumps(row) + "\n")
        self._save(self.metrics, "".join(kept))

    def write(self, row: Mapping[str, Any]) -> None:
        """Append a line. NaN and infinities, which JSON does not have, become null."""
        text = json.dumps({k: _plain(v) for k, v in row.items()})
        try:
            with self.metrics.open("a", encoding="utf-8") as file:
                file.write(text + "\n")
        except OSError as error:
            raise WriteError(f"cannot write {self.metrics}: {error.strerror or error}") from error

    def _save(self, path: Path, text: str) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, lambda file: _write(file, text))
        except OSError as error:
            raise WriteError(
                f"cannot write {path}: {error.strerror or error}", hint="choose a folder that can be written"
            ) from error


def _write(file: BinaryIO, text: str) -> None:
    file.write(text.encode())


def read_metrics(path: str | Path) -> Iterator[dict[str, Any]]:
    """The rows of a `metrics.jsonl`; a last line that was cut off is passed over."""
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines(keepends=True)
    except FileNotFoundError:
        return
    for line in lines:
        if line.endswith("\n"):
            yield json.loads(line)


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
