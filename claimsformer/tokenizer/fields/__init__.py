"""Structured claims to ids: a declarative specification, a vocabulary ordered by field, arrays for a model.

tokenizer = FieldTokenizer(SYNPUF_SPEC).fit(prepare_synpuf(train))
batch = tokenizer.encode(prepare_synpuf(claims))          # ClaimBatch, every array (B, T)
hidden = closure(tokenizer, batch, choose_field(tokenizer, batch, "drg"))
model_input = hide(tokenizer, batch, hidden).compact()
"""

from claimsformer.tokenizer.fields.batch import ClaimBatch
from claimsformer.tokenizer.fields.generic import claim_spec, prepare_claims
from claimsformer.tokenizer.fields.history import with_history
from claimsformer.tokenizer.fields.masking import choose_at_random, choose_field, closure, hide
from claimsformer.tokenizer.fields.spec import ClaimSpec, FieldSpec
from claimsformer.tokenizer.fields.synpuf import SYNPUF_SPEC, prepare_synpuf
from claimsformer.tokenizer.fields.tokenizer import FieldTokenizer

__all__ = [
    "ClaimBatch",
    "ClaimSpec",
    "FieldSpec",
    "FieldTokenizer",
    "choose_at_random",
    "choose_field",
    "closure",
    "hide",
    "SYNPUF_SPEC",
    "prepare_synpuf",
    "claim_spec",
    "prepare_claims",
    "with_history",
]
