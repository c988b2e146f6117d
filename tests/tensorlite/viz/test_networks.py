"""Real networks, from call to picture, with nothing installed and through every engine that is."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tensorlite as tl
import tensorlite.nn.functional as F
from tensorlite import nn, viz
from tensorlite.viz import engines, render

from .test_collapse import assert_conserves
from .test_layout import assert_routes_keep_clear, assert_tidy


def normal(*shape: int) -> Any:
    return tl.tensor(np.random.default_rng(0).normal(size=shape).astype(np.float32))


def ids(high: int, *shape: int) -> Any:
    return tl.tensor(np.random.default_rng(0).integers(0, high, shape))


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(20, 8)
        self.lstm = nn.LSTM(8, 8, num_layers=2, batch_first=True)
        self.out = nn.Linear(8, 3)

    def forward(self, tokens: Any) -> Any:
        hidden, _ = self.lstm(self.embedding(tokens))
        return self.out(hidden[:, -1])


class CausalAttention(nn.Module):
    def __init__(self, d: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.c_attn, self.c_proj = nn.Linear(d, 3 * d), nn.Linear(d, d)

    def forward(self, x: Any) -> Any:
        b, t, d = x.shape
        parts = self.c_attn(x).split(d, dim=2)
        q, k, v = (part.view(b, t, self.n_heads, d // self.n_heads).transpose(1, 2) for part in parts)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.c_proj(mixed.transpose(1, 2).contiguous().view(b, t, d))


class Block(nn.Module):
    def __init__(self, d: int, n_heads: int) -> None:
        super().__init__()
        self.ln_1, self.attn = nn.LayerNorm(d), CausalAttention(d, n_heads)
        self.ln_2 = nn.LayerNorm(d)
        self.mlp = nn.Sequential(nn.Linear(d, 4 * d), nn.GELU(), nn.Linear(4 * d, d))

    def forward(self, x: Any) -> Any:
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class GPT(nn.Module):
    """The shape of nanoGPT: tied embeddings, pre-norm blocks, loss inside."""

    def __init__(self, vocab: int = 30, d: int = 16, n_layers: int = 4) -> None:
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocab, d), nn.Embedding(8, d)
        self.h = nn.ModuleList([Block(d, 4) for _ in range(n_layers)])
        self.ln_f, self.lm_head = nn.LayerNorm(d), nn.Linear(d, vocab, bias=False)
        self.lm_head.weight = self.wte.weight

    def forward(self, idx: Any, targets: Any) -> Any:
        x = self.wte(idx) + self.wpe(tl.arange(idx.shape[1]))
        for block in self.h:
            x = block(x)
        logits = self.lm_head(self.ln_f(x))
        return F.cross_entropy(logits.view(-1, 30), targets.view(-1))


def mlp() -> tuple[Any, ...]:
    layers = [nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 4)]
    return nn.Sequential(nn.Flatten(), *layers), normal(2, 2, 4)


def cnn() -> tuple[Any, ...]:
    layers = [
        nn.Conv2d(1, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(64, 5),
    ]
    return nn.Sequential(*layers), normal(2, 1, 8, 8)


def lstm() -> tuple[Any, ...]:
    return Recurrent(), ids(20, 2, 5)


def gpt() -> tuple[Any, ...]:
    return GPT(), ids(30, 2, 8), ids(30, 2, 8)


NETWORKS: list[Callable[[], tuple[Any, ...]]] = [mlp, cnn, lstm, gpt]
each_network = pytest.mark.parametrize("network", NETWORKS)


@each_network
def test_the_graph_replays_and_counts_the_parameters(network: Callable[[], tuple[Any, ...]]) -> None:
    module, *inputs = network()
    graph = viz.graph(module, *inputs, backward=True)
    assert graph.verify() == sum(node.kind == "op" and node.op != "dropout" for node in graph.nodes)
    assert graph.params == sum(p.numel() for p in module.parameters())
    assert {node.name for node in graph.nodes if node.kind == "param"} == {
        name for name, _ in module.named_parameters()
    }
    assert all(param.grad is None for param in module.parameters())


@each_network
@pytest.mark.parametrize("how", ["auto", "none", "max"])
def test_it_draws_without_any_engine(
    network: Callable[[], tuple[Any, ...]], how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    graph = viz.graph(*network())
    view = render.view(graph, collapse=how)
    layout = engines.place(view)
    assert layout.engine == "builtin"
    assert_tidy(view, layout)
    assert_routes_keep_clear(view, layout)
    assert_conserves(graph, view)
    ET.fromstring(render.svg(graph, collapse=how))
    page = render.html(graph, collapse=how)
    assert len(page.encode()) < 400_000
    assert render.mermaid(graph, collapse=how)
    assert render.text(graph, collapse=how)
    if how == "auto":
        assert len(view.boxes) <= 40


@each_network
@pytest.mark.parametrize("engine", ["dot", "pygraphviz", "wasi"])
def test_graphviz_draws_the_same_structure(network: Callable[[], tuple[Any, ...]], engine: str) -> None:
    if engine not in engines.available():
        pytest.skip(f"{engine} is not installed")
    graph = viz.graph(*network())

    def parts(drawn: str) -> set[tuple[str, ...]]:
        root = ET.fromstring(drawn)
        names = ("data-key", "data-group", "data-src", "data-dst")
        return {tuple(node.get(name, "") for name in names) for node in root.iter() if any(node.get(n) for n in names)}

    assert parts(render.svg(graph, engine=engine)) == parts(render.svg(graph, engine="builtin"))


def test_layers_of_the_library_stay_closed_until_asked_for() -> None:
    graph = viz.graph(*cnn())
    titles = [box.title for box in render.view(graph).boxes if box.kind == "module"]
    assert titles[:2] == ["▸ Conv2d", "▸ BatchNorm2d"]
    assert not [box for box in render.view(graph, collapse="none").boxes if box.kind == "module"]


def test_blocks_of_a_gpt_fold_and_tied_weights_show() -> None:
    view = render.view(viz.graph(*gpt()), collapse="none")
    assert [(g.title, g.repeats) for g in view.groups if g.repeats > 1] == [("h.0 … h.3", 4)]
    [tied] = [box for box in view.boxes if box.kind == "param"]
    assert tied.title == "wte.weight"
    assert sum(link.src == tied.key for link in view.links) == 2


def test_dead_relus_and_gradients_are_found() -> None:
    module, x = mlp()
    module[1 + 0].bias._data[...] = -1e3
    view = render.view(viz.graph(module, x, backward=True), color_by="dead")
    assert [box.overlay.alarm for box in view.boxes if box.title.startswith("ReLU") and box.overlay] == [True, False]
