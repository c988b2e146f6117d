"""Speed of the text tokenizer against Hugging Face's `tokenizers` on the same text, one thread each, and what texts cost.

    python -m tests.claimsformer.tokenizer.benchmark_text [FILE ...] [--gpt2 FOLDER]

Without files it reads generated notes. Prints characters a second and their ratio, and tokens per claim and per word on
texts that were not trained on; beside GPT-2's with `--gpt2`, a folder with its `vocab.bpe` and `encoder.json` (or
`merges.txt` and `vocab.json`). Not a test, since a ratio is a measurement.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ["RAYON_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

from tokenizers import Tokenizer

from claimsformer.tokenizer.text import DEFAULT_DRUGS, TextTokenizer, coverage_table


def notes(count: int) -> list[str]:
    """Generated claim notes: codes, drugs, doses, money, dates."""
    rng = random.Random(0)
    return [
        f"Claim 2024-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}: ICD-10 "
        f"{rng.choice('EIJMN')}{rng.randint(10, 99)}.{rng.randint(0, 9)}, CPT {rng.randint(10000, 99999)}-25, "
        f"J{rng.randint(1000, 3490)}; {rng.choice(DEFAULT_DRUGS)} {rng.choice([5, 25, 500])} mg twice daily "
        f"for {rng.randint(1, 90)} days, BP {rng.randint(90, 180)}/{rng.randint(50, 110)} mmHg, "
        f"charged ${rng.randint(1, 9)},{rng.randint(100, 999)}.{rng.randint(10, 99)}."
        for _ in range(count)
    ]


def seconds(encode: Callable[[], object]) -> float:
    """CPU seconds of one call, all threads together: what others do on the machine counts less than by the clock."""
    start = time.process_time()
    encode()
    return time.process_time() - start


def compare(ours: Callable[[], object], theirs: Callable[[], object], pairs: int = 7) -> tuple[float, float]:
    """Median seconds of ours, and the median ratio of speeds of calls in turn."""
    found = [(seconds(ours), seconds(theirs)) for _ in range(pairs)]
    return statistics.median(a for a, _ in found), statistics.median(b / a for a, b in found)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, help="texts, one a line")
    parser.add_argument("--gpt2", type=Path, metavar="FOLDER", help="GPT-2's tokenizer")
    arguments = parser.parse_args()
    read = [path.read_text(encoding="utf-8", errors="replace") for path in arguments.files]
    texts = [line + "\n" for text in read for line in text.split("\n")] or notes(20_000)
    characters = sum(map(len, texts))
    shuffled = random.Random(1).sample(texts, len(texts))
    held_out, sample = shuffled[: max(1, len(texts) // 20)], shuffled[-min(len(texts), 8_000) :]
    medical = TextTokenizer.train(sample, 8_000)
    plain = TextTokenizer.train(sample, 8_000, medical=False)
    with tempfile.TemporaryDirectory() as folder:
        theirs = Tokenizer.from_file(str(plain.save_huggingface(folder)))
    first = seconds(lambda: plain.encode_batch(texts))
    encoded = theirs.encode_batch(texts)
    assert all(a.tolist() == b.ids for a, b in zip(plain.encode_batch(texts), encoded, strict=True))
    del encoded

    def reference() -> object:
        return theirs.encode_batch(texts)

    reference_s = statistics.median(seconds(reference) for _ in range(3))
    rows = {
        "byte-level BPE": compare(lambda: plain.encode_batch(texts), reference),
        "medical units": compare(lambda: medical.encode_batch(texts), reference),
        "  with offsets": compare(lambda: medical(texts, return_offsets_mapping=True), reference),
    }
    print(f"{characters:,} characters in {len(texts):,} texts; equal ids for byte-level BPE; CPU time, one thread")
    print(f"tokenizers            {characters / reference_s / 1e6:6.2f} M characters/s")
    print(f"byte-level BPE, first {characters / first / 1e6:6.2f} M characters/s, ratio {reference_s / first:.2f}")
    for name, (taken, ratio) in rows.items():
        print(f"{name:21} {characters / taken / 1e6:6.2f} M characters/s, ratio {ratio:.2f}")
    encoders = {
        f"medical units, {medical.vocab_size:,} tokens": medical.encode,
        f"byte-level BPE, {plain.vocab_size:,} tokens": plain.encode,
    }
    if arguments.gpt2 is not None:
        gpt2 = TextTokenizer.from_pretrained(arguments.gpt2)
        encoders[f"GPT-2, {gpt2.vocab_size:,} tokens"] = gpt2.encode
    print(f"\n{len(held_out):,} texts that were not trained on:\n{coverage_table(encoders, held_out)}")


if __name__ == "__main__":
    main()
