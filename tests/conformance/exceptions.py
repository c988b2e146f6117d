"""The one table of what differs from torch on purpose: OpInfo name -> reason. Each entry is a decision, not a to-do."""

from __future__ import annotations

#: Some float64 samples differ.
EXCEPTIONS: dict[str, str] = {}

#: The result of some input dtypes differs.
DTYPES: dict[str, str] = {}

#: Something that torch refuses is accepted.
ERRORS: dict[str, str] = {}
