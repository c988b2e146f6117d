"""tensorlite: a mini PyTorch in NumPy. Import it as you would import torch.

    import tensorlite as tl

    x = tl.randn(4, 3)
    w = tl.randn(3, 2, requires_grad=True)
    loss = (x @ w).relu().sum()
    loss.backward()  # w.grad holds the gradient

The namespace is torch's. Functions and methods that are single ops are derived from the table in `tensorlite.ops`; `nn`, `optim`, `utils` and
the other subpackages are loaded when they are first used.
"""

from __future__ import annotations

import math as _math
from typing import Any

from . import autograd, dtypes, ops, random
from .autograd import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from .dtypes import (
    complex64,
    complex128,
    dtype,
    float16,
    float32,
    float64,
    get_default_dtype,
    int8,
    int16,
    int32,
    int64,
    set_default_dtype,
    uint8,
)
from .random import Generator, default_generator, initial_seed, manual_seed, seed, set_rng_state
from .tensor import Size, Tensor, device
from .tensor import namespace as _namespace
from .tensor.creation import tensor  # the function, not the subpackage of that name
from .tensor.device import layout, sparse_coo, strided

__version__ = "0.1.0"

_namespace.core(globals())

# torch's short names shadow builtins, which is why they exist in this namespace only.
bool = dtypes.bool_
half, float, double = float16, float32, float64
short, int, long = int16, int32, int64
cfloat, cdouble = complex64, complex128

inf, nan, pi, e = _math.inf, _math.nan, _math.pi, _math.e
newaxis = None
contiguous_format, preserve_format = "contiguous_format", "preserve_format"

_SUBPACKAGES = frozenset(
    {
        "compat",
        "cuda",
        "distributions",
        "func",
        "kernels",
        "linalg",
        "nn",
        "optim",
        "profiler",
        "sparse",
        "special",
        "testing",
        "utils",
        "viz",
    }
)
_ELSEWHERE = {
    "set_printoptions": ("tensor.printing", "set_printoptions"),
    "save": ("utils.checkpoints", "save"),
    "load": ("utils.checkpoints", "load"),
    "sparse_coo_tensor": ("tensor.sparse", "sparse_coo_tensor"),
    "spmm": ("tensor.functions_linalg", "mm"),
    "vmap": ("func", "vmap"),
    **dict.fromkeys(
        ["affine_grid_generator", "grid_sampler", "grid_sampler_2d", "grid_sampler_3d"], ("nn.functional.grid", "")
    ),
    "get_num_threads": ("kernels.threads", "get_num_threads"),
    "set_num_threads": ("kernels.threads", "set_num_threads"),
    **{
        f"{kind}Tensor": ("tensor.legacy", f"{kind}Tensor")
        for kind in ["Bool", "Byte", "Char", "Double", "Float", "Half", "Int", "Long", "Short"]
    },
    # torch has these functions in both places
    **dict.fromkeys(
        [
            "adaptive_avg_pool1d",
            "alpha_dropout",
            "avg_pool1d",
            "bilinear",
            "channel_shuffle",
            "conv1d",
            "conv2d",
            "conv3d",
            "conv_transpose1d",
            "conv_transpose2d",
            "conv_transpose3d",
            "cosine_similarity",
            "dropout",
            "feature_alpha_dropout",
            "group_norm",
            "hardshrink",
            "layer_norm",
            "max_pool1d",
            "max_pool2d",
            "max_pool3d",
            "pairwise_distance",
            "pdist",
            "pixel_shuffle",
            "pixel_unshuffle",
            "rms_norm",
            "rrelu",
            "threshold",
        ],
        ("nn.functional", ""),
    ),
}


def __getattr__(name: str) -> Any:
    import importlib

    if name in _SUBPACKAGES:
        with _namespace.loading:
            return importlib.import_module(f"{__name__}.{name}")
    if name in _ELSEWHERE:
        module, attribute = _ELSEWHERE[name]
        with _namespace.loading:
            value = getattr(importlib.import_module(f"{__name__}.{module}"), attribute or name)
        globals()[name] = value
        return value
    if not name.startswith("__"):
        _namespace.complete()
        if name in globals():
            return globals()[name]
    raise _missing(name)


def _missing(name: str) -> AttributeError:
    """The error for a name that is not there: where programs written for torch find it, why it is left out, or which name is near."""
    import difflib
    import importlib

    from .absent import error

    if not name.startswith("_") and importlib.import_module(f"{__name__}.compat.modules").stands_in(name):
        return error(
            __name__,
            name,
            "; programs written for torch that use it run under tensorlite.compat: python -m tensorlite.compat script.py",
        )
    near = difflib.get_close_matches(name, [*globals(), *_SUBPACKAGES, *_ELSEWHERE], 1)
    return error(__name__, name, f"; did you mean '{near[0]}'?" if near else "")


def __dir__() -> list[str]:
    _namespace.complete()
    return sorted({*globals(), *_SUBPACKAGES, *_ELSEWHERE})


__all__ = [
    "Generator",
    "Size",
    "Tensor",
    "autograd",
    "cdouble",
    "cfloat",
    "complex64",
    "complex128",
    "default_generator",
    "device",
    "double",
    "dtype",
    "dtypes",
    "enable_grad",
    "float16",
    "float32",
    "float64",
    "get_default_dtype",
    "get_rng_state",
    "half",
    "inference_mode",
    "initial_seed",
    "int8",
    "int16",
    "int32",
    "int64",
    "is_grad_enabled",
    "is_inference_mode_enabled",
    "layout",
    "long",
    "manual_seed",
    "no_grad",
    "ops",
    "random",
    "seed",
    "set_default_dtype",
    "set_grad_enabled",
    "set_rng_state",
    "short",
    "sparse_coo",
    "strided",
    "tensor",
    "uint8",
]
