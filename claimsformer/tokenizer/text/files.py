"""Tokenizer files of other libraries, read into the form of a Hugging Face `tokenizer.json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from claimsformer.tokenizer.base import TOKENIZER_FILE, SpecialTokens, TokenizerError, read_json

__all__ = ["bert_state", "byte_level_state", "gpt2_state", "read_tokenizer_files"]

_ROLES = ("pad", "cls", "sep", "mask", "bos", "eos", "unk")
_PAIRS = (("vocab.json", "merges.txt"), ("encoder.json", "vocab.bpe"))
_NO_LIMIT = 10**9  # transformers writes 10**30 where a model has none


def read_tokenizer_files(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The `tokenizer.json` of a folder or file, and the options of a `tokenizer_config.json` beside it.

    Raises FileNotFoundError when the folder has none of the known files.
    """
    if folder.is_file():
        return (bert_state(folder) if folder.suffix == ".txt" else read_json(folder)), {}
    if (folder / TOKENIZER_FILE).is_file():
        state = read_json(folder / TOKENIZER_FILE)
        return state, {} if state.get("format") == "claimsformer" else _options(folder)
    for vocab, merges in _PAIRS:
        if (folder / vocab).is_file() and (folder / merges).is_file():
            return gpt2_state(folder / vocab, folder / merges, folder / "added_tokens.json"), _options(folder)
    if (folder / "vocab.txt").is_file():
        options = _options(folder)
        return bert_state(folder / "vocab.txt", lowercase=_config(folder).get("do_lower_case", True)), options
    known = ", ".join([TOKENIZER_FILE, *(" + ".join(pair) for pair in _PAIRS), "vocab.txt"])
    raise FileNotFoundError(f"{folder.name} holds no tokenizer: expected one of {known}")


def gpt2_state(vocab_file: Path, merges_file: Path, added_file: Path | None = None) -> dict[str, Any]:
    """GPT-2's two files: tokens with their ids, and merges line by line."""
    vocab = read_json(vocab_file)
    lines = merges_file.read_text(encoding="utf-8").split("\n")
    merges = [line.split(" ") for line in lines if line and not line.startswith("#version")]
    special = {"<|endoftext|>": vocab["<|endoftext|>"]} if "<|endoftext|>" in vocab else {}
    added = read_json(added_file) if added_file is not None and added_file.is_file() else {}
    return byte_level_state(vocab, merges, special=special, ordinary=added)


def byte_level_state(
    vocab: Mapping[str, int],
    merges: Sequence[Sequence[str]],
    *,
    pattern: str | None = None,
    single_digits: bool = False,
    ignore_merges: bool = False,
    special: Mapping[str, int] | None = None,
    ordinary: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """A byte-level BPE from its parts, as a GGUF file holds them.

    `pattern` splits the text (default GPT-2's), `single_digits` splits numbers before it (SmolLM2), `special` and
    `ordinary` are added tokens with their ids.
    """
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": pattern is None}
    parts: list[dict[str, Any]] = [{"type": "Digits", "individual_digits": True}] if single_digits else []
    if pattern is not None:
        parts.append({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False})
    special = special or {}
    rest = {name: index for name, index in (ordinary or {}).items() if name not in special}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_added(name, index, special=True) for name, index in special.items()]
        + [_added(name, index, special=False) for name, index in rest.items()],
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [*parts, byte_level]} if parts else byte_level,
        "post_processor": byte_level | {"use_regex": True},
        "decoder": byte_level | {"use_regex": True},
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None}
        | {"end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": ignore_merges}
        | {"vocab": dict(vocab), "merges": [list(pair) for pair in merges]},
    }


def bert_state(vocab_file: Path, *, lowercase: bool = True) -> dict[str, Any]:
    """BERT's one file: a token a line, the line number its id."""
    tokens = vocab_file.read_text(encoding="utf-8").split("\n")
    while tokens and not tokens[-1]:
        tokens.pop()
    vocab = {token: index for index, token in enumerate(tokens)}
    special = [token for token in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]") if token in vocab]
    missing = {"[UNK]", "[CLS]", "[SEP]"} - set(special)
    if missing:
        raise TokenizerError(f"{vocab_file.name} lacks {', '.join(sorted(missing))}: it is no BERT vocabulary")
    return {
        "added_tokens": [_added(token, vocab[token], special=True) for token in special],
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True}
        | {"strip_accents": None, "lowercase": lowercase},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "BertProcessing"}
        | {"sep": ["[SEP]", vocab["[SEP]"]], "cls": ["[CLS]", vocab["[CLS]"]]},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {"type": "WordPiece", "vocab": vocab, "unk_token": "[UNK]"},
    }


def _added(content: str, index: int, *, special: bool) -> dict[str, Any]:
    options = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": special}
    return {"id": index, "content": content, **options}


def _config(folder: Path) -> dict[str, Any]:
    path = folder / "tokenizer_config.json"
    return read_json(path) if path.is_file() else {}


def _options(folder: Path) -> dict[str, Any]:
    """Roles of special tokens, the model's length and sides, as `tokenizer_config.json` gives them."""
    config = _config(folder)
    roles = {role: _content(config.get(f"{role}_token")) for role in _ROLES}
    options: dict[str, Any] = {"special": SpecialTokens(**roles)} if any(roles.values()) else {}
    length = config.get("model_max_length")
    if isinstance(length, int) and length < _NO_LIMIT:
        options["model_max_length"] = length
    for side in ("padding_side", "truncation_side"):
        if side in config:
            options[side] = config[side]
    return options


def _content(token: str | Mapping[str, Any] | None) -> str | None:
    return token["content"] if isinstance(token, Mapping) else token
