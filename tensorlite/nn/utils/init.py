"""Modules without first values, for weights that are read from a file next."""

from __future__ import annotations

from typing import Any, TypeVar

from ..init import _skipped
from ..module import Module

M = TypeVar("M", bound=Module)


def skip_init(module_cls: type[M], *args: Any, **kwargs: Any) -> M:
    """`module_cls(*args, **kwargs)` whose random parameters are not drawn: they hold whatever memory held, and cost none until written."""
    token = _skipped.set(True)
    try:
        return module_cls(*args, **kwargs)
    finally:
        _skipped.reset(token)
