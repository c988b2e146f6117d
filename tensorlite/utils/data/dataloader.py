"""The DataLoader: batches of a dataset in a sampler's order, read here or in worker processes, with a position that can be saved."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from ...random import Generator, default_generator, source
from ._collate import default_collate, default_convert
from ._pool import Workers
from .dataset import IterableDataset
from .sampler import BatchSampler, RandomSampler, SequentialSampler


class DataLoader:
    """Iterates over a dataset in batches.

    `state_dict()` between two batches holds the position; a loader built the same way continues from it, with the same order and, for
    a random sampler, the same orders in the epochs to come. What has been read ahead is read again, so nothing is skipped.
    """

    def __init__(
        self, dataset: Any, batch_size: int | None = 1, shuffle: bool | None = None, sampler: Any = None, batch_sampler: Any = None,
        num_workers: int = 0, collate_fn: Callable[[Any], Any] | None = None, pin_memory: bool = False, drop_last: bool = False,
        timeout: float = 0, worker_init_fn: Callable[[int], None] | None = None, multiprocessing_context: Any = None,
        generator: Generator | None = None, *, prefetch_factor: int | None = None, persistent_workers: bool = False,
        pin_memory_device: str = "", in_order: bool = True,
    ) -> None:  # fmt: skip
        _check(num_workers, timeout, prefetch_factor, persistent_workers)
        self.dataset, self.num_workers, self.timeout = dataset, num_workers, timeout
        self.worker_init_fn, self.multiprocessing_context, self.generator = (
            worker_init_fn,
            multiprocessing_context,
            generator,
        )
        self.prefetch_factor = 2 if prefetch_factor is None and num_workers > 0 else prefetch_factor
        self.persistent_workers, self.pin_memory = persistent_workers, pin_memory
        self.is_stream = isinstance(dataset, IterableDataset)
        if self.is_stream:
            if shuffle:
                raise ValueError(
                    f"DataLoader with IterableDataset: expected unspecified shuffle option, but got shuffle={shuffle}"
                )
            if sampler is not None or batch_sampler is not None:
                raise ValueError(
                    "DataLoader with IterableDataset: expected unspecified sampler and batch_sampler options"
                )
        if sampler is not None and shuffle:
            raise ValueError("sampler option is mutually exclusive with shuffle")
        if batch_sampler is not None:
            if batch_size != 1 or shuffle or sampler is not None or drop_last:
                raise ValueError(
                    "batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, and drop_last"
                )
            batch_size = None
        elif batch_size is None and drop_last:
            raise ValueError("batch_size=None option disables auto-batching and is mutually exclusive with drop_last")
        if sampler is None and not self.is_stream:
            sampler = RandomSampler(dataset, generator=generator) if shuffle else SequentialSampler(dataset)
        if batch_size is not None and batch_sampler is None and not self.is_stream:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.batch_size, self.drop_last, self.sampler, self.batch_sampler = (
            batch_size,
            drop_last,
            sampler,
            batch_sampler,
        )
        self._batched = batch_sampler is not None or (self.is_stream and batch_size is not None)
        self.collate_fn = collate_fn or (default_collate if self._batched else default_convert)
        self._epoch: _Epoch | None = None
        self._resume: dict[str, Any] | None = None
        self._pool: Workers | None = None

    @property
    def _order(self) -> Any:
        """What gives the indices: of batches, or of examples when nothing is batched."""
        return self.batch_sampler if self.batch_sampler is not None else self.sampler

    def __len__(self) -> int:
        """The number of batches. Raises TypeError when the dataset or the sampler does not know its length."""
        if not self.is_stream:
            return len(self._order)
        n = len(self.dataset)
        if self.batch_size is None:
            return n
        return n // self.batch_size if self.drop_last else math.ceil(n / self.batch_size)

    def __iter__(self) -> Iterator[Any]:
        self._epoch = _Epoch(self, self._resume)
        self._resume = None
        return self._epoch

    # -- position -----------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """How many batches of the present epoch were delivered, and the random state from which the epoch started."""
        epoch = self._epoch
        if self._resume is not None:
            return dict(self._resume)
        if epoch is None or epoch.finished:
            return {"batches": 0, "random": self._random_state(), "begun": False}
        return {"batches": epoch.delivered, "random": epoch.random_state, "begun": True}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a saved position with the next `iter(loader)`. Raises ValueError for what is not one."""
        if not {"batches", "random"} <= set(state_dict):
            raise ValueError(
                f"expected the state of a DataLoader with 'batches' and 'random', got {sorted(state_dict)}"
            )
        self._resume = dict(state_dict)
        self._epoch = None

    def _generators(self) -> list[Any]:
        """The generators that decide on the order: the loader's and the samplers' own; None stands for the default one."""
        found: list[Any] = []
        part: Any = self._order
        while part is not None:
            if hasattr(part, "generator"):
                found.append(part.generator)
            part = getattr(part, "sampler", None)
        return found or [self.generator]

    def _random_state(self) -> list[Any]:
        return [(default_generator if g is None else g).state_bytes() for g in self._generators()]

    def _set_random_state(self, states: list[Any]) -> None:
        for g, state in zip(self._generators(), states, strict=True):
            if g is None:
                default_generator.set_state(state)
            else:
                g.set_state(state)

    def _fetcher(self) -> Callable[[Any], Callable[[Any], Any]]:
        make = _stream_fetch if self.is_stream else _index_fetch
        return partial(
            make, self.collate_fn, self.batch_size if self.is_stream else None, self.drop_last, self._batched
        )

    def _workers(self, seed: int) -> Workers:
        if self._pool is not None:
            self._pool.restart()
            return self._pool
        pool = Workers(self, seed)
        if self.persistent_workers:
            self._pool = pool
        return pool


def _check(num_workers: int, timeout: float, prefetch_factor: int | None, persistent_workers: bool) -> None:
    if num_workers < 0:
        raise ValueError("num_workers option should be non-negative; use num_workers=0 to disable multiprocessing.")
    if timeout < 0:
        raise ValueError("timeout option should be non-negative")
    if num_workers == 0 and prefetch_factor is not None:
        raise ValueError(
            "prefetch_factor option could only be specified in multiprocessing. let num_workers > 0 to enable multiprocessing."
        )
    if prefetch_factor is not None and prefetch_factor < 1:
        raise ValueError("prefetch_factor option should be positive")
    if persistent_workers and num_workers == 0:
        raise ValueError("persistent_workers option needs num_workers > 0")


def _index_fetch(collate: Callable[[Any], Any], _: Any, __: bool, batched: bool, dataset: Any) -> Callable[[Any], Any]:
    def fetch(index: Any) -> Any:
        if not batched:
            return collate(dataset[index])
        if hasattr(dataset, "__getitems__"):
            return collate(dataset.__getitems__(index))
        return collate([dataset[i] for i in index])

    return fetch


def _stream_fetch(
    collate: Callable[[Any], Any], size: int | None, drop_last: bool, batched: bool, dataset: Any
) -> Callable[[Any], Any]:
    stream = iter(dataset)

    def fetch(_: Any) -> Any:
        if not batched:
            return collate(next(stream))
        batch = list(itertools.islice(stream, size))
        if not batch or (drop_last and len(batch) < (size or 0)):
            raise StopIteration
        return collate(batch)

    return fetch


def _started(order: Iterator[Any]) -> Iterator[Any]:
    """The same iterator with its first item, and so its random draws, already taken."""
    first = list(itertools.islice(order, 1))
    return itertools.chain(first, order)


class _Epoch(Iterator[Any]):
    """One pass over the data."""

    def __init__(self, loader: DataLoader, resume: dict[str, Any] | None) -> None:
        before = default_generator.state_bytes()
        if resume is not None:
            loader._set_random_state(resume["random"])
        self.random_state = loader._random_state()
        skip = 0 if resume is None else int(resume["batches"])
        # Drawn in every case, so that the number of workers does not change the order.
        self.seed = int(source(loader.generator).integers(2**62))
        self.delivered = skip
        self.finished = False
        self._tasks: Iterator[Any] = itertools.repeat(None) if loader.is_stream else _started(iter(loader._order))
        self._loader = loader
        if resume is not None and resume.get(
            "begun"
        ):  # the epoch was begun before: its draws from the default generator are already in that one's past
            default_generator.set_state(before)
        self._batches = self._in_workers(skip) if loader.num_workers else self._here(skip)

    def __iter__(self) -> _Epoch:
        return self

    def __next__(self) -> Any:
        try:
            batch = next(self._batches)
        except StopIteration:
            self.finished = True
            raise
        self.delivered += 1
        return batch

    def __len__(self) -> int:
        return len(self._loader)

    def _here(self, skip: int) -> Iterator[Any]:
        fetch = self._loader._fetcher()(self._loader.dataset)
        if self._loader.is_stream:
            tasks: Iterator[Any] = self._tasks
            for _ in range(skip):  # a stream can be brought to a position only by reading it
                try:
                    fetch(None)
                except StopIteration:
                    return
        else:
            tasks = itertools.islice(self._tasks, skip, None)
        for task in tasks:
            try:
                batch = fetch(task)
            except StopIteration:
                return
            yield batch

    def _in_workers(self, skip: int) -> Iterator[Any]:
        loader = self._loader
        if not loader.is_stream:
            self._tasks = itertools.islice(self._tasks, skip, None)
        pool = loader._workers(self.seed)
        try:
            to_skip = skip if loader.is_stream else 0
            for batch in pool.run(self._tasks):
                if to_skip:
                    to_skip -= 1
                else:
                    yield batch
        finally:
            if not loader.persistent_workers:
                pool.close()
