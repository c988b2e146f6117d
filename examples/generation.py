"""Writing with a language model: greedy, sampled, and beam search, with and without the key-value cache.

Run: python examples/generation.py

The model is random, so what it writes means nothing; how it is chosen is the point.
"""

from __future__ import annotations

import time

import numpy as np

from claimsformer.transformer import Generation, Transformer, TransformerConfig, generate

PROMPTS = [[3, 14, 15], [9]]  # of different lengths: the shorter one is padded on the left


def show(title: str, result: Generation) -> None:
    print(f"\n{title}")
    for ids, log_prob in zip(result.sequences(), result.log_probs, strict=True):
        print(f"  log-probability {log_prob:>8.3f}   {' '.join(map(str, ids))}")


def main() -> dict[str, Generation]:
    config = TransformerConfig(
        vocab_size=30, d_model=64, n_layers=4, n_heads=4, position="rotary", init_std=0.08, eos_id=0
    )
    model = Transformer(config, seed=1)
    results = {
        "greedy": generate(model, PROMPTS, max_new_tokens=16),
        "sampled": generate(model, PROMPTS, max_new_tokens=16, temperature=1.0, seed=7),
        "colder, from the likeliest 90 %": generate(
            model, PROMPTS, max_new_tokens=16, temperature=0.6, top_p=0.9, seed=7
        ),
        "beam": generate(model, PROMPTS, max_new_tokens=16, n_beams=8, length_penalty=0.0),
    }
    for title, result in results.items():
        show(title, result)
    print("\nBeam search finds sequences at least as likely as greedy here; sampling gives up likelihood for variety.")

    for use_cache in (True, False):
        start = time.perf_counter()
        result = generate(model, PROMPTS, max_new_tokens=150, use_cache=use_cache)
        seconds = time.perf_counter() - start
        print(f"{result.ids.size} tokens {'with' if use_cache else 'without'} cache: {seconds:.2f} s")
        results[f"cache {use_cache}"] = result
    same = np.array_equal(results["cache True"].ids, results["cache False"].ids)
    print(f"the same tokens: {same}")
    return results


if __name__ == "__main__":
    main()
