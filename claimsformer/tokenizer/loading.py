"""One call for a folder whose kind of tokenizer is not known beforehand."""

from __future__ import annotations

import os
from pathlib import Path

from claimsformer.tokenizer.base import TOKENIZER_FILE, TokenizerBase, read_json

__all__ = ["load_tokenizer"]


def load_tokenizer(folder: str | os.PathLike[str]) -> TokenizerBase:
    """The `FieldTokenizer` or `TextTokenizer` of a folder, as its file says; raises FileNotFoundError for none."""
    path = Path(folder) / TOKENIZER_FILE
    if path.is_file() and read_json(path).get("kind") == "fields":
        from claimsformer.tokenizer.fields import FieldTokenizer

        return FieldTokenizer.from_pretrained(folder)
    from claimsformer.tokenizer.text import TextTokenizer

    return TextTokenizer.from_pretrained(folder)
