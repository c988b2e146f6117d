"""torch.version: the release of torch whose behaviour tensorlite follows."""

from __future__ import annotations

import re
from typing import Any

__all__ = ["TorchVersion", "__version__", "cuda", "debug", "git_version", "hip", "xpu"]


class TorchVersion(str):
    """A version that compares with others by number, so that "2.13" is later than "2.8"."""

    __slots__ = ()

    def _key(self, other: Any = None) -> tuple[int, ...]:
        numbers = re.match(
            r"[\d.]*", self if other is None else ".".join(map(str, other)) if isinstance(other, tuple) else other
        )
        parts = [int(p) for p in (numbers[0] if numbers else "").split(".") if p]
        while parts and not parts[-1]:
            parts.pop()
        return tuple(parts)

    def __lt__(self, other: Any) -> bool:
        return self._key() < self._key(other)

    def __le__(self, other: Any) -> bool:
        return self._key() <= self._key(other)

    def __gt__(self, other: Any) -> bool:
        return self._key() > self._key(other)

    def __ge__(self, other: Any) -> bool:
        return self._key() >= self._key(other)


__version__ = TorchVersion("2.13.0+tensorlite")
cuda = hip = git_version = xpu = None
debug = False
