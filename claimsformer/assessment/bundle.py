"""The claims that `claimsformer demo` assesses: a few members' claims that the model's training set aside."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from claimsformer.assessment.edits import Directory
from claimsformer.assessment.generated import GeneratedHistory
from claimsformer.errors import ReadError

__all__ = ["load_demo_claims", "save_demo_claims"]

_CLAIMS, _PROVIDERS, _MEMBERS = "demo_claims.parquet", "demo_providers.parquet", "demo_members.parquet"


def save_demo_claims(made: GeneratedHistory, folder: Path, *, n_members: int = 60, seed: int = 0) -> None:
    """Write all claims of some members that were set aside: half of them with an anomaly, one type after another."""
    later = made.later.join(made.truth.select("claim_id", "type"), on="claim_id", how="left", maintain_order="left")
    rng = np.random.default_rng(seed)
    # Those whose claims carry a type that is rare so far come first, so that the few claims show many types.
    marked = later.drop_nulls("type").with_columns(pl.int_range(pl.len()).over("type").alias("turn"))
    order = marked.sort("turn", "type", maintain_order=True)["member_id"].unique(maintain_order=True).to_list()
    others = sorted(set(later["member_id"]) - set(order))
    chosen = order[: n_members // 2] + [others[i] for i in sorted(rng.permutation(len(others))[: n_members // 2])]
    claims = later.filter(pl.col("member_id").is_in(chosen)).sort("submitted_date", "claim_id")
    claims.write_parquet(folder / _CLAIMS, compression="zstd")
    providers, members = made.directory.providers, made.directory.members
    assert providers is not None
    assert members is not None
    seen = providers.join(claims, left_on="provider_id", right_on="billing_provider_id", how="semi")
    seen.sort("provider_id").write_parquet(folder / _PROVIDERS, compression="zstd")
    homes = members.join(claims, on="member_id", how="semi").sort("member_id")
    homes.write_parquet(folder / _MEMBERS, compression="zstd")


def load_demo_claims(folder: Path) -> tuple[pl.DataFrame, pl.Series, Directory]:
    """The claims, the type of the anomaly planted in each (null for none), and the directory."""
    if not (folder / _CLAIMS).is_file():
        raise ReadError(
            f"{folder.name!r} holds no demo claims", hint="Make them: claimsformer train --quick --out my_model"
        )
    claims = pl.read_parquet(folder / _CLAIMS)
    directory = Directory(pl.read_parquet(folder / _PROVIDERS), pl.read_parquet(folder / _MEMBERS))
    return claims.drop("type"), claims["type"], directory
