"""Grad mode: whether ops are recorded. One state per thread, as in torch; new threads start with recording on."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


class _Mode(threading.local):
    grad: bool = True
    inference: bool = False
    anomaly: bool = False
    check_nan: bool = True
    pack: Any = None  # hooks on what is saved: `packing.saved_tensors_hooks`
    careful: bool = False  # whether recording has more to do than usual: anomaly or pack

    def set_anomaly(self, on: bool) -> None:
        self.anomaly, self.careful = on, on or self.pack is not None

    def set_pack(self, hooks: Any) -> None:
        self.pack, self.careful = hooks, self.anomaly or hooks is not None


mode = _Mode()


class _GradMode:
    """A context manager that is also a decorator, and remembers the mode it found."""

    _grad: bool
    _inference: bool | None = None

    def __init__(self) -> None:
        self._found: list[tuple[bool, bool]] = []

    def __enter__(self) -> None:
        self._found.append((mode.grad, mode.inference))
        mode.grad = self._grad
        if self._inference is not None:
            mode.inference = self._inference

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        mode.grad, mode.inference = self._found.pop()

    def __call__(self, function: F) -> F:
        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with self._fresh():
                return function(*args, **kwargs)

        return wrapped  # type: ignore[return-value]

    def _fresh(self) -> _GradMode:
        return type(self)()


class no_grad(_GradMode):
    """Within the block, nothing is recorded: results do not require grad. Also a decorator."""

    _grad = False

    def __new__(cls, function: Callable[..., Any] | None = None) -> Any:
        self = super().__new__(cls)
        if function is None:
            return self
        self.__init__()  # type: ignore[misc]
        return self(function)

    def __init__(self, function: Callable[..., Any] | None = None) -> None:
        super().__init__()


class enable_grad(no_grad):
    """Within the block, ops are recorded again, inside a `no_grad` block for example. Also a decorator."""

    _grad = True


class set_grad_enabled(_GradMode):
    """Turn recording on or off, from this call on; as a context manager, until the end of the block."""

    def __init__(self, enabled: bool) -> None:
        super().__init__()
        self._grad = bool(enabled)
        self._before = mode.grad
        mode.grad = self._grad

    def __enter__(self) -> None:
        self._found.append((self._before, mode.inference))
        mode.grad = self._grad

    def __call__(self, function: F) -> F:
        mode.grad = self._before  # used as a decorator: the mode is for the function alone
        return super().__call__(function)

    def _fresh(self) -> _GradMode:
        return set_grad_enabled(self._grad)


class inference_mode(_GradMode):
    """Like `no_grad`; in addition, tensors made in the block can never take part in a recorded op that needs to save them."""

    def __init__(self, enabled: bool = True) -> None:
        super().__init__()
        self._grad = not enabled
        self._inference = enabled
        self._enabled = enabled

    def _fresh(self) -> _GradMode:
        return inference_mode(self._enabled)


def is_grad_enabled() -> bool:
    """Whether ops are being recorded in this thread."""
    return mode.grad


def is_inference_mode_enabled() -> bool:
    """Whether this thread is inside `inference_mode`."""
    return mode.inference
