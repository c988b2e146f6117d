"""The Tensor class and the functions that make tensors."""

from . import numpy_protocol  # noqa: F401 (teaches NumPy about Tensor)
from .creation import *  # noqa: F403
from .arithmetic import add, rsub, sub, subtract
from .device import device
from .size import Size
from .tensor import Tensor

__all__ = ["Size", "Tensor", "add", "device", "rsub", "sub", "subtract"]
