"""Positions: the formulas, rotary against transformers, and what makes each encoding useful."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import tensorlite as tl
from claimsformer.transformer import LearnedPositions, RotaryEmbedding, SinusoidalPositions, apply_rotary, sinusoidal
from claimsformer.transformer.model import positions_of


@given(st.integers(1, 40), st.integers(1, 17))
def test_sinusoids_are_the_formula_of_2017(length: int, d: int) -> None:
    table = sinusoidal(length, d)
    for t in range(0, length, 7):
        for i in range(d):
            angle = t / 10000 ** ((i - i % 2) / d)
            assert table[t, i] == pytest.approx(math.sin(angle) if i % 2 == 0 else math.cos(angle), abs=1e-12)


@given(st.integers(0, 50), st.integers(0, 50), st.integers(1, 200))
def test_sinusoids_of_a_distance_do_not_depend_on_the_place(a: int, b: int, shift: int) -> None:
    table = sinusoidal(300, 16)
    assert table[a] @ table[b] == pytest.approx(table[a + shift] @ table[b + shift], abs=1e-9)


def test_sinusoidal_module_adds_rows_in_the_dtype_of_its_input() -> None:
    module = SinusoidalPositions(6)
    positions = np.array([[0, 1, 2], [5, 0, 1]])
    for dtype, name in ((tl.float32, np.float32), (tl.float64, np.float64)):
        x = tl.randn(2, 3, 6, dtype=dtype)
        out = module(x, positions).numpy()
        assert out.dtype == name
        np.testing.assert_allclose(out - x.numpy(), sinusoidal(6, 6)[positions], atol=1e-6)
    assert not module.state_dict()
    grown = module(tl.zeros(1, 500, 6), np.arange(500))  # longer than before: the table grows
    np.testing.assert_allclose(grown.numpy()[0], sinusoidal(500, 6), atol=1e-6)


def test_learned_positions_add_rows_and_learn_them() -> None:
    module = LearnedPositions(5, 4)
    x = tl.zeros(2, 3, 4)
    np.testing.assert_array_equal(module(x, np.arange(1, 4))[1].detach().numpy(), module.weight.detach().numpy()[1:4])
    places = np.array([[0, 0, 4], [1, 2, 2]])
    out = module(x, places)
    np.testing.assert_array_equal(out.detach().numpy(), module.weight.detach().numpy()[places])
    out.sum().backward()
    assert module.weight.grad.numpy()[:, 0].tolist() == [2, 1, 2, 0, 1]
    with pytest.raises(IndexError, match=r"position 5 .* max_length=5"):
        module(tl.zeros(1, 6, 4), np.arange(6))


@pytest.mark.parametrize(("dim", "head"), [(16, 16), (6, 16), (32, 80)])
def test_rotary_is_transformers(dim: int, head: int) -> None:
    """Full and partial rotation (Phi-2: 32 of 80 dims), outputs and gradients."""
    from transformers import PhiConfig
    from transformers.models.phi.modeling_phi import PhiRotaryEmbedding, apply_rotary_pos_emb

    config = PhiConfig(hidden_size=head * 2, num_attention_heads=2, partial_rotary_factor=(dim + 0.5) / head)
    rotary = PhiRotaryEmbedding(config)
    generator = torch.Generator().manual_seed(0)
    q, k = (torch.randn(2, 3, 40, head, generator=generator, requires_grad=True) for _ in range(2))
    places = torch.arange(40)[None]
    cos, sin = rotary(q, places)
    assert cos.shape[-1] == dim
    theirs = [
        torch.cat([turned, x[..., dim:]], -1)
        for turned, x in zip(apply_rotary_pos_emb(q[..., :dim], k[..., :dim], cos, sin), (q, k), strict=True)
    ]
    mine = RotaryEmbedding(dim)
    for x, expected in zip((q, k), theirs, strict=True):
        own = tl.from_numpy(x.detach().numpy()).requires_grad_()
        out = mine(own, np.arange(40))
        np.testing.assert_allclose(out.detach().numpy(), expected.detach().numpy(), atol=1e-5)
        cotangent = torch.randn(x.shape, generator=generator)
        (gradient,) = torch.autograd.grad(expected, x, cotangent, retain_graph=True)
        out.backward(tl.from_numpy(cotangent.numpy()))
        np.testing.assert_allclose(own.grad.numpy(), gradient.numpy(), atol=1e-5)


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 500), st.integers(0, 2**32 - 1))
def test_rotary_scores_depend_on_the_distance_alone(i: int, j: int, shift: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rotary = RotaryEmbedding(8)
    q, k = (tl.tensor(rng.normal(size=(1, 1, 1, 12))) for _ in range(2))

    def score(a: int, b: int) -> float:
        return float((rotary(q, np.array([a])) * rotary(k, np.array([b]))).sum())

    assert score(i, j) == pytest.approx(score(i + shift, j + shift), abs=1e-9)


def test_rotary_keeps_lengths_and_its_gradient_is_right_to_the_second_order() -> None:
    rotary = RotaryEmbedding(4)
    x = tl.randn(2, 2, 3, 6, dtype=tl.float64, requires_grad=True, generator=tl.Generator().manual_seed(0))
    places = np.array([[0, 1, 2], [7, 3, 5]])
    cos, sin = rotary.tables(places, np.float64)
    turned = apply_rotary(x, cos, sin)
    np.testing.assert_allclose((turned * turned).sum(-1).detach().numpy(), (x * x).sum(-1).detach().numpy())
    assert tl.autograd.gradcheck(lambda t: apply_rotary(t, cos, sin) ** 3, (x,))
    assert tl.autograd.gradgradcheck(lambda t: apply_rotary(t, cos, sin) ** 3, (x,))


@pytest.mark.parametrize("dim", [0, 3, -2])
def test_rotary_needs_pairs(dim: int) -> None:
    with pytest.raises(ValueError, match="even and positive"):
        RotaryEmbedding(dim)


def test_padding_does_not_count_as_a_position() -> None:
    real = np.array([[False, False, True, True], [True, True, True, True]])
    assert positions_of(real, 4).tolist() == [[0, 0, 0, 1], [0, 1, 2, 3]]
    assert positions_of(~real, 4).ndim == 1  # padding at the end changes no position
    assert positions_of(None, 3).tolist() == [0, 1, 2]


def test_learned_positions_are_those_that_were_asked_for() -> None:
    """Also where the first and the last are as far apart as in a row without gaps."""
    learned, x = LearnedPositions(8, 4), tl.zeros(1, 4, 4)
    rows = learned.weight.detach().numpy()
    for places in ([0, 1, 2, 3], [4, 5, 6, 7], [0, 2, 1, 3], [1, 1, 4, 4], [3, 2, 1, 0], [5, 5, 5, 5]):
        np.testing.assert_array_equal(learned(x, np.array(places)).detach().numpy()[0], rows[places])
        np.testing.assert_array_equal(learned(x, np.array([places])).detach().numpy()[0], rows[places])
    with pytest.raises(IndexError, match="count from 0"):
        learned(x, np.array([-1, 0, 1, 2]))
