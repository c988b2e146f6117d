"""Attention on three tokens, every number printed: scores, weights, and the mixture that comes out.

Run: python examples/attention_on_three_tokens.py

Three words of a prescription, each a vector of two numbers chosen by hand so that all of it can be checked on paper.
The first number says "is a drug", the second "is a disease".
"""

from __future__ import annotations

import numpy as np

import tensorlite as tl
from claimsformer.transformer import causal_mask, scaled_dot_product_attention
from tensorlite.nn import functional as F

TOKENS = ["metformin", "for", "diabetes"]
#            drug, disease
VECTORS = [[2.0, 0.0], [0.0, 0.0], [0.0, 2.0]]
#: What each token asks for: the drug looks for a disease, the disease for a drug, "for" for nothing.
QUERIES = [[0.0, 2.0], [0.0, 0.0], [2.0, 0.0]]


def table(title: str, numbers: np.ndarray, columns: list[str]) -> None:
    print(f"\n{title}")
    print(" " * 11 + "".join(f"{c:>11}" for c in columns))
    for token, row in zip(TOKENS, numbers, strict=True):
        print(f"{token:>11}" + "".join(f"{v:>11.3f}" for v in row))


def main() -> dict[str, np.ndarray]:
    query = tl.tensor([[QUERIES]])  # (B, H, T, d) = (1, 1, 3, 2)
    key = value = tl.tensor([[VECTORS]])

    scores = query @ key.transpose(-2, -1)  # (1, 1, 3, 3): one number for each pair
    table(
        "1. scores = query · key: how well does each key (column) fit each query (row)?", scores.numpy()[0, 0], TOKENS
    )

    scaled = scores / 2**0.5
    table(
        "2. divided by √d = √2, so that wide vectors do not make softmax all or nothing", scaled.numpy()[0, 0], TOKENS
    )

    weights = F.softmax(scaled, -1)
    table("3. weights = softmax of each row: positive, and each row sums to 1", weights.numpy()[0, 0], TOKENS)

    out = weights @ value
    table("4. out = weights @ value: each token, mixed from what it looked at", out.numpy()[0, 0], ["drug", "disease"])
    print(
        '\n"metformin" now carries a disease, and "diabetes" a drug: each has read the other. "for" asked for nothing'
    )
    print("and got the mean of all.")

    fused = F.scaled_dot_product_attention(query, key, value)
    defined, _ = scaled_dot_product_attention(query, key, value)
    gap = max(float((fused - out).abs().max()), float((defined - out).abs().max()))
    print(f"\nThe same from the library, largest difference: {gap:.1e}")

    mask = tl.tensor(causal_mask(3, 3))
    _, causal = scaled_dot_product_attention(query, key, value, mask)
    table(
        "5. with a causal mask nobody sees what comes later (a model that writes must not)",
        causal.numpy()[0, 0],
        TOKENS,
    )
    return {
        "scores": scores.numpy()[0, 0],
        "weights": weights.numpy()[0, 0],
        "out": out.numpy()[0, 0],
        "causal": causal.numpy()[0, 0],
    }


if __name__ == "__main__":
    main()
