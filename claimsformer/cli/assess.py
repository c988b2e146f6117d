"""`claimsformer assess`."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from claimsformer.cli.common import (
    Command,
    as_json,
    directory_options,
    load_directory,
    load_processor,
    next_command,
    no_claims,
    reading_options,
    refusals,
)

if TYPE_CHECKING:
    from claimsformer.assessment import Assessment

__all__ = ["command"]

MOST_REPORTED = 500  # claims in the report of a file too large for all of them
_EPILOG = """\b
Examples:
  claimsformer assess claims.csv
  claimsformer assess claims.parquet --model my_model --out verdicts.ndjson --with-ids
  claimsformer assess ten_million_lines.csv --out verdicts.parquet --full-model 200000 --workers 2
  claimsformer assess --text "Diabetes patient, Metformin 500mg, $150"
"""


@click.command(name="assess", cls=Command, epilog=_EPILOG)
@click.argument("file", required=False, type=click.Path(exists=True))
@click.option("--text", help="Assess one sentence instead of a file.")
@click.option("--model", type=click.Path(exists=True, file_okay=False), help="A trained model's folder.")
@click.option("--history", type=click.Path(exists=True), help="Earlier claims, for duplicates and the like.")
@click.option("--out", type=click.Path(dir_okay=False), help="Write every verdict here, as NDJSON or .parquet.")
@click.option("--full-model", type=click.IntRange(min=0), help="Most claims for the full model.")
@click.option(
    "--part-size",
    type=click.IntRange(min=100),
    default=50_000,
    show_default=True,
    help="Claims to hold in memory at once, by each worker.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Processes that screen and assess a file of several parts.",
)
@click.option("--work", type=click.Path(file_okay=False), help="Folder to go on from after an interruption.")
@click.option("--report", type=click.Path(dir_okay=False), help="Write an HTML report here.")
@click.option("--show", type=int, default=25, show_default=True, help="Most claims to show.")
@click.option("--with-ids", is_flag=True, help="Put claim numbers into JSON and --out (never members').")
@click.option("--fail-on-review", is_flag=True, help="Exit with 3 when a claim should be reviewed.")
@reading_options
@directory_options
@as_json
def command(
    file: str | None,
    text: str | None,
    model: str | None,
    history: str | None,
    out: str | None,
    full_model: int | None,
    part_size: int,
    workers: int,
    work: str | None,
    report: str | None,
    show: int,
    with_ids: bool,
    fail_on_review: bool,
    format_: str | None,
    mapping: str | None,
    rejects: str | None,
    providers: str | None,
    members: str | None,
    as_json: bool,
) -> None:
    """Assess the claims of FILE (CSV, Parquet, NDJSON, FHIR, X12), or one sentence.

    Each claim is valid or suspicious, with a probability, reasons with field and evidence, and what a review is
    expected to be worth. Claims are told apart by their row in the file.

    A file may be larger than memory. Edits and one pass of the model go over every claim; the full model reads those
    that this screen ranks first: all of up to 20,000 claims, 5 % of more, at most 200,000 unless --full-model says
    otherwise. A run with --out or --work that is interrupted, even killed, goes on where it was when it is called again.
    """
    if out and Path(out).suffix not in (".ndjson", ".jsonl", ".json", ".parquet"):
        raise click.UsageError(f"--out is {Path(out).name!r}, but verdicts are written as .ndjson or .parquet.")
    if (file is None) == (text is None):
        raise click.UsageError('Give a FILE, or --text "…".\nTry: claimsformer assess --help')
    from claimsformer.assessment.streaming import SMALL, StreamSettings, assess_stream
    from claimsformer.cli.output import assessment_json, print_json, progress

    processor = load_processor(model)
    if text is not None:
        _sentence(processor, text, as_json, fail_on_review)
        return
    assert file is not None
    with _work_folder(work, out) as folder, progress(quiet=as_json) as tell:
        verdicts = assess_stream(
            processor, file, folder, format=format_, mapping=mapping, rejects=rejects, history=history,
            directory=load_directory(providers, members),
            settings=StreamSettings(full_model, part_size, workers=workers), on_progress=tell,
        )  # fmt: skip
        summary = verdicts.summary()
        if not summary["accepted"]:
            raise no_claims(file, summary, format=format_, mapping=mapping, rejects=rejects)
        few = summary["accepted"] <= SMALL
        found = verdicts.all() if few else verdicts.worth_most(max(show, MOST_REPORTED if report else 1))
        if out:
            verdicts.write(out, with_ids=with_ids, on_progress=tell)
        if report:
            from claimsformer.assessment.report import write_report

            more = "" if few else f": the {len(found)} of {summary['suspicious']:,} suspicious claims worth most"
            write_report(
                report, found, processor, f"Assessment of {Path(file).name}{more}",
                claims=verdicts.claims([row for row, _ in found]), whole=summary | {"tenths": verdicts.tenths()},
            )  # fmt: skip
    suspicious = sorted((p for p in found if p[1].decision == "suspicious"), key=lambda p: -p[1].expected_value)[:show]
    if as_json:
        listed = found if few else suspicious
        print_json(summary | {"assessments": [assessment_json(a, row, with_ids) for row, a in listed]})
    else:
        _show(suspicious, summary)
        for line in refusals(summary["reasons"], rejects):
            click.echo(line)
        for what, where in (("Every verdict", out), ("Report", report)):
            if where:
                click.echo(f"{what}: {where}")
        row = str(suspicious[0][0] if suspicious else 1)
        read_as = {"format": format_, "mapping": mapping, "providers": providers, "members": members}
        click.echo(f"Look at one: {next_command('explain', file, row, model=model, **read_as)}")
    if fail_on_review and summary["review"]:
        raise click.exceptions.Exit(3)


@contextlib.contextmanager
def _work_folder(work: str | None, out: str | None) -> Iterator[Path]:
    """The folder for parts: as named, beside the output, or a temporary one; removed when all went well."""
    if work is None and out is None:
        with tempfile.TemporaryDirectory(prefix="claimsformer_") as folder:
            yield Path(folder)
        return
    path = Path(work) if work is not None else Path(f"{out}.work")
    finished = path.with_name(f"{path.name}.done")
    shutil.rmtree(finished, ignore_errors=True)  # of a run that was killed while it cleared up
    yield path
    # Renamed first, which is done or not: from a folder with half of its parts the next run would not go on rightly.
    path.replace(finished)
    shutil.rmtree(finished, ignore_errors=True)


def _show(suspicious: list[tuple[int, Assessment]], summary: dict[str, Any]) -> None:
    from claimsformer.cli.output import show_assessment, show_table

    show_table(suspicious, f"{summary['suspicious']:,} of {summary['accepted']:,} claims are suspicious")
    if suspicious:
        click.echo()
        show_assessment(suspicious[0][1], suspicious[0][0])
    click.echo(
        f"\n{summary['read']:,} read, {summary['rejected']:,} refused, {summary['review']:,} to review, "
        f"{summary['abstained']:,} are judged by the edits alone; "
        f"reviews are expected to bring in ${summary['expected_value']:,.0f}"
    )
    if summary["full_model"] < summary["accepted"]:
        click.echo(f"the full model read {summary['full_model']:,} claims, edits and one pass of it read them all")


def _sentence(processor: object, text: str, as_json: bool, fail_on_review: bool) -> None:
    from claimsformer.assessment.processor import ClaimsProcessor
    from claimsformer.assessment.text import claim_of_text
    from claimsformer.claims.frames import to_frame
    from claimsformer.cli.output import assessment_json, print_json, show_assessment

    assert isinstance(processor, ClaimsProcessor)
    sentence = claim_of_text(text)
    (found,) = processor.assess(to_frame([sentence.claim]), explain="all")
    if as_json:
        read_as = {"understood": sentence.understood, "not_understood": sentence.not_understood}
        print_json(assessment_json(found, 1) | read_as)
    else:
        click.echo("understood: " + ", ".join(sentence.understood))
        if sentence.not_understood:
            click.echo(f"not understood, and no part of the verdict: {', '.join(sentence.not_understood)}")
        show_assessment(found, 1)
    if fail_on_review and found.action == "review":
        raise click.exceptions.Exit(3)
