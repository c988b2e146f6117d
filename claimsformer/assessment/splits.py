"""Splits that do not leak: by member for claims, by provider for labels of providers, or by time; and the check."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from claimsformer.errors import ConfigError, LeakageError

__all__ = ["check_disjoint", "check_in_order", "member_folds", "split_by", "split_by_time"]


def split_by(frame: pl.DataFrame, key: str, shares: Mapping[str, float], seed: int = 0) -> dict[str, pl.DataFrame]:
    """Parts of about these shares such that all rows of one value of `key` are in one part.

    A value's part follows from its hash and the seed, so it stays where it is when the table grows. Raises ConfigError
    when the shares do not add up to 1.
    """
    if abs(sum(shares.values()) - 1) > 1e-9 or min(shares.values()) <= 0:
        raise ConfigError(f"shares must be positive and add up to 1, got {dict(shares)}")
    values = frame[key].unique().drop_nulls().to_list()
    places = [int.from_bytes(hashlib.blake2b(f"{seed}|{v}".encode(), digest_size=7).digest()) / 2**56 for v in values]
    place = pl.DataFrame({key: values, "_place": places}, schema={key: frame.schema[key], "_place": pl.Float64})
    placed = frame.join(place, on=key, how="left", maintain_order="left")
    parts, low = {}, 0.0
    for name, share in shares.items():
        last = name == list(shares)[-1]
        inside = (pl.col("_place") >= low) & (pl.lit(True) if last else pl.col("_place") < low + share)
        parts[name] = placed.filter(inside).drop("_place")
        low += share
    return parts


def split_by_time(frame: pl.DataFrame, first_test_day: Any, date: str = "service_from") -> dict[str, pl.DataFrame]:
    """Claims before a day, and from that day on."""
    return {"train": frame.filter(pl.col(date) < first_test_day), "test": frame.filter(pl.col(date) >= first_test_day)}


def member_folds(members: pl.Series, n: int = 5, seed: int = 0) -> npt.NDArray[np.int64]:
    """A fold from 0 to n - 1 for each row, the same for all rows of a member."""
    fold = {m: hashlib.blake2b(f"{seed}|{m}".encode(), digest_size=7).digest() for m in members.unique()}
    return np.array([int.from_bytes(fold[m]) % n for m in members], dtype=np.int64)


def check_disjoint(train: pl.DataFrame, test: pl.DataFrame, key: str = "member_id") -> None:
    """Raise LeakageError when a value of `key`, or a claim, is on both sides; the message names none of them."""
    for name in dict.fromkeys((key, "claim_id")):
        if name in train.columns and name in test.columns:
            shared = train.select(name).drop_nulls().join(test.select(name), on=name, how="semi")[name].n_unique()
            if shared:
                raise LeakageError(
                    f"{shared} values of {name} are on both sides of the split",
                    hint=f"Split with split_by(frame, {key!r}, shares), or by time.",
                )


def check_in_order(train: pl.DataFrame, test: pl.DataFrame, date: str = "service_from") -> None:
    """Raise LeakageError when a training claim is as late as the first test claim."""
    last, first = train[date].max(), test[date].min()
    if last is not None and first is not None and last >= first:  # type: ignore[operator]
        raise LeakageError(
            f"training claims reach {last!s}, test claims begin {first!s}", hint="Split with split_by_time(frame, day)."
        )
