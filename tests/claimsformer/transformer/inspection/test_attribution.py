"""Occlusion and integrated gradients against functions whose answers are known, and the model they are made for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tensorlite as tl
from claimsformer.transformer import Transformer, TransformerConfig
from claimsformer.transformer.inspection import (
    integrated_gradients,
    occlusion,
    score_of_embeddings,
    score_of_tokens,
)


def model(**changes: Any) -> Transformer:
    values = {"vocab_size": 11, "d_model": 16, "n_heads": 4, "d_ff": 24, "init_std": 0.3, **changes}
    return Transformer(TransformerConfig(**values), seed=0).double()


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=9), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_occlusion_of_a_sum_is_its_terms(terms: list[float], batch: int, seed: int) -> None:
    present = np.random.default_rng(seed).random(len(terms)) > 0.3
    lost = occlusion(lambda views: views @ np.array(terms), present, batch)
    np.testing.assert_allclose(lost, np.where(present, terms, 0), atol=1e-9)


def test_occlusion_of_a_model_is_hiding_by_hand() -> None:
    ids = np.array([4, 2, 9, 1, 5])
    for architecture, written in (("encoder", None), ("decoder", None), ("encoder-decoder", np.array([1, 3]))):
        net = model(architecture=architecture)
        score = score_of_tokens(net, ids, target=7, target_ids=written)
        lost = occlusion(score, np.ones(5))
        whole = score(np.ones((1, 5), bool))[0]
        view = np.array([[True, True, False, True, True]])
        assert lost[2] == pytest.approx(whole - score(view)[0])
        if architecture == "encoder":  # a hidden token is as good as another token in its place
            other = score_of_tokens(net, np.array([4, 2, 0, 1, 5]), target=7)
            assert other(view)[0] == pytest.approx(score(view)[0])


def test_replacing_reaches_the_token_that_masking_cannot() -> None:
    net, ids = model(), np.array([4, 2, 9, 1, 5])
    masked = occlusion(score_of_tokens(net, ids, target=7), np.ones(5))
    replaced = occlusion(score_of_tokens(net, ids, target=7, replacement=0), np.ones(5))
    by_hand = [score_of_tokens(net, r, target=7)(np.ones((1, 5), bool))[0] for r in (ids, np.array([4, 2, 9, 1, 0]))]
    assert replaced[-1] == pytest.approx(by_hand[0] - by_hand[1])
    assert abs(replaced[-1] - masked[-1]) > 1e-6


def test_scores_of_the_wrong_shape() -> None:
    with pytest.raises(ValueError, match=r"one number a row: expected shape \(4,\), got \(4, 2\)"):
        occlusion(lambda views: np.zeros((len(views), 2)), np.ones(3))


@given(st.integers(1, 5), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_integrated_gradients_of_a_linear_score(t: int, d: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights, x, baseline = rng.normal(size=(3, t, d))
    result = integrated_gradients(lambda e: (e * tl.tensor(weights)).sum((1, 2)), x, baseline, steps=3)
    np.testing.assert_allclose(result.values, (weights * (x - baseline)).sum(1), atol=1e-9)
    assert result.gap == pytest.approx(0, abs=1e-9)


def test_integrated_gradients_of_a_product() -> None:
    """For f = x₀x₁ from 0, each factor gets half; the gradient at the input would give each of them all."""
    result = integrated_gradients(lambda e: e[:, 0, 0] * e[:, 1, 0], np.array([[3.0], [4.0]]))
    np.testing.assert_allclose(result.values, [6, 6])
    assert result.change == pytest.approx(12)


@pytest.mark.parametrize("architecture", ["encoder", "decoder"])
def test_shares_add_up_to_the_change(architecture: str) -> None:
    net = model(architecture=architecture, position="rotary")
    x = net.embedding.token(tl.tensor([4, 2, 9, 1, 5]))
    baseline = np.broadcast_to(x.detach().numpy().mean(0), x.shape)
    result = integrated_gradients(score_of_embeddings(net, target=7), x, baseline, steps=64, batch=10)
    assert abs(result.gap) < 1e-3 * abs(result.change)
    score = score_of_tokens(net, np.array([4, 2, 9, 1, 5]), target=7)(np.ones((1, 5), bool))[0]
    at_baseline = score_of_embeddings(net, target=7)(tl.tensor(baseline[None].copy())).detach().numpy()[0]
    assert result.change == pytest.approx(score - at_baseline)
