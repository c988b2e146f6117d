"""Colours by role, for a light and a dark theme.

The strips were searched so that any two differ by at least 20 ΔE (CIE 1976, Lab) for normal, protan, deutan and tritan
vision, with at least 3:1 contrast to the box they sit in; text has at least 4.5:1. The test suite computes all of it.
Within a theme no two roles share a value, so a colour alone names its role.
"""

from __future__ import annotations

from typing import Literal

Theme = Literal["auto", "light", "dark"]

STRIPS = ("linear", "activation", "norm", "attention", "loss", "reduce", "shape")
"""Roles of ops, each with a colour strip at the left of its box."""

LIGHT: dict[str, str] = {
    "background": "#FEFEFE",
    "box": "#FFFFFF",
    "cluster1": "#F7F9FC",
    "cluster2": "#EDF2F8",
    "cluster-border": "#7687A2",
    "border": "#7C8BA1",
    "edge": "#6F7D8F",
    "ink": "#1F2937",
    "secondary": "#556477",
    "input": "#E3F2EC",
    "input-border": "#2F855A",
    "param": "#FDF1DC",
    "param-border": "#8F5E12",
    "buffer": "#EEF0F3",
    "buffer-border": "#7D8797",
    "loop": "#6B2FA0",
    "skip": "#C2622A",
    "focus": "#0B62C4",
    "alarm": "#B3261E",
    "alarm-fill": "#FCE9E7",
    "linear": "#399AE2",
    "activation": "#127853",
    "norm": "#57127C",
    "attention": "#D37133",
    "loss": "#71131A",
    "reduce": "#2F4851",
    "shape": "#818F9F",
}

DARK: dict[str, str] = {
    "background": "#0F172A",
    "box": "#1E293B",
    "cluster1": "#151F33",
    "cluster2": "#1B2740",
    "cluster-border": "#66758C",
    "border": "#7587A0",
    "edge": "#8A99AE",
    "ink": "#E5E7EB",
    "secondary": "#A3B1C4",
    "input": "#12332A",
    "input-border": "#4FB286",
    "param": "#3A2C12",
    "param-border": "#C99A45",
    "buffer": "#28303F",
    "buffer-border": "#8C9AAF",
    "loop": "#C4A1F2",
    "skip": "#EE9F6B",
    "focus": "#7CB8FF",
    "alarm": "#FF8A80",
    "alarm-fill": "#42201F",
    "linear": "#5AA5E1",
    "activation": "#69F0C3",
    "norm": "#6F6FE4",
    "attention": "#F0A55A",
    "loss": "#E16969",
    "reduce": "#B4E1FF",
    "shape": "#9696A5",
}

_OPS_BY_ROLE = {
    "linear": """
        convolution convolution_input convolution_weight
        linear matmul mm bmm dot addmm einsum embedding conv1d conv2d conv3d conv_transpose1d
        conv_transpose2d bilinear lstm lstm_cell gru gru_cell rnn rnn_cell outer mv tensordot
    """,
    "activation": """
        relu relu_ gelu silu swish tanh sigmoid leaky_relu elu selu softplus hardtanh relu6 prelu mish
        hardswish glu logsigmoid softsign hardsigmoid celu threshold dropout
    """,
    "norm": """
        standardize
        layer_norm batch_norm group_norm instance_norm rms_norm normalize
    """,
    "attention": """
        softmax log_softmax scaled_dot_product_attention attention multi_head_attention masked_fill
    """,
    "loss": """
        nll bce bce_logits huber smooth_l1
        cross_entropy nll_loss mse_loss l1_loss smooth_l1_loss huber_loss binary_cross_entropy kl_div
        bce_with_logits binary_cross_entropy_with_logits gaussian_nll_loss poisson_nll_loss
        hinge_embedding_loss margin_ranking_loss ctc_loss
    """,
    "shape": """
        split_with_sizes tensor_split take take_along put put_along put_at index_put index_add index_copy index_fill
        scatter_add scatter_write scatter_reduce masked_select masked_scatter im2col col2im constant_pad_nd diagonal
        diagonal_scatter diag_embed copy_slices repeat_interleave sort argsort topk fold_windows
        reshape view transpose permute swapaxes movedim expand broadcast_to squeeze unsqueeze flatten
        unflatten cat concat concatenate stack split chunk getitem index index_select slice narrow gather
        scatter pad t mT T contiguous clone detach flip roll repeat tile to cast unbind select unfold fold
        take_along_dim setitem copy_ as_strided where tril triu astype
    """,
}
_OPS = {op: role for role, ops in _OPS_BY_ROLE.items() for op in ops.split()}


def role_of(op: str) -> str:
    """Strip role of an op name; ops without an entry are elementwise or reductions."""
    return _OPS.get(op, "reduce")


_CLASS_HINTS = (
    ("attention", "attention"),
    ("attn", "attention"),
    ("norm", "norm"),
    ("loss", "loss"),
    ("relu", "activation"),
    ("gelu", "activation"),
    ("embedding", "linear"),
    ("linear", "linear"),
    ("conv", "linear"),
    ("feedforward", "linear"),
    ("mlp", "linear"),
    ("lstm", "linear"),
    ("gru", "linear"),
    ("rnn", "linear"),
    ("pool", "reduce"),
    ("softmax", "attention"),
)


def role_of_module(name: str, ops: dict[str, int]) -> str:
    """Strip role of a collapsed module: by its class name, else the role of its heaviest op. `ops` maps an op name to
    FLOPs.
    """
    lowered = name.lower()
    for hint, role in _CLASS_HINTS:
        if hint in lowered:
            return role
    return role_of(max(sorted(ops), key=lambda op: ops[op])) if ops else "reduce"
