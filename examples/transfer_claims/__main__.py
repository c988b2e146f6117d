"""`python -m examples.transfer_claims`: how much a pretrained encoder is worth, at 100, 1,000 and 10,000 labelled claims.

Needs the SynPUF claims (CLAIMSFORMER_DATA) and MiniLM (claimsformer models fetch minilm). Each number of labels is drawn anew for
every seed; the test claims stay the same. What was measured is added to results.json, so that a run can be done in parts.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from claimsformer.assessment.metrics import auroc
from claimsformer.errors import ClaimsformerError, ConfigError, ReadError
from claimsformer.transformer.pretrained import fetch

from .claims import stays
from .methods import METHODS, Pretrained, Recipe, score

__all__ = ["main", "table"]

Result = dict[str, Any]
POOL, TEST = 30_000, 2_000


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is asked for and print the table of all that was measured; what cannot be done is said in a sentence."""
    options = _parser().parse_args(arguments)
    try:
        _measure(options)
    except (ClaimsformerError, OSError) as error:
        sys.exit(f"transfer_claims: {error}")


def _measure(options: argparse.Namespace) -> None:
    options.out.mkdir(parents=True, exist_ok=True)
    file = options.out / "results.json"
    results = _read(file) if file.exists() else []
    pool, test = stays(POOL, TEST)
    pretrained = Pretrained(fetch("minilm") if options.encoder is None else options.encoder)
    if max(options.labels) > len(pool):
        raise ConfigError(f"there are {len(pool):,} stays to take labels from, got --labels {max(options.labels):,}")
    done = {(r["method"], r["labels"], r["seed"]) for r in results}
    for method in options.methods:
        for n in [0] if method == "cosine" else options.labels:
            for seed in [0] if method == "cosine" else range(options.seeds):
                if (method, n, seed) in done:
                    continue
                rows = np.random.default_rng([seed, n]).permutation(len(pool))[: max(n, 1)]
                start = time.process_time()
                found = score(method, pool.take(rows), test, pretrained, seed, Recipe(), pool.reasons + pool.procedures)
                results.append(
                    {"method": method, "labels": n, "seed": seed, "auroc": auroc(test.mismatch, found.scores),
                     "trainable": found.trainable, "seconds": round(time.process_time() - start, 1)}
                )  # fmt: skip
                print(results[-1], flush=True)
                file.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(table(results))


def _read(file: Path) -> list[Result]:
    try:
        results = json.loads(file.read_text(encoding="utf-8"))
        [(r["method"], r["labels"], r["seed"], r["auroc"], r["trainable"]) for r in results]
    except (ValueError, TypeError, KeyError) as error:
        raise ReadError(f"{file} is damaged ({error})", hint="Remove it to measure anew.") from None
    return results  # type: ignore[no-any-return]


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {value}")
    return value


def table(results: Sequence[Result]) -> str:
    """AUROC by method and number of labels: mean ± standard deviation over the draws of labels, in Markdown."""
    sizes = sorted({r["labels"] for r in results} - {0})
    lines = ["| encoder | parameters that learn | " + " | ".join(f"{n:,} labels" for n in sizes) + " |"]
    lines.append("|---|---|" + "---|" * len(sizes))
    for method in METHODS:
        mine = [r for r in results if r["method"] == method]
        if not mine:
            continue
        if method == "cosine":
            cells = [f"{mine[0]['auroc']:.3f} (no labels)"] * len(sizes)
        else:
            cells = [_spread([r["auroc"] for r in mine if r["labels"] == n]) for n in sizes]
        learns = sorted({r["trainable"] for r in mine})
        lines.append(f"| {method} | {learns[-1]:,} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _spread(values: Sequence[float]) -> str:
    if not values:
        return "not run"
    spread = f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else ""
    return f"{np.mean(values):.3f}{spread} ({len(values)})"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m examples.transfer_claims", description=__doc__)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--labels", nargs="+", type=_count, default=[100, 1000, 10_000])
    parser.add_argument(
        "--seeds", type=_count, default=3, help="draws of labels for each number of them; default %(default)s"
    )
    parser.add_argument("--encoder", type=Path, help="a folder with another BERT-like encoder instead of MiniLM")
    parser.add_argument(
        "--out", type=Path, default=Path("runs/transfer_claims"), help="where results.json is; default %(default)s"
    )
    return parser


if __name__ == "__main__":
    main()
