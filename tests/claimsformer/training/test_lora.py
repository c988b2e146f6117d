"""LoRA: the algebra, what learns, errors, and adapters that move to peft and back."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import peft
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import tensorlite as tl
from claimsformer.errors import ConfigError, ReadError
from claimsformer.training import (
    CrossEntropy,
    LoraConfig,
    LoraLinear,
    Trainer,
    count_parameters,
    inject,
    load_adapter,
    lora_layers,
    merge,
    merge_and_unload,
    save_adapter,
    unmerge,
)
from tensorlite import nn
from tensorlite.nn import functional as F


class Tiny(nn.Module):
    """Names as in Phi: two blocks and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(11, 6)
        self.layers = nn.ModuleList([Block() for _ in range(2)])
        self.lm_head = nn.Linear(6, 11)

    def forward(self, ids: tl.Tensor) -> tl.Tensor:
        x = self.embed_tokens(ids)
        for block in self.layers:
            x = x + block(x)
        return self.lm_head(x)


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.q_proj, self.fc1, self.fc2 = nn.Linear(6, 6), nn.Linear(6, 10), nn.Linear(10, 6)

    def forward(self, x: tl.Tensor) -> tl.Tensor:
        return self.fc2(self.fc1(self.q_proj(x)).relu())


class TorchTiny(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed_tokens = torch.nn.Embedding(11, 6)
        self.layers = torch.nn.ModuleList([TorchBlock() for _ in range(2)])
        self.lm_head = torch.nn.Linear(6, 11)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.embed_tokens(ids)
        for block in self.layers:
            x = x + block(x)
        return self.lm_head(x)


class TorchBlock(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.q_proj, self.fc1, self.fc2 = (torch.nn.Linear(6, 6), torch.nn.Linear(6, 10), torch.nn.Linear(10, 6))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc2(self.fc1(self.q_proj(x)).relu())


IDS = np.random.default_rng(0).integers(0, 11, (3, 5))
TARGETS = ("q_proj", "fc1", "fc2")


def tiny(seed: int = 0) -> Tiny:
    with tl.random.fork_rng():
        tl.manual_seed(seed)
        return Tiny()


def twins() -> tuple[Tiny, TorchTiny]:
    ours, theirs = tiny(), TorchTiny()
    theirs.load_state_dict({k: torch.tensor(v.numpy()) for k, v in ours.state_dict().items()})
    return ours, theirs


def logits(model: nn.Module) -> np.ndarray:
    return model(tl.from_numpy(IDS)).detach().numpy()


def randomize(model: nn.Module, seed: int = 3) -> None:
    rng = np.random.default_rng(seed)
    with tl.no_grad():
        for layer in lora_layers(model).values():
            layer.lora_B.weight.copy_(tl.from_numpy(rng.normal(size=layer.lora_B.weight.shape).astype(np.float32)))


def test_an_injected_model_computes_what_it_computed() -> None:
    model = tiny()
    before, names = logits(model), set(dict(model.named_parameters()))
    assert inject(model, LoraConfig(target_modules=TARGETS, r=2)) == [
        f"layers.{i}.{name}" for i in range(2) for name in TARGETS
    ]
    np.testing.assert_array_equal(logits(model), before)
    assert names < set(dict(model.named_parameters()))


def test_starting_values_and_what_learns() -> None:
    model = tiny()
    inject(model, LoraConfig(target_modules=TARGETS, r=4))
    for layer in lora_layers(model).values():
        a, bound = layer.lora_A.weight.detach().numpy(), 1 / np.sqrt(layer.in_features)
        assert np.abs(a).max() <= bound
        assert np.abs(a).max() > 0.7 * bound
        assert not layer.lora_B.weight.detach().numpy().any()
    learning = {name for name, p in model.named_parameters() if p.requires_grad}
    assert learning == {f"{name}.lora_{x}.weight" for name in lora_layers(model) for x in "AB"}
    per_block = 4 * (6 + 6 + 6 + 10 + 10 + 6)  # r (in + out) of each layer
    assert count_parameters(model).trainable == 2 * per_block


def test_at_the_first_step_the_gradient_of_a_is_zero_and_that_of_b_is_not() -> None:
    model = tiny()
    inject(model, LoraConfig(target_modules=TARGETS, r=2))
    out = model(tl.from_numpy(IDS))
    out.backward(tl.from_numpy(np.random.default_rng(1).normal(size=out.shape).astype(np.float32)))
    for layer in lora_layers(model).values():
        assert not layer.lora_A.weight.grad.numpy().any()
        assert layer.lora_B.weight.grad.numpy().any()
        assert layer.weight.grad is None


@given(st.integers(1, 5), st.floats(0.5, 64), st.booleans())
def test_scaling_merging_and_unmerging(r: int, alpha: float, rslora: bool) -> None:
    model = tiny()
    config = LoraConfig(target_modules="all-linear", r=r, alpha=alpha, rslora=rslora)
    inject(model, config)
    randomize(model)
    layer = lora_layers(model)["layers.0.fc1"]
    b, a = layer.lora_B.weight.detach().numpy(), layer.lora_A.weight.detach().numpy()
    x = np.random.default_rng(2).normal(size=(4, 6)).astype(np.float32)
    weight = layer.weight.detach().numpy() + alpha / (np.sqrt(r) if rslora else r) * b @ a
    expected = x @ weight.T + layer.bias.detach().numpy()
    np.testing.assert_allclose(layer(tl.from_numpy(x)).detach().numpy(), expected, rtol=1e-3, atol=1e-3)
    adapted = logits(model)
    stored = {name: p.detach().numpy().copy() for name, p in model.named_parameters()}
    merge(model)
    merge(model)
    np.testing.assert_allclose(logits(model), adapted, rtol=1e-3, atol=1e-3 * np.abs(adapted).max())
    unmerge(model)
    for name, p in model.named_parameters():
        np.testing.assert_array_equal(p.detach().numpy(), stored[name])
    np.testing.assert_array_equal(logits(model), adapted)
    plain = merge_and_unload(model)
    assert not lora_layers(plain)
    assert set(dict(plain.named_parameters())) == set(dict(tiny().named_parameters()))
    assert count_parameters(plain).trainable == count_parameters(plain).total


def test_dropout_acts_on_the_adapter_alone() -> None:
    model = tiny()
    inject(model, LoraConfig(target_modules=("fc1",), r=2, dropout=0.5))
    layer = lora_layers(model)["layers.0.fc1"]
    x = tl.from_numpy(np.ones((200, 6), np.float32))
    plain = F.linear(x, layer.weight, layer.bias).detach().numpy()
    np.testing.assert_array_equal(layer(x).detach().numpy(), plain)  # B is zero, so nothing of the adapter shows
    randomize(model)
    noisy = layer(x).detach().numpy() - plain
    assert np.unique(noisy, axis=0).shape[0] > 10
    layer.eval()
    assert np.unique(layer(x).detach().numpy(), axis=0).shape[0] == 1


def test_training_moves_every_adapter_and_nothing_else() -> None:
    model = tiny()
    inject(model, LoraConfig(target_modules=TARGETS, r=2))
    frozen = {n: p.detach().numpy().copy() for n, p in model.named_parameters() if not p.requires_grad}
    labels = np.random.default_rng(5).integers(0, 11, IDS.shape)
    Trainer(model, CrossEntropy(), lr=1e-2, batch_size=3, progress=False).fit((IDS, labels), epochs=5)
    for layer in lora_layers(model).values():
        assert layer.lora_B.weight.detach().numpy().any()
    for name, p in model.named_parameters():
        if name in frozen:
            np.testing.assert_array_equal(p.detach().numpy(), frozen[name])


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (("q_proj", "Wqkv"), "'Wqkv' matches no linear layer\n.*end in fc1, fc2, lm_head, q_proj"),
        (("fc3",), "did you mean 'fc"),
        (("embed_tokens",), "is Embedding: LoRA adapts linear layers only"),
        (r".*\.conv", "matches no linear layer"),
    ],
)
def test_a_target_that_matches_nothing_is_an_error(targets: tuple[str, ...] | str, message: str) -> None:
    model = tiny()
    with pytest.raises(ConfigError, match=message):
        inject(model, LoraConfig(target_modules=targets))
    assert all(p.requires_grad for p in model.parameters())


def test_other_errors() -> None:
    for options in ({"r": 0}, {"dropout": 1.0}, {"bias": "some"}, {"target_modules": ()}):
        with pytest.raises(ConfigError):
            LoraConfig(**{"target_modules": TARGETS, **options})
    model, config = tiny(), LoraConfig(target_modules=r"layers\.\d\.fc[12]")
    with pytest.raises(ConfigError, match="no LoRA adapters to save"):
        save_adapter(model, config, "nowhere")
    assert len(inject(model, config)) == 4
    with pytest.raises(ConfigError, match="already"):
        inject(model, config)


def test_a_shared_weight_is_not_merged() -> None:
    model = tiny()
    model.lm_head.weight = model.embed_tokens.weight
    inject(model, LoraConfig(target_modules=("lm_head",)))
    with pytest.raises(ConfigError, match=r"also embed_tokens\.weight"):
        merge(model)


# -- peft -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bias", ["none", "all", "lora_only"])
@pytest.mark.parametrize("rslora", [False, True])
def test_an_adapter_trained_by_peft_loads_here(tmp_path: Path, bias: str, rslora: bool) -> None:
    ours, theirs = twins()
    torch.manual_seed(0)
    config = peft.LoraConfig(r=3, lora_alpha=5, target_modules=list(TARGETS), bias=bias, use_rslora=rslora)
    adapted = peft.get_peft_model(theirs, config)
    optimizer = torch.optim.AdamW([p for p in adapted.parameters() if p.requires_grad], lr=1e-2)
    ids, labels = torch.tensor(IDS), torch.tensor(np.random.default_rng(5).integers(0, 11, IDS.shape))
    for _ in range(5):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(adapted(ids).reshape(-1, 11), labels.reshape(-1)).backward()
        optimizer.step()
    adapted.save_pretrained(tmp_path)
    found = load_adapter(ours, tmp_path)
    assert (found.r, found.alpha, found.rslora, found.bias) == (3, 5, rslora, bias)
    expected = adapted(ids).detach().numpy()
    np.testing.assert_allclose(logits(ours), expected, atol=1e-5)
    np.testing.assert_allclose(
        logits(merge_and_unload(ours)), adapted.merge_and_unload()(ids).detach().numpy(), atol=1e-4
    )


@pytest.mark.parametrize(
    ("bias", "targets"),
    [("none", TARGETS), ("all", TARGETS), ("lora_only", TARGETS), ("none", "all-linear"), ("none", r".*\.1\.fc[12]")],
)
def test_an_adapter_made_here_loads_in_peft(tmp_path: Path, bias: str, targets: tuple[str, ...] | str) -> None:
    ours, theirs = twins()
    config = LoraConfig(target_modules=targets, r=2, alpha=7.0, bias=bias)
    inject(ours, config)
    labels = np.random.default_rng(5).integers(0, 11, IDS.shape)
    Trainer(ours, CrossEntropy(), lr=1e-2, batch_size=3, progress=False).fit((IDS, labels), epochs=5)
    save_adapter(ours, config, tmp_path)
    loaded = peft.PeftModel.from_pretrained(theirs, tmp_path)
    expected = logits(ours)
    np.testing.assert_allclose(loaded(torch.tensor(IDS)).detach().numpy(), expected, atol=1e-5)
    merge(ours)
    np.testing.assert_allclose(loaded.merge_and_unload()(torch.tensor(IDS)).detach().numpy(), logits(ours), atol=1e-4)
    again = tiny()
    load_adapter(again, tmp_path)
    np.testing.assert_array_equal(logits(again), expected)


def test_counts_are_pefts() -> None:
    ours, theirs = twins()
    inject(ours, LoraConfig(target_modules="all-linear", r=3))
    adapted = peft.get_peft_model(theirs, peft.LoraConfig(r=3, target_modules=["q_proj", "fc1", "fc2"]))
    count = count_parameters(ours)
    assert (count.trainable, count.total) == adapted.get_nb_trainable_parameters()


def test_adapters_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match=r"adapter_config.json is not in"):
        load_adapter(tiny(), tmp_path)
    model, config = tiny(), LoraConfig(target_modules=TARGETS, r=2)
    inject(model, config)
    save_adapter(model, config, tmp_path)
    path, weights = tmp_path / "adapter_config.json", tmp_path / "adapter_model.safetensors"
    values, data = json.loads(path.read_text()), weights.read_bytes()
    path.write_text(json.dumps({**values, "use_dora": True}))
    with pytest.raises(ConfigError, match="use_dora"):
        load_adapter(tiny(), tmp_path)
    fresh = tiny()
    path.write_text(json.dumps({**values, "r": 4}))
    with pytest.raises(ReadError, match=r"does not fit the model: .*lora_[AB].weight is \("):
        load_adapter(fresh, tmp_path)
    path.write_text(json.dumps(values))
    weights.write_bytes(data[:-8])
    with pytest.raises(ReadError, match="cannot read"):
        load_adapter(fresh, tmp_path)
    weights.unlink()
    with pytest.raises(ReadError, match="is not in"):
        load_adapter(fresh, tmp_path)
    path.write_text("{}")
    with pytest.raises(ReadError, match="does not describe a LoRA adapter"):
        load_adapter(fresh, tmp_path)
    assert not lora_layers(fresh)
    assert isinstance(next(iter(lora_layers(model).values())), LoraLinear)


def test_a_lora_run_follows_pefts_curve(tmp_path: Path) -> None:
    """The same adapters, data, AdamW, linear decay and clipping: the losses of 60 updates, and the adapters after them."""
    ours, theirs = twins()
    torch.manual_seed(0)
    adapted = peft.get_peft_model(theirs, peft.LoraConfig(r=3, lora_alpha=6, target_modules=list(TARGETS)))
    adapted.save_pretrained(tmp_path)
    load_adapter(ours, tmp_path)
    labels = np.random.default_rng(5).integers(0, 11, IDS.shape)
    labels[0, 1:3] = -100
    learning = [p for p in adapted.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=1e-2, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: 1 - s / 60)
    expected = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(
            adapted(torch.tensor(IDS)).reshape(-1, 11), torch.tensor(labels).reshape(-1)
        )
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learning, 1.0)
        optimizer.step()
        schedule.step()
        expected.append(loss.item())
    trainer = Trainer(ours, CrossEntropy(), lr=1e-2, schedule="linear", batch_size=3, progress=False)
    losses = trainer.fit((IDS, labels), epochs=60).steps["loss"]
    np.testing.assert_allclose(losses, expected, atol=1e-4)
    assert losses[-1] < 0.8 * losses[0]
    for name, layer in lora_layers(ours).items():
        b = adapted.get_submodule(f"base_model.model.{name}").lora_B["default"].weight.detach().numpy()
        np.testing.assert_allclose(layer.lora_B.weight.detach().numpy(), b, atol=1e-3)


def test_the_state_of_a_merged_model_does_not_hold_the_difference_twice() -> None:
    config = LoraConfig(target_modules=("fc",), r=2)
    one, two = (nn.Sequential() for _ in range(2))
    for net in (one, two):
        tl.manual_seed(0)
        net.fc = nn.Linear(4, 3)
        inject(net, config)
    one.fc.lora_B.weight.data.copy_(tl.ones(3, 2))
    x = tl.randn(5, 4, generator=tl.Generator().manual_seed(1))
    expected = one(x).detach().numpy()
    merge(one)
    for net in (two, one):
        net.load_state_dict(one.state_dict())
        np.testing.assert_array_equal(net(x).detach().numpy(), expected)
    merge(one)
    with pytest.raises(ConfigError, match="merged and cannot learn"):
        Trainer(one, CrossEntropy(), progress=False).fit((np.ones((2, 4), np.float32), np.zeros(2, int)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target_modules": "["}, "regular expression"),
        ({"target_modules": "fc", "r": 1.5}, "r must be"),
        ({"target_modules": "fc", "alpha": None}, "alpha must be"),
        ({"target_modules": "fc", "alpha": float("nan")}, "alpha must be"),
        ({"target_modules": "fc", "dropout": "x"}, "dropout must be"),
    ],
)
def test_settings_of_an_adapter_are_checked_before_the_model_changes(options: dict, message: str) -> None:
    model = nn.Sequential()
    model.fc = nn.Linear(4, 3)
    with pytest.raises(ConfigError, match=message):
        inject(model, LoraConfig(**options))
    assert type(model.fc) is nn.Linear
    assert model.fc.weight.requires_grad
