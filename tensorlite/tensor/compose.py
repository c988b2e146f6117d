"""Functions that are compositions of ops: how they get into the `tensorlite` namespace and onto Tensor.

    @composed(EXPORTS)
    def nansum(input, dim=None, keepdim=False): ...

A composition needs no gradient rule of its own, so it is a plain function over tensors. `EXPORTS` maps its name to (function, whether
it is also a Tensor method); torch's `out=`, and `axis` and `keepdims` for `dim` and `keepdim`, are added here for all of them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from ..autograd.inplace import apply_inplace
from ..autograd.record import apply
from ..ops.table import OPS, Op

Exports = dict[str, tuple[Callable[..., Any], bool]]
_RENAMED = {"axis": "dim", "keepdims": "keepdim", "self": "input"}


def composed(
    exports: Exports, name: str | None = None, method: bool = True
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Enter a function into `exports`."""

    def enter(function: Callable[..., Any]) -> Callable[..., Any]:
        known = function.__code__.co_varnames[: function.__code__.co_argcount + function.__code__.co_kwonlyargcount]
        title = name or function.__name__.rstrip("_")

        @functools.wraps(function)
        def public(*args: Any, out: Any = None, **kwargs: Any) -> Any:
            if kwargs:
                kwargs = {_RENAMED[k] if k in _RENAMED and k not in known else k: v for k, v in kwargs.items()}
            result = function(*args, **kwargs)
            if out is None:
                return result
            from .methods import write_out

            return write_out(title, result, out, args)

        public.__name__ = public.__qualname__ = title
        exports[title] = (public, method)
        return public

    return enter


def alias(exports: Exports, new: str, old: str) -> None:
    """Enter a second name for an op, with its in-place form if it has one, or for a function that `exports` already has."""
    if old in exports:
        exports[new] = exports[old]
        return
    op = OPS[old]
    exports[new] = (_calling(op, new), True)
    if op.inplace:
        exports[new + "_"] = (_calling_inplace(op, new), True)


def _calling(op: Op, name: str) -> Callable[..., Any]:
    def function(*args: Any, out: Any = None, **kwargs: Any) -> Any:
        result = apply(op, args, kwargs)
        if out is None:
            return result
        from .methods import write_out

        return write_out(name, result, out, args)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = op.__doc__
    return function


def _calling_inplace(op: Op, name: str) -> Callable[..., Any]:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return apply_inplace(op, self, args, kwargs)

    method.__name__ = method.__qualname__ = name + "_"
    method.__doc__ = op.__doc__
    return method
