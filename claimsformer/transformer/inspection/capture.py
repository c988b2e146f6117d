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
from dataclasses import dataclass
from fnmatch import fnmatchcase
from types import TracebackType
from typing import Any

from tensorlite import Tensor, nn

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

        def after(_: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            record = Record(tuple(x.detach() for x in inputs if isinstance(x, Tensor)), _detached(output))
            if weights:
                live = weights.pop()
                record.weights = live.detach()
                record._live_weights = live if live.requires_grad else None
            self.calls.setdefault(name, []).append(record)

        def backward(_: nn.Module, to_inputs: tuple[Any, ...], at_output: tuple[Any, ...]) -> None:
            # calls are walked backwards: the last one that has no gradient yet is the one meant
            for record in reversed(self.calls.get(name, ())):
                if record.output_gradient is None and not record.input_gradients:
                    record.output_gradient = at_output[0]
                    record.input_gradients = to_inputs
                    return

        self._undo.append(module.register_forward_hook(after).remove)
        if self._gradients:
            self._undo.append(module.register_full_backward_hook(backward).remove)
        if isinstance(module, MultiHeadAttention):
            before = module.on_weights

            def keep(w: Tensor) -> None:
                if self._gradients and w.requires_grad:
                    w.retain_grad()
                weights.append(w)
                if before is not None:
                    before(w)

            def restore(attention: MultiHeadAttention = module) -> None:
                attention.on_weights = before

            module.on_weights = keep
            self._undo.append(restore)


def capture(model: nn.Module, *patterns: str, gradients: bool = True) -> Capture:
    """A context that records every module whose dotted name matches a pattern (default: all); `*` matches any text.

    Raises ValueError for a pattern that matches nothing.
    """
    return Capture(model, *patterns, gradients=gradients)


def _matching(model: nn.Module, patterns: tuple[str, ...]) -> dict[str, nn.Module]:
    modules = {name: module for name, module in model.named_modules() if name}
    if not patterns:
        return modules
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in modules):
            close = difflib.get_close_matches(pattern, list(modules), 1, 0.3)
            raise ValueError(f"no module matches {pattern!r}" + (f"; did you mean {close[0]!r}?" if close else ""))
    return {name: m for name, m in modules.items() if any(fnmatchcase(name, p) for p in patterns)}


def _detached(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach()
    if isinstance(value, tuple | list):
        return type(value)(_detached(v) for v in value)
    return value
