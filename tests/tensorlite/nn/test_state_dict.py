"""state_dicts: strictness, messages, versions, extra state and hooks."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch

import tensorlite as tl
from tensorlite import nn


def message(lib: Any, state: dict[str, Any]) -> str:
    net = lib.nn.Sequential(lib.nn.Linear(2, 3), lib.nn.BatchNorm1d(3))
    with pytest.raises(RuntimeError) as caught:
        net.load_state_dict(state)
    return re.sub(r"\b(tensorlite|torch)\.", "", str(caught.value))


def test_the_three_messages_are_torchs() -> None:
    def state(lib: Any) -> dict[str, Any]:
        return {
            "0.weight": lib.ones(2, 2),
            "0.bais": lib.ones(3),
            "1.weight": lib.ones(3),
            "extra.x": lib.ones(1),
            "1.weight.x": lib.ones(1),
        }

    assert message(tl, state(tl)) == message(torch, state(torch))


def test_not_strict_returns_and_loads_the_rest() -> None:
    net = nn.Linear(2, 3)
    found = net.load_state_dict({"weight": tl.full((3, 2), 7.0), "other": tl.ones(1)}, strict=False)
    assert found.missing_keys == ["bias"]
    assert found.unexpected_keys == ["other"]
    assert (net.weight.detach().numpy() == 7).all()
    assert str(net.load_state_dict(net.state_dict())) == "<All keys matched successfully>"


def test_not_strict_warns_when_nothing_matched() -> None:
    with pytest.warns(UserWarning, match=r"loaded nothing.*'module\.weight'.*'weight'"):
        nn.Linear(2, 3).load_state_dict({"module.weight": tl.ones(3, 2)}, strict=False)


def test_a_size_mismatch_is_an_error_even_if_not_strict() -> None:
    with pytest.raises(RuntimeError, match="size mismatch for weight"):
        nn.Linear(2, 3).load_state_dict({"weight": tl.ones(2, 2)}, strict=False)


def test_values_are_copied_and_cast_and_may_be_arrays() -> None:
    net = nn.Linear(2, 3)
    source = np.arange(6.0).reshape(3, 2)
    net.load_state_dict({"weight": source, "bias": torch.ones(3, dtype=torch.float64)})
    source[:] = -1
    assert net.weight.dtype == tl.float32
    assert net.weight.detach().numpy().ravel().tolist() == [0, 1, 2, 3, 4, 5]


def test_a_state_dict_shares_memory_and_carries_no_history() -> None:
    net = nn.Linear(2, 3)
    state = net.state_dict()
    assert not state["weight"].requires_grad
    assert np.shares_memory(state["weight"].numpy(), net.weight.detach().numpy())
    assert net.state_dict(keep_vars=True)["weight"] is net.weight


def test_loading_is_noticed_by_autograd() -> None:
    net = nn.Linear(2, 3)
    loss = (net(tl.ones(1, 2, requires_grad=True)) ** 2).sum()
    net.load_state_dict({k: v.clone() for k, v in net.state_dict().items()})
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_assign_keeps_the_given_tensors() -> None:
    net, given = nn.Linear(2, 3), tl.ones(3, 2, dtype=tl.float64)
    net.load_state_dict({"weight": given, "bias": tl.ones(3)}, assign=True)
    assert net.weight.dtype == tl.float64
    assert isinstance(net.weight, nn.Parameter)
    assert np.shares_memory(net.weight.detach().numpy(), given.numpy())


def test_extra_state_and_hooks() -> None:
    class Counter(nn.Module):
        count = 3

        def get_extra_state(self) -> Any:
            return {"count": self.count}

        def set_extra_state(self, state: Any) -> None:
            self.count = state["count"]

    net = nn.Sequential(Counter())
    state = net.state_dict()
    assert state == {"0._extra_state": {"count": 3}}
    net[0].count = 0
    net.load_state_dict(state)
    assert net[0].count == 3
    with pytest.raises(RuntimeError, match="Missing key"):
        net.load_state_dict({})
    net[0].register_load_state_dict_post_hook(lambda m, keys: keys.missing_keys.clear())
    net.load_state_dict({})
    lin = nn.Linear(1, 1)
    lin._register_load_state_dict_pre_hook(
        lambda state, prefix, *rest: state.update({prefix + "weight": state.pop(prefix + "w")})
    )
    lin.load_state_dict({"w": tl.ones(1, 1), "bias": tl.ones(1)})
    assert lin.weight.item() == 1


def test_batch_norm_reads_checkpoints_from_before_the_counter() -> None:
    for lib in (tl, torch):
        net = lib.nn.BatchNorm1d(3)
        state = {k: v for k, v in net.state_dict().items() if k != "num_batches_tracked"}

        class WithVersion(dict):  # type: ignore[type-arg]
            _metadata = {"": {"version": 1}}  # noqa: RUF012

        net.load_state_dict(WithVersion(state))
        wrong = WithVersion(state)
        wrong._metadata = {"": {"version": 2}}
        with pytest.raises(RuntimeError, match=r'Missing key.*"num_batches_tracked"'):
            net.load_state_dict(wrong)


def test_lazy_modules_load_and_infer() -> None:
    lazy = nn.LazyLinear(4)
    with pytest.raises(RuntimeError, match="uninitialized"):
        _ = lazy.weight.shape
    lazy.load_state_dict(nn.Linear(3, 4).state_dict())
    assert lazy.weight.shape == (4, 3)
    conv = nn.LazyConv2d(5, 3)
    assert conv(tl.ones(1, 2, 6, 6)).shape == (1, 5, 4, 4)
    assert type(conv) is nn.Conv2d
    norm = nn.LazyBatchNorm1d()
    norm(tl.ones(4, 7))
    assert norm.running_mean is not None
    assert norm.running_mean.shape == (7,)
