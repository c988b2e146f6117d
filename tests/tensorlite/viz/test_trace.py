from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

import tensorlite as tl
from tensorlite import nn, viz
from tensorlite.ops.flops import flops
from tensorlite.viz import render
from tensorlite.viz.ir import Graph


class Affine(nn.Module):
    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        rng = np.random.default_rng(n_in * 100 + n_out)
        self.weight = nn.Parameter(tl.tensor(rng.normal(size=(n_in, n_out)).astype(np.float32)))
        self.bias = nn.Parameter(tl.zeros(n_out))
        self.n = (n_in, n_out)

    def forward(self, x: Any) -> Any:
        return x @ self.weight + self.bias

    def extra_repr(self) -> str:
        return f"{self.n[0]}→{self.n[1]}"


class Block(nn.Module):
    def __init__(self, n: int) -> None:
        super().__init__()
        self.up, self.down = Affine(n, 2 * n), Affine(2 * n, n)

    def forward(self, x: Any) -> Any:
        return x + self.down(tl.tanh(self.up(x)))


class Net(nn.Module):
    def __init__(self, shared: bool = False) -> None:
        super().__init__()
        block = Block(4)
        self.layers = nn.ModuleList([block if shared else Block(4) for _ in range(3)])
        self.head = Affine(4, 2)

    def forward(self, x: Any) -> Any:
        for layer in self.layers:
            x = layer(x)
        return self.head(x)


def batch() -> Any:
    return tl.tensor(np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32))


def by_op(graph: Graph, op: str) -> list[Any]:
    return [node for node in graph.nodes if node.op == op]


def test_a_module_gives_paths_parameters_and_residuals() -> None:
    net = Net()
    graph = viz.graph(net, batch())
    assert graph.name == "Net"
    assert {m.path for m in graph.modules} >= {"", "layers.0", "layers.2.up", "head"}
    assert {n.name for n in graph.nodes if n.kind == "param"} == {name for name, _ in net.named_parameters()}
    assert graph.params == sum(p.numel() for p in net.parameters())
    assert [n.name for n in graph.nodes if n.kind == "input"] == ["x"]
    assert sum(edge.is_skip for edge in graph.edges) == 3
    assert by_op(graph, "tanh")[0].source.endswith(" forward")
    assert by_op(graph, "tanh")[0].source.startswith("test_trace.py:")


def test_repeated_layers_fold_by_whose_weights_they_use() -> None:
    for shared, words in ((False, "own weights each"), (True, "shared weights ×3")):
        view = render.view(viz.graph(Net(shared), batch()), collapse="none")
        [group] = [group for group in view.groups if group.repeats == 3]
        assert words in group.subtitle


def test_flops_of_matmuls() -> None:
    graph = viz.graph(Net(), batch())
    assert sum(node.flops for node in by_op(graph, "matmul")) == 2 * 5 * (3 * 2 * (4 * 8) + 4 * 2)


def test_verify_replays_every_op_and_notices_a_changed_one() -> None:
    graph = viz.graph(Net(), batch())
    assert graph.verify() == sum(node.kind == "op" for node in graph.nodes)
    assert graph.replay is not None
    records = graph.replay()
    node, replayed, recorded = records[-1]
    broken = replace(graph, replay=lambda: [*records[:-1], (node, replayed + 1.0, recorded)])
    with pytest.raises(AssertionError, match="differs from the recording"):
        broken.verify()
    with pytest.raises(ValueError, match="no recording"):
        Graph.from_dict(graph.to_dict()).verify()


def test_verify_is_right_after_the_inputs_were_changed_in_place() -> None:
    x = batch()
    graph = viz.graph(lambda x: tl.tanh(x * 2.0), x)
    x._data[...] = 7.0
    assert graph.verify() == 2


def test_views_indexing_and_reductions_replay() -> None:
    index = tl.tensor(np.array([2, 0, 1]))

    def program(x: Any) -> Any:
        y = x.reshape(2, 10).transpose(0, 1)[index]
        return (y.sum(0, keepdim=True) / 3 - y.mean()).exp().permute(1, 0)

    graph = viz.graph(program, batch())
    assert graph.verify() == sum(node.kind == "op" for node in graph.nodes)
    assert any(edge.is_view for edge in graph.edges)


def test_gradients_of_every_node_match_autograd() -> None:
    x, w = batch(), tl.tensor(np.ones((4, 3), np.float32), requires_grad=True)
    graph = viz.graph(lambda x, w: tl.tanh(x @ w).sum(), x, w, backward=True)
    assert w.grad is None  # untouched
    tl.tanh(x @ w).sum().backward()
    [drawn] = [node for node in graph.nodes if node.name == "w"]
    assert drawn.grad is not None
    assert drawn.grad.norm == pytest.approx(float(np.linalg.norm(w.grad._data)), rel=1e-5)
    inner = 1 - np.tanh(x._data @ np.ones((4, 3))) ** 2
    assert by_op(graph, "matmul")[0].grad.norm == pytest.approx(float(np.linalg.norm(inner)), rel=1e-5)


def test_micrograd_style_prints_data_and_grad_on_every_node() -> None:
    """The numbers are those of the worked example e = a·b, d = e + c, L = d·f."""
    a, b, c, f = (tl.tensor(v, requires_grad=True) for v in (2.0, -3.0, 10.0, -2.0))
    text = viz.graph(lambda a, b, c, f: (a * b + c) * f, a, b, c, f, backward=True).text()
    for name, data, grad in (("a", 2, 6), ("b", -3, -4), ("c", 10, -2), ("f", -2, 4)):
        assert f"→ {name}" in text
        assert f"data {data:.4f} · grad {grad:.4f}" in text
    assert "data -8.0000 · grad 1.0000" in text


def test_a_mean_of_rounding_alone_is_said_to_be_about_zero() -> None:
    """Its digits differ between machines, and a picture would with them."""
    x = tl.tensor([1.0, -1.0, 2.0**-24])
    assert "mean ≈ 0 max" in viz.graph(lambda x: x * 1, x).svg(engine="builtin")
    y = tl.tensor([1.0, -1.0, 2.0**-20])
    assert "mean 3.179e-07 max" in viz.graph(lambda y: y * 1, y).svg(engine="builtin")


def test_a_graph_from_an_output_alone() -> None:
    w = tl.tensor(np.ones((4, 3), np.float32), requires_grad=True)
    loss = tl.tanh(batch() @ w).sum()
    loss.backward()
    loss = tl.tanh(batch() @ w).sum()
    graph = viz.graph(loss, names={"weight": w})
    assert [node.op for node in graph.nodes] == ["param", "matmul", "tanh", "sum"]
    leaf = graph.nodes[0]
    assert (leaf.name, leaf.params) == ("weight", 12)
    assert leaf.grad is not None
    assert graph.nodes[-1].value is not None
    assert graph.nodes[-1].value.mean == pytest.approx(float(loss._data), rel=1e-6)


def test_a_long_chain_needs_no_recursion() -> None:
    x = tl.tensor(1.0, requires_grad=True)
    y = x
    for _ in range(6_000):
        y = y + 1.0
    graph = viz.graph(y)
    assert len(graph.nodes) == 6_001
    assert sum(box.kind != "entry" for box in render.view(graph).boxes) <= 40


def test_dead_ends_are_left_out() -> None:
    def program(x: Any, unused: Any) -> Any:
        tl.exp(x)
        return tl.tanh(x)

    graph = viz.graph(program, batch(), batch())
    assert [node.op for node in graph.nodes if node.kind == "op"] == ["tanh"]
    assert [node.name for node in graph.nodes if node.kind == "input"] == ["x"]


def test_verify_calls_a_function_of_the_user_again() -> None:
    class Scaled(tl.autograd.Function):  # a plain argument between tensors, and two results
        factor = 1.0

        @staticmethod
        def forward(ctx: Any, x: Any, power: int, y: Any) -> Any:
            return x**power * Scaled.factor, y + 1.0

        @staticmethod
        def backward(ctx: Any, g: Any, h: Any) -> Any:
            return g, None, h

    def program(x: Any) -> Any:
        y = x * 1.0
        a, b = Scaled.apply(x * 2.0, 3, y)
        return a + b

    graph = viz.graph(program, batch().requires_grad_(True))
    assert graph.verify() == sum(node.kind == "op" for node in graph.nodes) == 4
    assert "4 ops replayed" in repr(graph.verify())
    Scaled.factor = 1.5  # it would give something else now
    with pytest.raises(AssertionError, match=r"Scaled.*differs from the recording"):
        graph.verify()


def test_verify_names_what_it_takes_as_recorded() -> None:
    class Bump(tl.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.mark_dirty(x)
            return x.add_(1.0)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g

    bumped = viz.graph(lambda x: Bump.apply(x * 2.0) * 3.0, batch().requires_grad_(True)).verify()
    assert any("Bump" in name for name in bumped.taken)  # its operand is gone, so it cannot be called again

    def program(x: Any) -> Any:
        y = tl.tanh(x)
        z = y + 1.0
        y._data[...] = 0.5  # by no op
        y.counter()[0] += 1
        return y * z

    checked = viz.graph(program, batch()).verify()
    assert checked == 3
    assert len(checked.taken) == 1
    assert "in place" in repr(checked)


def test_arrays_inside_an_input_are_inputs_too() -> None:
    @dataclass
    class Batch:
        values: Any
        extra: dict[str, Any]

    def program(batch: Batch) -> Any:
        return tl.from_numpy(batch.values[:, None]) * 2.0 + tl.from_numpy(batch.extra["shift"])

    graph = viz.graph(program, Batch(np.ones(3, np.float32), {"shift": np.ones(1, np.float32)}))
    assert {node.name: node.shape for node in graph.nodes if node.kind == "input"} == {"values": (3, 1), "shift": (1,)}


def test_detach_is_drawn() -> None:
    graph = viz.graph(lambda x: tl.tanh(x).detach() * 2.0, batch())
    assert [node.op for node in graph.nodes if node.kind == "op"] == ["tanh", "detach", "mul"]
    assert graph.verify() == 3


def test_changes_in_place_keep_their_history() -> None:
    def program(x: Any) -> Any:
        y = x * 2.0
        y.add_(1.0)
        y[0] = 3.0
        y.view(-1).mul_(2.0)
        return y.sum()

    x = batch()
    for leaf in (x, x.clone().requires_grad_(True)):
        graph = viz.graph(program, leaf)
        ops = [node.op for node in graph.nodes if node.kind == "op"]
        assert ops[:3] == ["mul", "add", "setitem"] or "in place" in ops
        assert ops[-1] == "sum"
        [start] = [node.id for node in graph.nodes if node.kind == "input"]
        assert graph.consumers[start]
        assert graph.verify() > 0
    net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(inplace=True), nn.Linear(4, 2))
    with tl.no_grad():
        view = render.view(viz.graph(net, batch()))
    assert [box.title.split(" ·")[0] for box in view.boxes] == ["input", "Linear", "ReLU", "Linear", "output"]
    assert len(view.links) == 4


def test_random_ops_and_custom_functions_draw() -> None:
    class Square(tl.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return 2 * g * ctx.saved_tensors[0]

    x = batch().requires_grad_(True)
    for target in (viz.graph(lambda x: Square.apply(x).sum(), x), viz.graph(Square.apply(x).sum())):
        assert [node.op for node in target.nodes if node.kind == "op"] == ["Square", "sum"]
    assert viz.graph(lambda x: Square.apply(x).sum(), x).verify() == 2
    with tl.no_grad():  # nothing but its ops is seen there
        assert [n.op for n in viz.graph(lambda x: Square.apply(x), x).nodes if n.kind == "op"] == ["mul"]
    dropped = viz.graph(nn.Sequential(nn.Dropout(0.5), nn.Linear(4, 2)), batch())
    assert dropped.verify() == 2  # dropout replays from its seed
    assert all(name != "seed" for node in dropped.nodes for name, _ in node.attrs)


def test_recording_a_block_of_code() -> None:
    x = batch()
    with viz.record() as tape:
        y = tl.tanh(x * 3.0)
    later = tl.exp(y)
    graph = tape.graph(y, name="block")
    assert [node.op for node in graph.nodes if node.kind == "op"] == ["mul", "tanh"]
    assert later is not None


def test_the_same_program_gives_the_same_graph() -> None:
    first, second = (viz.graph(Net(), batch(), backward=True) for _ in range(2))
    assert first == second
    assert first.to_json() == second.to_json()


def test_hooks_and_listeners_are_gone_after_an_error() -> None:
    from tensorlite.autograd.record import observers

    net = Net()
    with pytest.raises(Exception, match=r"."):
        viz.graph(net, tl.zeros(5, 3))
    assert not observers
    assert viz.graph(net, batch()).verify() > 0


def test_nested_outputs() -> None:
    graph = viz.graph(lambda x: {"a": (tl.exp(x), [tl.tanh(x)])}, batch())
    assert len(graph.outputs) == 2


@pytest.mark.parametrize("target", [3, "x", [], None, nn.Linear])
def test_other_things_are_refused(target: object) -> None:
    with pytest.raises(TypeError, match="draws a module"):
        viz.graph(target)


def test_what_returns_no_tensor_is_refused() -> None:
    with pytest.raises(TypeError, match="no tensor"):
        viz.graph(lambda: 3)


@pytest.mark.parametrize(
    ("op", "operands", "result", "expected"),
    [
        ("matmul", [(2, 3, 4), (4, 5)], (2, 3, 5), 2 * 2 * 3 * 5 * 4),
        ("linear", [(7, 4), (5, 4)], (7, 5), 2 * 7 * 5 * 4),
        ("linear", [(7, 4), (5, 4), (5,)], (7, 5), 2 * 7 * 5 * 4 + 35),
        ("convolution", [(1, 3, 8, 8), (6, 3, 5, 5)], (1, 6, 4, 4), 2 * 6 * 16 * 75),
        ("scaled_dot_product_attention", [(2, 4, 8, 16)] * 3, (2, 4, 8, 16), 8 * 8 * 8 * (32 + 5 + 32)),
        ("reshape", [(2, 3)], (6,), 0),
        ("sum", [(2, 3)], (), 6),
        ("add", [(2, 3), (3,)], (2, 3), 6),
        ("softmax", [(2, 3)], (2, 3), 30),
    ],
)
def test_flop_table(op: str, operands: list[tuple[int, ...]], result: tuple[int, ...], expected: int) -> None:
    assert flops(op, operands, result) == expected
