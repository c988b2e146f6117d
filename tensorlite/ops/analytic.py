"""Helpers that keep forwards analytic, so that a complex step can pass through them.

A complex-step check runs a real function on `x + ih`. Forwards therefore branch on the real part and never conjugate or take a modulus
on the way. Outside of such a check complex tensors are ordinary complex numbers, with torch's conventions; `dual` tells the two apart.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np


class _Dual(threading.local):
    on: bool = False
    branches: list[Any] | None = None


state = _Dual()


@contextmanager
def dual() -> Iterator[None]:
    """Within the block, complex arrays stand for `value + i h derivative` of real computations."""
    before, state.on = state.on, True
    try:
        yield
    finally:
        state.on = before


@contextmanager
def branch_signature() -> Iterator[list[Any]]:
    """Within the block, every mask or index that a forward decides by is appended to the list: equal lists mean the same smooth piece."""
    before, state.branches = state.branches, []
    try:
        yield state.branches
    finally:
        state.branches = before


def branch(decision: Any) -> Any:
    """Report a decision (a mask, an argmax, a sort order) that a forward takes on its data; returns it."""
    if state.branches is not None:
        state.branches.append(np.asarray(decision).tobytes())
    return decision


def real(x: Any) -> Any:
    """The part of `x` that decisions are taken on: its real part in a complex-step check, else `x` itself."""
    return x.real if x.dtype.kind == "c" else x


def ordered(x: Any, name: str) -> Any:
    """`real(x)` for ops that need an order; complex input outside of a complex step is torch's error."""
    if x.dtype.kind == "c":
        if not state.on:
            raise RuntimeError(f'"{name}" not implemented for complex tensors; complex numbers have no order')
        return x.real
    return x


def conj(x: Any) -> Any:
    """The complex conjugate in a gradient rule: `x` itself for real values, and within a complex-step check."""
    dtype = getattr(x, "dtype", None)
    if dtype is None:
        return x if not isinstance(x, complex) or state.on else x.conjugate()
    kind = dtype.kind if isinstance(dtype, np.dtype) else "c" if dtype.is_complex else "f"
    return x if kind != "c" or state.on else x.conj()


def lift(f: Callable[[Any], Any], derivative: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A function that NumPy lacks for complex arguments, extended to the first-order expansion that a complex step needs."""

    def lifted(x: Any) -> Any:
        if x.dtype.kind != "c":
            return f(x)
        if not state.on:
            raise RuntimeError("not implemented for complex tensors")
        return f(x.real) + 1j * (x.imag * derivative(x.real))

    return lifted
