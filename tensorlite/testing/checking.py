"""`gradcheck`: the gradient that backward computes against a numeric derivative, with an error bar, a place and a culprit.

The numeric derivative is a complex step where the function allows it (exact to rounding), else Richardson extrapolation with an error
estimate. Directions and cotangents are Gaussian; the tolerance is relative to the sum of the terms, not to their (cancelling) total. A failure
is reported only if a second, independent estimate agrees with the first; otherwise the verdict is "inconclusive".
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..autograd.checking import GradcheckError
from ..autograd.numeric import Derivative, Differentiator
from .backends import Backend, Tensorlite, backend_of
from .hints import describe
from .report import GradReport, Worst

KINKS = ("detect", "assume", "subgradient", "convention")
_FULL_BELOW = 64
#: (rtol, atol) by method, for float64 gradients; float32 gradients are compared with a float64 derivative.
TOLERANCES = {"complex step": (1e-10, 1e-12), "Richardson": (1e-8, 1e-10), "float32": (1e-5, 1e-6)}


def gradcheck(
    f: Callable[..., Any],
    inputs: Any,
    *,
    method: str = "auto",
    directions: int = 2,
    full: bool | None = None,
    rtol: float | None = None,
    atol: float | None = None,
    kinks: str = "detect",
    order: int = 1,
    seed: int | None = None,
    report: str = "raise",
    blame: bool = True,
) -> GradReport:
    """Does backward compute the derivative of `f` at `inputs`? `f` takes and returns tensors of tensorlite, or of torch.

    Args:
        inputs: tensors (those that require grad are checked; if none does, all float ones are) and anything else `f` takes; arrays are
            made into tensors.
        method: "auto", "complex" or "richardson".
        directions: how many random directions. `full` also tries every element; by default when there are at most 64.
        rtol, atol: allowed difference, `atol + rtol * sum |gradient * direction|`; by default what the method can resolve.
        kinks: at a point where `f` is not differentiable: "detect" gives the verdict "kink"; "assume" tells hypothesis to draw another
            point; "subgradient" requires the gradient to lie between the one-sided derivatives; "convention" requires the documented
            value of each op (see `tensorlite.testing.conventions`).
        order: 2 checks the gradient of the gradient.
        seed: of directions and cotangents; by default drawn from the inputs' bytes.
        report: "raise" raises GradcheckError on failure, "return" only returns the report.
        blame: on failure, look for the op at fault.

    Raises:
        GradcheckError: with the report as its message. ValueError: nothing to check, or an unknown option.
    """
    if kinks not in KINKS or report not in ("raise", "return") or order not in (1, 2):
        raise ValueError(
            f"gradcheck: kinks is one of {KINKS}, report 'raise' or 'return', order 1 or 2; got {kinks!r}, {report!r}, {order!r}"
        )
    given = list(inputs) if isinstance(inputs, tuple | list) else [inputs]
    backend = backend_of(given)
    arguments = _prepared(given, backend)
    if seed is None:
        seed = _drawn_seed(arguments, backend)
    if order == 2:
        f, arguments = _gradient_function(f, arguments, backend, np.random.default_rng(seed))
    check = _Check(f, arguments, backend, method, directions, full, rtol, atol, kinks, seed)
    result = check.run()
    result.order = order
    if not result.ok and blame and order == 1 and isinstance(backend, Tensorlite):
        from .blaming import blame as find

        result.blame = find(f, arguments, seed)
    if not result.ok and report == "raise":
        raise GradcheckError("\n" + str(result))
    return result


def gradgradcheck(f: Callable[..., Any], inputs: Any, **options: Any) -> GradReport:
    """`gradcheck` of the gradient of `f`: second derivatives, with respect to the inputs and to the cotangents."""
    return gradcheck(f, inputs, order=2, **options)


# -- inputs -----------------------------------------------------------------------------------------------------------


def _prepared(inputs: Sequence[Any], backend: Backend) -> list[Any]:
    items = [
        backend.leaf(x) if isinstance(x, np.ndarray | np.floating) and np.asarray(x).dtype.kind in "fc" else x
        for x in inputs
    ]
    tensors = [x for x in items if backend.is_tensor(x)]
    if not any(backend.needs_grad(x) for x in tensors):
        items = [
            backend.leaf(backend.array(x)) if backend.is_tensor(x) and backend.array(x).dtype.kind in "fc" else x
            for x in items
        ]
    if not any(backend.needs_grad(x) for x in items):
        raise ValueError("gradcheck: no input is a floating-point tensor, so there is no gradient to check")
    return items


def _drawn_seed(inputs: Sequence[Any], backend: Backend) -> int:
    total = 0
    for x in inputs:
        if backend.is_tensor(x):
            total = zlib.crc32(np.ascontiguousarray(backend.array(x)).tobytes(), total)
    return total


def _gaussian(rng: np.random.Generator, like: Any) -> Any:
    x = np.asarray(rng.standard_normal(like.shape))
    if like.dtype.kind == "c":
        return x + 1j * rng.standard_normal(like.shape)
    return x


def _gradient_function(
    f: Callable[..., Any], inputs: list[Any], backend: Backend, rng: np.random.Generator
) -> tuple[Callable[..., Any], list[Any]]:
    """The gradient of `f` as a function of the inputs and the cotangents, and the arguments to check it at."""
    outs = [o for o in backend.run(f, inputs) if backend.needs_grad(o)]
    cotangents = [backend.leaf(_gaussian(rng, backend.array(o)).astype(backend.array(o).dtype)) for o in outs]
    n = len(inputs)
    checked = [backend.needs_grad(x) for x in inputs]

    def gradient(*args: Any) -> Any:
        own = [
            x if not c or backend.needs_grad(x) else backend.leaf(backend.array(x))
            for x, c in zip(args[:n], checked, strict=True)
        ]
        with np.errstate(all="ignore"):
            ys = [o for o in backend.run(f, own) if backend.needs_grad(o)]
            wanted = [x for x, c in zip(own, checked, strict=True) if c]
            grads = backend.gradients(ys, wanted, list(args[n:]), create_graph=True)
        return [x * 0 if g is None else g for g, x in zip(grads, wanted, strict=True)]

    return gradient, [*inputs, *cotangents]


# -- the check --------------------------------------------------------------------------------------------------------


@dataclass
class _Check:
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

    def run(self) -> GradReport:
        b = self.backend
        rng = np.random.default_rng(self.seed)
        tensors = [x for x in self.inputs if b.is_tensor(x)]
        self.checked = [i for i, x in enumerate(tensors) if b.needs_grad(x)]
        arrays = [b.array(x) for x in tensors]
        before = [a.copy() for a in arrays]
        narrow = any(a.dtype.itemsize < 8 for a in arrays if a.dtype.kind == "f")
        try:
            outputs = b.run(self.f, self.inputs)
            floats = [o for o in outputs if b.array(o).dtype.kind in "fc"]
            self.cotangents = [_gaussian(rng, b.array(o)).astype(b.array(o).dtype) for o in floats]
            self.grads = self._backward(floats, [tensors[i] for i in self.checked])
        except GradcheckError as error:
            return GradReport("fail", seed=self.seed, message=str(error))
        except Exception as error:
            if _from_forward(error):
                raise
            notes = "; ".join(getattr(error, "__notes__", []))
            return GradReport(
                "fail", seed=self.seed, message=f"backward raised {type(error).__name__}: {error} {notes}".strip()
            )
        for i, (a, kept) in enumerate(zip(arrays, before, strict=True)):
            if not np.array_equal(a, kept, equal_nan=a.dtype.kind in "fc"):
                return GradReport("fail", seed=self.seed, message=f"backward changed its input {i} in place")
        wide = [a.astype(np.float64) if a.dtype.kind == "f" and a.dtype != np.float64 else a for a in arrays]
        self.numeric = Differentiator(self._compute, wide, self.method)
        self.loose = TOLERANCES["float32"] if narrow else None
        return self._compare(wide, rng)

    def _compute(self, values: list[Any]) -> tuple[list[Any], list[Any]]:
        outs, signature = self.backend.evaluate(self.f, self.inputs, values)
        return [o for o in outs if o.dtype.kind in "fc"], signature

    def _backward(self, outputs: list[Any], wanted: list[Any]) -> list[Any]:
        b = self.backend
        recorded = [(o, v) for o, v in zip(outputs, self.cotangents, strict=True) if b.needs_grad(o)]
        if not recorded:
            return [np.zeros_like(b.array(x)) for x in wanted]
        kept = [v.copy() for _, v in recorded]
        tensors = b.gradients([o for o, _ in recorded], wanted, [b.leaf(v, False) for _, v in recorded])
        for (_, v), k in zip(recorded, kept, strict=True):
            if not np.array_equal(v, k):
                raise GradcheckError("backward changed its cotangent in place; a rule must mutate nothing")
        grads = [np.zeros_like(b.array(x)) if g is None else b.array(g) for g, x in zip(tensors, wanted, strict=True)]
        for i, (g, x) in enumerate(zip(grads, wanted, strict=True)):
            like = b.array(x)
            if g.shape != like.shape or g.dtype != like.dtype:
                raise GradcheckError(
                    f"the gradient of input {i} is {g.dtype}{list(g.shape)}, the input {like.dtype}{list(like.shape)}"
                )
        return grads

    def _compare(self, arrays: list[Any], rng: np.random.Generator) -> GradReport:
        size = sum(arrays[i].size for i in self.checked)
        result = GradReport("pass", seed=self.seed, directions=self.directions)
        smooth = True
        for _ in range(self.directions):
            u = [_gaussian(rng, a) if i in self.checked else np.zeros(a.shape) for i, a in enumerate(arrays)]
            found = self.numeric.along(u)
            smooth = smooth and found.smooth
            if not smooth:
                return self._at_kink(result, u)
            self._judge(result, found, u)
            if result.verdict != "pass":
                break
        wanted = self.full if self.full is not None else size <= _FULL_BELOW
        if result.verdict == "fail" or (wanted and result.verdict == "pass"):
            self._elements(result, arrays)
        return result

    def _judge(self, result: GradReport, found: Derivative, u: list[Any], gradient_part: Any = None) -> None:
        """Compare <gradient, u> with <cotangent, J u> and note the outcome in `result` if it is worse than what is there."""
        analytic = numeric = scale = error = 0.0
        for v, value, e in zip(self.cotangents, found.values, found.errors, strict=True):
            terms = (np.conj(v) * value).real
            numeric += float(terms.sum())
            scale += float(np.abs(terms).sum())
            error += float((np.abs(v) * e).sum())
        for i, g in zip(self.checked, self.grads, strict=True):
            terms = (np.conj(g) * u[i]).real
            analytic += float(terms.sum())
            scale += float(np.abs(terms).sum())
        rtol, atol = self.loose or TOLERANCES[found.method]
        rtol, atol = rtol if self.rtol is None else self.rtol, atol if self.atol is None else self.atol
        allowed = atol + rtol * scale + 10 * error
        difference = abs(analytic - numeric)
        result.method = result.method or found.method
        if difference <= allowed or (np.isnan(analytic) and np.isnan(numeric)):
            if result.verdict == "pass" and difference >= abs(result.analytic - result.numeric):
                result.analytic, result.numeric, result.error = analytic, numeric, error
                result.scale, result.tolerance = scale, allowed
            if error > 1e-2 * scale and error > 1e-6 and result.verdict == "pass":
                result.verdict = "inconclusive"
                result.notes.append("the numeric derivative has an error of more than 1 % here")
            return
        result.analytic, result.numeric, result.error, result.scale = analytic, numeric, error, scale
        result.tolerance, result.method = allowed, found.method
        result.verdict = "fail" if self._confirmed(found, u, analytic, numeric, scale) else "inconclusive"
        if result.verdict == "inconclusive":
            result.notes.append(
                "the two numeric derivatives disagree with each other, so the gradient cannot be judged here"
            )

    def _confirmed(self, found: Derivative, u: list[Any], analytic: float, numeric: float, scale: float) -> bool:
        """Whether a second estimate says the same. Only differences that it can resolve are put to it."""
        if not np.isfinite(numeric):
            return np.isfinite(analytic) and found.method == "complex step" and not np.isnan(numeric)
        if found.method == "complex step" and abs(analytic - numeric) < 1e-6 * scale:
            return True
        # differences with other steps: a function that oscillates within the first ones looks smooth to them
        second = (
            self.numeric.richardson(u)
            if found.method == "complex step"
            else self.numeric.richardson(u, h=3e-4, levels=4)
        )
        value = sum(float((np.conj(v) * d).real.sum()) for v, d in zip(self.cotangents, second.values, strict=True))
        error = sum(float((np.abs(v) * e).sum()) for v, e in zip(self.cotangents, second.errors, strict=True))
        if not np.isfinite(value + error):
            return second.smooth is False  # a kink within reach of the differences: the complex step stands alone
        if abs(value - numeric) <= 10 * error + 1e-6 * scale:
            return True
        return found.method == "complex step" and abs(value - numeric) < 0.1 * abs(value - analytic)

    def _elements(self, result: GradReport, arrays: list[Any]) -> None:
        """Every element on its own: whether one is off, which is furthest off, and what the whole looks like."""
        numeric = [np.zeros(arrays[i].shape) for i in self.checked]
        worst: tuple[float, Worst] | None = None
        budget = 4096
        for k, i in enumerate(self.checked):
            if arrays[i].dtype.kind == "c":
                return
            for flat in range(arrays[i].size):
                budget -= 1
                if budget < 0:
                    return
                u = [np.zeros(a.shape) for a in arrays]
                u[i].reshape(-1)[flat] = 1.0
                found = self.numeric.along(u)
                if not found.smooth:
                    continue
                value = sum(
                    float((np.conj(v) * d).real.sum()) for v, d in zip(self.cotangents, found.values, strict=True)
                )
                error = sum(float((np.abs(v) * e).sum()) for v, e in zip(self.cotangents, found.errors, strict=True))
                numeric[k].reshape(-1)[flat] = value
                if result.verdict == "pass":
                    self._judge(result, found, u)
                analytic = float(self.grads[k].reshape(-1)[flat])
                off = (
                    abs(analytic - value) / (abs(value) + abs(analytic) + 1e-30) * (abs(analytic - value) > 10 * error)
                )
                off = off if np.isfinite(off) else 2.0
                if worst is None or off > worst[0]:
                    place = tuple(int(p) for p in np.unravel_index(flat, arrays[i].shape))
                    worst = (off, Worst(i, place, analytic, value, error))
        if result.verdict == "fail" and worst is not None:
            result.worst = worst[1]
            k = self.checked.index(worst[1].input)
            result.hint = describe(self.grads[k], numeric[k], [n for j, n in enumerate(numeric) if j != k])

    def _at_kink(self, result: GradReport, u: list[Any]) -> GradReport:
        result.verdict = "kink"
        result.method = "one-sided differences"
        if self.kinks == "assume":
            from hypothesis import assume

            assume(False)
        if self.kinks == "convention":
            from .conventions import check_conventions

            problem = check_conventions(self.f, self.inputs, self.backend)
            if problem:
                result.verdict, result.message = "fail", problem
        if self.kinks == "subgradient":
            rng = np.random.default_rng(self.seed)
            for k in range(8):  # two wrong shares can cancel along one direction
                self._between(result, u if k == 0 else [_gaussian(rng, a) * bool(a.any()) for a in u])
                if result.verdict == "fail":
                    break
        return result

    def _between(self, result: GradReport, u: list[Any]) -> None:
        """The gradient of one op must lie between its one-sided derivatives (for each term that has a kink of its own, so does the sum)."""
        left, right = self.numeric.one_sided(u)
        low = high = scale = 0.0
        for v, a, b in zip(self.cotangents, left, right, strict=True):
            low += float(np.minimum(v * a, v * b).sum())
            high += float(np.maximum(v * a, v * b).sum())
            scale += float(np.abs(v * a).sum() + np.abs(v * b).sum())
        analytic = sum(float((g * u[i]).sum()) for i, g in zip(self.checked, self.grads, strict=True))
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


def _from_forward(error: BaseException) -> bool:
    """Whether an error came out of the function itself, not of its backward."""
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_name == "_backward":
            return False
        trace = trace.tb_next
    return True
