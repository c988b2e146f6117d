"""`claimsformer demo`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from claimsformer.cli.common import PRETRAINED, Command, as_json

if TYPE_CHECKING:
    from claimsformer.assessment import Assessment

__all__ = ["command"]

_EPILOG = """\b
Examples:
  claimsformer demo
  claimsformer demo --report demo.html --json
"""


@click.command(name="demo", cls=Command, epilog=_EPILOG)
@click.option("--model", type=click.Path(exists=True, file_okay=False), help="A folder made by train --quick.")
@click.option("--report", default="claimsformer_demo.html", show_default=True, type=click.Path(dir_okay=False))
@click.option("--show", type=click.IntRange(min=1), default=12, show_default=True, help="Most claims to show.")
@as_json
def command(model: str | None, report: str, show: int, as_json: bool) -> None:
    """Assess bundled claims, which the packaged model has not seen, and write a report that opens in any browser.

    The claims are generated: no person stands behind them.
    """
    from claimsformer.assessment import ClaimsProcessor
    from claimsformer.assessment.bundle import load_demo_claims
    from claimsformer.assessment.report import write_report
    from claimsformer.cli.output import assessment_json, print_json, progress, show_assessment, show_table

    started = time.perf_counter()
    folder = Path(model) if model else PRETRAINED
    processor = ClaimsProcessor.load(folder)
    claims, truth, directory = load_demo_claims(folder)
    with progress(quiet=as_json) as tell:
        found = processor.assess(claims, directory=directory, on_progress=tell)
    rows = list(enumerate(found, start=1))
    suspicious = sorted((p for p in rows if p[1].decision == "suspicious"), key=lambda p: (-p[1].probability, p[0]))
    ordinary = [p for p in rows if p[1].decision == "valid"]
    path = write_report(report, rows, processor, "Demo: generated claims, assessed", truth=truth, claims=claims)
    seconds = time.perf_counter() - started
    planted = truth.is_not_null()
    caught = sum(planted[row - 1] for row, _ in suspicious)
    facts = {
        "claims": len(rows),
        "suspicious": len(suspicious),
        "planted": int(planted.sum()),
        "planted_and_suspicious": int(caught),
        "report": str(path),
        "model_version": processor.model_version,
    }
    if as_json:
        print_json(facts | {"seconds": round(seconds, 2), "assessments": [assessment_json(a, r) for r, a in rows]})
        return
    shown = _varied(suspicious, max(1, show - 3)) + ordinary[:3]
    show_table(shown, f"{len(rows)} generated claims, {len(suspicious)} of them suspicious; a few of each:")
    click.echo()
    richest = max(suspicious, key=lambda p: (len({r.source for r in p[1].reasons}), p[1].expected_value))
    show_assessment(richest[1], richest[0])
    click.echo(
        f"\n{facts['planted']} anomalies were planted in these claims; {caught} of the {len(suspicious)} suspicious "
        f"ones are among them. The edits know this world's code tables: real claims are harder."
    )
    click.echo(f"Report: {path}")
    click.echo("Your own claims: claimsformer assess claims.csv")
    click.echo("Train this model again in minutes: claimsformer train --quick --seed 0 --out my_model")


def _varied(pairs: list[tuple[int, Assessment]], n: int) -> list[tuple[int, Assessment]]:
    """Up to `n` of them, a new first reason before a repeated one."""
    seen: set[str] = set()
    first: list[tuple[int, Assessment]] = []
    rest: list[tuple[int, Assessment]] = []
    for pair in pairs:
        reasons = pair[1].reasons
        kind = reasons[0].id if reasons else ""
        (rest if kind in seen else first).append(pair)
        seen.add(kind)
    return (first + rest)[:n]
