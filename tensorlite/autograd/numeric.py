"""Derivatives by evaluation alone: what gradients are checked against.

The complex step takes `Im f(x + ih) / h` with h = 1e-20: no difference is formed, so no digits are lost, and the result is exact to rounding.
It needs a forward that is analytic, which tensorlite's are in a complex-step check (they branch on the real part). Where a function is not,
Richardson extrapolation of central differences is used, which also estimates its own error.

References: Squire and Trapp, "Using complex variables to estimate derivatives of real functions", SIAM Review 40 (1998); Ridders, "Accurate
computation of F'(x) and F'(x)F''(x)", Advances in Engineering Software 4 (1982).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..ops.analytic import branch_signature, dual
from .graph import Variable, wrap
from .mode import no_grad

STEP = 1e-20  # for inputs of size 1; smaller ones take a smaller step
_CHECK_STEPS = (1e-5, 1e-8)


@dataclass(frozen=True)
class Derivative:
    """A directional derivative of each output: the values, an estimate of their error, and how they were found."""

    values: tuple[Any, ...]
    errors: tuple[Any, ...]
    method: str
    smooth: bool = True  # False: the function takes other branches on either side, so there is a kink within reach


def outputs_of(result: Any) -> list[Variable]:
    """The tensors in a function's result; tuples, lists and dicts in it are opened."""
    if isinstance(result, Variable):
        return [result]
    if isinstance(result, dict):
        result = list(result.values())
    return [t for item in result for t in outputs_of(item)] if isinstance(result, tuple | list) else []


def evaluate(f: Callable[..., Any], inputs: Sequence[Any], arrays: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """`f` at other values of its tensor inputs: the output arrays, and the branches taken on the way."""
    values = iter(arrays)
    arguments = [wrap(next(values)) if isinstance(x, Variable) else x for x in inputs]
    with no_grad(), branch_signature() as signature, np.errstate(all="ignore"):
        return [t._data for t in outputs_of(f(*arguments))], list(signature)


Evaluate = Callable[[list[Any]], tuple[list[Any], list[Any]]]


def directional(
    f: Callable[..., Any], inputs: Sequence[Any], directions: Sequence[Any], method: str = "auto"
) -> Derivative:
    """The derivative of every output of `f` at `inputs` along `directions`, one array per tensor input (None: that input stays).

    `method` is "complex", "richardson", or "auto": the complex step if it is valid for this function, else Richardson.
    """
    arrays = [x._data for x in inputs if isinstance(x, Variable)]
    steps = [np.zeros(()) if d is None else d for d in directions]
    return Differentiator(lambda values: evaluate(f, inputs, values), arrays, method).along(steps)


class Differentiator:
    """Directional derivatives of one function at one point; what does not depend on the direction is worked out once.

    `compute(arrays)` gives the output arrays and the branches taken. A complex step counts as valid when every imaginary part arrives and,
    in the first direction asked for, it agrees with a difference quotient.
    """

    def __init__(self, compute: Evaluate, arrays: Sequence[Any], method: str = "auto") -> None:
        if method not in ("auto", "complex", "richardson"):
            raise ValueError(f"method must be 'auto', 'complex' or 'richardson', got {method!r}")
        self.compute = compute
        self.arrays = list(arrays)
        self.method = method
        self.here, self.signature = compute(self.arrays)
        self.smooth: bool | None = None  # known once a direction was tried
        self._stepping = method != "richardson" and not any(np.iscomplexobj(a) for a in arrays)
        self._proven = False
        sizes = [np.abs(a[(a != 0) & np.isfinite(a)]) for a in self.arrays if a.dtype.kind == "f"]
        self._smallest = max(min((float(x.min(initial=1.0)) for x in sizes), default=1.0), 1e-110)

    @np.errstate(all="ignore")
    def along(self, steps: Sequence[Any]) -> Derivative:
        """The derivative along `steps`, one array for each input. Raises RuntimeError where method="complex" is not valid."""
        if self._stepping:
            found = self._complex_step(steps)
            if found is not None:
                return found
            self._stepping = False
        if self.method == "complex":
            raise RuntimeError(
                "the complex step is not valid for this function: an imaginary part was lost on the way; use method='richardson'"
            )
        return self.richardson(steps)

    def _complex_step(self, steps: Sequence[Any]) -> Derivative | None:
        """None where the complex step is not valid: complex values are refused, an imaginary part is dropped, or a difference disagrees."""
        step = STEP * self._smallest
        try:
            with dual():
                outs, _ = self.compute(_moved(self.arrays, steps, 1j * step))
        except (RuntimeError, TypeError, ValueError, IndexError, NotImplementedError, np.linalg.LinAlgError):
            return None
        values = [o.imag / step if o.dtype.kind == "c" else np.zeros(o.shape) for o in outs]
        self._proven = self._proven or self._differences_agree(outs, values, steps)
        if not self._proven:
            return None
        return Derivative(
            tuple(values), tuple(np.abs(v) * 1e-14 for v in values), "complex step", self.smooth is not False
        )

    def _differences_agree(self, outs: Sequence[Any], values: Sequence[Any], steps: Sequence[Any]) -> bool:
        """Tries smaller steps as well: a kink or a pole that is near, but not here, does not matter to a step of 1e-20."""
        for h in (*_CHECK_STEPS, 1e-5 * self._smallest):
            plus, above = self.compute(_moved(self.arrays, steps, h))
            minus, below = self.compute(_moved(self.arrays, steps, -h))
            self.smooth = above == self.signature == below
            if self.smooth and self._agrees(outs, values, plus, minus, h):
                return True
        return not self.smooth

    def _agrees(
        self, outs: Sequence[Any], values: Sequence[Any], plus: Sequence[Any], minus: Sequence[Any], h: float
    ) -> bool:
        """Whether differences with step `h` say the same, as far as their rounding (of the values' last digits, divided by h) lets them."""
        for out, value, a, b, z in zip(outs, values, plus, minus, self.here, strict=True):
            if out.dtype.kind != "c":
                if out.dtype.kind == "f" and not np.array_equal(a, b, equal_nan=True):
                    return False
                continue
            rough = (a - b) / (2 * h)
            finite = np.isfinite(rough) & np.isfinite(value)
            if not finite.any():
                continue
            rough, value = rough[finite], value[finite]
            rounding = max(np.abs(v[np.isfinite(v)]).max(initial=1e-300) for v in (z, a, b)) * 1e-14 / h
            size = max(np.abs(value).max(), np.abs(rough).max())
            if np.any(np.abs(value - rough) > 1e-3 * np.abs(value) + 1e-4 * size + rounding):
                return False
        return True

    @np.errstate(all="ignore")
    def richardson(self, steps: Sequence[Any], h: float = 1e-2, levels: int = 5) -> Derivative:
        """Central differences at h, h/2, h/4, …, extrapolated to 0; the spread of the last two columns is the error estimate."""
        smooth = was_smooth = True
        table: list[list[Any]] = []
        noise: list[list[Any]] = []  # of each row: the values' last digits, divided by the step
        for level in range(levels):
            step = h / 2**level
            plus, above = self.compute(_moved(self.arrays, steps, step))
            minus, below = self.compute(_moved(self.arrays, steps, -step))
            smooth = above == self.signature == below
            row = [[(p - m) / (2 * step) for p, m in zip(plus, minus, strict=True)]]
            if not table or not was_smooth:
                table, noise = [], []  # only steps on the same smooth piece may be extrapolated together
            was_smooth = smooth
            for j in range(len(table)):
                factor = 4.0 ** (j + 1)
                row.append([(factor * a - b) / (factor - 1) for a, b in zip(row[j], table[-1][j], strict=True)])
            table.append(row)
            noise.append([(np.abs(p) + np.abs(m)) * 2e-16 / step for p, m in zip(plus, minus, strict=True)])
        values, errors = _extrapolated(table, noise)
        lost = self.lost(steps, h / 2 ** (levels - 1))
        if lost > 0:
            errors = tuple(
                e + (np.abs(v) * lost if lost < 0.1 else np.inf) for v, e in zip(values, errors, strict=True)
            )
        self.smooth = smooth if self.smooth is None else self.smooth and smooth
        return Derivative(values, errors, "Richardson", smooth)

    def lost(self, steps: Sequence[Any], h: float) -> float:
        """How much of the smallest step was rounded away, relative to it: next to 1e20 all of it."""
        worst = 0.0
        for a, s in zip(self.arrays, steps, strict=True):
            if a.dtype.kind in "fc":
                moves = np.abs(np.broadcast_to(s, a.shape))
                off = np.abs(((a + h * s) - a) - h * s)[(moves > 0) & np.isfinite(a)]
                worst = max(worst, float((off / (h * moves[(moves > 0) & np.isfinite(a)])).max(initial=0.0)))
        return worst if worst > 1e-6 else 0.0

    @np.errstate(all="ignore")
    def one_sided_limits(self, steps: Sequence[Any], h: float = 1e-3) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """The derivatives to the left and to the right, extrapolated from three steps: equal where the function is smooth."""
        sides = []
        for sign in (-1.0, 1.0):
            rows = []
            for k in (1, 2, 4):
                step = sign * h / k
                moved, _ = self.compute(_moved(self.arrays, steps, step))
                rows.append([(m - z) / step for m, z in zip(moved, self.here, strict=True)])
            sides.append(tuple((8 * c - 6 * b + a) / 3 for a, b, c in zip(*rows, strict=True)))
        return sides[0], sides[1]

    @np.errstate(all="ignore")
    def one_sided(self, steps: Sequence[Any], h: float = 1e-6) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """The difference quotients to the left and to the right, for what has a kink here."""
        plus, _ = self.compute(_moved(self.arrays, steps, h))
        minus, _ = self.compute(_moved(self.arrays, steps, -h))
        left = tuple((z - m) / h for z, m in zip(self.here, minus, strict=True))
        return left, tuple((p - z) / h for z, p in zip(self.here, plus, strict=True))


def _extrapolated(table: list[list[Any]], noise: list[list[Any]]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """The row whose last two columns differ least, and by how much: with a noisy function that is not the one of the smallest step."""
    best: tuple[float, tuple[Any, ...], tuple[Any, ...]] | None = None
    for row, rounding in zip(reversed(table[1:]), reversed(noise[1:]), strict=True):
        errors = tuple(
            np.abs(a - b) + np.abs(a) * 1e-11 + n for a, b, n in zip(row[-1], row[-2], rounding, strict=True)
        )
        total = sum(float(e.sum()) for e in errors)
        if best is None or total < 0.1 * best[0]:
            best = total, tuple(row[-1]), errors
    if best is None:
        values = tuple(table[-1][-1])
        return values, tuple(np.full(np.shape(v), np.inf) for v in values)
    return best[1], best[2]


def _moved(arrays: Sequence[Any], steps: Sequence[Any], h: Any) -> list[Any]:
    return [np.asarray(a + h * s) if a.dtype.kind in "fc" else a for a, s in zip(arrays, steps, strict=True)]
