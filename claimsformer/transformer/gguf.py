"""GGUF, the file format of llama.cpp: Llama models with their tokenizer in one file, often with 4 or 8 bits a weight.

`open_gguf(path)` reads the header and gives tensors as float32, from memory-mapped pages; `convert_gguf` writes a folder that
this library and transformers both read. Types: F32, F16, Q8_0, Q4_1. What it does not do: other block types, models other than
Llama (also no rotary scaling, experts or biases), tokenizers other than byte-level BPE.

Layout: "GGUF", version (2 or 3), counts of tensors and of keys; the keys with typed values; name, dims, type and offset of each
tensor; then the tensors, aligned. Dims stand in the reverse of NumPy's order.
"""

from __future__ import annotations

import json
import math
import re
import struct
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tensorlite.nn.utils import skip_init
from tensorlite.utils.safetensors import save_file

from ..errors import ConfigError, ReadError
from ..tokenizer.text import TextTokenizer
from ..tokenizer.text.files import byte_level_state
from .model import Transformer

__all__ = ["GGUF", "convert_gguf", "from_gguf", "open_gguf"]

Array = npt.NDArray[Any]
_BLOCK = 32  # weights that share a scale
_SCALARS = {
    0: "<u1",
    1: "<i1",
    2: "<u2",
    3: "<i2",
    4: "<u4",
    5: "<i4",
    6: "<f4",
    7: "?",
    10: "<u8",
    11: "<i8",
    12: "<f8",
}
_STRING, _ARRAY = 8, 9
_Q4_1 = np.dtype([("scale", "<f2"), ("least", "<f2"), ("packed", "u1", _BLOCK // 2)])
_Q8_0 = np.dtype([("scale", "<f2"), ("values", "i1", _BLOCK)])
#: (name, type of a block, weights in a block) by the number in the file.
_TYPES: dict[int, tuple[str, np.dtype[Any], int]] = {
    0: ("F32", np.dtype("<f4"), 1),
    1: ("F16", np.dtype("<f2"), 1),
    3: ("Q4_1", _Q4_1, _BLOCK),
    8: ("Q8_0", _Q8_0, _BLOCK),
}
_SPLITS = {"smollm": {"single_digits": True}, "gpt-2": {}, "default": {}}
_CONTROL, _USER_DEFINED = 3, 4


class _Entry(NamedTuple):
    shape: tuple[int, ...]
    kind: int
    offset: int


class GGUF:
    """An open file: `metadata` by key, `names` of tensors, and `tensor(name)` as a float32 array."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            self._bytes = np.memmap(self.path, np.uint8, "r")
        except (OSError, ValueError) as error:  # an empty file cannot be mapped
            raise ReadError(f"cannot read {self.path}: {error}") from error
        try:
            self._read_header(_Cursor(self._bytes))
        except (struct.error, IndexError, UnicodeDecodeError, ValueError, RecursionError) as error:
            raise ReadError(f"{self.path} is damaged or cut off: {error}") from error

    def _read_header(self, at: _Cursor) -> None:
        if at.take(4) != b"GGUF":
            raise ReadError(f"{self.path} is no GGUF file: it begins with other bytes than 'GGUF'")
        version = at.number("<u4")
        if version not in (2, 3):
            raise ReadError(f"{self.path} is GGUF version {version}; expected 2 or 3")
        n_tensors, n_keys = at.number("<u8"), at.number("<u8")
        self.metadata: dict[str, Any] = {}
        for _ in range(n_keys):
            key = at.string()
            self.metadata[key] = at.value(at.number("<u4"))
        self._entries: dict[str, _Entry] = {}
        for _ in range(n_tensors):
            name = at.string()
            if name in self._entries:
                raise ValueError(f"the tensor {name!r} appears twice")
            dims = [at.number("<u8") for _ in range(at.number("<u4"))]
            self._entries[name] = _Entry(tuple(reversed(dims)), at.number("<u4"), at.number("<u8"))
        alignment = self.metadata.get("general.alignment", 32)
        if not isinstance(alignment, int) or alignment < 1:
            raise ValueError(f"general.alignment must be a positive whole number, got {alignment!r}")
        self._data = -(-at.place // alignment) * alignment

    @property
    def names(self) -> list[str]:
        """The names of the tensors."""
        return list(self._entries)

    def value(self, key: str, kind: type | tuple[type, ...], *default: Any) -> Any:
        """What the header says under a key. Raises ReadError if it is not there and has no default, or is of another kind."""
        if key not in self.metadata and default:
            return default[0]
        value = self.metadata.get(key)
        if not isinstance(value, kind):
            raise ReadError(
                f"{self.path}: {key} must be {_names(kind)}, got {'nothing' if value is None else repr(value)[:40]}"
            )
        return value

    def type_of(self, name: str) -> str:
        """The type in which a tensor is stored, such as "Q4_1"."""
        return _TYPES[self._known(name).kind][0]

    def tensor(self, name: str) -> npt.NDArray[np.float32]:
        """The values of a tensor as float32, `(rows, columns)` as in NumPy. Raises ReadError if it is not there or not whole."""
        entry = self._known(name)
        label, block, size = _TYPES[entry.kind]
        count = math.prod(entry.shape)
        if count % size or (size > 1 and entry.shape[-1] % size):
            raise ReadError(f"{self.path}: {name} of shape {entry.shape} does not divide into {label} blocks of {size}")
        start = self._data + entry.offset
        stop = start + count // size * block.itemsize
        if stop > len(self._bytes):
            raise ReadError(f"{self.path} was cut off: {name} ends at byte {stop}, the file has {len(self._bytes)}")
        blocks = np.frombuffer(self._bytes[start:stop].tobytes(), block)
        return _float32(blocks, label).reshape(entry.shape)

    def _known(self, name: str) -> _Entry:
        if name not in self._entries:
            raise ReadError(f"{self.path} has no tensor {name!r}")
        entry = self._entries[name]
        if entry.kind not in _TYPES:
            known = ", ".join(label for label, _, _ in _TYPES.values())
            raise ReadError(f"{self.path}: {name} has GGUF type {entry.kind}, which is not supported; expected {known}")
        return entry


def _names(kinds: type | tuple[type, ...]) -> str:
    return " or ".join(kind.__name__ for kind in (kinds if isinstance(kinds, tuple) else (kinds,)))


def _float32(blocks: Array, label: str) -> npt.NDArray[np.float32]:
    if label in ("F32", "F16"):
        return blocks.astype(np.float32)
    scale = blocks["scale"].astype(np.float32)[:, None]
    if label == "Q8_0":
        values: npt.NDArray[np.float32] = blocks["values"].astype(np.float32) * scale
        return values
    packed = blocks["packed"]
    nibbles = np.concatenate([packed & 15, packed >> 4], axis=1)  # low halves first, then high halves
    values = nibbles.astype(np.float32) * scale
    values += blocks["least"].astype(np.float32)[:, None]
    return values


class _Cursor:
    """A place in the bytes of the header that moves forward."""

    def __init__(self, data: Array) -> None:
        self.data, self.place = data, 0

    def take(self, n: int) -> bytes:
        if n > len(self.data) - self.place:
            raise ValueError(f"the header ends at byte {len(self.data)}, {n} more were expected at {self.place}")
        self.place += n
        return self.data[self.place - n : self.place].tobytes()

    def number(self, kind: str) -> Any:
        kind_ = np.dtype(kind)
        return np.frombuffer(self.take(kind_.itemsize), kind_)[0].item()

    def string(self) -> str:
        return self.take(self.number("<u8")).decode("utf-8")

    def value(self, kind: int) -> Any:
        if kind == _STRING:
            return self.string()
        if kind == _ARRAY:
            inner, n = self.number("<u4"), self.number("<u8")
            if inner in _SCALARS:
                dtype = np.dtype(_SCALARS[inner])
                return np.frombuffer(self.take(n * dtype.itemsize), dtype).tolist()
            return [self.value(inner) for _ in range(n)]
        if kind not in _SCALARS:
            raise ValueError(f"a value has type {kind}, which GGUF does not define")
        return self.number(_SCALARS[kind])


def open_gguf(path: str | Path) -> GGUF:
    """Read the header of a GGUF file. Raises ReadError for what is not one, or is damaged."""
    return GGUF(path)


# -- Llama ------------------------------------------------------------------------------------------------------------

_NAMES = (
    (".attn_output.", ".self_attn.o_proj."),  # before "output."
    ("token_embd.", "model.embed_tokens."),
    ("output_norm.", "model.norm."),
    ("output.", "lm_head."),
    ("blk.", "model.layers."),
    (".attn_norm.", ".input_layernorm."),
    (".ffn_norm.", ".post_attention_layernorm."),
    (".attn_q.", ".self_attn.q_proj."),
    (".attn_k.", ".self_attn.k_proj."),
    (".attn_v.", ".self_attn.v_proj."),
    (".ffn_gate.", ".mlp.gate_proj."),
    (".ffn_up.", ".mlp.up_proj."),
    (".ffn_down.", ".mlp.down_proj."),
)


def hugging_face_config(file: GGUF) -> dict[str, Any]:
    """The `config.json` of the Llama in the file. Raises ConfigError for another architecture."""
    kind = file.metadata.get("general.architecture")
    if kind != "llama":
        raise ConfigError(f"{file.path} holds a {kind!r}; only 'llama' is supported")
    for key, allowed in _WITHOUT_EFFECT.items():
        if file.metadata.get(key, allowed[0]) not in allowed:
            raise ConfigError(f"{file.path}: {key}={file.metadata[key]!r} is not supported")
    heads, width = file.value("llama.attention.head_count", int), file.value("llama.embedding_length", int)
    if heads < 1:
        raise ReadError(f"{file.path}: llama.attention.head_count must be positive, got {heads}")
    head_dim = file.value("llama.attention.key_length", int, width // heads)
    for key in ("llama.rope.dimension_count", "llama.attention.value_length"):
        if file.value(key, int, head_dim) != head_dim:
            raise ConfigError(
                f"{file.path}: {key}={file.metadata[key]} is not supported where a head has {head_dim} dims"
            )
    roles = {role: file.value(f"tokenizer.ggml.{key}_token_id", int, None) for role, key in _ROLES.items()}
    epsilon = file.value("llama.attention.layer_norm_rms_epsilon", float)
    return {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "vocab_size": (*file._known("token_embd.weight").shape, 0)[0],
        "hidden_size": width,
        "intermediate_size": file.value("llama.feed_forward_length", int),
        "num_hidden_layers": file.value("llama.block_count", int),
        "num_attention_heads": heads,
        "num_key_value_heads": file.value("llama.attention.head_count_kv", int, heads),
        "head_dim": head_dim,
        "max_position_embeddings": file.value("llama.context_length", int),
        "rms_norm_eps": float(f"{epsilon:.6g}"),  # stored as float32
        "rope_theta": float(file.value("llama.rope.freq_base", (float, int), 10000.0)),
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": "output.weight" not in file.names,
        **{f"{role}_token_id": token for role, token in roles.items()},
    }


#: Keys that would change what is computed, with the values that do not; the first is the default.
_WITHOUT_EFFECT: dict[str, tuple[Any, ...]] = {
    "llama.rope.scaling.type": ("none",),
    "llama.rope.scaling.factor": (1.0, 0.0),
    "llama.rope.scaling.attn_factor": (1.0, 0.0),
    "llama.rope.scale_linear": (1.0, 0.0),
    "llama.expert_count": (0,),
    "llama.attention.sliding_window": (0,),
    "llama.attention.causal": (True,),
}
_ROLES = {"bos": "bos", "eos": "eos", "pad": "padding"}
_TENSOR = re.compile(
    r"(?:token_embd|output_norm|output|blk\.\d+\.(?:attn_(?:norm|q|k|v|output)|ffn_(?:norm|gate|up|down)))\.weight"
)


def _weights(file: GGUF) -> dict[str, Array]:
    """float32 arrays under transformers' names; rows of q and k go back to the half-split order of rotary dims."""
    heads = file.value("llama.attention.head_count", int)
    kv_heads = file.value("llama.attention.head_count_kv", int, heads)
    arrays = {}
    for name in file.names:
        if name == "rope_freqs.weight":
            raise ConfigError(f"{file.path} scales its rotary positions, which is not supported")
        if not _TENSOR.fullmatch(name):
            raise ConfigError(f"{file.path} has a tensor {name!r}, which a Llama of this library has no place for")
        array = file.tensor(name)
        if ".attn_q." in name or ".attn_k." in name:
            array = _half_split(array, heads if ".attn_q." in name else kv_heads)
        for theirs, ours in _NAMES:
            name = name.replace(theirs, ours)
        arrays[name] = array
    return arrays


def _half_split(array: Array, heads: int) -> Array:
    """llama.cpp interleaves the two halves of each head's rows; this takes them apart again."""
    rows = array.shape[0] if array.ndim else 0
    if heads < 1 or not rows or rows % (2 * heads):
        raise ReadError(f"queries or keys of shape {array.shape} do not divide into {heads} heads of two halves")
    return array.reshape(heads, rows // heads // 2, 2, *array.shape[1:]).swapaxes(1, 2).reshape(array.shape)


def tokenizer_of(file: GGUF) -> TextTokenizer:
    """The tokenizer in the file. Raises ConfigError for one that is not byte-level BPE, or splits text in an unknown way."""
    meta = file.metadata
    kind, split = meta.get("tokenizer.ggml.model"), str(meta.get("tokenizer.ggml.pre", "default"))
    if kind != "gpt2" or split not in _SPLITS:
        raise ConfigError(
            f"the tokenizer ({kind!r}, {split!r}) is not supported; expected 'gpt2' with {', '.join(_SPLITS)}"
        )
    tokens, kinds = file.value("tokenizer.ggml.tokens", list), file.value("tokenizer.ggml.token_type", list)
    merges = [str(merge).split(" ") for merge in file.value("tokenizer.ggml.merges", list)]
    if len(tokens) != len(kinds) or any(len(merge) != 2 for merge in merges):
        raise ReadError(f"{file.path}: its tokenizer is damaged: every token has a type, and a merge joins two tokens")
    vocab = {token: i for i, token in enumerate(tokens)}
    special = {t: i for i, (t, k) in enumerate(zip(tokens, kinds, strict=True)) if k == _CONTROL}
    ordinary = {t: i for i, (t, k) in enumerate(zip(tokens, kinds, strict=True)) if k == _USER_DEFINED}
    state = byte_level_state(vocab, merges, special=special, ordinary=ordinary, **_SPLITS[split])  # type: ignore[arg-type]
    return TextTokenizer(state)


def convert_gguf(path: str | Path, folder: str | Path) -> Path:
    """Write the model and tokenizer of a GGUF file as a Hugging Face folder with float32 weights.

    Raises ReadError for a damaged file, ConfigError for a model or tokenizer that is not supported.
    """
    file, folder = open_gguf(path), Path(folder)
    config, tokenizer = hugging_face_config(file), tokenizer_of(file)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(_weights(file), folder / "model.safetensors", {"format": "pt"})
    tokenizer.save_huggingface(folder)
    tokens = file.value("tokenizer.ggml.tokens", list)
    roles: dict[str, Any] = {"tokenizer_class": "PreTrainedTokenizerFast"}
    for role in ("bos", "eos", "pad"):
        token = config[f"{role}_token_id"]
        if token is not None and token < len(tokens):
            roles[f"{role}_token"] = tokens[token]
    roles["model_max_length"] = config["max_position_embeddings"]
    if "tokenizer.chat_template" in file.metadata:
        roles["chat_template"] = file.metadata["tokenizer.chat_template"]
    for name, values in (("config.json", config), ("tokenizer_config.json", roles)):
        (folder / name).write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return folder


def from_gguf(path: str | Path) -> tuple[Transformer, TextTokenizer]:
    """The model, in evaluation mode, and the tokenizer of a GGUF file. Raises ReadError or ConfigError."""
    from .hugging_face import config_from_hugging_face, fill, weights_from_hugging_face

    file = open_gguf(path)
    model = skip_init(Transformer, config_from_hugging_face(hugging_face_config(file)), fill=False)
    try:
        fill(model, weights_from_hugging_face(_weights(file), "llama"))
    except RuntimeError as error:
        raise ReadError(f"the tensors in {path} do not fit its header: {error}") from error
    return model.eval(), tokenizer_of(file)
