"""Mathematical functions that are compositions of ops, and second names of ops, gathered for the `tensorlite` namespace.

`EXPORTS` maps each name to (function, whether it is also a Tensor method).
"""

from __future__ import annotations

from .compose import Exports, alias
from .functions_elementwise import EXPORTS as _ELEMENTWISE
from .functions_inplace import EXPORTS as _INPLACE
from .functions_linalg import EXPORTS as _LINALG
from .functions_reduce import EXPORTS as _REDUCE
from .functions_sort import EXPORTS as _SORT

EXPORTS: Exports = {**_ELEMENTWISE, **_REDUCE, **_SORT, **_LINALG, **_INPLACE}

ALIASES = {
    "absolute": "abs", "arccos": "acos", "arccosh": "acosh", "arcsin": "asin", "arcsinh": "asinh", "arctan": "atan", "arctan2": "atan2",
    "arctanh": "atanh", "clip": "clamp", "conj_physical": "conj", "divide": "div", "fix": "trunc", "greater": "gt", "greater_equal": "ge",
    "less": "lt", "less_equal": "le", "multiply": "mul", "negative": "neg", "not_equal": "ne",
}  # fmt: skip
for _new, _old in ALIASES.items():
    alias(EXPORTS, _new, _old)
