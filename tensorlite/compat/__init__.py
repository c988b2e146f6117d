"""Run a program written for torch on tensorlite, without changing it.

    python -m tensorlite.compat train.py --epochs 3

    with tensorlite.compat.as_torch() as torch:  # or inside a process: `import torch` gives tensorlite within the block
        import model_written_for_torch

Names that tensorlite lacks fail when they are called, not when they are imported. CUDA is "not available", `torch.compile` and the decorators of
`torch.jit` return what they are given, `autocast` does nothing. This is no emulator: it maps names onto the functions of the same name in tensorlite.
"""

from __future__ import annotations

from .missing import MissingName
from .report import Report
from .session import as_torch

__all__ = ["MissingName", "Report", "as_torch"]
