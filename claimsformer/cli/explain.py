"""`claimsformer explain`."""

from __future__ import annotations

import click

from claimsformer.cli.common import (
    Command,
    as_json,
    directory_options,
    load_directory,
    load_processor,
    next_command,
    read,
    reading_options,
)

__all__ = ["command"]

_EPILOG = """\b
Example:
  claimsformer explain claims.csv 12
"""


@click.command(name="explain", cls=Command, epilog=_EPILOG)
@click.argument("file", type=click.Path(exists=True))
@click.argument("row", type=click.IntRange(min=1))
@click.option("--model", type=click.Path(exists=True, file_okay=False), help="A trained model's folder.")
@reading_options
@directory_options
@as_json
def command(
    file: str,
    row: int,
    model: str | None,
    format_: str | None,
    mapping: str | None,
    rejects: str | None,
    providers: str | None,
    members: str | None,
    as_json: bool,
) -> None:
    """Everything that is known of the claim in ROW of FILE (counted from 1 among the accepted claims).

    The other claims of the file serve as its history.
    """
    from claimsformer.cli.output import assessment_json, print_json, show_assessment

    claims, counts = read(file, format_, mapping, rejects)
    read_as = {"model": model, "format": format_, "mapping": mapping, "providers": providers, "members": members}
    if row > claims.height:
        raise click.UsageError(
            f"row {row} asked for, but the file has {counts['accepted']} accepted claims.\n"
            f"Try: {next_command('explain', file, '1', **read_as)}"
        )
    processor = load_processor(model)
    (found,) = processor.assess(
        claims[row - 1 : row], history=claims, directory=load_directory(providers, members), explain="all"
    )
    if as_json:
        print_json(assessment_json(found, row))
    else:
        show_assessment(found, row)
        click.echo(f"All claims of the file: {next_command('assess', file, **read_as)}")
