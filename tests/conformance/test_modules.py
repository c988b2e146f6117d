"""torch's own module database run through tensorlite: constructor, repr, state_dict, outputs, gradients, buffers; in training and in evaluation."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from torch.testing._internal.common_modules import ModuleInfo, module_db

import tensorlite as tl
from tensorlite import nn

from .convert import array, tensors, to_lite

#: Modules of the database that tensorlite does not have, and why.
LEFT_OUT = {
    "nn.CTCLoss": "no known program uses it",
    "nn.TransformerEncoder": "attention and transformers are the subject of claimsformer",
    "nn.TransformerEncoderLayer": "attention and transformers are the subject of claimsformer",
    "nn.TransformerDecoderLayer": "attention and transformers are the subject of claimsformer",
    "nn.Transformer": "attention and transformers are the subject of claimsformer",
    "nn.MultiheadAttention": "attention and transformers are the subject of claimsformer",
    "nn.FractionalMaxPool2d": "no known program uses it",
    "nn.FractionalMaxPool3d": "no known program uses it",
    "nn.LinearCrossEntropyLoss": "new in torch 2.13, and a matter of GPU memory: use Linear and CrossEntropyLoss",
}

#: (module, what is not compared): reason.
EXCEPTIONS: dict[tuple[str, str], str] = {}


def test_every_module_is_there_or_left_out_for_a_reason() -> None:
    missing = {info.name for info in module_db if not hasattr(nn, info.name.removeprefix("nn."))}
    assert missing == set(LEFT_OUT)


PRESENT = [info for info in module_db if info.name not in LEFT_OUT]


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("info", PRESENT, ids=lambda info: info.name.removeprefix("nn."))
def test_module(info: ModuleInfo, training: bool) -> None:
    torch.manual_seed(0)
    samples = info.module_inputs_func(info, device="cpu", dtype=torch.float64, requires_grad=True, training=training)
    for i, sample in enumerate(samples):
        if sample.forward_input is not None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                compare(info, sample, training, np.random.default_rng(i))


def compare(info: ModuleInfo, sample: Any, training: bool, rng: np.random.Generator) -> None:
    args, kwargs = sample.constructor_input.args, dict(sample.constructor_input.kwargs)
    reference = info.module_cls(*args, **kwargs, **({"dtype": torch.float64} if takes_dtype(info) else {}))
    reference.train(training)
    ours = getattr(nn, info.name.removeprefix("nn."))(*to_lite(args), **to_lite(kwargs)).double().train(training)
    context = f"{info.name}{args}{kwargs} [{sample.desc}]"
    lazy = info.name.startswith("nn.Lazy")

    call = sample.forward_input
    for t in tensors([call.args, call.kwargs]):
        if t.requires_grad:
            t.retain_grad()  # some inputs are results of ops; ours are leaves
    mine = to_lite((call.args, call.kwargs))
    if lazy:
        expected = reference(*call.args, **call.kwargs)
        ours.load_state_dict(reference.state_dict())
    else:
        state = reference.state_dict()
        own = ours.state_dict()
        assert list(own) == list(state), context
        for name, value in state.items():
            assert tuple(own[name].shape) == tuple(value.shape), (context, name)
            assert str(own[name].dtype).split(".")[1] == str(value.dtype).split(".")[1], (context, name)
        assert repr(ours) == repr(reference), context
        ours.load_state_dict({k: v.clone() for k, v in state.items()})
        expected = reference(*call.args, **call.kwargs)
    result = ours(*mine[0], **mine[1])

    outputs, wanted = tensors(result), tensors(expected)
    assert len(outputs) == len(wanted), context
    for out, want in zip(outputs, wanted, strict=True):
        assert tuple(out.shape) == tuple(want.shape), context
        np.testing.assert_allclose(array(out), array(want), rtol=1e-9, atol=1e-11, err_msg=context)
    for (name, b), t in zip(ours.named_buffers(), reference.buffers(), strict=True):
        np.testing.assert_allclose(array(b), array(t), rtol=1e-9, err_msg=f"{context} buffer {name}")

    cotangents = [rng.standard_normal(tuple(t.shape)) for t in wanted]
    pairs = [(o, w, c) for o, w, c in zip(outputs, wanted, cotangents, strict=True) if w.requires_grad]
    assert all(o.requires_grad for o, _, _ in pairs), context
    if not pairs:
        return
    torch.autograd.backward([w for _, w, _ in pairs], [torch.tensor(c) for _, _, c in pairs])
    tl.autograd.backward([o for o, _, _ in pairs], [tl.tensor(c) for _, _, c in pairs])
    leaves = zip(
        [*tensors(mine), *ours.parameters()], [*tensors([call.args, call.kwargs]), *reference.parameters()], strict=True
    )
    for leaf, reference_leaf in leaves:
        if reference_leaf.grad is None:
            assert leaf.grad is None or not array(leaf.grad).any(), context
        else:
            assert leaf.grad is not None, context
            np.testing.assert_allclose(
                array(leaf.grad), array(reference_leaf.grad), rtol=1e-7, atol=1e-10, err_msg=context
            )


def takes_dtype(info: ModuleInfo) -> bool:
    """Whether the module has tensors of its own, and so a dtype."""
    return info.module_cls.__init__.__code__.co_varnames.count("dtype") > 0 or issubclass(
        info.module_cls, torch.nn.modules.rnn.RNNBase
    )
