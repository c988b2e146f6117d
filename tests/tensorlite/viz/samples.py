"""Graph IRs for the tests: a transformer written out by hand, and random ones."""

from __future__ import annotations

import random
from typing import Any

from tensorlite.viz.ir import Edge, Graph, Module, Node, mark_skips


class Sketch:
    """Builds a `Graph` op by op."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.nodes: list[Node] = []
        self.edges: list[Edge] = []
        self.modules: list[Module] = []
        self.scope: list[int] = []

    def call(self, path: str, name: str, detail: str = "") -> Sketch:
        number = sum(module.path == path for module in self.modules)
        parent = self.scope[-1] if self.scope else None
        self.modules.append(Module(len(self.modules), path, name, number, parent, detail))
        self.scope.append(len(self.modules) - 1)
        return self

    def __enter__(self) -> Sketch:
        return self

    def __exit__(self, *_: object) -> None:
        self.scope.pop()

    def add(self, op: str, *operands: int, shape: tuple[int, ...] = (2, 16, 64), **fields: Any) -> int:
        node = len(self.nodes)
        size = 1
        for n in shape:
            size *= n
        fields.setdefault("nbytes", 4 * size)
        fields.setdefault("flops", size if fields.get("kind", "op") == "op" else 0)
        module = self.scope[-1] if self.scope and fields.get("kind", "op") == "op" else None
        self.nodes.append(Node(node, op, shape=shape, module=module, **fields))
        self.edges += [Edge(src, node, slot) for slot, src in enumerate(operands)]
        return node

    def leaf(self, kind: str, name: str, shape: tuple[int, ...], dtype: str = "float32") -> int:
        size = 1
        for n in shape:
            size *= n
        return self.add(kind, shape=shape, kind=kind, name=name, dtype=dtype, params=size if kind == "param" else 0)

    def linear(self, path: str, x: int, n_in: int, n_out: int, lead: tuple[int, ...] = (2, 16)) -> int:
        weight = self.leaf("param", f"{path}.weight", (n_out, n_in))
        bias = self.leaf("param", f"{path}.bias", (n_out,))
        with self.call(path, "Linear", f"{n_in}→{n_out}"):
            return self.add("linear", x, weight, bias, shape=(*lead, n_out), flops=2 * 32 * n_in * n_out)

    def norm(self, path: str, x: int, n: int = 64) -> int:
        weight, bias = self.leaf("param", f"{path}.weight", (n,)), self.leaf("param", f"{path}.bias", (n,))
        with self.call(path, "LayerNorm"):
            return self.add("layer_norm", x, weight, bias, shape=(2, 16, n))

    def graph(self, *outputs: int) -> Graph:
        edges = mark_skips(self.nodes, self.edges)
        return Graph(self.name, tuple(self.nodes), edges, tuple(self.modules), outputs)


def transformer(layers: int = 4, *, shared: bool = False, loss: bool = True) -> Graph:
    """The claims model: embedding, positional table, encoder layers, pooling, classifier, loss."""
    s = Sketch("ClaimsTransformer")
    ids = s.leaf("input", "token ids", (2, 16), "int64")
    mask = s.leaf("input", "padding mask", (2, 1, 1, 16), "bool")
    table = s.leaf("buffer", "positional table", (16, 64))
    with s.call("", "ClaimsTransformer"):
        weight = s.leaf("param", "embedding.weight", (8192, 64))
        with s.call("embedding", "Embedding"):
            x = s.add("embedding", ids, weight)
        x = s.add("add", x, table)
        first = len(s.nodes)
        params: list[int] = []
        for layer in range(layers):
            before = len(s.nodes)
            x = _encoder_layer(s, "layer" if shared else f"layers.{layer}", x, mask)
            if shared and layer == 0:
                params = [n.id for n in s.nodes[before:] if n.kind == "param"]
            elif shared:
                _share(s, before, params)
        del first
        x = s.norm("norm", x)
        x = s.add("mean", x, shape=(2, 64), attrs=(("axis", "1"),))
        x = s.linear("classifier", x, 64, 2, (2,))
    if not loss:
        return s.graph(x)
    labels = s.leaf("input", "labels", (2,), "int64")
    return s.graph(s.add("cross_entropy", x, labels, shape=()))


def _encoder_layer(s: Sketch, path: str, x: int, mask: int) -> int:
    with s.call(path, "EncoderLayer"):
        h = s.norm(f"{path}.norm1", x)
        with s.call(f"{path}.self_attn", "MultiHeadAttention", "heads=4"):
            q, k, v = (s.linear(f"{path}.self_attn.{name}_proj", h, 64, 64) for name in "qkv")
            q, k, v = (_split(s, t) for t in (q, k, v))
            k = s.add("transpose", k, shape=(2, 4, 16, 16), attrs=(("axes", "-2,-1"),))
            scores = s.add("matmul", q, k, shape=(2, 4, 16, 16))
            scale = s.add("const", kind="const", shape=())
            scores = s.add("mul", scores, scale, shape=(2, 4, 16, 16))
            scores = s.add("where", scores, mask, shape=(2, 4, 16, 16))
            weights = s.add("softmax", scores, shape=(2, 4, 16, 16), attrs=(("axis", "-1"),))
            mixed = s.add("matmul", weights, v, shape=(2, 4, 16, 16))
            mixed = s.add("transpose", mixed, shape=(2, 16, 4, 16))
            mixed = s.add("reshape", mixed)
            h = s.linear(f"{path}.self_attn.out_proj", mixed, 64, 64)
        x = s.add("add", x, h)
        h = s.norm(f"{path}.norm2", x)
        with s.call(f"{path}.feed_forward", "FeedForward", "64→128→64"):
            h = s.linear(f"{path}.feed_forward.linear1", h, 64, 128)
            with s.call(f"{path}.feed_forward.activation", "GELU"):
                h = s.add("gelu", h, shape=(2, 16, 128))
            h = s.linear(f"{path}.feed_forward.linear2", h, 128, 64)
        return s.add("add", x, h)


def _split(s: Sketch, x: int) -> int:
    x = s.add("reshape", x, shape=(2, 16, 4, 16))
    return s.add("transpose", x, shape=(2, 4, 16, 16), attrs=(("axes", "1,2"),))


def _share(s: Sketch, before: int, params: list[int]) -> None:
    """Point the new copy at the parameters of the first one; its own stay behind as unused leaves."""
    own = [n.id for n in s.nodes[before:] if n.kind == "param"]
    swap = dict(zip(own, params, strict=True))
    s.edges = [Edge(swap.get(e.src, e.src), e.dst, e.slot) for e in s.edges]
    s.nodes = [
        Node(n.id, n.op, "const", n.name, n.shape) if n.id in swap else n for n in s.nodes
    ]  # numbering must stay dense


def random_graph(seed: int, size: int = 40, *, nasty: bool = True) -> Graph:
    """A random graph: nested and repeated module calls, shared leaves, and names that break careless renderers."""
    rng = random.Random(seed)
    names = ["Linear", "Block", "LayerNorm", "Dropout", "MLP"]
    if nasty:
        names += [
            "<script>alert(1)</script>",
            'a"b',
            "]]>",
            "x\ny",
            "naïve — 層",
            "\x00\x0b",
            "&amp;",
            "end",
            "\\l",
            "{|}",
        ]
    ops = ["add", "mul", "matmul", "linear", "relu", "softmax", "layer_norm", "reshape", "sum", "<b>op</b>", "mse_loss"]
    s = Sketch(rng.choice(names))
    s.leaf("input", rng.choice(names), (rng.randint(0, 3), 4))
    values = [0]
    for _ in range(size):
        roll = rng.random()
        if roll < 0.18 and len(s.scope) < 5:
            path = rng.choice(names) if nasty else "m"
            parent = s.modules[s.scope[-1]].path + "." if s.scope else ""
            s.call(f"{parent}{path}", rng.choice(names))
        elif roll < 0.32 and s.scope:
            s.scope.pop()
        elif roll < 0.42:
            kind = rng.choice(["param", "param", "buffer", "const", "input"])
            values.append(s.leaf(kind, rng.choice(names), tuple(rng.choices([1, 2, 3], k=rng.randint(0, 3)))))
        else:
            operands = rng.choices(values[-8:] if rng.random() < 0.8 else values, k=rng.choice([1, 1, 2, 2, 3]))
            values.append(s.add(rng.choice(ops), *operands, shape=tuple(rng.choices([1, 2, 3], k=rng.randint(0, 3)))))
            if s.scope and rng.random() < 0.1:
                s.scope.pop()
    return s.graph(*({values[-1]} | ({rng.choice(values)} if rng.random() < 0.2 else set())))
