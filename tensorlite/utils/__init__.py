"""Data loading, checkpoints of computation, and files, by the names of torch.utils."""

from __future__ import annotations

from typing import Any

_MODULES = frozenset({"checkpoint", "data"})


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        import importlib

        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
