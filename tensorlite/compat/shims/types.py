"""torch.types: names for annotations."""

from __future__ import annotations

from ...tensor import Tensor, device

__all__ = ["Device", "Number", "Tensor"]

Number = int | float | bool
Device = device | str | int | None
