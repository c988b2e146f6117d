"""What a failed backward pass says: which op, which value was changed, and which line of the forward is to blame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .graph import Node, Variable, change_trace, type_name
from .mode import mode


def raise_modified(node: Node) -> None:
    for i, counter, version in node.versions or ():
        if counter[0] != version:
            assert node.saved is not None
            data = node.saved[i]
            if isinstance(data, tuple):
                data = data[0]
            origin = node.plan.origins[i] if not node.plan.op.variadic else -1
            which = ""
            if origin == -2:
                which = f", which is output 0 of {node.name()},"
            elif origin >= 0 and isinstance(node.parents[origin], Node):
                slot = 0 if node.slots is None else node.slots[origin]
                which = f", which is output {slot} of {node.parents[origin].name()},"
            hint = (
                "Hint: the backtrace further above shows the operation that failed to compute its gradient. "
                "The variable in question was changed in there or anywhere later. Good luck!"
                if mode.anomaly
                else "Hint: enable anomaly detection to find the operation that failed to compute its gradient, "
                "with tensorlite.autograd.set_detect_anomaly(True)."
            )
            where = change_trace(counter)
            if where:
                hint = f"It was changed in place here:\n{where}"
            raise RuntimeError(
                "one of the variables needed for gradient computation has been modified by an inplace operation: "
                f"[{type_name(data)} {list(data.shape)}]{which} is at version {counter[0]}; expected version {version} instead. {hint}"
            )


def check_nan(node: Node, grads: Sequence[Any]) -> None:
    for i, g in enumerate(grads):
        data = g._data if isinstance(g, Variable) else g
        if data is not None and data.dtype.kind in "fc" and np.isnan(data).any():
            error = RuntimeError(f"Function '{node.name()}' returned nan values in its {i}th output.")
            explain(error, node)
            raise error


def explain(error: BaseException, node: Node) -> None:
    """Say in which op's backward an error happened, and, in anomaly mode, which line of the forward made the node."""
    notes = getattr(error, "__notes__", [])
    if not any(n.startswith("in the backward of") for n in notes):
        error.add_note(f"in the backward of '{node.op.name}'")
        trace = (node.extras or {}).get("trace")
        if trace:
            error.add_note(
                "Traceback of the forward call that made this node (most recent call last):\n" + "".join(trace)
            )
