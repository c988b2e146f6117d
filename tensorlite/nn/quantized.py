"""Linear layers whose weight is stored small and only read: int8 with a scale for each row, or bfloat16.

The product widens a block of the weight at a time, in cache, so that the memory bus carries the small form; this is what decoding one
token at a time waits for. Gradients flow to the input and the bias (so that adapters beside it can be trained), never to the weight.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.function import Function
from ..autograd.graph import wrap
from ..kernels import quant as kernel
from ..tensor import Tensor
from .linear import Linear
from .module import Module


def _wide(stored: Any, scale: Any) -> Any:
    return kernel.from_bf16(stored.view(np.uint16)) if scale is None else kernel.dequantize_int8(stored, scale)


class _Product(Function):
    """x wᵀ for a stored weight, which gets no gradient; the backward widens the weight again."""

    @staticmethod
    def forward(ctx: Any, x: Any, stored: Any, scale: Any) -> Any:
        ctx.stored, ctx.scale = stored._data, None if scale is None else scale._data
        if x._data.dtype != np.float32:
            raise RuntimeError(
                f"a quantized layer expects a float32 input, got {x._data.dtype}; convert it with .float()"
            )
        if ctx.scale is None:
            return wrap(kernel.bf16_matmul(x._data, ctx.stored.view(np.uint16)))
        return wrap(kernel.int8_matmul(x._data, ctx.stored, ctx.scale))

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return g @ wrap(_wide(ctx.stored, ctx.scale)), None, None


class QuantizedLinear(Module):
    """`Linear` with its weight stored as "int8" (a quarter of the bytes, each entry within half a step of its row) or "bfloat16" (half).

    Made from a trained layer by `QuantizedLinear.of(linear)`. Input `(*, in)`, output `(*, out)`, both float32. `weight` and `scale` are
    buffers, and are saved in the state_dict as they are stored, the bits of bfloat16 as int16.
    """

    def __init__(self, weight: Tensor, scale: Tensor | None, bias: Tensor | None) -> None:
        super().__init__()
        self.out_features, self.in_features = weight.shape
        self.register_buffer("weight", weight)
        self.register_buffer("scale", scale)
        self.register_parameter("bias", bias)  # type: ignore[arg-type]

    @classmethod
    def of(cls, linear: Linear, dtype: str = "int8") -> QuantizedLinear:
        """The quantized form of a float32 layer, whose bias it shares. Raises ValueError for another dtype than "int8" or "bfloat16"."""
        weight = linear.weight.detach().numpy()
        if dtype == "int8":
            stored, scale = kernel.quantize_int8(weight)
            return cls(wrap(stored), wrap(scale), linear.bias)
        if dtype == "bfloat16":
            return cls(wrap(kernel.to_bf16(weight).view(np.int16)), None, linear.bias)
        raise ValueError(f'dtype must be "int8" or "bfloat16", got {dtype!r}')

    def dequantized(self) -> Tensor:
        """The float32 weight `(out, in)` that the stored one stands for."""
        scale = None if self.scale is None else self.scale._data
        return wrap(_wide(self.weight._data, scale))  # type: ignore[no-any-return]

    def _load_from_state_dict(
        self, state_dict: Any, prefix: str, local_metadata: dict[str, Any], strict: bool,
        missing_keys: list[str], unexpected_keys: list[str], error_msgs: list[str],
    ) -> None:  # fmt: skip
        """Refuses a weight in another form, which a copy would cut down to integers."""
        given, own = np.asarray(state_dict.get(prefix + "weight", self.weight)).dtype, self.weight._data.dtype
        if given != own:
            error_msgs.append(
                f"{prefix}weight is stored as {own} here and {given} in the checkpoint: load that into a Linear, then quantize it"
            )
            return
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )

    def forward(self, input: Tensor) -> Tensor:
        z = _Product.apply(input, self.weight, self.scale)
        return z if self.bias is None else z + self.bias  # type: ignore[no-any-return]

    def extra_repr(self) -> str:
        kind = "bfloat16" if self.scale is None else "int8"
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}, dtype={kind}"


def quantize_linears(module: Module, dtype: str = "int8") -> Module:
    """Replace every `Linear` inside `module`, in place, by its quantized form; returns the module (or the form, if it is a Linear itself).

    A layer that is used in several places stays one layer. Hooks of a replaced layer are not taken over. If a layer cannot be quantized,
    nothing is replaced.
    """
    forms = {id(m): QuantizedLinear.of(m, dtype).train(m.training) for m in module.modules() if type(m) is Linear}
    for parent in list(module.modules()):
        for name, child in list(parent._modules.items()):
            if id(child) in forms:
                setattr(parent, name, forms[id(child)])
    return forms.get(id(module), module)


__all__ = ["QuantizedLinear", "quantize_linears"]
