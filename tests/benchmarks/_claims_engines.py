"""The masked claim-field transformer in PyTorch and in ONNX Runtime, with the weights of a tensorlite model.

Both compute every token, as their users would write it; `HiddenTokenModel` of claimsformer leaves out in the last layer
what nobody asks about. `TorchClaims(model, pruned=True)` leaves out the same.
"""

from __future__ import annotations

import io
import logging
import warnings
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from claimsformer.assessment.masked_model import MaskedClaimModel, Prediction
from claimsformer.tokenizer.fields import ClaimBatch


class TorchLayer(nn.Module):
    """A pre-norm encoder layer with the names of claimsformer's."""

    def __init__(self, d: int, heads: int, width: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm, self.feed_forward_norm = nn.LayerNorm(d), nn.LayerNorm(d)
        self.self_attention = nn.ModuleDict({f"{n}_proj": nn.Linear(d, d) for n in ("q", "k", "v", "out")})
        self.feed_forward = nn.ModuleDict({"up": nn.Linear(d, width), "down": nn.Linear(width, d)})

    def forward(self, x: Any, mask: Any, asking: Any = None) -> Any:
        b, _, d = x.shape
        y = self.attention_norm(x)
        if asking is not None:
            x = torch.take_along_dim(x, asking, 1)
        who = y if asking is None else torch.take_along_dim(y, asking, 1)
        q, k, v = (
            self.self_attention[f"{n}_proj"](z).view(b, -1, self.heads, d // self.heads).transpose(1, 2)
            for n, z in (("q", who), ("k", y), ("v", y))
        )
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).reshape(b, -1, d)
        x = x + self.self_attention["out_proj"](mixed)
        return x + self.feed_forward["down"](F.gelu(self.feed_forward["up"](self.feed_forward_norm(x))))


class TorchClaimsModule(nn.Module):
    """Ids (B, T), scalars (B, T) and mask (B, T) to what is compared with value embeddings, at the flat places `at`."""

    def __init__(self, model: MaskedClaimModel) -> None:
        super().__init__()
        state = {name: torch.from_numpy(np.array(value.numpy())) for name, value in model.state_dict().items()}
        d = model.config.d_model
        for name in ("value", "parent", "field", "rank", "number"):
            self.add_module(name, nn.Embedding(*state[f"{name}.weight"].shape))
        width = state["encoder.layers.0.feed_forward.up.weight"].shape[0]
        layers = [TorchLayer(d, model.config.n_heads, width) for _ in range(model.config.n_layers)]
        self.encoder = nn.ModuleDict({"layers": nn.ModuleList(layers), "norm": nn.LayerNorm(d)})
        self.transform, self.norm = nn.Linear(d, d), nn.LayerNorm(d)
        self.bias = nn.Parameter(state["bias"])
        self.load_state_dict(state)
        self.eval()

    def forward(self, value: Any, parent: Any, field: Any, rank: Any, scalars: Any, mask: Any, at: Any) -> Any:
        x = self._embedded(value, parent, field, rank, scalars)
        for layer in self.encoder["layers"]:
            x = layer(x, mask[:, None, None, :])
        return self._read(x, at)

    def pruned(
        self, value: Any, parent: Any, field: Any, rank: Any, scalars: Any, mask: Any, asking: Any, at: Any
    ) -> Any:
        """As `forward`, the last layer for the tokens `asking` (B, Q) alone; `at` counts among these."""
        x = self._embedded(value, parent, field, rank, scalars)
        *first, last = self.encoder["layers"]
        for layer in first:
            x = layer(x, mask[:, None, None, :])
        return self._read(last(x, mask[:, None, None, :], asking[:, :, None]), at)

    def _embedded(self, value: Any, parent: Any, field: Any, rank: Any, scalars: Any) -> Any:
        x = self.value(value) + self.parent(parent) + self.field(field) + self.rank(rank)
        return x + self.number(field) * scalars[..., None]

    def _read(self, x: Any, at: Any) -> Any:
        hidden = self.encoder["norm"](x).reshape(-1, x.shape[-1])[at]
        return self.norm(F.gelu(self.transform(hidden)))


def _inputs(shown: ClaimBatch) -> list[Any]:
    ids = (shown.value_ids, shown.parent_ids, shown.field_ids, shown.position_ids)
    arrays = [np.ascontiguousarray(a, np.int64) for a in ids]
    return [*arrays, np.ascontiguousarray(shown.scalars), np.ascontiguousarray(shown.mask)]


class TorchClaims:
    """`predict` as `MaskedClaimModel` has it, in PyTorch eager."""

    def __init__(self, model: MaskedClaimModel, pruned: bool = False) -> None:
        self.module, self.slices, self.is_pruned = TorchClaimsModule(model), model.slices, pruned

    def predict(self, shown: ClaimBatch, truth: ClaimBatch, hidden: Any) -> list[Prediction]:
        with torch.inference_mode():
            tensors = [torch.from_numpy(a) for a in _inputs(shown)]
            if self.is_pruned:
                from claimsformer.assessment.streaming_inference import _gathered

                asking, at = _gathered(*np.nonzero(hidden), len(shown))
                vectors = self.module.pruned(*tensors, torch.from_numpy(asking), torch.from_numpy(at))
            else:
                vectors = self.module(*tensors, torch.from_numpy(np.flatnonzero(hidden)))
            return self._by_field(vectors, truth, hidden)

    def _by_field(self, vectors: Any, truth: ClaimBatch, hidden: Any) -> list[Prediction]:
        field_ids, value_ids = truth.field_ids[hidden].astype(np.int64), truth.value_ids[hidden].astype(np.int64)
        rows, ranks = np.nonzero(hidden)[0], truth.position_ids[hidden].astype(np.int64)
        found = []
        for index in np.unique(field_ids).tolist():
            name, where = self.slices[index - 1]
            picked = np.flatnonzero(field_ids == index)
            logits = F.linear(
                vectors[torch.from_numpy(picked)], self.module.value.weight[where], self.module.bias[where]
            )
            log_p = F.log_softmax(logits, -1).numpy()
            found.append(Prediction(name, rows[picked], ranks[picked], value_ids[picked] - where.start, log_p))
        return found


class OnnxClaims(TorchClaims):
    """The same with the encoder in ONNX Runtime; the softmax over a field's values stays in PyTorch."""

    def __init__(self, model: MaskedClaimModel, threads: int) -> None:
        super().__init__(model)
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        self.session = onnxruntime.InferenceSession(exported(self.module), options, providers=["CPUExecutionProvider"])

    def predict(self, shown: ClaimBatch, truth: ClaimBatch, hidden: Any) -> list[Prediction]:
        arrays = [*_inputs(shown), np.flatnonzero(hidden)]
        names = [i.name for i in self.session.get_inputs()]
        (vectors,) = self.session.run(None, dict(zip(names, arrays, strict=True)))
        with torch.inference_mode():
            return self._by_field(torch.from_numpy(vectors), truth, hidden)


def exported(module: TorchClaimsModule) -> bytes:
    """The module as an ONNX model for any number of claims, tokens and hidden tokens."""
    ids = torch.ones(3, 5, dtype=torch.int64)
    mask = torch.tensor([[True] * 5, [True] * 4 + [False], [True] * 5])
    arguments = (*(ids.clone() for _ in range(4)), torch.zeros(3, 5), mask, torch.tensor([1, 2, 7, 9]))
    b, t, n = (torch.export.Dim(name) for name in ("claims", "tokens", "hidden"))
    shapes = (*({0: b, 1: t} for _ in range(6)), {0: n})
    target = io.BytesIO()
    with warnings.catch_warnings():  # of parts of PyTorch that this model does not use
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(module, arguments, dynamic_shapes=shapes, dynamo=True, verbose=False)
    assert program is not None
    program.save(target)
    return target.getvalue()
