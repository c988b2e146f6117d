"""Real weights against transformers: SmolLM2-135M out of a GGUF file, and MiniLM. `fetch(name)` puts them into the cache."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from claimsformer.tokenizer.text import TextTokenizer
from claimsformer.transformer import from_hugging_face, generate
from claimsformer.transformer.fetching import fetched
from claimsformer.transformer.sentences import SentenceEncoder

pytestmark = pytest.mark.pretrained
PROMPTS = [
    "What is denial code 29?",
    "The capital of France is",
    "Write a haiku about medical claims.",
    "def add(a, b):",
    "Prior authorization means",
]
SENTENCES = [
    "The claim was denied because prior authorization is absent.",
    "Claim rejected: no pre-approval was obtained.",
    "A cat sleeps on the mat.",
    "ICD-10 E11.9, CPT 99213, $1,250.00, métformine 500 mg",
    "x",
]


def folder_of(name: str) -> Path:
    folder = fetched(name)
    if folder is None:
        pytest.skip(f"{name} is not in the cache: type: claimsformer models fetch {name}")
    return folder


@pytest.fixture(scope="module")
def smollm2() -> tuple[Any, TextTokenizer, Any, Any]:
    folder = folder_of("smollm2")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    auto: Callable[..., Any] = transformers.AutoTokenizer.from_pretrained
    return from_hugging_face(folder), TextTokenizer.from_pretrained(folder), theirs, auto(folder)


def test_smollm2_tokens_and_logits(smollm2: tuple[Any, TextTokenizer, Any, Any]) -> None:
    mine, tokenizer, theirs, auto = smollm2
    assert sum(p.numel() for p in mine.parameters()) == 134_515_008
    for text in [*PROMPTS, *SENTENCES]:
        ids = tokenizer.encode(text)
        assert ids == auto(text)["input_ids"]
    ids = np.array([tokenizer.encode(" ".join(SENTENCES))])
    with torch.no_grad():
        wanted = theirs(torch.from_numpy(ids)).logits.numpy()
    np.testing.assert_allclose(mine(ids).detach().numpy(), wanted, atol=2e-4)


def test_smollm2_greedy_text(smollm2: tuple[Any, TextTokenizer, Any, Any]) -> None:
    mine, tokenizer, theirs, auto = smollm2
    for text in PROMPTS:
        ids = tokenizer.encode(text)
        new = generate(mine, [ids], max_new_tokens=12).sequences()[0]
        tensor = torch.tensor([ids])
        wanted = theirs.generate(
            input_ids=tensor, attention_mask=torch.ones_like(tensor), max_new_tokens=12, do_sample=False, pad_token_id=2
        )[0, len(ids) :]
        assert tokenizer.decode(new.tolist()) == auto.decode(wanted)


def test_minilm_embeddings() -> None:
    folder = folder_of("minilm")
    mine = SentenceEncoder.from_pretrained(folder)
    auto: Callable[..., Any] = transformers.AutoTokenizer.from_pretrained
    theirs, tokenizer = transformers.AutoModel.from_pretrained(folder).eval(), auto(folder)
    batch = tokenizer(SENTENCES, padding=True, truncation=True, max_length=256, return_tensors="pt")
    with torch.no_grad():
        hidden = theirs(**batch).last_hidden_state
    mask = batch["attention_mask"][..., None]
    wanted = torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1)).numpy()
    found = mine.encode(SENTENCES)
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    assert found[0] @ found[1] > 0.5 > found[0] @ found[2]  # two ways to say one thing, and another thing
