"""Schedules as formulas; which parameters learn, decay, and at what rate."""

from __future__ import annotations

import numpy as np
import pytest
import transformers
from hypothesis import given
from hypothesis import strategies as st

import tensorlite as tl
from claimsformer.errors import ConfigError
from claimsformer.training import (
    constant,
    cosine,
    count_parameters,
    freeze,
    linear,
    make_schedule,
    noam,
    parameter_groups,
    unfreeze,
)
from claimsformer.transformer import Transformer, TransformerConfig
from tensorlite import nn, optim


@given(st.integers(1, 40), st.integers(1, 60))
def test_linear_and_cosine_are_transformers_one_step_on(warmup: int, rest: int) -> None:
    """transformers begins its warmup with a rate of 0, which wastes the first update; from then on they are the same."""
    total = warmup + rest
    p = tl.zeros(1).requires_grad_()
    for ours, name in ((linear, "get_linear_schedule_with_warmup"), (cosine, "get_cosine_schedule_with_warmup")):
        import torch

        reference = getattr(transformers, name)(
            torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0), warmup, total
        ).lr_lambdas[0]
        factor = ours(total, warmup)
        assert [factor(s) for s in range(warmup)] == pytest.approx([reference(s + 1) for s in range(warmup)])
        assert [factor(s) for s in range(warmup, total)] == pytest.approx([reference(s) for s in range(warmup, total)])
        assert factor(total) == pytest.approx(0, abs=1e-12)
    assert optim.SGD([p], lr=1.0)


@given(st.integers(1, 512), st.integers(1, 300))
def test_noam_rises_to_its_peak_at_the_end_of_the_warmup(d_model: int, warmup: int) -> None:
    factors = [noam(d_model, warmup)(s) for s in range(3 * warmup)]
    assert int(np.argmax(factors)) == warmup - 1
    assert max(factors) == pytest.approx((d_model * warmup) ** -0.5)


def test_a_warmup_may_be_a_share_of_the_run_and_names_are_checked() -> None:
    assert make_schedule("cosine", 100, 0.1)(9) == 1.0
    assert make_schedule("linear", 100, 10, final=0.2)(100) == pytest.approx(0.2)
    assert constant(4)(0) == 0.25
    with pytest.raises(ConfigError, match="one of constant, linear"):
        make_schedule("exponential", 10)
    with pytest.raises(ConfigError, match="warmup"):
        make_schedule("linear", 10, -1)
    with pytest.raises(ConfigError, match="d_model"):
        make_schedule("noam", 10)


class Tower(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(7, 4)
        self.layers = nn.ModuleList([nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 4)) for _ in range(3)])
        self.head = nn.Linear(4, 2)


def test_decay_skips_biases_and_norms() -> None:
    groups = parameter_groups(Tower(), 1e-3, 0.1)
    names = {group["weight_decay"]: group["param_names"] for group in groups}
    assert names[0.1] == ["embedding.weight", *(f"layers.{i}.1.weight" for i in range(3)), "head.weight"]
    assert sorted(names[0.0]) == sorted(
        [f"layers.{i}.{n}" for i in range(3) for n in ("0.weight", "0.bias", "1.bias")] + ["head.bias"]
    )


def test_rates_fall_from_the_head_downwards() -> None:
    groups = parameter_groups(Tower(), 1.0, layer_decay=0.5, rates={"head.bias": 9.0})
    rate = {name: group["lr"] for group in groups for name in group["param_names"]}
    assert rate["head.weight"] == 1.0
    assert rate["head.bias"] == 9.0
    assert [rate[f"layers.{i}.1.weight"] for i in range(3)] == [0.125, 0.25, 0.5]
    assert rate["embedding.weight"] == 0.0625


def test_freezing_by_name() -> None:
    model = Tower()
    assert count_parameters(model).trainable == count_parameters(model).total == 28 + 3 * 28 + 10
    frozen = freeze(model, "embedding", "layers.0", "layers.1.*")
    assert frozen[0] == "embedding.weight"
    assert len(frozen) == 9
    assert str(count_parameters(model)) == "trainable params: 38 || all params: 122 || trainable%: 31.1475"
    assert {n for g in parameter_groups(model, 1.0) for n in g["param_names"]}.isdisjoint(frozen)
    unfreeze(model, "layers.?.1.weight")
    assert count_parameters(model).trainable == 38 + 32
    with pytest.raises(ConfigError, match=r"no parameter is named 'encoder'"):
        freeze(model, "encoder")
    with pytest.raises(ConfigError, match=r"nearest are .*embedding.weight"):
        unfreeze(model, "embeding.weight")
    freeze(model)
    with pytest.raises(ConfigError, match="all are frozen"):
        parameter_groups(model, 1.0)


def test_a_tied_parameter_answers_to_each_of_its_names() -> None:
    model = Transformer(TransformerConfig(vocab_size=9, d_model=8, n_heads=2, n_layers=1), seed=0)
    table = model.embedding.token.weight
    assert model.lm_head is not None
    assert model.lm_head.weight is table
    freeze(model)
    assert unfreeze(model, "lm_head") == ["lm_head.weight"]
    assert table.requires_grad
    unfreeze(model)
    groups = parameter_groups(model, 1.0, rates={"lm_head": 0.25})
    (slow,) = (group for group in groups if group["lr"] == 0.25)
    assert [p is table for p in slow["params"]] == [True]
    assert sum(len(group["params"]) for group in groups) == len(list(model.parameters()))
