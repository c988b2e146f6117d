"""What the `tensorlite` namespace offers beside its classes: derived ops, creation, sampling, and functions composed of ops."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from typing import Any

from . import arithmetic, creation, dunder, numpy_protocol, properties, sampling
from .methods import attach
from .tensor import Tensor

_ = (dunder, numpy_protocol)  # imported for what they add to Tensor

_CREATION = (
    "arange as_tensor asarray complex empty empty_like eye from_numpy full full_like linspace logspace ones ones_like tensor zeros zeros_like"
).split()
_SAMPLING = "bernoulli get_rng_state multinomial normal poisson rand rand_like randint randint_like randn randn_like randperm".split()
_PROPERTIES = (
    "can_cast finfo iinfo is_complex is_floating_point is_nonzero is_tensor numel promote_types result_type".split()
)
_COMPOSED = (
    "functions",
    "functions_math",
)  # modules with EXPORTS: name -> (function, whether it is also a Tensor method)


def functions() -> dict[str, Callable[..., Any]]:
    """The functions of the `tensorlite` namespace by name; gives Tensor its derived and composed methods on the way."""
    found: dict[str, Callable[..., Any]] = {}
    for name in _COMPOSED:
        if importlib.util.find_spec(f"{__package__}.{name}") is None:
            continue
        for export, (function, is_method) in importlib.import_module(f"{__package__}.{name}").EXPORTS.items():
            found[export] = function
            if is_method:
                setattr(Tensor, export, function)
    found = {**attach(), **found}
    for module, names in ((creation, _CREATION), (sampling, _SAMPLING), (properties, _PROPERTIES)):
        found.update({name: getattr(module, name) for name in names})
    found.update({name: getattr(arithmetic, name) for name in ("add", "sub", "subtract", "rsub")})
    found["from_dlpack"] = dunder.from_dlpack
    return found
