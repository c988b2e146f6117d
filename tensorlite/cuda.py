"""`tensorlite.cuda`: there is none. `is_available()` says so, so that programs choose the CPU."""

from __future__ import annotations

from typing import Any

__all__ = [
    "OutOfMemoryError",
    "current_device",
    "device_count",
    "empty_cache",
    "is_available",
    "is_bf16_supported",
    "is_initialized",
    "manual_seed",
    "manual_seed_all",
    "max_memory_allocated",
    "max_memory_reserved",
    "memory_allocated",
    "memory_reserved",
    "reset_peak_memory_stats",
    "seed",
    "seed_all",
    "synchronize",
]


class OutOfMemoryError(RuntimeError):
    """Never raised: Python raises MemoryError."""


def _no(*args: Any, **kwargs: Any) -> bool:
    """There is no such device."""
    return False


def _zero(*args: Any, **kwargs: Any) -> int:
    """There is no such device."""
    return 0


def _nothing(*args: Any, **kwargs: Any) -> None:
    """There is no such device, so nothing is done."""


def current_device() -> int:
    """Always raises RuntimeError."""
    raise RuntimeError("tensorlite computes on the CPU only: there is no current CUDA device; ask is_available() first")


is_available = is_initialized = is_bf16_supported = _no
device_count = memory_allocated = memory_reserved = max_memory_allocated = max_memory_reserved = _zero
empty_cache = synchronize = manual_seed = manual_seed_all = seed = seed_all = reset_peak_memory_stats = _nothing
