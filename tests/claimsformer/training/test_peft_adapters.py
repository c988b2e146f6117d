"""Adapters in peft's files for models of transformers: what peft writes is read, what is written peft reads, and what is not followed is refused."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import peft
import pytest
import torch
import transformers

from claimsformer.errors import ConfigError, ReadError
from claimsformer.training.hugging_face import load_peft_adapter, save_peft_adapter
from claimsformer.training.lora import lora_layers
from claimsformer.transformer import from_hugging_face

SIZE = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48, "vocab_size": 61,
    "max_position_embeddings": 40,
}  # fmt: skip
IDS = np.random.default_rng(0).integers(0, 61, (2, 9))


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("bases")
    ends = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None}
    torch.manual_seed(0)
    transformers.PhiForCausalLM(transformers.PhiConfig(**SIZE, **ends)).save_pretrained(folder / "phi")
    transformers.BertModel(transformers.BertConfig(**SIZE)).save_pretrained(folder / "bert")
    return {kind: folder / kind for kind in ("phi", "bert")}


def theirs(kind: str, base: Path) -> Any:
    return (transformers.AutoModelForCausalLM if kind == "phi" else transformers.AutoModel).from_pretrained(base)


def trained(kind: str, base: Path, out: Path, **options: Any) -> None:
    """An adapter of peft with random values."""
    torch.manual_seed(1)
    model = peft.get_peft_model(theirs(kind, base), peft.LoraConfig(r=4, **options))
    with torch.no_grad():
        for p in model.parameters():
            if p.requires_grad:
                p.add_(torch.randn(p.shape) * 0.2)
    model.save_pretrained(out)


def computed_by_peft(kind: str, base: Path, adapter: Path) -> Any:
    with torch.no_grad():
        return peft.PeftModel.from_pretrained(theirs(kind, base), str(adapter)).eval()(torch.tensor(IDS))[0].numpy()


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("phi", {"target_modules": ["q_proj", "v_proj"], "bias": "lora_only"}),
        ("phi", {"target_modules": ["q_proj", "v_proj"], "bias": "all", "use_rslora": True}),
        ("phi", {"target_modules": "all-linear", "task_type": "CAUSAL_LM"}),  # of which peft writes whole names
        ("phi", {"target_modules": r".*self_attn\.(q_proj|dense)"}),
        ("phi", {"target_modules": ["0.self_attn.q_proj", "model.layers.1.mlp.fc2"]}),
        ("phi", {"target_modules": ["fc1"], "init_lora_weights": "gaussian"}),
        ("bert", {"target_modules": ["dense"]}),  # four kinds of layers have this name
        ("bert", {"target_modules": ["attention.output.dense", "query"]}),
        ("bert", {"target_modules": "all-linear"}),
    ],
)
def test_both_ways(kind: str, options: dict[str, Any], bases: dict[str, Path], tmp_path: Path) -> None:
    base = bases[kind]
    trained(kind, base, tmp_path / "theirs", **options)
    wanted = computed_by_peft(kind, base, tmp_path / "theirs")
    mine = from_hugging_face(base)
    config = load_peft_adapter(mine, tmp_path / "theirs", kind)
    np.testing.assert_allclose(mine.eval()(IDS).detach().numpy(), wanted, atol=1e-5)
    save_peft_adapter(mine, config, tmp_path / "mine", kind)
    np.testing.assert_allclose(computed_by_peft(kind, base, tmp_path / "mine"), wanted, atol=1e-5)
    again = from_hugging_face(base)
    load_peft_adapter(again, tmp_path / "mine", kind)
    np.testing.assert_array_equal(again.eval()(IDS).detach().numpy(), mine(IDS).detach().numpy())


@pytest.mark.parametrize(
    "options",
    [
        {"init_lora_weights": "pissa"},  # takes its part out of the frozen weights when it is loaded
        {"init_lora_weights": "olora"},
        {"use_dora": True},
        {"modules_to_save": ["lm_head"]},
        {"rank_pattern": {"q_proj": 2}},
        {"alpha_pattern": {"q_proj": 2}},
        {"layers_to_transform": [0]},
        {"exclude_modules": ["model.layers.0.self_attn.q_proj"]},
        {"lora_bias": True},
    ],
    ids=lambda options: next(iter(options)),
)
def test_what_is_not_followed_is_refused_by_name(
    options: dict[str, Any], bases: dict[str, Path], tmp_path: Path
) -> None:
    trained("phi", bases["phi"], tmp_path, target_modules=["q_proj", "v_proj"], **options)
    model = from_hugging_face(bases["phi"])
    with pytest.raises(ConfigError, match=next(iter(options))):
        load_peft_adapter(model, tmp_path, "phi")
    assert not lora_layers(model)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"kasa_config": {"beta": 1e-4}}, ConfigError, "kasa_config"),
        ({"alora_invocation_tokens": [1]}, ConfigError, "alora_invocation_tokens"),
        ({"an_option_of_tomorrow": True}, ConfigError, "an_option_of_tomorrow"),
        ({"target_modules": 3}, ReadError, "target_modules must be names"),
        ({"target_modules": {"q_proj": 1}}, ReadError, "target_modules must be names"),
        ({"target_modules": "("}, ConfigError, "not a regular expression"),
        ({"target_modules": ["query"]}, ConfigError, "names no linear layer of a phi"),
        ({"target_modules": ["q_proj"]}, ReadError, "v_proj.*absent in the model"),
        ({"target_modules": ["q_proj", "k_proj", "v_proj"]}, ReadError, "k_proj.*absent in the file"),
        ({"r": "4"}, ConfigError, "r must be a whole number"),
        ({"r": 8}, ReadError, "does not fit the model"),
        ({"peft_type": "IA3"}, ReadError, "does not describe a LoRA adapter"),
    ],
)
def test_a_changed_configuration(
    change: dict[str, Any], error: type[Exception], message: str, bases: dict[str, Path], tmp_path: Path
) -> None:
    trained("phi", bases["phi"], tmp_path, target_modules=["q_proj", "v_proj"])
    file = tmp_path / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    model = from_hugging_face(bases["phi"])
    with pytest.raises(error, match=message):
        load_peft_adapter(model, tmp_path, "phi")
    assert not lora_layers(model)


@pytest.mark.parametrize("data", [b"", b"[1]", b"\xff\xfe", b"{"])
def test_a_damaged_configuration(data: bytes, bases: dict[str, Path], tmp_path: Path) -> None:
    trained("phi", bases["phi"], tmp_path, target_modules=["q_proj"])
    (tmp_path / "adapter_config.json").write_bytes(data)
    with pytest.raises(ReadError):
        load_peft_adapter(from_hugging_face(bases["phi"]), tmp_path, "phi")


def test_an_idle_target_in_the_file_is_said(bases: dict[str, Path], tmp_path: Path) -> None:
    """peft lets a target pass that names no layer, such as that of Phi-2's first code, and so writes it."""
    trained("phi", bases["phi"], tmp_path, target_modules=["Wqkv", "fc1"])
    model = from_hugging_face(bases["phi"])
    with pytest.warns(UserWarning, match="Wqkv, which a phi does not have"):
        load_peft_adapter(model, tmp_path, "phi")
    np.testing.assert_allclose(
        model.eval()(IDS).detach().numpy(), computed_by_peft("phi", bases["phi"], tmp_path), atol=1e-5
    )


def test_an_adapter_of_another_kind_of_model_and_a_second_one(bases: dict[str, Path], tmp_path: Path) -> None:
    trained("phi", bases["phi"], tmp_path, target_modules=["q_proj"])
    with pytest.raises(ConfigError, match="names no linear layer of a bert"):
        load_peft_adapter(from_hugging_face(bases["bert"]), tmp_path, "bert")
    model = from_hugging_face(bases["phi"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_peft_adapter(model, tmp_path, "phi")
    with pytest.raises(ConfigError, match="has LoRA adapters already"):
        load_peft_adapter(model, tmp_path, "phi")
