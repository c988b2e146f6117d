"""A pair of axes with round ticks, for line charts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .svg import text

WIDTH, HEIGHT = 640.0, 300.0
LEFT, RIGHT, TOP, BOTTOM = 64.0, 18.0, 44.0, 40.0


@dataclass(frozen=True, slots=True)
class Scale:
    """Numbers to pixels, linear or logarithmic."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        low, high = self.low, self.high
        if self.logarithmic:
            low, high, value = math.log10(low), math.log10(high), math.log10(value)
        return self.start + (value - low) / (high - low) * (self.end - self.start)

    def ticks(self, wanted: int = 5) -> list[float]:
        if self.logarithmic:
            first, last = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
            stride = max(1, -(-(last - first) // wanted))
            return [10.0**k for k in range(first, last + 1, stride)]
        raw = (self.high - self.low) / wanted
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * 0.999)
        first = math.ceil(self.low / step - 1e-9)
        count = math.floor((self.high - self.low) / step + 1e-9) + 2
        return [k * step for k in range(first, first + count) if k * step <= self.high + step * 1e-9]


def fit(values: Sequence[float], start: float, end: float, logarithmic: bool = False) -> Scale:
    """A scale around all finite `values` (all positive ones, if logarithmic)."""
    kept = [v for v in values if math.isfinite(v) and (v > 0 or not logarithmic)]
    low, high = min(kept, default=1.0 if logarithmic else 0.0), max(kept, default=1.0)
    if logarithmic:
        return Scale(low / 1.3, high * 1.3, start, end, True)
    pad = (high - low) * 0.05 or abs(high) * 0.1 or 1.0
    return Scale(low - pad, high + pad, start, end)


def number(value: float) -> str:
    return f"{value:.4g}".replace("e-0", "e-").replace("e+0", "e+")


def grid(x: Scale, y: Scale, x_name: str, y_name: str) -> list[str]:
    """Grid lines, tick labels and axis names."""
    out = []
    for tick in y.ticks():
        at = round(y(tick), 2)
        out.append(f'<path class="grid" d="M{min(x.start, x.end):g} {at:g}H{max(x.start, x.end):g}" fill="none"/>')
        out.append(f'<text x="{x.start - 8:g}" y="{at + 4:g}" text-anchor="end">{number(tick)}</text>')
    for tick in x.ticks(7):
        at = round(x(tick), 2)
        out.append(f'<path class="grid" d="M{at:g} {y.start:g}v4" fill="none"/>')
        out.append(f'<text x="{at:g}" y="{y.start + 17:g}" text-anchor="middle">{number(tick)}</text>')
    out.append(f'<text x="{(x.start + x.end) / 2:g}" y="{y.start + 33:g}" text-anchor="middle">{text(x_name)}</text>')
    middle = (y.start + y.end) / 2
    out.append(f'<text transform="translate(14 {middle:g}) rotate(-90)" text-anchor="middle">{text(y_name)}</text>')
    return out


def polyline(xs: Sequence[float], ys: Sequence[float], x: Scale, y: Scale) -> str:
    """Path data; a gap where a value cannot be drawn."""
    parts, pen = [], "M"
    for a, b in zip(xs, ys, strict=True):
        if not math.isfinite(b) or (y.logarithmic and b <= 0):
            pen = "M"
            continue
        parts.append(f"{pen}{round(x(a), 2):g} {round(y(b), 2):g}")
        pen = "L"
    return "".join(parts)
