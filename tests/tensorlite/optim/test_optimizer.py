"""The optimizer base, training that is stopped and resumed bit for bit, weight averages, and schedules that torch does not have."""

from __future__ import annotations

import copy
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import tensorlite as tl
from tensorlite import nn, optim
from tensorlite.optim import lr_scheduler as schedules
from tensorlite.optim import swa_utils
from tensorlite.utils import data

LIBS = pytest.mark.parametrize("lib", [tl, torch], ids=["tensorlite", "torch"])


@LIBS
def test_messages_shared_with_torch(lib: Any) -> None:
    p, q = lib.nn.Parameter(lib.ones(2)), lib.nn.Parameter(lib.ones(2))
    cases: list[tuple[Any, type[Exception], str]] = [
        (lambda: lib.optim.SGD([], 0.1), ValueError, "optimizer got an empty parameter list"),
        (lambda: lib.optim.SGD([p * 1], 0.1), ValueError, "can't optimize a non-leaf Tensor"),
        (lambda: lib.optim.SGD([{"params": [p]}, {"params": [p]}], 0.1), ValueError, "some parameters appear in more than one parameter group"),
        (lambda: lib.optim.SGD([p], -1), ValueError, "Invalid learning rate: -1"),
        (lambda: lib.optim.SGD(p, 0.1), TypeError, "iterable of Tensors or dicts"),
        (lambda: lib.optim.SGD([{"params": {p, q}}], 0.1), TypeError, "ordered collections"),
        (lambda: lib.optim.SGD([3], 0.1), TypeError, "optimizer can only optimize Tensors"),
        (lambda: lib.optim.SGD([p], 0.1, nesterov=True), ValueError, "Nesterov momentum requires a momentum and zero dampening"),
        (lambda: lib.optim.Adam([p], betas=(1.0, 0.9)), ValueError, "Invalid beta parameter at index 0: 1.0"),
        (lambda: lib.optim.Adam([p], eps=-1), ValueError, "Invalid epsilon value: -1"),
        (lambda: lib.optim.Adam([p], foreach=True, fused=True), RuntimeError, "cannot be `True` together"),
        (lambda: lib.optim.RMSprop([p], momentum=-1), ValueError, "Invalid momentum value: -1"),
        (lambda: lib.optim.Rprop([p], etas=(1.1, 1.2)), ValueError, "Invalid eta values: 1.1, 1.2"),
        (lambda: lib.optim.Adafactor([p], d=0.5), ValueError, "Clipping threshold d should be >= 1"),
        (lambda: lib.optim.SGD([p], 0.1).load_state_dict(lib.optim.SGD([{"params": [p]}, {"params": [q]}], 0.1).state_dict()), ValueError,
         "different number of parameter groups"),
        (lambda: lib.optim.SGD([p], 0.1).load_state_dict(lib.optim.SGD([p, q], 0.1).state_dict()), ValueError, "doesn't match the size"),
        (lambda: lib.optim.LBFGS([{"params": [p]}, {"params": [q]}]), ValueError, "per-parameter options"),
    ]  # fmt: skip
    for call, kind, text in cases:
        with pytest.raises(kind, match=text):
            call()


def test_repr_and_named_parameters_are_torchs() -> None:
    reprs = []
    for lib in (tl, torch):
        layer = lib.nn.Linear(2, 3)
        optimizer = lib.optim.SGD(layer.named_parameters(), lr=0.1)
        assert optimizer.param_groups[0]["param_names"] == ["weight", "bias"]
        reprs.append(repr(lib.optim.Adam([{"params": [layer.weight], "lr": 0.1}, {"params": [layer.bias]}])))
    assert reprs[0] == reprs[1]


@LIBS
def test_hooks_and_closures(lib: Any) -> None:
    calls: list[str] = []
    p = lib.nn.Parameter(lib.ones(1))
    optimizer = lib.optim.SGD([p], 0.1)
    optimizer.register_step_pre_hook(lambda o, args, kwargs: calls.append("pre"))
    optimizer.register_step_post_hook(lambda o, args, kwargs: calls.append("post"))

    def closure() -> Any:
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        calls.append("closure")
        return loss

    with lib.no_grad():
        assert optimizer.step(closure).item() == 1
    assert calls == ["pre", "closure", "post"]
    assert p.item() == pytest.approx(0.8)


def test_a_program_can_write_its_own_optimizer() -> None:
    class Sign(optim.Optimizer):
        def __init__(self, params: Any, lr: float) -> None:
            super().__init__(params, {"lr": lr})

        @tl.no_grad()
        def step(self, closure: Any = None) -> None:
            for group in self.param_groups:
                for p in group["params"]:
                    state = self.state[p]
                    state["n"] = state.get("n", 0) + 1
                    p.add_(p.grad.sign(), alpha=-group["lr"])

    p = nn.Parameter(tl.tensor([1.0, -2.0]))
    (p * p).sum().backward()
    optimizer = Sign([p], 0.5)
    optimizer.step()
    assert p.tolist() == [0.5, -1.5]
    assert optimizer.state_dict()["state"] == {0: {"n": 1}}


def test_a_step_is_noticed_by_autograd_and_leaves_gradients_alone() -> None:
    layer = nn.Linear(2, 1)
    loss = (layer(tl.ones(1, 2, requires_grad=True)) ** 2).sum()
    loss.backward(retain_graph=True)
    before = layer.weight.grad.numpy().copy()
    optim.AdamW(layer.parameters()).step()
    np.testing.assert_array_equal(layer.weight.grad.numpy(), before)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_non_contiguous_and_half_parameters() -> None:
    rng = np.random.default_rng(0)
    start, grad = rng.standard_normal((3, 4)), rng.standard_normal((4, 3))
    for cls, tolerance in ((optim.SGD, 0), (optim.AdamW, 1e-12), (optim.Lion, 0)):
        plain, turned = tl.tensor(start.T.copy()).requires_grad_(), tl.tensor(start).T.detach().requires_grad_()
        for p in (plain, turned):
            p.grad = tl.tensor(grad)
            optimizer = cls([p], lr=0.1)
            optimizer.step()
            optimizer.step()
        np.testing.assert_allclose(turned.detach().numpy(), plain.detach().numpy(), atol=tolerance)
        half = tl.tensor(start.astype(np.float16)).requires_grad_()
        half.grad = tl.tensor(grad.T.astype(np.float16))
        cls([half], lr=0.01).step()
        assert half.dtype == tl.float16


def test_moments_loaded_in_another_memory_order_are_updated() -> None:
    found = []
    for order in ("C", "F"):
        params = [tl.tensor(np.arange(12.0).reshape(3, 4)).requires_grad_() for _ in range(2)]
        optimizer = optim.AdamW(params, lr=0.1)
        for _ in range(3):
            for p in params:
                p.grad = p.detach() * 0.5 + 1
            optimizer.step()
            saved = optimizer.state_dict()
            for state in saved["state"].values():
                state["exp_avg"] = tl.from_numpy(np.asarray(state["exp_avg"].numpy(), order=order))  # type: ignore[call-overload]
            optimizer.load_state_dict(saved)
        found.append([p.detach().numpy() for p in params])
    np.testing.assert_allclose(found[1], found[0], rtol=1e-12)


@LIBS
@pytest.mark.parametrize("by_module", [True, False])
def test_gradients_filled_with_zeros_keep_their_memory(lib: Any, by_module: bool) -> None:
    layer = lib.nn.Linear(3, 2)
    owner = layer if by_module else lib.optim.SGD(layer.parameters(), lr=0.1)
    x = lib.ones(4, 3)
    layer(x).sum().backward()
    grad, memory = layer.weight.grad, layer.weight.grad.numpy()
    owner.zero_grad(set_to_none=False)
    assert layer.weight.grad is grad
    assert (memory == 0).all()
    layer(x).sum().backward()
    assert layer.weight.grad is grad
    assert (memory == 4).all()
    owner.zero_grad()
    assert layer.weight.grad is None


def test_lion_follows_its_paper() -> None:
    rng = np.random.default_rng(0)
    p = tl.tensor(rng.standard_normal(7)).requires_grad_()
    optimizer = optim.Lion([p], lr=0.01, betas=(0.9, 0.99), weight_decay=0.1)
    theta, m = p.detach().numpy().copy(), np.zeros(7)
    for _ in range(5):
        g = rng.standard_normal(7)
        p.grad = tl.tensor(g)
        optimizer.step()
        theta = theta - 0.01 * (np.sign(0.9 * m + 0.1 * g) + 0.1 * theta)
        m = 0.99 * m + 0.01 * g
        np.testing.assert_allclose(p.detach().numpy(), theta, rtol=1e-12)


def test_noam_is_the_formula_of_the_paper() -> None:
    optimizer = optim.Adam([nn.Parameter(tl.ones(1))], lr=1.0)
    schedule = schedules.NoamLR(optimizer, d_model=512, warmup_steps=40)
    for step in range(1, 100):
        assert optimizer.param_groups[0]["lr"] == pytest.approx(512**-0.5 * min(step**-0.5, step * 40**-1.5))
        optimizer.step()
        schedule.step()


@pytest.mark.parametrize("kind", ["mean", "ema", "multi"])
def test_averaged_models(kind: str) -> None:
    averages = []
    for lib in (tl, torch):
        net = lib.nn.Linear(2, 2)
        utils = lib.optim.swa_utils
        options = {
            "mean": {},
            "ema": {"avg_fn": utils.get_ema_avg_fn(0.9)},
            "multi": {"multi_avg_fn": utils.get_ema_multi_avg_fn(0.9)},
        }[kind]
        average = utils.AveragedModel(net, **options)
        for k in range(4):
            state = {"weight": lib.full((2, 2), float(k * k)), "bias": lib.full((2,), float(k))}
            net.load_state_dict(state)
            average.update_parameters(net)
        averages.append({k: v.tolist() for k, v in average.state_dict().items()})
    assert averages[0].keys() == averages[1].keys()
    for key, value in averages[0].items():
        np.testing.assert_allclose(value, averages[1][key], rtol=1e-6)


def test_update_bn_sees_the_whole_data_once() -> None:
    net = nn.Sequential(nn.BatchNorm1d(3))
    x = np.random.default_rng(0).standard_normal((12, 3)).astype(np.float32) * 2 + 1
    swa_utils.update_bn([tl.tensor(x[i : i + 4]) for i in range(0, 12, 4)], net)
    np.testing.assert_allclose(net[0].running_mean.numpy(), x.mean(0), rtol=1e-5)


# -- stopping and resuming --------------------------------------------------------------------------------------------

OPTIMIZERS: dict[str, Any] = {
    name: getattr(optim, name)
    for name in (
        "SGD",
        "Adam",
        "AdamW",
        "RMSprop",
        "Adagrad",
        "Adadelta",
        "Adamax",
        "NAdam",
        "RAdam",
        "Rprop",
        "ASGD",
        "Lion",
        "LBFGS",
        "Adafactor",
    )
}


class Run:
    """A training with dropout, batch norm, a shuffling loader and a schedule; everything that has a state is in `state()`."""

    def __init__(self, name: str, seed: int = 0) -> None:
        tl.manual_seed(seed)
        x = np.random.default_rng(0).standard_normal((14, 3)).astype(np.float32)
        self.net = nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.Dropout(0.3), nn.Tanh(), nn.Linear(5, 1))
        options = {"momentum": 0.9} if name in ("SGD", "RMSprop") else {"max_iter": 3} if name == "LBFGS" else {}
        self.optimizer = OPTIMIZERS[name](self.net.parameters(), lr=0.01, **options)
        self.schedule = schedules.CosineAnnealingWarmRestarts(self.optimizer, 5, 2)
        self.loader = data.DataLoader(data.TensorDataset(tl.tensor(x)), 4, shuffle=True)
        self.batches = iter(self.loader)

    def steps(self, n: int) -> None:
        for _ in range(n):
            try:
                (x,) = next(self.batches)
            except StopIteration:
                self.batches = iter(self.loader)
                (x,) = next(self.batches)

            def closure(x: Any = x) -> Any:
                self.optimizer.zero_grad()
                loss = (self.net(x) ** 2).mean()
                loss.backward()
                return loss

            self.optimizer.step(closure)
            self.schedule.step()

    def state(self) -> dict[str, Any]:
        return {
            "net": self.net.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "loader": self.loader.state_dict(),
            "random": tl.random.default_generator.get_state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.net.load_state_dict(state["net"])
        self.schedule.load_state_dict(state["schedule"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.loader.load_state_dict(state["loader"])
        tl.random.default_generator.set_state(state["random"])
        self.batches = iter(self.loader)

    def result(self) -> str:
        return repr([t.numpy().tobytes() for t in self.net.state_dict().values()])


@pytest.mark.parametrize("name", OPTIMIZERS)
@settings(max_examples=4)
@given(k=st.integers(0, 9))
def test_resumed_training_is_bit_for_bit_the_same(name: str, k: int) -> None:
    import tempfile

    whole = Run(name)
    whole.steps(9)
    first = Run(name)
    first.steps(k)
    with tempfile.TemporaryDirectory() as folder:
        tl.save(first.state(), Path(folder) / "c")
        state = tl.load(Path(folder) / "c")
    second = Run(name, seed=7)
    second.restore(state)
    second.steps(9 - k)
    assert second.result() == whole.result()


def test_resumed_in_a_new_process(tmp_path: Path) -> None:
    whole = Run("AdamW")
    whole.steps(9)
    first = Run("AdamW")
    first.steps(5)
    tl.save(first.state(), tmp_path / "c")
    program = (
        "import sys; import tensorlite as tl; from tests.tensorlite.optim.test_optimizer import Run\n"
        "run = Run('AdamW', 3); run.restore(tl.load(sys.argv[1])); run.steps(4); print(run.result())"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "c")], capture_output=True, text=True, cwd=root, check=True
    )
    assert done.stdout.strip() == whole.result()


def test_loading_a_state_copies_it() -> None:
    p = nn.Parameter(tl.ones(2))
    p.grad = tl.ones(2)
    source = optim.Adam([p])
    source.step()
    saved = source.state_dict()
    kept = copy.deepcopy({k: v.tolist() for k, v in saved["state"][0].items()})
    target = optim.Adam([p])
    target.load_state_dict(saved)
    target.step()
    assert {k: v.tolist() for k, v in saved["state"][0].items()} == kept


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("case", ["overlapping", "same twice", "infinite gradient"])
def test_adam_on_parameters_that_share_memory_and_on_gradients_beyond_range(case):
    def trained(lib, optim):
        base = lib.ones(20)
        params = [lib.nn.Parameter(base[:10]), lib.nn.Parameter(base[5:15])]
        given = [params[0], params[1], params[0]] if case == "same twice" else params
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*duplicate")
            optimizer = optim(given, lr=0.1)
        for step in range(1, 4):
            for p in params:
                p.grad = lib.full((10,), float("inf") if case == "infinite gradient" else step * 0.5 - 1)
            optimizer.step()
        return [p.detach().numpy() for p in params]

    for ours, theirs in zip(trained(tl, tl.optim.Adam), trained(torch, torch.optim.Adam), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_a_parameter_that_took_another_shape_is_not_updated_with_its_old_moments() -> None:
    params = [nn.Parameter(tl.ones(3, 4)), nn.Parameter(tl.ones(5))]
    optimizer = optim.Adam(params)
    for p in params:
        p.grad = tl.ones(p.shape)
    optimizer.step()
    params[0].grad = None
    params[0].data = tl.ones(4, 3)
    params[0].grad = tl.ones(4, 3)
    with pytest.raises((RuntimeError, ValueError), match=r"\(3,4\)|size"):
        optimizer.step()


@pytest.mark.parametrize("name", ["NAdam", "ASGD", "Adam"])
def test_the_state_of_a_complex_number_can_be_loaded(name: str) -> None:
    """Numbers among the state, such as a product of momenta, stay real beside a parameter that is a complex number."""
    results = []
    for lib in (tl, torch):
        p = lib.tensor(1 + 2j, dtype=lib.complex128, requires_grad=True)
        optimizer = getattr(lib.optim, name)([p], lr=0.1)
        for _ in range(3):
            p.grad = lib.tensor(0.5 - 1j, dtype=lib.complex128)
            optimizer.step()
            optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))
        results.append(p.detach().numpy())
    np.testing.assert_allclose(*results, rtol=1e-6)
