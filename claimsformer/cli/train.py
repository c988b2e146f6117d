"""`claimsformer train`."""

from __future__ import annotations

import shlex
import time
from pathlib import Path

import click

from claimsformer.cli.common import (
    Command,
    as_json,
    directory_options,
    load_directory,
    next_command,
    read,
    read_table,
    reading_options,
    refusals,
)

__all__ = ["command"]

QUICK_CLAIMS, QUICK_EPOCHS = 40_000, 10
FEW = 2_000  # claims; a value that one of them holds is in 0.05 % of such a history
_EPILOG = """\b
Examples:
  claimsformer train --quick --seed 0 --out my_model
  claimsformer train claims.parquet --labels labels.csv --out my_model
"""


@click.command(name="train", cls=Command, epilog=_EPILOG)
@click.argument("file", required=False, type=click.Path(exists=True))
@click.option("--quick", is_flag=True, help="Train the packaged model again, on generated claims.")
@click.option("--claims", type=click.IntRange(min=600), default=QUICK_CLAIMS, help="With --quick: how many claims.")
@click.option("--labels", type=click.Path(exists=True), help="CSV: claim_id and suspicious (true or false).")
@click.option("--out", type=click.Path(file_okay=False), required=True, help="Folder for the model.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--epochs", type=click.IntRange(min=1), help=f"[default: 4; with --quick {QUICK_EPOCHS}]")
@click.option("--d-model", type=click.IntRange(min=8), default=48, show_default=True, help="Width of the model.")
@click.option("--costs", type=click.Path(exists=True), help="JSON: what reviews cost and recover.")
@click.option("--checkpoints", type=click.Path(file_okay=False), help="Go on here after an interruption.")
@reading_options
@directory_options
@as_json
def command(
    file: str | None,
    quick: bool,
    claims: int,
    labels: str | None,
    out: str,
    seed: int,
    epochs: int | None,
    d_model: int,
    costs: str | None,
    checkpoints: str | None,
    format_: str | None,
    mapping: str | None,
    rejects: str | None,
    providers: str | None,
    members: str | None,
    as_json: bool,
) -> None:
    """Train on FILE, a history of claims, with labels or without; or, with --quick, on generated claims.

    Writes config.json, model.safetensors and tokenizer.json.
    """
    if (file is None) != quick:
        raise click.UsageError("Give a FILE of history, or --quick.\nTry: claimsformer train --quick --out my_model")
    from claimsformer.assessment import ClaimsProcessor, Costs, EditTables, MaskedModelConfig, MaskedTraining
    from claimsformer.assessment.generated import generated_history, reference_edit_tables
    from claimsformer.cli.output import print_json, progress

    started = time.perf_counter()
    if quick:
        made = generated_history(claims, seed)
        history, known, directory, tables = made.history, made.truth, made.directory, reference_edit_tables()
    else:
        assert file is not None
        history, counts = read(file, format_, mapping, rejects)
        known = read_table(labels, "CSV") if labels else None  # type: ignore[assignment]
        directory, tables = load_directory(providers, members), EditTables()
    processor = ClaimsProcessor(
        tables=tables,
        model=MaskedModelConfig(d_model=d_model),
        # Of people's claims fewer passes than of generated ones: docs/assessment_at_scale.md, "What the model remembers".
        training=MaskedTraining(epochs=epochs or (QUICK_EPOCHS if quick else MaskedTraining().epochs), seed=seed),
        costs=Costs.load(costs),
    )
    with progress(quiet=as_json) as tell:
        processor.fit(history, known, directory=directory, on_progress=tell, checkpoints=checkpoints)
    folder = processor.save(out)
    if quick:
        from claimsformer.assessment.bundle import save_demo_claims

        save_demo_claims(made, folder)
    seconds = time.perf_counter() - started
    size = sum(p.stat().st_size for p in folder.iterdir())
    facts = {
        "claims": history.height,
        "labels": known is not None,
        "loss": processor.losses_[-1],
        "parameters": sum(p.numel() for p in processor.model.parameters()),
        "seconds": round(seconds, 1),
        "bytes": size,
        "model_version": processor.model_version,
        "edits_off": list(processor.tables.off),
        "out": str(folder),
    }
    if as_json:
        print_json(facts)
        return
    if not quick and counts["rejected"]:
        click.echo(f"{counts['read']:,} read, {counts['rejected']:,} refused")
        for line in refusals(counts["reasons"], rejects):
            click.echo(line)
    click.echo(
        f"{facts['parameters']:,} parameters trained on {history.height:,} claims in {seconds:.0f} s; "
        f"{size / 1e6:.1f} MB in {Path(out).name}, version {processor.model_version}"
    )
    if facts["edits_off"]:
        click.echo(f"switched off, because they fire on too much of this history: {', '.join(processor.tables.off)}")
    if history.height < FEW:
        click.echo(
            f"{history.height:,} claims are few to learn from: expect many weak signs, and reasons that say little"
        )
    if known is None:
        click.echo("no labels were given: probabilities follow from stated weights; add --labels to calibrate them")
    use = next_command("demo") if quick else next_command("assess", "claims.csv", format=format_, mapping=mapping)
    click.echo(f"Use it: {use} {shlex.join(['--model', out])}")
