"""The context manager: within it `import torch` gives tensorlite; afterwards everything is as it was."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ..tensor import Tensor
from .isolation import forget, put_aside, restore
from .missing import message
from .modules import Finder
from .report import Report

_active: list[Report] = []


@contextmanager
def as_torch(report: Report | None = None) -> Iterator[Any]:
    """Within the block, `import torch` and all that comes with it resolve to tensorlite; gives the module `torch`.

    Packages that hold on to the real torch are put aside for the block, so that importing them in the block loads a second copy, on tensorlite.
    Packages of Python code that are imported in the block for the first time belong to the block: later imports load them anew. Nested blocks are one block.
    """
    if _active:
        yield importlib.import_module("torch")
        return
    report = Report() if report is None else report
    hidden = put_aside()
    before = set(sys.modules)
    finder = Finder(report)
    sys.meta_path.insert(0, finder)
    _active.append(report)
    getattr_outside = Tensor.__getattr__
    Tensor.__getattr__ = _getattr_inside(getattr_outside)  # type: ignore[method-assign]
    try:
        yield importlib.import_module("torch")
    finally:
        Tensor.__getattr__ = getattr_outside  # type: ignore[method-assign]
        _active.pop()
        sys.meta_path.remove(finder)
        forget(set(sys.modules) - before, hidden)
        restore(hidden)


def _getattr_inside(getattr_outside: Callable[[Tensor, str], Any]) -> Callable[[Tensor, str], Any]:
    """Reports members that tensors do not have. A torch program may probe for one, so this stays an AttributeError."""

    def __getattr__(self: Tensor, name: str) -> Any:
        try:
            return getattr_outside(self, name)
        except AttributeError:
            if name.startswith("_"):
                raise
        _active[0].asked(f"torch.Tensor.{name}", False)
        raise AttributeError(message(f"torch.Tensor.{name}"))

    return __getattr__
