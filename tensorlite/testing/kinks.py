"""What `gradcheck` does at a point where the function has no derivative."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..autograd.numeric import Differentiator
from .report import GradReport

if TYPE_CHECKING:
    from .judging import Check

_SEARCHES = 200  # evaluations spent on finding the elements that lead over a kink


def at_kink(check: Check, result: GradReport, u: list[Any]) -> GradReport:
    """The report for a kink, by the option `kinks`; `u` is the direction in which it was met."""
    result.verdict = "kink"
    result.method = "one-sided differences"
    if check.kinks == "assume":
        from hypothesis import assume

        assume(False)
    if check.kinks == "convention":
        from .conventions import check_conventions

        problem = check_conventions(check.f, check.inputs, check.backend)
        if problem:
            result.verdict, result.message = "fail", problem
    if check.kinks == "subgradient":
        rng = np.random.default_rng(check.seed)
        for k in range(8):  # two wrong shares can cancel along one direction
            _between(check, result, u if k == 0 else [rng.standard_normal(a.shape) * bool(a.any()) for a in u])
            if result.verdict == "fail":
                break
    if check.kinks == "detect":
        _beside(check, result, u)
    return result


def slopes_differ(check: Check, u: list[Any], difference: float = 0.0) -> bool:
    """Whether the derivatives to the left and to the right differ, enough to explain a `difference` between gradient and derivative.

    Finds the kinks of functions that do not report their branches. At a pole or a jump, and where a function is merely noisy, the slopes
    depend on the step.
    """
    gaps = []
    for h in (1e-3, 1e-5):
        left, right = check.numeric.one_sided_limits(u, h)
        gap = scale = 0.0
        for v, a, b in zip(check.cotangents, left, right, strict=True):
            finite = (v != 0) & np.isfinite(a) & np.isfinite(b)
            gap += float(np.abs(v * (a - b))[finite].sum())
            scale += float((np.abs(v * a) + np.abs(v * b))[finite].sum())
        if not gap > max(difference, 1e-6 * scale):
            return False
        gaps.append(gap)
    return 0.5 < gaps[1] / gaps[0] < 2


def _beside(check: Check, result: GradReport, u: list[Any]) -> None:
    """Hold the elements still that lead over a kink, and check the others: a tie in one place must not hide a wrong gradient in another."""
    moving = [np.asarray(d != 0) for d in u]
    held, left = [np.zeros(m.shape, bool) for m in moving], [_SEARCHES]
    _hold(check, u, moving, held, left)
    rest = [np.where(h, 0, d) for h, d in zip(held, u, strict=True)]
    if not any(r.any() for r in rest) or left[0] <= 0 or _crosses(check, rest):
        return
    check.numeric = Differentiator(check.compute, check.arrays, check.method)
    found = check.numeric.along(rest)
    beside = GradReport("pass", seed=result.seed, directions=1)
    if found.smooth:
        check.judge(beside, found, rest)
    if beside.verdict == "fail":
        check.elements(beside, every=False, held=held)
        vars(result).update(vars(beside))
    number = sum(int(h.sum()) for h in held)
    result.notes.append(
        f"held still, because they lead over a kink: {number} element{'s' * (number != 1)}; the others are {'right' if beside.ok else 'wrong'}"
    )


def _hold(check: Check, u: list[Any], among: list[Any], held: list[Any], left: list[int]) -> None:
    """Mark in `held` the elements of `among` whose movement crosses a kink, by halving."""
    left[0] -= 1
    if left[0] < 0 or not _crosses(check, [np.where(m, d, 0) for m, d in zip(among, u, strict=True)]):
        return
    places = [(i, k) for i, m in enumerate(among) for k in np.flatnonzero(m)]
    if len(places) == 1:
        i, k = places[0]
        held[i].reshape(-1)[k] = True
        return
    for half in (places[: len(places) // 2], places[len(places) // 2 :]):
        part = [np.zeros(m.shape, bool) for m in among]
        for i, k in half:
            part[i].reshape(-1)[k] = True
        _hold(check, u, part, held, left)


def _crosses(check: Check, u: list[Any]) -> bool:
    """Whether other branches are taken on either side; where none are reported, whether the slopes differ."""
    numeric = check.numeric
    if not numeric.signature:
        return slopes_differ(check, u)
    moved = (
        [a + h * d if a.dtype.kind in "fc" else a for a, d in zip(numeric.arrays, u, strict=True)]
        for h in (1e-7, -1e-7)
    )
    return any(numeric.compute(values)[1] != numeric.signature for values in moved)


def _between(check: Check, result: GradReport, u: list[Any]) -> None:
    """The gradient of one op must lie between its one-sided derivatives (for each term that has a kink of its own, so does the sum)."""
    left, right = check.numeric.one_sided(u)
    low = high = scale = 0.0
    for v, a, b in zip(check.cotangents, left, right, strict=True):
        low += float(np.minimum(v * a, v * b).sum())
        high += float(np.maximum(v * a, v * b).sum())
        scale += float(np.abs(v * a).sum() + np.abs(v * b).sum())
    analytic = sum(float((g * u[i]).sum()) for i, g in zip(check.checked, check.grads, strict=True))
    slack = 1e-4 * scale + 1e-6
    result.analytic, result.numeric, result.error, result.scale = (
        analytic,
        (low + high) / 2,
        (high - low) / 2,
        scale,
    )
    result.tolerance = slack
    if not low - slack <= analytic <= high + slack:
        result.verdict = "fail"
        result.hint = "outside of the one-sided derivatives: at a tie the shares of the gradient must add up to one"
