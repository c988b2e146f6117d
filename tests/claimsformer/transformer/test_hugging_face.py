"""Whole models against transformers: GPT-2, BERT, Llama, Qwen 2, Gemma and Phi, tiny and random, read from their folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from claimsformer.errors import ConfigError, ReadError
from claimsformer.transformer import Transformer, generate
from claimsformer.transformer.hugging_face import (
    config_from_hugging_face,
    from_hugging_face,
    weights_from_hugging_face,
)

from .reference import close, gradients

SIZE = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "vocab_size": 61,
    "max_position_embeddings": 40,
    "bos_token_id": None,
    "eos_token_id": None,
    "pad_token_id": None,
}
MODELS: dict[str, Any] = {
    "gpt2": lambda: transformers.GPT2LMHeadModel(
        transformers.GPT2Config(
            n_embd=32, n_layer=2, n_head=4, vocab_size=61, n_positions=40, bos_token_id=None, eos_token_id=None
        )
    ),
    "llama": lambda: transformers.LlamaForCausalLM(
        transformers.LlamaConfig(**SIZE, num_key_value_heads=2, tie_word_embeddings=True)
    ),
    "qwen2": lambda: transformers.Qwen2ForCausalLM(transformers.Qwen2Config(**SIZE, num_key_value_heads=2)),
    "gemma": lambda: transformers.GemmaForCausalLM(
        transformers.GemmaConfig(**SIZE, num_key_value_heads=1, head_dim=16)
    ),
    "phi": lambda: transformers.PhiForCausalLM(transformers.PhiConfig(**SIZE)),
    "bert": lambda: transformers.BertModel(transformers.BertConfig(**{**SIZE, "pad_token_id": 0})),
}


@pytest.fixture(scope="module", params=list(MODELS))
def models(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Any, Transformer]:
    torch.manual_seed(0)
    theirs = MODELS[request.param]()
    with torch.no_grad():
        for p in theirs.parameters():
            p.add_(torch.randn(p.shape) * 0.1)
    theirs.train(False)
    folder = tmp_path_factory.mktemp(request.param)
    theirs.save_pretrained(folder)
    return request.param, theirs, from_hugging_face(folder)


def batch() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 61, (3, 9))
    mask = np.ones((3, 9), bool)
    mask[1, :4] = False
    return ids, mask


def test_outputs_and_all_gradients(models: tuple[str, Any, Transformer]) -> None:
    kind, theirs, mine = models
    ids, mask = batch()
    places = None if kind == "bert" else torch.tensor(np.maximum(mask.cumsum(1) - 1, 0))
    result = theirs(
        torch.tensor(ids),
        attention_mask=torch.tensor(mask).long(),
        **({} if places is None else {"position_ids": places}),
    )
    expected = result.last_hidden_state if kind == "bert" else result.logits
    if kind == "bert":  # which numbers positions from the first column, padding or not
        mask[:] = True
        result = theirs(torch.tensor(ids))
        expected = result.last_hidden_state
    out = mine(ids, attention_mask=mask)
    real = torch.tensor(mask)[:, :, None]
    np.testing.assert_allclose(out.detach().numpy()[mask], expected.detach().numpy()[mask], atol=1e-5 * 10)
    cotangent = torch.randn(expected.shape, generator=torch.Generator().manual_seed(1)) * real
    theirs.zero_grad()
    mine.zero_grad()
    if kind == "bert":
        pooled = mine.pool(out)
        close(pooled, result.pooler_output, torch.float32)
        ((expected * cotangent).sum() + result.pooler_output.sum()).backward()
        ((out * cotangent.numpy()).sum() + pooled.sum()).backward()
    else:
        expected.backward(cotangent)
        (out * cotangent.numpy()).sum().backward()
    their_gradients = gradients(theirs)
    if kind == "gemma":  # a gradient has no "minus one"
        their_gradients = {k: v - 1 if "norm" in k else v for k, v in their_gradients.items()}
    mapped = weights_from_hugging_face(their_gradients, kind)
    names = {name for name, _ in mine.named_parameters()}
    assert names == set(mapped)
    for name, p in mine.named_parameters():
        layer = mapped.get(f"{name.rpartition('.')[0]}.weight", mapped[name])
        close(p.grad, mapped[name], torch.float32, name, float(np.abs(layer).max()))


@pytest.mark.parametrize("options", [{}, {"n_beams": 3, "length_penalty": 1.0}])
def test_generation(models: tuple[str, Any, Transformer], options: dict[str, Any]) -> None:
    """Greedy and beam search write what transformers writes, in a batch padded on the left."""
    kind, theirs, mine = models
    if kind == "bert":
        return
    ids, mask = batch()
    written = theirs.generate(
        torch.tensor(ids),
        attention_mask=torch.tensor(mask).long(),
        max_new_tokens=12,
        do_sample=False,
        num_beams=options.get("n_beams", 1),
        length_penalty=options.get("length_penalty", 1.0),
        pad_token_id=0,
    )
    result = generate(mine, ids, attention_mask=mask, max_new_tokens=12, **options)
    assert result.ids.tolist() == written[:, ids.shape[1] :].tolist()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "t5"}, "model_type must be one of gpt2, bert"),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 2}}, "rotary scaling"),
        ({"hidden_act": "tanh"}, "'tanh' is not supported"),
        ({"sliding_window": 8}, "sliding_window=8"),
        ({"model_type": ["llama"]}, "model_type must be one of"),
        ({"rope_scaling": "linear"}, "rope_scaling must hold"),
        ({"rope_parameters": {"full_attention": {"rope_type": "yarn"}}}, "rope_parameters must hold"),
        ({"rope_scaling": {"type": "default"}, "rope_parameters": {"rope_type": "yarn"}}, "rotary scaling"),
        ({"vocab_size": "61", "bos_token_id": 1}, "vocab_size must be a positive whole number"),
        ({"model_type": "gpt2"}, "config.json of a gpt2 must have 'n_embd'"),
        ({"model_type": "gpt2", "scale_attn_weights": False}, "scale_attn_weights"),
        ({"model_type": "gpt2", "scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx"),
        ({"model_type": "gpt2", "add_cross_attention": True}, "add_cross_attention"),
        ({"model_type": "bert", "is_decoder": True}, "is_decoder"),
        ({"model_type": "bert", "position_embedding_type": "relative_key"}, "relative_key"),
        ({"model_type": "gemma", "hidden_act": "relu"}, "'relu' is not supported in a Gemma"),
        ({"model_type": "gemma", "use_bidirectional_attention": True}, "use_bidirectional_attention"),
    ],
)
def test_what_cannot_be_built_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config_from_hugging_face({**SIZE, "model_type": "llama", **change})


def test_the_base_of_rotary_positions_under_its_older_name() -> None:
    values = {**SIZE, "model_type": "llama", "rope_scaling": {"rope_type": "default", "rope_theta": 500000.0}}
    assert config_from_hugging_face(values).rotary_base == 500000.0


@pytest.mark.parametrize(("token", "expected"), [(-1, None), (61, None), (True, None), ([3, 4], 3), ([], None), (0, 0)])
def test_ids_of_special_tokens(token: Any, expected: int | None) -> None:
    config = config_from_hugging_face({**SIZE, "model_type": "llama", "eos_token_id": token, "pad_token_id": token})
    assert (config.eos_id, config.pad_id) == (expected, expected)


def test_missing_and_misfitting_files(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match=r"config\.json"):
        from_hugging_face(tmp_path)
    theirs = MODELS["gpt2"]()
    theirs.save_pretrained(tmp_path)
    config = (tmp_path / "config.json").read_text()
    (tmp_path / "config.json").write_text(config.replace('"n_embd": 32', '"n_embd": 64'))
    with pytest.raises(ReadError, match="do not fit"):
        from_hugging_face(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(ReadError, match="cannot read the weights"):
        from_hugging_face(tmp_path)
