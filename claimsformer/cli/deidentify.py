"""`claimsformer deidentify`."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import click

from claimsformer.cli.common import Command, as_json, reading_options

__all__ = ["command"]

_EPILOG = """\b
Examples:
  claimsformer deidentify claims.csv --out released.parquet --mode safe_harbor
  claimsformer deidentify claims.csv --out inside.parquet --key-file secret.key
"""


@click.command(name="deidentify", cls=Command, epilog=_EPILOG)
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.option("--out", type=click.Path(dir_okay=False), required=True, help=".parquet, .csv, .ndjson …")
@click.option("--mode", type=click.Choice(["safe_harbor", "shifted", "relative"]), default="safe_harbor",
              show_default=True, help="For release (years only), for inside use (dates shifted), days only.")  # fmt: skip
@click.option("--key-file", type=click.Path(dir_okay=False), help="The secret behind pseudonyms; made when missing.")
@reading_options
@as_json
def command(
    file: str,
    out: str,
    mode: str,
    key_file: str | None,
    format_: str | None,
    mapping: str | None,
    rejects: str | None,
    as_json: bool,
) -> None:
    """Remove or replace the identifiers of the claims in FILE, batch by batch, and report what was done."""
    if mode == "shifted" and key_file is None:
        raise click.UsageError(
            "Mode shifted needs --key-file, or no later run could give a person the same pseudonym.\n"
            f"Try: claimsformer deidentify {file} --out {out} --mode shifted --key-file secret.key"
        )
    from claimsformer.claims.deidentify import Deidentifier
    from claimsformer.claims.readers import read_claims
    from claimsformer.claims.writers import write_claims
    from claimsformer.cli.output import print_json

    remove = Deidentifier(_key(key_file), mode)  # type: ignore[arg-type]
    reports = []

    def frames() -> object:
        with read_claims(file, format_, mapping, rejects=rejects) as reader:
            for batch in reader:
                table, report = remove(batch)
                reports.append(report)
                yield table

    written = write_claims(frames(), out)  # type: ignore[arg-type]
    total = reports[0] if reports else None
    for report in reports[1:]:
        assert total is not None
        total = total + report
    facts = total.to_dict() if total is not None else {}
    if as_json:
        print_json({"claims": written, "out": out, "report": facts})
        return
    click.echo(f"{written} claims without identifiers in {Path(out).name}, mode {mode}")
    if total is not None:
        for column, n in sorted(total.changed.items()):
            if n:
                click.echo(f"  {column}: {n} values removed or replaced ({total.actions.get(column, '')})")
        for sentence in total.limits:
            click.echo(f"Note: {sentence}")
    if mode == "safe_harbor":  # of dates the year is left: same-day services and duplicates would be everywhere
        click.echo("For release only: assess the claims before, or use --mode shifted")
    else:
        click.echo(f"Next: claimsformer assess {out}")


def _key(path: str | None) -> bytes:
    if path is None:
        return secrets.token_bytes(32)
    file = Path(path)
    if not file.exists():
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(secrets.token_bytes(32))
    return file.read_bytes()
