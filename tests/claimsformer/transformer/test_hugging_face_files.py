"""Folders as they come: weights in shards, in bfloat16 and in float16."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

import tensorlite as tl
from claimsformer.errors import ConfigError, ReadError
from claimsformer.transformer import from_hugging_face
from tensorlite import optim

from .test_hugging_face import SIZE


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_shards_and_half_precision(dtype: torch.dtype, tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs = transformers.PhiForCausalLM(transformers.PhiConfig(**SIZE)).eval().to(dtype)
    theirs.save_pretrained(tmp_path, max_shard_size="10KB")
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    assert len(set(index["weight_map"].values())) > 2
    mine = from_hugging_face(tmp_path)
    ids = torch.randint(0, 61, (2, 9))
    with torch.no_grad():  # the same numbers, computed in float32
        wanted = theirs.float()(ids).logits.numpy()
    np.testing.assert_allclose(mine(ids.numpy()).detach().numpy(), wanted, atol=1e-5)


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    theirs = transformers.PhiForCausalLM(transformers.PhiConfig(**SIZE))
    theirs.save_pretrained(tmp_path, max_shard_size="10KB")
    gone = sorted(tmp_path.glob("model-*.safetensors"))[1]
    gone.unlink()
    with pytest.raises(ReadError, match=gone.name):
        from_hugging_face(tmp_path)


def test_weights_are_pages_of_the_file_and_the_file_never_changes(tmp_path: Path) -> None:
    theirs = transformers.LlamaForCausalLM(transformers.LlamaConfig(**SIZE, tie_word_embeddings=True))
    theirs.save_pretrained(tmp_path)
    before = (tmp_path / "model.safetensors").read_bytes()
    mine, other = from_hugging_face(tmp_path), from_hugging_face(tmp_path)
    for name, p in mine.named_parameters():
        array = p.detach().numpy()
        while isinstance(array.base, np.ndarray):
            array = array.base
        assert isinstance(array, np.memmap), name
    assert mine.lm_head is not None
    assert mine.lm_head.weight is mine.embedding.token.weight  # tied, not two of them
    ids = np.arange(7)[None]
    untouched = other(ids).detach().numpy()
    mine(ids).sum().backward()
    optim.SGD(mine.parameters(), lr=1.0).step()
    assert not np.allclose(mine(ids).detach().numpy(), untouched)
    np.testing.assert_array_equal(other(ids).detach().numpy(), untouched)
    assert (tmp_path / "model.safetensors").read_bytes() == before


def test_loading_draws_nothing_at_random(tmp_path: Path) -> None:
    transformers.PhiForCausalLM(transformers.PhiConfig(**SIZE)).save_pretrained(tmp_path)
    state = tl.get_rng_state().numpy().tobytes()
    from_hugging_face(tmp_path)
    assert tl.get_rng_state().numpy().tobytes() == state


def saved(theirs: Any, folder: Path) -> Any:
    torch.manual_seed(0)
    with torch.no_grad():
        for p in theirs.parameters():
            p.add_(torch.randn(p.shape) * 0.1)
    theirs.eval().save_pretrained(folder)
    return theirs


def rewrite(folder: Path, change: Callable[[dict[str, torch.Tensor]], Any]) -> None:
    tensors = load_file(folder / "model.safetensors")
    save_file(change(tensors) or tensors, folder / "model.safetensors", {"format": "pt"})


@pytest.mark.parametrize("data", [b"", b"[1]", b"\xff\xfe", b"{", b'"llama"'])
@pytest.mark.parametrize("file", ["config.json", "model.safetensors.index.json"])
def test_damaged_json_is_a_read_error(file: str, data: bytes, tmp_path: Path) -> None:
    theirs = transformers.LlamaForCausalLM(transformers.LlamaConfig(**SIZE))
    theirs.save_pretrained(tmp_path, max_shard_size="10KB")
    (tmp_path / file).write_bytes(data)
    with pytest.raises(ReadError, match=file.replace(".", r"\.")):
        from_hugging_face(tmp_path)


@pytest.mark.parametrize("places", [None, [], {"x": 1}, {"x": "../elsewhere.safetensors"}])
def test_an_index_must_name_files_of_the_folder(places: Any, tmp_path: Path) -> None:
    transformers.LlamaForCausalLM(transformers.LlamaConfig(**SIZE)).save_pretrained(tmp_path, max_shard_size="10KB")
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    with pytest.raises(ReadError, match="weight_map"):
        from_hugging_face(tmp_path)


def test_shards_that_contradict_their_index_are_refused(tmp_path: Path) -> None:
    transformers.LlamaForCausalLM(transformers.LlamaConfig(**SIZE)).save_pretrained(tmp_path, max_shard_size="10KB")
    index = tmp_path / "model.safetensors.index.json"
    places = json.loads(index.read_text())["weight_map"]
    name, other = "model.norm.weight", next(f for f in places.values() if f != places["model.norm.weight"])
    save_file({**load_file(tmp_path / other), name: torch.zeros(32)}, tmp_path / other, {"format": "pt"})
    with pytest.raises(ReadError, match=f"{name} is in .* too"):
        from_hugging_face(tmp_path)
    index.write_text(json.dumps({"weight_map": {**places, name: other, "model.more.weight": other}}))
    with pytest.raises(ReadError, match="unlike its index says"):
        from_hugging_face(tmp_path)


def test_one_whole_file_goes_before_an_index(tmp_path: Path) -> None:
    """As in transformers: an index may be left over from an earlier save."""
    saved(transformers.LlamaForCausalLM(transformers.LlamaConfig(**SIZE)), tmp_path)
    without = from_hugging_face(tmp_path).state_dict()
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"x": "old.safetensors"}}))
    beside = from_hugging_face(tmp_path).state_dict()
    assert list(beside) == list(without)
    assert all(np.array_equal(beside[name].numpy(), without[name].numpy()) for name in without)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.update({"model.layers.0.mlp.up_proj.weight": torch.ones(48, 32, dtype=torch.int8)}), "quantised"),
        (lambda t: t.update({"model.layers.0.self_attn.o_proj.bias": torch.ones(32)}), "no place for .*out_proj.bias"),
        (lambda t: t.update({"model.layers.2.mlp.up_proj.weight": torch.ones(48, 32)}), "no place for .*layers.2"),
        (lambda t: t.update({"lm_head.bias": torch.ones(61)}), "no place for lm_head.bias"),
        (lambda t: {n: v for n, v in t.items() if "layers.1" not in n}, "Missing key"),
    ],
)
def test_weights_that_would_be_lost_or_misread_are_refused(change: Any, message: str, tmp_path: Path) -> None:
    saved(transformers.LlamaForCausalLM(transformers.LlamaConfig(**SIZE)), tmp_path)
    rewrite(tmp_path, change)
    with pytest.raises(ReadError, match=message):
        from_hugging_face(tmp_path)


def test_buffers_of_older_versions_are_left_out(tmp_path: Path) -> None:
    theirs = saved(transformers.LlamaForCausalLM(transformers.LlamaConfig(**SIZE)), tmp_path)
    rewrite(tmp_path, lambda t: t.update({"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4)}))
    ids = torch.arange(7)[None]
    with torch.no_grad():
        np.testing.assert_allclose(
            from_hugging_face(tmp_path)(ids.numpy()).detach().numpy(), theirs(ids).logits, atol=1e-5
        )


def test_a_tied_model_with_an_output_layer_of_its_own_is_refused(tmp_path: Path) -> None:
    saved(transformers.LlamaForCausalLM(transformers.LlamaConfig(**SIZE, tie_word_embeddings=True)), tmp_path)
    rewrite(tmp_path, lambda t: t.update({"lm_head.weight": t["model.embed_tokens.weight"].clone()}))
    from_hugging_face(tmp_path)  # the same numbers twice
    rewrite(tmp_path, lambda t: t.update({"lm_head.weight": torch.randn(61, 32)}))
    with pytest.raises(ReadError, match="weights of its own"):
        from_hugging_face(tmp_path)


def test_a_gpt2_whose_output_layer_is_not_the_embedding(tmp_path: Path) -> None:
    config = transformers.GPT2Config(
        n_embd=32, n_layer=2, n_head=4, vocab_size=61, n_positions=40, tie_word_embeddings=False, bos_token_id=None, eos_token_id=None
    )  # fmt: skip
    theirs = saved(transformers.GPT2LMHeadModel(config), tmp_path)
    ids = torch.arange(7)[None]
    with torch.no_grad():
        np.testing.assert_allclose(
            from_hugging_face(tmp_path)(ids.numpy()).detach().numpy(), theirs(ids).logits, atol=1e-5
        )


def test_a_bert_as_the_first_checkpoints_named_it_and_without_pooler(tmp_path: Path) -> None:
    """gamma and beta for the weights of norms; under a head for masked words there is no pooler."""
    config = transformers.BertConfig(**{**SIZE, "pad_token_id": 0})
    theirs = saved(transformers.BertForMaskedLM(config), tmp_path)
    old = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
    rewrite(
        tmp_path,
        lambda t: {n.replace(*next(((a, b) for a, b in old.items() if a in n), ("", ""))): v for n, v in t.items()},
    )
    mine = from_hugging_face(tmp_path)
    assert not mine.config.pooler
    ids = torch.arange(7)[None]
    with torch.no_grad():
        wanted = theirs.bert(ids).last_hidden_state.numpy()
    np.testing.assert_allclose(mine(ids.numpy()).detach().numpy(), wanted, atol=1e-5)


def test_quantised_models_are_refused_by_their_configuration(tmp_path: Path) -> None:
    saved(transformers.LlamaForCausalLM(transformers.LlamaConfig(**SIZE)), tmp_path)
    values = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(values | {"quantization_config": {"quant_method": "fp8"}}))
    with pytest.raises(ConfigError, match="quantization_config"):
        from_hugging_face(tmp_path)
