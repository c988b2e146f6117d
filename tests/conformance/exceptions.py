"""The one table of what differs from torch on purpose: OpInfo name -> reason. Each entry is a decision, not a to-do."""

from __future__ import annotations

EXCEPTIONS: dict[str, str] = {}
