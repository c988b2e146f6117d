"""Counts against the models built, published parameter counts, torch's flop counter, and LoRA tables."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from claimsformer.transformer import Transformer, TransformerConfig
from claimsformer.transformer.counts import (
    count_flops,
    count_lora_parameters,
    count_parameters,
    key_value_cache_bytes,
    training_flops,
)
from claimsformer.transformer.hugging_face import config_from_hugging_face


def gpt2(d: int, layers: int, heads: int) -> dict[str, Any]:
    return {
        "model_type": "gpt2", "vocab_size": 50257, "n_embd": d, "n_layer": layers, "n_head": heads, "n_positions": 1024,
    }  # fmt: skip


def hf(kind: str, vocab: int, d: int, layers: int, heads: int, ff: int, kv: int | None = None, **more: Any) -> Any:
    return {
        "model_type": kind, "vocab_size": vocab, "hidden_size": d, "num_hidden_layers": layers, "intermediate_size": ff,
        "num_attention_heads": heads, "num_key_value_heads": kv or heads, "max_position_embeddings": 512, **more,
    }  # fmt: skip


PHI_2 = hf("phi", 51200, 2560, 32, 32, 10240, partial_rotary_factor=0.4)
LLAMA_3_8B = hf("llama", 128256, 4096, 32, 32, 14336, 8)
#: Parameters of published models, as torch counts them on its meta device.
PUBLISHED = [
    (gpt2(768, 12, 12), 124_439_808),
    (gpt2(1024, 24, 16), 354_823_168),
    (gpt2(1280, 36, 20), 774_030_080),
    (gpt2(1600, 48, 25), 1_557_611_200),
    (hf("bert", 30522, 768, 12, 12, 3072), 109_482_240),
    (hf("bert", 30522, 384, 6, 12, 1536), 22_713_216),
    (hf("llama", 32000, 4096, 32, 32, 11008), 6_738_415_616),
    (hf("llama", 32000, 5120, 40, 40, 13824), 13_015_864_320),
    (hf("llama", 32000, 8192, 80, 64, 28672, 8), 68_976_648_192),
    (LLAMA_3_8B, 8_030_261_248),
    (hf("llama", 128256, 8192, 80, 64, 28672, 8), 70_553_706_496),
    (hf("llama", 128256, 16384, 126, 128, 53248, 8), 405_853_388_800),
    (hf("mistral", 32000, 4096, 32, 32, 14336, 8), 7_241_732_096),
    (hf("phi", 51200, 2048, 24, 32, 8192), 1_418_270_720),
    (PHI_2, 2_779_683_840),
    (hf("llama", 32064, 3072, 32, 32, 8192), 3_821_079_552),  # Phi-3-mini has a Llama's matrices, some of them stacked
    (hf("qwen2", 151936, 896, 24, 14, 4864, 2, tie_word_embeddings=True), 494_032_768),
    (hf("qwen2", 152064, 3584, 28, 28, 18944, 4), 7_615_616_512),
    (hf("gemma", 256000, 2048, 18, 8, 16384, 1, head_dim=256), 2_506_172_416),
    (hf("gemma", 256000, 3072, 28, 16, 24576, 16, head_dim=256), 8_537_680_896),
    (hf("llama", 49152, 576, 30, 9, 1536, 3, tie_word_embeddings=True), 134_515_008),
]


@pytest.mark.parametrize(("config", "published"), PUBLISHED, ids=[f"{n:,}" for _, n in PUBLISHED])
def test_published_models(config: dict[str, Any], published: int) -> None:
    assert count_parameters(config_from_hugging_face(config))["total"] == published


configs = st.builds(
    TransformerConfig,
    vocab_size=st.integers(3, 9),
    architecture=st.sampled_from(["encoder", "decoder", "encoder-decoder"]),
    target_vocab_size=st.none() | st.integers(3, 9),
    d_model=st.sampled_from([8, 16]),
    n_layers=st.integers(1, 3),
    n_decoder_layers=st.none() | st.integers(1, 3),
    n_heads=st.just(4),
    n_kv_heads=st.sampled_from([None, 1, 2]),
    head_dim=st.sampled_from([None, 6]),
    d_ff=st.none() | st.integers(3, 9),
    activation=st.sampled_from(["relu", "swiglu"]),
    norm=st.sampled_from(["layer_norm", "rms_norm"]),
    norm_position=st.sampled_from(["pre", "post"]),
    final_norm=st.sampled_from([None, True, False]),
    embedding_norm=st.booleans(),
    n_types=st.integers(0, 2),
    pooler=st.booleans(),
    position=st.sampled_from(["learned", "sinusoidal"]),
    max_length=st.integers(1, 9),
    attention_bias=st.booleans(),
    attention_out_bias=st.sampled_from([None, True, False]),
    feed_forward_bias=st.booleans(),
    norm_bias=st.booleans(),
    head=st.booleans(),
    head_bias=st.booleans(),
    tie_weights=st.booleans(),
)


@given(configs)
def test_the_formula_is_the_model(config: TransformerConfig) -> None:
    model = Transformer(config, seed=0)
    assert count_parameters(config)["total"] == sum(p.numel() for p in model.parameters())


def test_parallel_blocks_have_one_norm_and_shared_embeddings_count_once() -> None:
    for changes in ({"parallel_residual": True}, {"architecture": "encoder-decoder", "tie_embeddings": True}):
        config = TransformerConfig(vocab_size=7, d_model=8, **changes)
        assert count_parameters(config)["total"] == sum(p.numel() for p in Transformer(config, seed=0).parameters())


@pytest.mark.parametrize("length", [5, 16])
def test_flops_are_those_torch_counts(length: int) -> None:
    theirs = transformers.PhiForCausalLM._from_config(
        transformers.PhiConfig(
            hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48, vocab_size=61
        ),
        attn_implementation="eager",
    )
    config = config_from_hugging_face(theirs.config.to_dict())
    ids = torch.randint(0, 61, (3, length))
    with FlopCounterMode(display=False) as counter:
        logits = theirs(ids).logits
    assert counter.get_total_flops() == count_flops(config, length, 3)
    with FlopCounterMode(display=False) as counter:
        logits.sum().backward()
    ratio = (counter.get_total_flops() + count_flops(config, length, 3)) / training_flops(config, length, 3)
    assert ratio == pytest.approx(1, abs=0.002)


def test_flops_of_an_encoder_decoder_are_those_torch_counts() -> None:
    theirs = torch.nn.Transformer(16, 4, 2, 3, 24, 0.0, batch_first=True)
    source, target = torch.randn(2, 7, 16), torch.randn(2, 5, 16)
    with (
        sdpa_kernel(SDPBackend.MATH),
        FlopCounterMode(display=False) as counter,
    ):  # the CPU's fused kernel is not counted
        theirs(source, target, tgt_mask=torch.zeros(5, 5))
    config = TransformerConfig(
        vocab_size=9, architecture="encoder-decoder", d_model=16, n_heads=4, n_layers=2, n_decoder_layers=3, d_ff=24, head=False
    )  # fmt: skip
    assert counter.get_total_flops() == count_flops(config, 5, 2, source_length=7)


@pytest.mark.parametrize(("length", "teraflops"), [(128, 0.6832), (512, 2.7971), (2048, 12.2192)])
def test_flops_of_phi_2(length: int, teraflops: float) -> None:
    assert count_flops(config_from_hugging_face(PHI_2), length) / 1e12 == pytest.approx(teraflops, abs=5e-5)


def test_a_cache_saves_all_but_the_new_token() -> None:
    config = config_from_hugging_face(PHI_2)
    whole = count_flops(config, 100)
    steps = sum(count_flops(config, 1, cached=n) for n in range(100))
    pairs = 4 * config.n_layers * config.d_model * (100 * 100 - 100 * 101 // 2)
    assert whole - steps == pairs  # the half of the scores that causality forbids, which the whole pass counts


def test_cache_memory() -> None:
    assert key_value_cache_bytes(config_from_hugging_face(PHI_2), 2048, bytes_per_number=2) == 640 * 2**20
    assert key_value_cache_bytes(config_from_hugging_face(LLAMA_3_8B), 8192, bytes_per_number=2) == 1024 * 2**20


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        (("up", "down"), 6_553_600),
        (("q_proj", "v_proj"), 2_621_440),
        (("q_proj", "k_proj", "v_proj", "up", "down"), 10_485_760),
        (("q_proj", "k_proj", "v_proj", "out_proj", "up", "down"), 11_796_480),
    ],
)
def test_lora_on_phi_2(targets: tuple[str, ...], expected: int) -> None:
    """Trainable parameters that peft reports at rank 8."""
    assert count_lora_parameters(config_from_hugging_face(PHI_2), 8, targets) == expected


def test_a_target_that_no_layer_has() -> None:
    with pytest.raises(ValueError, match="no layer is named Wqkv"):
        count_lora_parameters(config_from_hugging_face(PHI_2), 8, ["Wqkv", "up"])
