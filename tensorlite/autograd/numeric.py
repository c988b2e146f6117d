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

STEP = 1e-20
_CHECK_STEP = 1e-5


@dataclass(frozen=True)
class Derivative:
    """A directional derivative of each output: the values, an estimate of their error, and how they were found."""

    values: tuple[Any, ...]
    errors: tuple[Any, ...]
    method: str
    smooth: bool = True  # False: the function takes other branches on either side, so there is a kink within reach


def outputs_of(result: Any) -> list[Variable]:
    """The tensors in a function's result; tuples and lists in it are opened."""
    if isinstance(result, Variable):
        return [result]
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
    steps = [np.zeros(1) if d is None else d for d in directions]
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
        try:
            with dual():
                outs, _ = self.compute(_moved(self.arrays, steps, 1j * STEP))
        except (RuntimeError, TypeError, ValueError, IndexError, NotImplementedError, np.linalg.LinAlgError):
            return None
        values = [o.imag / STEP if o.dtype.kind == "c" else np.zeros(o.shape) for o in outs]
        if not self._proven:
            plus, above = self.compute(_moved(self.arrays, steps, _CHECK_STEP))
            minus, below = self.compute(_moved(self.arrays, steps, -_CHECK_STEP))
            self.smooth = above == self.signature == below
            if not self._agrees(outs, values, plus, minus):
                return None
            self._proven = True
        return Derivative(
            tuple(values), tuple(np.abs(v) * 1e-14 for v in values), "complex step", self.smooth is not False
        )

    def _agrees(self, outs: Sequence[Any], values: Sequence[Any], plus: Sequence[Any], minus: Sequence[Any]) -> bool:
        for out, value, a, b, z in zip(outs, values, plus, minus, self.here, strict=True):
            if out.dtype.kind != "c":
                if out.dtype.kind == "f" and not np.array_equal(a, b, equal_nan=True):
                    return False
                continue
            rough = (a - b) / (2 * _CHECK_STEP)
            size = np.abs(z).max(initial=1.0) + np.abs(value).max(initial=0.0)
            finite = np.isfinite(rough) & np.isfinite(value)
            if self.smooth and finite.any() and np.abs(value - rough)[finite].max() > 1e-3 * size:
                return False
        return True

    def richardson(self, steps: Sequence[Any], h: float = 1e-2, levels: int = 5) -> Derivative:
        """Central differences at h, h/2, h/4, …, extrapolated to 0; the spread of the last two columns is the error estimate."""
        smooth = was_smooth = True
        table: list[list[Any]] = []
        for level in range(levels):
            step = h / 2**level
            plus, above = self.compute(_moved(self.arrays, steps, step))
            minus, below = self.compute(_moved(self.arrays, steps, -step))
            smooth = above == self.signature == below
            row = [[(p - m) / (2 * step) for p, m in zip(plus, minus, strict=True)]]
            if not table or not was_smooth:
                table = []  # only steps on the same smooth piece may be extrapolated together
            was_smooth = smooth
            for j in range(len(table)):
                factor = 4.0 ** (j + 1)
                row.append([(factor * a - b) / (factor - 1) for a, b in zip(row[j], table[-1][j], strict=True)])
            table.append(row)
        best = table[-1]
        values = tuple(best[-1])
        if len(best) > 1:
            # rounding: the values' last digits, divided by the smallest step
            noise = [np.abs(z) * 4e-16 / (h / 2 ** (levels - 1)) for z in self.here]
            errors = tuple(
                np.abs(a - b) + np.abs(a) * 1e-11 + n for a, b, n in zip(best[-1], best[-2], noise, strict=True)
            )
        else:
            errors = tuple(np.full(np.shape(v), np.inf) for v in values)
        self.smooth = smooth if self.smooth is None else self.smooth and smooth
        return Derivative(values, errors, "Richardson", smooth)

    def one_sided(self, steps: Sequence[Any], h: float = 1e-6) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """The difference quotients to the left and to the right, for what has a kink here."""
        plus, _ = self.compute(_moved(self.arrays, steps, h))
        minus, _ = self.compute(_moved(self.arrays, steps, -h))
        left = tuple((z - m) / h for z, m in zip(self.here, minus, strict=True))
        return left, tuple((p - z) / h for z, p in zip(self.here, plus, strict=True))


def _moved(arrays: Sequence[Any], steps: Sequence[Any], h: Any) -> list[Any]:
    return [a + h * s if a.dtype.kind in "fc" else a for a, s in zip(arrays, steps, strict=True)]
