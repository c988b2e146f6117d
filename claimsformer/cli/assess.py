"""`claimsformer assess`."""

from __future__ import annotations

from pathlib import Path

import click

from claimsformer.cli.common import as_json, directory_options, load_directory, load_processor, read, reading_options

__all__ = ["command"]

_EPILOG = """\b
Examples:
  claimsformer assess claims.csv
  claimsformer assess claims.parquet --model my_model --out verdicts.ndjson --with-ids
  claimsformer assess --text "Diabetes patient, Metformin 500mg, $150"
"""


@click.command(name="assess", epilog=_EPILOG)
@click.argument("file", required=False, type=click.Path(exists=True))
@click.option("--text", help="Assess one sentence instead of a file.")
@click.option("--model", type=click.Path(exists=True, file_okay=False), help="A trained model's folder.")
@click.option("--history", type=click.Path(exists=True), help="Earlier claims, for duplicates and the like.")
@click.option("--out", type=click.Path(dir_okay=False), help="Write every verdict here, as NDJSON.")
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
    """
    if (file is None) == (text is None):
        raise click.UsageError('Give a FILE, or --text "…".\nTry: claimsformer assess --help')
    from claimsformer.cli.output import assessment_json, print_json, progress, show_assessment, show_table

    processor = load_processor(model)
    if text is not None:
        _sentence(processor, text, as_json, fail_on_review)
        return
    assert file is not None
    claims, counts = read(file, format_, mapping, rejects)
    earlier = read(history, None, mapping, None)[0] if history else None
    with progress(quiet=as_json) as tell:
        found = processor.assess(
            claims, history=earlier, directory=load_directory(providers, members), on_progress=tell
        )
    rows = list(enumerate(found, start=1))
    suspicious = sorted((pair for pair in rows if pair[1].decision == "suspicious"), key=lambda p: -p[1].expected_value)
    summary = counts | {
        "suspicious": len(suspicious),
        "review": sum(a.action == "review" for a in found),
        "abstained": sum(a.abstained for a in found),
        "expected_value": round(sum(a.expected_value for a in found if a.action == "review"), 2),
        "model_version": processor.model_version,
        "calibrated": found[0].calibrated,
    }
    if out:
        import json

        with Path(out).open("w", encoding="utf-8") as stream:
            for row, a in rows:
                stream.write(json.dumps(assessment_json(a, row, with_ids), allow_nan=False) + "\n")
    if report:
        from claimsformer.assessment.report import write_report

        write_report(report, rows, processor, f"Assessment of {Path(file).name}")
    if as_json:
        print_json(summary | {"assessments": [assessment_json(a, row, with_ids) for row, a in rows]})
    else:
        show_table(suspicious[:show], f"{len(suspicious)} of {len(found)} claims are suspicious")
        if suspicious:
            click.echo()
            show_assessment(suspicious[0][1], suspicious[0][0])
        click.echo(
            f"\n{summary['read']} read, {summary['rejected']} refused, {summary['review']} to review, "
            f"{summary['abstained']} are judged by the edits alone; reviews are expected to bring in ${summary['expected_value']:,.0f}"
        )
        for reason, n in counts["reasons"].items():
            click.echo(f"  refused {n} times: {reason}")
        first = suspicious[0][0] if suspicious else 1
        chosen = f" --model {model}" if model else ""
        click.echo(f"Look at one: claimsformer explain {file} {first}{chosen}")
    if fail_on_review and summary["review"]:
        raise click.exceptions.Exit(3)


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
            click.echo("not understood: " + ", ".join(sentence.not_understood))
        show_assessment(found, 1)
    if fail_on_review and found.action == "review":
        raise click.exceptions.Exit(3)
