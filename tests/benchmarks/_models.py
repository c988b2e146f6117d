"""The transformers that are timed, written once: `build(lib, ...)` makes them from tensorlite or from torch."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Setting:
    """One model and the batch it is trained on."""

    name: str
    layers: int
    d_model: int
    heads: int
    length: int
    batch: int
    vocabulary: int
    causal: bool

    @property
    def tokens(self) -> int:
        return self.batch * self.length

    @property
    def step_flops(self) -> float:
        """Floating-point operations of the matrix products of one training step: three times those of the forward."""
        weights = self.layers * 12 * self.d_model**2 + self.vocabulary * self.d_model
        scores = self.layers * 2 * self.length * self.d_model / (2 if self.causal else 1)
        return 3 * 2 * self.tokens * (weights + scores)


SMALL = Setting("GPT 4x128, T 64, B 12, V 65", 4, 128, 4, 64, 12, 65, True)
ENCODER = Setting("encoder 4x256, T 128, B 16, V 2000", 4, 256, 8, 128, 16, 2000, False)
LARGE = Setting("GPT 6x512, T 256, B 4, V 8000", 6, 512, 8, 256, 4, 8000, True)
SETTINGS = (SMALL, ENCODER, LARGE)


@functools.cache
def _classes(lib: Any) -> Any:
    nn = lib.nn
    F = nn.functional

    class Block(nn.Module):  # type: ignore[misc, name-defined]
        """Pre-norm block: attention, then a GELU perceptron four times as wide."""

        def __init__(self, s: Setting) -> None:
            super().__init__()
            d = s.d_model
            self.heads, self.causal = s.heads, s.causal
            self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
            self.qkv, self.proj = nn.Linear(d, 3 * d), nn.Linear(d, d)
            self.fc, self.out = nn.Linear(d, 4 * d), nn.Linear(4 * d, d)

        def forward(self, x: Any, cache: Any = None, at: int = 0) -> Any:
            b, t, d = x.shape
            q, k, v = self.qkv(self.norm1(x)).split(d, 2)
            q, k, v = (a.view(b, t, self.heads, d // self.heads).transpose(1, 2) for a in (q, k, v))
            if cache is not None:
                cache[0][:, :, at : at + t], cache[1][:, :, at : at + t] = k, v
                k, v = cache[0][:, :, : at + t], cache[1][:, :, : at + t]
            y = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal and t > 1)
            x = x + self.proj(y.transpose(1, 2).reshape(b, t, d))
            return x + self.out(F.gelu(self.fc(self.norm2(x))))

    class Transformer(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self, s: Setting) -> None:
            super().__init__()
            self.token, self.position = nn.Embedding(s.vocabulary, s.d_model), nn.Embedding(s.length, s.d_model)
            self.blocks = nn.ModuleList([Block(s) for _ in range(s.layers)])
            self.norm, self.head = nn.LayerNorm(s.d_model), nn.Linear(s.d_model, s.vocabulary, bias=False)

        def forward(self, ids: Any, caches: Any = None, at: int = 0) -> Any:
            x = self.token(ids) + self.position(lib.arange(at, at + ids.shape[1]))
            for i, block in enumerate(self.blocks):
                x = block(x, None if caches is None else caches[i], at)
            return self.head(self.norm(x if caches is None else x[:, -1:]))

    return Transformer


def build(lib: Any, s: Setting) -> Any:
    """The model of a setting, in `lib` (torch or tensorlite)."""
    lib.manual_seed(0)
    return _classes(lib)(s)


def train_step(lib: Any, s: Setting) -> Any:
    """A function that takes one step of AdamW and returns the loss."""
    model = build(lib, s)
    optimizer = lib.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    ids = lib.randint(0, s.vocabulary, (s.batch, s.length))
    target = lib.randint(0, s.vocabulary, (s.tokens,))

    def step() -> Any:
        optimizer.zero_grad()
        loss = lib.nn.functional.cross_entropy(model(ids).view(s.tokens, s.vocabulary), target)
        loss.backward()
        optimizer.step()
        return loss

    return step


def attention_step(lib: Any, length: int, heads: int = 8, width: int = 64) -> Any:
    """Causal attention over (1, heads, length, width), forward and backward."""
    lib.manual_seed(0)
    q, k, v = (lib.randn(1, heads, length, width).requires_grad_() for _ in range(3))
    g = lib.randn(1, heads, length, width)

    def step() -> None:
        for a in (q, k, v):
            a.grad = None
        lib.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True).backward(g)

    return step


def decode(lib: Any, s: Setting, prompt: int = 16, new: int = 48) -> Any:
    """Greedy decoding of `new` tokens after a prompt, keys and values kept in preallocated tensors."""
    model = build(lib, s)
    ids = lib.randint(0, s.vocabulary, (1, prompt))
    return lambda: greedy(lib, model, s, ids, new)


def greedy(lib: Any, model: Any, s: Setting, ids: Any, new: int, seen: list[Any] | None = None) -> list[int]:
    """The `new` likeliest tokens after `ids` (1, T), one by one with a cache; logits are appended to `seen`."""
    shape = (1, s.heads, s.length, s.d_model // s.heads)
    out: list[int] = []
    with lib.no_grad():
        caches = [(lib.zeros(*shape), lib.zeros(*shape)) for _ in range(s.layers)]
        token, at = ids, 0
        for _ in range(new):
            logits = model(token, caches, at)
            at += token.shape[1]
            token = logits[:, -1].argmax(-1).view(1, 1)
            out.append(int(token))
            if seen is not None:
                seen.append(logits[0, -1])
    return out
