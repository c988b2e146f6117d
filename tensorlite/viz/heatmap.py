"""Heat maps as 8-bit images inside SVG: attention by layer and head, gradient norms over time.

One image a head instead of one line a pair of tokens, so 512 tokens stay small. The colour map runs from dark blue to
yellow and is read the same with any colour vision; signed values run from blue over white to orange.
"""

from __future__ import annotations

import base64
import math
import struct
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from . import attention_page
from .axes import number
from .chartframe import document, flag
from .metrics import clip, one_line, width
from .palette import Theme
from .picture import Picture, table
from .svg import text

CAPTION = (
    "Attention weights show where a head looked, not why the model decided: they are not an explanation.",
    "Compare with what changes when a token is removed (occlusion) or a head is switched off (ablation).",
)
_SEQUENTIAL = ["00224E", "123570", "3B496C", "575D6D", "707173", "8A8678", "A59C74", "C3B369", "E1CC55", "FEE838"]
_DIVERGING = ["0B4F9E", "5B8FCB", "B5CDE8", "FAFAF7", "F0C39B", "D9843B", "A34A00"]
_MASKED = 255  # palette entry of pairs that the mask forbids
_WHOLE = 4_000_000  # pairs that a page shows pixel by pixel; more are pooled
_THUMB, _CELL, _FOCUS, _GAP = 128, 96.0, 384.0, 14.0

Array = npt.NDArray[Any]


def attention(
    weights: Any,
    tokens: Sequence[str] | None = None,
    keys: Sequence[str] | None = None,
    *,
    layer: int = -1,
    head: int = 0,
    row: int = 0,
    top_k: int = 8,
    mask: Any = None,
    title: str = "Attention",
    theme: Theme = "auto",
) -> Picture:
    """Attention weights (L, H, T, S), (H, T, S) or (T, S): a grid of heads, one head large, and the strongest keys of
    one query.

    `tokens` name the queries and `keys` the attended positions (default: the same, for self-attention). `layer`, `head`
    and `row` choose the head shown large and the query whose `top_k` keys are listed with their weights. `mask`,
    broadcast to (T, S), is true where attention is forbidden; those pairs are hatched. Each head is scaled to its own
    range, which is printed. The picture's `.html` is a page in which any head and query can be chosen. Raises `ValueError` when shapes and names do not agree.
    """
    grid = _four(weights)
    n_layers, n_heads, n_queries, n_keys = grid.shape
    queries = _tokens(tokens, n_queries, "tokens")
    attended = _tokens(keys if keys is not None else (tokens if n_queries == n_keys else None), n_keys, "keys")
    layer, head = _index(layer, n_layers, "layer"), _index(head, n_heads, "head")
    row = _index(row, n_queries, "row")
    forbidden = None if mask is None else np.broadcast_to(np.asarray(mask, dtype=bool), (n_queries, n_keys))
    body: list[str] = ["<defs>" + _HATCH + "</defs>"] if forbidden is not None else []
    many = n_layers * n_heads > 1
    top = 48.0
    if many:
        body += _heads(grid, (layer, head), forbidden, top)
        top += n_layers * (_CELL + 36.0) + 14.0
    chosen = grid[layer, head]
    listed = _strongest(chosen[row], attended, top_k, None if forbidden is None else forbidden[row])
    body.append(f'<text class="ink" x="14" y="{top + 12:g}">layer {layer}, head {head}: {_range(chosen)}</text>')
    label = min(max(width(one_line(t), 11.0) for t in queries) + 10.0, 120.0) if n_queries <= 256 else 10.0
    body += _focus(chosen, queries, attended, row, forbidden, 14.0 + label, top + 24.0)
    side = 14.0 + label + _FOCUS + 26.0
    body += _list(listed, queries[row], side, top + 36.0)
    scale = top + 36.0 + 26.0 * len(listed) + 24.0
    high, signed = _head_range(chosen)
    body += _legend(side, scale, number(-high) if signed else "0", number(high), signed)
    foot = max(top + 24.0 + _FOCUS * _aspect(chosen) + (84.0 if n_keys <= 64 else 22.0), scale + 40.0)
    for i, line in enumerate(CAPTION):
        body.append(f'<text x="14" y="{foot + 16.0 * i:g}">{line}</text>')
    wide = max(side + 240.0, 14.0 + n_heads * (_CELL + _GAP) + 60.0, width(CAPTION[1], 11.0) + 28.0)
    words = _words(grid, layer, head, row, queries, listed)
    svg = document(title, words, body, wide, foot + 28.0, theme)
    page = _page(title, theme, grid, (layer, head), row, queries, attended, forbidden, top_k)
    return Picture(title, svg, f"{one_line(title)}\n{words}\n", page, theme)


def _page(
    title: str,
    theme: Theme,
    grid: Array,
    chosen: tuple[int, int],
    row: int,
    queries: Sequence[str],
    attended: Sequence[str],
    forbidden: Array | None,
    top_k: int,
) -> str:
    """The interactive page, in which every head can be chosen."""
    n_layers, n_heads, n_queries, n_keys = grid.shape
    listed = n_layers * n_heads * n_queries * min(top_k, n_keys) <= attention_page.BUDGET
    whole = grid.size <= _WHOLE
    hidden = forbidden if whole or forbidden is None else _pooled(forbidden.astype(np.float64)) > 0.5
    heads = []
    for layer, head in np.ndindex(n_layers, n_heads):
        values = grid[layer, head]
        levels, signed = _head_levels(values if whole else _pooled(values), hidden)
        high, _ = _head_range(values)
        shown = listed or (layer, head) == chosen
        heads.append(
            {
                "layer": layer,
                "head": head,
                "image": attention_page.image(png(levels, _COLOURS[signed])),
                "words": _entropy_words(values),
                "high": number(high),
                "low": number(-high) if signed else "0",
                "signed": signed,
                "top": [
                    [[j, w] for j, _, w in _strongest(r, attended, top_k, None if forbidden is None else forbidden[i])]
                    for i, r in enumerate(values if shown else ())
                ],
            }
        )
    data = {
        "heads": heads,
        "tokens": [one_line(t) for t in queries],
        "keys": [one_line(t) for t in attended],
        "chosen": chosen[0] * n_heads + chosen[1],
        "row": row,
        "scale": [_SEQUENTIAL, _DIVERGING],
        "masked": forbidden is not None,
    }
    return attention_page.page(title, theme, CAPTION, data)


def flow(title: str, series: Mapping[str, Array], steps: Sequence[float] | None, theme: Theme) -> Picture:
    """Gradient norm of each layer (rows) over time (columns), as a logarithmic heat map."""
    names = list(series)
    values = np.stack([series[name] for name in names])
    n = values.shape[1]
    at = [float(i) for i in range(n)] if steps is None else [float(step) for step in steps]
    if len(at) != n:
        raise ValueError(f"steps must number the {n} columns, got {len(at)}")
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.where((values > 0) & np.isfinite(values), np.log10(np.where(values > 0, values, 1.0)), np.nan)
    low, high = _finite_range(logs)
    label = min(max(width(one_line(name), 11.0) for name in names) + 24.0, 320.0)
    row = 18.0
    wide_map = 420.0
    body = [_image(_levels(logs, low, high, None), label, 44.0, wide_map, row * len(names), "gradient norms", False)]
    rows = []
    for i, name in enumerate(names):
        y = 44.0 + row * i + 13.0
        last = float(values[i, -1])
        words = flag(last) or _at_times([flag(float(v)) for v in values[i]])
        body.append(
            f'<text x="{label - 8:g}" y="{y:g}" text-anchor="end">{text(clip(one_line(name), 11.0, 300.0))}</text>'
        )
        shown = f"{number(last)} {words}".strip()
        body.append(f'<text class="ink" x="{label + wide_map + 8:g}" y="{y:g}">{text(shown)}</text>')
        rows.append([name, number(float(values[i, 0])), number(last), words])
    foot = 44.0 + row * len(names) + 16.0
    body.append(f'<text x="{label:g}" y="{foot:g}">step {number(at[0])}</text>')
    body.append(f'<text x="{label + wide_map:g}" y="{foot:g}" text-anchor="end">step {number(at[-1])}</text>')
    body += _legend(label, foot + 12.0, f"1e{low:.1f}", f"1e{high:.1f}", False)
    words_table = table(["layer", "first", "last", ""], rows)
    svg = document(title, words_table, body, label + wide_map + 250.0, foot + 52.0, theme)
    return Picture(title, svg, f"{one_line(title)}\n{words_table}\n", theme=theme)


def _at_times(words: Sequence[str]) -> str:
    """What was flagged in some steps but is not in the last."""
    kinds = sorted(set(words) - {""})
    return ", ".join(f"{word} in {words.count(word)} of {len(words)} steps" for word in kinds)


# -- input ------------------------------------------------------------------------------------------------------------


def _four(weights: Any) -> Array:
    array = np.asarray(getattr(weights, "_data", weights), dtype=np.float64)
    if array.ndim not in {2, 3, 4} or 0 in array.shape:
        raise ValueError(f"weights must be (L, H, T, S), (H, T, S) or (T, S) and not empty, got shape {array.shape}")
    return array.reshape((1,) * (4 - array.ndim) + array.shape)


def _tokens(names: Sequence[str] | None, n: int, what: str) -> list[str]:
    if names is None:
        return [str(i) for i in range(n)]
    if len(names) != n:
        raise ValueError(f"{what}: expected {n} names, one a position, got {len(names)}")
    return [str(name) for name in names]


def _index(value: int, n: int, what: str) -> int:
    if not -n <= value < n:
        raise ValueError(f"{what} must be between {-n} and {n - 1}, got {value}")
    return value % n


# -- images -----------------------------------------------------------------------------------------------------------


def png(levels: npt.NDArray[np.uint8], colours: Sequence[str]) -> bytes:
    """An indexed 8-bit PNG (ISO/IEC 15948)."""
    high, wide = levels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in levels)
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", wide, high, 8, 3, 0, 0, 0)),
        (b"PLTE", b"".join(bytes.fromhex(colour) for colour in colours)),
        (b"IDAT", zlib.compress(rows, 9)),
        (b"IEND", b""),
    ]
    out = b"\x89PNG\r\n\x1a\n"
    for kind, data in parts:
        out += struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return out


def ramp(stops: Sequence[str], n: int = 255) -> list[str]:
    """`n` colours between the stops, and one more for masked pairs."""
    points = np.array([[int(stop[i : i + 2], 16) for i in (0, 2, 4)] for stop in stops], dtype=np.float64)
    at = np.linspace(0, len(stops) - 1, n)
    mixed = np.stack([np.interp(at, np.arange(len(stops)), points[:, c]) for c in range(3)], axis=1)
    return [f"{int(r):02X}{int(g):02X}{int(b):02X}" for r, g, b in np.rint(mixed)] + ["9AA3AF"]


_COLOURS = {False: ramp(_SEQUENTIAL), True: ramp(_DIVERGING)}


def _finite_range(values: Array) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def _levels(values: Array, low: float, high: float, forbidden: Array | None) -> npt.NDArray[np.uint8]:
    known = np.isfinite(values)
    scaled = np.clip((np.where(known, values, low) - low) / (high - low), 0.0, 1.0)
    levels = np.where(known, np.rint(scaled * 254), _MASKED).astype(np.uint8)
    return levels if forbidden is None else np.where(forbidden, np.uint8(_MASKED), levels)


def _head_range(values: Array) -> tuple[float, bool]:
    """The largest magnitude, and whether there are negative entries."""
    finite = values[np.isfinite(values)]
    return (float(np.abs(finite).max()) if finite.size else 0.0) or 1.0, bool((values < 0).any())


def _head_levels(values: Array, forbidden: Array | None) -> tuple[npt.NDArray[np.uint8], bool]:
    high, signed = _head_range(values)
    return _levels(values, -high if signed else 0.0, high, forbidden), signed


def _image(levels: npt.NDArray[np.uint8], x: float, y: float, wide: float, high: float, name: str, signed: bool) -> str:
    data = base64.b64encode(png(levels, _COLOURS[signed])).decode("ascii")
    return (
        f'<image x="{x:g}" y="{y:g}" width="{wide:g}" height="{high:g}" preserveAspectRatio="none" '
        f'style="image-rendering:pixelated" href="data:image/png;base64,{data}"><title>{text(name)}</title></image>'
        f'<rect class="frame" x="{x:g}" y="{y:g}" width="{wide:g}" height="{high:g}"/>'
    )


def _pooled(values: Array) -> Array:
    """The largest entry of each block, at most `_THUMB` blocks a side, so that a lone strong pair stays visible."""
    for axis in (0, 1):
        n = values.shape[axis]
        if n > _THUMB:
            starts = np.linspace(0, n, _THUMB, endpoint=False).astype(int)
            values = np.maximum.reduceat(values, starts, axis=axis)
    return values


# -- parts of the picture ---------------------------------------------------------------------------------------------

_HATCH = (
    '<pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<path d="M0 0V6" stroke="#5B6470" stroke-width="2" fill="none"/></pattern>'
)


def _heads(grid: Array, chosen: tuple[int, int], forbidden: Array | None, top: float) -> list[str]:
    n_layers, n_heads = grid.shape[:2]
    small = None if forbidden is None else _pooled(forbidden.astype(np.float64)) > 0.5
    body = []
    for layer in range(n_layers):
        y = top + layer * (_CELL + 36.0)
        for head in range(n_heads):
            x = 14.0 + head * (_CELL + _GAP)
            levels, signed = _head_levels(_pooled(grid[layer, head]), small)
            mark = " (below)" if (layer, head) == chosen else ""
            body.append(f'<text x="{x:g}" y="{y - 3:g}">L{layer} H{head}{mark}</text>')
            body.append(_image(levels, x, y, _CELL, _CELL, f"layer {layer}, head {head}", signed))
            body.append(f'<text x="{x:g}" y="{y + _CELL + 12:g}">{_entropy_words(grid[layer, head])}</text>')
    return body


def entropy(head: Array) -> float:
    """Mean entropy in bits of the rows of one head; rows that do not sum to a positive number are left out."""
    weights = np.where(np.isfinite(head) & (head > 0), head, 0.0)
    totals = weights.sum(axis=1)
    rows = weights[totals > 0] / totals[totals > 0][:, None]
    if not len(rows):
        return math.nan
    logs = np.log2(np.where(rows > 0, rows, 1.0))
    return float(-(rows * logs).sum(axis=1).mean())


def _entropy_words(head: Array) -> str:
    bits = entropy(head)
    return "signed" if (head < 0).any() else f"{bits:.2f} bits" if math.isfinite(bits) else "no weights"


def _range(head: Array) -> str:
    finite = head[np.isfinite(head)]
    if not finite.size:
        return "no finite weight"
    return f"{number(float(finite.min()))} … {number(float(finite.max()))}, mean entropy {_entropy_words(head)}"


def _aspect(head: Array) -> float:
    return float(min(max(head.shape[0] / head.shape[1], 0.25), 2.0))


def _focus(
    head: Array,
    queries: Sequence[str],
    attended: Sequence[str],
    row: int,
    forbidden: Array | None,
    x: float,
    y: float,
) -> list[str]:
    high = _FOCUS * _aspect(head)
    n_queries, n_keys = head.shape
    levels, signed = _head_levels(head, forbidden)
    body = [_image(levels, x, y, _FOCUS, high, "query by key", signed)]
    if forbidden is not None:
        body += _hatched(forbidden, x, y, _FOCUS / n_keys, high / n_queries)
    step = high / n_queries
    every = max(1, math.ceil(12.0 / step))
    for i in range(0, n_queries if n_queries <= 256 else 0, every):
        at = y + (i + 0.5) * step + 4
        name = text(clip(one_line(queries[i]), 11.0, 108.0))
        css = ' class="ink"' if i == row else ""
        body.append(f'<text{css} x="{x - 6:g}" y="{at:.2f}" text-anchor="end">{name}</text>')
    across = _FOCUS / n_keys
    every = max(1, math.ceil(12.0 / across))
    for j in range(0, n_keys if n_keys <= 64 else 0, every):
        at = x + (j + 0.5) * across
        name = text(clip(one_line(attended[j]), 11.0, 72.0))
        body.append(f'<text transform="translate({at - 3:.2f} {y + high + 8:.2f}) rotate(60)">{name}</text>')
    frame = f'x="{x - 2:g}" y="{y + row * step:.2f}" width="{_FOCUS + 4:g}" height="{step:.2f}"'
    body.append(f'<rect class="chosen" {frame}/>')
    return body


def _hatched(forbidden: Array, x: float, y: float, across: float, down: float) -> list[str]:
    """One hatched rectangle for each run of forbidden keys in a row."""
    paths = []
    for i, row in enumerate(forbidden):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], row.astype(np.int8), [0]])))
        for start, stop in zip(edges[::2], edges[1::2], strict=True):
            left, wide = x + start * across, (stop - start) * across
            paths.append(f"M{left:.2f} {y + i * down:.2f}h{wide:.2f}v{down:.2f}h{-wide:.2f}z")
    return [f'<path fill="url(#hatch)" d="{"".join(paths)}"/>'] if paths else []


def _strongest(
    weights: Array, attended: Sequence[str], top_k: int, forbidden: Array | None = None
) -> list[tuple[int, str, float]]:
    known = np.where(np.isfinite(weights), np.abs(weights), -1.0)
    order = np.argsort(-known, kind="stable")
    order = (order if forbidden is None else order[~forbidden[order]])[: max(top_k, 0)]
    return [(int(j), attended[int(j)], float(weights[int(j)])) for j in order]


def _list(listed: Sequence[tuple[int, str, float]], query: str, x: float, y: float) -> list[str]:
    head = text(clip(one_line(query), 11.0, 130.0))
    body = [f'<text class="ink" x="{x:g}" y="{y:g}">from “{head}” to</text>']
    most = max((abs(weight) for _, _, weight in listed), default=1.0) or 1.0
    for i, (j, token, weight) in enumerate(listed):
        at = y + 22.0 + 26.0 * i
        name = text(clip(one_line(token), 11.0, 110.0))
        body.append(f'<text x="{x:g}" y="{at:g}">{name} <tspan>({j})</tspan></text>')
        body.append(f'<text class="ink" x="{x + 170:g}" y="{at:g}" text-anchor="end">{weight:.4f}</text>')
        body.append(
            f'<rect class="bar" x="{x:g}" y="{at + 4:g}" width="{170 * abs(weight) / most:.2f}" height="4" rx="2"/>'
        )
    return body


def _legend(x: float, y: float, low: str, high: str, signed: bool) -> list[str]:
    levels = np.arange(255, dtype=np.uint8)[None, :]
    start = x + width(low, 11.0) + 6.0
    return [
        f'<text x="{x:g}" y="{y + 10:g}">{low}</text>',
        _image(levels, start, y, 160.0, 10.0, "colour scale", signed),
        f'<text x="{start + 166:g}" y="{y + 10:g}">{high}</text>',
    ]


def _words(
    grid: Array, layer: int, head: int, row: int, queries: Sequence[str], listed: Sequence[tuple[int, str, float]]
) -> str:
    rows = [[one_line(token), str(j), f"{weight:.4f}"] for j, token, weight in listed]
    sizes = zip(grid.shape, ("layer", "head", "query", "key"), ("layers", "heads", "queries", "keys"), strict=True)
    first = ", ".join(f"{n} {one if n == 1 else many}" for n, one, many in sizes) + "."
    second = f"Layer {layer}, head {head}, query {one_line(queries[row])} ({row}):"
    return "\n".join([first, second, table(["key", "position", "weight"], rows), *CAPTION])
