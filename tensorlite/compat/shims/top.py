"""Names of the torch namespace that belong to devices, global switches and annotations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...cuda import OutOfMemoryError
from ...dtypes import get_default_dtype
from ...nn.functional import feature_dropout
from ...tensor import Tensor, device
from .amp import (
    GradScaler,
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
    "GradScaler",
    "OutOfMemoryError",
    "__version__",
    "are_deterministic_algorithms_enabled",
    "autocast",
    "channels_last",
    "channels_last_3d",
    "compile",
    "detach",
    "feature_dropout",
    "get_autocast_cpu_dtype",
    "get_autocast_dtype",
    "get_autocast_gpu_dtype",
    "get_default_device",
    "get_device",
    "get_float32_matmul_precision",
    "get_num_interop_threads",
    "is_autocast_cache_enabled",
    "is_autocast_cpu_enabled",
    "is_autocast_enabled",
    "is_deterministic_algorithms_warn_only_enabled",
    "is_inference",
    "is_same_size",
    "is_signed",
    "layout",
    "legacy_contiguous_format",
    "memory_format",
    "scalar_tensor",
    "set_default_device",
    "set_default_tensor_type",
    "set_deterministic_debug_mode",
    "set_float32_matmul_precision",
    "set_flush_denormal",
    "set_num_interop_threads",
    "set_warn_always",
    "typename",
    "use_deterministic_algorithms",
]

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


def detach(input: Tensor) -> Tensor:
    """`input.detach()`."""
    return input.detach()


def get_device(input: Tensor) -> int:
    """-1: the tensor is on the CPU."""
    return -1


def is_signed(input: Tensor) -> bool:
    """Whether the dtype has a sign."""
    return input.dtype.is_signed


def is_inference(input: Tensor) -> bool:
    """Whether the tensor was made in inference mode."""
    return bool(input.is_inference())


def is_same_size(input: Tensor, other: Tensor) -> bool:
    """Whether the shapes are equal."""
    return input.shape == other.shape


def scalar_tensor(s: Any, **options: Any) -> Tensor:
    """A tensor without dimensions, of the default dtype unless given."""
    from ... import full

    made: Tensor = full((), s, **{"dtype": get_default_dtype(), **options})
    return made
