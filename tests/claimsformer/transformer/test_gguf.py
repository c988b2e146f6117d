"""GGUF files written here by the format's description, and what the reader makes of them."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st

from claimsformer.errors import ConfigError, ReadError
from claimsformer.transformer.gguf import convert_gguf, from_gguf, open_gguf

F32, F16, Q4_1, Q8_0 = 0, 1, 3, 8
Tensors = dict[str, tuple[int, np.ndarray]]


def text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def value(v: Any) -> bytes:
    """A typed value: str, bool, int (u32), float (f32), or a list of one of them."""
    if isinstance(v, list):
        kind, _ = _typed(v[0])
        return struct.pack("<IIQ", 9, kind, len(v)) + b"".join(_typed(x)[1] for x in v)
    kind, data = _typed(v)
    return struct.pack("<I", kind) + data


def _typed(v: Any) -> tuple[int, bytes]:
    if isinstance(v, str):
        return 8, text(v)
    if isinstance(v, bool):
        return 7, struct.pack("<?", v)
    return (4, struct.pack("<I", v)) if isinstance(v, int) else (6, struct.pack("<f", v))


def quantize(kind: int, array: np.ndarray) -> bytes:
    """The bytes of an array in a type of GGUF, block by block."""
    if kind == F32:
        return array.astype("<f4").tobytes()
    if kind == F16:
        return array.astype("<f2").tobytes()
    out = b""
    for block in array.astype(np.float64).reshape(-1, 32):
        if kind == Q8_0:
            scale = np.float16(np.abs(block).max() / 127)
            levels = np.round(block / float(scale)) if scale else np.zeros(32)
            out += scale.tobytes() + np.clip(levels, -127, 127).astype("i1").tobytes()
        else:
            least, scale = np.float16(block.min()), np.float16((block.max() - block.min()) / 15)
            levels = np.round((block - float(least)) / float(scale)) if scale else np.zeros(32)
            q = np.clip(levels, 0, 15).astype(np.uint8)
            out += scale.tobytes() + least.tobytes() + (q[:16] | (q[16:] << 4)).astype(np.uint8).tobytes()
    return out


def write(path: Path, metadata: dict[str, Any], tensors: Tensors) -> Path:
    header = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata))
    header += b"".join(text(k) + value(v) for k, v in metadata.items())
    body = b""
    for name, (kind, array) in tensors.items():
        header += text(name) + struct.pack("<I", array.ndim) + struct.pack(f"<{array.ndim}Q", *reversed(array.shape))
        header += struct.pack("<IQ", kind, len(body))
        body += quantize(kind, array)
        body += b"\0" * (-len(body) % 32)
    path.write_bytes(header + b"\0" * (-len(header) % 32) + body)
    return path


@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(1, 3), st.floats(1e-3, 1e3))
def test_values_of_every_type(
    tmp_path_factory: pytest.TempPathFactory, seed: int, rows: int, blocks: int, size: float
) -> None:
    array = (np.random.default_rng(seed).standard_normal((rows, 32 * blocks)) * size).astype(np.float32)
    path = tmp_path_factory.mktemp("g") / "a.gguf"
    file = open_gguf(write(path, {}, {str(kind): (kind, array) for kind in (F32, F16, Q4_1, Q8_0)}))
    np.testing.assert_array_equal(file.tensor("0"), array)
    np.testing.assert_array_equal(file.tensor("1"), array.astype(np.float16).astype(np.float32))
    wide = array.reshape(-1, 32)
    spread = (wide.max(1) - wide.min(1))[:, None]
    largest = np.abs(wide).max(1)[:, None]
    # half a level, and the rounding of scale and offset to half precision
    assert (np.abs(file.tensor("3").reshape(-1, 32) - wide) <= spread / 30 + largest * 0.003).all()
    assert (np.abs(file.tensor("8").reshape(-1, 32) - wide) <= largest / 254 * 1.3 + 1e-6).all()
    assert [file.type_of(n) for n in file.names] == ["F32", "F16", "Q4_1", "Q8_0"]


def test_a_block_by_hand(tmp_path: Path) -> None:
    levels = np.arange(32) % 16
    path = write(tmp_path / "a.gguf", {"answer": 42, "names": ["a", "b"], "eps": 0.5, "yes": True}, {"w": (Q4_1, levels * 0.25 - 1.0)})  # fmt: skip
    file = open_gguf(path)
    np.testing.assert_array_equal(file.tensor("w"), levels * np.float32(0.25) - 1)
    assert file.metadata == {"answer": 42, "names": ["a", "b"], "eps": 0.5, "yes": True}


def test_damage_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.gguf", {"k": 1}, {"w": (F32, np.zeros((4, 8)))})
    whole = path.read_bytes()
    for n in (0, 3, 20, 40, len(whole) - 5):
        path.write_bytes(whole[:n])
        with pytest.raises(ReadError):
            open_gguf(path).tensor("w")
    path.write_bytes(b"GGML" + whole[4:])
    with pytest.raises(ReadError, match="no GGUF file"):
        open_gguf(path)
    path.write_bytes(whole[:4] + struct.pack("<I", 9) + whole[8:])
    with pytest.raises(ReadError, match="version 9"):
        open_gguf(path)
    path.write_bytes(whole)
    with pytest.raises(ReadError, match="no tensor"):
        open_gguf(path).tensor("v")
    unknown = write(tmp_path / "b.gguf", {}, {"w": (F32, np.zeros(32))}).read_bytes()
    (tmp_path / "b.gguf").write_bytes(unknown.replace(struct.pack("<QIQ", 32, 0, 0), struct.pack("<QIQ", 32, 12, 0)))
    with pytest.raises(ReadError, match="type 12"):
        open_gguf(tmp_path / "b.gguf").tensor("w")


def interleaved(array: np.ndarray, heads: int) -> np.ndarray:
    """The order of rows in which llama.cpp stores q and k."""
    return array.reshape(heads, 2, len(array) // heads // 2, -1).swapaxes(1, 2).reshape(array.shape)


@pytest.fixture
def llama(tmp_path: Path) -> tuple[Any, Path, dict[str, Any], Tensors]:
    """A random Llama of transformers, the same as a GGUF file, and what was written."""
    torch.manual_seed(0)
    letters = [chr(i) for i in range(33, 127)] + [chr(i) for i in range(161, 173)] + [chr(i) for i in range(174, 324)]
    tokens = ["<|end|>", *letters, "th", "Ġth"]
    config = transformers.LlamaConfig(
        vocab_size=len(tokens), hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=64, tie_word_embeddings=True, rope_theta=100000.0, rms_norm_eps=1e-5,
    )  # fmt: skip
    model = transformers.LlamaForCausalLM(config).eval()
    names = {
        "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
        "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
        "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
        "model.layers": "blk", "model.embed_tokens": "token_embd", "model.norm": "output_norm",
    }  # fmt: skip
    tensors: Tensors = {}
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight":
            continue
        array = tensor.numpy()
        for theirs, short in names.items():
            name = name.replace(theirs, short)
        if "attn_q" in name or "attn_k" in name:
            array = interleaved(array, 4 if "attn_q" in name else 2)
        tensors[name] = (F32, array)
    metadata = {
        "general.architecture": "llama", "llama.block_count": 2, "llama.context_length": 64, "llama.embedding_length": 64,
        "llama.feed_forward_length": 96, "llama.attention.head_count": 4, "llama.attention.head_count_kv": 2,
        "llama.rope.freq_base": 100000.0, "llama.rope.dimension_count": 16, "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "smollm", "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [3] + [1] * (len(tokens) - 1), "tokenizer.ggml.merges": ["t h", "Ġ th"],
        "tokenizer.ggml.eos_token_id": 0,
    }  # fmt: skip
    return model, write(tmp_path / "llama.gguf", metadata, tensors), metadata, tensors


def test_a_llama(llama: tuple[Any, Path, dict[str, Any], Tensors], tmp_path: Path) -> None:
    theirs, path, *_ = llama
    mine, tokenizer = from_gguf(path)
    ids = torch.randint(0, mine.config.vocab_size, (2, 9))
    with torch.no_grad():
        wanted = theirs(ids).logits.numpy()
    np.testing.assert_allclose(mine(ids.numpy()).detach().numpy(), wanted, atol=1e-5)
    assert (mine.config.eos_id, mine.config.norm_eps) == (0, 1e-5)
    assert tokenizer.decode(tokenizer.encode("the 42 thin ones")) == "the 42 thin ones"
    assert tokenizer.tokenize(" th 42") == ["Ġth", "Ġ", "4", "2"]

    folder = convert_gguf(path, tmp_path / "folder")
    again = transformers.AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        np.testing.assert_allclose(again(ids).logits.numpy(), wanted, atol=1e-6)
    auto = transformers.AutoTokenizer.from_pretrained(folder)
    assert auto("the 42 thin ones")["input_ids"] == tokenizer.encode("the 42 thin ones")
    assert auto.eos_token == "<|end|>"


def test_another_architecture_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.gguf", {"general.architecture": "mamba"}, {})
    with pytest.raises(ConfigError, match="mamba"):
        from_gguf(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"llama.rope.scaling.type": "yarn"}, "rope.scaling.type='yarn'"),
        ({"llama.rope.scaling.factor": 4.0}, "rope.scaling.factor=4"),
        ({"llama.rope.scale_linear": 0.25}, "scale_linear"),
        ({"llama.expert_count": 8}, "expert_count=8"),
        ({"llama.rope.dimension_count": 8}, "dimension_count=8 is not supported where a head has 16"),
        ({"llama.attention.value_length": 32}, "value_length=32"),
        ({"llama.attention.head_count": None}, "head_count must be int, got nothing"),
        ({"llama.attention.head_count": 0}, "head_count must be positive"),
        ({"llama.attention.head_count": 3}, "do not divide into 3 heads|a head has 21 dims"),
        ({"llama.attention.head_count_kv": [2, 2]}, r"head_count_kv must be int, got \[2, 2\]"),
        ({"llama.attention.layer_norm_rms_epsilon": None}, "epsilon must be float, got nothing"),
        ({"general.alignment": 0}, "alignment must be a positive whole number"),
        ({"tokenizer.ggml.merges": None}, "merges must be list, got nothing"),
        ({"tokenizer.ggml.merges": ["t h e"]}, "its tokenizer is damaged"),
        ({"tokenizer.ggml.token_type": [3]}, "its tokenizer is damaged"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("reader", [from_gguf, lambda path: convert_gguf(path, path.parent / "folder")])
def test_what_a_llama_may_not_be(reader: Any, change: dict[str, Any], message: str, llama: Any) -> None:
    _, path, metadata, tensors = llama
    changed = {k: v for k, v in (metadata | change).items() if v is not None}
    with pytest.raises((ConfigError, ReadError), match=message):
        reader(write(path, changed, tensors))


@pytest.mark.parametrize(
    ("name", "error"), [("blk.0.attn_q.bias", ConfigError), ("blk.0.ffn_gate_inp.weight", ConfigError), ("rope_freqs.weight", ConfigError)]
)  # fmt: skip
def test_a_tensor_without_a_place_is_refused(name: str, error: type[Exception], llama: Any, tmp_path: Path) -> None:
    _, path, metadata, tensors = llama
    write(path, metadata, tensors | {name: (F32, np.ones(64, np.float32))})
    with pytest.raises(error):
        convert_gguf(path, tmp_path / "folder")
    assert not (tmp_path / "folder" / "model.safetensors").exists()


def test_a_model_without_embedding_and_a_name_that_appears_twice(llama: Any) -> None:
    _, path, metadata, tensors = llama
    write(path, metadata, {k: v for k, v in tensors.items() if k != "token_embd.weight"})
    with pytest.raises(ReadError, match="token_embd"):
        from_gguf(path)
    data = write(path, {}, {"a": (F32, np.ones(4)), "b": (F32, np.ones(4))}).read_bytes()
    path.write_bytes(data.replace(text("b"), text("a")))
    with pytest.raises(ReadError, match="appears twice"):
        open_gguf(path)


def test_lists_within_lists_without_end_are_damage(tmp_path: Path) -> None:
    header = b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("k") + struct.pack("<I", 9)
    (tmp_path / "a.gguf").write_bytes(header + struct.pack("<IQ", 9, 1) * 5000)
    with pytest.raises(ReadError, match="damaged"):
        open_gguf(tmp_path / "a.gguf")
