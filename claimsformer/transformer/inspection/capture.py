"""Record what modules got, what they gave, and what gradients passed them, by name.

    with capture(model, "decoder.layers.*.self_attention") as seen:
        model(ids).sum().backward()
    seen["decoder.layers.0.self_attention"].weights  # (B, H, T, T)

Outside the block a model runs as before: nothing is left behind. Attention weights come from the definition, which keeps
the matrix that the fused kernel never makes; so a captured pass is slower, and with attention dropout in training it
draws other random numbers.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from functools import partial
from types import TracebackType
from typing import Any

from tensorlite import Tensor, is_grad_enabled, nn

from ..attention import MultiHeadAttention

__all__ = ["Capture", "Record", "capture"]


@dataclass(eq=False)
class Record:
    """One call of a module: positional tensor `inputs`, `output`, and for attention `weights (B, H, T, S)`, all detached.

    Gradients appear after backward: what flowed in at the output, what flowed on to each input through this module
    alone, and the gradient of the attention weights; None where nothing flowed.
    """

    inputs: tuple[Tensor, ...] = ()
    output: Any = None
    weights: Tensor | None = None
    output_gradient: Tensor | None = None
    input_gradients: tuple[Tensor | None, ...] = ()
    _live_weights: Tensor | None = None

    def __repr__(self) -> str:
        """The shapes of what was recorded, since the numbers of a layer fill pages."""
        found = [(f.name, _shape(getattr(self, f.name))) for f in fields(self) if not f.name.startswith("_")]
        if self.weights_gradient is not None:
            found.append(("weights_gradient", _shape(self.weights_gradient)))
        return f"Record({', '.join(f'{name}={shape}' for name, shape in found if shape)})"

    @property
    def weights_gradient(self) -> Tensor | None:
        return None if self._live_weights is None else self._live_weights.grad


class Capture(Mapping[str, Record]):
    """What was recorded: `seen[name]` is the last call of a module, `seen.calls[name]` all of them, in order."""

    def __init__(self, model: nn.Module, *patterns: str, gradients: bool = True) -> None:
        self.calls: dict[str, list[Record]] = {}
        self._modules = _matching(model, patterns)
        self._gradients = gradients
        self._undo: list[Callable[[], None]] = []

    def __enter__(self) -> Capture:
        for name, module in self._modules.items():
            self._watch(name, module)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._undo:
            self._undo.pop()()

    def __getitem__(self, name: str) -> Record:
        if name not in self.calls:
            watched = "was never called" if name in self._modules else "is not recorded"
            raise KeyError(f"{name} {watched}; recorded: {', '.join(self.calls) or 'nothing yet'}")
        return self.calls[name][-1]

    def __iter__(self) -> Iterator[str]:
        return iter(self.calls)

    def __len__(self) -> int:
        return len(self.calls)

    def _watch(self, name: str, module: nn.Module) -> None:
        weights: list[Tensor] = []
        begun: list[Record] = []  # a module that calls itself has several

        def before(_: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
            record = Record(tuple(x.detach() for x in inputs if isinstance(x, Tensor)))
            begun.append(record)
            return _watched(inputs, record) if self._gradients else inputs

        def after(_: nn.Module, __: tuple[Any, ...], output: Any) -> None:
            record = begun.pop()
            record.output = _detached(output)
            if weights:
                live = weights.pop()
                record.weights = live.detach()
                record._live_weights = live if live.requires_grad else None
            first = output[0] if isinstance(output, tuple | list) and output else output
            if self._gradients and isinstance(first, Tensor) and first.requires_grad:
                first.register_hook(partial(setattr, record, "output_gradient"))
            self.calls.setdefault(name, []).append(record)

        self._undo.append(module.register_forward_pre_hook(before).remove)
        self._undo.append(module.register_forward_hook(after).remove)
        if isinstance(module, MultiHeadAttention):
            others = module.on_weights

            def keep(w: Tensor) -> None:
                if self._gradients and w.requires_grad:
                    w.retain_grad()
                weights.append(w)
                if others is not None:
                    others(w)

            def restore(attention: MultiHeadAttention = module) -> None:
                attention.on_weights = others

            module.on_weights = keep
            self._undo.append(restore)


def capture(model: nn.Module, *patterns: str, gradients: bool = True) -> Capture:
    """A context that records every module whose dotted name matches a pattern (default: all); `*` matches any text.

    Raises ValueError for a pattern that matches nothing.
    """
    return Capture(model, *patterns, gradients=gradients)


def _matching(model: nn.Module, patterns: tuple[str, ...]) -> dict[str, nn.Module]:
    """Modules by name; one that stands in several places has several names and is recorded under the first that matches."""
    names = {name: module for name, module in model.named_modules(remove_duplicate=False) if name}
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            close = difflib.get_close_matches(pattern, list(names), 1, 0.3)
            ends = ", ".join(dict.fromkeys(name.rpartition(".")[2] for name in names if not name[-1].isdigit()))
            way = f"; did you mean {close[0]!r}?" if close else f"; names end in {ends}"
            raise ValueError(f"no module matches {pattern!r}{way}")
    found: dict[nn.Module, str] = {}
    for name, module in names.items():
        if not patterns or any(fnmatchcase(name, pattern) for pattern in patterns):
            found.setdefault(module, name)
    return {name: module for module, name in found.items()}


def _watched(inputs: tuple[Any, ...], record: Record) -> tuple[Any, ...]:
    """The same inputs as tensors of this call alone, whose gradients the record takes."""

    def take(place: int, gradient: Tensor) -> None:
        known = record.input_gradients or (None,) * len(inputs)
        record.input_gradients = (*known[:place], gradient, *known[place + 1 :])

    own = list(inputs)
    for i, x in enumerate(inputs):
        if isinstance(x, Tensor) and x.requires_grad and is_grad_enabled():
            own[i] = x.view_as(x)
            own[i].register_hook(partial(take, i))
    return tuple(own)


def _shape(value: Any) -> str:
    if isinstance(value, tuple | list):
        return f"({', '.join(map(_shape, value))})" if value else ""
    return str(tuple(value.shape)) if isinstance(value, Tensor) else ""


def _detached(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach()
    if isinstance(value, tuple | list):
        return type(value)(_detached(v) for v in value)
    return value
