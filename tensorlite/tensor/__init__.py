"""The Tensor class, and everything that makes or describes tensors."""

from . import operators as operators  # gives Tensor its operators
from .device import device
from .size import Size
from .tensor import Tensor

__all__ = ["Size", "Tensor", "device"]
