"""ZIP codes under Safe Harbor: three digits, and only where more than 20,000 people share them."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["RESTRICTED_ZIP3", "safe_zip3"]

# Three-digit ZIP areas with 20,000 people or fewer. The first set is the one printed in the HHS guidance on
# de-identification (Census 2000, 17 areas); the second is the same count over Census 2010 tabulation areas. Areas leave
# the list when they grow, so the union of both is stricter than either and stays safe for older records.
_CENSUS_2000: Final = frozenset(
    (
        "036",
        "059",
        "063",
        "102",
        "203",
        "556",
        "692",
        "790",
        "821",
        "823",
        "830",
        "831",
        "878",
        "879",
        "884",
        "890",
        "893",
    )
)
_CENSUS_2010: Final = frozenset(
    (
        "036",
        "059",
        "102",
        "202",
        "203",
        "204",
        "205",
        "369",
        "556",
        "692",
        "753",
        "772",
        "821",
        "823",
        "878",
        "879",
        "884",
        "893",
    )
)
RESTRICTED_ZIP3: Final = _CENSUS_2000 | _CENSUS_2010

_ZIP = re.compile(r"\s*(\d{5})(?:-?\d{4})?\s*|\s*(\d{3})\s*")


def safe_zip3(zip_code: str | None) -> str | None:
    """The first three digits of a ZIP code, or "000" where they may not be kept.

    A value that is no ZIP code (letters, a wrong number of digits) gives "000" too: what cannot be read is not
    released.
    """
    if zip_code is None:
        return None
    match = _ZIP.fullmatch(zip_code)
    if match is None:
        return "000"
    zip3 = (match[1] or match[2])[:3]
    return "000" if zip3 in RESTRICTED_ZIP3 else zip3
