"""Tokenizers: medical text to ids (`text`) and structured claims to ids (`fields`).

`claimsformer.tokenizer.text` needs NumPy alone; `claimsformer.tokenizer.fields` reads polars frames.
"""

from claimsformer.tokenizer.base import SpecialTokens, TokenizerBase, TokenizerError

__all__ = ["SpecialTokens", "TokenizerBase", "TokenizerError"]
