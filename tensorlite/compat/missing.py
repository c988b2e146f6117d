"""Placeholders for torch names that tensorlite lacks: classes that can be imported, subclassed and annotated with, and fail when called."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Callable, Iterable
from typing import Any

from ..absent import reason


class MissingName(NotImplementedError):
    """A torch name that tensorlite lacks was called."""


def is_special(name: str) -> bool:
    """Whether a name is Python's own (`__path__`), which is never stood in for."""
    return name.startswith("__") and name.endswith("__")


class MissingType(type):
    """The class of placeholders. A class that inherits from one is missing as well, as soon as an instance of it is wanted."""

    torch_name: str
    called: Callable[[str], None]

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        cls.called(cls.torch_name)
        raise MissingName(message(cls.torch_name))

    def __getattr__(cls, name: str) -> Any:
        if is_special(name):
            raise AttributeError(f"type object '{cls.__name__}' has no attribute '{name}'")
        return placeholder(f"{cls.torch_name}.{name}", cls.called)

    def __getitem__(cls, item: Any) -> Any:
        return cls

    @property
    def dtype(cls) -> Any:
        """What is asked for where the placeholder is given as a dtype: always raises MissingName."""
        return cls()

    def __repr__(cls) -> str:
        return f"<{cls.torch_name}, which tensorlite lacks>"


def placeholder(name: str, called: Callable[[str], None]) -> MissingType:
    """A stand-in for the torch name; `called(name)` is told when the program calls it."""
    last = name.rpartition(".")[2]
    # `except torch.SomeError` and warning filters are checked by Python itself
    base = (Exception,) if last.endswith(("Error", "Exception")) else (Warning,) if last.endswith("Warning") else ()
    return MissingType(last, base, {"torch_name": name, "called": staticmethod(called)})


def message(name: str) -> str:
    """What to tell somebody who called a missing name."""
    return f"{name} is not in tensorlite{hint(name)}"


def hint(name: str) -> str:
    """Why a name is not there, or which name is nearest, as the end of a sentence."""
    why = reason(name)
    if why:
        return f": {why}"
    near = nearest(name)
    return f"; the nearest name there is {near}" if near else ""


@functools.cache
def nearest(name: str) -> str | None:
    """The name that tensorlite has and that is most like a torch name: the same in another module, else alike in the same, else alike anywhere."""
    module, _, last = name.rpartition(".")
    here, everywhere = _names()
    if last in everywhere:
        return f"{everywhere[last]}.{last}"
    for candidates, likeness in ((dict.fromkeys(here.get(module, ()), module), 0.7), (everywhere, 0.8)):
        found = _alike(last, candidates, likeness)
        if found:
            return f"{candidates[found]}.{found}"
    return None


@functools.cache
def _names() -> tuple[dict[str, Iterable[str]], dict[str, str]]:
    """The names of each torch module and of Tensor; and for each name the module where a reader would look first."""
    from ..tensor import Tensor
    from .modules import MODULES, names_of

    here: dict[str, Iterable[str]] = {m: names_of(m) for m in sorted(MODULES, key=lambda m: (m.count("."), m))}
    here["torch.Tensor"] = [n for n in dir(Tensor) if not n.startswith("_")]
    everywhere: dict[str, str] = {}
    for module, names in here.items():
        for n in names:
            everywhere.setdefault(n, module)
    return here, everywhere


def _alike(name: str, candidates: Iterable[str], likeness: float) -> str | None:
    lowered = {c.lower(): c for c in candidates}
    found = difflib.get_close_matches(name.lower(), lowered, 1, likeness)
    return lowered[found[0]] if found else None
