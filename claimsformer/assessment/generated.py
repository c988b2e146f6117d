"""Histories of generated claims: several small markets side by side, with members that are kept for later."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from claimsformer.assessment.edits import Directory, EditTables
from claimsformer.assessment.splits import split_by
from claimsformer.claims.generator import generate, reference_tables

__all__ = ["GeneratedHistory", "generated_history", "reference_edit_tables"]


@dataclass(frozen=True)
class GeneratedHistory:
    """`history` to learn from, `later` claims of other members of the same providers; `truth` of both."""

    history: pl.DataFrame
    later: pl.DataFrame
    truth: pl.DataFrame
    directory: Directory


def reference_edit_tables() -> EditTables:
    """The code tables of the generated world, for the edits."""
    return EditTables.of_reference(reference_tables())


def generated_history(
    n_claims: int, seed: int, *, worlds: int = 6, later: float = 0.1, rate: float = 0.003
) -> GeneratedHistory:
    """About `n_claims` claims of `worlds` markets of 300 providers each; a share `later` of the members is set aside.

    Several markets, because a model that has seen the prices and habits of one learns these by heart.
    """
    claims, truth, providers, members = [], [], [], []
    for world in range(worlds):
        size = n_claims // worlds
        batch = next(generate(size, seed * 1_000 + world, size, rate=rate))

        def named(frame: pl.DataFrame, *columns: str, world: int = world) -> pl.DataFrame:
            return frame.with_columns(pl.concat_str(pl.lit(f"W{world}"), pl.col(c)).alias(c) for c in columns)

        ids = ("claim_id", "member_id", "billing_provider_id", "rendering_provider_id")
        claims.append(named(batch.claims, *ids))
        truth.append(named(batch.truth, "claim_id"))
        providers.append(named(batch.providers, "provider_id"))
        members.append(named(batch.members, "member_id"))
    parts = split_by(pl.concat(claims), "member_id", {"history": 1 - later, "later": later}, seed + 1)
    directory = Directory(pl.concat(providers), pl.concat(members))
    return GeneratedHistory(parts["history"], parts["later"], pl.concat(truth), directory)
