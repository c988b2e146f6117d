"""Train a small decoder to find one token, then look where its heads looked and what its answer depends on.

Run: python examples/looking_inside.py [folder for the HTML page]

Each sequence holds eight random tokens and then a question, "what was at place k?". The answer depends on one token and
on the question, and on nothing else: so here we know the truth that attention and occlusion have to be held against.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

import tensorlite as tl
from claimsformer.transformer import Transformer, TransformerConfig
from claimsformer.transformer.inspection import (
    attention_maps,
    attention_page,
    attention_text,
    occlusion,
    score_of_tokens,
)
from tensorlite import optim
from tensorlite.nn import functional as F

PLACES, LETTERS = 8, 10  # ids 0..9 are letters, 10..17 ask for place 0..7


def batch(rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Ids `(B, 9)` and answers `(B,)`."""
    letters = rng.integers(0, LETTERS, (size, PLACES))
    place = rng.integers(0, PLACES, size)
    return np.concatenate([letters, LETTERS + place[:, None]], 1), letters[np.arange(size), place]


def train(steps: int, seed: int = 0) -> Transformer:
    config = TransformerConfig(
        vocab_size=LETTERS + PLACES, d_model=32, n_layers=2, n_heads=2, max_length=PLACES + 1, tie_weights=False
    )
    model, rng = Transformer(config, seed=seed), np.random.default_rng(seed)
    optimizer = optim.AdamW(model.parameters(), lr=3e-3)
    for step in range(1, steps + 1):
        ids, answers = batch(rng, 128)
        loss = F.cross_entropy(model(ids)[:, -1], tl.tensor(answers))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % (steps // 5) == 0:
            print(f"step {step:>4}  loss {loss.item():.4f}")
    return model.eval()


def main(folder: str | Path = ".", steps: int = 200) -> dict[str, Any]:
    model = train(steps)
    ids, answers = batch(np.random.default_rng(99), 500)
    with tl.no_grad():
        accuracy = float((model(ids).numpy()[:, -1].argmax(-1) == answers).mean())
    print(f"right answers on new sequences: {accuracy:.1%}\n")

    row, answer = ids[0], int(answers[0])
    place = int(row[-1]) - LETTERS
    tokens = [chr(ord("a") + i) for i in row[:-1]] + [f"place {place}?"]
    weights = attention_maps(model, row[None]).decoder
    assert weights is not None
    lost = occlusion(score_of_tokens(model, row, answer), np.ones(len(row)))
    print(f"The tokens are {' '.join(tokens)}; the answer is {chr(ord('a') + answer)!r}.")
    for layer in range(2):
        for head in range(2):
            print(f"\nlayer {layer}, head {head}, the question's row:")
            print(attention_text(weights[layer, 0, head], tokens, row=-1))
    print("\nWhat log p(answer) loses when a token is hidden from attention (the question still knows itself):")
    for token, value in zip(tokens, lost, strict=True):
        print(f"  {token:>9} {round(float(value), 3) + 0.0:>8.3f}")

    page = attention_page(weights[:, 0], tokens, lost, output=f"log p({chr(ord('a') + answer)})", row=len(row) - 1)
    path = page.save(Path(folder) / "looking_inside.html")
    print(f"\nwrote {path}")
    return {"accuracy": accuracy, "place": place, "occlusion": lost, "weights": weights, "page": path}


if __name__ == "__main__":
    main(*sys.argv[1:2])
