"""The eighteen identifiers of HIPAA's Safe Harbor, 45 CFR 164.514(b)(2)(i), by their letter in the rule."""

from __future__ import annotations

from enum import Enum

__all__ = ["Identifier"]


class Identifier(Enum):
    """One kind of identifier; the value is the letter of the paragraph that names it."""

    NAME = "A"
    GEOGRAPHY = "B"
    DATE_OR_AGE = "C"
    PHONE = "D"
    FAX = "E"
    EMAIL = "F"
    SSN = "G"
    MEDICAL_RECORD = "H"
    HEALTH_PLAN = "I"
    ACCOUNT = "J"
    LICENCE = "K"
    VEHICLE = "L"
    DEVICE = "M"
    URL = "N"
    IP_ADDRESS = "O"
    BIOMETRIC = "P"
    PHOTO = "Q"
    OTHER_UNIQUE = "R"

    @property
    def label(self) -> str:
        """The word that stands in for the removed text, for example `[PHONE]`."""
        return f"[{'DATE' if self is Identifier.DATE_OR_AGE else self.name}]"
