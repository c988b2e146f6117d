"""tensorlite: a mini PyTorch in NumPy. Import it as you would import torch."""

from __future__ import annotations

from typing import Any

from . import autograd, dtypes
from .autograd import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled
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
from .ops import basic, compare, elementwise, index, linalg, reduce, shape  # noqa: F401 (fill the op table)
from .tensor import Size, Tensor, add, creation, device, rsub, sub, subtract
from .tensor.creation import *  # noqa: F403
from .tensor.methods import attach

__version__ = "0.1.0"

globals().update(attach())
bool = dtypes.bool_  # noqa: A001
half, float, double = float16, float32, float64  # noqa: A001
short, int, long = int16, int32, int64  # noqa: A001
cfloat, cdouble = complex64, complex128
