"""torch.backends.cuda: switches without effect, which programs set before they train."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from .any import flags, is_built

__all__ = ["cufft_plan_cache", "enable_cudnn_sdp", "enable_flash_sdp", "enable_math_sdp", "enable_mem_efficient_sdp", "flash_sdp_enabled", "is_built", "matmul", "sdp_kernel"]  # fmt: skip

matmul = SimpleNamespace(allow_tf32=False, allow_fp16_reduced_precision_reduction=False)
cufft_plan_cache = SimpleNamespace(max_size=0, size=0)
sdp_kernel = flags


def enable_flash_sdp(enabled: bool) -> None:
    """Ignored: there is one implementation of attention."""


enable_math_sdp = enable_mem_efficient_sdp = enable_cudnn_sdp = enable_flash_sdp


def flash_sdp_enabled(*args: Any) -> bool:
    """No."""
    return False
