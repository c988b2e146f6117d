"""Code tables with hierarchy: ICD-9-CM, ICD-10, HCPCS level II, DRG, NDC, reason codes, places of service. No CPT
words."""

from claimsformer.claims.codes.drg import MDC_NAMES, mdc_expr, mdc_of
from claimsformer.claims.codes.hierarchy import CHAPTERS, SYSTEMS, Code, category_expr, chapter_expr, lookup
from claimsformer.claims.codes.icd_forms import dotted
from claimsformer.claims.codes.ndc import labeler_product, normalise_ndc
from claimsformer.claims.codes.reasons import CARC, GROUPS, PLACES_OF_SERVICE, RARC, describe_reason
from claimsformer.claims.codes.tables import Entry, load

__all__ = [
    "CARC",
    "CHAPTERS",
    "GROUPS",
    "MDC_NAMES",
    "PLACES_OF_SERVICE",
    "RARC",
    "SYSTEMS",
    "Code",
    "Entry",
    "category_expr",
    "chapter_expr",
    "describe_reason",
    "dotted",
    "labeler_product",
    "load",
    "lookup",
    "mdc_expr",
    "mdc_of",
    "normalise_ndc",
]
