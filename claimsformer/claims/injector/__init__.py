"""Known anomalies put into real claims, and the check that they left no trace beyond the anomaly itself."""

from claimsformer.claims.injector.fingerprints import Finding, FingerprintReport, fingerprint_report
from claimsformer.claims.injector.inject import INJECTABLE_TYPES, inject, inject_synpuf
from claimsformer.claims.injector.layout import SCHEMA_LAYOUT, SYNPUF_LAYOUT, Layout

__all__ = [
    "Finding",
    "FingerprintReport",
    "INJECTABLE_TYPES",
    "Layout",
    "SCHEMA_LAYOUT",
    "SYNPUF_LAYOUT",
    "fingerprint_report",
    "inject",
    "inject_synpuf",
]
