"""The context manager: within it `import torch` gives tensorlite; afterwards everything is as it was."""

from __future__ import annotations

import importlib
import importlib.machinery
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ..tensor import Tensor
from .missing import message
from .modules import PACKAGES, Facade, Finder
from .report import Report

_active: list[Report] = []
_OURS = ("tensorlite", "claimsformer")


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
    hidden = _put_aside(_bound_to_torch())
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
        _forget(set(sys.modules) - before)
        sys.modules.update(hidden)
        importlib.invalidate_caches()


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


def _bound_to_torch() -> set[str]:
    """The top-level packages with a module that refers to the real torch."""
    if "torch" not in sys.modules:
        return set(PACKAGES)
    found = set(PACKAGES)
    for name, module in list(sys.modules.items()):
        top = name.partition(".")[0]
        if top not in found and top not in _OURS and top not in sys.stdlib_module_names and _refers_to_torch(module):
            found.add(top)
    return found


def _refers_to_torch(module: Any) -> bool:
    for value in list(getattr(module, "__dict__", {}).values()):
        inner = value.values() if type(value) is dict else (value,)
        if any(_comes_from_torch(v) for v in list(inner)):
            return True
    return False


def _comes_from_torch(value: Any) -> bool:
    if isinstance(value, types.ModuleType):
        name: Any = value.__name__
    elif isinstance(value, type | types.FunctionType):
        name = value.__module__
    else:
        name = type(value).__dict__.get("framework_name")  # what einops calls the library of a backend
    return isinstance(name, str) and name.partition(".")[0] in PACKAGES


def _put_aside(packages: set[str]) -> dict[str, Any]:
    """Take the modules of these packages out of sys.modules; a program that is being run stays."""
    names = [n for n in sys.modules if n.partition(".")[0] in packages and n != "__main__"]
    return {n: sys.modules.pop(n) for n in names}


def _forget(new: set[str]) -> None:
    """Take the modules that the block imported out of sys.modules, except compiled packages, which cannot be loaded twice."""
    kept = {*_OURS, *sys.stdlib_module_names, *(_top(n) for n in sys.modules if n not in new)}
    for name in new:
        loader = getattr(getattr(sys.modules[name], "__spec__", None), "loader", None)
        if isinstance(loader, importlib.machinery.ExtensionFileLoader):
            kept.add(_top(name))
    for name in new:
        if isinstance(sys.modules[name], Facade) or _top(name) not in kept:
            del sys.modules[name]


def _top(name: str) -> str:
    return name.partition(".")[0]
