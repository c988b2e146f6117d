"""Weights computed from other parameters before each forward pass: weight and spectral normalisation."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np

from ...autograd.graph import wrap
from ...tensor import Tensor
from .. import init
from ..module import Module
from ..parameter import Parameter

M = TypeVar("M", bound=Module)


def _norm_except(v: Tensor, dim: int | None) -> Tensor:
    """The norm over all dims but `dim`; over all for None."""
    squares = v * v
    if dim is None:
        return squares.sum().sqrt()  # type: ignore[no-any-return]
    dims = tuple(d for d in range(v.ndim) if d != dim % v.ndim)
    return (squares.sum(dims, keepdim=True) if dims else squares).sqrt()  # type: ignore[no-any-return]


class _WeightNorm:
    def __init__(self, name: str, dim: int | None) -> None:
        self.name, self.dim = name, dim

    def compute(self, module: Module) -> Tensor:
        g, v = getattr(module, self.name + "_g"), getattr(module, self.name + "_v")
        return v * (g / _norm_except(v, self.dim))  # type: ignore[no-any-return]

    def __call__(self, module: Module, args: Any) -> None:
        object.__setattr__(module, self.name, self.compute(module))


def _take_weight(module: Module, name: str) -> Parameter:
    weight = module._parameters.get(name)
    if weight is None:
        raise ValueError(
            f"{type(module).__name__} has no parameter '{name}' to normalise; it has {list(module._parameters)}"
        )
    del module._parameters[name]
    return weight


def _find(module: Module, kind: type[Any], name: str) -> Any:
    for key, hook in (module._hooks.forward_pre if module._hooks else {}).items():
        if isinstance(hook.call, kind) and hook.call.name == name:
            return key, hook.call
    return None, None


def weight_norm(module: M, name: str = "weight", dim: int | None = 0) -> M:
    """`w = g · v / ‖v‖`, with `g` and `v` learned (Salimans and Kingma 2016); norms over all dims but `dim`."""
    if _find(module, _WeightNorm, name)[1] is not None:
        raise RuntimeError(f"Cannot register two weight_norm hooks on the same parameter {name}")
    hook = _WeightNorm(name, dim)
    weight = _take_weight(module, name)
    module.register_parameter(name + "_g", Parameter(_norm_except(weight.detach(), dim)))
    module.register_parameter(name + "_v", Parameter(weight.detach()))
    hook(module, ())
    module.register_forward_pre_hook(hook)
    return module


def remove_weight_norm(module: M, name: str = "weight") -> M:
    """Make the present weight an ordinary parameter again. Raises ValueError if it is not normalised."""
    key, hook = _find(module, _WeightNorm, name)
    if hook is None:
        raise ValueError(f"weight_norm of '{name}' not found in {module}")
    value = hook.compute(module).detach()
    del module._parameters[name + "_g"], module._parameters[name + "_v"]
    return _restore(module, name, key, value)


def _restore(module: M, name: str, key: int, value: Tensor) -> M:
    assert module._hooks is not None
    del module._hooks.forward_pre[key]
    module.__dict__.pop(name, None)
    setattr(module, name, Parameter(value))
    return module


class _SpectralNorm:
    def __init__(self, name: str, n_power_iterations: int, dim: int, eps: float) -> None:
        if n_power_iterations <= 0:
            raise ValueError(
                f"Expected n_power_iterations to be positive, but got n_power_iterations={n_power_iterations}"
            )
        self.name, self.n, self.dim, self.eps = name, n_power_iterations, dim, eps

    def matrix(self, weight: Any) -> Any:
        moved = weight if self.dim == 0 else weight.transpose(self.dim, 0)
        return moved.reshape(moved.shape[0], -1)

    def compute(self, module: Module, iterate: bool) -> Tensor:
        weight, u, v = (getattr(module, self.name + end) for end in ("_orig", "_u", "_v"))
        matrix = self.matrix(weight)
        m = matrix._data
        for _ in range(self.n if iterate else 0):
            v._data = self._unit(m.T @ u._data)
            u._data = self._unit(m @ v._data)
        sigma = (wrap(u._data.copy()) * (matrix @ wrap(v._data.copy()))).sum()
        return weight / sigma  # type: ignore[no-any-return]

    def _unit(self, a: Any) -> Any:
        return a / max(float(np.linalg.norm(a)), self.eps)

    def __call__(self, module: Module, args: Any) -> None:
        object.__setattr__(module, self.name, self.compute(module, iterate=module.training))


def spectral_norm(
    module: M, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> M:
    """The weight divided by its largest singular value, which power iteration tracks (Miyato et al. 2018)."""
    if dim is None:
        dim = 1 if getattr(module, "transposed", False) else 0
    if _find(module, _SpectralNorm, name)[1] is not None:
        raise RuntimeError(f"Cannot register two spectral_norm hooks on the same parameter {name}")
    hook = _SpectralNorm(name, n_power_iterations, dim, eps)
    weight = _take_weight(module, name)
    module.register_parameter(name + "_orig", weight)
    rows, columns = hook.matrix(weight.detach()).shape
    for end, size in (("_u", rows), ("_v", columns)):
        start = init.normal_(wrap(np.empty(size, weight._data.dtype)))
        module.register_buffer(name + end, wrap(hook._unit(start._data).astype(weight._data.dtype)))
    object.__setattr__(module, name, weight.detach())
    module.register_forward_pre_hook(hook)
    return module


def remove_spectral_norm(module: M, name: str = "weight") -> M:
    """Make the present weight an ordinary parameter again. Raises ValueError if it is not normalised."""
    key, hook = _find(module, _SpectralNorm, name)
    if hook is None:
        raise ValueError(f"spectral_norm of '{name}' not found in {module}")
    value = hook.compute(module, iterate=False).detach()
    del module._parameters[name + "_orig"], module._buffers[name + "_u"], module._buffers[name + "_v"]
    return _restore(module, name, key, value)
