"""The parts of the report that need nothing but verdicts: tables, heat map of surprise, claims in full."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import polars as pl

from claimsformer.assessment.decision import Assessment
from claimsformer.assessment.fields import CLAIM_FIELDS
from claimsformer.assessment.wording import without_reason

__all__ = ["claim_in_full", "heat_map", "histogram", "scrolling", "section", "summary", "table", "verdicts"]

Rows = Sequence[tuple[int, Assessment]]


def section(title: str, note: str, content: str) -> str:
    """A heading, a note under it, and the content (HTML)."""
    return f"<section><h2>{escape(title)}</h2><p class='note'>{escape(note)}</p>{content}</section>"


def scrolling(label: str, content: str) -> str:
    """Content (HTML) that may be wider than the page, reached by keyboard, named for screen readers."""
    return f"<div class='wide' tabindex='0' role='region' aria-label='{escape(label, quote=True)}'>{content}</div>"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], label: str, *, numbers: int = 0) -> str:
    """A table of words whose first column names its rows; the last `numbers` columns stand at the right."""
    first_number = len(head) - numbers

    def css(k: int) -> str:
        return " class='n'" if k >= first_number else ""

    top = "".join(f"<th scope='col'{css(k)}>{escape(name)}</th>" for k, name in enumerate(head))
    lines = []
    for first, *rest in rows:
        cells = "".join(f"<td{css(k)}>{escape(value)}</td>" for k, value in enumerate(rest, start=1))
        lines.append(f"<tr><th scope='row'{css(0)}>{escape(first)}</th>{cells}</tr>")
    return scrolling(label, f"<table><thead><tr>{top}</tr></thead><tbody>{''.join(lines)}</tbody></table>")


def summary(
    rows: Rows, version: str, truth: pl.Series | None, whole: Mapping[str, Any] | None, calibrated: bool
) -> str:
    """What was found in all claims; `whole` counts those of a file of which `rows` are only some."""
    review = [a for _, a in rows if a.action == "review"]
    of_rows = {
        "accepted": len(rows),
        "suspicious": sum(a.decision == "suspicious" for _, a in rows),
        "review": len(review),
        "amount_at_risk": sum(a.amount_at_risk for a in review),
        "expected_value": sum(a.expected_value for a in review),
        "abstained": sum(a.abstained for _, a in rows),
    }
    n = of_rows if whole is None else whole
    facts = {
        "claims": f"{n['accepted']:,}",
        "suspicious": f"{n['suspicious']:,}",
        "to review": f"{n['review']:,}",
        "at risk in them": f"${n['amount_at_risk']:,.0f}",
        "expected gain of reviews": f"${n['expected_value']:,.0f}",
        "judged by edits alone": f"{n['abstained']:,}",
    }
    if truth is not None:
        planted = truth.is_not_null().to_list()
        caught = sum(p and a.decision == "suspicious" for p, (_, a) in zip(planted, rows, strict=True))
        facts["known anomalies / found"] = f"{sum(planted)} / {caught}"
    cells = "".join(f"<div><dd>{escape(v)}</dd><dt>{escape(k)}</dt></div>" for k, v in facts.items())
    basis = (
        "Probabilities are calibrated on labelled claims that trained nothing else."
        if calibrated
        else "No labels were given: probabilities follow from a prior and the edits' stated weights."
    )
    return (
        f"<section><h2>Summary</h2><dl class='facts'>{cells}</dl><p class='note'>Model {escape(version)}. {basis} "
        "A suspicious claim is one for a person to look at; nothing is denied by this program.</p></section>"
    )


def _dollars(amount: float) -> str:
    return f"{'-' if amount < 0 else ''}${abs(amount):,.2f}"


def verdicts(rows: Rows) -> str:
    """One line a claim, with a link to the claim in full."""
    lines = []
    for row, a in rows:
        first = a.reasons[0] if a.reasons else None
        reason = f"<code>{escape(first.code)}</code> {escape(first.evidence)}" if first else escape(without_reason(a))
        lines.append(
            f"<tr><th scope='row' class='n'><a href='#c{row}'>{row}</a></th><td>{a.action}</td>"
            f"<td class='n'>{a.probability:.3f}</td><td class='n'>{_dollars(a.amount_at_risk)}</td>"
            f"<td class='n'>{_dollars(a.expected_value)}</td><td>{reason}</td></tr>"
        )
    head = "".join(
        f"<th scope='col'{css}>{name}</th>"
        for name, css in (("row", " class='n'"), ("action", ""), ("probability", " class='n'"),
                          ("at risk", " class='n'"), ("expected gain", " class='n'"), ("first reason", ""))
    )  # fmt: skip
    body = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
    return scrolling("Suspicious claims", body)


def heat_map(rows: Rows, in_full: set[int]) -> str:
    """Surprise by claim and field; rows that are `in_full` further down are links."""
    names = [name for name, _ in Counter(n for _, a in rows for n in a.surprises).most_common()]
    order = [name for name in CLAIM_FIELDS if name in names]
    order = sorted(names, key=lambda n: (order.index(n) if n in order else -1, n))
    head = "<th scope='col'>row</th>" + "".join(
        f"<th scope='col' class='v'><span>{escape(n)}</span></th>" for n in order
    )
    lines = []
    for row, a in rows:
        cells = "".join(_cell(a.surprises.get(name)) for name in order)
        name = f"<a href='#c{row}'>{row}</a>" if row in in_full else str(row)
        lines.append(f"<tr><th scope='row' class='n'>{name}</th>{cells}</tr>")
    body = f"<table class='heat'><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
    return scrolling("Surprise by claim and field", body)


def _cell(value: float | None) -> str:
    if value is None:
        return "<td></td>"
    level = min(9, int(2 * value))
    return f"<td class='h{level}'>{abs(value):.1f}</td>"


def claim_in_full(row: int, a: Assessment) -> str:
    """Everything about one claim but its numbers, folded."""
    reasons = "".join(
        f"<li><code>{escape(r.code)}</code> <b>{escape(r.field)}</b>: {escape(r.evidence)}"
        f"<br><span class='note'>{escape(r.id)}: {escape(r.text)}{'; ' + escape(r.hint) if r.hint else ''}</span></li>"
        for r in a.reasons
    )
    similar = "".join(f"<li>{s.similarity:.2f}, {escape(s.outcome)}: {escape(s.summary)}</li>" for s in a.similar)
    abstained = (
        f"<p>The model abstained, the edits alone decide: {escape(a.abstained_because)}.</p>" if a.abstained else ""
    )
    return (
        f"<details id='c{row}'><summary>Row {row}: {a.decision}, {a.action}, probability {a.probability:.3f}, "
        f"${a.amount_at_risk:,.2f} at risk</summary>{abstained}<ul>{reasons or f'<li>{escape(without_reason(a))}</li>'}</ul>"
        f"<p class='note'>Similar past claims (their outcome in the labels):</p><ul>{similar or '<li>none kept</li>'}</ul>"
        f"<p class='note'>p-value of the surprise {a.p_value:.4f}; claim {a.claim_digest[:16]}</p></details>"
    )


def histogram(counts: Sequence[int]) -> str:
    """Bars for the ten tenths of the probability."""
    largest = max(1, *counts)
    bars = [f"<i style='width:{100 * count / largest:.1f}%'></i>" if count else "" for count in counts]
    lines = "".join(
        f"<tr><th scope='row' class='n'>{k / 10:.1f} to {(k + 1) / 10:.1f}</th><td class='n'>{count:,}</td>"
        f"<td class='bar'>{bar}</td></tr>"
        for k, (count, bar) in enumerate(zip(counts, bars, strict=True))
    )
    head = (
        "<th scope='col' class='n'>probability</th><th scope='col' class='n'>claims</th><th scope='col'>as a bar</th>"
    )
    return f"<table class='bars'><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>"
