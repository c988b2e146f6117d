"""Printing: tables and progress for people, JSON for programs. Members' and claims' numbers are never shown."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any

import click

from claimsformer.assessment.decision import Assessment, Reason

__all__ = ["assessment_json", "console", "print_json", "progress", "show_assessment", "show_table"]

_STYLE = {"valid": "green", "suspicious": "bold red"}


def console(stderr: bool = False) -> Any:
    """A rich console that respects NO_COLOR and pipes."""
    from rich.console import Console

    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 110
    return Console(stderr=stderr, highlight=False, width=width)


def _print(renderable: Any) -> None:
    """Print a text or a table; a pipe gets its lines without the blanks that fill them up."""
    out = console()
    if out.is_terminal:
        out.print(renderable)
        return
    with out.capture() as captured:
        out.print(renderable)
    for line in captured.get().splitlines():
        click.echo(line.rstrip())


def print_json(value: Any) -> None:
    """One JSON document."""
    click.echo(json.dumps(value, indent=2, allow_nan=False, default=str))


class progress:
    """A progress report on standard error: a bar on a terminal, else one plain line every five seconds."""

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet or (not sys.stderr.isatty() and bool(os.environ.get("CI")))
        self._bar: Any = None
        self._task: Any = None
        self._said = time.monotonic()

    def __enter__(self) -> progress:
        if not self.quiet and sys.stderr.isatty():
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
            self._bar = Progress(*columns, console=console(stderr=True), transient=True)
            self._bar.start()
            self._task = self._bar.add_task("", total=1.0)
        return self

    def __call__(self, what: str, share: float) -> None:
        if self._bar is not None:
            self._bar.update(self._task, description=what, completed=share)
        elif not self.quiet and time.monotonic() - self._said > 5:
            self._said = time.monotonic()
            click.echo(f"{what} ({100 * share:.0f} %)", err=True)

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()


def assessment_json(assessment: Assessment, row: int, with_ids: bool = False) -> dict[str, Any]:
    """An assessment as JSON values, by row of the file; the claim's number only where it is asked for."""
    values = assessment.to_dict()
    claim_id = values.pop("claim_id")
    return {"row": row} | ({"claim_id": claim_id} if with_ids else {}) | values


def _main_reason(assessment: Assessment) -> str:
    if not assessment.reasons:
        from claimsformer.assessment.wording import without_reason

        return without_reason(assessment) if assessment.abstained or assessment.decision == "suspicious" else ""
    reason = assessment.reasons[0]
    return f"{reason.code} {reason.evidence}"


def show_table(assessments: Iterable[tuple[int, Assessment]], title: str) -> None:
    """One line a claim: row, decision, probability, amount at risk, action, first reason."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for name, side in (("row", "right"), ("decision", "left"), ("prob.", "right"), ("at risk", "right"),
                       ("action", "left"), ("first reason", "left")):  # fmt: skip
        table.add_column(name, justify=side, no_wrap=name != "first reason")  # type: ignore[arg-type]
    for row, a in assessments:
        decision = Text(a.decision, style=_STYLE[a.decision])
        amount = f"${a.amount_at_risk:,.0f}" if a.decision == "suspicious" else ""
        table.add_row(str(row), decision, f"{a.probability:.3f}", amount, a.action, Text(_main_reason(a)))
    _print(table)


def show_assessment(assessment: Assessment, row: int) -> None:
    """One claim in full."""
    from rich.text import Text

    a = assessment
    head = Text(f"row {row}: ").append(a.decision, style=_STYLE[a.decision])
    basis = "calibrated" if a.calibrated else "not calibrated: no labels were given"
    basis = "from the edits alone" if a.abstained else basis
    head.append(f", {a.action}; probability {a.probability:.3f} ({basis}), p-value of the surprise {a.p_value:.4f}")
    _print(head)
    if a.abstained:
        _print(Text(f"  the model abstained, the edits alone decide: {a.abstained_because}"))
    worth = f"{'-' if a.expected_value < 0 else ''}${abs(a.expected_value):,.2f}"
    _print(Text(f"  ${a.amount_at_risk:,.2f} at risk; reviewing it is expected to be worth {worth}"))
    _print(_hanging(row for reason in a.reasons for row in _of_reason(reason)))
    top = sorted(a.surprises.items(), key=lambda pair: -pair[1])[:8]
    _print(Text("  surprise by field, as -log10 of its p-value:"))
    for name, value in top:
        _print(Text(f"    {name:<20} {'▇' * min(40, round(4 * value)):<12} {value:.2f}"))
    alike = ((f"  similar past claim ({s.similarity:.2f}, {s.outcome}):", Text(s.summary)) for s in a.similar)
    _print(_hanging(alike))
    _print(Text(f"  model {a.model_version}, claim {a.claim_digest[:16]}"))


def _of_reason(reason: Reason) -> Iterator[tuple[Any, Any]]:
    from rich.text import Text

    yield (
        Text(f"  {reason.code:<12}", style="bold"),
        Text(f"{reason.field}: ", style="cyan").append(reason.evidence, "default"),
    )
    yield "", Text(f"{reason.id}: {reason.text}" + (f"; {reason.hint}" if reason.hint else ""))


def _hanging(rows: Iterable[tuple[Any, Any]]) -> Any:
    """Labels and texts beside them: what is too long for the line goes on under the text, not under the label."""
    from rich.table import Table

    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True)
    grid.add_column()
    for label, text in rows:
        grid.add_row(label, text)
    return grid
