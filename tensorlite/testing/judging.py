"""The comparison behind `gradcheck`: one function at one point, its gradient by backward, and numeric derivatives to hold against it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..autograd.checking import GradcheckError
from ..autograd.numeric import Derivative, Differentiator
from .backends import Backend
from .hints import describe
from .kinks import at_kink, slopes_differ
from .report import GradReport, Worst

_FULL_BELOW = 64
_WORST_AMONG = 4096  # elements that are searched for the worst one
#: (rtol, atol) by method, for float64 gradients; narrower gradients are compared with a float64 derivative.
TOLERANCES = {"complex step": (1e-10, 1e-12), "Richardson": (1e-8, 1e-10)}
#: (rtol, atol) by the bytes of the narrowest real number among the inputs.
NARROW = {4: (1e-5, 1e-6), 2: (5e-3, 1e-3)}


def gaussian(rng: np.random.Generator, like: Any) -> Any:
    """Normal numbers of the shape of `like`, complex where it is."""
    x = np.asarray(rng.standard_normal(like.shape))
    if like.dtype.kind == "c":
        return x + 1j * rng.standard_normal(like.shape)
    return x


def _total(weights: Any, values: Any) -> tuple[float, float]:
    """(sum, sum of magnitudes) of the real products; what has no weight does not count, even where it is not finite."""
    terms = np.where(weights != 0, (np.conj(values) * weights).real, 0.0)
    return float(terms.sum()), float(np.abs(terms).sum())


@dataclass
class Check:
    """One run of `gradcheck`; `judged` says whether it came as far as comparing numbers, or found a fault in the gradient itself."""

    f: Callable[..., Any]
    inputs: list[Any]
    backend: Backend
    method: str
    directions: int
    full: bool | None
    rtol: float | None
    atol: float | None
    kinks: str
    seed: int
    judged: bool = True

    # -- both gradients -----------------------------------------------------------------------------------------------

    def run(self) -> GradReport:
        """Compute the gradient, then the numeric derivative, and compare. Raises ValueError for a function that cannot be checked."""
        b = self.backend
        rng = np.random.default_rng(self.seed)
        tensors = [x for x in self.inputs if b.is_tensor(x)]
        self.checked = [i for i, x in enumerate(tensors) if b.needs_grad(x)]
        arrays = [b.array(x) for x in tensors]
        before = [a.copy() for a in arrays]
        outputs = b.run(self.f, self.inputs)
        if not outputs:
            raise ValueError(
                f"gradcheck: the function returned no {b.name} tensor, so there is no gradient to check; "
                "return the tensors themselves, not arrays or numbers"
            )
        changed = _first_change(arrays, before)
        if changed is not None:
            self.judged = False
            return self._failed(
                f"the function changed its input {changed} in place, so its gradient belongs to other values; clone the input first"
            )
        floats = [o for o in outputs if b.array(o).dtype.kind in "fc"]
        self.finite = all(np.isfinite(b.array(o)).all() for o in floats)
        self.cotangents = [_where_finite(gaussian(rng, b.array(o)), b.array(o)) for o in floats]
        try:
            self.grads = self._backward(floats, [tensors[i] for i in self.checked])
        except GradcheckError as error:
            return self._failed(str(error))
        except Exception as error:
            notes = "; ".join(getattr(error, "__notes__", []))
            return self._failed(f"backward raised {type(error).__name__}: {error} {notes}".strip())
        changed = _first_change(arrays, before)
        if changed is not None:
            return self._failed(f"backward changed its input {changed} in place")
        self.loose = NARROW.get(min((_width(a) for a in arrays if a.dtype.kind in "fc"), default=8))
        self.arrays = [_widened(a) for a in arrays]
        self.numeric = Differentiator(self.compute, self.arrays, self.method)
        problem = self._other_values([b.array(o) for o in floats])
        if problem:
            self.judged = False
            return self._failed(problem)
        result = self._compare(rng)
        if not floats:
            result.notes.append("no output is a floating-point tensor, so every gradient is zero")
        return result

    def compute(self, values: list[Any]) -> tuple[list[Any], list[Any]]:
        """The float outputs at other values of the inputs, and the branches taken on the way."""
        outs, signature = self.backend.evaluate(self.f, self.inputs, values)
        return [o for o in outs if o.dtype.kind in "fc"], signature

    def _failed(self, message: str) -> GradReport:
        return GradReport("fail", seed=self.seed, message=message)

    def _other_values(self, outputs: list[Any]) -> str:
        """What is wrong if the outputs are others when they are computed without recording. Raises ValueError for a random function."""
        if _alike(outputs, self.numeric.here, self.loose):
            return ""
        for _ in range(3):  # a random function may give the same twice
            again = [self.backend.array(o) for o in self.backend.run(self.f, self.inputs)]
            again = [a for a in again if a.dtype.kind in "fc"]
            if not (_alike(outputs, again, None) and _alike(self.numeric.here, self.compute(self.arrays)[0], None)):
                raise ValueError(
                    "gradcheck: the function gives other values when it is called again at the same inputs "
                    "(random numbers, dropout, a counter?), so it has no derivative; set the seed inside it, or switch to eval()"
                )
        if self.loose:
            return ""  # in float64 it may well take another branch
        return "the function gives other values under no_grad than when it is recorded"

    def _backward(self, outputs: list[Any], wanted: list[Any]) -> list[Any]:
        b = self.backend
        recorded = [(o, v) for o, v in zip(outputs, self.cotangents, strict=True) if b.needs_grad(o)]
        if not recorded:
            return [np.zeros_like(b.array(x)) for x in wanted]

        def gradients() -> list[Any]:
            found = b.gradients([o for o, _ in recorded], wanted, [b.leaf(v, False) for _, v in recorded])
            return [np.zeros_like(b.array(x)) if g is None else b.array(g) for g, x in zip(found, wanted, strict=True)]

        kept = [v.copy() for _, v in recorded]
        grads = gradients()
        for (_, v), k in zip(recorded, kept, strict=True):
            if not np.array_equal(v, k):
                raise GradcheckError("backward changed its cotangent in place; a rule must mutate nothing")
        for i, (g, x) in enumerate(zip(grads, wanted, strict=True)):
            like = b.array(x)
            if g.shape != like.shape or g.dtype != like.dtype:
                raise GradcheckError(
                    f"the gradient of input {i} is {g.dtype}{list(g.shape)}, the input {like.dtype}{list(like.shape)}"
                )
        first = [g.copy() for g in grads]
        for i, (g, h) in enumerate(zip(gradients(), first, strict=True)):
            if not np.allclose(g, h, rtol=1e-6, atol=0, equal_nan=True):
                raise GradcheckError(
                    f"a second backward over the same graph gives another gradient of input {i}: "
                    "a rule changes what it was given or what it saved, or is random"
                )
        return first

    # -- comparing ----------------------------------------------------------------------------------------------------

    def _compare(self, rng: np.random.Generator) -> GradReport:
        size = sum(self.arrays[i].size for i in self.checked)
        wanted = self.full if self.full is not None else size <= _FULL_BELOW
        result = GradReport("pass", seed=self.seed, directions=self.directions)
        groups = [self.checked] * self.directions
        if self.full is None and not wanted and len(self.checked) > 1:
            groups += [[i] for i in self.checked]  # a small gradient can hide beside a large one
        for group in groups:
            u = [self._direction(rng, a, i in group) for i, a in enumerate(self.arrays)]
            found = self.numeric.along(u)
            if not found.smooth:
                return at_kink(self, result, u)
            self.judge(result, found, u)
            if result.verdict == "kink":
                return at_kink(self, result, u)
            if result.verdict != "pass":
                break
        if result.verdict == "fail" or (wanted and result.verdict == "pass"):
            self.elements(result, every=wanted)
        return result

    def _direction(self, rng: np.random.Generator, array: Any, moves: bool) -> Any:
        return _where_finite(gaussian(rng, array), array) if moves else np.zeros(array.shape)

    def judge(self, result: GradReport, found: Derivative, u: list[Any]) -> None:
        """Compare <gradient, u> with <cotangent, J u> and note the outcome in `result` if it is worse than what is there."""
        analytic = numeric = size = error = 0.0
        for v, value, e in zip(self.cotangents, found.values, found.errors, strict=True):
            total, magnitude = _total(v, value)
            numeric, size = numeric + total, size + magnitude
            error += _total(np.abs(v), e)[0]
        scale = size
        for i, g in zip(self.checked, self.grads, strict=True):
            total, magnitude = _total(u[i], g)
            analytic, scale = analytic + total, scale + magnitude
        rtol, atol = self.loose or TOLERANCES[found.method]
        rtol, atol = rtol if self.rtol is None else self.rtol, atol if self.atol is None else self.atol
        allowed = atol + rtol * scale + 10 * error
        difference = abs(analytic - numeric)
        result.method = result.method or found.method
        if not np.isfinite(analytic) and not (self.finite and np.isfinite(numeric)):
            result.verdict = "inconclusive"
            result.notes.append("the outputs or their derivatives are not finite here, and neither is the gradient")
            return
        if difference <= allowed and not self._small_and_wrong(found, u, difference, numeric, scale):
            if result.verdict == "pass" and difference >= abs(result.analytic - result.numeric):
                result.analytic, result.numeric, result.error = analytic, numeric, error
                result.scale, result.tolerance = scale, allowed
            if error > 1e-2 * scale and error > 1e-6 and result.verdict == "pass":
                result.verdict = "inconclusive"
                result.notes.append("the numeric derivative has an error of more than 1 % here")
            return
        result.analytic, result.numeric, result.error, result.scale = analytic, numeric, error, scale
        result.tolerance, result.method = allowed if difference > allowed else 1e-3 * scale, found.method
        if found.method == "Richardson" and np.isfinite(analytic) and slopes_differ(self, u, difference):
            result.verdict = "kink"
            return
        result.verdict = "fail" if self._confirmed(found, u, analytic, numeric, size) else "inconclusive"
        if result.verdict == "inconclusive":
            result.notes.append(
                "the two numeric derivatives disagree with each other, so the gradient cannot be judged here"
            )

    def _second(self, found: Derivative, u: list[Any], resolve: float) -> tuple[float, float, bool]:
        """(value, error, smooth) by differences with other steps: a function that oscillates within the first ones looks smooth to them.

        Where these cannot resolve a difference of `resolve`, steps in proportion to the inputs are tried.
        """
        first = (1e-2, 5) if found.method == "complex step" else (3e-4, 4)
        size = max(
            (np.abs(a[np.isfinite(a)]).max(initial=0.0) for a in self.arrays if a.dtype.kind in "fc"), default=1.0
        )
        value = error = np.inf
        smooth = True
        for h, levels in (first, (1e-2 * size, 5)):
            if h == 0:
                break
            second = self.numeric.richardson(u, h, levels)
            value = sum(_total(v, d)[0] for v, d in zip(self.cotangents, second.values, strict=True))
            error = sum(_total(np.abs(v), e)[0] for v, e in zip(self.cotangents, second.errors, strict=True))
            smooth = second.smooth
            if 1e-3 < size < 1e3 or 10 * error < 0.5 * resolve:
                break
        return value, error, smooth

    def _small_and_wrong(
        self, found: Derivative, u: list[Any], difference: float, numeric: float, scale: float
    ) -> bool:
        """Whether a difference below `atol` is most of a gradient that is small itself, and not the rounding of a larger one."""
        if self.atol is not None or self.loose or not difference > 1e-3 * scale:
            return False
        if any(difference < 1e-12 * np.abs(z[np.isfinite(z)]).max(initial=0.0) for z in self.numeric.here):
            return False  # below what the outputs can resolve
        value, error, smooth = self._second(found, u, difference)
        return smooth and abs(value - numeric) <= 1e-3 * scale and error <= 1e-2 * difference

    def _confirmed(self, found: Derivative, u: list[Any], analytic: float, numeric: float, size: float) -> bool:
        """Whether a second estimate says the same, or cannot resolve so small a difference from a complex step; `size` is sum |cotangent * derivative|."""
        if not np.isfinite(numeric):
            return np.isfinite(analytic) and found.method == "complex step" and not np.isnan(numeric)
        exact, difference = found.method == "complex step", abs(analytic - numeric)
        value, error, smooth = self._second(found, u, difference)
        small = exact and difference < 1e-6 * size
        if not np.isfinite(value + error):
            # a kink within reach of the differences: the complex step stands alone, unless they are lost beside huge inputs
            return small or (not smooth and self.numeric.lost(u, 1e-3) < 0.1)
        if not np.isfinite(difference):
            return abs(value - numeric) <= 10 * error + 1e-6 * size
        if exact and 10 * error < 0.5 * difference:
            return abs(value - numeric) <= 0.5 * difference
        if small or abs(value - numeric) <= min(10 * error, 0.5 * difference) + 1e-6 * size:
            return True
        return exact and abs(value - numeric) < 0.1 * abs(value - analytic)

    # -- element by element -------------------------------------------------------------------------------------------

    def elements(self, result: GradReport, every: bool, held: Sequence[Any] = ()) -> None:
        """Every element on its own: whether one is off, which is furthest off, and what the whole looks like.

        Past the first few thousand only `every` goes on. `held` are masks of elements, one for each input, that are left out.
        """
        numeric = [np.zeros(self.arrays[i].shape) for i in self.checked]
        worst: tuple[float, Worst] | None = None
        budget = sum(self.arrays[i].size for i in self.checked) if every else _WORST_AMONG
        for k, i in enumerate(self.checked):
            if self.arrays[i].dtype.kind == "c":
                return
            for flat in range(min(self.arrays[i].size, budget)):
                if (held and held[i].reshape(-1)[flat]) or not np.isfinite(self.arrays[i].reshape(-1)[flat]):
                    continue
                u = [np.zeros(a.shape) for a in self.arrays]
                u[i].reshape(-1)[flat] = 1.0
                found = self.numeric.along(u)
                if not found.smooth:
                    continue
                value = sum(_total(v, d)[0] for v, d in zip(self.cotangents, found.values, strict=True))
                error = sum(_total(np.abs(v), e)[0] for v, e in zip(self.cotangents, found.errors, strict=True))
                numeric[k].reshape(-1)[flat] = value
                if result.verdict == "pass":
                    self.judge(result, found, u)
                analytic = float(self.grads[k].reshape(-1)[flat])
                off = (
                    abs(analytic - value) / (abs(value) + abs(analytic) + 1e-30) * (abs(analytic - value) > 10 * error)
                )
                off = off if np.isfinite(off) else 2.0
                if worst is None or off > worst[0]:
                    place = tuple(int(p) for p in np.unravel_index(flat, self.arrays[i].shape))
                    worst = (off, Worst(i, place, analytic, value, error))
            budget -= min(self.arrays[i].size, budget)
        if result.verdict == "fail" and worst is not None:
            result.worst = worst[1]
            k = self.checked.index(worst[1].input)
            if not held and self.arrays[worst[1].input].size <= _WORST_AMONG:
                gradient = np.where(np.isfinite(self.arrays[worst[1].input]), self.grads[k], 0)
                result.hint = describe(gradient, numeric[k], [n for j, n in enumerate(numeric) if j != k])


def _width(array: Any) -> int:
    """Bytes of a real number."""
    return int(array.dtype.itemsize // (2 if array.dtype.kind == "c" else 1))


def _widened(array: Any) -> Any:
    if array.dtype.kind in "fc" and _width(array) < 8:
        return array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)
    return array


def _where_finite(values: Any, like: Any) -> Any:
    """`values` in the precision of `like`, and 0 where that is not finite: there is no derivative to compare with."""
    return np.asarray(np.where(np.isfinite(like), values, 0)).astype(like.dtype)


def _first_change(arrays: Sequence[Any], before: Sequence[Any]) -> int | None:
    pairs = enumerate(zip(arrays, before, strict=True))
    return next((i for i, (a, b) in pairs if not np.array_equal(a, b, equal_nan=a.dtype.kind in "fc")), None)


def _alike(outputs: Sequence[Any], others: Sequence[Any], loose: tuple[float, float] | None) -> bool:
    if [o.shape for o in outputs] != [o.shape for o in others]:
        return False
    rtol = 1e-6 if loose is None else 100 * loose[0]
    for a, b in zip(outputs, others, strict=True):
        size = np.abs(b[np.isfinite(b)]).max(initial=0.0)
        if not np.allclose(a, b, rtol=rtol, atol=rtol * size, equal_nan=True):
            return False
    return True
