"""torch's own optimizer database run through tensorlite: the whole trajectory in float64, and state_dicts in both directions."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from torch.testing._internal.common_optimizers import OptimizerInfo, optim_db

import tensorlite as tl
from tensorlite import optim

from .convert import to_lite

#: Optimizers of the database that tensorlite does not have, and why.
LEFT_OUT = {
    "Muon": "orthogonalises in bfloat16, which NumPy does not have",
    "SparseAdam": "works on sparse gradients only, and those of embeddings are dense here",
}

STEPS = 20

#: Fewer steps than 20, and why: L-BFGS with a tiny rate and a full history of 100 multiplies rounding errors (two runs of torch itself whose
#: starting points differ by 1e-15 are 1e-9 apart after 200 iterations).
FEWER_STEPS = {"LBFGS-1": 8}

PRESENT = [
    (info, i)
    for info in optim_db
    if info.optim_cls.__name__ not in LEFT_OUT
    for i in range(len(info.optim_inputs_func(device="cpu")))
]


def name_of(case: tuple[OptimizerInfo, int]) -> str:
    return f"{case[0].optim_cls.__name__}-{case[1]}"


def test_every_optimizer_is_there_or_left_out_for_a_reason() -> None:
    missing = {info.optim_cls.__name__ for info in optim_db if not hasattr(optim, info.optim_cls.__name__)}
    assert missing == set(LEFT_OUT)


class Problem:
    """A smooth loss of two matrices and a vector, one of them complex if wanted; the same in both libraries."""

    def __init__(self, seed: int, dtype: str = "float64", is_complex: bool = False) -> None:
        rng = np.random.default_rng(seed)
        self.start = [rng.standard_normal((3, 4)), rng.standard_normal(4), rng.standard_normal((4, 2))]
        if is_complex:
            self.start = [a + 1j * rng.standard_normal(a.shape) for a in self.start]
        else:
            self.start = [a.astype(dtype) for a in self.start]
        self.x = rng.standard_normal((6, 3)).astype(self.start[0].real.dtype)

    def torch_params(self) -> list[Any]:
        return [torch.nn.Parameter(torch.tensor(a)) for a in self.start]

    def params(self) -> list[Any]:
        return [tl.tensor(a).requires_grad_() for a in self.start]

    def closure(self, lib: Any, optimizer: Any, params: list[Any]) -> Any:
        x = lib.tensor(self.x.astype(self.start[0].dtype))

        def loss() -> Any:
            optimizer.zero_grad()
            w, b, v = params
            h = (x @ w + b) @ v
            value = ((h.real**2 + h.imag**2 if h.dtype.is_complex else h**2) + 1).sqrt().sum() + sum(
                (abs(p) ** 2).sum() for p in params
            ) / 20
            value.backward()
            return value

        return loss


def make(info: OptimizerInfo, i: int, problem: Problem) -> tuple[Any, Any, list[Any], list[Any], dict[str, Any]]:
    kwargs = dict(info.optim_inputs_func(device="cpu")[i].kwargs)
    ps, qs = problem.torch_params(), problem.params()
    reference = info.optim_cls(ps, **kwargs)
    ours = getattr(optim, info.optim_cls.__name__)(qs, **to_lite(kwargs))
    return reference, ours, ps, qs, kwargs


def run(
    problem: Problem,
    reference: Any,
    ours: Any,
    ps: list[Any],
    qs: list[Any],
    steps: int,
    tolerance: float,
    context: Any,
) -> None:
    for _ in range(steps):
        expected = reference.step(problem.closure(torch, reference, ps))
        got = ours.step(problem.closure(tl, ours, qs))
        np.testing.assert_allclose(got.item(), expected.item(), rtol=max(tolerance, 1e-12), err_msg=str(context))
        for p, q in zip(ps, qs, strict=True):
            np.testing.assert_allclose(
                q.detach().numpy(), p.detach().numpy(), rtol=tolerance, atol=tolerance, err_msg=str(context)
            )


WITH_KERNEL = ("SGD", "Adam", "AdamW")


@pytest.mark.parametrize(
    ("case", "kernel"),
    [*((c, False) for c in PRESENT), *((c, True) for c in PRESENT if c[0].optim_cls.__name__ in WITH_KERNEL)],
    ids=lambda v: name_of(v) if isinstance(v, tuple) else ("kernel" if v else "plain"),
)
def test_trajectory(case: tuple[OptimizerInfo, int], kernel: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tensorlite.optim.sgd.SMALL", 0 if kernel else 10**9)
    problem = Problem(seed=case[1])
    reference, ours, ps, qs, kwargs = make(*case, problem)
    run(problem, reference, ours, ps, qs, FEWER_STEPS.get(name_of(case), STEPS), 1e-10, kwargs)
    theirs, own = reference.state_dict(), ours.state_dict()
    assert [set(g) for g in own["param_groups"]] == [set(g) for g in theirs["param_groups"]]
    assert {k: set(v) for k, v in own["state"].items()} == {k: set(v) for k, v in theirs["state"].items()}
    for key, state in theirs["state"].items():
        for name, value in state.items():
            if isinstance(value, torch.Tensor):
                np.testing.assert_allclose(np.asarray(own["state"][key][name]), value.numpy(), rtol=1e-8, atol=1e-10)
                if value.ndim:
                    assert str(own["state"][key][name].dtype) == str(value.dtype).replace("torch", "tensorlite")


@pytest.mark.parametrize("case", [c for c in PRESENT if c[1] in (0, 3)], ids=name_of)
def test_state_dict_from_torch_continues_the_trajectory(case: tuple[OptimizerInfo, int]) -> None:
    problem = Problem(seed=5)
    reference, ours, ps, qs, kwargs = make(*case, problem)
    for _ in range(3):
        reference.step(problem.closure(torch, reference, ps))
    for p, q in zip(ps, qs, strict=True):
        q.data = tl.tensor(p.detach().numpy().copy())
    ours.load_state_dict(copy.deepcopy(reference.state_dict()))
    run(problem, reference, ours, ps, qs, 5, 1e-10, kwargs)


@pytest.mark.parametrize("case", [c for c in PRESENT if c[1] in (0, 3)], ids=name_of)
def test_state_dict_for_torch_continues_the_trajectory(case: tuple[OptimizerInfo, int]) -> None:
    problem = Problem(seed=6)
    reference, ours, ps, qs, kwargs = make(*case, problem)
    for _ in range(3):
        ours.step(problem.closure(tl, ours, qs))
    for p, q in zip(ps, qs, strict=True):
        p.data = torch.tensor(q.detach().numpy().copy())
    reference.load_state_dict(to_torch(ours.state_dict()))
    run(problem, reference, ours, ps, qs, 5, 1e-10, kwargs)


def to_torch(value: Any) -> Any:
    if isinstance(value, tl.Tensor):
        return torch.tensor(value.numpy())
    if isinstance(value, dict):
        return {k: to_torch(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(to_torch(v) for v in value)
    return value


@pytest.mark.parametrize("case", [c for c in PRESENT if c[1] == 0], ids=name_of)
def test_float32_stays_float32(case: tuple[OptimizerInfo, int]) -> None:
    problem = Problem(seed=1, dtype="float32")
    reference, ours, ps, qs, kwargs = make(*case, problem)
    run(problem, reference, ours, ps, qs, 5, 2e-4, kwargs)
    assert all(q.dtype == tl.float32 for q in qs)
    tensors = [t for state in ours.state.values() for t in state.values() if isinstance(t, tl.Tensor)]
    assert all(t.dtype == tl.float32 for t in tensors)


@pytest.mark.parametrize("case", [c for c in PRESENT if c[1] == 0 and c[0].supports_complex], ids=name_of)
def test_complex_parameters(case: tuple[OptimizerInfo, int]) -> None:
    problem = Problem(seed=2, is_complex=True)
    reference, ours, ps, qs, kwargs = make(*case, problem)
    run(problem, reference, ours, ps, qs, 5, 1e-9, kwargs)


SCHEDULES: dict[str, Any] = {
    "LambdaLR": lambda s, o: s.LambdaLR(o, lambda e: 0.9**e),
    "MultiplicativeLR": lambda s, o: s.MultiplicativeLR(o, lambda e: 1 - 1 / (e + 1)),
    "StepLR": lambda s, o: s.StepLR(o, 3, 0.5),
    "MultiStepLR": lambda s, o: s.MultiStepLR(o, [2, 5, 5], 0.3),
    "ConstantLR": lambda s, o: s.ConstantLR(o, 0.25, 4),
    "LinearLR": lambda s, o: s.LinearLR(o, 0.2, 0.8, 6),
    "ExponentialLR": lambda s, o: s.ExponentialLR(o, 0.8),
    "PolynomialLR": lambda s, o: s.PolynomialLR(o, 7, 1.7),
    "CosineAnnealingLR": lambda s, o: s.CosineAnnealingLR(o, 4, 0.01),
    "CosineAnnealingWarmRestarts": lambda s, o: s.CosineAnnealingWarmRestarts(o, 3, 2, 0.001),
    "CyclicLR": lambda s, o: s.CyclicLR(o, 0.01, 0.1, 3, 5),
    "CyclicLR2": lambda s, o: s.CyclicLR(o, 0.01, 0.1, 3, mode="triangular2"),
    "CyclicLR3": lambda s, o: s.CyclicLR(o, 0.01, 0.1, 3, mode="exp_range", gamma=0.9),
    "OneCycleLR": lambda s, o: s.OneCycleLR(o, 0.5, total_steps=25),
    "OneCycleLR3": lambda s, o: s.OneCycleLR(
        o, [0.5, 0.4], epochs=5, steps_per_epoch=5, three_phase=True, anneal_strategy="linear"
    ),
    "SequentialLR": lambda s, o: s.SequentialLR(
        o, [s.LinearLR(o, 0.1, 1.0, 4), s.ExponentialLR(o, 0.9), s.StepLR(o, 2)], [4, 9]
    ),
    "ChainedScheduler": lambda s, o: s.ChainedScheduler([s.ConstantLR(o, 0.1, 3), s.ExponentialLR(o, 0.9)]),
    "SWALR": lambda s, o: (torch.optim if s is torch.optim.lr_scheduler else optim).swa_utils.SWALR(o, 0.05, 6),
}


def pair(lib: Any, params: list[Any]) -> Any:
    return lib.SGD([{"params": params[:1], "lr": 0.1}, {"params": params[1:], "lr": 0.03}], momentum=0.9)


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedule(name: str) -> None:
    problem = Problem(0)
    ps, qs = problem.torch_params(), problem.params()
    reference, ours = pair(torch.optim, ps), pair(optim, qs)
    theirs, own = SCHEDULES[name](torch.optim.lr_scheduler, reference), SCHEDULES[name](optim.lr_scheduler, ours)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for step in range(20):
            options = [[(g["lr"], g["momentum"]) for g in o.param_groups] for o in (reference, ours)]
            np.testing.assert_allclose(options[1], options[0], rtol=1e-12, err_msg=f"{name} at step {step}")
            np.testing.assert_allclose(own.get_last_lr(), theirs.get_last_lr(), rtol=1e-12)
            reference.step()
            ours.step()
            theirs.step()
            own.step()
            if step == 7:  # a schedule restored in the middle goes on the same
                again = SCHEDULES[name](optim.lr_scheduler, pair(optim, qs))
                again.load_state_dict(copy.deepcopy(own.state_dict()))
                again.optimizer.load_state_dict(ours.state_dict())
                own, ours = again, again.optimizer


def test_reduce_on_plateau() -> None:
    problem = Problem(0)
    rng = np.random.default_rng(0)
    for options in (
        {},
        {"mode": "max", "threshold_mode": "abs", "threshold": 0.1},
        {"cooldown": 2, "min_lr": [1e-3, 1e-2]},
    ):
        both = []
        for lib, params in ((torch.optim, problem.torch_params()), (optim, problem.params())):
            optimizer = pair(lib, params)
            both.append((optimizer, lib.lr_scheduler.ReduceLROnPlateau(optimizer, patience=1, factor=0.5, **options)))
        for metric in rng.standard_normal(30):
            for _, schedule in both:
                schedule.step(metric)
            assert both[0][1].get_last_lr() == both[1][1].get_last_lr()
