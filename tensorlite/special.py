"""torch.special: special functions by the names that SciPy gave them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .ops import OPS
from .tensor.functions_math import EXPORTS
from .tensor.methods import function_of


def _of(name: str) -> Callable[..., Any]:
    return EXPORTS[name][0] if name in EXPORTS else function_of(OPS[name])


_NAMES = {
    "bessel_j0": "bessel_j0", "bessel_j1": "bessel_j1", "digamma": "digamma", "entr": "entr", "erf": "erf", "erfc": "erfc", "erfcx": "erfcx",
    "erfinv": "erfinv", "exp2": "exp2", "expit": "sigmoid", "expm1": "expm1", "gammaln": "lgamma", "i0": "i0", "i0e": "i0e", "i1": "i1", "i1e": "i1e",
    "log1p": "log1p", "log_ndtr": "log_ndtr", "logit": "logit", "logsumexp": "logsumexp", "multigammaln": "mvlgamma", "ndtr": "ndtr", "ndtri": "ndtri",
    "polygamma": "polygamma", "psi": "digamma", "round": "round", "sinc": "sinc", "softmax": "softmax", "log_softmax": "log_softmax",
    "spherical_bessel_j0": "spherical_bessel_j0", "xlog1py": "xlog1py", "xlogy": "xlogy", "zeta": "zeta",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _NAMES or (_NAMES[name] not in EXPORTS and _NAMES[name] not in OPS):
        raise AttributeError(f"module 'tensorlite.special' has no attribute '{name}'")
    function = globals()[name] = _of(_NAMES[name])
    return function


def __dir__() -> list[str]:
    return sorted(_NAMES)
