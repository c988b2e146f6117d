"""Names of the torch namespace that belong to devices, global switches and annotations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...func import vmap
from ...tensor import device
from .amp import (
    autocast,
    get_autocast_cpu_dtype,
    get_autocast_dtype,
    get_autocast_gpu_dtype,
    is_autocast_cache_enabled,
    is_autocast_cpu_enabled,
    is_autocast_enabled,
)
from .compiler import compile
from .version import __version__

__all__ = [
    "Device",
    "Number",
    "__version__",
    "autocast",
    "compile",
    "get_autocast_cpu_dtype",
    "get_autocast_dtype",
    "get_autocast_gpu_dtype",
    "is_autocast_cache_enabled",
    "is_autocast_cpu_enabled",
    "is_autocast_enabled",
    "are_deterministic_algorithms_enabled",
    "channels_last",
    "channels_last_3d",
    "get_default_device",
    "get_float32_matmul_precision",
    "get_num_interop_threads",
    "is_deterministic_algorithms_warn_only_enabled",
    "layout",
    "legacy_contiguous_format",
    "memory_format",
    "set_default_device",
    "set_default_tensor_type",
    "set_deterministic_debug_mode",
    "set_float32_matmul_precision",
    "set_flush_denormal",
    "set_num_interop_threads",
    "set_warn_always",
    "typename",
    "use_deterministic_algorithms",
    "vmap",
]

Number = int | float | bool
Device = device | str | int | None
layout = memory_format = str
channels_last, channels_last_3d, legacy_contiguous_format = (
    "channels_last",
    "channels_last_3d",
    "legacy_contiguous_format",
)


def _ignored(name: str, result: Any = None) -> Callable[..., Any]:
    """A switch of hardware or of libraries that tensorlite does not have."""

    def switch(*args: Any, **kwargs: Any) -> Any:
        return result

    switch.__name__ = switch.__qualname__ = name
    return switch


use_deterministic_algorithms = _ignored("use_deterministic_algorithms")
set_deterministic_debug_mode = _ignored("set_deterministic_debug_mode")
set_float32_matmul_precision = _ignored("set_float32_matmul_precision")
set_flush_denormal = _ignored("set_flush_denormal", False)
set_num_interop_threads = _ignored("set_num_interop_threads")
set_warn_always = _ignored("set_warn_always")
are_deterministic_algorithms_enabled = _ignored("are_deterministic_algorithms_enabled", True)
is_deterministic_algorithms_warn_only_enabled = _ignored("is_deterministic_algorithms_warn_only_enabled", False)
get_float32_matmul_precision = _ignored("get_float32_matmul_precision", "highest")
get_num_interop_threads = _ignored("get_num_interop_threads", 1)


def get_default_device() -> device:
    """The CPU."""
    return device("cpu")


def set_default_device(device: Any) -> None:
    """Accepts the CPU; any other device raises RuntimeError."""
    from ...tensor.creation import check_device

    check_device(device)


def set_default_tensor_type(t: Any) -> None:
    """Set the default floating type by a legacy class or its name: `torch.DoubleTensor`."""
    from ...dtypes import from_numpy_dtype, set_default_dtype
    from ...tensor.properties import legacy_dtype

    set_default_dtype(from_numpy_dtype(legacy_dtype(t)))


def typename(obj: Any) -> str:
    """The full name of a value's type."""
    kind = obj if isinstance(obj, type) else type(obj)
    return f"{kind.__module__}.{kind.__qualname__}"
