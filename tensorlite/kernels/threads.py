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
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

if (
    TYPE_CHECKING
):  # concurrent.futures and pathlib take longer to import than all of tensorlite: they wait until a pool starts
    from concurrent.futures import ThreadPoolExecutor

Range = tuple[int, int]

_lock = threading.RLock()
_num_threads: int | None = None
_pool: ThreadPoolExecutor | None = None
_pool_size = 0
_worker = threading.local()
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


def set_num_threads(n: int) -> None:
    """Set the number of threads of every kernel and of NumPy's BLAS.

    Raises:
        TypeError: if `n` is not an integer.
        ValueError: if `n` is less than one.
    """
    global _num_threads, _blas_before
    if isinstance(n, bool) or not isinstance(n, int):
        raise TypeError(f"set_num_threads expects an int, got {type(n).__name__}")
    if n < 1:
        raise ValueError(f"set_num_threads expects a positive integer, got {n}")
    with _lock:
        _num_threads = n
        if _blas_regions:
            _blas_before = n  # takes effect when the running region ends
        else:
            _set_blas_threads(n)


def parallel_for(fn: Callable[[int, int], None], ranges: Sequence[Range]) -> None:
    """Call `fn(start, stop)` for each range, in no particular order, over the threads of the setting.

    Serial when there is one range, when the setting is one thread, or when called from inside another `parallel_for`.
    BLAS runs single-threaded meanwhile. The first exception of any call is raised once all threads have stopped.
    """
    n = min(get_num_threads(), len(ranges))
    if n <= 1 or getattr(_worker, "busy", False):
        for start, stop in ranges:
            fn(start, stop)
        return
    queue = deque(ranges)  # popleft is atomic; a shared queue balances uneven blocks

    def drain() -> None:
        _worker.busy = True
        try:
            while True:
                try:
                    start, stop = queue.popleft()
                except IndexError:
                    return
                fn(start, stop)
        except BaseException:
            queue.clear()
            raise
        finally:
            _worker.busy = False

    with single_threaded_blas():
        # np.errstate lives in a context variable: each worker gets the caller's.
        with _lock:  # another thread may be about to replace the pool by a larger one
            pool = _executor(n - 1)
            futures = [pool.submit(contextvars.copy_context().run, drain) for _ in range(n - 1)]
        try:
            drain()
        finally:
            errors = [future.exception() for future in futures]
    for error in errors:
        if error is not None:
            raise error


@contextmanager
def single_threaded_blas() -> Iterator[None]:
    """Hold NumPy's BLAS at one thread, for code that splits work over threads itself; regions may nest and overlap."""
    global _blas_regions, _blas_before
    with _lock:
        if _blas_regions == 0:
            _blas_before = get_blas_threads()
            if _blas_before != 1:
                _set_blas_threads(1)
        _blas_regions += 1
    try:
        yield
    finally:
        with _lock:
            _blas_regions -= 1
            if _blas_regions == 0 and _blas_before != 1:
                _set_blas_threads(_blas_before)


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
                library = ctypes.CDLL(str(path))
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


def _executor(size: int) -> ThreadPoolExecutor:
    global _pool, _pool_size
    from concurrent.futures import ThreadPoolExecutor

    with _lock:
        if _pool is None or _pool_size < size:
            if _pool is not None:
                _pool.shutdown(wait=False)
            _pool, _pool_size = ThreadPoolExecutor(size, thread_name_prefix="tensorlite"), size
        return _pool


def _forget_threads_after_fork() -> None:
    """A forked child has none of its parent's threads, and perhaps a lock that one of them held."""
    global _lock, _pool, _pool_size, _worker, _blas_regions
    if _blas_regions:
        _set_blas_threads(_blas_before)
    _lock, _pool, _pool_size, _worker, _blas_regions = threading.RLock(), None, 0, threading.local(), 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads_after_fork)
