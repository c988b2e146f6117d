"""Each fused op against its definition in ordinary ops: values, gradients with random cotangents, and gradients of gradients."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tensorlite as tl
from tensorlite.autograd.record import apply
from tensorlite.ops import activation, attention, linear, loss, norm, softmax

DIMS = st.integers(1, 5)


def check(fused, definition, arrays, rng, tolerance=1e-9):
    """`fused` and `definition` are functions of tensors made from `arrays`."""
    results = []
    cotangents: list[np.ndarray] = []
    weights = [rng.standard_normal(a.shape) for a in arrays]
    for function in (fused, definition):
        inputs = [tl.tensor(a, requires_grad=True) for a in arrays]
        out = function(*inputs)
        if not cotangents:
            cotangents.append(rng.standard_normal(out.shape))
        g = tl.tensor(cotangents[0])
        plain = tl.autograd.grad(out, inputs, g, retain_graph=True)
        recorded = tl.autograd.grad(out, inputs, g, create_graph=True)
        for a, b in zip(plain, recorded, strict=True):
            np.testing.assert_allclose(a.numpy(), b.detach().numpy(), rtol=tolerance, atol=tolerance)
        total = sum((r * tl.tensor(w)).sum() for r, w in zip(recorded, weights, strict=True))
        second = tl.autograd.grad(total, inputs, allow_unused=True, materialize_grads=True)
        results.append([out.detach(), *plain, *second])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=tolerance, atol=tolerance)


@given(st.lists(DIMS, min_size=1, max_size=3), st.integers(0, 2), st.integers(0, 2**32 - 1))
def test_softmax(shape, dim, seed):
    rng = np.random.default_rng(seed)
    dim %= len(shape)
    x = rng.standard_normal(shape) * 5
    check(lambda t: tl.softmax(t, dim), lambda t: softmax.softmax_definition(t, dim), [x], rng)
    check(lambda t: tl.log_softmax(t, dim), lambda t: softmax.log_softmax_definition(t, dim), [x], rng)


@given(
    st.integers(1, 6),
    st.integers(2, 5),
    st.booleans(),
    st.sampled_from([0.0, 0.3]),
    st.sampled_from(["none", "mean", "sum"]),
    st.integers(0, 2**32 - 1),
)
def test_cross_entropy(rows, classes, weighted, smoothing, reduction, seed):
    rng = np.random.default_rng(seed)
    target = rng.integers(0, classes, rows)
    target[1:][rng.random(rows - 1) < 0.3] = -100
    weight = rng.random(classes) + 0.1 if weighted else None
    arguments = (target, weight, -100, smoothing, reduction)
    check(
        lambda x: apply(loss.cross_entropy_rows, (x, *arguments)),
        lambda x: loss.cross_entropy_definition(x, *arguments),
        [rng.standard_normal((rows, classes)) * 3],
        rng,
    )


@given(st.integers(1, 4), st.integers(2, 5), st.integers(1, 3), st.integers(1, 2), st.integers(0, 2**32 - 1))
def test_norms(rows, width, extra, count, seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, extra, width)) * 2 + 1
    shape = x.shape[3 - count :]
    if np.prod(shape) == 1:
        return
    w, b = rng.standard_normal(shape), rng.standard_normal(shape)
    check(
        lambda *t: apply(norm.layer_norm, (*t, 1e-3, count)),
        lambda *t: norm.layer_norm_definition(*t, 1e-3, count),
        [x, w, b],
        rng,
        1e-8,
    )
    check(
        lambda *t: apply(norm.rms_norm, (*t, 1e-3, count)),
        lambda *t: norm.rms_norm_definition(*t, 1e-3, count),
        [x, w],
        rng,
        1e-8,
    )


@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_gelu(approximate):
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.standard_normal(50) * 3, [0.0, -30.0, 30.0]])
    check(
        lambda t: apply(activation.gelu, (t, approximate)),
        lambda t: activation.gelu_definition(t, approximate),
        [x],
        rng,
    )


@given(st.lists(DIMS, min_size=0, max_size=2), DIMS, DIMS, st.booleans(), st.integers(0, 2**32 - 1))
def test_linear(lead, inputs, outputs, bias, seed):
    rng = np.random.default_rng(seed)
    arrays = [rng.standard_normal((*lead, inputs)), rng.standard_normal((outputs, inputs))]
    if bias:
        arrays.append(rng.standard_normal(outputs))
    check(lambda *t: apply(linear.linear, t), linear.linear_definition, arrays, rng)


@given(
    st.integers(1, 2),
    st.integers(1, 2),
    st.integers(1, 2),
    st.integers(1, 5),
    st.integers(1, 5),
    st.sampled_from(["none", "causal", "bool", "float"]),
    st.sampled_from([0.0, 0.4]),
    st.integers(0, 2**32 - 1),
)
def test_attention(batch, heads, groups, t, s, masking, p, seed):
    rng = np.random.default_rng(seed)
    q = rng.standard_normal((batch, heads * groups, t, 3))
    k, v = rng.standard_normal((batch, heads, s, 3)), rng.standard_normal((batch, heads, s, 2))
    mask = (
        rng.random((t, s)) < 0.6 if masking == "bool" else rng.standard_normal((t, s)) if masking == "float" else None
    )
    arguments = (mask, masking == "causal", None, p, seed)
    check(
        lambda *x: apply(attention.attention, (*x, *arguments)),
        lambda *x: attention.attention_definition(*x, *arguments),
        [q, k, v],
        rng,
    )


def test_an_input_used_twice_or_computed_from_another():
    """Double backward through a definition must not count what reaches an input by another way."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 3))

    def composed(fused):
        def function(t):
            y = t.tanh()
            return fused(y, y)

        return function

    check(
        composed(lambda a, b: apply(linear.linear, (a, b))),
        composed(lambda a, b: linear.linear_definition(a, b)),
        [x],
        rng,
    )


@pytest.mark.parametrize("name", ["softmax", "gelu", "layer_norm"])
def test_float32_stays_float32(name):
    x = tl.randn(2, 4, requires_grad=True)
    out = {
        "softmax": lambda: tl.softmax(x, 1),
        "gelu": lambda: apply(activation.gelu, (x, "none")),
        "layer_norm": lambda: apply(norm.layer_norm, (x, None, None, 1e-5, 1)),
    }[name]()
    assert out.dtype == tl.float32
    out.sum().backward()
    assert x.grad.dtype == tl.float32


@pytest.mark.parametrize("name", ["rms_norm", "layer_norm"])
@pytest.mark.parametrize("scale", [1.0, 1e3, 0.0])
def test_norms_of_float16_are_differentiated_in_float32(name, scale):
    """Squares of 1e3 and the inverse deviation of zeros are beyond float16; gradients of both orders must not notice."""
    rng = np.random.default_rng(0)
    x = (rng.standard_normal((3, 8)) * scale).astype(np.float16)
    g, h = rng.standard_normal((2, 3, 8)).astype(np.float16)

    def gradients(dtype):
        t = tl.tensor(x, dtype=dtype, requires_grad=True)
        out = getattr(tl.nn.functional, name)(t, (8,), eps=1e-7)
        (plain,) = tl.autograd.grad(out, t, tl.tensor(g, dtype=dtype), retain_graph=True)
        (first,) = tl.autograd.grad(out, t, tl.tensor(g, dtype=dtype), create_graph=True)
        (second,) = tl.autograd.grad(first, t, tl.tensor(h, dtype=dtype))
        assert {r.dtype for r in (out, plain, first, second)} == {dtype}
        return [r.detach().numpy() for r in (plain, first, second)]

    for found, expected in zip(gradients(tl.float16), gradients(tl.float64), strict=True):
        np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-6 + 2e-3 * np.abs(expected).max())


def test_the_epsilon_of_rms_norm_is_that_of_the_dtype_it_computes_in():
    tiny = [1e-3, 0, 0, 0]
    half = tl.nn.functional.rms_norm(tl.tensor(tiny, dtype=tl.float16), (4,))
    np.testing.assert_allclose(half.numpy(), tl.nn.functional.rms_norm(tl.tensor(tiny), (4,)).numpy(), rtol=2e-3)
