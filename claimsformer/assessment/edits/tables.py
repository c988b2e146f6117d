"""What the edits look things up in: code tables, limits and directories, as data that a payer can replace.

Every table may be empty; an edit whose table is empty finds nothing. `EditTables.of_reference` takes the tables of the
generated world, `learn` adds what a payer's own history says where no table does: usual price, most units, the sex
that a diagnosis is seen with, which states a member's providers are in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final

import polars as pl

from claimsformer.claims.frames import explode_lines
from claimsformer.errors import ConfigError

__all__ = ["Directory", "EditTables"]

_SCHEMAS: Final[dict[str, dict[str, Any]]] = {
    "procedures": {
        "code": pl.String, "group": pl.String, "fee": pl.Float64, "minutes": pl.Float64, "max_units": pl.Float64,
    },
    "bundles": {"panel": pl.String, "component": pl.String},
    "diagnoses": {
        "code": pl.String, "sex": pl.String, "first_age": pl.Float64, "last_age": pl.Float64, "grade": pl.String,
        "complexity": pl.Int64,
    },
    "support": {"procedure": pl.String, "diagnosis": pl.String},
    "drugs": {
        "ndc": pl.String, "strength": pl.Float64, "unit": pl.String, "max_daily_dose": pl.Float64, "price": pl.Float64,
    },
    "drgs": {"drg": pl.String, "family": pl.String, "level": pl.Int64, "payment": pl.Float64},
    "states": {"member_state": pl.String, "provider_state": pl.String, "share": pl.Float64},
    "prices": {"item": pl.String, "price": pl.Float64, "n": pl.Int64},
    "provider_price": {"provider_key": pl.String, "ratio": pl.Float64, "n": pl.Int64},
}  # fmt: skip


def _empty(name: str) -> pl.DataFrame:
    return pl.DataFrame(schema=_SCHEMAS[name])


@dataclass(frozen=True)
class EditTables:
    """Code tables and limits; see `_SCHEMAS` for the columns of each.

    `off` names edits that are switched off, because they fired on so much of the history that they cannot be right
    there. `timely_days` is the limit of filing in days, `far_km` and `same_day_km` are distances in kilometres.
    `provider_price` holds no provider's number but a hash of it with `salt`, see `provider_keys`.
    """

    procedures: pl.DataFrame = field(default_factory=lambda: _empty("procedures"))
    bundles: pl.DataFrame = field(default_factory=lambda: _empty("bundles"))
    diagnoses: pl.DataFrame = field(default_factory=lambda: _empty("diagnoses"))
    support: pl.DataFrame = field(default_factory=lambda: _empty("support"))
    drugs: pl.DataFrame = field(default_factory=lambda: _empty("drugs"))
    drgs: pl.DataFrame = field(default_factory=lambda: _empty("drgs"))
    states: pl.DataFrame = field(default_factory=lambda: _empty("states"))
    prices: pl.DataFrame = field(default_factory=lambda: _empty("prices"))
    provider_price: pl.DataFrame = field(default_factory=lambda: _empty("provider_price"))
    timely_days: int = 365
    far_km: float = 800.0
    same_day_km: float = 500.0
    price_factor: float = 2.0
    off: tuple[str, ...] = ()
    salt: str = ""

    def __post_init__(self) -> None:
        for name, schema in _SCHEMAS.items():
            frame: pl.DataFrame = getattr(self, name)
            if missing := [column for column in schema if column not in frame.columns]:
                raise ConfigError(f"table {name!r} lacks the columns {missing}, it has {frame.columns}")
            kept = frame.select(pl.col(column).cast(dtype) for column, dtype in schema.items())
            object.__setattr__(self, name, kept)
        object.__setattr__(self, "off", tuple(self.off))

    @classmethod
    def of_reference(cls, reference: Any) -> EditTables:
        """The tables of `claimsformer.claims.generator.reference_tables()`, or of any object with the same frames."""
        names = ("procedures", "bundles", "diagnoses", "support", "drugs", "drgs")
        return cls(**{name: getattr(reference, name) for name in names})

    def learn(self, history: pl.DataFrame, *, min_count: int = 20) -> EditTables:
        """These tables, completed by what `history` says of states, prices and providers' price levels."""
        tables = replace(self, states=_states(history), prices=_prices(history, min_count), salt=_salt(history))
        ratios = price_ratios(history, tables).filter(pl.col("ratio") > 0)
        levels = ratios.group_by("provider_key").agg(pl.col("ratio").median(), pl.len().cast(pl.Int64).alias("n"))
        everyone = pl.DataFrame(
            {"provider_key": [""], "ratio": [_float(ratios["ratio"].median())], "n": [ratios.height]},
            schema=_SCHEMAS["provider_price"],
        )
        known = levels.filter(pl.col("provider_key") != "").sort("provider_key")
        return replace(tables, provider_price=pl.concat([everyone, known]))

    def provider_keys(self, providers: pl.Series) -> pl.Series:
        """What stands for each provider's number in these tables: 64 bits of a BLAKE2b hash keyed with the salt, ""
        where there is no number.

        It keeps numbers out of a model's files. Who has these files and a list of all numbers can still find out which
        of them occur.
        """
        keys = {"": ""} | {
            number: hashlib.blake2b(number.encode(), digest_size=8, key=self.salt.encode()).hexdigest()
            for number in providers.unique().drop_nulls().to_list()
            if number
        }
        return providers.fill_null("").replace_strict(keys, return_dtype=pl.String)

    def to_dict(self) -> dict[str, Any]:
        """JSON values: tables as columns."""
        state: dict[str, Any] = {}
        for item in fields(self):
            value = getattr(self, item.name)
            state[item.name] = value.to_dict(as_series=False) if isinstance(value, pl.DataFrame) else value
        return state | {"off": list(self.off)}

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> EditTables:
        """The tables that `to_dict` described."""
        frames: dict[str, Any] = {
            name: pl.DataFrame(state[name], schema=schema) for name, schema in _SCHEMAS.items() if name in state
        }
        rest: dict[str, Any] = {name: value for name, value in state.items() if name not in _SCHEMAS}
        return cls(**frames, **rest)


@dataclass(frozen=True)
class Directory:
    """What a payer knows about its providers and members beyond the claims; both may be left out.

    `providers`: provider_id, latitude, longitude, referral_center, excluded_from. `members`: member_id, latitude,
    longitude, winter_state. Degrees, dates; never written into a model's folder.
    """

    providers: pl.DataFrame | None = None
    members: pl.DataFrame | None = None


def _salt(history: pl.DataFrame) -> str:
    """Another one for every history, the same for the same."""
    sha = hashlib.sha256()
    for name in ("claim_id", "billing_provider_id"):
        sha.update("\n".join(value or "" for value in history[name].to_list()).encode())
    return sha.hexdigest()[:32]


def _float(value: Any) -> float:
    return float(value) if value is not None else 1.0


def _states(history: pl.DataFrame) -> pl.DataFrame:
    pairs = history.select("member_state", "provider_state").drop_nulls()
    counts = pairs.group_by("member_state", "provider_state").agg(pl.len().alias("n"))
    share = pl.col("n") / pl.col("n").sum().over("member_state")
    return counts.select("member_state", "provider_state", share.alias("share")).sort("member_state", "provider_state")


def item_expr() -> pl.Expr:
    """What a line bills: its procedure code, else its drug."""
    return pl.coalesce("procedure_code", "ndc")


def count_expr() -> pl.Expr:
    """How many of it: units of a procedure, the dispensed quantity of a drug; never zero."""
    count = pl.when(pl.col("procedure_code").is_null()).then(pl.col("quantity")).otherwise(pl.col("units"))
    return pl.when(count > 0).then(count).otherwise(1.0)


def _prices(history: pl.DataFrame, min_count: int) -> pl.DataFrame:
    """Median charge per unit of each item seen often enough."""
    lines = explode_lines(history).select(
        item_expr().alias("item"), (pl.col("charge_amount").cast(pl.Float64) / count_expr()).alias("price")
    )
    return (
        lines.drop_nulls()
        .group_by("item")
        .agg(pl.col("price").median(), pl.len().cast(pl.Int64).alias("n"))
        .filter((pl.col("n") >= min_count) & (pl.col("price") > 0))
        .sort("item")
    )


def price_ratios(claims: pl.DataFrame, tables: EditTables) -> pl.DataFrame:
    """(row, line_number, item, charge, expected, ratio, provider_key): each line's charge over its usual price.

    The usual price is the fee of the table where there is one, else the history's median.
    """
    keys = tables.provider_keys(claims["billing_provider_id"])
    header = claims.with_row_index("row").select("row", keys.alias("provider_key"), "lines")
    lines = header.filter(pl.col("lines").list.len() > 0).explode("lines").unnest("lines")
    listed = tables.procedures.select(pl.col("code").alias("item"), pl.col("fee"))
    return (
        lines.select(
            "row",
            "provider_key",
            "line_number",
            item_expr().alias("item"),
            count_expr().alias("count"),
            pl.col("charge_amount").cast(pl.Float64).alias("charge"),
        )
        .join(listed, on="item", how="left", maintain_order="left")
        .join(tables.prices, on="item", how="left", maintain_order="left")
        .with_columns(expected=pl.coalesce("fee", "price") * pl.col("count"))
        .filter(pl.col("expected") > 0)
        .with_columns(ratio=pl.col("charge") / pl.col("expected"))
        .drop("fee", "price", "n")
    )
