"""torch.compile, torch.compiler, torch._dynamo and torch.jit: functions and modules come back as they are."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, Final

from ...nn import Module

__all__ = [
    "Final",
    "ScriptModule",
    "allow_in_graph",
    "annotate",
    "assume_constant_result",
    "compile",
    "config",
    "disable",
    "export",
    "fork",
    "freeze",
    "ignore",
    "is_compiling",
    "is_dynamo_compiling",
    "is_scripting",
    "is_tracing",
    "isinstance",
    "mark_dynamic",
    "optimize",
    "optimized_execution",
    "reset",
    "script",
    "script_if_tracing",
    "script_method",
    "trace",
    "unused",
    "wait",
]

ScriptModule = Module
config = SimpleNamespace()
_is = isinstance


def _identity(name: str) -> Callable[..., Any]:
    """A function that returns its first argument, or used with options alone, a decorator that does."""

    def same(obj: Any = None, *args: Any, **kwargs: Any) -> Any:
        return obj if callable(obj) or _is(obj, Module) else (lambda f: f)

    same.__name__ = same.__qualname__ = name
    return same


compile = _identity("compile")
optimize = _identity("optimize")
allow_in_graph = _identity("allow_in_graph")
disable = _identity("disable")
assume_constant_result = _identity("assume_constant_result")
script = _identity("script")
trace = _identity("trace")
freeze = _identity("freeze")
ignore = _identity("ignore")
unused = _identity("unused")
export = _identity("export")
script_method = _identity("script_method")
script_if_tracing = _identity("script_if_tracing")


def _never(*args: Any, **kwargs: Any) -> bool:
    """Nothing is compiled, scripted or traced."""
    return False


is_compiling = is_dynamo_compiling = is_scripting = is_tracing = _never


def reset() -> None:
    """There is nothing to reset."""


def mark_dynamic(*args: Any, **kwargs: Any) -> None:
    """Shapes are always dynamic."""


def annotate(the_type: Any, the_value: Any) -> Any:
    """The value."""
    return the_value


def isinstance(obj: Any, target_type: Any) -> bool:
    """Python's own isinstance."""
    return _is(obj, target_type)


def fork(func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Calls the function at once."""
    return func(*args, **kwargs)


def wait(future: Any) -> Any:
    """What `fork` returned."""
    return future


@contextmanager
def optimized_execution(should_optimize: bool) -> Any:
    """Does nothing."""
    yield
