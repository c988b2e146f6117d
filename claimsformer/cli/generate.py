"""`claimsformer generate`."""

from __future__ import annotations

from pathlib import Path

import click

from claimsformer.cli.common import Command, as_json

__all__ = ["command"]

_EPILOG = """\b
Example:
  claimsformer generate 10000 --seed 7 --out claims.parquet --truth truth.csv
"""


@click.command(name="generate", cls=Command, epilog=_EPILOG)
@click.argument("count", type=click.IntRange(min=1))
@click.option("--out", type=click.Path(dir_okay=False), required=True, help=".parquet, .csv, .ndjson, .837 …")
@click.option("--truth", type=click.Path(dir_okay=False), help="Write the planted anomalies here, as CSV.")
@click.option("--providers", type=click.Path(dir_okay=False), help="Write the providers here, as Parquet.")
@click.option("--members", type=click.Path(dir_okay=False), help="Write the members' homes here, as Parquet.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--rate", type=float, default=0.003, show_default=True, help="Share of the claims per type of anomaly.")
@as_json
def command(
    count: int,
    out: str,
    truth: str | None,
    providers: str | None,
    members: str | None,
    seed: int,
    rate: float,
    as_json: bool,
) -> None:
    """Make COUNT claims with known anomalies; the same seed gives the same bytes."""
    import polars as pl

    from claimsformer.claims.generator import generate
    from claimsformer.claims.writers import write_claims
    from claimsformer.cli.output import print_json

    planted, known, homes = [], [], []

    def frames() -> object:
        for batch in generate(count, seed, rate=rate):
            planted.append(batch.truth)
            known.append(batch.providers)
            homes.append(batch.members)
            yield batch.claims

    written = write_claims(frames(), out)  # type: ignore[arg-type]
    found = pl.concat(planted)
    if truth:
        flat = pl.col("fields", "original_values").list.join("|", ignore_nulls=True)
        found.with_columns(flat).write_csv(truth)
    for path, tables, key in ((providers, known, "provider_id"), (members, homes, "member_id")):
        if path:
            pl.concat(tables).unique(key, maintain_order=True).write_parquet(path)
    if as_json:
        types = dict(found["type"].value_counts(sort=True).iter_rows())
        print_json({"claims": written, "anomalies": found.height, "types": types, "out": out})
        return
    click.echo(f"{written} claims in {Path(out).name}, {found.height} of them with a planted anomaly")
    click.echo(f"Assess them: claimsformer assess {out}")
