"""Where the model looked in one claim: attention between its fields, as a table of colours for the report."""

from __future__ import annotations

from html import escape

import numpy as np
import numpy.typing as npt
import polars as pl

import tensorlite as tl
from claimsformer.assessment.fields import prepare
from claimsformer.assessment.masked_model import MaskedClaimModel
from claimsformer.assessment.report_parts import scrolling
from claimsformer.claims.frames import conform
from claimsformer.tokenizer.fields import ClaimBatch, FieldTokenizer
from claimsformer.transformer.inspection import attention_rollout, capture

__all__ = ["ATTENTION_NOTE", "attention_between_fields", "attention_table"]

Floats = npt.NDArray[np.floating]

ATTENTION_NOTE = (
    "How much of each field (column) reaches each field (row) when heads are averaged and layers chained, in percent "
    "(Abnar and Zuidema 2020). It shows where the model looked. It is no reason for a verdict."
)


def attention_between_fields(model: MaskedClaimModel, claim: ClaimBatch) -> Floats:
    """Attention rolled out over the layers for one claim without padding, (T, T); rows add up to 1."""
    with tl.no_grad(), capture(model, "*self_attention", gradients=False) as seen:
        model(claim)
    layers = [seen[name].weights for name in seen]
    return attention_rollout(np.stack([w.numpy()[0] for w in layers if w is not None]))


def attention_table(model: MaskedClaimModel, tokenizer: FieldTokenizer, claims: pl.DataFrame) -> str:
    """An HTML table for the first of the claims, given in the layout of `claims_schema()`."""
    batch = tokenizer.encode(prepare(conform(claims.head(1)))).compact()
    names = [_label(tokenizer, batch, t) for t in range(batch.shape[1])]
    shares = attention_between_fields(model, batch)
    head = "".join(f"<th scope='col' class='v'><span>{escape(name)}</span></th>" for name in names)
    lines = [
        f"<tr><th scope='row'>{escape(name)}</th>{''.join(_cell(share) for share in row)}</tr>"
        for name, row in zip(names, shares, strict=True)
    ]
    return scrolling(
        "Attention between the fields of a claim",
        "<table class='heat'><thead><tr><th scope='col'>field</th>"
        f"{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>",
    )


def _label(tokenizer: FieldTokenizer, batch: ClaimBatch, t: int) -> str:
    field = int(batch.field_ids[0, t])
    if field == 0:
        return "claim"
    rank = int(batch.position_ids[0, t])
    return tokenizer.field_names[field - 1] + (f" {rank}" if rank else "")


def _cell(share: float) -> str:
    return f"<td class='h{min(9, int(20 * share))}'>{100 * share:.0f}</td>"
