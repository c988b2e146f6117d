"""torch.amp: mixed precision changes nothing here, and losses are not scaled."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ContextDecorator
from typing import Any

from ... import dtypes

__all__ = [
    "GradScaler",
    "autocast",
    "custom_bwd",
    "custom_fwd",
    "is_autocast_available",
]


class autocast(ContextDecorator):
    """A context manager and decorator that does nothing; `torch.cuda.amp.autocast`, which takes `enabled` first, is the same."""

    def __init__(self, device_type: Any = "cpu", *args: Any, **kwargs: Any) -> None:
        self.device = device_type

    def __enter__(self) -> autocast:
        return self

    def __exit__(self, *error: object) -> None:
        return None


class GradScaler:
    """A disabled scaler: it hands losses through and calls `optimizer.step`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def scale(self, outputs: Any) -> Any:
        return outputs

    def unscale_(self, optimizer: Any) -> None:
        return None

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        return optimizer.step(*args, **kwargs)

    def update(self, new_scale: Any = None) -> None:
        return None

    def get_scale(self) -> float:
        return 1.0

    def is_enabled(self) -> bool:
        return False

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        return None


def _identity(function: Callable[..., Any] | None = None, **options: Any) -> Callable[..., Any]:
    return (lambda f: f) if function is None else function


custom_fwd = custom_bwd = _identity


def is_autocast_enabled(device_type: str | None = None) -> bool:
    """Never."""
    return False


is_autocast_available = is_autocast_cpu_enabled = is_autocast_cache_enabled = is_autocast_enabled


def get_autocast_dtype(device_type: str | None = None) -> dtypes.dtype:
    """float32: the type that values keep."""
    return dtypes.float32


get_autocast_cpu_dtype = get_autocast_gpu_dtype = get_autocast_dtype
