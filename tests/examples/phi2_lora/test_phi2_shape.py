"""Phi-2's real shape on the meta device: how many parameters learn, for every usual list of targets and rank."""

from __future__ import annotations

from typing import Any

import peft
import pytest
import torch
import transformers

from claimsformer.transformer.hugging_face import config_from_hugging_face
from claimsformer.transformer.hugging_face_names import targets_from_hugging_face
from examples.phi2_lora import real_layer

TOTAL = 2_779_683_840  # the checkpoint's index says 11,118,735,360 bytes of float32
#: Trainable parameters at rank 1; they grow with the rank.
AT_RANK_1 = {
    ("fc1", "fc2"): 819_200,
    ("q_proj", "k_proj", "v_proj", "fc1", "fc2"): 1_310_720,
    ("q_proj", "v_proj"): 327_680,
    ("q_proj", "k_proj", "v_proj", "dense"): 655_360,
    ("q_proj", "k_proj", "v_proj", "dense", "fc1", "fc2"): 1_474_560,
    ("q_proj", "v_proj", "fc1", "fc2"): 1_146_880,
}


def phi2() -> Any:
    config = transformers.PhiConfig(
        vocab_size=51200,
        hidden_size=2560,
        intermediate_size=10240,
        num_hidden_layers=32,
        num_attention_heads=32,
        partial_rotary_factor=0.4,
        max_position_embeddings=2048,
    )
    with torch.device("meta"):
        return transformers.PhiForCausalLM(config)


@pytest.fixture(scope="module")
def model() -> Any:
    return phi2()


def test_parameters_of_the_model(model: Any) -> None:
    assert sum(p.numel() for p in model.parameters()) == TOTAL


@pytest.mark.parametrize("targets", list(AT_RANK_1), ids="+".join)
@pytest.mark.parametrize("r", [1, 8])
def test_trainable_parameters_of_peft(model: Any, targets: tuple[str, ...], r: int) -> None:
    with torch.device("meta"):
        adapted = peft.get_peft_model(model, peft.LoraConfig(r=r, target_modules=list(targets), task_type="CAUSAL_LM"))
    trainable, total = adapted.get_nb_trainable_parameters()
    adapted.unload()
    assert (trainable, total - trainable) == (r * AT_RANK_1[targets], TOTAL)


@pytest.mark.parametrize("targets", list(AT_RANK_1), ids="+".join)
def test_trainable_parameters_by_the_shapes_of_our_configuration(model: Any, targets: tuple[str, ...]) -> None:
    config = config_from_hugging_face(model.config.to_dict())
    d, f = config.d_model, config.feed_forward_width
    cost = {"q_proj": 2 * d, "k_proj": 2 * d, "v_proj": 2 * d, "out_proj": 2 * d, "up": d + f, "down": d + f}
    mine = config.n_layers * sum(cost[name] for name in targets_from_hugging_face(targets, "phi"))
    assert mine == AT_RANK_1[targets]
    assert config.rotary_dim == 32


def test_the_old_fused_matrix_costs_less() -> None:
    fused = 32 * ((2560 + 7680) + 2 * (2560 + 10240))
    assert fused == 1_146_880
    with pytest.warns(UserWarning, match="Wqkv"):
        assert targets_from_hugging_face(("Wqkv", "fc1", "fc2"), "phi") == ("q_proj", "k_proj", "v_proj", "up", "down")


def test_one_layer_in_both_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    small = transformers.PhiConfig(hidden_size=160, intermediate_size=640, num_attention_heads=4, num_hidden_layers=1, partial_rotary_factor=0.4)  # fmt: skip
    monkeypatch.setattr(real_layer, "phi2_config", lambda: small)
    rows = real_layer.compare((1, 9), repeats=1)
    assert [row["tokens"] for row in rows] == [1, 9]
    assert all(row["difference"] < 5e-6 for row in rows)
    assert all(row[name] > 0 for row in rows for name in ("torch_ms", "tensorlite_ms"))
