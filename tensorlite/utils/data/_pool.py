"""The pool of worker processes of a DataLoader."""

from __future__ import annotations

import os
import queue
from collections.abc import Iterator
from typing import Any

from ._worker import EndOfStream, Failure, unpack, work

_POLL_SECONDS = 5.0  # how often a waiting loader looks whether its workers are alive


class Workers:
    """The worker processes of a loader; batches are handed out round-robin and delivered in order."""

    def __init__(self, loader: Any, seed: int) -> None:
        import multiprocessing as mp

        context: Any = loader.multiprocessing_context or mp
        if isinstance(context, str):
            context = mp.get_context(context)
        n = loader.num_workers
        self.closed, self.owner = False, os.getpid()
        self.timeout, self.ahead = loader.timeout, n * (loader.prefetch_factor or 2)
        self.results = context.Queue()
        self.requests = [context.Queue() for _ in range(n)]
        self.processes = [
            context.Process(
                target=work,
                args=(
                    i,
                    n,
                    seed + i,
                    loader._fetcher(),
                    loader.dataset,
                    loader.worker_init_fn,
                    self.requests[i],
                    self.results,
                ),
                daemon=True,
            )
            for i in range(n)
        ]
        for process in self.processes:
            process.start()
        self.sent = 0
        self.pending: set[int] = set()

    def restart(self) -> None:
        """Forget what an earlier epoch left unread, and start the streams again."""
        while self.pending:
            number, _ = self._next_result()
            self.pending.discard(number)
        for requests in self.requests:
            requests.put((-1, "restart"))

    def run(self, tasks: Iterator[Any]) -> Iterator[Any]:
        arrived: dict[int, Any] = {}
        owners: dict[int, int] = {}
        open_workers = list(range(len(self.processes)))
        turn, expected = 0, self.sent
        exhausted = False
        while True:
            while not exhausted and open_workers and len(self.pending) + len(arrived) < self.ahead:
                try:
                    task = next(tasks)
                except StopIteration:
                    exhausted = True
                    break
                worker = open_workers[turn % len(open_workers)]
                turn += 1
                self.requests[worker].put((self.sent, task))
                owners[self.sent] = worker
                self.pending.add(self.sent)
                self.sent += 1
            if expected == self.sent:
                return
            while expected not in arrived:
                number, result = self._next_result()
                self.pending.discard(number)
                arrived[number] = result
            result = arrived.pop(expected)
            expected += 1
            if isinstance(result, Failure):
                result.reraise()
            if isinstance(result, EndOfStream):
                worker = owners[expected - 1]
                if worker in open_workers:
                    open_workers.remove(worker)
                continue
            yield unpack(result)

    def _next_result(self) -> tuple[int, Any]:
        waited = 0.0
        while True:
            step = min(_POLL_SECONDS, self.timeout - waited) if self.timeout else _POLL_SECONDS
            try:
                found: tuple[int, Any] = self.results.get(timeout=step)
            except queue.Empty:
                waited += step
                dead = [p.pid for p in self.processes if not p.is_alive()]
                if dead:
                    self.close()
                    raise RuntimeError(
                        f"DataLoader worker (pid(s) {', '.join(map(str, dead))}) exited unexpectedly"
                    ) from None
                if self.timeout and waited >= self.timeout:
                    self.close()
                    raise RuntimeError(f"DataLoader timed out after {self.timeout} seconds") from None
            else:
                return found

    def close(self) -> None:
        """Stop the processes; also called in forked children that inherit this object, where there is nothing to stop."""
        if self.closed or os.getpid() != self.owner:
            return
        self.closed = True
        for requests, process in zip(self.requests, self.processes, strict=True):
            if process.is_alive():
                requests.put(None)
        for process in self.processes:
            process.join(timeout=1)
            if process.is_alive():
                process.terminate()
        for q in (*self.requests, self.results):
            q.cancel_join_thread()
            q.close()

    def __del__(self) -> None:
        try:
            self.close()
        except Exception:  # at interpreter exit, parts may already be gone
            return
