"""One setting for the number of threads, a parallel loop over blocks, and the threads of NumPy's own BLAS.

NumPy releases the interpreter lock inside ufuncs and matrix products, so plain Python threads run blocks side by
side. What is not here: processes, and any promise about threads that other libraries start.
"""

from __future__ import annotations

import contextvars
import ctypes
import functools
import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:  # queue and pathlib take longer to import than all of this package: they wait until threads start
    from queue import SimpleQueue

Range = tuple[int, int]

# Threads that a loop uses at most, whatever the setting: as many as the OpenBLAS of NumPy's wheels.
MOST_THREADS = 64

_lock = threading.RLock()
_num_threads: int | None = None
_inbox: SimpleQueue[Callable[[], None]] | None = None  # what the workers wait at
_workers = 0
_here = threading.local()
_blas_regions = 0
_blas_before = 1


def default_num_threads() -> int:
    """CPUs that this process may use, or fewer where `OMP_NUM_THREADS` asks for fewer (as torch does)."""
    try:
        cpus = len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        cpus = os.cpu_count() or 1
    requested = os.environ.get("OMP_NUM_THREADS", "")
    return min(cpus, int(requested)) if requested.isdigit() and int(requested) > 0 else cpus


def get_num_threads() -> int:
    """Number of threads that kernels and NumPy's BLAS may use."""
    global _num_threads
    if _num_threads is None:
        _num_threads = default_num_threads()
    return _num_threads


def threads_here() -> int:
    """Threads that may share a piece of work: one inside a loop that is shared already."""
    return 1 if getattr(_here, "busy", False) else get_num_threads()


def set_num_threads(n: int) -> None:
    """Set the number of threads of every kernel and of NumPy's BLAS.

    Raises:
        TypeError: if `n` is not an integer.
        ValueError: if `n` is less than one.
    """
    global _num_threads, _blas_before
    if isinstance(n, bool) or not isinstance(n, int | np.integer):
        raise TypeError(f"set_num_threads expects an int, got {type(n).__name__}")
    if n < 1:
        raise ValueError(f"set_num_threads expects a positive integer, got {n}")
    with _lock:
        _num_threads = n = int(n)
        if _blas_regions:
            _blas_before = n  # takes effect when the running region ends
        else:
            _set_blas_threads(n)


def parallel_for(fn: Callable[[int, int], None], ranges: Sequence[Range]) -> None:
    """Call `fn(start, stop)` for each range, in no particular order, over the threads of the setting.

    Serial when there is one range, when the setting is one thread, or when called from inside another `parallel_for`.
    BLAS runs single-threaded meanwhile. The first exception of any call is raised once all threads have stopped.
    """
    threads = threads_here()
    if threads == 1:
        for start, stop in ranges:
            fn(start, stop)
        return
    with single_threaded_blas:
        if len(ranges) > 1:
            _shared_out(fn, ranges, min(threads, len(ranges), MOST_THREADS))
        else:
            for start, stop in ranges:
                fn(start, stop)


def _shared_out(fn: Callable[[int, int], None], ranges: Sequence[Range], n: int) -> None:
    """Call `fn` for each range, on this thread and n − 1 workers."""
    queue = deque(ranges)  # popleft is atomic; a shared queue balances uneven blocks
    errors: list[BaseException] = []

    def drain() -> None:
        try:
            while True:
                try:
                    start, stop = queue.popleft()
                except IndexError:
                    return
                fn(start, stop)
        except BaseException as error:
            queue.clear()
            errors.append(error)

    def help_out(at_work: threading.Lock) -> None:
        with at_work:
            drain()

    inbox, helpers = _workers_inbox(n - 1), [threading.Lock() for _ in range(n - 1)]
    for at_work in helpers:
        # np.errstate lives in a context variable: each helper gets the caller's.
        inbox.put(functools.partial(contextvars.copy_context().run, help_out, at_work))
    _here.busy = True
    try:
        drain()
    finally:
        _here.busy = False
        queue.clear()
        # Wait for helpers at work, not for one that the system wakes late: it will find nothing left to do.
        for at_work in helpers:
            with at_work:
                pass
    for error in errors:
        raise error


def _workers_inbox(n: int) -> SimpleQueue[Callable[[], None]]:
    """Where at least `n` workers wait for something to call."""
    global _inbox, _workers
    if _inbox is not None and _workers >= n:
        return _inbox
    with _lock:
        if _inbox is None:
            from queue import SimpleQueue

            _inbox = SimpleQueue()
        while _workers < n:
            name = f"tensorlite_{_workers}"
            try:
                threading.Thread(target=_work, args=(_inbox,), name=name, daemon=True).start()
            except RuntimeError:  # no more threads, or the interpreter is about to end: fewer helpers will do
                break
            _workers += 1
        return _inbox


def _work(inbox: SimpleQueue[Callable[[], None]]) -> None:
    """The life of a worker: it sleeps until a loop asks for help."""
    _here.busy = True
    while True:
        inbox.get()()


class _SingleThreadedBlas:
    """`with single_threaded_blas:` holds NumPy's BLAS at one thread, for code that splits work over threads itself.

    Regions may nest, and overlap in several threads. A class, as entering a generator takes twice the time.
    """

    __slots__ = ()

    def __enter__(self) -> None:
        global _blas_regions, _blas_before
        with _lock:
            if _blas_regions == 0:
                _blas_before = get_blas_threads()
                if _blas_before != 1:
                    _set_blas_threads(1)
            _blas_regions += 1

    def __exit__(self, *exc: object) -> None:
        global _blas_regions
        with _lock:
            _blas_regions -= 1
            if _blas_regions == 0 and _blas_before != 1:
                _set_blas_threads(_blas_before)


single_threaded_blas = _SingleThreadedBlas()


def get_blas_threads() -> int:
    """Threads that NumPy's BLAS uses now; 1 when its library cannot be asked."""
    getter = _blas()[0]
    return int(getter()) if getter is not None else 1


def _set_blas_threads(n: int) -> None:
    setter = _blas()[1]
    if setter is not None:
        setter(n)


_BlasFunctions = tuple[Callable[[], int] | None, Callable[[int], None] | None]


@functools.cache
def _blas() -> _BlasFunctions:
    """Getter and setter of OpenBLAS's thread count, from the library that NumPy has loaded; (None, None) elsewhere."""
    from pathlib import Path

    package = Path(np.__file__).parent
    folders = (package.parent / "numpy.libs", package / ".libs", package / ".dylibs")
    for folder in folders:
        for path in sorted(folder.glob("*openblas*")):
            try:
                library = ctypes.PyDLL(str(path))  # keeps the GIL: these calls take less time than its release
            except OSError:
                continue
            for prefix in ("scipy_openblas", "openblas"):
                for suffix in ("64_", ""):
                    getter = getattr(library, f"{prefix}_get_num_threads{suffix}", None)
                    setter = getattr(library, f"{prefix}_set_num_threads{suffix}", None)
                    if getter is not None and setter is not None:
                        getter.restype, getter.argtypes = ctypes.c_int, []
                        setter.restype, setter.argtypes = None, [ctypes.c_int]
                        return getter, setter
    return None, None


def _forget_threads_after_fork() -> None:
    """A forked child has none of its parent's threads, and perhaps a lock that one of them held."""
    global _lock, _inbox, _workers, _here, _blas_regions
    if _blas_regions:
        _set_blas_threads(_blas_before)
    _lock, _inbox, _workers, _here, _blas_regions = threading.RLock(), None, 0, threading.local(), 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads_after_fork)
