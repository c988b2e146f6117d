"""Checkpointing in the sense of torch.utils.checkpoint: forget what a function computed on the way, and compute it again in the backward pass.

Memory for time: only the inputs are kept. Random numbers are the same the second time, and an in-place change of the inputs is noticed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..autograd.graph import Variable
from ..autograd.mode import mode
from ..autograd.recompute import Recomputation
from ..autograd.record import refresh
from ..random import default_generator
from ..tensor import Tensor


class _Call:
    """`function(*args, **kwargs)`, which draws the same random numbers every time, and notices if a tensor was changed in between."""

    def __init__(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], preserve: bool
    ) -> None:
        self.function, self.args, self.kwargs = function, args, kwargs
        self.state = default_generator.state_bytes() if preserve else None
        self.ran = False
        tensors = [a for a in (*args, *kwargs.values()) if isinstance(a, Variable)]
        for t in tensors:
            if t._base is not None:
                refresh(t)
        self.versions = [(t.counter(), t.counter()[0]) for t in tensors]

    def __call__(self) -> Any:
        if not self.ran:
            self.ran = True
            return self.function(*self.args, **self.kwargs)
        if any(counter[0] != version for counter, version in self.versions):
            raise RuntimeError(
                "one of the variables needed for gradient computation has been modified by an inplace operation: "
                "an argument of checkpoint; clone() it first"
            )
        now = default_generator.state_bytes()
        try:
            if self.state is not None:
                default_generator.set_state(self.state)
            return self.function(*self.args, **self.kwargs)
        finally:
            if self.state is not None:
                default_generator.set_state(now)


def checkpoint(
    function: Callable[..., Any],
    *args: Any,
    use_reentrant: bool | None = None,
    preserve_rng_state: bool = True,
    **kwargs: Any,
) -> Any:
    """`function(*args)` without keeping its intermediate results; they are computed again when the backward pass needs them.

    Args:
        function: any function of tensors; it is called twice, and has to do the same both times. What it uses besides its arguments, such as
            parameters, receives its gradients as usual.
        args: its arguments, as are `kwargs`.
        use_reentrant: accepted for torch's sake; the recomputation is the same.
        preserve_rng_state: draw the same random numbers both times.
    """
    if not mode.grad:
        return function(*args, **kwargs)
    return Recomputation(_Call(function, args, kwargs, preserve_rng_state)).run()


def checkpoint_sequential(
    functions: Any, segments: int, input: Tensor, use_reentrant: bool | None = None, preserve_rng_state: bool = True
) -> Any:
    """Run modules one after another in `segments` parts, each checkpointed but the last."""
    layers: Sequence[Any] = list(functions.children()) if hasattr(functions, "children") else list(functions)
    size = max(len(layers) // segments, 1)

    def part(start: int, stop: int) -> Callable[[Any], Any]:
        def run(x: Any) -> Any:
            for layer in layers[start:stop]:
                x = layer(x)
            return x

        return run

    start: int = 0
    for start in range(0, size * (segments - 1), size):
        input = checkpoint(part(start, start + size), input, preserve_rng_state=preserve_rng_state)
    return part(size * (segments - 1), len(layers))(input)
