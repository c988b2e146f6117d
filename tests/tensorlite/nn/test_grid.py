"""affine_grid and grid_sample against torch: special points, gradients, refusals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import tensorlite as tl

LIBRARIES = (tl, torch)
MODES = [
    (mode, padding, align)
    for mode in ("bilinear", "nearest", "bicubic")
    for padding in ("zeros", "border", "reflection")
    for align in (True, False)
]


@pytest.mark.parametrize("align", [True, False])
@pytest.mark.parametrize("size", [(2, 3, 4, 5), (1, 1, 1, 3), (2, 1, 2, 3, 4)])
def test_affine_grid(size: tuple[int, ...], align: bool) -> None:
    n = len(size) - 2
    rng = np.random.default_rng(0)
    data, cotangent = rng.standard_normal((size[0], n, n + 1)), rng.standard_normal((size[0], *size[2:], n))
    results = []
    for m in LIBRARIES:
        theta = m.from_numpy(data.copy()).requires_grad_()
        grid = m.nn.functional.affine_grid(theta, size, align_corners=align)
        (grid * m.from_numpy(cotangent)).sum().backward()
        results.append((grid.detach().numpy(), theta.grad.numpy()))
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-14)


def sampled(m: Any, image: Any, points: Any, mode: str, padding: str, align: bool) -> list[Any]:
    x, grid = m.from_numpy(image.copy()).requires_grad_(), m.from_numpy(points.copy()).requires_grad_()
    out = m.nn.functional.grid_sample(x, grid, mode, padding, align)
    cotangent = m.from_numpy(np.random.default_rng(1).standard_normal(tuple(out.shape)).astype(image.dtype))
    grads = m.autograd.grad((out * cotangent).sum(), (x, grid), allow_unused=True, materialize_grads=True)
    return [t.detach().numpy() for t in (out, *grads)]


@pytest.mark.parametrize(("mode", "padding", "align"), MODES)
def test_far_outside_on_the_edge_and_in_between(mode: str, padding: str, align: bool) -> None:
    rng = np.random.default_rng(0)
    image = rng.standard_normal((2, 3, 4, 5))
    points = rng.uniform(-7, 7, (2, 6, 3, 2))
    points[0, 0] = [[0.1, -0.3], [1.3, 0.2], [0.05, 2.1]]
    for ours, theirs in zip(*(sampled(m, image, points, mode, padding, align) for m in LIBRARIES), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
def test_exactly_on_the_corners(padding: str) -> None:
    image = np.arange(6.0).reshape(1, 1, 2, 3)
    points = np.array([[-1, -1], [1, -1], [1, 1], [0, 0], [0, 1], [-1, 0]], float).reshape(1, 2, 3, 2)
    for align in (True, False):
        ours, theirs = (sampled(m, image, points, "bilinear", padding, align) for m in LIBRARIES)
        np.testing.assert_allclose(ours[0], theirs[0], atol=1e-12)
        np.testing.assert_allclose(ours[1], theirs[1], atol=1e-12)


def test_values_that_are_no_points() -> None:
    image = np.ones((1, 1, 2, 2))
    points = np.array([[np.nan, 0], [np.inf, 0], [-np.inf, 0], [1e30, 0]]).reshape(1, 1, 4, 2)
    for padding in ("zeros", "border"):
        ours, theirs = (
            m.nn.functional.grid_sample(m.from_numpy(image), m.from_numpy(points), "bilinear", padding, False)
            for m in LIBRARIES
        )
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


def test_float32_stays_float32() -> None:
    image = np.random.default_rng(0).standard_normal((1, 2, 3, 3)).astype(np.float32)
    points = np.random.default_rng(1).uniform(-2, 2, (1, 4, 4, 2)).astype(np.float32)
    for mode, padding, align in MODES:
        ours, theirs = (sampled(m, image, points, mode, padding, align) for m in LIBRARIES)
        assert [a.dtype for a in ours] == [np.float32] * 3
        np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-4, atol=1e-5)


def test_the_identity_map_gives_the_image() -> None:
    image = tl.randn(2, 3, 5, 4)
    identity = tl.eye(2, 3).expand(2, 2, 3)
    for align in (True, False):
        grid = tl.nn.functional.affine_grid(identity, image.shape, align)
        out = tl.nn.functional.grid_sample(image, grid, align_corners=align)
        np.testing.assert_allclose(out.numpy(), image.numpy(), atol=1e-5)


REFUSED: dict[str, Callable[[Any], Any]] = {
    "mode": lambda m: m.nn.functional.grid_sample(m.ones(1, 1, 2, 2), m.ones(1, 1, 1, 2), "cubic"),
    "padding": lambda m: m.nn.functional.grid_sample(m.ones(1, 1, 2, 2), m.ones(1, 1, 1, 2), padding_mode="wrap"),
    "batch": lambda m: m.nn.functional.grid_sample(m.ones(1, 1, 2, 2), m.ones(2, 1, 1, 2), align_corners=False),
    "last dim": lambda m: m.nn.functional.grid_sample(m.ones(1, 1, 2, 2), m.ones(1, 1, 1, 3), align_corners=False),
    "volume": lambda m: m.nn.functional.grid_sample(
        m.ones(1, 1, 2, 2, 2), m.ones(1, 1, 1, 1, 3), "bicubic", align_corners=False
    ),
    "empty": lambda m: m.nn.functional.grid_sample(m.ones(1, 1, 0, 2), m.ones(1, 1, 1, 2), align_corners=False),
    "integers": lambda m: m.nn.functional.affine_grid(m.ones(1, 2, 3, dtype=m.int64), (1, 1, 2, 2), False),
    "theta": lambda m: m.nn.functional.affine_grid(m.ones(1, 2, 2), (1, 1, 2, 2), False),
    "size": lambda m: m.nn.functional.affine_grid(m.ones(1, 2, 3), (1, 1, 2), False),
    "no size": lambda m: m.nn.functional.affine_grid(m.ones(1, 2, 3), (1, 1, 0, 2), False),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_torchs_words(name: str) -> None:
    said = []
    for m in LIBRARIES:
        with pytest.raises((ValueError, RuntimeError, NotImplementedError)) as caught:
            REFUSED[name](m)
        said.append((caught.type, str(caught.value)[:50]))
    assert said[0] == said[1]


def test_the_default_of_align_corners_warns() -> None:
    for m in LIBRARIES:
        with pytest.warns(UserWarning, match="align_corners"):
            m.nn.functional.grid_sample(m.ones(1, 1, 2, 2), m.ones(1, 1, 1, 2))
