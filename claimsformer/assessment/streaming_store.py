"""The work folder of a streamed assessment: parts that are there whole or not at all, and one process at a time.

A part is written beside its place and then renamed, which the file system does at once or not at all. So whatever moment
a run is killed at, a part that exists is complete, and one that is missing is made again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from claimsformer.claims.readers import check_regular
from claimsformer.errors import ReadError

try:
    import fcntl
except ImportError:  # no such locks on this system
    fcntl = None  # type: ignore[assignment]

__all__ = ["WorkFolder", "fingerprint"]

_SHARED = "workers.lock"
_ENDS = 1 << 20  # bytes of a file's beginning and end that its fingerprint covers


def fingerprint(path: str | Path) -> str:
    """Changes when the file does: its size, time, first and last megabyte (of every file in a folder).

    Raises ReadError for a pipe or a device."""
    found = hashlib.sha256()
    root = Path(path)
    check_regular(root)
    for file in sorted(p for p in root.iterdir() if p.is_file()) if root.is_dir() else [root]:
        state = file.stat()
        found.update(f"{file.name}|{state.st_size}|{state.st_mtime_ns}".encode())
        with file.open("rb") as stream:
            found.update(stream.read(_ENDS))
            stream.seek(max(0, state.st_size - _ENDS))
            found.update(stream.read(_ENDS))
    return found.hexdigest()[:32]


class WorkFolder:
    """A context manager over the folder: locked while it is open, refused where another run's parts are in it."""

    def __init__(self, path: str | Path, task: dict[str, Any]) -> None:
        self.path = Path(path)
        self.task = task

    def __enter__(self) -> WorkFolder:
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)  # claims as they are will stand in it
        self._lock = (self.path / "claimsformer.lock").open("a")
        _lock(self._lock, self.path.name)
        _wait_for_all(self.path / _SHARED)
        known = self.note("task")
        if known is None:
            self._refuse_what_is_not_ours()
            self.write_note("task", self.task)
        elif known != self.task:
            self._lock.close()
            differing = ", ".join(sorted(k for k in self.task if known.get(k) != self.task[k])) or "its settings"
            raise ReadError(
                f"{self.path.name!r} holds parts of another run, which differs in: {differing}",
                hint="Remove that folder to begin anew, or name another one with --work.",
            )
        for left_over in list(self.path.rglob("*.tmp")):  # of a run that was killed while it wrote
            shutil.rmtree(left_over) if left_over.is_dir() else left_over.unlink(missing_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.close()

    def _refuse_what_is_not_ours(self) -> None:
        """A folder with other things in it must not become one that is removed at the end."""
        ours = ("claimsformer.lock", _SHARED, "task.json.tmp")
        if any(entry.name not in ours for entry in self.path.iterdir()):
            self._lock.close()
            for name in ours[:2]:
                (self.path / name).unlink(missing_ok=True)
            raise ReadError(
                f"{self.path.name!r} is not empty and holds no parts of a run", hint="Name a new folder with --work."
            )

    @contextlib.contextmanager
    def shared(self) -> Iterator[None]:
        """For a worker: who opens the folder next waits until this ends, which it does with the process at the latest."""
        with (self.path / _SHARED).open("a") as stream:
            if fcntl is not None:
                fcntl.flock(stream, fcntl.LOCK_SH)
            yield

    # Notes ------------------------------------------------------------------------------------------------------------

    def note(self, name: str) -> Any:
        """The JSON value of this name, None where it was never written."""
        file = self.path / f"{name}.json"
        if not file.is_file():
            return None
        try:
            return json.loads(file.read_text(encoding="utf-8"))
        except ValueError:
            raise self._damaged(file.name) from None

    def write_note(self, name: str, value: Any) -> None:
        """Write a JSON value at once."""
        with self._replacing(self.path / f"{name}.json") as temporary:
            temporary.write_text(json.dumps(value), encoding="utf-8")

    # Tables -----------------------------------------------------------------------------------------------------------

    def has(self, name: str) -> bool:
        """Whether the table (or folder of tables) of this name is complete."""
        return (self.path / name).exists()

    def write(self, name: str, frame: pl.DataFrame) -> None:
        """Write a table at once, as Parquet."""
        with self._replacing(self.path / name) as temporary:
            frame.write_parquet(temporary, compression="lz4", row_group_size=8192)

    def write_all(self, name: str, frames: dict[str, pl.DataFrame]) -> None:
        """Write several tables into one folder, all or none."""
        with self._replacing(self.path / name) as temporary:
            temporary.mkdir()
            for inner, frame in frames.items():
                frame.write_parquet(temporary / inner, compression="lz4")

    def read(self, name: str) -> pl.DataFrame:
        """A table that was written."""
        return self.read_part(self.path / name)

    def read_part(self, file: Path, columns: list[str] | None = None) -> pl.DataFrame:
        """One of the files that `parts` gives; raises ReadError where it is not as it was written."""
        try:
            return pl.read_parquet(file, columns=columns)
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
            raise self._damaged(file.name) from None

    def _damaged(self, name: str) -> ReadError:
        """Renaming keeps a part whole when a process dies, not when the power or the disk does."""
        return ReadError(
            f"{name!r} in the work folder {self.path.name!r} is damaged", hint="Remove that folder, and begin anew."
        )

    def parts(self, pattern: str) -> list[Path]:
        """The files of this pattern, in order."""
        return sorted(self.path.glob(pattern))

    @contextlib.contextmanager
    def _replacing(self, target: Path) -> Iterator[Path]:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(target.name + ".tmp")
        yield temporary
        os.replace(temporary, target)


def _lock(stream: Any, name: str) -> None:
    """One process at a time; the lock goes with the process, however it ends."""
    if fcntl is None:
        return
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        stream.close()
        raise ReadError(
            f"another process is at work in {name!r}", hint="Wait for it, or name another folder with --work."
        ) from None


def _wait_for_all(path: Path) -> None:
    """Until the workers of a run that was killed have noticed, a moment later."""
    with path.open("a") as stream:
        if fcntl is not None:
            fcntl.flock(stream, fcntl.LOCK_EX)
