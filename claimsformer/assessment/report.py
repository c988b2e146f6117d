"""The report: one HTML file with everything in it, no network, light and dark, readable without scripts.

Claims appear by their row, never by their number; of members there is nothing. What the claims at hand do not allow is
named in its place, with the reason.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from claimsformer.assessment.decision import Assessment
from claimsformer.assessment.processor import ClaimsProcessor
from claimsformer.assessment.report_attention import ATTENTION_NOTE, attention_table
from claimsformer.assessment.report_curves import curve_sections, figure_sections
from claimsformer.assessment.report_parts import (
    claim_in_full,
    heat_map,
    histogram,
    scrolling,
    section,
    summary,
    verdicts,
)
from claimsformer.errors import ConfigError
from claimsformer.tokenizer.fields import ClaimBatch
from tensorlite import viz

if TYPE_CHECKING:
    from claimsformer.assessment.evaluation import Evaluation

__all__ = ["write_report"]

Rows = Sequence[tuple[int, Assessment]]
MOST, MOST_IN_HEAT_MAP = 60, 40  # claims in full, and in the heat map


def write_report(
    path: str | Path,
    rows: Rows,
    processor: ClaimsProcessor,
    title: str,
    *,
    claims: pl.DataFrame | None = None,
    truth: pl.Series | None = None,
    evaluation: Evaluation | None = None,
    whole: Mapping[str, Any] | None = None,
) -> Path:
    """Write the report of these assessments, (row, assessment) each; returns its path.

    `claims` are the claims of these rows, in their order, for a map of where the model looked. `truth` holds the type of a
    known anomaly for each row, null for none: it allows curves. `evaluation` adds figures beside other methods. Where the
    rows are some of a large file, `whole` is the `StreamedVerdicts.summary()` of all of it, with its `tenths()`. Raises
    ConfigError where claims or truth are not as many as the rows.
    """
    for name, given in (("claims", claims), ("truth", truth)):
        if given is not None and len(given) != len(rows):
            raise ConfigError(f"{name} must be as many as the rows of the report, {len(rows)}, got {len(given)}")
    suspicious = sorted((p for p in rows if p[1].decision == "suspicious"), key=lambda p: -p[1].expected_value)[:MOST]
    read = _read_by_the_model(rows, suspicious)
    tenths = _tenths(rows) if whole is None else whole["tenths"]
    parts = [
        summary(rows, processor.model_version, truth, whole, processor.calibrated),
        figure_sections(evaluation),
        section("Suspicious claims", "By what reviewing them is expected to be worth.", verdicts(suspicious))
        if suspicious else section("Suspicious claims", "None.", ""),
        section("Surprise by field", _HEAT_NOTE, heat_map(read[:MOST_IN_HEAT_MAP], {row for row, _ in suspicious}))
        if read else section("Surprise by field", _NOT_READ, ""),
        _attention(rows, read, processor, claims),
        section("Suspicious claims in full", "Open one for all its reasons and for similar past claims.",
                "".join(claim_in_full(row, a) for row, a in suspicious)) if suspicious else "",
        section("Probabilities", "How many claims fall into each tenth.", histogram(tenths)),
        curve_sections(rows, processor.costs, truth, evaluation),
        _training(processor),
        section("The model", "Its computation graph: one claim through the masked claim-field transformer.",
                _graph(processor)),
    ]  # fmt: skip
    target = Path(path)
    target.write_text(_PAGE.format(title=escape(title), style=_STYLE, body="\n".join(parts)), encoding="utf-8")
    return target


_HEAT_NOTE = (
    "-log10 of each field's p-value: 2 means that one of a hundred ordinary claims surprises as much there. "
    "Darker is more surprising; what a claim does not hold is left empty. Where no suspicious claim was read by the full "
    "model, the most surprising claims are shown."
)
_NOT_READ = "Left out: the full model read none of these claims; the edits alone judged them."


def _read_by_the_model(rows: Rows, suspicious: Rows) -> Rows:
    """The suspicious claims that the full model judged; where there is none, the claims that surprised it most."""
    read = [p for p in suspicious if p[1].surprises and not p[1].abstained]
    if read:
        return read
    others = (p for p in rows if p[1].surprises and not p[1].abstained)
    return sorted(others, key=lambda p: (p[1].p_value, p[0]))[:MOST_IN_HEAT_MAP]


def _tenths(rows: Rows) -> list[int]:
    counts = Counter(min(9, int(10 * a.probability)) for _, a in rows)
    return [counts[k] for k in range(10)]


def _attention(rows: Rows, read: Rows, processor: ClaimsProcessor, claims: pl.DataFrame | None) -> str:
    title = "Where the model looked"
    if claims is None:
        return section(title, "Left out: the claims themselves were not given to this report.", "")
    if not read:
        return section(title, _NOT_READ, "")
    chosen = read[0][0]
    place = next(k for k, (row, _) in enumerate(rows) if row == chosen)
    table = attention_table(processor.model, processor.tokenizer, claims.slice(place, 1))
    return section(f"{title} in row {chosen}", ATTENTION_NOTE, table)


def _training(processor: ClaimsProcessor) -> str:
    losses = processor.losses_
    if len(losses) < 2:
        return section("Training", "Left out: the model's folder keeps no losses.", "")
    width = max(1, len(losses) // 40)
    smooth = [sum(losses[max(0, i - width) : i + 1]) / (i + 1 - max(0, i - width)) for i in range(len(losses))]
    along = "share of the training (%)"
    shares = [100 * i / (len(losses) - 1) for i in range(len(losses))]
    drawn = viz.training_curves(
        {along: shares, "loss": losses, "smoothed loss": smooth}, x=along, y="nats per hidden field", title="Training"
    )
    note = f"Loss in nats per hidden field, {processor.n_history_:,} claims of history."
    return section("Training", note, scrolling("Training", drawn.svg))


def _graph(processor: ClaimsProcessor) -> str:
    model, tokenizer = processor.model, processor.tokenizer
    field = np.arange(1, min(12, tokenizer.field_size), dtype=np.int32)[None]
    blank = np.zeros_like(field)
    value = tokenizer.field_starts[field]
    batch = ClaimBatch(value, blank, field, blank, blank.astype(np.float32), field > 0)
    drawing = viz.graph(model, batch, record=False, name="MaskedClaimModel").svg(depth=2)
    return scrolling("Computation graph", re.sub(r"^<\?xml[^>]*\?>\s*", "", drawing))


_STYLE = """
:root{--paper:#FEFEFE;--ink:#1F2937;--faint:#556477;--line:#D5DCE6;--accent:#0B62C4;--mark:#B3261E;--bar:#399AE2}
@media(prefers-color-scheme:dark){:root{--paper:#0F172A;--ink:#E5E7EB;--faint:#A3B1C4;--line:#33415A;--accent:#7DB7F5;
--mark:#FF9A90;--bar:#4E9FE0}}
body{margin:0 auto;max-width:72rem;padding:1rem;font:15px/1.5 system-ui,sans-serif;background:var(--paper);color:var(--ink)}
h1{font-size:1.5rem;margin:.5rem 0 1rem}h2{font-size:1.1rem;margin:2rem 0 .2rem}a{color:var(--accent)}
.note{color:var(--faint);margin:.2rem 0 .6rem}.facts{display:flex;flex-wrap:wrap;gap:1.2rem}.facts div{display:grid}
.facts{margin:.5rem 0}.facts dd{margin:0;font-size:1.4rem;font-weight:700;font-variant-numeric:tabular-nums}
.facts dt{color:var(--faint)}
.wide{overflow-x:auto}table{border-collapse:collapse}th,td{padding:.25rem .6rem;text-align:left;vertical-align:top;
border-bottom:1px solid var(--line)}.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
th{font-weight:600}.bars{width:100%}.bar{width:70%}.bar i{display:block;height:.9rem;background:var(--bar);min-width:1px}
.heat td,.heat th{padding:.15rem .35rem;text-align:right;font-variant-numeric:tabular-nums;border:1px solid var(--line)}
.heat .v span{writing-mode:vertical-rl;transform:rotate(180deg)}details{border-bottom:1px solid var(--line);padding:.4rem 0}
summary{cursor:pointer}svg{max-width:100%;height:auto}code{color:var(--mark)}
""" + "".join(
    # From paper to a strong red in ten steps; no step is so middling that neither dark nor white ink can be read on it.
    f".h{k}{{background:rgb({255 - 4 * k} {240 - 18 * k} {235 - 19 * k});color:#1F2937}}"
    if k < 7
    else f".h{k}{{background:rgb({368 - 24 * k} {148 - 14 * k} {126 - 12 * k});color:#FFFFFF}}"
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
