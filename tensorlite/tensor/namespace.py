"""What the `tensorlite` namespace offers beside its classes: derived ops, creation, and functions composed of ops.

It comes in two parts. The core is there when the package is imported; the rest is loaded when a name that is missing is first asked for, of
the package or of a tensor, so that importing tensorlite costs little more than importing NumPy.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable
from typing import Any

from .methods import attach
from .tensor import Tensor, TensorType

Functions = dict[str, Callable[..., Any]]

_MODULES = {
    "arithmetic": "add rsub sub subtract",
    "creation": "arange as_tensor asarray empty empty_like eye from_numpy full full_like linspace logspace ones ones_like tensor zeros "
    "zeros_like",
    "dunder": "from_dlpack",
    "properties": "can_cast finfo iinfo is_complex is_floating_point is_nonzero is_tensor numel promote_types result_type",
    "sampling": "bernoulli get_rng_state multinomial normal poisson rand rand_like randint randint_like randn randn_like randperm",
}
_COMPOSED = (
    "functions",
    "functions_math",
)  # modules with EXPORTS: name -> (function, whether it is also a Tensor method)
_namespaces: list[dict[str, Any]] = []
_complete = _completing = False
#: Held while parts of the package are loaded that were not needed so far: several threads may be the first to use them.
loading = threading.RLock()


def core(namespace: dict[str, Any]) -> None:
    """Put the functions of the core into `namespace`, and the rest as soon as it is loaded."""
    importlib.import_module(f"{__package__}.numpy_protocol")
    namespace.update(attach())
    for module, names in _MODULES.items():
        found = importlib.import_module(f"{__package__}.{module}")
        namespace.update({name: getattr(found, name) for name in names.split()})
    _namespaces.append(namespace)


def complete() -> None:
    """Load the remaining op families and compositions, or wait until another thread has."""
    global _complete, _completing
    if _complete:
        return
    with loading:
        if _complete or _completing:  # by another thread meanwhile, or asked for by what is being loaded
            return
        _completing = True
        try:
            _load_the_rest()
            _complete = True
        finally:
            _completing = False


def _load_the_rest() -> None:
    from ..ops import load_all

    load_all()
    exports: Functions = {}
    for name in _COMPOSED:
        for export, (function, is_method) in importlib.import_module(f"{__package__}.{name}").EXPORTS.items():
            exports[export] = function
            if is_method:
                setattr(Tensor, export, function)
    exports = {**attach(), **exports}
    for namespace in _namespaces:
        namespace.update({name: f for name, f in exports.items() if name not in namespace})


TensorType.complete = staticmethod(complete)
