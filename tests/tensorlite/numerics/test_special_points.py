"""Values at special points, and what the tables of `ops/test_*_special_points.py` leave out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import tensorlite as tl
import tensorlite.nn.functional as F

INF, NAN = math.inf, math.nan


def at(function: Any, *points: Any) -> tuple[Any, list[Any]]:
    """The value, and the gradient of the sum of the values with respect to each point."""
    xs = [tl.tensor(p, dtype=tl.float64, requires_grad=True) for p in points]
    out = function(*xs)
    grads = tl.autograd.grad([out.sum() if out.ndim else out], xs, allow_unused=True, materialize_grads=True)
    return out.tolist(), [g.tolist() for g in grads]


T = [1.0, 0.0]
CASES: dict[str, tuple[Any, list[Any], Any, list[Any]]] = {
    # name: function, points, value, gradients
    "max with a NaN": (lambda x: x.max(), [[NAN, 1.0]], NAN, [[1, 0]]),
    "log(-1) is NaN with a finite gradient": (tl.log, [[-1.0]], [NAN], [[-1]]),
    "relu(NaN)": (F.relu, [[NAN]], [NAN], [[0]]),
    "cumprod with a zero": (lambda x: x.cumprod(0), [[2.0, 0.0, 3.0]], [2, 0, 0], [[1, 8, 0]]),
    "median of an even number": (lambda x: x.median(), [[1.0, 2.0, 3.0, 4.0]], 2, [[0, 1, 0, 0]]),
    "logsumexp of all -inf": (lambda x: x.logsumexp(0), [[-INF, -INF]], -INF, [[NAN, NAN]]),
    "logsumexp with one -inf": (lambda x: x.logsumexp(0), [[0.0, -INF]], 0, [[1, 0]]),
    "softmax of all -inf": (lambda x: tl.softmax(x, 0), [[-INF, -INF]], [NAN, NAN], [[NAN, NAN]]),
    "softmax with one -inf": (lambda x: tl.softmax(x, 0)[0], [[0.0, -INF]], 1, [[0, 0]]),
    "log_softmax with one -inf": (lambda x: tl.log_softmax(x, 0)[0], [[0.0, -INF]], 0, [[0, 0]]),
    "logaddexp(-inf, -inf)": (tl.logaddexp, [-INF, -INF], -INF, [NAN, NAN]),
    "std of one element": (lambda x: x.std(), [[2.0]], NAN, [[NAN]]),
    "sigmoid far out": (tl.sigmoid, [[1000.0, -1000.0]], [1, 0], [[0, 0]]),
    "softplus far out": (F.softplus, [[1000.0, -1000.0]], [1000, 0], [[1, 0]]),
    "masked_fill of log(0)": (lambda x: x.log().masked_fill(x <= 0, 0.0), [[0.0]], [0], [[NAN]]),
    "nansum": (tl.nansum, [[NAN, 2.0]], 2, [[0, 1]]),
    "0 ** 0": (tl.pow, [0.0, 0.0], 1, [0, 0]),
    "1 / 0": (tl.div, [1.0, 0.0], INF, [INF, -INF]),
    "binary cross entropy of a certain mistake": (
        lambda x: F.binary_cross_entropy(x, tl.ones(1, dtype=tl.float64)),
        [[0.0]],
        100,
        [[-1e12]],
    ),
    "binary cross entropy of large logits": (
        lambda x: F.binary_cross_entropy_with_logits(x, tl.tensor(T, dtype=tl.float64)),
        [[-1000.0, 1000.0]],
        1000,
        [[-0.5, 0.5]],
    ),
    "cross entropy with every target ignored": (
        lambda x: F.cross_entropy(x, tl.tensor([-100, -100])),
        [[[0.0, 1.0], [1.0, 0.0]]],
        NAN,
        [[[0, 0], [0, 0]]],
    ),
    "kl_div of a zero target": (
        lambda x: F.kl_div(x, tl.tensor([0.0, 1.0], dtype=tl.float64), reduction="sum"),
        [[-1.0, -2.0]],
        2,
        [[0, -1]],
    ),
    "sort keeps duplicates in order": (
        lambda x: x.sort().values * tl.tensor([1.0, 10.0, 100.0], dtype=tl.float64),
        [[2.0, 1.0, 1.0]],
        [1, 10, 200],
        [[100, 1, 10]],
    ),
    "a scaled norm at 0": (lambda x: (x * 2).norm(), [[0.0, 0.0]], 0, [[0, 0]]),
    "max pooling of ties takes the first": (
        lambda x: F.max_pool1d(x.reshape(1, 1, 2), 2),
        [[3.0, 3.0]],
        [[[3]]],
        [[1, 0]],
    ),
}


@pytest.mark.parametrize(("function", "points", "value", "gradients"), CASES.values(), ids=CASES)
def test_value_and_gradient(function: Any, points: list[Any], value: Any, gradients: list[Any]) -> None:
    found, slopes = at(function, *points)
    np.testing.assert_allclose(found, value, rtol=1e-15)
    for slope, expected in zip(slopes, gradients, strict=True):
        np.testing.assert_allclose(slope, expected, rtol=1e-12)


def test_empty_batches_have_a_nan_mean_loss() -> None:
    assert math.isnan(F.cross_entropy(tl.zeros(0, 3), tl.zeros(0, dtype=tl.int64)).item())
    assert math.isnan(F.mse_loss(tl.zeros(0), tl.zeros(0)).item())


@pytest.mark.parametrize(
    ("by_numpy", "by_torch", "numpys", "torchs"),
    [
        (lambda x: np.var(x), lambda x: x.var(), 2 / 3, 1.0),
        (lambda x: np.std(x) ** 2, lambda x: x.std() ** 2, 2 / 3, 1.0),
        (lambda x: len(np.split(x, 3)), lambda x: len(x.split(3)), 3, 1),
        (lambda x: np.repeat(x, 2).tolist(), lambda x: x.repeat(2).tolist(), [1, 1, 2, 2, 3, 3], [1, 2, 3, 1, 2, 3]),
        (lambda x: np.median(x[:2]), lambda x: x[:2].median(), 1.5, 1.0),
    ],
)
def test_numpys_functions_mean_what_numpy_means_and_methods_what_torch_means(
    by_numpy: Any, by_torch: Any, numpys: Any, torchs: Any
) -> None:
    for x in (
        tl.tensor([1.0, 2.0, 3.0], dtype=tl.float64),
        tl.tensor([1.0, 2.0, 3.0], dtype=tl.float64, requires_grad=True),
    ):
        for found, expected in ((by_numpy(x), numpys), (by_torch(x), torchs)):
            value = found.detach().tolist() if isinstance(found, tl.Tensor) else found
            np.testing.assert_allclose(value, expected, rtol=1e-6)


def test_the_sign_of_nan_is_0_as_in_torch_for_both() -> None:
    """NumPy's sign of NaN is NaN; `np.sign` of a tensor is torch's."""
    x = tl.tensor([NAN])
    assert x.sign().tolist() == np.sign(x).tolist() == [0.0]
