"""Distributions against torch: log-probabilities, entropies, divergences and their gradients; sampling against the formulas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import distributions as real

import tensorlite as tl
from tensorlite import distributions as lite

RNG = np.random.default_rng(0)
POSITIVE, SIGNED = RNG.uniform(0.1, 2, (3, 4)), RNG.standard_normal((3, 4))
UNIT = RNG.uniform(0.05, 0.95, (3, 4))

MAKERS: dict[str, tuple[Callable[..., Any], list[Any], Any]] = {
    "categorical probs": (lambda d, p: d.Categorical(p), [POSITIVE], np.array([[0, 3, 1], [2, 2, 0]])),
    "categorical logits": (lambda d, p: d.Categorical(logits=p), [SIGNED], np.array([0, 3, 1])),
    "bernoulli probs": (lambda d, p: d.Bernoulli(p), [UNIT], (SIGNED > 0).astype(float)),
    "bernoulli logits": (lambda d, p: d.Bernoulli(logits=p), [SIGNED], (UNIT > 0.5).astype(float)),
    "normal": (lambda d, m, s: d.Normal(m, s), [SIGNED, POSITIVE], RNG.standard_normal((2, 3, 4))),
    "uniform": (lambda d, m, s: d.Uniform(m, m + s), [SIGNED, POSITIVE], SIGNED + POSITIVE * UNIT),
    "independent": (
        lambda d, m, s: d.Independent(d.Normal(m, s), 1),
        [SIGNED, POSITIVE],
        RNG.standard_normal((2, 3, 4)),
    ),
}


def run(lib: Any, d: Any, name: str) -> list[Any]:
    make, arrays, value = MAKERS[name]
    parameters = [lib.tensor(a, requires_grad=True) for a in arrays]
    p, value = make(d, *parameters), lib.tensor(value)
    q = make(d, *(lib.tensor(np.sqrt(abs(a))) for a in arrays))
    outs = [p.log_prob(value), p.entropy(), d.kl_divergence(p, q)]
    cotangents = [np.random.default_rng(i).standard_normal(tuple(o.shape)) for i, o in enumerate(outs)]
    sum((o * lib.tensor(c)).sum() for o, c in zip(outs, cotangents, strict=True)).backward()
    shapes = [np.array(s) for s in (p.batch_shape, p.event_shape, p.sample((5, 2)).shape)]
    moments = [p.mean, p.variance, p.stddev] if "categorical" not in name else [p.probs, p.logits]
    return shapes + [t.detach().numpy() for t in outs + moments] + [x.grad.numpy() for x in parameters]


@pytest.mark.parametrize("name", MAKERS)
def test_against_torch(name: str) -> None:
    for expected, actual in zip(run(torch, real, name), run(tl, lite, name), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-10, atol=1e-12)


def test_impossible_events_count_nothing() -> None:
    for lib, d in ((torch, real), (tl, lite)):
        p, q = d.Categorical(lib.tensor([0.5, 0.5, 0.0])), d.Categorical(lib.tensor([0.5, 0.25, 0.25]))
        assert p.entropy().item() == pytest.approx(np.log(2), abs=1e-5)
        assert d.kl_divergence(p, q).item() == pytest.approx(0.5 * np.log(2), abs=1e-5)
        assert d.kl_divergence(q, p).item() == np.inf


@given(st.integers(0, 2**32))
def test_samples_follow_the_probabilities(seed: int) -> None:
    tl.manual_seed(seed)
    n = 4000
    probs = tl.tensor([[0.1, 0.2, 0.7], [0.5, 0.5, 0.0]])
    draws = lite.Categorical(probs).sample((n,)).numpy()
    counts = np.stack([(draws == k).mean(0) for k in range(3)], -1)
    assert abs(counts - probs.numpy()).max() < 6 * np.sqrt(0.25 / n)
    assert (draws[:, 1] != 2).all()
    assert abs(lite.Bernoulli(tl.tensor(0.3)).sample((n,)).mean().item() - 0.3) < 6 * np.sqrt(0.21 / n)
    normal = lite.Normal(tl.tensor(2.0), tl.tensor(0.5)).sample((n,))
    assert abs(normal.mean().item() - 2) < 6 * 0.5 / np.sqrt(n)
    assert abs(normal.std().item() - 0.5) < 6 * 0.5 / np.sqrt(2 * n)


def test_a_draw_by_reparameterisation_has_gradients() -> None:
    tl.manual_seed(0)
    mean, scale = (make(3, dtype=tl.float64, requires_grad=True) for make in (tl.zeros, tl.ones))
    draw = lite.Normal(mean, scale).rsample((7,))
    draw.sum().backward()
    np.testing.assert_allclose(mean.grad.numpy(), 7)
    np.testing.assert_allclose(scale.grad.numpy(), draw.detach().numpy().sum(0), rtol=1e-10, atol=1e-12)
    assert not lite.Normal(mean, scale).sample().requires_grad
    with pytest.raises(NotImplementedError, match="log_prob"):
        lite.Bernoulli(tl.tensor(0.5)).rsample()


def test_edges_of_the_uniform_distribution_and_of_its_divergence() -> None:
    for lib, d in ((torch, real), (tl, lite)):
        u = d.Uniform(lib.tensor([0.0, 0.0]), lib.tensor([1.0, 2.0]))
        np.testing.assert_allclose(u.log_prob(lib.tensor([1.0, 0.0])).numpy(), [-np.inf, -np.log(2)], rtol=1e-6)
        np.testing.assert_allclose(u.cdf(lib.tensor([0.25, 0.5])).numpy(), [0.25, 0.25])
        unchecked = d.Uniform(lib.tensor([0.0, 0.0]), 1.0, validate_args=False)
        np.testing.assert_allclose(unchecked.cdf(lib.tensor([-1.0, 2.0])).numpy(), [0, 1])
        assert unchecked.log_prob(lib.tensor([-1.0, 2.0])).tolist() == [-np.inf, -np.inf]
        np.testing.assert_allclose(u.icdf(lib.tensor([0.5, 0.25])).numpy(), [0.5, 0.5])
        assert d.kl_divergence(u, d.Uniform(0.0, 1.0)).tolist() == [0, np.inf]
    tl.manual_seed(0)
    draws = u.sample((4000,)).numpy()
    assert ((draws >= 0) & (draws < [1, 2])).all()
    np.testing.assert_allclose(draws.mean(0), [0.5, 1], atol=6 * 2 / np.sqrt(12 * 4000))


def test_names_as_torch_prints_them() -> None:
    for make in (
        lambda d, t: d.Normal(t([0.0, 1.0]), 1.0),
        lambda d, t: d.Normal(0.0, 1.0),
        lambda d, t: d.Bernoulli(logits=t([0.0, 1.0])),
        lambda d, t: d.Categorical(t([0.5, 0.5])),
        lambda d, t: d.Independent(d.Uniform(t([0.0, 1.0]), 2.0), 1),
    ):
        assert repr(make(lite, tl.tensor)).replace("tensorlite.", "torch.") == repr(make(real, torch.tensor))


def test_a_family_that_is_not_here_says_which_are() -> None:
    with pytest.raises(AttributeError, match="Bernoulli, Categorical, Independent, Normal and Uniform"):
        _ = lite.Gamma


def test_the_normal_quantile_inverts_the_distribution_function() -> None:
    normal = lite.Normal(tl.tensor(1.0, dtype=tl.float64), tl.tensor(2.0, dtype=tl.float64))
    p = tl.linspace(0.01, 0.99, 21, dtype=tl.float64)
    np.testing.assert_allclose(normal.cdf(normal.icdf(p)).numpy(), p.numpy(), rtol=1e-12)


def test_bad_arguments() -> None:
    for make in (
        lambda d, t: d.Normal(t(0.0), t(-1.0)),
        lambda d, t: d.Categorical(t([-0.5, 1.5])),
        lambda d, t: d.Categorical(t([0.5, 0.5]), logits=t([0.0, 0.0])),
        lambda d, t: d.Bernoulli(t(1.5)),
        lambda d, t: d.Uniform(t(1.0), t(1.0)),
        lambda d, t: d.Uniform(t(0.0), t(1.0)).log_prob(t(1.5)),
        lambda d, t: d.Independent(d.Normal(t(0.0), t(1.0)), 1),
        lambda d, t: d.Categorical(t([0.5, 0.5])).log_prob(t(2)),
        lambda d, t: d.Bernoulli(t(0.5)).log_prob(t(0.5)),
    ):
        with pytest.raises(ValueError, match=r"."):
            make(real, torch.tensor)
        with pytest.raises(ValueError, match=r"."):
            make(lite, tl.tensor)
    with pytest.raises(NotImplementedError, match="one family"):
        lite.kl_divergence(lite.Normal(0.0, 1.0), lite.Bernoulli(0.5))
