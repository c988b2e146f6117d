"""Tokenizers: medical text to ids (`text`) and structured claims to ids (`fields`).

`claimsformer.tokenizer.text` needs NumPy alone; `claimsformer.tokenizer.fields` reads polars frames.
"""

from claimsformer.tokenizer.base import SpecialTokens, TokenizerBase, TokenizerError
from claimsformer.tokenizer.loading import load_tokenizer

__all__ = ["SpecialTokens", "TokenizerBase", "TokenizerError", "load_tokenizer"]
