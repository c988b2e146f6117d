"""A backend that is not there."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any

__all__ = ["flags", "is_available", "is_built"]


def is_available() -> bool:
    """No."""
    return False


is_built = is_available


@contextmanager
def flags(*args: Any, **kwargs: Any) -> Any:
    """Does nothing."""
    yield
