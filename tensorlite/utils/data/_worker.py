"""Worker processes of a DataLoader: each fetches and collates the batches it is sent, with random numbers of its own."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...autograd.graph import wrap
from ...tensor import Tensor


@dataclass(frozen=True)
class WorkerInfo:
    """Which worker this process is: its number, how many there are, its seed, and its copy of the dataset."""

    id: int
    num_workers: int
    seed: int
    dataset: Any


_info: WorkerInfo | None = None


def get_worker_info() -> WorkerInfo | None:
    """In a worker process, what it is; None in the main process."""
    return _info


@dataclass(frozen=True)
class Failure:
    """An exception on its way from a worker to the main process."""

    kind: type[BaseException]
    text: str
    worker: int

    def reraise(self) -> None:
        """Raise it again, with the worker's traceback in the message."""
        message = f"Caught {self.kind.__name__} in DataLoader worker process {self.worker}.\n{self.text}"
        try:
            error = self.kind(message)
        except TypeError:  # an exception that wants other arguments
            error = RuntimeError(message)
        raise error


class EndOfStream:
    """A worker's share of an IterableDataset is used up."""


def pack(value: Any) -> Any:
    """A batch with its tensors as arrays, which travel between processes."""
    if isinstance(value, Tensor):
        return _Packed(value._data)
    if isinstance(value, dict):
        return {k: pack(v) for k, v in value.items()}
    if isinstance(value, tuple | list):
        parts = [pack(v) for v in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    return value


def unpack(value: Any) -> Any:
    """A batch that `pack` prepared, with its tensors again."""
    if isinstance(value, _Packed):
        return wrap(value.data)
    if isinstance(value, dict):
        return {k: unpack(v) for k, v in value.items()}
    if isinstance(value, tuple | list):
        parts = [unpack(v) for v in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    return value


class _Packed:
    __slots__ = ("data",)

    def __init__(self, data: Any) -> None:
        self.data = data

    def __reduce__(self) -> tuple[Any, ...]:
        return (_Packed, (self.data,))


def seed_worker(seed: int) -> None:
    """Seed Python's, NumPy's and tensorlite's random numbers; NumPy's are the ones that forked workers famously share."""
    import random

    from ...random import manual_seed

    random.seed(seed)
    np.random.seed(np.random.SeedSequence(seed).generate_state(4))  # noqa: NPY002 (user code in a dataset uses it)
    manual_seed(seed)


def work(
    worker: int, num_workers: int, seed: int, make_fetch: Callable[[Any], Callable[[Any], Any]], dataset: Any,
    init: Callable[[int], None] | None, requests: Any, results: Any,
) -> None:  # fmt: skip
    """The main loop of a worker: (number, indices) in, (number, batch) out, until None comes in."""
    global _info
    fetch: Callable[[Any], Any] | None = None
    failure: Failure | None = None
    try:
        seed_worker(seed)
        _info = WorkerInfo(worker, num_workers, seed, dataset)
        if init is not None:
            init(worker)
    except BaseException as error:  # reported with the first batch
        failure = Failure(type(error), traceback.format_exc(), worker)
    while True:
        request = requests.get()
        if request is None:
            return
        number, task = request
        if task == "restart":
            fetch = None
            continue
        try:
            if failure is not None:
                results.put((number, failure))
                continue
            if fetch is None:
                fetch = make_fetch(dataset)
            results.put((number, pack(fetch(task))))
        except StopIteration:
            results.put((number, EndOfStream()))
        except KeyboardInterrupt:
            return
        except Exception as error:
            results.put((number, Failure(type(error), traceback.format_exc(), worker)))
