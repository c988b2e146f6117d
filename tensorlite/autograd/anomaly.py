"""Anomaly detection: find the op whose backward made a NaN, and the line of the forward that called it."""

from __future__ import annotations

import warnings

from .graph import forget_changes
from .mode import mode


class set_detect_anomaly:
    """Turn anomaly detection on or off. While on, every op remembers the line that called it, and in-place changes the line that made them.

    A backward pass that makes a NaN (with `check_nan`) raises RuntimeError with the op's name and that line. Slow; for debugging.
    """

    def __init__(self, mode_: bool, check_nan: bool = True) -> None:
        self._found = (mode.anomaly, mode.check_nan)
        mode.set_anomaly(bool(mode_))
        mode.check_nan = check_nan
        if not mode_:
            forget_changes()

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc: object) -> None:
        anomaly, mode.check_nan = self._found
        mode.set_anomaly(anomaly)
        if not mode.anomaly:
            forget_changes()


class detect_anomaly(set_detect_anomaly):
    """Anomaly detection within a block; see `set_detect_anomaly`."""

    def __init__(self, check_nan: bool = True) -> None:
        self._found = (mode.anomaly, mode.check_nan)
        self._check_nan = check_nan
        warnings.warn(
            "Anomaly Detection has been enabled. This mode will increase the runtime and should only be enabled for debugging.",
            stacklevel=2,
        )

    def __enter__(self) -> None:
        mode.set_anomaly(True)
        mode.check_nan = self._check_nan


def is_anomaly_enabled() -> bool:
    """Whether anomaly detection is on in this thread."""
    return mode.anomaly
