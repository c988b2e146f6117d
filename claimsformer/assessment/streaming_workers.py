"""Several processes that do the buckets of a streamed assessment, each taking the next one that nobody has begun.

The process that started them keeps the book; they keep nothing but their place in a bucket. They end with it, however it
ends: each waits at its standard input, which the system closes then.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any, Final, Self

import polars as pl

from claimsformer.assessment.edits import Directory
from claimsformer.assessment.processor import ClaimsProcessor
from claimsformer.assessment.streaming_buckets import Buckets
from claimsformer.assessment.streaming_store import WorkFolder
from claimsformer.errors import ReadError

__all__ = ["Workers"]

_MODEL: Final = "worker_model"
_TABLES: Final = ("worker_providers.parquet", "worker_members.parquet")
_JOB: Final = "worker_job"


class Workers:
    """A context manager over `n` processes; with one, there is none, and everything happens here."""

    def __init__(self, buckets: Buckets, n: int) -> None:
        self._buckets = buckets
        self._n = n if n > 1 else 0
        self._processes: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                assert pipe is not None
                with contextlib.suppress(BrokenPipeError):  # an order that it did not live to read
                    pipe.close()

    def run(self, stage: str, indices: Sequence[int]) -> Iterator[int]:
        """Do the stage for these buckets; gives how many claims the model read in each, in the order of their ends."""
        if min(self._n, len(indices)) < 2 and not self._processes:
            for index in indices:
                yield self._buckets.do(stage, index)
            return
        if not self._processes:
            self._start(min(self._n, len(indices)))
        idle: queue.SimpleQueue[subprocess.Popen[str]] = queue.SimpleQueue()
        for process in self._processes:
            idle.put(process)

        def one(index: int) -> int:
            process = idle.get()
            try:
                return _ask(process, stage, index)
            finally:
                idle.put(process)  # a dead one too: whoever asks it next must not wait for ever

        with ThreadPoolExecutor(len(self._processes)) as threads:
            asked = [threads.submit(one, index) for index in indices]
            try:
                for done in as_completed(asked):
                    yield done.result()
            finally:
                threads.shutdown(wait=False, cancel_futures=True)
                if any(future.running() for future in asked):  # nobody waits for their answers any more
                    self.__exit__()
                    self._processes = []

    def _start(self, n: int) -> None:
        """Write down what the processes need to know, and start them."""
        buckets = self._buckets
        folder = buckets.folder
        buckets.processor.save(folder.path / _MODEL)
        directory = buckets.directory or Directory()
        for name, table in zip(_TABLES, (directory.providers, directory.members), strict=True):
            if table is not None:
                folder.write(name, table)
        folder.write_note(
            _JOB, {"n": buckets.n, "explain": buckets.explain, "directory": buckets.directory is not None}
        )
        threads = str(max(1, _cpus() // n))  # of each process: together they use what this process may use
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(part for part in sys.path if part),
            "OMP_NUM_THREADS": threads, "POLARS_MAX_THREADS": threads,
        }  # fmt: skip
        command = [sys.executable, "-m", "claimsformer.assessment.streaming_workers", str(folder.path.resolve())]
        for _ in range(n):
            self._processes.append(
                subprocess.Popen(
                    command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
                )
            )


def _cpus() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        return os.cpu_count() or 1


def _ask(process: subprocess.Popen[str], stage: str, index: int) -> int:
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps([stage, index]) + "\n")
        process.stdin.flush()
        answer = process.stdout.readline()
    except BrokenPipeError:
        answer = ""
    found: dict[str, Any] = json.loads(answer) if answer.endswith("\n") else {"error": "it was killed"}
    if "error" in found:
        raise ReadError(
            f"a worker could not {stage} a part of the claims: {found['error']}",
            hint="Run the same command again: it goes on where it was, with one worker if you leave out --workers.",
        )
    return int(found["done"])


# In the process itself ------------------------------------------------------------------------------------------------


def _work(path: str) -> None:
    orders: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(orders,), daemon=True).start()
    folder = WorkFolder(path, {})
    with folder.shared():
        job = folder.note(_JOB)
        tables = [pl.read_parquet(file) if (file := Path(path) / name).is_file() else None for name in _TABLES]
        directory = Directory(*tables) if job["directory"] else None
        processor = ClaimsProcessor.load(Path(path) / _MODEL)
        buckets = Buckets(processor, directory, folder, job["n"], job["explain"])
        while True:
            stage, index = json.loads(orders.get())
            try:
                answer: dict[str, Any] = {"done": buckets.do(stage, index)}
            except Exception as error:
                answer = {"error": type(error).__name__}  # its words might hold a claim's
            print(json.dumps(answer), flush=True)


def _listen(orders: queue.SimpleQueue[str]) -> None:
    """Pass orders on; when there is nobody to give them any more, end at once, whatever is being done."""
    for line in sys.stdin:
        orders.put(line)
    os._exit(0)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process; the first one decides
    _work(sys.argv[1])
