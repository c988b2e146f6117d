"""Claims with known truth: members whose conditions persist, providers with habits, episodes, and planted anomalies."""

from claimsformer.claims.generator.anomalies import GENERATED_TYPES
from claimsformer.claims.generator.labels import DETECTION, review_labels
from claimsformer.claims.generator.reference import Reference, reference_tables
from claimsformer.claims.generator.stream import GeneratedBatch, generate

__all__ = [
    "DETECTION",
    "GENERATED_TYPES",
    "GeneratedBatch",
    "Reference",
    "generate",
    "reference_tables",
    "review_labels",
]
