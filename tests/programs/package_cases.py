"""Trainings with packages written for torch; the same file runs on torch and, through `tensorlite.compat`, on tensorlite.

python package_cases.py FOLDER write case...   # first: the losses, and the weights every model started from
python -m tensorlite.compat package_cases.py FOLDER read case...   # then: the losses from the same weights
"""

from __future__ import annotations

import importlib.util
import json
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

STEPS = 10
CASES: dict[str, Callable[..., Iterator[float]]] = {}


def case(function: Callable[..., Iterator[float]]) -> Callable[..., Iterator[float]]:
    """A function of `same`, which gives a module the weights of the first run; it yields numbers to compare."""
    CASES[function.__name__] = function
    return function


def numbers(seed: int, *shape: int) -> Any:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


def tokens(seed: int, high: int, *shape: int) -> Any:
    return torch.from_numpy(np.random.default_rng(seed).integers(0, high, shape))


def train(model: nn.Module, optimizer: Any, loss_of: Callable[[int], Any], steps: int = STEPS) -> Iterator[float]:
    model.train()
    for step in range(steps):
        optimizer.zero_grad()
        loss = loss_of(step)
        loss.backward()
        optimizer.step()
        yield loss.item()


@case
def lion_pytorch(same: Callable[[nn.Module], nn.Module]) -> Iterator[float]:
    from lion_pytorch import Lion

    model = same(nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 4)))
    x, y = numbers(0, 32, 8), tokens(1, 4, 32)
    for decoupled in (False, True):
        optimizer = Lion(model.parameters(), lr=1e-3, weight_decay=1e-2, decoupled_weight_decay=decoupled)
        yield from train(model, optimizer, lambda _: F.cross_entropy(model(x), y))


@case
def rotary_embedding_torch(same: Callable[[nn.Module], nn.Module]) -> Iterator[float]:
    from rotary_embedding_torch import RotaryEmbedding, apply_rotary_emb

    class Attention(nn.Module):
        def __init__(self, **options: Any) -> None:
            super().__init__()
            self.to_qkv = nn.Linear(32, 96, bias=False)
            self.rotary = RotaryEmbedding(dim=8, **options)

        def forward(self, x: Any) -> Any:
            q, k, v = self.to_qkv(x).view(2, 12, 3, 2, 16).permute(2, 0, 3, 1, 4)
            if self.rotary.use_xpos:
                q, k = self.rotary.rotate_queries_and_keys(q, k)
            else:
                q, k = (self.rotary.rotate_queries_or_keys(t) for t in (q, k))
            return F.scaled_dot_product_attention(q, k, v, is_causal=True)

    x, y = numbers(0, 2, 12, 32), numbers(1, 2, 2, 12, 16)
    for options in ({}, {"use_xpos": True}, {"learned_freq": True}, {"interpolate_factor": 2.0}):
        model = same(Attention(**options))
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
        yield from train(model, optimizer, lambda _, model=model: F.mse_loss(model(x), y))
    axial = RotaryEmbedding(dim=8, freqs_for="pixel", max_freq=10)
    freqs = axial.get_axial_freqs(4, 6)
    yield apply_rotary_emb(freqs, numbers(2, 1, 4, 6, 16)).square().mean().item()


@case
def loralib(same: Callable[[nn.Module], nn.Module]) -> Iterator[float]:
    import loralib as lora

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = lora.Embedding(20, 12, r=2)
            self.qkv = lora.MergedLinear(12, 36, r=4, lora_alpha=8, enable_lora=[True, False, True])
            self.conv = lora.Conv2d(1, 3, kernel_size=3, r=2, lora_alpha=4)
            self.out = lora.Linear(36 + 3 * 4 * 10, 5, r=3, lora_alpha=6)

        def forward(self, ids: Any) -> Any:
            h = self.embedding(ids)  # (B, 6, 12)
            maps = self.conv(h.unsqueeze(1)).flatten(1)
            return self.out(torch.cat([self.qkv(h).mean(1), maps], dim=-1))

    model = same(Model())
    lora.mark_only_lora_as_trainable(model, bias="lora_only")
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    ids, y = tokens(0, 20, 8, 6), tokens(1, 5, 8)
    yield from train(model, optimizer, lambda _: F.cross_entropy(model(ids), y))
    model.eval()  # merges the two factors into the weights
    yield F.cross_entropy(model(ids), y).item()
    yield from (float(v.double().square().sum()) for v in lora.lora_state_dict(model).values())


@case
def einops(same: Callable[[nn.Module], nn.Module]) -> Iterator[float]:
    from einops import einsum, pack, rearrange, reduce, repeat
    from einops.layers.torch import EinMix, Rearrange, Reduce

    model = same(
        nn.Sequential(
            Rearrange("b (h p) (w q) c -> b h w (p q c)", p=2, q=2),
            EinMix("b h w c -> b h w d", weight_shape="c d", bias_shape="d", c=12, d=8),
            nn.GELU(),
            Reduce("b h w d -> b d", "mean"),
            nn.Linear(8, 3),
        )
    )
    x, y = numbers(0, 16, 6, 8, 3), tokens(1, 3, 16)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    yield from train(model, optimizer, lambda _: F.cross_entropy(model(x), y))
    packed, _ = pack([x, repeat(reduce(x, "b h w c -> b c", "max"), "b c -> b r c", r=2)], "b * c")
    yield einsum(rearrange(packed, "b n c -> n b c"), packed, "n b c, b m c -> n m").square().mean().item()


@case
def x_transformers(same: Callable[[nn.Module], nn.Module]) -> Iterator[float]:
    from x_transformers import AutoregressiveWrapper, Decoder, Encoder, TransformerWrapper, XTransformer

    layers = Decoder(
        dim=32, depth=2, heads=2, attn_dim_head=32, rotary_pos_emb=True, use_rmsnorm=True, ff_swish=True, ff_glu=True
    )
    decoder = same(AutoregressiveWrapper(TransformerWrapper(num_tokens=24, max_seq_len=16, attn_layers=layers)))
    optimizer = torch.optim.AdamW(decoder.parameters(), lr=3e-3)
    yield from train(decoder, optimizer, lambda step: decoder(tokens(step, 24, 4, 17)))
    decoder.eval()
    prompt = tokens(99, 24, 2, 3)
    for cache in (True, False):  # greedy
        yield from decoder.generate(prompt, 8, temperature=0.0, cache_kv=cache).flatten().tolist()

    encoder = same(
        TransformerWrapper(
            num_tokens=24, max_seq_len=16, attn_layers=Encoder(dim=32, depth=2, heads=4, alibi_pos_bias=True)
        )
    )
    optimizer = torch.optim.Adam(encoder.parameters(), lr=1e-3)
    ids, mask = tokens(5, 24, 4, 16), torch.arange(16) < torch.tensor([[16], [9], [4], [1]])
    yield from train(encoder, optimizer, lambda _: F.cross_entropy(encoder(ids, mask=mask)[mask], ids[mask]))

    sizes: dict[str, Any] = {
        f"{s}_{k}": v
        for s in ("enc", "dec")
        for k, v in {"num_tokens": 24, "depth": 1, "heads": 2, "max_seq_len": 12}.items()
    }
    pair = same(XTransformer(dim=32, tie_token_emb=True, **sizes))
    optimizer = torch.optim.Adam(pair.parameters(), lr=1e-3)
    yield from train(pair, optimizer, lambda step: pair(tokens(step, 24, 2, 12), tokens(step + 50, 24, 2, 12)))


#: Settings of x-transformers, one training step each.
LAYERS: tuple[dict[str, Any], ...] = (
    {"rotary_xpos": True, "attn_kv_heads": 1},
    {"alibi_pos_bias": True, "attn_flash": True},
    {"rel_pos_bias": True, "attn_qk_norm": True, "sandwich_norm": True},
    {"dynamic_pos_bias": True, "residual_attn": True, "pre_norm": False},
    {"macaron": True, "ff_relu_squared": True, "shift_tokens": 1, "gate_residual": True},
    {"attn_sparse_topk": 3, "attn_num_mem_kv": 2, "attn_gate_values": True, "use_scalenorm": True},
    {"attn_selective": True, "use_layerscale": True, "use_dynamic_tanh": True},
    {"num_residual_streams": 2, "add_value_residual": True, "attn_softclamp_logits": True},
)


@case
def x_transformers_settings(same: Callable[[nn.Module], nn.Module]) -> Iterator[float]:
    from x_transformers import AutoregressiveWrapper, Decoder, TransformerWrapper

    ids = tokens(0, 24, 2, 13)
    for options in LAYERS:
        layers = Decoder(dim=16, depth=2, heads=2, attn_dim_head=8, **options)
        model = same(AutoregressiveWrapper(TransformerWrapper(num_tokens=24, max_seq_len=20, attn_layers=layers)))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        yield from train(model, optimizer, lambda _, model=model: model(ids), steps=2)


@case
def vit_pytorch(same: Callable[[nn.Module], nn.Module]) -> Iterator[float]:
    if importlib.util.find_spec("torchvision") is None:  # imported by the package, and not used by these models
        sys.modules["torchvision"] = types.ModuleType("torchvision")
        sys.modules["torchvision"].transforms = None  # type: ignore[attr-defined]
    from vit_pytorch import SimpleViT, ViT
    from vit_pytorch.cct import CCT
    from vit_pytorch.max_vit import MaxViT
    from vit_pytorch.nest import NesT
    from vit_pytorch.vit_3d import ViT as ViT3d

    sizes: dict[str, Any] = {
        "image_size": 16,
        "patch_size": 4,
        "num_classes": 5,
        "dim": 32,
        "depth": 2,
        "heads": 2,
        "mlp_dim": 48,
    }
    x, y = numbers(0, 4, 3, 16, 16), tokens(1, 5, 4)
    for model in (ViT(**sizes), ViT(**sizes, pool="mean"), SimpleViT(**sizes)):
        same(model)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        yield from train(model, optimizer, lambda _, model=model: F.cross_entropy(model(x), y))

    others = (
        (
            CCT(
                img_size=16, embedding_dim=16, n_conv_layers=1, num_layers=1, num_heads=2, mlp_ratio=2.0, num_classes=5
            ),
            x,
        ),
        (MaxViT(num_classes=5, dim_conv_stem=8, dim=8, dim_head=4, depth=(1, 1), window_size=2, dropout=0.0), x),
        (NesT(image_size=16, patch_size=4, dim=8, heads=1, num_hierarchies=2, block_repeats=(1, 1), num_classes=5), x),
        (
            ViT3d(
                **{k: v for k, v in sizes.items() if k != "patch_size"},
                frames=4,
                frame_patch_size=2,
                image_patch_size=4,
            ),
            numbers(2, 4, 3, 4, 16, 16),
        ),
    )
    for model, images in others:
        same(model)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
        yield from train(model, optimizer, lambda _, m=model, i=images: F.cross_entropy(m(i), y), steps=3)


def run(folder: Path, write: bool, names: list[str]) -> dict[str, Any]:
    results: dict[str, Any] = {"version": str(torch.__version__)}
    for name in names:
        files = (folder / f"{name}-{i}.npz" for i in range(100))

        def same(module: nn.Module, files: Iterator[Path] = files) -> nn.Module:
            path = next(files)
            if write:
                np.savez(path, **{k: v.numpy() for k, v in module.state_dict().items()})
            with np.load(path) as saved:
                state = {k: torch.from_numpy(saved[k].copy()) for k in saved.files}
            module.load_state_dict(state)
            return module

        results[name] = list(CASES[name](same))
    return results


if __name__ == "__main__":
    place, mode, *wanted = sys.argv[1:]
    (Path(place) / f"{mode}.json").write_text(json.dumps(run(Path(place), mode == "write", wanted)))
