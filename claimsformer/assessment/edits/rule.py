"""An edit: one rule with its number, its dates, the reason code that it gives, and a vectorised search."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import polars as pl

from claimsformer.assessment.edits.tables import Directory, EditTables
from claimsformer.claims.codes import CARC, RARC
from claimsformer.claims.frames import asked_amount

__all__ = ["EDITS", "FINDING_SCHEMA", "Context", "Edit", "edit", "finding"]

FINDING_SCHEMA: Final = pl.Schema(
    {
        "row": pl.UInt32(),  # of the table that was given
        "edit": pl.String(),
        "field": pl.String(),
        "evidence": pl.String(),
        "amount": pl.Float64(),  # US dollars at stake
    }
)
_CLAIM_COLUMNS = (
    *("claim_id", "claim_type", "member_id", "member_sex", "member_birth_date", "member_death_date", "member_state"),
    *("billing_provider_id", "provider_state", "provider_specialty", "service_from", "service_thru"),
    *("submitted_date", "place_of_service", "code_system"),
)


@dataclass(frozen=True)
class Context:
    """The claims under test with everything that the rules look at; earlier claims stand in `history`."""

    claims: pl.DataFrame
    tables: EditTables
    history: pl.DataFrame | None = None
    directory: Directory = field(default_factory=Directory)

    @cached_property
    def numbered(self) -> pl.DataFrame:
        """The claims with `row` and `value`, the amount that is asked for in US dollars."""
        return self.claims.with_row_index("row").with_columns(value=asked_amount(self.claims).fill_null(0.0))

    @cached_property
    def lines(self) -> pl.DataFrame:
        """One row a service line: `row`, the claim's columns with a leading `claim_` where the line has its own."""
        header = self.numbered.select(
            "row",
            "value",
            "diagnoses",
            *(pl.col(c).alias(f"claim_{c}" if c in ("service_from", "service_thru", "place_of_service") else c)
              for c in _CLAIM_COLUMNS),
            "lines",
        )  # fmt: skip
        lines = header.filter(pl.col("lines").list.len() > 0).explode("lines").unnest("lines")
        asked = pl.coalesce("allowed_amount", "charge_amount", "paid_amount").cast(pl.Float64).fill_null(0.0)
        return lines.with_columns(line_value=asked)

    @cached_property
    def with_history(self) -> pl.DataFrame:
        """The claims and those of the history that are not among them; `row` is null for the latter."""
        if self.history is None or self.history.is_empty():
            return self.numbered
        earlier = self.history.join(self.claims.select("claim_id"), on="claim_id", how="anti", maintain_order="left")
        return pl.concat([self.numbered, earlier.select(self.claims.columns)], how="diagonal")


@dataclass(frozen=True)
class Edit:
    """One rule. `carc` and `rarc` are reason code numbers; `weight` is the log-odds that a finding adds when there
    are no labels to learn it from."""

    id: str
    version: int
    title: str
    field: str
    carc: str
    rarc: str
    weight: float
    find: Callable[[Context], pl.DataFrame]
    group: str = "CO"
    effective_from: dt.date = dt.date(2000, 1, 1)
    effective_to: dt.date | None = None

    @property
    def reason(self) -> str:
        """`CO-18`, with the remark code where there is one: `CO-16/M76`."""
        return f"{self.group}-{self.carc}" + (f"/{self.rarc}" if self.rarc else "")

    @property
    def reason_text(self) -> str:
        """The reason code in our own words."""
        return CARC[self.carc] + (f"; {RARC[self.rarc]}" if self.rarc else "")


EDITS: dict[str, Edit] = {}


def edit(
    id: str, title: str, *, field: str, carc: str, rarc: str = "", weight: float = 3.0, version: int = 1
) -> Callable[[Callable[[Context], pl.DataFrame]], Callable[[Context], pl.DataFrame]]:
    """Register the search that follows under this id."""

    def register(find: Callable[[Context], pl.DataFrame]) -> Callable[[Context], pl.DataFrame]:
        EDITS[id] = Edit(id, version, title, field, carc, rarc, weight, find)
        return find

    return register


def finding(
    frame: pl.DataFrame, evidence: pl.Expr, *, field: str | pl.Expr, amount: pl.Expr | str = "value"
) -> pl.DataFrame:
    """Rows of a search as findings; `run_edits` adds the edit's id."""
    where = pl.lit(field) if isinstance(field, str) else field
    worth = pl.col(amount) if isinstance(amount, str) else amount
    return frame.select(
        pl.col("row").cast(pl.UInt32),
        where.alias("field"),
        evidence.alias("evidence"),
        worth.cast(pl.Float64).alias("amount"),
    )


def nothing() -> pl.DataFrame:
    """No finding."""
    return pl.DataFrame(schema={k: v for k, v in FINDING_SCHEMA.items() if k != "edit"})
