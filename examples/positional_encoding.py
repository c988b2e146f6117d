"""Positional encoding, plotted: waves of many lengths, and what a dot product of two positions tells.

Run: python examples/positional_encoding.py [folder for the SVG files]
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import tensorlite as tl
from claimsformer.transformer import RotaryEmbedding, sinusoidal
from tensorlite import viz

LENGTH, WIDTH = 100, 64


def waves(table: np.ndarray) -> dict[str, list[float]]:
    """A fast, a middle and two slow columns of the table: like the hands of a clock, each turns slower than the last."""
    return {"position": list(range(LENGTH))} | {f"dim {i}": table[:, i].tolist() for i in (0, 8, 16, 32)}


def closeness(table: np.ndarray) -> dict[str, list[float]]:
    """Dot products with positions 20 and 60, scaled to 1 for a position with itself: they fall off alike on both sides."""
    similar = table @ table.T / (WIDTH / 2)
    return {
        "position": list(range(LENGTH)),
        "with position 20": similar[20].tolist(),
        "with position 60": similar[60].tolist(),
    }


def rotary_scores(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Scores of one query and one key at all pairs of 12 positions, and the same pairs 1000 tokens later."""
    rng = np.random.default_rng(seed)
    rotary = RotaryEmbedding(WIDTH)
    q, k = (tl.tensor(np.broadcast_to(rng.normal(size=WIDTH), (1, 1, 12, WIDTH)).copy()) for _ in range(2))
    here, later = np.arange(12), np.arange(1000, 1012)
    first, second = ((rotary(q, p) @ rotary(k, p).transpose(-2, -1)).numpy()[0, 0] for p in (here, later))
    return first, second


def main(folder: str | Path = ".") -> list[Path]:
    table = sinusoidal(LENGTH, WIDTH)
    drawn = []
    for name, title, lines in (
        ("waves", "Sinusoidal encoding: four of its 64 dims", waves(table)),
        ("closeness", "How alike two positions are", closeness(table)),
    ):
        picture = viz.training_curves(lines, x="position", title=title)
        drawn.append(picture.save(Path(folder) / f"positional_encoding_{name}.svg"))
        print(f"wrote {drawn[-1]}")

    print("\nposition   dim 0    dim 1    dim 32   dim 33")
    for t in (0, 1, 2, 50):
        print(f"{t:>8}" + "".join(f"{table[t, i]:>9.3f}" for i in (0, 1, 32, 33)))

    first, second = rotary_scores()
    print("\nRotary: the score of a query and a key depends on their distance alone.")
    print(
        f"query 5, key 3: {first[5, 3]:.4f};  query 9, key 7: {first[9, 7]:.4f};  1000 tokens later: {second[5, 3]:.4f}"
    )
    return drawn


if __name__ == "__main__":
    main(*sys.argv[1:2])
