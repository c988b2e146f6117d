"""National Drug Codes: the three printed layouts (4-4-2, 5-3-2, 5-4-1) and the billed one (5-4-2, eleven digits)."""

import re

from claimsformer.errors import CodeError

__all__ = ["normalise_ndc", "labeler_product"]

_LAYOUTS = {(4, 4, 2), (5, 3, 2), (5, 4, 1), (5, 4, 2)}


def normalise_ndc(text: str) -> str:
    """Eleven digits, 5-4-2, from any layout with hyphens; raises CodeError for ten digits alone, which could be three
    different drugs."""
    parts = text.strip().split("-")
    if len(parts) == 1 and re.fullmatch("[0-9]{11}", parts[0]):
        return parts[0]
    if len(parts) == 1 and re.fullmatch("[0-9]{10}", parts[0]):
        raise CodeError(
            "an NDC of ten digits without hyphens has three readings",
            hint="Write it with its hyphens, or as eleven digits.",
        )
    if (
        len(parts) != 3
        or not all(re.fullmatch("[0-9]+", part) for part in parts)
        or tuple(map(len, parts)) not in _LAYOUTS
    ):
        raise CodeError("an NDC has the form 4-4-2, 5-3-2, 5-4-1 or 5-4-2, or is eleven digits")
    return parts[0].zfill(5) + parts[1].zfill(4) + parts[2].zfill(2)


def labeler_product(ndc: str) -> tuple[str, str]:
    """Labeler (5 digits) and product (4 digits) of an NDC of eleven digits."""
    return ndc[:5], ndc[5:9]
