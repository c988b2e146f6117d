"""The feed-forward layer: what each token does by itself, between two rounds of attention.

Widen, bend, narrow: `down(activation(up(x)))`. Gated variants (Shazeer 2020) multiply what was widened by a second,
activated projection: `down(activation(gate(x)) · up(x))`.
"""

from __future__ import annotations

from collections.abc import Callable

from tensorlite import Tensor, nn
from tensorlite.nn import functional as F

from .config import Activation

__all__ = ["FeedForward"]


def _gelu_tanh(x: Tensor) -> Tensor:
    return F.gelu(x, approximate="tanh")


_FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "gelu": F.gelu,
    "gelu_tanh": _gelu_tanh,
    "swiglu": F.silu,
    "geglu": _gelu_tanh,
}


class FeedForward(nn.Module):
    """`(B, T, d_model)` to the same, through width `d_ff`; `activation` is "relu", "gelu", "gelu_tanh", "swiglu" or "geglu".

    "geglu" uses the tanh form, as Gemma does. Raises ValueError for an unknown activation.
    """

    def __init__(
        self, d_model: int, d_ff: int, activation: Activation = "gelu", bias: bool = True, dropout: float = 0.0
    ) -> None:
        super().__init__()
        if activation not in _FUNCTIONS:
            raise ValueError(f"activation must be one of {', '.join(_FUNCTIONS)}, got {activation!r}")
        self.activation, self.dropout = activation, dropout
        self.up = nn.Linear(d_model, d_ff, bias=bias)
        self.gate = nn.Linear(d_model, d_ff, bias=bias) if activation in ("swiglu", "geglu") else None
        self.down = nn.Linear(d_ff, d_model, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        function = _FUNCTIONS[self.activation]
        if self.gate is None:
            hidden = function(self.up(x))  # (B, T, d_ff)
        else:
            hidden = function(self.gate(x)) * self.up(x)  # (B, T, d_ff)
        if self.dropout:
            hidden = F.dropout(hidden, self.dropout, self.training)
        return self.down(hidden)  # type: ignore[no-any-return]

    def extra_repr(self) -> str:
        return f"activation={self.activation}"
