"""What is about to be trained, in a few lines."""

from __future__ import annotations

from tensorlite import nn

from .parameters import count_parameters

__all__ = ["summarize"]


def summarize(model: nn.Module) -> str:
    """A table of the model's parts with their parameters, those that learn, and the memory of the weights."""
    rows = [("part", "type", "parameters", "learning")]
    for name, child in model.named_children():
        count = count_parameters(child)
        if count.total:
            rows.append((name, type(child).__name__, f"{count.total:,}", f"{count.trainable:,}"))
    whole = count_parameters(model)
    rows.append(("all, shared ones once", type(model).__name__, f"{whole.total:,}", f"{whole.trainable:,}"))
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    lines = [f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:>{widths[2]}}  {d:>{widths[3]}}".rstrip() for a, b, c, d in rows]
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    # a gradient and two moments beside each parameter that learns
    learning = sum(3 * p.numel() * p.element_size() for p in model.parameters() if p.requires_grad)
    return "\n".join([*lines, f"weights {_size(weights)}, gradients and Adam's moments {_size(learning)}"])


def _size(n: int) -> str:
    return f"{n / 2**20:,.1f} MiB" if n >= 2**20 else f"{n / 2**10:,.1f} KiB"
