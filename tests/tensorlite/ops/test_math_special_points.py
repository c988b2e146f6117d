"""Gradients at ties, kinks, zeros and infinities: the known answers, and agreement with torch at each point."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

import tensorlite as tl

INF, NAN = math.inf, math.nan


def gradients(function: Callable[..., Any], *points: Any) -> list[list[float]]:
    """d(sum of the results)/d(each point) in tensorlite."""
    xs = [tl.tensor(p, dtype=tl.float64, requires_grad=True) for p in points]
    out = function(*xs)
    out = out.sum() if out.ndim else out
    return [g.tolist() for g in tl.autograd.grad([out], xs, allow_unused=True, materialize_grads=True)]


def same(a: Any, b: Any) -> None:
    np.testing.assert_array_equal(np.asarray(a, float), np.asarray(b, float))


ONE = [
    ("max() ties share", lambda x: x.max(), [2.0, 2.0], [0.5, 0.5]),
    ("amax ties share", lambda x: tl.amax(x, 0), [2.0, 1.0, 2.0], [0.5, 0, 0.5]),
    ("min() ties share", lambda x: x.min(), [1.0, 1.0, 3.0], [0.5, 0.5, 0]),
    ("max(dim) takes the first", lambda x: x.max(0).values, [2.0, 2.0], [1, 0]),
    ("topk takes the first", lambda x: x.topk(1).values, [2.0, 2.0], [1, 0]),
    ("max of NaN", lambda x: x.max(), [NAN, 1.0], [1, 0]),
    ("median() ties share", lambda x: x.median(), [1.0, 1.0, 1.0], [1 / 3, 1 / 3, 1 / 3]),
    ("median of an even number is the lower", lambda x: x.median(), [4.0, 1.0, 3.0, 2.0], [0, 0, 0, 1]),
    ("clamp at a bound", lambda x: x.clamp(min=0), [0.0, -1.0, 1.0], [1, 0, 1]),
    ("clamp at both bounds", lambda x: x.clamp(0, 1), [0.0, 1.0, 2.0], [1, 1, 0]),
    ("abs(0)", tl.abs, [0.0, -2.0], [0, -1]),
    ("sign", tl.sign, [0.0, 3.0], [0, 0]),
    ("round", tl.round, [0.5, 3.2], [0, 0]),
    ("floor", tl.floor, [0.0, 3.2], [0, 0]),
    ("sqrt(0)", tl.sqrt, [0.0], [INF]),
    ("rsqrt(0)", tl.rsqrt, [0.0], [-INF]),
    ("log(0) and log(-1)", tl.log, [0.0, -1.0], [INF, -1]),
    ("2-norm at 0", lambda x: x.norm(), [0.0, 0.0], [0, 0]),
    ("1-norm at 0", lambda x: x.norm(1), [0.0, 2.0], [0, 1]),
    ("inf-norm ties share", lambda x: x.norm(INF), [3.0, -3.0], [0.5, -0.5]),
    ("std of constants", lambda x: x.std(), [2.0, 2.0, 2.0], [0, 0, 0]),
    ("std of one element", lambda x: x.std(), [2.0], [NAN]),
    ("x**0 at 0", lambda x: x**0, [0.0], [0]),
    ("x**2 at 0", lambda x: x**2, [0.0], [0]),
    ("x**0.5 at 0", lambda x: x**0.5, [0.0], [INF]),
    ("0**x", lambda x: 0.0**x, [2.0, 0.0], [0, 0]),
    ("prod with one zero", lambda x: x.prod(), [0.0, 2.0, 3.0], [6, 0, 0]),
    ("prod with two zeros", lambda x: x.prod(), [0.0, 0.0, 3.0], [0, 0, 0]),
    ("cumprod with a zero", lambda x: x.cumprod(0), [0.0, 2.0, 3.0], [9, 0, 0]),
    ("acos(1)", tl.acos, [1.0], [-INF]),
    ("sinc(0)", tl.sinc, [0.0], [0]),
    ("logsumexp of -inf", lambda x: x.logsumexp(0), [-INF, -INF], [NAN, NAN]),
    ("sigmoid far out", tl.sigmoid, [1000.0, -1000.0], [0, 0]),
    ("nan_to_num", tl.nan_to_num, [NAN, INF, 1.0], [0, 0, 1]),
    ("nansum", tl.nansum, [NAN, 2.0], [0, 1]),
    ("nanmean", tl.nanmean, [NAN, 2.0, 4.0], [0, 0.5, 0.5]),
    ("where(x>0, log x, 0) at 0", lambda x: tl.where(x > 0, x.log(), 0.0), [0.0], [NAN]),
]


@pytest.mark.parametrize(("function", "point", "expected"), [c[1:] for c in ONE], ids=[c[0] for c in ONE])
def test_gradient_of_one_variable(function: Any, point: Any, expected: Any) -> None:
    np.testing.assert_allclose(gradients(function, point)[0], expected, rtol=1e-15)


TWO = [
    ("maximum tie", tl.maximum, 1.0, 1.0, (0.5, 0.5)),
    ("minimum tie", tl.minimum, 1.0, 1.0, (0.5, 0.5)),
    ("fmax tie", tl.fmax, 1.0, 1.0, (1, 0)),
    ("fmin tie", tl.fmin, 1.0, 1.0, (1, 0)),
    ("pow(0, 0)", tl.pow, 0.0, 0.0, (0, 0)),
    ("pow(0, 2)", tl.pow, 0.0, 2.0, (0, 0)),
    ("pow(0, -1)", tl.pow, 0.0, -1.0, (-INF, -INF)),
    ("pow(-2, 2)", tl.pow, -2.0, 2.0, (-4, NAN)),
    ("1/0", tl.div, 1.0, 0.0, (INF, -INF)),
    ("0/0", tl.div, 0.0, 0.0, (INF, NAN)),
    ("atan2(0, 0)", tl.atan2, 0.0, 0.0, (0, 0)),
    ("hypot(0, 0)", tl.hypot, 0.0, 0.0, (NAN, NAN)),
    ("xlogy(0, 0)", tl.xlogy, 0.0, 0.0, (0, NAN)),
    ("logaddexp(-inf, -inf)", tl.logaddexp, -INF, -INF, (NAN, NAN)),
]


@pytest.mark.parametrize(("function", "x", "y", "expected"), [c[1:] for c in TWO], ids=[c[0] for c in TWO])
def test_gradient_of_two_variables(function: Any, x: float, y: float, expected: Any) -> None:
    same(gradients(function, x, y), expected)


# A small grid of awkward values finds what random numbers never hit.
GRID = [-INF, -2.0, -1.0, -0.5, -0.0, 0.0, 0.5, 1.0, 3.0, INF, NAN]
UNARY = [
    "abs",
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atanh",
    "ceil",
    "cos",
    "cosh",
    "deg2rad",
    "digamma",
    "erf",
    "erfc",
    "erfinv",
    "exp",
    "exp2",
    "expm1",
    "floor",
    "frac",
    "i0",
    "lgamma",
    "log",
    "log10",
    "log1p",
    "log2",
    "logit",
    "nan_to_num",
    "neg",
    "rad2deg",
    "reciprocal",
    "round",
    "rsqrt",
    "sgn",
    "sigmoid",
    "sign",
    "sin",
    "sinc",
    "sinh",
    "sqrt",
    "square",
    "tan",
    "tanh",
    "trunc",
]
BINARY = [
    "add",
    "atan2",
    "copysign",
    "div",
    "fmax",
    "fmin",
    "fmod",
    "hypot",
    "logaddexp",
    "maximum",
    "minimum",
    "mul",
    "pow",
    "remainder",
    "sub",
    "xlogy",
]
# torch's own value is a matter of its formula there: infinities of arguments whose gradient has no limit
_LOOSE = {"digamma", "lgamma", "i0", "sinc", "erfinv"}


@pytest.mark.parametrize("name", UNARY)
def test_unary_on_the_grid_as_torch(name: str) -> None:
    points = [p for p in GRID if name not in _LOOSE or math.isfinite(p)]
    if name == "digamma":
        points = [
            p for p in points if p >= 0 or p != int(p)
        ]  # at its poles torch's trigamma is large but finite by rounding
    x = tl.tensor(points, dtype=tl.float64, requires_grad=True)
    t = torch.tensor(points, dtype=torch.float64, requires_grad=True)
    y, u = getattr(tl, name)(x), getattr(torch, name)(t)
    np.testing.assert_allclose(y.detach().numpy(), u.detach().numpy(), rtol=1e-12, atol=1e-300)
    g = np.linspace(0.5, 1.5, len(points))
    (a,) = tl.autograd.grad([y], [x], [tl.tensor(g)])
    (b,) = torch.autograd.grad(u, t, torch.tensor(g))
    rtol = 2e-9 if name == "digamma" else 1e-12  # torch's trigamma is a short asymptotic series
    np.testing.assert_allclose(a.numpy(), b.numpy(force=True), rtol=rtol, atol=1e-300)


@pytest.mark.parametrize("name", BINARY)
def test_binary_on_the_grid_as_torch(name: str) -> None:
    finite = [p for p in GRID if math.isfinite(p)]
    p, q = (m.ravel() for m in np.meshgrid(finite, finite))
    xs = [tl.tensor(v, requires_grad=True) for v in (p, q)]
    ts = [torch.tensor(v, requires_grad=True) for v in (p, q)]
    y, u = getattr(tl, name)(*xs), getattr(torch, name)(*ts)
    np.testing.assert_allclose(y.detach().numpy(), u.detach().numpy(), rtol=1e-13)
    g = np.linspace(0.5, 1.5, len(p))
    ours = tl.autograd.grad([y], xs, [tl.tensor(g)])
    theirs = torch.autograd.grad(u, ts, torch.tensor(g))
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-12)


def test_nan_has_no_sign() -> None:
    same(tl.sign(tl.tensor([NAN, -1.0])).tolist(), [0, -1])


def test_no_dims_means_all_dims() -> None:
    x = tl.ones(2, 3)
    assert x.sum(dim=()).item() == 6
    assert tl.amax(x, ()).ndim == 0


def test_reductions_of_nothing() -> None:
    e = tl.zeros(0)
    assert e.sum().item() == 0
    assert e.prod().item() == 1
    assert math.isnan(e.mean().item())
    assert math.isnan(e.std().item())
    assert e.logsumexp(0).item() == -INF
    with pytest.raises(RuntimeError, match="Expected reduction dim to be specified"):
        e.max()
    with pytest.raises(IndexError, match="Expected reduction dim 0 to have non-zero size"):
        e.max(0)
    with pytest.raises(IndexError, match="Expected reduction dim"):
        e.argmax()


def test_zero_dimensional_tensors_have_one_dim_to_reduce() -> None:
    x = tl.tensor(3.0)
    assert x.sum(0).item() == 3
    assert x.max(0).values.item() == 3
    with pytest.raises(RuntimeError, match="at least 1D"):
        tl.matmul(x, x)


def test_mean_of_integers_asks_for_a_dtype() -> None:
    with pytest.raises(RuntimeError, match="could not infer output dtype"):
        tl.tensor([1, 2]).mean()


def test_boolean_subtraction_is_refused() -> None:
    with pytest.raises(RuntimeError, match="with two bool tensors is not supported"):
        tl.tensor([True]) - tl.tensor([False])


def test_sort_is_stable_and_puts_nan_last() -> None:
    values, indices = tl.sort(tl.tensor([2.0, NAN, 1.0, 2.0, 1.0]))
    assert indices.tolist() == [2, 4, 0, 3, 1]
    assert math.isnan(values[-1].item())
    assert tl.sort(tl.tensor([2.0, NAN, 1.0, 2.0]), descending=True)[1].tolist() == [1, 0, 3, 2]


@pytest.mark.parametrize("x", [1e-10, 1e-8, 1e-6, 1e-4, 1e-2, 0.05])
def test_slope_of_sinc_near_zero_keeps_its_digits(x: float) -> None:
    """Against the series of d/dy sin(y)/y = -y/3 + y³/30 - y⁵/840 + …; the closed form leaves no digit at 1e-10."""
    for name, scale in (("sinc", math.pi), ("spherical_bessel_j0", 1.0)):
        y = scale * x
        expected = scale * (-y / 3 + y**3 / 30 - y**5 / 840 + y**7 / 45360 - y**9 / 3991680)
        leaf = tl.tensor([x], dtype=tl.float64, requires_grad=True)
        getattr(tl.special, name)(leaf).sum().backward()
        assert abs(leaf.grad.item() - expected) <= 1e-14 * abs(expected)


@pytest.mark.parametrize("x", [0.0, 3.9e-17, -3.9e-17, 1e-9, -1e-3, 0.3, -0.9999, 1.0, 1.0001])
def test_bessel_j1_keeps_its_digits_near_0(x: float) -> None:
    """J_1(x) = x/2 - x³/16 + … (A&S 9.1.10), J_1' = 1/2 - 3x²/16 + …; the sums here are exact fractions."""
    v, y = Fraction(x), Fraction(0)
    slope = Fraction(0)
    for k in range(14):
        c = Fraction((-1) ** k, math.factorial(k) * math.factorial(k + 1) * 2 ** (2 * k + 1))
        y, slope = y + c * v ** (2 * k + 1), slope + (2 * k + 1) * c * v ** (2 * k)
    t = tl.tensor(x, dtype=tl.float64, requires_grad=True)
    out = tl.special.bessel_j1(t)
    out.backward()
    assert out.item() == pytest.approx(float(y), rel=2e-15, abs=0)
    assert t.grad is not None
    assert t.grad.item() == pytest.approx(float(slope), rel=2e-15)
