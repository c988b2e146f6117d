"""torch.backends.cudnn: switches without effect."""

from __future__ import annotations

from .any import flags, is_available

__all__ = ["allow_tf32", "benchmark", "deterministic", "enabled", "flags", "is_available", "version"]

enabled = benchmark = allow_tf32 = False
deterministic = True


def version() -> None:
    """There is none."""
