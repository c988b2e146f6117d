"""What a layout is: which column of a table of claims is which field."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field

from claimsformer.claims.kinds import LIST_FIELDS, flat_schema
from claimsformer.errors import MappingError

__all__ = ["PLAIN", "Join", "Layout", "Slice"]

PLAIN = "plain"  # the layout whose columns are named as the fields, as this package writes it


@dataclass(frozen=True)
class Slice:
    """A part of a column, as characters `start` to `start + length`."""

    column: str
    start: int
    length: int


@dataclass(frozen=True)
class Join:
    """A second table beside the claims: the first file that matches one of `patterns`, joined on `left` = `right`."""

    patterns: tuple[str, ...]
    left: str
    right: str
    columns: frozenset[str] = frozenset()  # what it brings; without the file, and only then, these may be missing


@dataclass(frozen=True)
class Layout:
    """How the columns of a table become the fields of claims; see the module's docstring."""

    name: str
    columns: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Mapping[str, str | None]] = field(default_factory=dict)
    pad: Mapping[str, int] = field(default_factory=dict)
    slices: Mapping[str, Slice] = field(default_factory=dict)
    conditions: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # column -> (condition, the value for yes)
    joins: tuple[Join, ...] = ()
    missing: tuple[str, ...] = ()
    day_first: bool = False
    decimal_comma: bool = False
    encoding: str = "utf-8"  # of a CSV file; any other has one byte for each character
    optional: frozenset[str] = frozenset()  # columns that may be absent, all together

    @property
    def per_line(self) -> bool:
        """Whether each row of the file is one service line."""
        return any(target.startswith("line_") for target in (*self.columns, *self.constants))

    def check(self) -> "Layout":
        """This layout, or a MappingError naming the first target that the schema does not know."""
        for target in (*self.columns, *self.constants, *self.values, *self.pad, *self.slices):
            if target not in flat_schema():
                ends_so = [name for name in flat_schema() if name.endswith(f"_{target}")]  # provider_id: whose?
                near = ends_so[:3] or difflib.get_close_matches(target, list(flat_schema()), n=1)
                hint = (
                    f"Did you mean {' or '.join(map(repr, near))}?"
                    if near
                    else "Targets are fields of Claim, or line_ and a field of ClaimLine."
                )
                raise MappingError(f"mapping {self.name!r}: {target!r} is not a field of a claim", hint=hint)
        for target, source in self.columns.items():
            if isinstance(source, tuple) and target not in LIST_FIELDS:
                raise MappingError(f"mapping {self.name!r}: {target!r} holds one value, but got {len(source)} columns")
        if self.encoding != "utf-8" and not _one_byte(self.encoding):
            raise MappingError(
                f"mapping {self.name!r}: the encoding {self.encoding!r} is not known, or not one byte a character",
                hint="Say cp1252 or latin-1, or convert the file to UTF-8 and leave encoding out.",
            )
        return self


def _one_byte(encoding: str) -> bool:
    try:
        return len(bytes(range(256)).decode(encoding, errors="replace")) == 256
    except LookupError:
        return False
