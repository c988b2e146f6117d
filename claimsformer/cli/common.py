"""What several commands share: reading claims, finding the model, options."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from claimsformer.errors import ReadError

if TYPE_CHECKING:
    import polars as pl

    from claimsformer.assessment import ClaimsProcessor, Directory

__all__ = [
    "PRETRAINED", "Command", "as_json", "directory_options", "load_directory", "load_processor", "next_command", "no_claims", "read",
    "read_table", "reading_options", "refusals",
]  # fmt: skip

PRETRAINED = Path(str(files("claimsformer") / "assessment" / "pretrained"))  # without importing the package


class Command(click.Command):
    """A command that writes over no file that it reads, and no two results into one file."""

    def invoke(self, ctx: click.Context) -> Any:
        """Raises UsageError where an option for a result names such a file."""
        paths = [
            p for p in self.params if isinstance(p.type, click.Path) and p.type.file_okay and ctx.params[str(p.name)]
        ]
        used: dict[str, str] = {}
        for param in sorted(paths, key=lambda p: not p.type.exists):  # type: ignore[attr-defined]
            given = str(ctx.params[str(param.name)])
            where, name = os.path.realpath(given), param.opts[0] if param.opts[0].startswith("-") else "FILE"
            reads = param.type.exists  # type: ignore[attr-defined]
            if not reads and where in used and (os.path.isfile(where) or not os.path.exists(where)):
                raise click.UsageError(
                    f"{name} would be written over {used[where]}: both are {os.path.basename(given)!r}.\n"
                    f"Name another file: {name} {os.path.basename(given) + '.new'}"
                )
            used[where] = name
        return super().invoke(ctx)


Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
as_json: Decorator = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")


def reading_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """--format, --mapping and --rejects."""
    function = click.option("--rejects", type=click.Path(dir_okay=False), help="Write refused rows and why here.")(
        function
    )
    function = click.option(
        "--mapping", type=click.Path(exists=True), help="TOML or JSON: your columns to our fields."
    )(function)
    return click.option("--format", "format_", help="Name the format instead of detecting it.")(function)


def directory_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """--providers and --members."""
    function = click.option("--members", type=click.Path(exists=True), help="Parquet: homes of members.")(function)
    return click.option("--providers", type=click.Path(exists=True), help="Parquet: places and exclusions.")(function)


def read(
    path: str, format_: str | None, mapping: str | None, rejects: str | None
) -> tuple[pl.DataFrame, dict[str, Any]]:
    """All accepted claims of a file, and the counts of what was read."""
    from claimsformer.claims.readers import read_claims

    with read_claims(path, format_, mapping, rejects=rejects) as reader:
        claims = reader.all()
        reasons = {f"{field}: {reason}": n for (field, reason), n in reader.reasons.most_common()}
        counts = {"read": reader.read, "accepted": reader.accepted, "rejected": reader.rejected, "reasons": reasons}
    if not claims.height:
        raise no_claims(path, counts, format=format_, mapping=mapping, rejects=rejects)
    return claims, counts


def next_command(name: str, *arguments: str, **options: str | None) -> str:
    """What to type next; options that are None are left out."""
    given = [part for key, value in options.items() if value is not None for part in (f"--{key}", value)]
    return shlex.join(["claimsformer", name, *arguments, *given])


def refusals(reasons: dict[str, int], rejects: str | None, most: int = 5) -> list[str]:
    """Why rows were refused, the most frequent reasons first, and where every row is listed."""
    often = sorted(reasons.items(), key=lambda pair: -pair[1])
    lines = [f"  refused, {n} row{'' if n == 1 else 's'}: {reason}" for reason, n in often[:most]]
    if len(often) > most:
        lines.append(f"  and {len(often) - most} more reasons")
    return [*lines, f"  each refused row: {rejects}"] if lines and rejects else lines


def no_claims(path: str, counts: dict[str, Any], **options: str | None) -> ReadError:
    """The error for a file of which nothing could be used; `options` are those that it was read with."""
    options |= {"rejects": options.get("rejects") or "rejects.csv"}
    return ReadError(
        f"no claim of {Path(path).name!r} could be used: {counts['rejected']} of {counts['read']} were refused",
        hint="\n".join([*refusals(counts["reasons"], None), f"See why: {next_command('assess', path, **options)}"]),
    )


def load_processor(folder: str | None) -> ClaimsProcessor:
    """The model of a folder, by default the packaged one."""
    from claimsformer.assessment import ClaimsProcessor

    return ClaimsProcessor.load(PRETRAINED if folder is None else folder)


def load_directory(providers: str | None, members: str | None) -> Directory:
    """Tables of providers and members, where they are given."""
    from claimsformer.assessment import Directory

    return Directory(*(None if path is None else read_table(path, "Parquet") for path in (providers, members)))


def read_table(path: str, kind: Literal["CSV", "Parquet"], *, infer_schema: bool = True) -> pl.DataFrame:
    """A table that stands beside the claims; in CSV, numbers of claims stay text."""
    import polars as pl

    try:
        if kind == "Parquet":
            return pl.read_parquet(path)
        return pl.read_csv(path, schema_overrides={"claim_id": pl.String}, infer_schema=infer_schema)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise ReadError(
            f"{Path(path).name!r} is not a sound {kind} file with a table ({type(error).__name__})"
        ) from None
