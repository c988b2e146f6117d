"""What a de-identification run did: counts by column and kind of identifier, never a value."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from claimsformer.claims.deidentify.identifiers import Identifier

__all__ = ["DeidReport"]

LIMITS = (
    "Free text was scrubbed by regular expressions; they miss names and places that no title, label or field marks.",
    "Safe Harbor also asks that the releasing entity does not know that what remains could identify a person.",
)
SHIFT_LIMIT = "Dates were shifted per person: a limited data set or an expert's determination, not Safe Harbor."


@dataclass
class DeidReport:
    """Counts of what was changed; reports of the batches of one run add up with `+`."""

    mode: str
    rows: int = 0
    actions: dict[str, str] = field(default_factory=dict)  # column -> action
    changed: Counter[str] = field(default_factory=Counter)  # column -> values removed or replaced
    in_text: Counter[Identifier] = field(default_factory=Counter)  # kind -> spans removed from free text

    @property
    def by_identifier(self) -> dict[str, int]:
        """Spans removed from free text, by kind."""
        return {kind.name: self.in_text[kind] for kind in Identifier if self.in_text[kind]}

    @property
    def limits(self) -> tuple[str, ...]:
        """Sentences that belong beside any release."""
        return LIMITS if self.mode == "safe_harbor" else (SHIFT_LIMIT, *LIMITS)

    def __add__(self, other: DeidReport) -> DeidReport:
        return DeidReport(
            self.mode,
            self.rows + other.rows,
            self.actions | other.actions,
            self.changed + other.changed,
            self.in_text + other.in_text,
        )

    def to_dict(self) -> dict[str, object]:
        """A plain dictionary, ready for JSON."""
        return {
            "mode": self.mode,
            "rows": self.rows,
            "actions": dict(sorted(self.actions.items())),
            "changed": dict(sorted(self.changed.items())),
            "in_text": self.by_identifier,
            "limits": list(self.limits),
        }
