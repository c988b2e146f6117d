"""Checkpointing in the sense of torch.utils.checkpoint: forget what a function computed on the way, and compute it again in the backward pass.

Memory for time: only the inputs are kept. Random numbers are the same the second time, and an in-place change of the inputs is noticed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from ..autograd import backward as run_backward
from ..autograd.function import Function
from ..autograd.graph import Variable
from ..autograd.mode import enable_grad
from ..random import default_generator
from ..tensor import Tensor


class _Checkpoint(Function):
    @staticmethod
    def forward(ctx: Any, function: Any, preserve: bool, *args: Any) -> Any:
        ctx.function = function
        ctx.state = default_generator.state_bytes() if preserve else None
        ctx.others = [None if isinstance(a, Variable) else a for a in args]
        ctx.places = [i for i, a in enumerate(args) if isinstance(a, Variable)]
        ctx.save_for_backward(*(args[i] for i in ctx.places))
        return function(*args)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        arguments = list(ctx.others)
        for i, saved in zip(ctx.places, ctx.saved_tensors, strict=True):
            t = saved.detach()
            t._rg = saved._rg
            arguments[i] = t
        now = default_generator.state_bytes() if ctx.state is not None else None
        try:
            if ctx.state is not None:
                default_generator.set_state(ctx.state)
            with enable_grad():
                outputs = ctx.function(*arguments)
        finally:
            if now is not None:
                default_generator.set_state(now)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        pairs = [
            (o, g) for o, g in zip(outputs, grads, strict=True) if isinstance(o, Variable) and o._rg and g is not None
        ]
        if not pairs:
            raise RuntimeError("none of output has requires_grad=True, this checkpoint() is not necessary")
        run_backward([o for o, _ in pairs], [g for _, g in pairs])
        return (None, None, *(a._grad if isinstance(a, Variable) and a._rg else None for a in arguments))


def checkpoint(
    function: Callable[..., Any],
    *args: Any,
    use_reentrant: bool | None = None,
    preserve_rng_state: bool = True,
    **kwargs: Any,
) -> Any:
    """`function(*args)` without keeping its intermediate results; they are computed again when the backward pass needs them.

    Args:
        function: any function of tensors; it is called twice. Parameters it uses receive their gradients as usual.
        args: its arguments. If none of the tensors among them requires grad, the parameters get their gradients all the same.
        use_reentrant: accepted for torch's sake; the recomputation is the same.
        preserve_rng_state: draw the same random numbers both times.
    """
    call = functools.partial(function, **kwargs) if kwargs else function
    if not any(isinstance(a, Variable) and a._rg for a in args):
        # Something must require grad for the node to be made; a leaf of no elements carries no gradient and changes nothing.
        from ..tensor.creation import zeros

        anchor = zeros(0, requires_grad=True)
        def without_anchor(_: Any, *rest: Any) -> Any:
            return call(*rest)

        return _Checkpoint.apply(without_anchor, preserve_rng_state, anchor, *args)
    return _Checkpoint.apply(call, preserve_rng_state, *args)


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
