"""Module: registration, walking, modes, errors and repr, side by side with torch."""

from __future__ import annotations

import copy
import pickle
import warnings
from typing import Any

import numpy as np
import pytest
import torch

import tensorlite as tl


def build(lib: Any) -> Any:
    """The same model in either library."""
    nn = lib.nn

    class Block(nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self, n: int) -> None:
            super().__init__()
            self.lin = nn.Linear(n, n)
            self.scale = nn.Parameter(lib.ones(n))
            self.register_buffer("seen", lib.zeros(1))
            self.register_buffer("scratch", lib.zeros(2), persistent=False)
            self.register_parameter("nothing", None)
            self.act = nn.ReLU()

        def forward(self, x: Any, gain: float = 1.0) -> Any:
            return self.act(self.lin(x)) * self.scale * gain

        def extra_repr(self) -> str:
            return "a block"

    class Net(nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.blocks = nn.ModuleList([Block(3), Block(3)])
            self.head = nn.ModuleDict({"a": nn.Linear(3, 2), "b": nn.Linear(3, 2, bias=False)})
            self.tied = self.blocks[0].lin
            self.seq = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Dropout(0.25))

        def forward(self, x: Any) -> Any:
            for block in self.blocks:
                x = block(x)
            return self.head["a"](self.seq(x))

    return Net()


@pytest.fixture
def nets() -> tuple[Any, Any]:
    ours, theirs = build(tl), build(torch)
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def test_names_in_torchs_order(nets: tuple[Any, Any]) -> None:
    ours, theirs = nets
    for method in ("named_parameters", "named_buffers", "named_modules", "named_children"):
        assert [n for n, _ in getattr(ours, method)()] == [n for n, _ in getattr(theirs, method)()], method
    assert [n for n, _ in ours.named_parameters(remove_duplicate=False)] == [
        n for n, _ in theirs.named_parameters(remove_duplicate=False)
    ]
    assert [n for n, _ in ours.blocks.named_parameters("p", recurse=False)] == []
    assert list(ours.state_dict()) == list(theirs.state_dict())


def test_repr_is_torchs(nets: tuple[Any, Any]) -> None:
    assert repr(nets[0]) == repr(nets[1])


def test_forward_and_gradients(nets: tuple[Any, Any]) -> None:
    ours, theirs = nets
    x = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)
    g = np.random.default_rng(1).standard_normal((4, 2)).astype(np.float32)
    ours.eval()(tl.tensor(x)).backward(tl.tensor(g))
    theirs.eval()(torch.tensor(x)).backward(torch.tensor(g))
    for (name, p), q in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        if q.grad is None:
            assert p.grad is None, name
        else:
            np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-4, atol=1e-6, err_msg=name)


def test_modes_types_and_gradients(nets: tuple[Any, Any]) -> None:
    ours, _ = nets
    assert all(not m.training for m in ours.eval().modules())
    assert all(m.training for m in ours.train().modules())
    ours.requires_grad_(False)
    assert not any(p.requires_grad for p in ours.parameters())
    ours.requires_grad_()
    ours.double()
    assert {str(t.dtype) for t in ours.state_dict().values()} == {"tensorlite.float64"}
    ours.half().to(tl.float32)
    p = ours.tied.weight
    assert p.dtype == tl.float32
    assert isinstance(p, tl.nn.Parameter)
    ours(tl.ones(2, 3)).sum().backward()
    ours.zero_grad(set_to_none=False)
    assert not p.grad.numpy().any()
    ours.zero_grad()
    assert p.grad is None
    with pytest.raises(TypeError, match="floating point or complex"):
        ours.to(tl.int64)
    with pytest.raises(RuntimeError, match="CPU only"):
        ours.cuda()


def test_apply_goes_children_first() -> None:
    seen: list[str] = []
    net = tl.nn.Sequential(tl.nn.Sequential(tl.nn.Tanh()), tl.nn.ReLU())
    net.apply(lambda m: seen.append(type(m).__name__))
    assert seen == ["Tanh", "Sequential", "ReLU", "Sequential"]


def test_lookup_by_path(nets: tuple[Any, Any]) -> None:
    ours, _ = nets
    assert ours.get_submodule("blocks.1.lin") is ours.blocks[1].lin
    assert ours.get_parameter("blocks.0.scale") is ours.blocks[0].scale
    assert ours.get_buffer("blocks.0.seen") is ours.blocks[0].seen
    for call, text in (
        (lambda: ours.get_submodule("blocks.7"), "has no attribute `7`"),
        (lambda: ours.get_parameter("blocks.0.seen"), "is not an nn.Parameter"),
        (lambda: ours.get_buffer("blocks.0.scale"), "is not a buffer"),
    ):
        with pytest.raises(AttributeError, match=text):
            call()
    ours.set_submodule("seq.1", tl.nn.ReLU())
    assert isinstance(ours.seq[1], tl.nn.ReLU)


@pytest.mark.parametrize("lib", [tl, torch], ids=["tensorlite", "torch"])
def test_messages_shared_with_torch(lib: Any) -> None:
    nn = lib.nn

    class Early(nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            self.w = nn.Parameter(lib.ones(1))

    lin = nn.Linear(2, 3)
    cases: list[tuple[Any, type[Exception], str]] = [
        (Early, AttributeError, r"cannot assign parameters before Module.__init__\(\) call"),
        (lambda: lin.foo, AttributeError, "'Linear' object has no attribute 'foo'"),
        (lambda: setattr(lin, "weight", lib.ones(3, 2)), TypeError, "as parameter 'weight'"),
        (lambda: lin.register_buffer("a.b", None), KeyError, "contain"),
        (lambda: lin.register_parameter("", None), KeyError, "be empty string"),
        (lambda: lin.register_buffer("weight", None), KeyError, "attribute 'weight' already exists"),
        (lambda: lin.add_module("x", 3), TypeError, "is not a Module subclass"),
        (lambda: nn.Module()(1), NotImplementedError, 'missing the required "forward" function'),
        (lambda: lin.load_state_dict([]), TypeError, "Expected state_dict to be dict-like"),
        (lambda: nn.Dropout(2), ValueError, "dropout probability has to be between 0 and 1, but got 2"),
        (lambda: nn.BatchNorm1d(2)(lib.ones(2)), ValueError, r"expected 2D or 3D input \(got 1D input\)"),
        (
            lambda: lin.register_parameter("y", nn.Parameter(lib.ones(1)) * 2),
            (TypeError, ValueError),
            "cannot assign|Cannot assign",
        ),
    ]  # type: ignore[list-item]
    for call, kind, text in cases:
        with pytest.raises(kind, match=text):
            call()


def test_unknown_attribute_suggests_a_name() -> None:
    with pytest.raises(AttributeError, match="did you mean 'weight'"):
        tl.nn.Linear(2, 3).weigth  # noqa: B018


def test_modules_in_a_plain_list_warn_once() -> None:
    class Net(tl.nn.Module):
        def __init__(self, by: str) -> None:
            super().__init__()
            if by == "assignment":
                self.layers = [tl.nn.Linear(2, 2)]
            elif by == "append":
                self.layers = []
                self.layers.append(tl.nn.Linear(2, 2))
            else:
                self.lin = tl.nn.Linear(2, 2)
                self.layers = {"lin": self.lin}

    for by in ("assignment", "append"):
        with pytest.warns(UserWarning, match=r"Net\.layers is a plain list.*ModuleList") as caught:
            list(Net(by).parameters())
        assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        list(Net("registered elsewhere").parameters())


def test_a_parameter_replaces_a_plain_attribute_and_back() -> None:
    m = tl.nn.Module()
    m.w = 3
    m.w = tl.nn.Parameter(tl.ones(2))
    assert list(dict(m.named_parameters())) == ["w"]
    m.w = None
    assert m.w is None
    assert list(m.parameters()) == []
    del m.w
    assert not hasattr(m, "w")
    m.b = tl.nn.Buffer(tl.ones(1), persistent=False)
    assert [n for n, _ in m.named_buffers()] == ["b"]
    assert m.state_dict() == {}


def test_deepcopy_and_pickle_keep_values_and_ties(nets: tuple[Any, Any]) -> None:
    ours, _ = nets
    twin = copy.deepcopy(ours)
    assert twin.tied is twin.blocks[0].lin
    assert twin.tied.weight is not ours.tied.weight
    for a, b in zip(ours.state_dict().values(), twin.state_dict().values(), strict=True):
        assert np.array_equal(a.numpy(), b.numpy())
    lin = pickle.loads(pickle.dumps(tl.nn.Linear(2, 3)))
    assert isinstance(lin.weight, tl.nn.Parameter)
    assert lin.weight.requires_grad


def test_a_call_without_hooks_costs_little_more_than_forward() -> None:
    lin = tl.nn.Identity()
    assert lin._hooks is None
    handle = lin.register_forward_hook(lambda *a: None)
    handle.remove()
    assert lin(3) == 3
