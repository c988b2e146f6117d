"""Hooks on what the graph saves: pack it when it is saved (compress it, write it to disk), unpack it when the backward pass needs it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .graph import Node, Variable, wrap
from .mode import mode

_KEY = "packed"
_disabled: list[str] = []


class saved_tensors_hooks:
    """Within the block, every tensor that an op saves is given to `pack_hook`, and what that returns is kept in its place.

    `unpack_hook` gets it back in the backward pass, and must return a tensor of the same values. Of nested blocks the innermost counts.
    The tensors come without history, and share the memory of what is saved; a pack hook that changes them in place raises RuntimeError.
    """

    def __init__(self, pack_hook: Callable[[Any], Any], unpack_hook: Callable[[Any], Any]) -> None:
        self.pack_hook, self.unpack_hook = pack_hook, unpack_hook
        self._found: list[Any] = []

    def __enter__(self) -> None:
        if _disabled:
            raise RuntimeError(_disabled[-1])
        self._found.append(mode.pack)
        mode.set_pack(self)

    def __exit__(self, *exc: object) -> None:
        mode.set_pack(self._found.pop())

    def pack(self, array: Any) -> Packed:
        """What the hook makes of one saved array."""
        t = wrap(array)
        kept = self.pack_hook(t)
        if t._vc is not None and t._vc[0]:
            raise RuntimeError(
                "A saved tensor pack hook is modifying its input in place. Tensors provided as input to pack hook cannot be modified "
                "by in-place operations as this can lead to unexpected side-effects; clone() the tensor first."
            )
        return Packed(kept, self.unpack_hook)

    def take(self, node: Node) -> None:
        """Pack what a node has just saved."""
        if node.saved is None or not node.plan.tensor_saves:
            return
        held: list[Any] = list(node.saved)
        for i in node.plan.tensor_saves:
            value = held[i]
            if isinstance(value, np.ndarray):
                held[i] = self.pack(value)
            elif isinstance(value, tuple):
                held[i] = tuple([self.pack(v) if isinstance(v, np.ndarray) else v for v in value])
        node.saved = node.versions = None
        node.extra(_KEY, held)


class Packed:
    """What a pack hook returned for one saved array, and how to get the array back."""

    __slots__ = ("kept", "unpack_hook")

    def __init__(self, kept: Any, unpack_hook: Callable[[Any], Any]) -> None:
        self.kept, self.unpack_hook = kept, unpack_hook

    def restore(self) -> Any:
        """The tensor."""
        t = self.unpack_hook(self.kept)
        if not isinstance(t, Variable):
            raise TypeError(
                f"Output of saved tensor unpack_hook expected to be a Tensor but got result of type {type(t).__name__}"
            )
        return t


def packed(node: Node) -> Any:
    """What `node` keeps in place of what it saved, None if it went through no hooks."""
    return None if node.extras is None else node.extras.get(_KEY)


def unpacked(node: Node) -> Any:
    """What `node` had saved, back from the hooks."""
    return tuple([_plain(v) for v in packed(node)])


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple([_plain(v) for v in value])
    return value.restore()._data if isinstance(value, Packed) else value


class save_on_cpu(saved_tensors_hooks):
    """For programs that keep what is saved in the memory of the CPU. Here it is there already, and stays where it is."""

    def __init__(self, pin_memory: bool = False, device_type: str = "cuda") -> None:
        super().__init__(lambda t: t, lambda t: t)


class disable_saved_tensors_hooks:
    """Within the block, entering `saved_tensors_hooks` raises RuntimeError with this message."""

    def __init__(self, error_message: str) -> None:
        self.error_message = error_message

    def __enter__(self) -> None:
        _disabled.append(self.error_message)

    def __exit__(self, *exc: object) -> None:
        _disabled.pop()
