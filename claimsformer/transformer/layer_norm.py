"""Layer normalisation as it is defined, beside the fused one that models use. They agree; a test holds them together.

Ba et al. 2016: each token's vector is shifted to mean 0 and scaled to variance 1, then a learned scale and shift decide
what the next layer gets. The variance divides by D, not by D − 1, and ε is added to it before the root. RMS norm (Zhang
and Sennrich 2019) leaves out the mean and the shift.
"""

from __future__ import annotations

import tensorlite as tl
from tensorlite import Tensor, nn

from .config import Norm

__all__ = ["LayerNorm", "RMSNorm", "make_norm"]


class LayerNorm(nn.Module):
    """(x − mean) / √(variance + ε) · weight + bias over the last dim, in ordinary operations."""

    def __init__(self, d_model: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(tl.ones(d_model))
        self.bias = nn.Parameter(tl.zeros(d_model))

    def forward(self, x: Tensor) -> Tensor:
        centred = x - x.mean(-1, keepdim=True)  # (B, T, D)
        variance = (centred * centred).mean(-1, keepdim=True)  # (B, T, 1)
        y: Tensor = centred / (variance + self.eps).sqrt() * self.weight + self.bias
        return y


class RMSNorm(nn.Module):
    """x / √(mean of squares + ε) · weight over the last dim, in ordinary operations."""

    def __init__(self, d_model: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(tl.ones(d_model))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x / ((x * x).mean(-1, keepdim=True) + self.eps).sqrt() * self.weight
        return y


def make_norm(kind: Norm, d_model: int, eps: float, bias: bool = True) -> nn.Module:
    """The fused norm of tensorlite: one pass over memory forward, one backward."""
    return nn.LayerNorm(d_model, eps, bias=bias) if kind == "layer_norm" else nn.RMSNorm(d_model, eps)
