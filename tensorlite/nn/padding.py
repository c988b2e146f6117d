"""Padding layers. Sizes are given for the last dim first: (left, right, top, bottom, front, back)."""

from __future__ import annotations

from typing import Any

from ..tensor import Tensor
from . import functional as F
from .conv import ntuple
from .module import Module


class _Pad(Module):
    _n: int
    _mode: str

    def __init__(self, padding: Any) -> None:
        super().__init__()
        self.padding = ntuple(padding, 2 * self._n)

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, list(self.padding), self._mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _ConstantPad(_Pad):
    _mode = "constant"

    def __init__(self, padding: Any, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, list(self.padding), "constant", self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class _ZeroPad(_ConstantPad):
    def __init__(self, padding: Any) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


def _layer(base: type[_Pad], kind: str, n: int, mode: str, doc: str) -> Any:
    name = f"{kind}{n}d"
    return type(name, (base,), {"_n": n, "_mode": mode, "__doc__": doc, "__module__": __name__, "__qualname__": name})


ConstantPad1d, ConstantPad2d, ConstantPad3d = (
    _layer(_ConstantPad, "ConstantPad", n, "constant", f"Pads the last {n} dims with a value.") for n in (1, 2, 3)
)
ZeroPad1d, ZeroPad2d, ZeroPad3d = (
    _layer(_ZeroPad, "ZeroPad", n, "constant", f"Pads the last {n} dims with zeros.") for n in (1, 2, 3)
)
ReflectionPad1d, ReflectionPad2d, ReflectionPad3d = (
    _layer(
        _Pad,
        "ReflectionPad",
        n,
        "reflect",
        f"Pads the last {n} dims by reflection at the border, without repeating it.",
    )
    for n in (1, 2, 3)
)
ReplicationPad1d, ReplicationPad2d, ReplicationPad3d = (
    _layer(_Pad, "ReplicationPad", n, "replicate", f"Pads the last {n} dims by repeating the border.")
    for n in (1, 2, 3)
)
CircularPad1d, CircularPad2d, CircularPad3d = (
    _layer(_Pad, "CircularPad", n, "circular", f"Pads the last {n} dims from their other end.") for n in (1, 2, 3)
)
