"""Devices: there is one, the CPU. Layouts: there are two, strided and sparse."""

from __future__ import annotations

from typing import Any


class device:
    """A place for tensors. Raises RuntimeError for any place but the CPU."""

    __slots__ = ("index", "type")

    type: str
    index: int | None

    def __init__(self, type: Any = "cpu", index: int | None = None) -> None:
        if isinstance(type, device):
            type, index = type.type, type.index
        name, _, number = str(type).partition(":")
        if name != "cpu":
            raise RuntimeError(
                f"tensorlite computes on the CPU only: expected device 'cpu', got {str(type)!r}; use device='cpu'"
            )
        self.type = name
        self.index = int(number) if number else index

    def __repr__(self) -> str:
        return f"device(type='{self.type}'" + (f", index={self.index})" if self.index is not None else ")")

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, device) and (self.type, self.index) == (other.type, other.index)

    def __hash__(self) -> int:
        return hash((self.type, self.index))

    def __reduce__(self) -> tuple[Any, ...]:
        return (device, (self.type, self.index))


cpu = device("cpu")


class layout(str):
    """How a tensor keeps its elements: `strided` (one array) or `sparse_coo` (positions and values). Compares equal to its name."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"tensorlite.{self}"


strided, sparse_coo = layout("strided"), layout("sparse_coo")
