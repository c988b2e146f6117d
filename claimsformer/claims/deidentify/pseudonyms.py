"""Stable stand-ins for identifiers, and the secret number of days by which a person's dates move."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Final

import numpy as np

from claimsformer.errors import ConfigError

__all__ = ["KeyedPseudonyms", "ReleaseCodes", "day_shift"]

_MIN_KEY_BYTES: Final = 16


class KeyedPseudonyms:
    """HMAC-SHA256 (FIPS 198-1) of an identifier under a secret key: same key, same pseudonym, in any file, on any day.

    Eighty bits are kept, as sixteen base-32 characters after the prefix. Without the key nobody can try out all member
    numbers; whoever holds the key can, so pseudonyms are for use inside, and the key is kept away from the data.
    Raises ConfigError for a key shorter than 16 bytes.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) < _MIN_KEY_BYTES:
            raise ConfigError(
                f"the key has {len(key)} bytes, expected at least {_MIN_KEY_BYTES}",
                hint="make one with: python -c 'import secrets; print(secrets.token_hex(32))'",
            )
        self._key = key

    def digest(self, purpose: str, value: str) -> bytes:
        """The 32-byte HMAC of a value; different purposes give unrelated digests."""
        return hmac.new(self._key, f"{purpose}\x1f{value}".encode(), hashlib.sha256).digest()

    def code(self, purpose: str, value: str) -> str:
        """The pseudonym of a value, for example `MEM-` and sixteen characters."""
        return f"{purpose}-{base64.b32encode(self.digest(purpose, value)[:10]).decode()}"


class ReleaseCodes:
    """Random codes for one release, not derived from the identifier, as 45 CFR 164.514(c)(1) asks.

    The table from identifier to code lives in memory as long as the object, so batches of one release agree with each
    other; it is never written. Takes a seed for repeatable tests; without one the codes come from the operating system.
    """

    def __init__(self, seed: int | None = None) -> None:
        self._rng = np.random.Generator(np.random.PCG64(seed))
        self._codes: dict[tuple[str, str], str] = {}

    def code(self, purpose: str, value: str) -> str:
        """The code of a value in this release."""
        known = self._codes.get((purpose, value))
        if known is None:
            known = f"{purpose}-{base64.b32encode(self._rng.bytes(10)).decode()}"
            self._codes[purpose, value] = known
        return known


def day_shift(pseudonyms: KeyedPseudonyms, person: str, max_days: int = 182) -> int:
    """Days, from -max_days to max_days and never 0, by which all dates of this person move.

    Constant per person, so intervals are kept. Shifted dates are still elements of dates: this is the territory of a
    limited data set or of an expert's determination (45 CFR 164.514(b)(1) and (e)), **not of Safe Harbor**.
    """
    if max_days < 1:
        raise ConfigError(f"max_days is {max_days}, expected at least 1")
    draw = int.from_bytes(pseudonyms.digest("SHIFT", person)[:8], "big") % (2 * max_days)
    return draw - max_days if draw < max_days else draw - max_days + 1
