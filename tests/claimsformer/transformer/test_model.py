"""Configuration, the three architectures, masks, tying, initialisation, and folders."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tensorlite as tl
from claimsformer.errors import ConfigError, ReadError, WriteError
from claimsformer.transformer import Transformer, TransformerConfig

ARCHITECTURES = ["encoder", "decoder", "encoder-decoder"]


def config(**changes: Any) -> TransformerConfig:
    return TransformerConfig(
        **{"vocab_size": 13, "d_model": 16, "n_heads": 4, "d_ff": 20, "max_length": 12, "init_std": 0.3, **changes}
    )


def ids(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 13, shape)


def run(model: Transformer, tokens: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    both = model.config.architecture == "encoder-decoder"
    with tl.no_grad():
        out = (
            model(tokens, tokens, attention_mask=mask, target_mask=mask) if both else model(tokens, attention_mask=mask)
        )
    return out.numpy()


# -- what a model computes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("position", ["sinusoidal", "learned", "rotary", "none"])
def test_padding_anywhere_changes_nothing(architecture: str, position: str) -> None:
    """A sequence alone, padded on the right, padded on the left: the same vectors for its real tokens."""
    model = Transformer(config(architecture=architecture, position=position), seed=0).double()
    tokens = ids(1, 5)
    alone = run(model, tokens)
    for pad_left in (0, 3):
        padded = np.concatenate([ids(1, pad_left, seed=1), tokens, ids(1, 3 - pad_left, seed=2)], 1)
        mask = np.zeros((1, 8), bool)
        mask[:, pad_left : pad_left + 5] = True
        batch, masks = np.concatenate([padded, ids(1, 8)]), np.concatenate([mask, np.ones((1, 8), bool)])
        out = run(model, batch, masks)
        np.testing.assert_allclose(out[0, pad_left : pad_left + 5], alone[0], atol=1e-10)
        np.testing.assert_allclose(out[1], run(model, ids(1, 8))[0], atol=1e-10)


@pytest.mark.parametrize("position", ["sinusoidal", "learned", "rotary", "none"])
def test_a_decoder_does_not_see_the_future(position: str) -> None:
    model = Transformer(config(position=position), seed=0).double()
    a = ids(2, 8)
    b = a.copy()
    b[:, 5:] = ids(2, 3, seed=9)
    np.testing.assert_allclose(run(model, a)[:, :5], run(model, b)[:, :5], atol=1e-12)
    assert np.abs(run(model, a)[:, 5:] - run(model, b)[:, 5:]).max() > 1e-3


def test_without_positions_an_encoder_treats_its_tokens_as_a_set() -> None:
    model = Transformer(config(architecture="encoder", position="none"), seed=0).double()
    tokens, order = ids(1, 7), np.random.default_rng(3).permutation(7)
    np.testing.assert_allclose(run(model, tokens)[:, order], run(model, tokens[:, order]), atol=1e-10)
    placed = Transformer(config(architecture="encoder", position="sinusoidal"), seed=0).double()
    assert np.abs(run(placed, tokens)[:, order] - run(placed, tokens[:, order])).max() > 1e-3


def test_embeddings_in_place_of_ids_and_token_types() -> None:
    model = Transformer(config(architecture="encoder", n_types=2), seed=0).double()
    tokens = ids(2, 5)
    embedded = model.embedding.token(tl.tensor(tokens))
    np.testing.assert_allclose(model(embeddings=embedded).detach().numpy(), model(tokens).detach().numpy())
    np.testing.assert_allclose(
        model(tokens, type_ids=np.zeros((2, 5), int)).detach().numpy(), model(tokens).detach().numpy()
    )
    assert np.abs((model(tokens, type_ids=np.ones((2, 5), int)) - model(tokens)).detach().numpy()).max() > 1e-3


def test_scaled_embeddings() -> None:
    plain, scaled = (Transformer(config(scale_embeddings=s, position="none"), seed=0).double() for s in (False, True))
    tokens = ids(1, 3)
    a, b = (m.embedding(tl.tensor(tokens), np.arange(3)).detach().numpy() for m in (plain, scaled))
    np.testing.assert_allclose(b, a * 4)


def test_every_parameter_gets_a_gradient() -> None:
    for architecture in ARCHITECTURES:
        model = Transformer(
            config(architecture=architecture, n_types=2, embedding_norm=True, tie_weights=False), seed=0
        )
        tokens = ids(2, 12)
        out = model(tokens, tokens, type_ids=tokens % 2) if "-" in architecture else model(tokens, type_ids=tokens % 2)
        (out * tl.randn(*out.shape)).sum().backward()
        missing = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.numpy().any()]
        assert missing == [n for n in missing if n.endswith("k_proj.bias")]  # whose gradient is 0 but for rounding


@pytest.mark.parametrize(
    ("architecture", "call", "message"),
    [
        ("decoder", lambda m: m(ids(4)), r"must be \(B, T\), got \(4,\)"),
        ("decoder", lambda m: m(ids(1, 4), attention_mask=np.ones((1, 3))), r"\(1, 4\).*got \(1, 3\)"),
        ("decoder", lambda m: m(ids(1, 4), ids(1, 4)), "target_ids are for an encoder-decoder"),
        ("decoder", lambda m: m.encode(ids(1, 4)), "no encoder"),
        ("encoder", lambda m: m.decode(ids(1, 4)), "no decoder"),
        ("encoder", lambda m: m.new_cache(), "no decoder"),
        ("encoder-decoder", lambda m: m(ids(1, 4)), "needs target_ids"),
        ("encoder", lambda m: m.pool(m.encode(ids(1, 4))), "pooler=True"),
        ("encoder", lambda m: m(), "either ids"),
    ],
)
def test_misuse_is_explained(architecture: str, call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(Transformer(config(architecture=architecture), seed=0))


def test_ids_that_are_not_integers() -> None:
    with pytest.raises(TypeError, match="integers, got float64"):
        Transformer(config(), seed=0)(np.ones((1, 3)))


def test_longer_than_learned_positions() -> None:
    with pytest.raises(IndexError, match="max_length=12"):
        Transformer(config(), seed=0)(ids(1, 13))


# -- weights ----------------------------------------------------------------------------------------------------------


def test_tied_weights_are_one_parameter() -> None:
    model = Transformer(config(), seed=0)
    assert model.lm_head is not None
    assert model.lm_head.weight is model.embedding.token.weight
    assert "lm_head.weight" not in dict(model.named_parameters())
    both = Transformer(config(architecture="encoder-decoder", tie_embeddings=True), seed=0)
    assert both.lm_head is not None
    assert both.lm_head.weight is both.embedding.token.weight is both.target_embedding.token.weight
    free = Transformer(config(tie_weights=False), seed=0)
    assert free.lm_head is not None
    assert free.lm_head.weight is not free.embedding.token.weight


def test_the_gradient_of_a_tied_matrix_is_the_sum_of_both_uses() -> None:
    tied = Transformer(config(), seed=0).double()
    free = Transformer(config(tie_weights=False), seed=1).double()
    weights = dict(tied.state_dict())
    free.load_state_dict(weights)
    cotangent = tl.randn(2, 5, 13, dtype=tl.float64, generator=tl.Generator().manual_seed(0))
    for model in (tied, free):
        model(ids(2, 5)).backward(cotangent)
    assert free.lm_head is not None
    total = free.embedding.token.weight.grad + free.lm_head.weight.grad
    np.testing.assert_allclose(tied.embedding.token.weight.grad.numpy(), total.numpy(), atol=1e-12)


@given(st.integers(0, 2**31))
def test_same_seed_same_weights_and_nothing_else_moves(seed: int) -> None:
    tl.manual_seed(5)
    before = tl.get_rng_state().numpy().tobytes()
    a, b = Transformer(config(), seed=seed), Transformer(config(), seed=seed)
    assert tl.get_rng_state().numpy().tobytes() == before
    for name, value in a.state_dict().items():
        assert value.numpy().tobytes() == b.state_dict()[name].numpy().tobytes()
    other = Transformer(config(), seed=seed + 1)
    assert (other.embedding.token.weight.detach().numpy() != a.embedding.token.weight.detach().numpy()).any()


def test_initialisations() -> None:
    big: dict[str, Any] = {"d_model": 64, "n_layers": 8, "d_ff": 256, "vocab_size": 200, "pad_id": 3}
    normal = Transformer(config(**big, init_std=0.02), seed=0)
    assert normal.decoder is not None
    layer = normal.decoder.layers[0]
    assert layer.self_attention.q_proj.weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert layer.feed_forward.down.weight.std().item() == pytest.approx(0.02 / math.sqrt(16), rel=0.05)
    assert layer.self_attention.out_proj.weight.std().item() == pytest.approx(0.02 / math.sqrt(16), rel=0.05)
    assert not layer.feed_forward.up.bias.detach().numpy().any()
    assert not normal.embedding.token.weight.detach().numpy()[3].any()
    plain = Transformer(config(**big, init_std=0.02, residual_scaling=False), seed=0)
    assert plain.decoder is not None
    assert plain.decoder.layers[0].feed_forward.down.weight.std().item() == pytest.approx(0.02, rel=0.05)
    xavier = Transformer(config(**big, initialization="xavier"), seed=0)
    assert xavier.decoder is not None
    bound = math.sqrt(6 / (64 + 256))
    up = xavier.decoder.layers[0].feed_forward.up.weight.detach().numpy()
    assert np.abs(up).max() == pytest.approx(bound, rel=0.01)
    assert xavier.embedding.token.weight.std().item() == pytest.approx(1 / 8, rel=0.05)
    default = Transformer(config(**big, initialization="default"), seed=0)
    assert default.decoder is not None
    assert default.decoder.layers[0].feed_forward.up.bias.detach().numpy().any()


# -- configuration ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": "both"}, "architecture must be one of encoder, decoder, encoder-decoder, got 'both'"),
        ({"d_model": 18}, "d_model=18 must be a multiple of n_heads=4"),
        ({"n_kv_heads": 3}, "multiple of n_kv_heads=3"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\), got 1.0"),
        ({"n_layers": 0}, "n_layers must be a positive whole number"),
        ({"position": "rotary", "rotary_fraction": 0.3}, "must be even"),
        ({"position": "rotary", "rotary_fraction": 1.5}, r"in \(0, 1\]"),
        ({"pad_id": 13}, "pad_id must be an id of the vocabulary of 13, got 13"),
        ({"parallel_residual": True, "norm_position": "post"}, "parallel_residual needs"),
        (
            {"architecture": "encoder-decoder", "tie_embeddings": True, "target_vocab_size": 9},
            "tie_embeddings needs one vocabulary",
        ),
    ],
)
def test_configurations_that_cannot_be(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config(**changes)


@pytest.mark.parametrize("name", ["vocab_size", "d_model", "n_layers", "n_heads", "max_length", "target_vocab_size",
                                  "n_decoder_layers", "n_kv_heads", "head_dim", "d_ff"])  # fmt: skip
@pytest.mark.parametrize("value", [0, -1, 1.5, 8.0, "8", True])
def test_counts_are_positive_whole_numbers(name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"{name} must be a positive whole number, got"):
        config(**{name: value})


@pytest.mark.parametrize(
    "changes",
    [
        {"dropout": "a"},
        {"norm_eps": math.inf},
        {"norm_eps": math.nan},
        {"n_types": -1},
        {"pad_id": 1.5},
        {"pad_id": 9, "target_vocab_size": 9, "architecture": "encoder-decoder"},
    ],
)
def test_numbers_out_of_range_name_the_field(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(changes))):
        config(**changes)


def test_configuration_round_trip_and_unknown_fields(tmp_path: Path) -> None:
    original = config(position="rotary", activation="swiglu", n_kv_heads=2, eos_id=2)
    original.save(tmp_path / "config.json")
    assert TransformerConfig.load(tmp_path / "config.json") == original
    with pytest.raises(ConfigError, match="unknown field 'n_head'; did you mean 'n_heads'"):
        TransformerConfig.from_dict({"vocab_size": 3, "n_head": 4})
    with pytest.raises(ConfigError, match="vocab_size is missing"):
        TransformerConfig.from_dict({})


def test_inputs_that_do_not_fit_are_refused_instead_of_stretched() -> None:
    for position in ("learned", "sinusoidal", "rotary"):
        model = Transformer(config(position=position), seed=0)
        for places in (np.array([4]), np.arange(5), np.array([-1, 0, 1]), np.array([0.0, 1.0, 2.0])):
            with pytest.raises(ValueError, match="positions must be"):
                model(ids(2, 3), positions=places)
    for mask in ([[0.0, -1e9, -1e9]] * 2, [[math.nan, 1, 1]] * 2, [[2, 1, 1]] * 2):
        with pytest.raises(ValueError, match="a mask must be boolean"):
            model(ids(2, 3), attention_mask=mask)
        with pytest.raises(ValueError, match="attention_mask must be 1 or 0"):
            model.generate(ids(2, 3), attention_mask=mask)
    with pytest.raises(ValueError, match="no token types"):
        model(ids(2, 3), type_ids=ids(2, 3))
    with tl.no_grad():
        cache = model.new_cache()
        model.decode(ids(2, 3), cache=cache)
        with pytest.raises(ValueError, match="holds 2 rows and got tokens for 1"):
            model.decode(ids(1, 1), cache=cache)


def test_every_field_is_explained() -> None:
    doc = TransformerConfig.__doc__ or ""
    assert [f.name for f in dataclasses.fields(TransformerConfig) if f.name not in doc] == [
        "pad_id",
        "bos_id",
        "eos_id",
    ]


# -- folders ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("tied", [True, False])
def test_saved_and_loaded_is_the_same_model(architecture: str, tied: bool, tmp_path: Path) -> None:
    model = Transformer(config(architecture=architecture, tie_weights=tied, tie_embeddings=tied, dropout=0.1), seed=0)
    model.save_pretrained(tmp_path / "model")
    loaded = Transformer.from_pretrained(tmp_path / "model")
    assert not loaded.training
    assert loaded.config == model.config
    np.testing.assert_array_equal(run(model.eval(), ids(2, 6)), run(loaded, ids(2, 6)))
    if tied:
        assert loaded.lm_head is not None
        assert loaded.lm_head.weight is loaded.output_embedding.token.weight


def test_the_file_is_read_by_safetensors(tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors.numpy")
    model = Transformer(config(), seed=0)
    model.save_pretrained(tmp_path)
    theirs = safetensors.load_file(tmp_path / "model.safetensors")
    assert set(theirs) == {name for name, _ in model.named_parameters()}  # a shared matrix once
    for name, p in model.named_parameters():
        np.testing.assert_array_equal(theirs[name], p.detach().numpy())


def test_same_model_same_bytes(tmp_path: Path) -> None:
    for name in "ab":
        Transformer(config(), seed=3).save_pretrained(tmp_path / name)
    for file in ("config.json", "model.safetensors"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_faulty_folders(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match=r"config.json is not in"):
        Transformer.from_pretrained(tmp_path)
    Transformer(config(), seed=0).save_pretrained(tmp_path)
    weights = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(weights[:-10])
    with pytest.raises(ReadError, match="cut off"):
        Transformer.from_pretrained(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(weights)
    values = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**values, "d_ff": 24}))
    with pytest.raises(ReadError, match=r"does not fit its config.json(.|\n)*size mismatch"):
        Transformer.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ReadError, match="is not JSON"):
        Transformer.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(ReadError, match="JSON object, got list"):
        Transformer.from_pretrained(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    config().save(tmp_path / "config.json")
    with pytest.raises(ReadError, match=r"model.safetensors is not in"):
        Transformer.from_pretrained(tmp_path)


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError, match="cannot save the model in"):
        Transformer(config(), seed=0).save_pretrained(tmp_path / "file" / "model")
