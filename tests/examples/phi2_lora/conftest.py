"""A tiny Phi that has read a little, in a folder, for all tests of the example."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from examples.phi2_lora.formatting import Example


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from examples.phi2_lora.tiny import make_tiny_phi

    path = tmp_path_factory.mktemp("tiny-phi")
    make_tiny_phi(path, updates=60)
    return path


@pytest.fixture(scope="session")
def examples(folder: Path) -> list[Example]:
    from claimsformer.tokenizer.text import TextTokenizer
    from examples.phi2_lora.formatting import encode_all
    from examples.phi2_lora.pairs import training

    tokenizer = TextTokenizer.from_pretrained(folder)
    assert tokenizer.eos_token_id is not None
    return encode_all(training(), tokenizer, tokenizer.eos_token_id)
