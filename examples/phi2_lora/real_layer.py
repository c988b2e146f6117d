"""One layer of Phi-2 in its real size (78,671,360 parameters, random), in both libraries: difference of the output, and times.

`python -m examples.phi2_lora.real_layer`; needs about 1 GB of memory.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import transformers
from transformers.models.phi.modeling_phi import PhiDecoderLayer, PhiRotaryEmbedding

import tensorlite as tl
from claimsformer.transformer.hugging_face import config_from_hugging_face, weights_from_hugging_face
from claimsformer.transformer.layers import EncoderLayer, Visibility
from claimsformer.transformer.positional_encoding import RotaryEmbedding

__all__ = ["compare"]


def phi2_config() -> Any:
    """Phi-2's configuration."""
    return transformers.PhiConfig(
        vocab_size=51200,
        hidden_size=2560,
        intermediate_size=10240,
        num_hidden_layers=32,
        num_attention_heads=32,
        partial_rotary_factor=0.4,  # type: ignore[call-arg]
        max_position_embeddings=2048,
    )


def best(function: Callable[[], Any], repeats: int) -> tuple[float, float]:
    """The shortest time by the clock and on the processor, in seconds."""
    clock, processor = [], []
    for _ in range(repeats):
        start, used = time.perf_counter(), time.process_time()
        function()
        clock.append(time.perf_counter() - start)
        processor.append(time.process_time() - used)
    return min(clock), min(processor)


@torch.no_grad()
def compare(lengths: tuple[int, ...] = (1, 32, 128), repeats: int = 5) -> list[dict[str, float]]:
    """For each number of tokens: the largest difference of the output, and the best times of both."""
    config = phi2_config()
    torch.manual_seed(0)
    theirs = PhiDecoderLayer(config, 0).eval()
    rotary = PhiRotaryEmbedding(config)
    shape = config_from_hugging_face(config.to_dict())
    prefix = "model.layers.0."
    arrays = weights_from_hugging_face({prefix + n: t.numpy() for n, t in theirs.state_dict().items()}, "phi")
    mine = EncoderLayer(shape).eval()
    mine.load_state_dict({n.removeprefix("decoder.layers.0."): a for n, a in arrays.items()})
    turn = RotaryEmbedding(shape.rotary_dim, shape.rotary_base)
    rows = []
    for length in lengths:
        x = np.random.default_rng(length).standard_normal((1, length, shape.d_model)).astype(np.float32)
        x_torch, x_mine = torch.from_numpy(x), tl.from_numpy(x)
        places = torch.arange(length)[None]
        angles = rotary(x_torch, places)
        tables = turn.tables(np.arange(length), np.dtype(np.float32))
        mask = torch.full((length, length), float("-inf")).triu(1)[None, None]

        def in_torch(x: Any = x_torch, mask: Any = mask, angles: Any = angles) -> Any:
            out = theirs(x, attention_mask=mask, position_embeddings=angles)
            return out[0] if isinstance(out, tuple) else out

        def in_tensorlite(x: Any = x_mine, tables: Any = tables) -> Any:
            with tl.no_grad():
                return mine(x, Visibility(None, True), tables)

        gap = float(np.abs(in_torch().numpy() - in_tensorlite().numpy()).max())
        (torch_clock, torch_cpu), (clock, cpu) = best(in_torch, repeats), best(in_tensorlite, repeats)
        rows.append(
            {"tokens": length, "difference": gap, "torch_ms": torch_clock * 1e3, "tensorlite_ms": clock * 1e3}
            | {"torch_processor_ms": torch_cpu * 1e3, "tensorlite_processor_ms": cpu * 1e3}
        )
    return rows


def main() -> None:
    """Print the table."""
    argparse.ArgumentParser(prog="python -m examples.phi2_lora.real_layer", description=__doc__).parse_args()
    rows = compare()
    print(" ".join(f"{name:>24}" for name in rows[0]))
    for row in rows:
        print(" ".join(f"{value:>24.4g}" for value in row.values()))


if __name__ == "__main__":
    main()
