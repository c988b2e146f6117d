"""From a running program to a `Graph`.

`record` listens to the ops while they run, so it sees values, module calls and source lines; `graph` uses it for a
module or a function. From an output alone, `graph` walks the autograd nodes that made it: structure and leaves, without
the values between.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ..autograd.graph import Variable
from .ir import Graph
from .observed import flatten
from .tape import Tape
from .walk import from_output


def graph(
    target: Any,
    *inputs: Any,
    names: Mapping[str, Any] | None = None,
    backward: bool = False,
    timed: bool = False,
    record: bool = True,
    name: str | None = None,
    **kwargs: Any,
) -> Graph:
    """The computation graph of a module or function called on `inputs`, or of an output tensor.

    `names` gives names to leaves (`dict(model.named_parameters())`); a module brings its own. `backward=True` also
    computes the gradient of the summed outputs for every node, without touching any `.grad`. `timed=True` adds seconds,
    which differ from run to run. `record=False` keeps no copies, so `Graph.verify` is not available. Of an output tensor,
    the values between are drawn as far as autograd still has them: before `backward()`, or after it with
    `retain_graph=True`. Raises `TypeError` for anything else, `ValueError` for a tensor without history.
    """
    if isinstance(target, type):
        raise TypeError(
            f"graph() draws a module, a function, or output tensors; got the class {target.__name__}: make one first"
        )
    if not callable(target) or (isinstance(target, Variable) and not inputs):
        outputs = flatten(target)
        if not outputs or inputs:
            raise TypeError(f"graph() draws a module, a function, or output tensors; got {type(target).__name__}")
        if all(tensor._node is None and not tensor.requires_grad for tensor in outputs):
            raise ValueError(
                "this tensor has no history to draw: it was made under no_grad, or from tensors that do not require grad; "
                "graph(function, *inputs) draws those too"
            )
        return from_output(outputs, names or {}, name or "graph")
    tape = Tape(keep=record, timed=timed)
    tape.name_inputs(inputs, kwargs, _parameters(target))
    tape.name_leaves(names or {})
    with tape.listening(target if hasattr(target, "named_modules") else None):
        outputs = target(*inputs, **kwargs)
    own = type(target).__name__ if hasattr(target, "named_modules") else getattr(target, "__name__", "graph")
    return tape.graph(outputs, name=name or own.replace("<lambda>", "function"), backward=backward)


@contextmanager
def record(module: Any = None, *, keep: bool = True, timed: bool = False) -> Iterator[Tape]:
    """Listen to every op in the block; `tape.graph(output)` afterwards draws what led to `output`."""
    tape = Tape(keep=keep, timed=timed)
    with tape.listening(module):
        yield tape


def _parameters(target: Any) -> list[str]:
    """Names of the positional parameters, as far as they can be told."""
    try:
        signature = inspect.signature(getattr(target, "forward", target))
    except (TypeError, ValueError):
        return []
    positional = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}
    return [name for name, parameter in signature.parameters.items() if parameter.kind in positional]
