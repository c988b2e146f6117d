"""Recurrent layers and their cells: RNN, LSTM, GRU; batched, stacked, in both directions. Packed sequences are refused."""

from __future__ import annotations

import math
import warnings
from typing import Any

from ..tensor import Tensor, creation
from . import functional as F
from . import init
from .module import Module
from .parameter import Parameter

State = tuple[Tensor, ...]
_GATES = {"RNN_TANH": 1, "RNN_RELU": 1, "LSTM": 4, "GRU": 3}


def _step(
    mode: str, from_input: Tensor, state: State, w_hh: Tensor, b_hh: Tensor | None, w_hr: Tensor | None = None
) -> State:
    """One time step: what comes from the input, (B, gates·H), and the state before, to the state after."""
    h = state[0]
    from_state = F.linear(h, w_hh, b_hh)
    if mode == "GRU":
        x_r, x_z, x_n = from_input.chunk(3, -1)
        h_r, h_z, h_n = from_state.chunk(3, -1)
        z = F.sigmoid(x_z + h_z)
        n = F.tanh(x_n + F.sigmoid(x_r + h_r) * h_n)
        return (n + z * (h - n),)
    total = from_input + from_state
    if mode == "LSTM":
        i, f, g, o = total.chunk(4, -1)
        c = F.sigmoid(f) * state[1] + F.sigmoid(i) * F.tanh(g)
        h = F.sigmoid(o) * F.tanh(c)
        return (h if w_hr is None else F.linear(h, w_hr), c)
    return (F.tanh(total) if mode == "RNN_TANH" else F.relu(total),)


class RNNBase(Module):
    """Parameters, shapes and the walk over layers, directions and time, shared by RNN, LSTM and GRU."""

    def __init__(
        self, mode: str, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True, batch_first: bool = False,
        dropout: float = 0.0, bidirectional: bool = False, proj_size: int = 0, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        _check_options(mode, hidden_size, num_layers, dropout, proj_size)
        self.mode, self.input_size, self.hidden_size, self.num_layers, self.bias = (
            mode,
            input_size,
            hidden_size,
            num_layers,
            bias,
        )
        self.batch_first, self.dropout, self.bidirectional, self.proj_size = (
            batch_first,
            float(dropout),
            bidirectional,
            proj_size,
        )
        directions, rows = 2 if bidirectional else 1, _GATES[mode] * hidden_size
        out = proj_size or hidden_size
        self._suffixes = [
            f"_l{layer}{'_reverse' if d else ''}" for layer in range(num_layers) for d in range(directions)
        ]
        for i, suffix in enumerate(self._suffixes):
            width = input_size if i < directions else out * directions
            shapes = {"weight_ih": (rows, width), "weight_hh": (rows, out)}
            if bias:
                shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}  # type: ignore[dict-item]
            if proj_size:
                shapes["weight_hr"] = (proj_size, hidden_size)
            for name, shape in shapes.items():
                self.register_parameter(name + suffix, Parameter(creation.empty(shape, dtype=dtype, device=device)))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Everything uniform within ±1/√hidden_size."""
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for p in self.parameters():
            init.uniform_(p, -bound, bound)

    def flatten_parameters(self) -> None:
        """Does nothing; there is no fused layout to restore."""

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """The parameters of each layer and direction."""
        return [
            [p for n, p in self._parameters.items() if p is not None and n.partition("_l")[2] == s[2:]]
            for s in self._suffixes
        ]

    def forward(self, input: Tensor, hx: Any = None) -> Any:
        if not isinstance(input, Tensor):
            raise TypeError(
                f"{type(self).__name__}: expected a padded tensor, got {type(input).__name__}; packed sequences are not supported: "
                "pad with nn.utils.rnn.pad_sequence and mask the loss"
            )
        if input.ndim not in (2, 3):
            raise ValueError(f"{type(self).__name__}: Expected input to be 2D or 3D, got {input.ndim}D instead")
        if input.shape[-1] != self.input_size:
            raise RuntimeError(
                f"input.size(-1) must be equal to input_size. Expected {self.input_size}, got {input.shape[-1]}"
            )
        batched = input.ndim == 3
        x = (input.transpose(0, 1) if self.batch_first else input) if batched else input.unsqueeze(1)
        out, states = self._layers(x, self._initial(x, hx, batched))
        if not batched:
            return out.squeeze(1), self._pack(tuple(s.squeeze(1) for s in states))
        return out.transpose(0, 1) if self.batch_first else out, self._pack(states)

    def _pack(self, states: State) -> Any:
        return states if self.mode == "LSTM" else states[0]

    def _initial(self, x: Tensor, hx: Any, batched: bool) -> State:
        """The states before the first step, (layers · directions, B, H) each; zeros unless given."""
        n, batch = len(self._suffixes), x.shape[1]
        sizes = [self.proj_size or self.hidden_size] + ([self.hidden_size] if self.mode == "LSTM" else [])
        if hx is None:
            return tuple(creation.zeros(n, batch, size, dtype=x.dtype) for size in sizes)
        states = tuple(hx) if self.mode == "LSTM" else (hx,)
        for s, size, name in zip(states, sizes, ("hx", "cx"), strict=False):
            if s.ndim != (3 if batched else 2):
                kind = "batched 3-D" if batched else "unbatched 2-D"
                raise RuntimeError(
                    f"For {kind} input, {name} should also be {3 if batched else 2}-D but got {s.ndim}-D tensor"
                )
            expected = (n, batch, size) if batched else (n, size)
            if tuple(s.shape) != expected:
                part = "hidden" if self.mode != "LSTM" else "hidden[0]" if name == "hx" else "hidden[1]"
                raise RuntimeError(f"Expected {part} size {expected}, got {list(s.shape)}")
        return states if batched else tuple(s.unsqueeze(1) for s in states)

    def _layers(self, x: Tensor, states: State) -> tuple[Tensor, State]:
        from .. import cat, stack

        directions = 2 if self.bidirectional else 1
        finals: list[State] = []
        for layer in range(self.num_layers):
            outs = []
            for d in range(directions):
                i = layer * directions + d
                out, final = self._run(x, tuple(s[i] for s in states), self._suffixes[i], reverse=d == 1)
                outs.append(out)
                finals.append(final)
            x = outs[0] if directions == 1 else cat(outs, -1)
            if self.dropout and layer < self.num_layers - 1:
                x = F.dropout(x, self.dropout, self.training)
        return x, tuple(stack([f[k] for f in finals]) for k in range(len(states)))

    def _run(self, x: Tensor, state: State, suffix: str, reverse: bool) -> tuple[Tensor, State]:
        """One layer in one direction over (T, B, I): outputs (T, B, H) and the last state."""
        from .. import stack

        p = self._parameters
        w_ih, w_hh, w_hr = p["weight_ih" + suffix], p["weight_hh" + suffix], p.get("weight_hr" + suffix)
        from_input = F.linear(x, w_ih, p.get("bias_ih" + suffix)).unbind(0)  # type: ignore[arg-type]
        outs = []
        for step in reversed(from_input) if reverse else from_input:
            state = _step(self.mode, step, state, w_hh, p.get("bias_hh" + suffix), w_hr)  # type: ignore[arg-type]
            outs.append(state[0])
        if not outs:
            raise RuntimeError("Expected sequence length to be larger than 0 in RNN")
        return stack(outs[::-1] if reverse else outs), state

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        options = (
            ("proj_size", 0),
            ("num_layers", 1),
            ("bias", True),
            ("batch_first", False),
            ("dropout", 0.0),
            ("bidirectional", False),
        )
        return text + "".join(
            f", {name}={getattr(self, name)}" for name, default in options if getattr(self, name) != default
        )


def _check_options(mode: str, hidden_size: int, num_layers: int, dropout: float, proj_size: int) -> None:
    if mode not in _GATES:
        raise ValueError("Unrecognized RNN mode: " + mode)
    if isinstance(dropout, bool) or not isinstance(dropout, int | float) or not 0 <= dropout <= 1:
        raise ValueError(
            "dropout should be a number in range [0, 1] representing the probability of an element being zeroed"
        )
    if dropout > 0 and num_layers == 1:
        warnings.warn(
            "dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects num_layers greater than 1, "
            f"but got dropout={dropout} and num_layers={num_layers}",
            stacklevel=4,
        )
    if not isinstance(hidden_size, int):
        raise TypeError(f"hidden_size should be of type int, got: {type(hidden_size).__name__}")
    if hidden_size <= 0:
        raise ValueError("hidden_size must be greater than zero")
    if num_layers <= 0:
        raise ValueError("num_layers must be greater than zero")
    if proj_size and mode != "LSTM":
        raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
    if not 0 <= proj_size < hidden_size:
        raise ValueError("proj_size has to be smaller than hidden_size and not negative")


class RNN(RNNBase):
    """`h' = tanh(W_ih x + b_ih + W_hh h + b_hh)` (Elman 1990): (T, B, I) to (T, B, H); `batch_first` puts B in front."""

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, nonlinearity: str = "tanh", bias: bool = True, batch_first: bool = False,
        dropout: float = 0.0, bidirectional: bool = False, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'.")
        super().__init__(
            f"RNN_{nonlinearity.upper()}",
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            0,
            device,
            dtype,
        )
        self.nonlinearity = nonlinearity


class LSTM(RNNBase):
    """Long short-term memory (Hochreiter and Schmidhuber 1997): outputs (T, B, H) and the last (h, c)."""

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True, batch_first: bool = False, dropout: float = 0.0,
        bidirectional: bool = False, proj_size: int = 0, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(
            "LSTM",
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            proj_size,
            device,
            dtype,
        )


class GRU(RNNBase):
    """Gated recurrent unit (Cho et al. 2014), with the reset gate applied after the product, as in cuDNN."""

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True, batch_first: bool = False, dropout: float = 0.0,
        bidirectional: bool = False, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(
            "GRU", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, 0, device, dtype
        )


class RNNCellBase(Module):
    """One time step with parameters of its own."""

    _mode: str
    bias_ih: Parameter | None
    bias_hh: Parameter | None

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool, num_chunks: int, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        rows = num_chunks * hidden_size
        self.weight_ih = Parameter(creation.empty(rows, input_size, dtype=dtype, device=device))
        self.weight_hh = Parameter(creation.empty(rows, hidden_size, dtype=dtype, device=device))
        for name in ("bias_ih", "bias_hh"):
            self.register_parameter(name, Parameter(creation.empty(rows, dtype=dtype, device=device)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Everything uniform within ±1/√hidden_size."""
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for p in self.parameters():
            init.uniform_(p, -bound, bound)

    def _advance(self, input: Tensor, state: State | None, mode: str) -> State:
        name = type(self).__name__
        if input.ndim not in (1, 2):
            raise ValueError(f"{name}: Expected input to be 1D or 2D, got {input.ndim}D instead")
        if input.shape[-1] != self.input_size:
            raise RuntimeError(f"input has inconsistent input_size: got {input.shape[-1]} expected {self.input_size}")
        if state is None:
            state = tuple(
                creation.zeros(*input.shape[:-1], self.hidden_size, dtype=input.dtype)
                for _ in range(2 if mode == "LSTM" else 1)
            )
        for s in state:
            if s.ndim not in (1, 2):
                raise ValueError(f"{name}: Expected hidden to be 1D or 2D, got {s.ndim}D instead")
            if s.shape[-1] != self.hidden_size:
                raise RuntimeError(
                    f"hidden has inconsistent hidden_size: got {s.shape[-1]}, expected {self.hidden_size}"
                )
        return _step(mode, F.linear(input, self.weight_ih, self.bias_ih), state, self.weight_hh, self.bias_hh)

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}" + ("" if self.bias else f", bias={self.bias}")
        nonlinearity = getattr(self, "nonlinearity", "tanh")
        return text + (f", nonlinearity={nonlinearity}" if nonlinearity != "tanh" else "")


class RNNCell(RNNCellBase):
    """One step of RNN: (B, I) and (B, H) to (B, H)."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        return self._advance(input, None if hx is None else (hx,), f"RNN_{self.nonlinearity.upper()}")[0]


class LSTMCell(RNNCellBase):
    """One step of LSTM: (B, I) and ((B, H), (B, H)) to (h, c)."""

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> State:
        return self._advance(input, hx, "LSTM")


class GRUCell(RNNCellBase):
    """One step of GRU: (B, I) and (B, H) to (B, H)."""

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        return self._advance(input, None if hx is None else (hx,), "GRU")[0]
