"""Generated claims as a stream: block after block at constant memory, the same bytes for the same seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from claimsformer.claims.generator.anomalies import plant
from claimsformer.claims.generator.episodes import make_episodes
from claimsformer.claims.generator.planter import Planter, renumbered
from claimsformer.claims.generator.pricing import price
from claimsformer.claims.generator.render import (
    render_claims,
    render_hard_negatives,
    render_members,
    render_providers,
    render_truth,
)
from claimsformer.claims.generator.tables import tables
from claimsformer.claims.generator.world import make_members, make_providers
from claimsformer.errors import ConfigError

__all__ = ["GeneratedBatch", "generate"]

BLOCK_MEMBERS: Final = 6_000
BLOCK_PROVIDERS: Final = 300
_CLAIMS_PER_MEMBER: Final = 6.0  # a low estimate, so that one small block holds as many claims as were asked for
_FEWEST_MEMBERS: Final = 300


@dataclass(frozen=True)
class GeneratedBatch:
    """One batch: `claims` in the schema's layout, and beside them, never for a model's eyes, `truth` and
    `hard_negatives`.

    `members` and `providers` are what a payer knows about those who take part: homes, specialties, exclusions.
    """

    claims: pl.DataFrame
    truth: pl.DataFrame
    hard_negatives: pl.DataFrame
    members: pl.DataFrame
    providers: pl.DataFrame


def generate(n_claims: int, seed: int, batch_size: int = 50_000, *, rate: float = 0.003) -> Iterator[GeneratedBatch]:
    """Yield `n_claims` claims in batches of `batch_size` (the last may be smaller), planted anomalies included.

    `rate` is the share of claims per type of anomaly, less where few claims can carry it (stays, members who died, a
    provider's day): no more than one in ten of those is taken for one type. The claims do not depend on `batch_size`.
    They come in blocks, each a market of its own of 6,000 members and 300 providers over one year, ordered by
    submission within the block; a block cut short by `n_claims` loses members, not months. Raises ConfigError for
    sizes below 1 or a rate outside 0 to 0.04.
    """
    if n_claims < 1 or batch_size < 1:
        raise ConfigError(f"n_claims is {n_claims} and batch_size {batch_size}, expected at least 1")
    if not 0 <= rate <= 0.04:
        raise ConfigError(f"rate is {rate}, expected a share per type between 0 and 0.04")
    return _batches(n_claims, seed, batch_size, rate)


def _batches(n_claims: int, seed: int, batch_size: int, rate: float) -> Iterator[GeneratedBatch]:
    waiting: list[GeneratedBatch] = []
    held = left = 0
    left = n_claims
    block = 0
    while left:
        made = _trimmed(_block(block, seed, left, rate), left)
        left -= made.claims.height
        block += 1
        waiting.append(made)
        held += made.claims.height
        while held >= batch_size or (held and not left):
            joined = waiting[0] if len(waiting) == 1 else _joined(waiting)
            yield _part(joined, 0, batch_size)
            held = max(0, held - batch_size)
            waiting = [_part(joined, batch_size, held)] if held else []


def _block(block: int, seed: int, left: int, rate: float) -> GeneratedBatch:
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(block,))))
    wanted = int(np.ceil(left / _CLAIMS_PER_MEMBER)) + 50
    members = make_members(min(BLOCK_MEMBERS, max(_FEWEST_MEMBERS, wanted)), rng)
    providers = make_providers(BLOCK_PROVIDERS, rng)
    table = tables()
    planter = Planter(make_episodes(members, providers, table, rng), members, providers, table, rng)
    ledger = plant(planter, rate)
    order = ledger.submission_order()
    ledger, planted = ledger.select(order), renumbered(planter.planted, order)
    amounts = price(ledger, members, providers)
    return GeneratedBatch(
        claims=render_claims(ledger, amounts, members, providers, table, block),
        truth=render_truth(planted, ledger, block),
        hard_negatives=render_hard_negatives(ledger, planted, members, providers, table, block),
        members=render_members(members, block),
        providers=render_providers(providers, block),
    )


def _trimmed(made: GeneratedBatch, left: int) -> GeneratedBatch:
    """At most `left` claims, by leaving out members with all their claims, so that whoever stays has a whole history.

    Members who take part in a provider's impossible day stay first: without them the day would be possible.
    """
    if made.claims.height <= left:
        return made
    provider_wide = made.truth.filter(scope="provider", type="impossible_day")["claim_id"]
    counts = made.claims.group_by("member_id").agg(
        pl.len().alias("claims"), pl.col("claim_id").is_in(provider_wide.implode()).any().alias("first")
    )
    kept: list[str] = []
    for member, claims, _ in counts.sort(["first", "member_id"], descending=[True, False]).iter_rows():
        if claims <= left:
            kept.append(member)
            left -= claims
    return _with_claims(made, made.claims.filter(pl.col("member_id").is_in(kept)))


def _part(batch: GeneratedBatch, start: int, count: int) -> GeneratedBatch:
    return _with_claims(batch, batch.claims.slice(start, count))


def _with_claims(batch: GeneratedBatch, claims: pl.DataFrame) -> GeneratedBatch:
    def present(frame: pl.DataFrame, on: str, other: str) -> pl.DataFrame:
        return frame.join(claims.select(pl.col(other).alias(on)).unique(), on=on, how="semi", maintain_order="left")

    return GeneratedBatch(
        claims,
        present(batch.truth, "claim_id", "claim_id"),
        present(batch.hard_negatives, "claim_id", "claim_id"),
        present(batch.members, "member_id", "member_id"),
        present(batch.providers, "provider_id", "billing_provider_id"),
    )


def _joined(parts: list[GeneratedBatch]) -> GeneratedBatch:
    return GeneratedBatch(
        pl.concat([p.claims for p in parts]),
        pl.concat([p.truth for p in parts]),
        pl.concat([p.hard_negatives for p in parts]),
        pl.concat([p.members for p in parts]).unique("member_id", maintain_order=True),
        pl.concat([p.providers for p in parts]).unique("provider_id", maintain_order=True),
    )
