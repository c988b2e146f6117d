"""`claimsformer evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from claimsformer.cli.common import (
    Command,
    as_json,
    directory_options,
    load_directory,
    load_processor,
    read,
    read_table,
    reading_options,
)

if TYPE_CHECKING:
    import polars as pl

    from claimsformer.assessment import ClaimsProcessor, Directory
    from claimsformer.assessment.evaluation import Evaluation

__all__ = ["command"]

_EPILOG = """\b
Examples:
  claimsformer evaluate
  claimsformer evaluate --synpuf --samples 2 --epochs 1
  claimsformer evaluate --provider-fraud
  claimsformer evaluate --canaries 300
  claimsformer evaluate --report evaluation.html
  claimsformer evaluate test.parquet --history train.parquet --truth truth.csv --model my_model
"""


@click.command(name="evaluate", cls=Command, epilog=_EPILOG)
@click.argument("file", required=False, type=click.Path(exists=True))
@click.option("--history", type=click.Path(exists=True), help="The claims that the model was trained on.")
@click.option("--truth", type=click.Path(exists=True), help="CSV: claim_id, type, field of the anomalies.")
@click.option("--model", type=click.Path(exists=True, file_okay=False), help="A trained model's folder.")
@click.option("--claims", type=click.IntRange(min=600), default=40_000, help="Without FILE: size of train --quick.")
@click.option("--seed", type=int, default=0, show_default=True, help="Without FILE: seed of train --quick.")
@click.option("--synpuf", is_flag=True, help="The experiment on real claims (data in CLAIMSFORMER_DATA).")
@click.option("--provider-fraud", is_flag=True, help="The experiment on real labels of providers (same data).")
@click.option("--canaries", type=click.IntRange(min=15), help="Does training remember single claims? Plant so many.")
@click.option("--epochs", type=click.IntRange(min=1), help="With --synpuf (12) and --canaries (as train FILE: 4).")
@click.option("--samples", type=click.IntRange(1, 10), default=10, show_default=True, help="With --synpuf: to fit on.")
@click.option("--report", type=click.Path(dir_okay=False), help="Write an HTML report here (not for experiments).")
@click.option("--bootstrap", type=click.IntRange(min=20), default=200, show_default=True)
@reading_options
@directory_options
@as_json
def command(
    file: str | None,
    history: str | None,
    truth: str | None,
    model: str | None,
    claims: int,
    seed: int,
    provider_fraud: bool,
    synpuf: bool,
    canaries: int | None,
    epochs: int | None,
    samples: int,
    report: str | None,
    bootstrap: int,
    format_: str | None,
    mapping: str | None,
    rejects: str | None,
    providers: str | None,
    members: str | None,
    as_json: bool,
) -> None:
    """How good a model is on claims with known truth, next to other methods on the same claims in the same run.

    Without FILE: the packaged model on the generated claims of members that its training set aside. --canaries trains a
    model of its own, on generated claims or FILE, with claims planted whose details are random, and reports how much
    likelier these are than others like them that were not there.
    """
    if report and (provider_fraud or synpuf or canaries is not None):
        raise click.UsageError(
            "--report shows one model on claims with known truth.\nTry: claimsformer evaluate --report evaluation.html"
        )
    if provider_fraud:
        _provider_fraud(seed, bootstrap, as_json)
        return
    if synpuf:
        _synpuf(epochs, samples, seed, bootstrap, as_json)
        return
    if canaries is not None:
        _canaries(read(file, format_, mapping, rejects)[0] if file else None, canaries, claims, epochs, seed, as_json)
        return
    if file is None and (history or truth):
        raise click.UsageError(
            "--history and --truth belong to a FILE.\nTry: claimsformer evaluate FILE --history H --truth T"
        )
    from claimsformer.assessment.evaluation import evaluate
    from claimsformer.cli.output import print_json, progress

    processor = load_processor(model)
    if file is None:
        from claimsformer.assessment.generated import generated_history

        made = generated_history(claims, seed)
        train, test, known, directory = made.history, made.later, made.truth, made.directory
    else:
        if history is None or truth is None:
            raise click.UsageError(
                f"Give --history and --truth with FILE.\nTry: claimsformer evaluate {file} --history H --truth T"
            )
        test, train = read(file, format_, mapping, rejects)[0], read(history, format_, mapping, None)[0]
        directory = load_directory(providers, members)
        known = _truth(truth)
    with progress(quiet=as_json) as tell:
        found = evaluate(
            processor, train, test, known, directory=directory, seed=seed, n_bootstrap=bootstrap, on_progress=tell
        )
        if report:
            _write_report(
                report, processor, found, test, known, directory, "generated claims" if file is None else file
            )
    if as_json:
        print_json(found.to_dict() | {"model_version": processor.model_version})
    else:
        _show(found)
        if report:
            click.echo(f"Report: {report}")


def _truth(path: str) -> pl.DataFrame:
    """The anomalies as `generate --truth` lists them; of a list of your own only claim_id is needed."""
    import polars as pl

    from claimsformer.errors import ReadError

    found = read_table(path, "CSV", infer_schema=False)
    if "claim_id" not in found.columns:
        raise ReadError(
            f"{Path(path).name!r} has no column claim_id, got {', '.join(found.columns)}",
            hint="One line for each anomaly: claim_id, and where you know them type and field.",
        )
    absent = {"type": pl.lit("anomaly"), "field": pl.lit(None, pl.String)}
    found = found.with_columns(value.alias(name) for name, value in absent.items() if name not in found.columns)
    listed = "fields" if "fields" in found.columns else "field"
    whose = pl.when(pl.col("field").is_not_null()).then(pl.lit("claim")).otherwise(pl.lit("unknown"))
    return found.with_columns(
        fields=pl.col(listed).fill_null("").str.split("|"),
        scope=pl.col("scope") if "scope" in found.columns else whose,
    )


def _write_report(
    report: str,
    processor: ClaimsProcessor,
    found: Evaluation,
    test: pl.DataFrame,
    truth: pl.DataFrame,
    directory: Directory,
    what: str,
) -> None:
    from claimsformer.assessment.report import write_report

    rows = list(enumerate(processor.assess(test, directory=directory), start=1))
    known = test.select("claim_id").join(
        truth.select("claim_id", "type").unique("claim_id"), on="claim_id", how="left", maintain_order="left"
    )["type"]
    title = f"Evaluation on {Path(what).name}"
    write_report(report, rows, processor, title, claims=test, truth=known, evaluation=found)


def _synpuf(epochs: int | None, samples: int, seed: int, bootstrap: int, as_json: bool) -> None:
    """Train on clean SynPUF stays, inject anomalies into others, compare all methods."""
    from claimsformer.assessment.synpuf import run
    from claimsformer.cli.output import print_json

    found = run(
        epochs=epochs, samples=samples, seed=seed, n_bootstrap=bootstrap, tell=lambda line: click.echo(line, err=True)
    )
    if as_json:
        print_json(found)
        return
    click.echo(f"trained in {found['cpu_seconds_to_train'] / 60:.1f} minutes of CPU time")
    click.echo(f"{found['test']['claims']} claims of sample 14, {found['test']['injected']} with an injected anomaly")
    for name, m in found["methods"].items():
        click.echo(f"  {name:<52} AUROC {m['auroc']}  AUPRC {m['auprc']}  P@200 {m['precision_at_200']}")
    for name, figures in found["types"].items():
        ours = ", ".join(
            f"{value:.3f} {k.removeprefix('claimsformer ')}" for k, value in figures.items() if "claims" in k
        )
        click.echo(f"  {name:<24} AUROC {ours}")
    click.echo(f"first 200: {found['first_200']['claimsformer without labels']}")
    click.echo(f"top field named: {found['top_field']}")
    click.echo(f"values that no real claim holds: {len(found['fingerprints'])}")
    click.echo("Everything, by type and method, with margins: claimsformer evaluate --synpuf --json")


def _canaries(
    history: pl.DataFrame | None, n: int, n_claims: int, epochs: int | None, seed: int, as_json: bool
) -> None:
    """Train as `train` does, with canaries among the claims that its masked model reads, and print their exposure."""
    from claimsformer.assessment.generated import generated_history
    from claimsformer.assessment.masked_training import MaskedTraining
    from claimsformer.assessment.memorisation import CHANCE, measure_exposure
    from claimsformer.assessment.splits import split_by
    from claimsformer.cli.output import print_json, progress

    frame = generated_history(n_claims, seed).history if history is None else history
    train = split_by(frame, "member_id", {"train": 0.6, "head": 0.2, "calibrate": 0.2}, seed)["train"]
    with progress(quiet=as_json) as tell:
        found = measure_exposure(
            train, canaries={1: n, 10: n // 15, 100: max(1, n // 150)}, seed=seed,
            training=MaskedTraining(epochs=epochs or MaskedTraining().epochs, seed=seed),
            on_step=lambda p: tell(f"training, loss {p.loss:.3f}", p.step / p.steps),
        )  # fmt: skip
    bits = {times: values.round(3).tolist() for times, values in found.by_times.items()}
    mean, error = found.mean()
    if as_json:
        print_json({"claims": found.n_claims, "candidates": found.n_candidates, "chance": round(CHANCE, 3),
                    "mean": round(mean, 3), "standard_error": round(error, 3), "bits": bits})  # fmt: skip
        return
    click.echo(f"trained on {found.n_claims:,} claims; each canary among {found.n_candidates} candidates:")
    for times in found.by_times:
        m, _ = found.mean(times)
        click.echo(f"  planted {times:>3} times: {len(bits[times]):>4} canaries, mean exposure {m:.2f} bits")
    click.echo(
        f"chance gives {CHANCE:.2f} +- {error:.2f}: the claims planted once are "
        f"{(mean - CHANCE) / error:+.1f} standard errors away"
    )


def _provider_fraud(seed: int, bootstrap: int, as_json: bool) -> None:
    """Score providers fold by fold, by the transformer over their claims, by statistics, and by both."""
    from claimsformer.assessment.providers import run
    from claimsformer.assessment.providers_training import ProviderTraining
    from claimsformer.assessment.synpuf import data_folder
    from claimsformer.cli.output import print_json

    found = run(
        data_folder() / "provider_fraud", training=ProviderTraining(seed=seed), n_bootstrap=bootstrap,
        tell=lambda line: click.echo(line, err=True),
    )  # fmt: skip
    if as_json:
        print_json(found)
        return
    click.echo(
        f"{found['providers']:,} providers with {found['claims']:,} claims, {found['positive']} positive; "
        f"means over {len(found['folds'])} folds with 95 % intervals"
    )
    for name, m in found["mean"].items():
        figures = "  ".join(f"{key.upper()} {m[key][0]:.3f} [{m[key][1]:.3f}, {m[key][2]:.3f}]" for key in m)
        click.echo(f"  {name:<42} {figures}  within size {found['within_size_quintiles'][name]:.3f}")
    for name, value in found["claim_level"].items():
        click.echo(f"  by claim: {name:<54} AUROC {value:.3f}")
    for line in found["left_out"]:
        click.echo(f"left out: {line}")
    click.echo("Everything, by fold: claimsformer evaluate --provider-fraud --json")


def _show(found: Evaluation) -> None:
    from rich.table import Table

    from claimsformer.cli.output import console

    out = console()
    out.print(f"{found.n_claims:,} claims, {found.n_suspicious} of them with a known anomaly")
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("method", "labels", "AUROC", "AUPRC", "precision at 50"):
        table.add_column(name)
    for m in found.methods:
        table.add_row(m.name, "yes" if m.labels else "no", str(m.auroc), str(m.auprc), f"{m.precision_at_50:.2f}")
    out.print(table)
    out.print(f"Brier {found.brier:.4f}, expected calibration error {found.ece:.4f}", markup=False)
    by_type = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("AUROC by type", "n", "claimsformer", "surprise alone"):
        by_type.add_column(name)
    for kind, figures in found.types.items():
        by_type.add_row(
            kind, f"{figures['n']:.0f}", f"{figures['claimsformer']:.3f}", f"{figures['surprise alone']:.3f}"
        )
    out.print(by_type)
    if found.localisation:
        out.print(
            f"the first field named is the changed one: claimsformer {found.localisation['claimsformer']:.2f}, "
            f"surprise alone {found.localisation['surprise alone']:.2f} (n = {found.localisation['n']:.0f})"
        )
    for name, value in found.dollars.items():
        out.print(f"net dollars, {name}: {'-' if value < 0 else ''}${abs(value):,.0f}", markup=False)
    for line in found.left_out:
        out.print(f"left out: {line}", markup=False, soft_wrap=True)
    click.echo("Figures for programs: claimsformer evaluate --json")
