"""Training curves and gradient flow as SVG, without matplotlib.

Lines differ in colour and in dash and carry their name at their end, so no chart depends on colour.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .axes import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Scale, fit, grid, number, polyline
from .chartframe import LINES, document, flag
from .heatmap import attention, flow
from .metrics import one_line, width
from .palette import Theme
from .picture import Picture, table
from .svg import text

__all__ = ["attention", "gradient_flow", "training_curves"]

_MAX_LINES = len(LINES)


def training_curves(
    history: Mapping[str, Sequence[float]] | Sequence[Mapping[str, float]],
    *,
    x: str | None = None,
    keys: Sequence[str] | None = None,
    log: bool = False,
    title: str = "Training",
    y: str = "value",
    theme: Theme = "auto",
) -> Picture:
    """Lines of a training history: columns (`{"loss": [...]}`) or rows (`[{"step": 1, "loss": ...}]`), missing values
    allowed.

    `x` names the column along the bottom (default: "step", "epoch", else the row number); `keys` choose the lines
    (default: every number that is not `x`, at most seven), and `y` names what they measure. The best value is marked: the least of a loss or error, the
    largest of a score. Raises `ValueError` when nothing is left to draw.
    """
    columns = _columns(history)
    along = x or next((name for name in ("step", "epoch", "iter") if name in columns), None)
    if x is not None and x not in columns:
        raise ValueError(f"x={x!r} is not in the history; it has {sorted(columns)}")
    chosen = list(keys) if keys is not None else [key for key in columns if key != along][:_MAX_LINES]
    unknown = [key for key in chosen if key not in columns]
    if unknown or not chosen or len(chosen) > _MAX_LINES:
        raise ValueError(f"keys must be 1 to {_MAX_LINES} of {sorted(columns)}, got {chosen}")
    length = max(len(columns[key]) for key in chosen)
    xs = list(columns[along]) if along is not None else [float(i) for i in range(length)]
    lines = {key: columns[key] for key in chosen}
    return _lines(title, xs, lines, along or "row", y, log, theme)


def gradient_flow(
    norms: Mapping[str, float | Sequence[float]] | Any,
    *,
    steps: Sequence[float] | None = None,
    title: str = "Gradient flow",
    theme: Theme = "auto",
) -> Picture:
    """Gradient norm of each layer, on a logarithmic scale: bars for one number a layer, a heat map for a series over
    time.

    `norms` maps layer names, in order from input to output, to a norm or to one norm a step; or it is a module after
    `backward()`, for the norms of its parameters' gradients. `steps` numbers the columns of the heat map. Norms below 1e-7 are flagged as vanishing, those above 1e3 as exploding, and those that are
    not finite by name. Raises `ValueError` for an empty mapping, a module without gradients, or series of
    unequal length.
    """
    if hasattr(norms, "named_parameters"):
        norms = _norms(norms)
    if not norms:
        raise ValueError("gradient_flow needs at least one layer: got an empty mapping")
    series = {name: np.atleast_1d(np.asarray(value, dtype=np.float64)) for name, value in norms.items()}
    lengths = {len(values) for values in series.values()}
    if len(lengths) > 1:
        raise ValueError(f"all layers need the same number of steps, got lengths {sorted(lengths)}")
    if lengths == {1}:
        return _bars(title, {name: float(values[0]) for name, values in series.items()}, theme)
    return flow(title, series, steps, theme)


def _norms(module: Any) -> dict[str, float]:
    norms = {
        name: float(np.linalg.norm(np.asarray(p.grad._data, dtype=np.float64)))
        for name, p in module.named_parameters()
        if p.grad is not None
    }
    if not norms:
        raise ValueError("no parameter of this module has a gradient: call backward() first")
    return norms


def _columns(history: Any) -> dict[str, list[float]]:
    if isinstance(history, Mapping):
        columns = {str(key): [_number(v) for v in values] for key, values in history.items() if _is_series(values)}
    else:
        rows = [dict(row) for row in history]
        names = dict.fromkeys(key for row in rows for key, value in row.items() if isinstance(value, int | float))
        columns = {str(name): [_number(row.get(name)) for row in rows] for name in names}
    if not columns:
        raise ValueError("the history holds no series of numbers")
    return columns


def _is_series(values: Any) -> bool:
    return not isinstance(values, str) and hasattr(values, "__len__")


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float | np.number) else math.nan


def _lines(
    title: str,
    xs: Sequence[float],
    lines: Mapping[str, Sequence[float]],
    x_name: str,
    y_name: str,
    log: bool,
    theme: Theme,
) -> Picture:
    names = max(width(one_line(name), 11.0) for name in lines) + 26.0
    wide = WIDTH + names
    x = fit(xs, LEFT, WIDTH - RIGHT)
    y = fit([v for values in lines.values() for v in values], HEIGHT - BOTTOM, TOP, log)
    body = grid(x, y, x_name, y_name)
    ends: list[tuple[float, str, str]] = []
    rows = []
    for i, (name, values) in enumerate(lines.items()):
        known = [(a, b) for a, b in zip(xs, values, strict=False) if math.isfinite(b) and (b > 0 or not log)]
        if not known:
            rows.append([name, "no positive value" if log else "no finite value", "", "", ""])
            continue
        body.append(f'<path class="line l{i}" d="{polyline(*_unzip(known), x, y)}" fill="none"/>')
        best = _best(name, known)
        if best is not None:
            body.append(f'<circle class="dot l{i}" cx="{x(best[0]):.2f}" cy="{y(best[1]):.2f}" r="3.5"/>')
        ends.append((y(known[-1][1]), name, f"l{i}"))
        at_best = ["", ""] if best is None else [number(best[1]), number(best[0])]
        rows.append([name, number(known[0][1]), number(known[-1][1]), *at_best])
    body += _names_at_ends(ends, WIDTH - RIGHT + 6.0)
    words = table(["line", "first", "last", "best", f"at {x_name}"], rows)
    return Picture(
        title, document(title, words, body, wide, HEIGHT, theme), f"{one_line(title)}\n{words}\n", theme=theme
    )


def _best(name: str, points: Sequence[tuple[float, float]]) -> tuple[float, float] | None:
    lowered = name.lower()
    if any(word in lowered for word in ("loss", "error", "nll", "perplexity", "brier")):
        return min(points, key=lambda point: point[1])
    if any(word in lowered for word in ("acc", "auc", "f1", "precision", "recall", "r2", "score")):
        return max(points, key=lambda point: point[1])
    return None


def _unzip(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [a for a, _ in points], [b for _, b in points]


def _names_at_ends(ends: Sequence[tuple[float, str, str]], at: float) -> list[str]:
    """Names beside the last points, pushed apart so that none overlap."""
    out = []
    floor = TOP - 8.0
    ordered = sorted(ends)
    for k, (wish, name, css) in enumerate(ordered):
        room = HEIGHT - BOTTOM - 14.0 * (len(ordered) - k - 1)
        y = min(max(wish, floor + 14.0), max(room, floor + 14.0))
        floor = y
        out.append(f'<path class="line {css}" d="M{at:g} {y:.2f}h12" fill="none"/>')
        out.append(f'<text x="{at + 16:g}" y="{y + 4:.2f}">{text(name)}</text>')
    return out


def _bars(title: str, norms: Mapping[str, float], theme: Theme) -> Picture:
    label = min(max(width(one_line(name), 11.0) for name in norms) + 24.0, 320.0)
    row, top = 20.0, TOP
    high = top + row * len(norms) + BOTTOM
    finite = [v for v in norms.values() if math.isfinite(v) and v > 0]
    x = Scale(min(finite, default=1e-3) / 2, max(finite, default=1.0) * 2, label, label + 400.0, True)
    body = []
    for tick in x.ticks():
        body.append(f'<path class="grid" d="M{x(tick):.2f} {top:g}V{high - BOTTOM:g}" fill="none"/>')
        body.append(f'<text x="{x(tick):.2f}" y="{high - BOTTOM + 17:g}" text-anchor="middle">{number(tick)}</text>')
    rows = []
    for i, (name, norm) in enumerate(norms.items()):
        y = top + row * i
        word = flag(norm)
        end = x(norm) if math.isfinite(norm) and norm > 0 else label + 2.0
        css = "bar alarm" if word else "bar"
        body.append(f'<text x="{label - 8:g}" y="{y + 14:g}" text-anchor="end">{text(name)}</text>')
        body.append(f'<rect class="{css}" x="{label:g}" y="{y + 4:g}" width="{end - label:.2f}" height="12" rx="2"/>')
        shown = f"{number(norm)} {word}".strip()
        body.append(f'<text class="ink" x="{end + 6:.2f}" y="{y + 14:g}">{text(shown)}</text>')
        rows.append([name, number(norm), word])
    body.append(f'<text x="{label + 200:g}" y="{high - 6:g}" text-anchor="middle">gradient norm (logarithmic)</text>')
    words = table(["layer", "norm", ""], rows)
    return Picture(
        title, document(title, words, body, label + 520.0, high, theme), f"{one_line(title)}\n{words}\n", theme=theme
    )
