"""De-identification: HIPAA's Safe Harbor for tables of claims and for free text, keyed pseudonyms, shifted dates.

Start with `Deidentifier` for tables and `scrub_text` for text. What regular expressions cannot do is said where it
matters: they miss names.
"""

from claimsformer.claims.deidentify.cells import suppress_small_cells
from claimsformer.claims.deidentify.claims import MAX_AGE, Deidentifier, Mode
from claimsformer.claims.deidentify.geography import RESTRICTED_ZIP3, safe_zip3
from claimsformer.claims.deidentify.identifiers import Identifier
from claimsformer.claims.deidentify.policy import Action, FieldPolicy, policy_of
from claimsformer.claims.deidentify.pseudonyms import KeyedPseudonyms, ReleaseCodes, day_shift
from claimsformer.claims.deidentify.report import DeidReport
from claimsformer.claims.deidentify.text import IdentifierSpan, find_identifiers, scrub_text

__all__ = [
    "Action",
    "DeidReport",
    "Deidentifier",
    "FieldPolicy",
    "Identifier",
    "IdentifierSpan",
    "KeyedPseudonyms",
    "MAX_AGE",
    "Mode",
    "RESTRICTED_ZIP3",
    "ReleaseCodes",
    "day_shift",
    "find_identifiers",
    "policy_of",
    "safe_zip3",
    "scrub_text",
    "suppress_small_cells",
]
