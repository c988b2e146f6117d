"""The comparison of two engines as text."""

from __future__ import annotations

from typing import Any

from .run import SHOWN, describe

__all__ = ["comparison"]


def comparison(left: dict[str, Any], right: dict[str, Any], *, every: int | None = None) -> str:
    """Counts, the loss of each update (or every n-th; some ten by default) in both engines, memory, speed and answers of two reports."""
    names = (left["engine"], right["engine"])
    lines = [f"{'':24}{names[0]:>16}{names[1]:>16}{'difference':>14}"]

    def row(label: str, a: float, b: float, form: str, difference: str = "") -> None:
        lines.append(f"{label:24}{a:>16{form}}{b:>16{form}}{difference:>14}")

    row("parameters", left["parameters"], right["parameters"], ",")
    row("trainable", left["trainable"], right["trainable"], ",")
    n = len(left["losses"])
    step = every or max(1, n // 10)
    shown = sorted({*range(0, n, step), n - 1})
    for i in shown:
        a, b = left["losses"][i], right["losses"][i]
        row(f"loss, update {i + 1}", a, b, ".6f", f"{abs(a - b):.1e}")
    for i in shown[:: 1 if every else max(1, len(shown) // 3)]:
        a, b = left["grad_norms"][i], right["grad_norms"][i]
        row(f"grad norm, update {i + 1}", a, b, ".6f", f"{abs(a - b):.1e}")
    worst = max(abs(a - b) for a, b in zip(left["losses"], right["losses"], strict=True))
    lines.append(f"largest difference of a loss over {n} updates: {worst:.1e}")
    for label, key in (("held-out loss, before", "before"), ("held-out loss, after", "after")):
        a, b = left[key]["loss"], right[key]["loss"]
        row(label, a, b, ".6f", f"{abs(a - b):.1e}")
    row("held-out loss, merged", left["merged_loss"], right["merged_loss"], ".6f")
    for label, a, b, form in (
        ("seconds an update", left["seconds"] / n, right["seconds"] / n, ".3f"),
        ("processor s an update", left["processor_seconds"] / n, right["processor_seconds"] / n, ".3f"),
        ("tokens a second", left["tokens_per_second"], right["tokens_per_second"], ",.0f"),
        ("decoded a second", left["decoded_per_second"], right["decoded_per_second"], ",.1f"),
        ("peak memory, MB", left["peak_memory_mb"], right["peak_memory_mb"], ",.0f"),
    ):
        row(label, a, b, form, f"× {b / a:.2f}" if a else "")
    for report in (left, right):
        lines.append(f"{report['engine']}: before {describe(report['before'])}")
        lines.append(f"{report['engine']}: after  {describe(report['after'])}")
    for i, question in enumerate(SHOWN):
        lines.append(f"? {question}")
        lines.append(f"  before:     {left['before']['answers'][i].strip()}")
        lines += [f"  {r['engine'] + ':':12}{r['after']['answers'][i].strip()}" for r in (left, right)]
    return "\n".join(lines)
