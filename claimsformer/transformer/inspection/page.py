"""Attention as a page and as text. A page never shows attention alone: it says what attention is not, and shows beside
it what happens to the output when a token is hidden."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
import numpy.typing as npt

from tensorlite import viz
from tensorlite.viz import Picture

__all__ = ["attention_page", "attention_text"]

Floats = npt.NDArray[np.floating]

NOT_AN_EXPLANATION = (
    "Attention is not an explanation. A weight says where a head looked; what it saw there may not matter to the output "
    "(Jain and Wallace 2019). Occlusion, in the table, hides one token and measures what the output loses."
)
_SHADES = " ·░▒▓█"
_MOST_ROWS = 24
_MOST_CELLS_A_SIDE = 40


def attention_page(
    weights: Any,
    tokens: Sequence[str],
    occlusion: Any,
    *,
    keys: Sequence[str] | None = None,
    output: str = "the output",
    title: str = "Attention",
    **options: Any,
) -> Picture:
    """A self-contained page: attention `(L, H, T, S)`, one head large, beside the `occlusion (S,)` of each key token.

    `keys` name the attended tokens where they are not `tokens` (cross-attention); `output` says what was scored, such as
    "log p(DRG 871)"; `options` go to `viz.attention` (layer, head, row, mask, theme). Raises ValueError when lengths differ.
    """
    tokens = [_printable(token) for token in tokens]
    keys = None if keys is None else [_printable(key) for key in keys]
    names = list(tokens if keys is None else keys)
    lost = np.asarray(occlusion, np.float64)
    if lost.shape != (len(names),):
        raise ValueError(
            f"occlusion must hold one number for each of the {len(names)} key tokens, got shape {lost.shape}"
        )
    picture = viz.attention(np.asarray(weights), tokens, keys, title=title, **options)
    order = np.argsort(-np.abs(lost), kind="stable")
    first, rest = order[:_MOST_ROWS], order[_MOST_ROWS:]
    tables = _table(names, lost, first)
    if len(rest):
        tables += f"<details><summary>{len(rest)} more tokens</summary>{_table(names, lost, rest)}</details>"
    page = _PAGE.format(
        title=escape(title),
        warning=escape(NOT_AN_EXPLANATION),
        svg=picture.svg,
        output=escape(output),
        tables=tables,
        matrix=_matrix(np.asarray(weights), tokens, names, options.get("layer", -1), options.get("head", 0)),
        text=escape(picture.text),
    )
    words = "\n".join(f"{names[i]!r} ({i}): {lost[i]:+.4f}" for i in first)
    text = f"{picture.text}\n{NOT_AN_EXPLANATION}\nWithout each token, {output} loses:\n{words}\n"
    return Picture(title, picture.svg, text, page)


def _printable(token: str) -> str:
    """Half a surrogate pair, which a text may hold and a file may not, becomes a question mark."""
    return token.encode("utf-8", "replace").decode()


def _table(names: Sequence[str], lost: npt.NDArray[np.float64], rows: npt.NDArray[np.intp]) -> str:
    most = float(np.abs(lost).max(initial=0)) or 1.0
    lost = np.round(lost, 4) + 0.0  # no "-0.0000"
    cells = "".join(
        f'<tr><th scope="row">{escape(names[i])}</th><td>{i}</td><td>{lost[i]:+.4f}</td>'
        f'<td class="bar"><span class="{"loss" if lost[i] >= 0 else "gain"}" style="width:{50 * abs(lost[i]) / most:.1f}%">'
        "</span></td></tr>"
        for i in rows
    )
    return (
        '<table><thead><tr><th scope="col">without</th><th scope="col">position</th><th scope="col">loses</th>'
        f'<th scope="col"><span class="hidden">bar</span></th></tr></thead><tbody>{cells}</tbody></table>'
    )


def _matrix(weights: Floats, tokens: Sequence[str], names: Sequence[str], layer: int, head: int) -> str:
    """Every weight of the chosen head, where the table stays readable."""
    if len(tokens) > _MOST_CELLS_A_SIDE or len(names) > _MOST_CELLS_A_SIDE:
        return f"<p>More than {_MOST_CELLS_A_SIDE} tokens: the picture lists the strongest weights of one row.</p>"
    while weights.ndim < 4:
        weights = weights[None]
    top = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    rows = "".join(
        f'<tr><th scope="row">{escape(token)}</th>{"".join(f"<td>{w:.3f}</td>" for w in row)}</tr>'
        for token, row in zip(tokens, weights[layer, head], strict=True)
    )
    return f'<div class="wide" tabindex="0"><table><thead><tr><td></td>{top}</tr></thead><tbody>{rows}</tbody></table></div>'


def attention_text(
    weights: Any, tokens: Sequence[str], keys: Sequence[str] | None = None, *, width: int = 80, row: int | None = None
) -> str:
    """One head `(T, S)` as characters, darker for more, and for each query the key it looks at most, with its weight.

    Columns beyond `width` are merged, each showing its largest weight; `row` shows one query alone.
    """
    grid = np.asarray(weights)
    names = list(tokens if keys is None else keys)
    if grid.ndim != 2 or grid.shape != (len(tokens), len(names)):
        raise ValueError(f"expected weights ({len(tokens)}, {len(names)}) for one head, got shape {grid.shape}")
    label = min(max(map(len, tokens), default=0), 16)
    room = max(width - label - 2 - 24, 8)
    starts = np.linspace(0, len(names), min(room, len(names)), endpoint=False).astype(int)
    top = float(np.nanmax(grid, initial=0)) or 1.0
    lines = []
    for i in range(len(tokens)) if row is None else (range(len(tokens))[row],):
        cells = np.maximum.reduceat(np.nan_to_num(grid[i]), starts)
        shades = "".join(_SHADES[int(float(v) / top * (len(_SHADES) - 1) + 0.5)] for v in np.clip(cells, 0, top))
        best = int(np.argmax(np.nan_to_num(grid[i], nan=-np.inf)))
        lines.append(f"{tokens[i][:label]:>{label}} |{shades}| {names[best][:14]} ({best}) {grid[i, best]:.3f}")
    scale = f"{'':>{label}}  blank = 0, {_SHADES[-1]} = {top:.3f}; where a head looks, not why"
    return "\n".join([*lines, scale])


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>
body{{margin:0;padding:16px;font:14px/1.45 Helvetica,Arial,sans-serif;background:#FEFEFE;color:#1F2937}}
main{{display:flex;flex-wrap:wrap;gap:24px;align-items:flex-start}}
section{{flex:1 1 560px;min-width:0}}section+section{{flex:0 1 420px}}
h1{{font-size:20px;margin:0 0 8px}}h2{{font-size:16px;margin:0 0 8px}}
.note{{max-width:75ch;border-left:4px solid #D55E00;padding-left:12px}}
svg{{max-width:100%;height:auto}}pre{{overflow:auto}}
table{{border-collapse:collapse}}th,td{{padding:2px 10px;text-align:right;font-variant-numeric:tabular-nums}}
th[scope=row]{{text-align:left;font-weight:normal;overflow-wrap:anywhere}}
.wide{{overflow:auto}}td.bar{{width:160px}}td.bar span{{display:block;height:10px}}
.loss{{background:#0072B2;margin-left:50%}}.gain{{background:#D55E00;float:right;margin-right:50%}}
.hidden{{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}}
@media (prefers-color-scheme:dark){{body{{background:#0F172A;color:#E5E7EB}}.loss{{background:#56B4E9}}.gain{{background:#E69F00}}}}
</style>
</head>
<body>
<h1>{title}</h1>
<p class="note">{warning}</p>
<main>
<section aria-label="attention weights">
{svg}
</section>
<section aria-label="occlusion">
<h2>What {output} loses without each token</h2>
{tables}
</section>
</main>
<details><summary>The numbers of the chosen head</summary>{matrix}<pre tabindex="0">{text}</pre></details>
</body>
</html>
"""
