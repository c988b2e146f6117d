"""Claims with known truth: members whose conditions persist, providers with habits, episodes, and planted anomalies."""

from claimsformer.claims.generator.anomalies import GENERATED_TYPES
from claimsformer.claims.generator.stream import GeneratedBatch, generate

__all__ = ["GENERATED_TYPES", "GeneratedBatch", "generate"]
