"""Small facts about observed tensors and ops: where memory lies, what an argument says, which line called."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..autograd.function import FunctionCtx
from ..autograd.graph import Variable

_LIBRARY = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
MAX_ATTR = 24  # characters of an attribute's value


def flatten(value: Any) -> list[Any]:
    """The tensors in nested tuples, lists, dicts and dataclasses, in order."""
    found: list[Any] = []
    stack = [value]
    while stack:
        current = stack.pop()
        if isinstance(current, Variable):
            found.append(current)
        elif isinstance(current, Mapping):
            stack.extend(reversed(list(current.values())))
        elif isinstance(current, tuple | list):
            stack.extend(reversed(current))
        elif hasattr(current, "__dataclass_fields__") and not isinstance(current, type):
            stack.extend(getattr(current, name) for name in reversed(list(current.__dataclass_fields__)))
    return found


def arrays(name: str, value: Any) -> list[tuple[str, Any]]:
    """The NumPy arrays in nested tuples, lists, dicts and dataclasses, each with the name of its innermost field."""
    found: list[tuple[str, Any]] = []
    stack = [(name, value)]
    while stack:
        own, current = stack.pop()
        if isinstance(current, np.ndarray) and current.size:
            found.append((own, current))
        elif isinstance(current, Mapping):
            stack.extend((str(key), entry) for key, entry in current.items())
        elif isinstance(current, tuple | list):
            stack.extend((f"{own}[{i}]", entry) for i, entry in enumerate(current))
        elif hasattr(current, "__dataclass_fields__") and not isinstance(current, type):
            stack.extend((field, getattr(current, field)) for field in current.__dataclass_fields__)
    return found


def version(tensor: Any) -> int:
    return 0 if tensor._vc is None else int(tensor._vc[0])


def owner(tensor: Any) -> int:
    data = tensor._data
    return id(data if data.base is None else data.base)


def same(a: Any, b: Any) -> bool:
    return a.shape == b.shape and bool(np.array_equal(a, b, equal_nan=a.dtype.kind in "fc"))


def place(tensor: Any) -> tuple[Any, ...]:
    data = tensor._data
    return (data.__array_interface__["data"][0], data.shape, data.strides, data.dtype.str, version(tensor))


def attributes(op: Any, args: Sequence[Any]) -> tuple[tuple[str, str], ...]:
    found = []
    for i, (name, arg) in enumerate(zip(op.params, args, strict=False)):
        if arg is None or name == "seed" or (op.promote and i in op.over) or not is_plain(arg):
            continue
        default = i - op.n_required
        if 0 <= default < len(op.defaults) and type(op.defaults[default]) is type(arg) and op.defaults[default] == arg:
            continue
        text = ",".join(map(str, arg)) if isinstance(arg, tuple | list) else str(arg)
        if len(text) <= MAX_ATTR and text:
            found.append((name, text))
    return tuple(found)


def is_plain(arg: Any) -> bool:
    if isinstance(arg, tuple | list):
        return all(isinstance(entry, int | float | str | bool) for entry in arg)
    return isinstance(arg, int | float | str | bool)


def caller() -> str:
    """The innermost line outside this library: `model.py:12 forward`."""
    frame = sys._getframe(2)
    while frame is not None:
        code = frame.f_code
        if not os.path.abspath(code.co_filename).startswith(_LIBRARY) and not code.co_filename.startswith("<frozen"):
            return f"{os.path.basename(code.co_filename)}:{frame.f_lineno} {code.co_name}"
        frame = frame.f_back  # type: ignore[assignment]
    return ""


def call_again(op: Any, outputs: Sequence[Any]) -> Callable[..., Any] | None:
    """The call of the user's Function that gave `outputs`, as a function of its tensors; None where that is not known.

    It is not where the Function changed an input in place: what it was given is gone.
    """
    node = next((tensor._node for tensor in outputs if tensor._node is not None), None)
    ctx = next((saved for saved in node.saved or () if isinstance(saved, FunctionCtx)), None) if node else None
    if ctx is None or ctx._dirty or not hasattr(op, "cls"):
        return None
    values, is_tensor = ctx._inputs, ctx._is_tensor  # type: ignore[attr-defined]

    def call(*tensors: Any) -> Any:
        given = iter(tensors)
        return op.cls.apply(*[next(given) if t else v for v, t in zip(values, is_tensor, strict=True)])

    return call
