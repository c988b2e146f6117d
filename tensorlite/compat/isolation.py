"""Which modules the block of `as_torch` puts aside, and which it leaves behind.

A package is loaded once in a process. One that holds on to the real torch therefore has to be taken out of sys.modules for the block, and one that
was loaded in the block has to be taken out afterwards. Compiled packages cannot be loaded twice: of these, only the modules that refer to torch are.
"""

from __future__ import annotations

import importlib.machinery
import sys
import types
from typing import Any

from .modules import PACKAGES, Facade

_OURS = ("tensorlite", "claimsformer")


def put_aside() -> dict[str, Any]:
    """Take torch and what is bound to it out of sys.modules; returns those modules. A program that is being run stays."""
    loaded = list(sys.modules.items()) if "torch" in sys.modules else []
    bound = [n for n, m in loaded if _may_move(n) and _refers_to_torch(m)]
    packages = {*PACKAGES, *map(_top, bound)}
    compiled = _compiled(n for n in sys.modules if _top(n) in packages - {*PACKAGES})
    names = [n for n in sys.modules if _top(n) in packages - compiled and n != "__main__"]
    return {n: sys.modules.pop(n) for n in {*names, *bound} if n in sys.modules}


def forget(new: set[str], hidden: dict[str, Any]) -> None:
    """Take the modules that the block imported out of sys.modules, except those of compiled packages that know nothing of torch."""
    kept = {*_OURS, *sys.stdlib_module_names, *(_top(n) for n in sys.modules if n not in new), *_compiled(new)}
    for name in new:
        module = sys.modules[name]
        if _top(name) not in kept or name in hidden or (_top(name) not in _OURS and _refers_to_facade(module)):
            del sys.modules[name]


def restore(hidden: dict[str, Any]) -> None:
    """Put the modules back, also as attributes of their packages, where it is not a function of the same name that stands there."""
    sys.modules.update(hidden)
    for name, module in hidden.items():
        parent, _, last = name.rpartition(".")
        if parent in sys.modules and isinstance(vars(sys.modules[parent]).get(last), types.ModuleType):
            setattr(sys.modules[parent], last, module)


def _may_move(name: str) -> bool:
    return name != "__main__" and _top(name) not in _OURS and _top(name) not in sys.stdlib_module_names


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
    return isinstance(name, str) and _top(name) in PACKAGES


def _refers_to_facade(module: Any) -> bool:
    return isinstance(module, Facade) or any(
        isinstance(v, Facade) for v in list(getattr(module, "__dict__", {}).values())
    )


def _compiled(names: Any) -> set[str]:
    """The packages of which one of these modules is compiled."""
    found = set()
    for name in names:
        loader = getattr(getattr(sys.modules[name], "__spec__", None), "loader", None)
        if isinstance(loader, importlib.machinery.ExtensionFileLoader):
            found.add(_top(name))
    return found


def _top(name: str) -> str:
    return name.partition(".")[0]
