"""Readers of claims: CSV and Parquet by layout, NDJSON, FHIR, X12 and Synthea, in batches at constant memory."""

from claimsformer.claims.readers.layouts import LAYOUTS, Layout, load_mapping
from claimsformer.claims.readers.reader import FORMATS, ClaimReader, check_regular, detect_format, read_claims

__all__ = [
    "FORMATS",
    "LAYOUTS",
    "ClaimReader",
    "Layout",
    "check_regular",
    "detect_format",
    "load_mapping",
    "read_claims",
]
