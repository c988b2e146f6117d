"""capture(): what it records is what was computed, and nothing is left behind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tensorlite as tl
from claimsformer.transformer import Transformer, TransformerConfig
from claimsformer.transformer.inspection import attention_maps, attention_rollout, capture


def model(**changes: Any) -> Transformer:
    values = {"vocab_size": 11, "d_model": 16, "n_heads": 4, "d_ff": 24, "init_std": 0.3, **changes}
    return Transformer(TransformerConfig(**values), seed=0).double()


IDS = np.random.default_rng(0).integers(0, 11, (2, 6))
NAME = "decoder.layers.1.self_attention"


def test_records_inputs_outputs_and_weights_of_the_pass() -> None:
    net = model()
    plain = net(IDS)
    with capture(net) as seen:
        out = net(IDS)
    np.testing.assert_allclose(out.detach().numpy(), plain.detach().numpy(), atol=1e-12)
    assert set(seen) == {name for name, m in net.named_modules() if name} - {"decoder.layers", "lm_head"} | {"lm_head"}
    np.testing.assert_array_equal(seen["lm_head"].output.numpy(), out.detach().numpy())
    np.testing.assert_array_equal(seen["lm_head"].inputs[0].numpy(), seen["decoder"].output.numpy())
    record = seen[NAME]
    layer = net.decoder.layers[1].self_attention  # type: ignore[union-attr]
    again = layer(record.inputs[0], is_causal=True, need_weights=True)[1]
    np.testing.assert_allclose(record.weights.numpy(), again.detach().numpy(), atol=1e-12)  # type: ignore[union-attr]
    assert not record.output.requires_grad


def test_gradients_are_those_of_autograd() -> None:
    net = model()
    cotangent = tl.randn(2, 6, 11, dtype=tl.float64, generator=tl.Generator().manual_seed(0))
    with capture(net) as seen:
        net(IDS).backward(cotangent)
    head, norm = seen["lm_head"], seen["decoder.norm"]
    np.testing.assert_array_equal(head.output_gradient.numpy(), cotangent.numpy())  # type: ignore[union-attr]
    expected = cotangent.numpy() @ net.lm_head.weight.detach().numpy()  # type: ignore[union-attr]
    np.testing.assert_allclose(head.input_gradients[0].numpy(), expected)  # type: ignore[union-attr]
    np.testing.assert_allclose(norm.output_gradient.numpy(), expected)  # type: ignore[union-attr]


def test_gradient_of_attention_weights() -> None:
    """Perturb one weight by hand: the change of the output is what the recorded gradient says."""
    net = model(n_layers=1, n_heads=1)
    layer = net.decoder.layers[0].self_attention  # type: ignore[union-attr]
    x = tl.randn(1, 4, 16, dtype=tl.float64, requires_grad=True, generator=tl.Generator().manual_seed(0))
    cotangent = tl.randn(1, 4, 16, dtype=tl.float64, generator=tl.Generator().manual_seed(1))
    with capture(net, "decoder.layers.0.self_attention") as seen:
        layer(x, is_causal=True).backward(cotangent)
    record = seen["decoder.layers.0.self_attention"]
    value = layer.v_proj(x).detach().numpy()[0]
    upstream = (cotangent.numpy() @ layer.out_proj.weight.detach().numpy())[0]
    np.testing.assert_allclose(record.weights_gradient.numpy()[0, 0], upstream @ value.T)  # type: ignore[union-attr]


def test_gradients_of_several_calls_belong_to_their_calls() -> None:
    net = model()
    with capture(net, "lm_head") as seen:
        a, b = net(IDS), net(IDS[:1])
        (a.sum() + 2 * b.sum()).backward()
    first, second = seen.calls["lm_head"]
    assert (first.output_gradient.numpy() == 1).all()  # type: ignore[union-attr]
    assert (second.output_gradient.numpy() == 2).all()  # type: ignore[union-attr]
    assert seen["lm_head"] is second


def test_nothing_is_left_behind() -> None:
    net = model()
    with pytest.raises(TypeError), capture(net):
        net(IDS / 2)
    with capture(net, "lm_head") as seen:
        pass
    net(IDS)
    assert not seen
    for module in net.modules():
        assert getattr(module, "on_weights", None) is None
        hooks = module._hooks
        assert hooks is None or not (hooks.forward or hooks.backward)


def test_nested_captures_both_see_the_weights() -> None:
    net = model()
    with capture(net, NAME) as outer:
        with capture(net, NAME) as inner:
            net(IDS)
        net(IDS)
    assert len(outer.calls[NAME]) == 2
    assert len(inner.calls[NAME]) == 1
    assert all(record.weights is not None for record in (*outer.calls[NAME], *inner.calls[NAME]))


def test_names_that_match_nothing() -> None:
    with pytest.raises(
        ValueError, match=r"no module matches 'decoder.layers.0.attention'; did you mean 'decoder.layers.0"
    ):
        capture(model(), "decoder.layers.0.attention")
    with capture(model(), "lm_head") as seen, pytest.raises(KeyError, match="lm_head was never called"):
        seen["lm_head"]
    with pytest.raises(KeyError, match="decoder is not recorded"):
        seen["decoder"]


@pytest.mark.parametrize("architecture", ["encoder", "decoder", "encoder-decoder"])
def test_attention_maps(architecture: str) -> None:
    net = model(architecture=architecture, n_kv_heads=2, dropout=0.3, attention_dropout=0.3)
    both = architecture == "encoder-decoder"
    maps = attention_maps(net, *((IDS, IDS[:, :4]) if both else (IDS,)))
    shapes = {
        "encoder": (2, 2, 4, 6, 6) if architecture != "decoder" else None,
        "decoder": (2, 2, 4, 4, 4) if both else (2, 2, 4, 6, 6) if architecture == "decoder" else None,
        "cross": (2, 2, 4, 4, 6) if both else None,
    }
    for kind, shape in shapes.items():
        found = getattr(maps, kind)
        assert (None if found is None else found.shape) == shape
        if found is not None:
            np.testing.assert_allclose(found.sum(-1), 1)
            if kind == "decoder":
                assert not np.triu(found, 1).any()
    assert net.training


def test_rollout_is_the_product_of_layers() -> None:
    rng = np.random.default_rng(0)
    weights = rng.dirichlet(np.ones(5), size=(3, 2, 4, 5))  # (L, B, H, T, T), rows sum to 1
    out = attention_rollout(weights)
    for b in range(2):
        expected = np.eye(5)
        for layer in weights[:, b]:
            expected = (0.5 * layer.mean(0) + 0.5 * np.eye(5)) @ expected
        np.testing.assert_allclose(out[b], expected)
    np.testing.assert_allclose(out.sum(-1), 1)
    np.testing.assert_array_equal(attention_rollout(weights, residual=1.0)[0], np.eye(5))
    nowhere = attention_rollout(np.zeros((2, 1, 3, 3)), residual=0.0)
    assert not nowhere.any()
    with pytest.raises(ValueError, match="rollout needs"):
        attention_rollout(weights[..., :4])
    with pytest.raises(ValueError, match=r"residual must be in \[0, 1\]"):
        attention_rollout(weights, residual=2)


def test_the_path_without_weights_is_the_fused_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """No weights asked for: the definition is not called."""
    net = model()

    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("the definition was called")

    monkeypatch.setattr("claimsformer.transformer.attention.scaled_dot_product_attention", never)
    net(IDS)
    with pytest.raises(AssertionError, match="definition"), capture(net):
        net(IDS)


class Twice(tl.nn.Module):
    """One layer under two names, called from both places."""

    def __init__(self) -> None:
        super().__init__()
        self.a = tl.nn.Linear(3, 3, dtype=tl.float64)
        self.b, self.c = self.a, tl.nn.Linear(3, 3, dtype=tl.float64)

    def forward(self, x: tl.Tensor) -> tl.Tensor:
        return self.c(self.b(self.a(x).tanh()))


def test_a_shared_module_is_found_by_each_of_its_names_and_recorded_once() -> None:
    net, x = Twice(), tl.randn(2, 3, dtype=tl.float64, generator=tl.Generator().manual_seed(0))
    for pattern, names in (("a", {"a"}), ("b", {"b"}), ("[ab]", {"a"})):
        with capture(net, pattern) as seen:
            net(x).sum().backward()
        assert set(seen) == names
        (calls,) = seen.calls.values()
        first = net.a(x).detach().requires_grad_()
        second = net.a(first.tanh())
        second.retain_grad()
        net.c(second).sum().backward()
        np.testing.assert_allclose(calls[0].output_gradient.numpy(), first.grad.numpy(), atol=1e-12)
        np.testing.assert_allclose(calls[1].output_gradient.numpy(), second.grad.numpy(), atol=1e-12)


def test_a_gradient_belongs_to_the_call_through_which_it_passed() -> None:
    net = Twice()
    with capture(net, "c") as seen:
        x = [tl.ones(1, 3, dtype=tl.float64), tl.zeros(1, 3, dtype=tl.float64), tl.ones(2, 3, dtype=tl.float64)]
        outs = [net(part) for part in x]
        (5 * outs[1]).sum().backward()
    gradients = [record.output_gradient for record in seen.calls["c"]]
    assert gradients[0] is None
    assert gradients[2] is None
    np.testing.assert_array_equal(gradients[1].numpy(), np.full((1, 3), 5.0))
    assert [len(record.input_gradients) for record in seen.calls["c"]] == [0, 1, 0]


def test_what_was_recorded_shows_as_shapes() -> None:
    net = model()
    with capture(net, NAME) as seen:
        net(IDS).sum().backward()
    assert repr(seen[NAME]) == (
        "Record(inputs=((2, 6, 16)), output=(2, 6, 16), weights=(2, 4, 6, 6), output_gradient=(2, 6, 16), "
        "input_gradients=((2, 6, 16)), weights_gradient=(2, 4, 6, 6))"
    )
    assert repr(attention_maps(net, IDS)) == "AttentionMaps(decoder=(2, 2, 4, 6, 6))"


def test_a_pattern_far_from_every_name_lists_how_names_end() -> None:
    with pytest.raises(ValueError, match=r"no module matches '§§'; names end in .*self_attention"):
        capture(model(), "§§")
