"""What a wrong gradient looks like: the usual mistakes leave recognisable traces."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np


def _close(a: Any, b: Any, rtol: float = 1e-5) -> bool:
    scale = float(np.abs(b).max(initial=0.0))
    largest = max(scale, float(np.abs(a).max(initial=0.0)))
    return a.shape == b.shape and bool(np.all(np.abs(a - b) <= rtol * scale + 1e-12 * largest))


def describe(analytic: Any, numeric: Any, others: Sequence[Any] = ()) -> str:
    """A sentence on how the gradient `analytic` differs from the derivative `numeric`; empty if it looks like nothing known.

    `others` are the derivatives with respect to the other inputs, to recognise gradients that were mixed up or added together.
    """
    if not analytic.size or not np.isfinite(numeric).all():
        return ""
    if np.isnan(analytic).any():
        return "NaN where the derivative is finite: a rule divides by zero or takes 0 * inf; np.where does not stop NaN in the branch not taken"
    if not np.isfinite(analytic).all():
        return "infinite where the derivative is finite"
    if not analytic.any():
        return "zero everywhere: the rule loses the cotangent, or the input is cut off (detach, integer cast, no rule)"
    if _close(analytic, numeric, 1e-3) and _close(analytic, numeric, 3e-6):
        return "right to 6 or 7 digits: something in the rule is computed in float32"
    ratio = _constant_ratio(analytic, numeric)
    shapes = [analytic.shape, *(o.shape for o in others)]
    return (
        (_ratio_hint(ratio, shapes, int(np.count_nonzero(numeric)) > 1) if ratio is not None else "")
        or _place_hint(analytic, numeric)
        or _other_input_hint(analytic, numeric, others)
        or _missing_term_hint(analytic, numeric)
    )


def _constant_ratio(analytic: Any, numeric: Any) -> float | None:
    nonzero = np.abs(numeric) > 1e-9 * np.abs(numeric).max(initial=0.0)
    if not nonzero.any():
        return None
    ratio = float(np.vdot(numeric, analytic).real / np.vdot(numeric, numeric).real)
    return ratio if _close(analytic, ratio * numeric, 1e-5) else None


def _ratio_hint(ratio: float, shapes: Sequence[tuple[int, ...]], several: bool) -> str:
    def is_(x: float) -> bool:
        return abs(ratio - x) < 1e-4 * abs(x)

    if is_(-1):
        return "the sign is wrong (ratio -1)"
    sizes = {
        math.prod(c) for shape in shapes for k in range(1, len(shape) + 1) for c in itertools.combinations(shape, k)
    } - {0, 1, 2}
    for n in sorted(sizes):
        if is_(n):
            return f"{n} times too large, and {n} is a size of the inputs: a division by n is missing, or something is summed that was not broadcast"
        if is_(1 / n):
            return f"{n} times too small, and {n} is a size of the inputs: divided by n once too often, or a broadcast input was averaged, not summed"
    if is_(2):
        return "twice too large: one contribution is counted two times, or a mean over 2 is not divided"
    if is_(0.5):
        return "half of what it should be: an input that is used twice is counted once, a factor 2 is missing, or what was broadcast 2 times is averaged"
    if several:
        return f"everywhere {ratio:.6g} times the derivative: a constant factor"
    return ""  # one number is some multiple of any other


def _place_hint(analytic: Any, numeric: Any) -> str:
    if numeric.ndim <= 4:
        for perm in itertools.permutations(range(numeric.ndim)):
            if perm != tuple(range(numeric.ndim)) and _close(analytic, numeric.transpose(perm)):
                return f"transposed: it is the derivative with its dims in the order {perm}"
    for axis in range(numeric.ndim):
        if _close(analytic, np.flip(numeric, axis)):
            return f"reversed along dim {axis}"
        for shift in range(1, numeric.shape[axis]):
            if _close(analytic, np.roll(numeric, shift, axis)):
                return f"shifted by {shift} along dim {axis}"
    if analytic.size > 1 and _close(np.sort(analytic, None), np.sort(numeric, None)):
        return "the right values in the wrong places (a permutation that should be inverted?)"
    right = np.abs(analytic - numeric) <= 1e-6 * np.abs(numeric).max(initial=0.0)
    if 0 < right.sum() < right.size:
        wrong = ~right
        if not analytic[wrong].any():
            return f"{int(wrong.sum())} of {right.size} elements get no gradient: contributions overwrite each other instead of adding up, or a mask is wrong"
        if not numeric[wrong].any():
            return f"{int(wrong.sum())} of {right.size} elements get a gradient although the function does not depend on them (overwritten, masked, not chosen?)"
        rest = _constant_ratio(analytic[wrong], numeric[wrong])
        if rest is not None and wrong.sum() > 1:
            return f"{int(wrong.sum())} of {right.size} elements are {rest:.4g} times what they should be"
    return ""


def _other_input_hint(analytic: Any, numeric: Any, others: Sequence[Any]) -> str:
    for k, other in enumerate(others):
        if other.shape == analytic.shape and _close(analytic, other):
            return f"it is the derivative with respect to another input ({k}): the rules are swapped"
        if other.shape == analytic.shape and _close(analytic, numeric + other):
            return "the derivatives of two inputs were added into one array: aliasing"
    return ""


def _missing_term_hint(analytic: Any, numeric: Any) -> str:
    missing = numeric - analytic
    for axis in range(numeric.ndim):
        if numeric.shape[axis] > 1:
            mean = analytic.mean(axis, keepdims=True)
            if _close(numeric, analytic - mean):
                return f"the mean over dim {axis} is not subtracted"
            if _close(missing, np.broadcast_to(missing.mean(axis, keepdims=True), missing.shape)) and missing.any():
                return f"what is missing is constant along dim {axis}: a term that is summed over that dim"
    return ""
