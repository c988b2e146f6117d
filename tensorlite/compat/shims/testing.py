"""torch.testing: `assert_close`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...tensor import Tensor

__all__ = ["assert_close"]

_TOLERANCES = {"float16": (1e-3, 1e-5), "float32": (1.3e-6, 1e-5), "complex64": (1.3e-6, 1e-5), "float64": (1e-7, 1e-7), "complex128": (1e-7, 1e-7)}  # fmt: skip


def assert_close(
    actual: Any, expected: Any, *, rtol: float | None = None, atol: float | None = None, equal_nan: bool = False,
    check_dtype: bool = True, msg: Any = None, **options: Any,
) -> None:  # fmt: skip
    """Raise AssertionError unless both have the same structure, shapes, dtypes, and values within torch's tolerances."""
    if isinstance(expected, dict):
        if actual.keys() != expected.keys():
            raise AssertionError(msg or f"The keys differ: {sorted(actual)} and {sorted(expected)}")
        actual, expected = [actual[k] for k in expected], list(expected.values())
    if isinstance(expected, list | tuple):
        if len(actual) != len(expected):
            raise AssertionError(msg or f"The lengths differ: {len(actual)} and {len(expected)}")
        for a, e in zip(actual, expected, strict=True):
            assert_close(a, e, rtol=rtol, atol=atol, equal_nan=equal_nan, check_dtype=check_dtype, msg=msg)
        return
    a, e = (v.detach().numpy() if isinstance(v, Tensor) else np.asarray(v) for v in (actual, expected))
    if a.shape != e.shape:
        raise AssertionError(msg or f"The values for attribute 'shape' do not match: {a.shape} != {e.shape}.")
    if check_dtype and a.dtype != e.dtype:
        raise AssertionError(msg or f"The values for attribute 'dtype' do not match: {a.dtype} != {e.dtype}.")
    default = _TOLERANCES.get(a.dtype.name, (0.0, 0.0))
    relative, absolute = default[0] if rtol is None else rtol, default[1] if atol is None else atol
    with np.errstate(invalid="ignore"):
        close = np.isclose(a, e, relative, absolute, equal_nan)
    if not close.all():
        worst = np.max(np.abs(a - e)) if a.dtype.kind in "fc" else "?"
        raise AssertionError(
            msg
            or f"Tensor-likes are not close!\n\nMismatched elements: {int((~close).sum())} / {close.size}\nGreatest absolute difference: {worst}"
        )
