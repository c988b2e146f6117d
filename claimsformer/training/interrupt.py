"""Ctrl-C and SIGTERM, kept until an update is complete."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

__all__ = ["Interrupts"]


class Interrupts:
    """Within the block a first signal is noted, so that the update at hand can end; a second acts at once."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self._found: dict[int, Any] = {}

    @property
    def asked(self) -> bool:
        """Whether somebody asked the run to stop."""
        return self.signal is not None

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._found[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    def raise_if_asked(self) -> None:
        """Raise what the signal would have raised: KeyboardInterrupt, or SystemExit for SIGTERM."""
        if self.signal == signal.SIGINT:
            raise KeyboardInterrupt
        if self.signal is not None:
            raise SystemExit(128 + self.signal)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.signal = number
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._found.items():
            signal.signal(number, handler)
        self._found = {}
