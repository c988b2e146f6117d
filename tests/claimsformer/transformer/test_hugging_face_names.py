"""Names on the way back: what `from_hugging_face` read can be written for transformers again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from claimsformer.errors import ConfigError
from claimsformer.transformer import Transformer, from_hugging_face
from claimsformer.transformer.hugging_face import config_from_hugging_face, weights_from_hugging_face
from claimsformer.transformer.hugging_face_names import (
    save_hugging_face,
    targets_from_hugging_face,
    targets_to_hugging_face,
    to_hugging_face,
)

from .test_hugging_face import MODELS, SIZE


@pytest.mark.parametrize("kind", ["phi", "llama", "qwen2", "gemma", "bert"])
def test_written_again(kind: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs = MODELS[kind]().eval()
    theirs.save_pretrained(tmp_path / "theirs")
    config = json.loads((tmp_path / "theirs" / "config.json").read_text())
    save_hugging_face(from_hugging_face(tmp_path / "theirs"), config, tmp_path / "again")
    again = type(theirs).from_pretrained(tmp_path / "again").eval()
    ids = torch.randint(0, 61, (2, 7))
    for name, value in theirs.state_dict().items():
        np.testing.assert_allclose(again.state_dict()[name].numpy(), value.numpy(), atol=1e-6, err_msg=name)
    with torch.no_grad():
        np.testing.assert_allclose(again(ids)[0].numpy(), theirs(ids)[0].numpy(), atol=1e-5)


@pytest.mark.parametrize("kind", ["phi", "llama", "bert"])
def test_names_are_the_inverse_of_those_that_are_read(kind: str) -> None:
    values: dict[str, Any] = {**MODELS[kind]().config.to_dict()}
    model = Transformer(config_from_hugging_face(values), seed=0)
    for name, tensor in model.state_dict().items():
        back = weights_from_hugging_face({to_hugging_face(name, kind): tensor.numpy()}, kind)
        assert list(back) == [name]


def test_targets() -> None:
    assert targets_from_hugging_face(("q_proj", "dense", "fc1"), "phi") == ("q_proj", "out_proj", "up")
    assert targets_from_hugging_face(("Wqkv", "q_proj"), "phi") == ("q_proj", "k_proj", "v_proj")
    assert targets_from_hugging_face(("o_proj", "gate_proj"), "llama") == ("out_proj", "gate")
    assert targets_to_hugging_face(("out_proj", "down"), "phi") == ("dense", "fc2")
    with pytest.raises(ConfigError, match="gate_proj"):
        targets_from_hugging_face(("gate_proj",), "phi")
    with pytest.raises(ConfigError, match="no counterpart"):
        to_hugging_face("decoder.layers.0.cross_attention.q_proj", "phi")


def test_a_configuration_of_another_model_is_refused(tmp_path: Path) -> None:
    config = transformers.PhiConfig(**SIZE).to_dict()
    model = Transformer(config_from_hugging_face(config), seed=0)
    with pytest.raises(ConfigError, match="another model"):
        save_hugging_face(model, config | {"num_hidden_layers": 3}, tmp_path)
