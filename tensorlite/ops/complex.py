"""Complex numbers: their parts, their pairs of real numbers, conjugates and angles."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .analytic import conj
from .table import op


@op(view=True, namespaces=("torch",), numpy=np.real)
def real(x: Any) -> Any:
    """The real part; a view."""
    return x.real


real.grad(x=lambda g: g)


@op(view=True, namespaces=("torch",), numpy=np.imag)
def imag(x: Any) -> Any:
    """The imaginary part; a view. Raises RuntimeError for real input."""
    if x.dtype.kind != "c":
        raise RuntimeError("imag is not implemented for tensors with non-complex dtypes.")
    return x.imag


imag.grad(x=lambda g: g * 1j)


@op(name="conj", numpy=(np.conj, np.conjugate))
def conjugate(x: Any) -> Any:
    """The complex conjugate."""
    return np.conj(x) if x.dtype.kind == "c" else x.copy()


conjugate.grad(x=lambda g: conj(g))


@op(promote=None, name="complex", namespaces=("torch",), broadcasts=True)
def complex_(real: Any, imag: Any) -> Any:
    """`real + i imag`."""
    if real.dtype != imag.dtype:
        raise RuntimeError(
            f"Expected object of scalar type {real.dtype} but got scalar type {imag.dtype} for second argument"
        )
    if real.dtype.kind != "f":
        raise RuntimeError(
            f"Expected both inputs to be Half, Float or Double tensors but got {real.dtype} and {imag.dtype}"
        )
    out = np.empty(np.broadcast_shapes(real.shape, imag.shape), np.result_type(real.dtype, np.complex64))
    out.real, out.imag = real, imag
    return out


complex_.grad(real=lambda g: real(g), imag=lambda g: imag(g))


@op(view=True)
def view_as_real(x: Any) -> Any:
    """A complex tensor as pairs (real, imaginary) along a new last dim; a view. Raises RuntimeError for real input."""
    if x.dtype.kind != "c":
        raise RuntimeError("view_as_real is only supported for complex tensors")
    return x[..., None].view(x.real.dtype)


view_as_real.grad(x=lambda g: complex_(g[..., 0], g[..., 1]))


@op(view=True, namespaces=("torch",))
def view_as_complex(x: Any) -> Any:
    """Pairs (real, imaginary) along the last dim as a complex tensor; a view. Raises RuntimeError unless the last dim is 2 adjacent floats."""
    if x.dtype.kind != "f" or x.dtype.itemsize < 4:
        raise RuntimeError(
            f"view_as_complex is only supported for float and double tensors, but got a tensor of {x.dtype}"
        )
    if not x.ndim or x.shape[-1] != 2:
        raise RuntimeError(f"Tensor must have a last dimension of size 2, got shape {list(x.shape)}")
    if x.size and x.strides[-1] != x.itemsize:
        raise RuntimeError("Tensor must have a last dimension with stride 1")
    if any(s % (2 * x.itemsize) for s in x.strides[:-1]):
        raise RuntimeError("Tensor must have a stride divisible by 2 for all but last dimension")
    return x.view(np.result_type(x.dtype, np.complex64))[..., 0]


view_as_complex.grad(x=lambda g: view_as_real(g))


@op(promote="float", numpy=np.angle)
def angle(x: Any) -> Any:
    """The angle of a complex number, in radians; 0 or π for a real one."""
    if x.dtype.kind == "c":
        return np.angle(x)
    return np.where(np.isnan(x), x, np.where(x < 0, math.pi, 0)).astype(x.dtype)


def _angle_grad(g: Any, x: Any) -> Any:
    if conj(x) is x:  # real
        return np.zeros_like(g)
    square = real(x * x.conj())
    return np.where(square == 0, 0, g * x * 1j / np.where(square == 0, 1, square))


angle.grad(x=_angle_grad)
