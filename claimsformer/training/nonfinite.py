"""Finding the op that made the first NaN: the step is run once more, and every op is looked at."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from tensorlite import Tensor, nn
from tensorlite.autograd.anomaly import set_detect_anomaly
from tensorlite.autograd.record import observers

__all__ = ["first_fault"]

_LIBRARY = os.path.dirname(os.path.abspath(nn.__file__)).removesuffix("nn")
_MASKING = ("masked_fill", "where", "full_like")  # ops that write -inf on purpose


class _FaultError(Exception):
    """Ends the run at the op that was looked for."""


class _Watch:
    """Looks at the operands and results of every op."""

    def __init__(self, model: nn.Module) -> None:
        self.names = {id(module): name or type(module).__name__ for name, module in model.named_modules()}
        self.first_inf = self.fault = ("", "")
        self.given_nan = False  # an op was handed a NaN that no op made

    def __call__(self, op: Any, args: tuple[Any, ...], outputs: Any) -> None:
        given = _any(args, np.isnan)
        self.given_nan |= given
        if not given and _any(outputs, np.isnan):
            from_inf = bool(self.first_inf[0]) and _any(args, np.isinf)
            self.fault = self.first_inf if from_inf else (op.name, _place(self.names))
            raise _FaultError
        if not self.first_inf[0] and op.name not in _MASKING and _any(outputs, np.isinf) and not _any(args, np.isinf):
            self.first_inf = (op.name, _place(self.names))


def first_fault(model: nn.Module, step: Callable[[], None]) -> tuple[str, str]:
    """(op, where) of the op that made the first NaN, or the infinity it came from; empty if none did.

    `step` runs a forward and a backward pass. A fault of the backward pass is found by anomaly mode.
    """
    watch = _Watch(model)
    observers.append(watch)
    try:
        with np.errstate(all="ignore"), set_detect_anomaly(True):
            step()
    except _FaultError:
        return watch.fault
    except RuntimeError as error:
        if "nan" not in str(error).lower():
            raise
        return ("", "") if watch.given_nan else (_op_of(str(error)), f"in its backward pass {_line_of(error)}".rstrip())
    finally:
        observers.remove(watch)
    return watch.first_inf


def _any(values: Any, looks_bad: Callable[[Any], Any]) -> bool:
    if isinstance(values, list | tuple):
        return any(_any(v, looks_bad) for v in values)
    array = values._data if isinstance(values, Tensor) else values
    return isinstance(array, np.ndarray) and array.dtype.kind in "fc" and bool(looks_bad(array).any())


def _place(names: dict[int, str]) -> str:
    """The innermost module that is running, and the innermost line outside tensorlite."""
    module, line = "", ""
    frame = sys._getframe(1)
    while frame is not None and not (module and line):
        file = frame.f_code.co_filename
        if not module and frame.f_code.co_name == "forward":
            module = names.get(id(frame.f_locals.get("self")), "")
        if not line and not file.startswith(_LIBRARY) and file != __file__:
            line = f"{os.path.basename(file)}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return " ".join(part for part in (f"of {module}" if module else "", f"at {line}" if line else "") if part)


def _line_of(error: BaseException) -> str:
    """The innermost line outside tensorlite in the note that anomaly mode adds."""
    lines = re.findall(r'File "([^"]+)", line (\d+)', "\n".join(getattr(error, "__notes__", ())))
    own = [f"at {os.path.basename(file)}:{line}" for file, line in lines if not file.startswith(_LIBRARY)]
    return own[-1] if own else ""


def _op_of(message: str) -> str:
    """The op in anomaly mode's message: "Function 'LogBackward0' returned nan values …"."""
    name = message.split("'")[1] if message.count("'") >= 2 else ""
    return name.split("Backward")[0].lower()
