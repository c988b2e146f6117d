"""What a claim is made of, said in data: one `FieldSpec` per field, a `ClaimSpec` for the whole.

A field reads one column, or several of the same meaning (`dx1` ... `dx10`: one field, the rank is the position). A
specification holds no learned number; `FieldTokenizer.fit` learns those.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from claimsformer.tokenizer.base import TokenizerError
from claimsformer.tokenizer.codes import HIERARCHIES

__all__ = ["ClaimSpec", "FieldSpec", "Kind"]

Kind = Literal["category", "code", "number", "money", "ratio", "date", "days"]
NUMERIC_KINDS = frozenset({"number", "money", "ratio", "days", "date"})


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """One field of a claim.

    * `category`: a short list of values. `code`: a long list with a `hierarchy` (see `claimsformer.tokenizer.codes`).
    * `number`: quantile bin and robust z-score. `money`: the same on arcsinh(US dollars), so sign and magnitude both
      count.
    * `ratio`: a column over the median of its group `by` (payment over the DRG's median), on arcsinh(10 x).
    * `days`: days from the date column `since` to this date. `date`: month as token, day of the month as scalar;
      never the year.

    For a field of several columns, `by` names the group's column with `{rank}` in place of the rank.

    `edges` fixes the bins of a number (right-open, ascending) instead of `bins` quantiles. Fields that share a
    `mask_group` are hidden together, `hides` names fields to hide whenever this one is. `absent` says what a missing
    value becomes: a token of its own, or padding (for the unused ranks of a list).
    """

    name: str
    kind: Kind
    columns: tuple[str, ...] = ()
    hierarchy: str | None = None
    bins: int = 16
    edges: tuple[float, ...] = ()
    by: str | None = None
    since: str | None = None
    mask_group: str | None = None
    hides: tuple[str, ...] = ()
    absent: Literal["token", "pad"] = "token"
    min_count: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", tuple(self.columns) or (self.name,))
        object.__setattr__(self, "edges", tuple(float(edge) for edge in self.edges))
        object.__setattr__(self, "hides", tuple(self.hides))
        self._validate()

    def _validate(self) -> None:
        where = f"field {self.name!r}"
        if not self.name or set("<>=:*") & set(self.name):
            raise TokenizerError(f"{where}: a name is not empty and has none of '<>=:*'")
        if self.kind not in get_args(Kind):
            raise TokenizerError(f"{where}: kind must be one of {', '.join(get_args(Kind))}, got {self.kind!r}")
        if self.kind == "code" and self.hierarchy not in HIERARCHIES:
            raise TokenizerError(f"{where}: hierarchy must be one of {', '.join(HIERARCHIES)}, got {self.hierarchy!r}")
        if self.kind == "ratio" and self.by is None:
            raise TokenizerError(f"{where}: a ratio needs `by`, the column whose groups' medians it is taken against")
        if self.kind == "days" and self.since is None:
            raise TokenizerError(f"{where}: days need `since`, the column of the first date")
        if self.bins < 2:
            raise TokenizerError(f"{where}: bins must be at least 2, got {self.bins}")
        if list(self.edges) != sorted(set(self.edges)):
            raise TokenizerError(f"{where}: edges must ascend, got {self.edges}")

    @property
    def numeric(self) -> bool:
        """Whether its tokens carry a scalar."""
        return self.kind in NUMERIC_KINDS

    @property
    def reads(self) -> tuple[str, ...]:
        """Every column that it looks at."""
        groups = tuple(self.group_column(rank) for rank in range(1, len(self.columns) + 1)) if self.by else ()
        return self.columns + groups + ((self.since,) if self.since else ())

    def group_column(self, rank: int) -> str:
        """The column of the groups for the column of this rank (from 1)."""
        return (self.by or "").format(rank=rank)


@dataclass(frozen=True, slots=True)
class ClaimSpec:
    """The fields of a claim in the order of their tokens, and the columns that may not become tokens."""

    name: str
    fields: tuple[FieldSpec, ...]
    identifiers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "fields", tuple(self.fields))
        object.__setattr__(self, "identifiers", tuple(self.identifiers))
        names = [field.name for field in self.fields]
        if not names or len(set(names)) != len(names):
            raise TokenizerError(f"spec {self.name!r}: needs fields with distinct names, got {names}")
        for field in self.fields:
            private = sorted(set(field.reads) & set(self.identifiers))
            if private:
                raise TokenizerError(
                    f"field {field.name!r} reads an identifier ({', '.join(private)}): identifiers "
                    "never enter a vocabulary, derive what the model may know (a state, a count) instead"
                )
            unknown = set(field.hides) - set(names)
            if unknown:
                raise TokenizerError(f"field {field.name!r} hides {', '.join(sorted(unknown))}, which the spec lacks")

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that a frame must have."""
        return tuple(dict.fromkeys(column for field in self.fields for column in field.reads))

    @property
    def length(self) -> int:
        """Tokens of one claim before unused ranks are dropped, [CLS] included."""
        return 1 + sum(len(field.columns) for field in self.fields)

    def to_dict(self) -> dict[str, Any]:
        """The specification as JSON values, without what equals its default."""
        defaults = {f.name: f.default for f in fields(FieldSpec)}
        entries = []
        for spec in self.fields:
            entry = {k: v for k, v in asdict(spec).items() if k in {"name", "kind"} or v != defaults[k]}
            entries.append({k: list(v) if isinstance(v, tuple) else v for k, v in entry.items()})
        return {"name": self.name, "fields": entries, "identifiers": list(self.identifiers)}

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> ClaimSpec:
        """The specification that `to_dict` described; raises TokenizerError for an unknown key."""
        known = {f.name for f in fields(FieldSpec)}
        for entry in state["fields"]:
            if set(entry) - known:
                raise TokenizerError(f"field {entry.get('name')!r}: unknown keys {sorted(set(entry) - known)}")
        specs = tuple(FieldSpec(**entry) for entry in state["fields"])
        return cls(state["name"], specs, tuple(state.get("identifiers", ())))
