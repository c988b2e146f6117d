"""The report: one HTML file with everything in it, no network, light and dark, readable without scripts.

Claims appear by their row, never by their number; of members there is nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

import polars as pl

from claimsformer.assessment.decision import Assessment
from claimsformer.assessment.fields import CLAIM_FIELDS
from claimsformer.assessment.processor import ClaimsProcessor
from claimsformer.assessment.report_attention import ATTENTION_NOTE, attention_table
from tensorlite import viz

__all__ = ["write_report"]

Rows = Sequence[tuple[int, Assessment]]
MOST = 60  # claims in full


def write_report(
    path: str | Path,
    rows: Rows,
    processor: ClaimsProcessor,
    title: str,
    *,
    truth: pl.Series | None = None,
    metrics: Mapping[str, str] | None = None,
    claims: pl.DataFrame | None = None,
) -> Path:
    """Write the report of these assessments, (row, assessment) each; returns its path.

    With `claims`, in the order of the rows, the report shows where the model looked in the first suspicious one. `truth`
    holds the type of a known anomaly per claim, null for none. `metrics` are lines for a table of figures.
    """
    suspicious = sorted((p for p in rows if p[1].decision == "suspicious"), key=lambda p: -p[1].expected_value)
    parts = [
        _summary(rows, suspicious, processor, truth),
        _figures(metrics),
        _section("Suspicious claims", "by what reviewing them is expected to be worth", _table(suspicious[:MOST])),
        _section("Surprise by field", _HEAT_NOTE, _heat_map(suspicious[:MOST])),
        _attention(suspicious, processor, claims),
        *(_claim(row, a) for row, a in suspicious[:MOST]),
        _section("Probabilities", "how many claims fall into each tenth", _histogram(rows)),
        _section("Training", f"loss in nats per hidden field, {processor.n_history_:,} claims of history",
                 _curve(processor)),
        _section("The model", "its computation graph: one claim through the masked claim-field transformer",
                 _graph(processor)),
    ]  # fmt: skip
    target = Path(path)
    body = "\n".join(part for part in parts if part)
    target.write_text(_PAGE.format(title=escape(title), style=_STYLE, body=body), encoding="utf-8")
    return target


def _section(title: str, note: str, content: str) -> str:
    return f"<section><h2>{escape(title)}</h2><p class='note'>{escape(note)}</p>{content}</section>" if content else ""


def _summary(rows: Rows, suspicious: Rows, processor: ClaimsProcessor, truth: pl.Series | None) -> str:
    review = [a for _, a in rows if a.action == "review"]
    facts = {
        "claims": f"{len(rows):,}",
        "suspicious": f"{len(suspicious):,}",
        "to review": f"{len(review):,}",
        "at risk in them": f"${sum(a.amount_at_risk for a in review):,.0f}",
        "expected gain of reviews": f"${sum(a.expected_value for a in review):,.0f}",
        "judged by edits alone": f"{sum(a.abstained for _, a in rows):,}",
    }
    if truth is not None:
        planted = truth.is_not_null().to_list()
        caught = sum(planted[row - 1] for row, _ in suspicious)
        facts["anomalies planted / found"] = f"{sum(planted)} / {caught}"
    cells = "".join(f"<div><b>{escape(v)}</b><span>{escape(k)}</span></div>" for k, v in facts.items())
    calibrated = rows[0][1].calibrated if rows else False
    basis = (
        "Probabilities are calibrated on labelled claims that trained nothing else."
        if calibrated
        else "No labels were given: probabilities follow from a prior and the edits' stated weights."
    )
    return (
        f"<section><div class='facts'>{cells}</div><p class='note'>Model {escape(processor.model_version)}. {basis} "
        "A suspicious claim is one for a person to look at; nothing is denied by this program.</p></section>"
    )


def _figures(metrics: Mapping[str, str] | None) -> str:
    if not metrics:
        return ""
    lines = "".join(f"<tr><th scope='row'>{escape(k)}</th><td>{escape(v)}</td></tr>" for k, v in metrics.items())
    return _section("Figures", "with 95 % bootstrap intervals", f"<table>{lines}</table>")


def _dollars(amount: float) -> str:
    return f"{'-' if amount < 0 else ''}${abs(amount):,.2f}"


def _table(rows: Rows) -> str:
    if not rows:
        return "<p>None.</p>"
    lines = []
    for row, a in rows:
        reason = f"<code>{escape(a.reasons[0].code)}</code> {escape(a.reasons[0].evidence)}" if a.reasons else ""
        lines.append(
            f"<tr><td class='n'><a href='#c{row}'>{row}</a></td><td>{a.action}</td><td class='n'>{a.probability:.3f}</td>"
            f"<td class='n'>{_dollars(a.amount_at_risk)}</td><td class='n'>{_dollars(a.expected_value)}</td>"
            f"<td>{reason}</td></tr>"
        )
    head = "".join(f"<th scope='col'>{name}</th>" for name in
                   ("row", "action", "probability", "at risk", "expected gain", "first reason"))  # fmt: skip
    body = "".join(lines)
    return f"<div class='wide' tabindex='0'><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


_HEAT_NOTE = (
    "-log10 of each field's p-value: 2 means that one of a hundred ordinary claims surprises as much there. "
    "Darker is more surprising; empty fields are left white."
)


def _heat_map(rows: Rows) -> str:
    if not rows:
        return ""
    names = [name for name, _ in Counter(n for _, a in rows for n in a.surprises).most_common()]
    order = [name for name in CLAIM_FIELDS if name in names]
    order = sorted(names, key=lambda n: (order.index(n) if n in order else -1, n))
    head = "<th scope='col'>row</th>" + "".join(
        f"<th scope='col' class='v'><span>{escape(n)}</span></th>" for n in order
    )
    lines = []
    for row, a in rows[:40]:
        cells = "".join(_cell(a.surprises.get(name)) for name in order)
        lines.append(f"<tr><th scope='row' class='n'><a href='#c{row}'>{row}</a></th>{cells}</tr>")
    return (
        f"<div class='wide' tabindex='0'><table class='heat'><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def _cell(value: float | None) -> str:
    if value is None:
        return "<td></td>"
    level = min(9, int(2 * value))
    return f"<td class='h{level}'>{abs(value):.1f}</td>"


def _attention(suspicious: Rows, processor: ClaimsProcessor, claims: pl.DataFrame | None) -> str:
    judged = [row for row, a in suspicious if not a.abstained]
    if claims is None or not judged:
        return ""
    table = attention_table(processor.model, processor.tokenizer, claims.slice(judged[0] - 1, 1))
    return _section(f"Where the model looked in row {judged[0]}", ATTENTION_NOTE, table)


def _claim(row: int, a: Assessment) -> str:
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
        f"${a.amount_at_risk:,.2f} at risk</summary>{abstained}<ul>{reasons or '<li>several weak signs together</li>'}</ul>"
        f"<p class='note'>Similar past claims (their outcome in the labels):</p><ul>{similar or '<li>none kept</li>'}</ul>"
        f"<p class='note'>p-value of the surprise {a.p_value:.4f}; claim {a.claim_digest[:16]}</p></details>"
    )


def _histogram(rows: Rows) -> str:
    counts = Counter(min(9, int(10 * a.probability)) for _, a in rows)
    lines = []
    for k in range(10):
        width = 100 * counts[k] / max(1, max(counts.values(), default=1))
        lines.append(
            f"<tr><th scope='row' class='n'>{k / 10:.1f} to {(k + 1) / 10:.1f}</th><td class='n'>{counts[k]}</td>"
            f"<td class='bar'><i style='width:{width:.1f}%'></i></td></tr>"
        )
    return f"<table class='bars'>{''.join(lines)}</table>"


def _curve(processor: ClaimsProcessor) -> str:
    losses = processor.losses_
    if len(losses) < 2:
        return ""
    width = max(1, len(losses) // 40)
    smooth = [sum(losses[max(0, i - width) : i + 1]) / (i + 1 - max(0, i - width)) for i in range(len(losses))]
    along = "share of the training (%)"
    shares = [100 * i / (len(losses) - 1) for i in range(len(losses))]
    return viz.training_curves({along: shares, "loss": losses, "smoothed loss": smooth}, x=along, title="Training").svg


def _graph(processor: ClaimsProcessor) -> str:
    import numpy as np

    model, tokenizer = processor.model, processor.tokenizer
    field = np.arange(1, min(12, tokenizer.field_size), dtype=np.int32)[None]
    from claimsformer.tokenizer.fields import ClaimBatch

    blank = np.zeros_like(field)
    value = tokenizer.field_starts[field]
    batch = ClaimBatch(value, blank, field, blank, blank.astype(np.float32), field > 0)
    drawing = viz.graph(model, batch, record=False, name="MaskedClaimModel").svg(depth=2)
    return f"<div class='wide' tabindex='0'>{_without_prolog(drawing)}</div>"


def _without_prolog(svg: str) -> str:
    return re.sub(r"^<\?xml[^>]*\?>\s*", "", svg)


_STYLE = """
:root{--paper:#FEFEFE;--ink:#1F2937;--faint:#556477;--line:#D5DCE6;--accent:#0B62C4;--mark:#B3261E;--bar:#399AE2}
@media(prefers-color-scheme:dark){:root{--paper:#0F172A;--ink:#E5E7EB;--faint:#A3B1C4;--line:#33415A;--accent:#7DB7F5;
--mark:#FF9A90;--bar:#4E9FE0}}
body{margin:0 auto;max-width:72rem;padding:1rem;font:15px/1.5 system-ui,sans-serif;background:var(--paper);color:var(--ink)}
h1{font-size:1.5rem;margin:.5rem 0 1rem}h2{font-size:1.1rem;margin:2rem 0 .2rem}a{color:var(--accent)}
.note{color:var(--faint);margin:.2rem 0 .6rem}.facts{display:flex;flex-wrap:wrap;gap:1.2rem}.facts div{display:grid}
.facts b{font-size:1.4rem;font-variant-numeric:tabular-nums}.facts span{color:var(--faint)}
.wide{overflow-x:auto}table{border-collapse:collapse}th,td{padding:.25rem .6rem;text-align:left;vertical-align:top;
border-bottom:1px solid var(--line)}.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
th{font-weight:600}.bars{width:100%}.bar{width:70%}.bar i{display:block;height:.9rem;background:var(--bar);min-width:1px}
.heat td,.heat th{padding:.15rem .35rem;text-align:right;font-variant-numeric:tabular-nums;border:1px solid var(--line)}
.heat .v span{writing-mode:vertical-rl;transform:rotate(180deg)}details{border-bottom:1px solid var(--line);padding:.4rem 0}
summary{cursor:pointer}svg{max-width:100%;height:auto}code{color:var(--mark)}
""" + "".join(
    # From paper to a strong red in ten steps, with ink that keeps its contrast.
    f".h{k}{{background:rgb({255 - 5 * k} {240 - 21 * k} {235 - 22 * k});color:{'#1F2937' if k < 6 else '#FFFFFF'}}}"
    for k in range(10)
)

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
<h1>{title}</h1>
{body}
</main>
</body>
</html>
"""
