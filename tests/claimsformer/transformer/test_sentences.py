"""Sentence embeddings of a tiny BERT, against the formula in torch; folders that mean another embedding are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from claimsformer.errors import ConfigError, ReadError
from claimsformer.tokenizer.base import SpecialTokens
from claimsformer.tokenizer.text import TextTokenizer
from claimsformer.transformer.sentences import SentenceEncoder

TEXTS = [
    "a claim was denied",
    "",
    "denied",
    "a claim was denied because the provider filed the claim late and late again",
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tokenizer = TextTokenizer.train(TEXTS * 4, 300, medical=False, special=SpecialTokens())
    tokenizer.save_huggingface(tmp_path)
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48, max_position_embeddings=24
    )  # fmt: skip
    transformers.BertModel(config).save_pretrained(tmp_path)
    return tmp_path


def test_the_mean_over_tokens_at_length_one(folder: Path) -> None:
    encoder = SentenceEncoder.from_pretrained(folder)
    theirs = transformers.BertModel.from_pretrained(folder).eval()
    found = encoder.encode(TEXTS, batch_size=3)
    for text, vector in zip(TEXTS, found, strict=True):
        ids = encoder.tokenizer.encode(text, truncation=True, max_length=24)
        if not ids:  # this tokenizer adds nothing to an empty text
            assert not vector.any()
            continue
        with torch.no_grad():
            mean = theirs(torch.tensor([ids])).last_hidden_state[0].mean(0)
        np.testing.assert_allclose(vector, torch.nn.functional.normalize(mean, dim=0), atol=1e-5)
    assert encoder.encode([]).shape == (0, 32)


def test_a_length_beyond_the_positions_is_cut_to_them(folder: Path) -> None:
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 512}))
    encoder = SentenceEncoder.from_pretrained(folder)
    assert encoder.max_length == 24
    encoder.encode(["denied " * 100])


@pytest.mark.parametrize("length", ["many", -1, [1]])
def test_a_length_that_is_none(length: Any, folder: Path) -> None:
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": length}))
    with pytest.raises(ReadError, match="max_seq_length"):
        SentenceEncoder.from_pretrained(folder)


@pytest.mark.parametrize(
    "modes", [{"pooling_mode_cls_token": True}, {"pooling_mode": "cls"}, {"pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": True}]
)  # fmt: skip
def test_another_pooling_is_refused(modes: dict[str, Any], folder: Path) -> None:
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": 32, **modes}))
    with pytest.raises(ConfigError, match="only the mean"):
        SentenceEncoder.from_pretrained(folder)
    mean = {"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(mean))
    SentenceEncoder.from_pretrained(folder)
    (folder / "1_Pooling" / "config.json").write_text("[")
    with pytest.raises(ReadError, match="1_Pooling"):
        SentenceEncoder.from_pretrained(folder)
