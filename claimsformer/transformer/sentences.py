"""Sentence embeddings: an encoder such as MiniLM, the mean over its tokens, and length 1 (Reimers and Gurevych 2019)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import tensorlite as tl

from ..errors import ConfigError, ReadError
from ..tokenizer.text import TextTokenizer
from .hugging_face import from_hugging_face
from .model import Transformer

__all__ = ["SentenceEncoder"]


class SentenceEncoder:
    """Texts to vectors of length 1, `(N, D)`; texts longer than `max_length` tokens are cut."""

    def __init__(self, model: Transformer, tokenizer: TextTokenizer, max_length: int = 256) -> None:
        if model.config.architecture != "encoder":
            raise ConfigError(f"sentences are embedded by an encoder, got a {model.config.architecture}")
        self.model, self.tokenizer, self.max_length = model, tokenizer, max_length

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> SentenceEncoder:
        """Read a folder of sentence-transformers or transformers. Raises ReadError or ConfigError, also for one that takes other
        than the mean over tokens."""
        folder = Path(folder)
        pooling = folder / "1_Pooling" / "config.json"
        modes = [k if v is True else str(v) for k, v in _options(pooling).items() if k.startswith("pooling_mode") and v]
        if modes not in ([], ["pooling_mode_mean_tokens"], ["mean"]):
            raise ConfigError(f"{pooling} asks for {', '.join(modes)}; only the mean over tokens is supported")
        model, tokenizer = from_hugging_face(folder), TextTokenizer.from_pretrained(folder)
        length = _options(folder / "sentence_bert_config.json").get("max_seq_length") or model.config.max_length
        if not isinstance(length, int) or length < 1:
            raise ReadError(f"max_seq_length in {folder} must be a positive whole number, got {length!r}")
        return cls(model, tokenizer, min(length, model.config.max_length))

    def encode(self, texts: Sequence[str], batch_size: int = 32) -> npt.NDArray[np.float32]:
        """One vector a text, `(N, D)`; texts of similar length are computed together."""
        rows = [self.tokenizer.encode(text, truncation=True, max_length=self.max_length) for text in texts]
        order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
        out = np.zeros((len(rows), self.model.config.d_model), np.float32)
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            out[chosen] = self._embed([rows[i] for i in chosen])
        return out

    def _embed(self, rows: Sequence[Sequence[int]]) -> npt.NDArray[np.float32]:
        ids = np.zeros((len(rows), max(map(len, rows))), np.int64)
        mask = np.zeros(ids.shape, np.bool_)
        for i, row in enumerate(rows):
            ids[i, : len(row)], mask[i, : len(row)] = row, True
        self.model.eval()
        with tl.no_grad():
            hidden = self.model.encode(ids, attention_mask=mask).numpy()  # (B, T, D)
        summed = (hidden * mask[..., None]).sum(1, dtype=np.float32)
        mean = summed / np.maximum(mask.sum(1, keepdims=True), 1)  # a text without tokens is zero
        result: npt.NDArray[np.float32] = mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-12)
        return result


def _options(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ReadError(f"cannot read {path}: {error}") from error
    if not isinstance(values, dict):
        raise ReadError(f"{path} must hold a JSON object, got {type(values).__name__}")
    return values
