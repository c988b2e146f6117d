"""The one public edge for errors: an op that fails names itself and what it was given.

NumPy's messages are replaced by the sentences torch users know, where there is one; the operands are added in every case.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def explain(op: str, params: Sequence[str], values: Sequence[Any], error: Exception) -> Exception:
    """The error to raise instead of `error`: same meaning, torch's words, plus op, shapes and dtypes."""
    message = str(error)
    if "\n  in " in message:  # already explained by an inner op
        return error
    given = ", ".join(
        f"{p}={describe(v)}" for p, v in zip(params, values, strict=False) if isinstance(v, np.ndarray | tuple | list)
    )
    arrays = [v for v in values if isinstance(v, np.ndarray)]
    kind: type[Exception] = type(error)
    if (
        "could not be broadcast" in message
        or "shape mismatch" in message
        or ("broadcast" in message and kind is ValueError)
    ):
        kind, message = RuntimeError, broadcast_message(arrays) or message
    elif kind is IndexError:
        message = message.replace(" for axis ", " for dimension ")
    elif isinstance(error, np.linalg.LinAlgError):
        kind, message = RuntimeError, f"linalg.{op}: {message}"
    elif kind in (ValueError, OverflowError) or type(error).__module__.startswith("numpy"):
        kind = IndexError if isinstance(error, IndexError) else RuntimeError
    return kind(f"{message}\n  in {op}({given})")


def describe(value: Any) -> str:
    """`float32[2, 3]` for an array, a short repr for anything else."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype}[{', '.join(map(str, value.shape))}]"
    if isinstance(value, list | tuple):
        inner = ", ".join(describe(v) for v in value[:6]) + (", …" if len(value) > 6 else "")
        return f"({inner})"
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


def broadcast_message(arrays: Sequence[Any]) -> str | None:
    """torch's sentence for the first dimension, from the right, at which two shapes cannot be broadcast."""
    if len(arrays) < 2:
        return None
    a, b = arrays[0].shape, arrays[1].shape
    ndim = max(len(a), len(b))
    for back in range(1, ndim + 1):
        m = a[-back] if back <= len(a) else 1
        n = b[-back] if back <= len(b) else 1
        if m != n and 1 not in (m, n):
            return f"The size of tensor a ({m}) must match the size of tensor b ({n}) at non-singleton dimension {ndim - back}"
    return None


def dim_range(ndim: int) -> tuple[int, int]:
    n = max(ndim, 1)
    return -n, n - 1


def check_dim(dim: Any, ndim: int) -> int:
    """`dim` counted from the front. Raises IndexError in torch's words; a 0-d tensor allows -1 and 0."""
    if type(dim) is int and -ndim <= dim < ndim:
        return dim + ndim if dim < 0 else dim
    low, high = dim_range(ndim)
    if not hasattr(dim, "__index__"):
        raise TypeError(f"dim must be an int, got {type(dim).__name__} ({dim!r})")
    d = dim.__index__()
    if not low <= d <= high:
        raise IndexError(f"Dimension out of range (expected to be in range of [{low}, {high}], but got {d})")
    return int(d + max(ndim, 1) if d < 0 else d)


def check_dims(dims: Any, ndim: int) -> tuple[int, ...]:
    """One or several dims counted from the front, each at most once."""
    if dims is None:
        return tuple(range(ndim))
    if hasattr(dims, "__index__"):
        return (check_dim(dims, ndim),) if ndim else (check_dim(dims, 0),)[:0]
    result = tuple(check_dim(d, ndim) for d in dims)
    for i, d in enumerate(result):
        if d in result[:i]:
            raise RuntimeError(f"dim {d} appears multiple times in the list of dims")
    return result if ndim else ()
