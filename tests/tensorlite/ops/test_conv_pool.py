"""Convolutions and pooling against torch, with every geometry; and the three convolution ops against each other."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

import tensorlite as tl
import tensorlite.nn.functional as F
from tensorlite.ops import conv


def both(function, arrays, rng):
    """The outputs and gradients of one function in tensorlite and in torch."""
    results, cotangent = [], None
    for lib, functional in ((tl, F), (torch, torch.nn.functional)):
        inputs = [lib.tensor(a, requires_grad=True) for a in arrays]
        out = function(functional, *inputs)
        if cotangent is None:
            cotangent = rng.standard_normal(tuple(out.shape))
        out.backward(lib.tensor(cotangent))
        results.append([out.detach().numpy(), *(i.grad.numpy() for i in inputs)])
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-10)


@st.composite
def geometries(draw):
    dims = draw(st.integers(1, 3))
    each = lambda low, high: tuple(draw(st.integers(low, high)) for _ in range(dims))
    return {
        "dims": dims,
        "size": each(3, 6),
        "kernel": each(1, 3),
        "stride": each(1, 3),
        "padding": each(0, 2),
        "dilation": each(1, 2),
        "groups": draw(st.integers(1, 2)),
    }


@given(geometries(), st.integers(0, 2**32 - 1))
def test_convolution(case, seed):
    rng = np.random.default_rng(seed)
    d, groups = case["dims"], case["groups"]
    fits = [
        n + 2 * p >= e * (k - 1) + 1
        for n, p, e, k in zip(case["size"], case["padding"], case["dilation"], case["kernel"], strict=True)
    ]
    assume(all(fits))
    x = rng.standard_normal((2, 2 * groups, *case["size"]))
    w, b = rng.standard_normal((3 * groups, 2, *case["kernel"])), rng.standard_normal(3 * groups)
    options = {k: case[k] for k in ("stride", "padding", "dilation", "groups")}
    both(lambda f, x, w, b: getattr(f, f"conv{d}d")(x, w, b, **options), [x, w, b], rng)


@given(geometries(), st.integers(0, 2**32 - 1))
def test_transposed_convolution(case, seed):
    rng = np.random.default_rng(seed)
    d, groups = case["dims"], case["groups"]
    sizes = [
        (n - 1) * s - 2 * p + e * (k - 1) + 1
        for n, s, p, e, k in zip(
            case["size"], case["stride"], case["padding"], case["dilation"], case["kernel"], strict=True
        )
    ]
    assume(min(sizes) > 0)
    x = rng.standard_normal((2, 2 * groups, *case["size"]))
    w, b = rng.standard_normal((2 * groups, 3, *case["kernel"])), rng.standard_normal(3 * groups)
    options = {k: case[k] for k in ("stride", "padding", "dilation", "groups")}
    both(lambda f, x, w, b: getattr(f, f"conv_transpose{d}d")(x, w, b, **options), [x, w, b], rng)


@given(geometries(), st.integers(0, 2**32 - 1))
def test_the_three_convolution_ops_are_transposes_of_each_other(case, seed):
    """<conv(x, w), g> = <x, conv_input(g, w)> = <w, conv_weight(g, x)>."""
    rng = np.random.default_rng(seed)
    groups = case["groups"]
    padding = tuple((p, p) for p in case["padding"])
    x, w = rng.standard_normal((2, 2 * groups, *case["size"])), rng.standard_normal((groups, 2, *case["kernel"]))
    options = (case["stride"], padding, case["dilation"], groups)
    fits = [
        n + 2 * p >= e * (k - 1) + 1
        for n, p, e, k in zip(case["size"], case["padding"], case["dilation"], case["kernel"], strict=True)
    ]
    assume(all(fits))
    y = conv.convolution(x, w, *options)
    g = rng.standard_normal(y.shape)
    inner = (y * g).sum()
    assert (x * conv.convolution_input(g, w, x.shape, *options)).sum() == pytest.approx(inner, rel=1e-9, abs=1e-9)
    assert (w * conv.convolution_weight(g, x, w.shape, *options)).sum() == pytest.approx(inner, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("kernel", [1, 2, 3, 4])
def test_padding_same_keeps_the_size(kernel):
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((1, 2, 7)), rng.standard_normal((2, 2, kernel))
    both(lambda f, x, w: f.conv1d(x, w, padding="same", dilation=2), [x, w], rng)


@given(geometries(), st.booleans(), st.sampled_from(["max", "avg", "avg_without_padding"]), st.integers(0, 2**32 - 1))
def test_pooling(case, ceil_mode, kind, seed):
    rng = np.random.default_rng(seed)
    d = case["dims"]
    padding = tuple(min(p, k // 2) for p, k in zip(case["padding"], case["kernel"], strict=True))
    x = rng.integers(-3, 3, (2, 2, *case["size"])).astype(float)  # ties: the first of equal values gets the gradient
    if kind == "max":
        dilation = case["dilation"]
        assume(
            all(
                n + 2 * p >= e * (k - 1) + 1
                for n, p, e, k in zip(case["size"], padding, dilation, case["kernel"], strict=True)
            )
        )
        both(
            lambda f, x: getattr(f, f"max_pool{d}d")(x, case["kernel"], case["stride"], padding, dilation, ceil_mode),
            [x],
            rng,
        )
    else:
        include = kind == "avg"
        both(
            lambda f, x: getattr(f, f"avg_pool{d}d")(x, case["kernel"], case["stride"], padding, ceil_mode, include),
            [x],
            rng,
        )


@given(st.integers(1, 3), st.integers(1, 7), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_adaptive_pooling(dims, n, size, seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((2, 3, *(n,) * dims))
    both(lambda f, x: getattr(f, f"adaptive_avg_pool{dims}d")(x, size), [x], rng)
    both(lambda f, x: getattr(f, f"adaptive_max_pool{dims}d")(x, size), [x], rng)


def test_a_nan_is_the_largest_of_its_window():
    out = F.max_pool1d(tl.tensor([[1.0, float("nan"), 3.0, 2.0]]), 2)
    assert out.isnan().tolist() == [[True, False]]


@pytest.mark.parametrize("name", ["conv1d", "conv2d", "conv_transpose2d"])
def test_float32_gives_float32_and_half_stays_half(name):
    for dtype in (tl.float32, tl.float16):
        dims = int(name[-2])
        x = tl.ones(1, 2, *(4,) * dims, dtype=dtype, requires_grad=True)
        w = tl.ones(2, 2, *(2,) * dims, dtype=dtype, requires_grad=True)
        out = getattr(F, name)(x, w)
        assert out.dtype == dtype
        out.sum().backward()
        assert x.grad.dtype == w.grad.dtype == dtype


def test_messages_name_the_sizes():
    with pytest.raises(RuntimeError, match="to have 3 channels, but got 2 channels instead"):
        F.conv1d(tl.zeros(1, 2, 5), tl.zeros(1, 3, 2))
    with pytest.raises(RuntimeError, match="Kernel size can't be greater than actual input size"):
        F.conv1d(tl.zeros(1, 2, 3), tl.zeros(1, 2, 4))
    with pytest.raises(RuntimeError, match="pad should be at most half"):
        F.max_pool1d(tl.zeros(1, 2, 5), 2, padding=2)
